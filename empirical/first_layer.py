r"""The first layer of deep networks, trained and integrated: what stays of its start outside the range of the features.

Rounding. A step computes the gradient :math:`B\Phi^\top` as sums over M columns, off by at most
:math:`(M + 2)\varepsilon\|B\|\|\Phi\|` in the Frobenius norm, adds it to the buffer and the buffer to the weight. With momentum β a
buffer's error moves the weight by :math:`\eta/(1 - \beta)` times it in all. With the range of Φ known up to
:math:`\ell = \|\Phi - P\Phi\|`, after k steps the part outside has moved by at most

.. math:: \sum_{j<k} \frac{\eta}{1-\beta}\big[((M + 2)\varepsilon\|\Phi\| + \ell)\|B_j\| + 2\varepsilon b\big]
          + \varepsilon\,(w + 2 \eta b) ,

b and w the largest norms of buffer and weight. An explicit Runge–Kutta step adds the velocities of its stages with weights whose
absolute values have a sum below 2 h: the same bound with the time for :math:`\sum \eta/(1-\beta)`, twice, and with the largest B.
The solver's steps are kept short, so that no stage of one that it throws away has a large B. B is what torch's own backward pass
hands to the layer: nothing is assumed of what stands behind it.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from empirical.crosscheck import DIVERGED
from empirical.device import construct, few_threads, full_precision, import_torch, resolve
from empirical.levels import Level, judge, worst_of
from empirical.networks import Feedforward, build
from empirical.views import show
from numerics.arrays import Float
from numerics.budget import unit_roundoff
from numerics.spectrum import Decomposition, spectrum
from theory.theorems import OwnCase

STEPS = 200
RATE = 0.1  # of 1/‖Φ‖², the scale of the first layer's own problem
STEPPING = {"rtol": 1e-4, "atol": 1e-4}  # of the solver: what is measured does not depend on it
FULL = "the training features span everything: nothing is conserved"
STILL = "the first layer has not moved by more than rounding: nothing is shown"


class FirstLayerMeasurement:
    """Networks of several depths on real images, trained towards the images themselves.

    Args:
        case: Its options: ``layer``, ``depths``, ``view``, ``optimizer`` (its rate is set from the data).
        train: Training images, (N, C, *spatial).
        test: Not used but by the view.
        seed: Seed of the starts.
    """

    def __init__(self, case: OwnCase, train: Float, test: Float, seed: int) -> None:
        options = case.options
        self.layer, self.optimizer = options["layer"], options["optimizer"]
        self.networks = [Feedforward(self.layer, depth=depth) for depth in options["depths"]]
        shown, _ = show(options.get("view", "plain"), train, test)
        self.inputs, self.seed = self.layer.arrange(shown), seed

    def integration(self) -> Level:
        """By an adaptive solver of the gradient flow of all parameters, with torch's autograd as the velocity."""
        return worst_of(Run(self, network, "cpu", "float64").integrated() for network in self.networks)

    def training(self, device: str, dtype: str) -> Level:
        """By torch's own module and optimiser."""
        return worst_of(Run(self, network, resolve(device), dtype).trained() for network in self.networks)


