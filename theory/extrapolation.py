r"""What the data determine of a prediction, and what they leave to the start and the training: the formulas, in one home.

Per block, with features Φ of the training examples (X below), targets Y and features V of a test example:

- All least-squares minimisers agree on a column v of V iff its part outside the range, :math:`u = (I - \Phi\Phi^+)v`, is 0.
- Otherwise they predict :math:`Y\Phi^+V + ZU` with :math:`U = (I - \Phi\Phi^+)V` and any Z: outputs × rank U free dimensions,
  everything for one column, a subspace for many.
- Under :math:`\|Z\|_F \le R` the entry (i, j) takes exactly the interval of half-width :math:`R\|u_j\|` around that of
  :math:`Y\Phi^+V`; :math:`Z = \pm R\,e_iu_j^\top/\|u_j\|` attains its ends. The whole prediction takes an ellipsoid; of all Z that
  give :math:`ZU = \Delta` the least is :math:`\Delta U^+`.
- Training from W0 picks :math:`Z = W_0`, at every time; with weight decay μ the flow picks :math:`e^{-\mu t}W_0`, and 0 in the limit;
  stopping early is short of the minimisers only inside the range.

These are strings of the claim language: T12 and T13 prove them, and the tests evaluate the same text on data against the fast route
of :mod:`numerics.extrapolation` and :mod:`numerics.sandwich`.
"""

from dataclasses import dataclass

COMPLEMENT = "(I - X @ pinv(X))"
FREE = f"{COMPLEMENT} @ V"  # U
MINIMUM_NORM = "Y @ pinv(X) @ V"
REACHED = f"{MINIMUM_NORM} + Z @ {FREE}"
RIDGE = "c * Y @ X.T @ pinv(c * X @ X.T + mu * I)"
FLOW = {"E": "c * X @ X.T"}
DECAYING = {"E": "c * X @ X.T + mu * I"}
EXTREMAL = f"r * e @ v.T @ {COMPLEMENT}"  # for a column v; R = r‖u‖
OUTSIDE = "(V - X @ pinv(X) @ V)"


@dataclass(frozen=True)
class Regime:
    """How a training ends, and what it picks where the data leave the prediction free.

    Attributes:
        name: One word.
        says: In words.
        prediction: On V, in the claim language.
        free: The part of it that the data leave free, W times U.
        flow: The exponentials that these use.
    """

    name: str
    says: str
    prediction: str
    free: str
    flow: dict[str, str]


REGIMES = {
    regime.name: regime
    for regime in (
        Regime("start", "no decay, in the limit: Z = W0", f"{MINIMUM_NORM} + W0 @ {FREE}", f"W0 @ {FREE}", {}),
        Regime(
            "stopping",
            "no decay, stopped at time t: Z = W0 already, short of the minimisers inside the range only",
            "Y @ pinv(X) @ (I - E) @ V + W0 @ E @ V",
            f"W0 @ {FREE}",
            FLOW,
        ),
        Regime("decay", "weight decay, in the limit: Z = 0", f"{RIDGE} @ V", "0", {}),
        Regime(
            "stopped-decay",
            "weight decay, stopped at time t: Z = exp(-μt)W0, between the two",
            "(W0 @ E + c * Y @ X.T @ integral(E)) @ V",
            f"W0 @ {COMPLEMENT} @ E @ V",
            DECAYING,
        ),
    )
}