class Run:
    """One network at its start, and what is known of its first layer."""

    def __init__(self, problem: FirstLayerMeasurement, network: Feedforward, device: str, dtype: str) -> None:
        torch = import_torch()
        self.torch, self.problem, self.unit = torch, problem, unit_roundoff(dtype)
        x, shape = problem.inputs.astype(dtype), problem.inputs.shape[1:]
        features = problem.layer.features(x.astype(np.float64), np)
        self.columns, self.size = features.shape[-1], float(np.linalg.norm(features))
        self.range: Decomposition = spectrum(features)
        self.leak = float(np.linalg.norm(self.outside(features.swapaxes(-1, -2)))) + 1e-15 * self.size
        self.rate = RATE / float(self.range.values.max()) ** 2 if self.size else 0.0
        kind = {"device": device, "dtype": getattr(torch, dtype)}
        self.module = build(network, shape, shape[0]).to(**kind)
        self.x, self.back = torch.tensor(x, **kind), list[float]()
        drawn = [part for pair in network.draw(problem.seed, shape, shape[0]) for part in pair if part is not None]
        with torch.no_grad():
            for parameter, value in zip(self.module.parameters(), drawn, strict=True):
                parameter.copy_(torch.tensor(value))
        self.start = self.weight()

    def outside(self, rows: Float) -> Float:
        """What rows (blocks, m, d) have outside the range of the features."""
        rest = rows
        for _ in range(2):  # once loses orthogonality to rounding
            inside = [row @ left[:, :rank] @ left[:, :rank].conj().T for row, left, rank in self._parts(rest)]
            rest = rest - np.array(inside)
        return rest

    def _parts(self, rows: Float) -> Iterator[tuple[Float, Float, int]]:
        return zip(rows, self.range.left, self.range.ranks, strict=True)

    def weight(self) -> Float:
        """The first layer's block weights."""
        first = self.module.layers[0]
        bias = first.bias.detach().cpu().numpy().astype(np.float64) if self.problem.layer.bias else None
        return self.problem.layer.to_blocks(first.weight.detach().cpu().numpy().astype(np.float64), bias, np)  # type: ignore[no-any-return]

    def slope(self) -> None:
        """Puts the gradient of the loss into the parameters, and notes the norm of B on the way."""
        self.module.zero_grad()
        (0.5 * ((self.module(self.x) - self.x) ** 2).sum()).backward()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Notes the norm of the gradient by the first layer's outputs in every backward pass."""

        def listen(_module: object, _inputs: object, output: Any) -> None:
            output.register_hook(lambda gradient: self.back.append(float(gradient.norm())))

        handle = self.module.layers[0].register_forward_hook(listen)
        try:
            with full_precision(), few_threads(self.size_of_work):
                yield
        finally:
            handle.remove()

    @property
    def size_of_work(self) -> int:
        """About how many products a step takes."""
        weights: int = sum(parameter.numel() for parameter in self.module.parameters())
        return int(weights * self.columns)

    def trained(self) -> Level:
        """By the optimiser of the case."""
        rule = self.problem.optimizer.with_values(learning_rate=self.rate or 1.0)
        algorithm = construct(rule.torch_optimizer(), params=list(self.module.parameters()))
        first, largest, buffer = self.module.layers[0].weight, float(np.linalg.norm(self.start)), 0.0
        keep = getattr(rule, "momentum", 0.0)
        with self.listening():
            for _ in range(STEPS):
                self.slope()
                buffer = max(buffer, float(first.grad.norm()) / (1 - keep))
                algorithm.step()
                largest = max(largest, float(first.detach().norm()))
        way = self.rate / (1 - keep)
        gradients = way * (((self.columns + 2) * self.unit * self.size + self.leak) * sum(self.back))
        steps = STEPS * self.unit * (2 * way * buffer + largest + 2 * self.rate * buffer)
        return self.judged(gradients + steps)

    def integrated(self) -> Level:
        """By scipy's Dormand–Prince pair, as far as as many steps of the plain descent would go."""
        from scipy.integrate import solve_ivp

        parameters, torch = list(self.module.parameters()), self.torch
        vector = torch.nn.utils.parameters_to_vector(parameters).detach().numpy().copy()

        def velocity(_time: float, theta: Float) -> Float:
            torch.nn.utils.vector_to_parameters(torch.tensor(theta), parameters)
            self.slope()
            return -torch.cat([value.grad.flatten() for value in parameters]).numpy()  # type: ignore[no-any-return]

        time = STEPS * self.rate
        with self.listening():
            found = solve_ivp(velocity, (0.0, time), vector, **STEPPING, first_step=self.rate, max_step=3 * self.rate)
        torch.nn.utils.vector_to_parameters(torch.tensor(found.y[:, -1]), parameters)
        largest = max(float(np.linalg.norm(part)) for part in (self.start, self.weight()))
        flow = 2 * time * ((self.columns + 2) * self.unit * self.size + self.leak) * max(self.back)
        return self.judged(flow + 8 * found.nfev * self.unit * largest)

    def judged(self, budget: float) -> Level:
        """What has moved outside the range, in the budget; refused where nothing could have moved, or nothing has."""
        end = self.weight()
        if not np.isfinite(end).all():
            return Level("disagrees", math.inf, DIVERGED)
        kept = float(np.linalg.norm(self.outside(self.start)))
        if kept <= 1e-12 * float(np.linalg.norm(self.start)):
            return Level("not run", 0.0, FULL)
        moved = float(np.linalg.norm(end - self.start))
        evaluation = 8 * end.shape[-1] * unit_roundoff("float64") * moved
        away = float(np.linalg.norm(self.outside(end - self.start)))
        level = judge(np.array([away]), np.array([budget + evaluation]), np.array([kept]))
        return Level("not run", level.ratio, STILL) if level.verdict == "agrees" and moved <= 100 * budget else level
