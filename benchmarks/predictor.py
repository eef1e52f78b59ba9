"""How fast the closed form is evaluated, against what any evaluation must do, and against solvers of the same equation.

    python benchmarks/predictor.py [--repeats N] [--skip-large]

One BLAS thread. Every ratio is taken within this run. The reference of a prediction is a matrix product of the same size
written to fresh memory, as one or one per time, whichever is faster; no evaluation that returns the outputs can do with
less. The condition number of the data is printed beside the solvers' times, because it decides how hard the equation is.
"""

import argparse
import importlib
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp
from threadpoolctl import threadpool_limits

from numerics.integrate import trajectory
from numerics.plan import StiffError, plan
from numerics.predictor import Predictor
from theory.layers import CircularConv, Conv, Linear
from theory.optimizers import GradientFlow
from theory.setting import Setting

FEATURES, TIMES, TESTS = 784, 200, 100
SHARE = {10: 0.65, 100: 0.80}
"""Of the product-and-write limit, wanted for so many training examples."""
MOST_WORK = 6e10  # products of one integration: about half a minute


def best(action: Callable[[], object], repeats: int) -> float:
    """The least time of several runs after one that is not counted, in seconds."""
    action()
    spent = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        spent.append(time.perf_counter() - begin)
    return min(spent)


def row(name: str, seconds: float, note: str = "") -> None:
    print(f"  {name:<62}{seconds * 1e3:>12.3f} ms   {note}", flush=True)


def verdict(fine: bool, wanted: str) -> str:
    return f"(wanted {wanted})" + ("" if fine else "  <-- missed")


def blas() -> str:
    """The machine's linear algebra library, as numpy reports it."""
    settings: Any = np.show_config(mode="dicts")
    found = settings["Build Dependencies"]["blas"]
    return f"{found.get('name')} {found.get('version')}"


def images(count: int, channels: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, channels, size, size))


def fully_connected(repeats: int) -> None:
    print(f"fully connected, {FEATURES} features, {TIMES} times × {TESTS} tests")
    rng = np.random.default_rng(0)
    tests, times = rng.standard_normal((TESTS, FEATURES)), np.linspace(0, 1, TIMES)
    for count in (10, 100):
        x = rng.standard_normal((count, FEATURES))
        setting = Setting(Linear(), GradientFlow())
        row(f"n = {count}: modes", best(lambda s=setting, x=x: Predictor(s, x), repeats))
        p = Predictor(setting, x)
        left, right = rng.standard_normal((TIMES, FEATURES, count)), rng.standard_normal((count, TESTS))
        flat = left.reshape((-1, count))
        limit = min(best(lambda a=a, b=right: a @ b, repeats) for a in (left, flat))
        spent = best(lambda p=p: p.predict(tests, times), repeats)
        share, wanted = limit / spent, SHARE[count]
        row(f"n = {count}: product and write, the limit", limit)
        row(f"n = {count}: outputs", spent, f"{share:.0%} of the limit {verdict(share >= wanted, f'{wanted:.0%}')}")
        curve = best(lambda p=p: p.loss(times), repeats)
        row(
            f"n = {count}: a loss curve alone",
            curve,
            f"{spent / curve:.1f} times cheaper {verdict(spent / curve > 4.4, '> 4.4')}",
        )
        row(f"n = {count}: an error curve", best(lambda p=p: p.error(tests, times), repeats))
        half = p.on(dtype="float32")
        row(f"n = {count}: outputs in float32", best(lambda p=half: p.predict(tests, times), repeats))


def convolutions(repeats: int) -> None:
    print(f"5×5 convolution on 28×28, weights at {TIMES} times")
    times = np.linspace(0, 1, TIMES)
    for channels, wanted in ((1, 0.8), (3, 2.1), (8, 9.0)):
        p = Predictor(Setting(Conv(5), GradientFlow()), images(1, channels, 28))
        a = np.random.default_rng(1).standard_normal((TIMES * channels, 25 * channels))
        b = np.random.default_rng(2).standard_normal((25 * channels, 25 * channels))
        limit = best(lambda a=a, b=b: a @ b, repeats)
        spent = best(lambda p=p: p.weight(times), repeats)
        row(
            f"C = {channels}",
            spent,
            f"prototype {wanted} ms on another machine; product and write {limit * 1e3:.3f} ms",
        )
    print("circular convolution of full width, one channel: modes, the weight at one time, and one prediction")
    for size in (28, 64, 256, 1024):
        x = images(2, 1, size)

        def run(x: np.ndarray = x) -> None:
            p = Predictor(Setting(CircularConv(), GradientFlow()), x[:1])
            p.weight([1e-6])
            p.predict(x[1:], [1e-6])

        spent = best(run, 1)
        row(f"{size} × {size}", spent, verdict(spent < 5, "< 5000 ms") if size == 1024 else "")


def scaling(repeats: int) -> None:
    print("cost against the number of times, n = 100, 10 tests")
    rng = np.random.default_rng(0)
    p = Predictor(Setting(Linear(), GradientFlow()), rng.standard_normal((100, FEATURES)))
    tests = rng.standard_normal((10, FEATURES))
    for count in (100, 1000, 10000):
        out = np.empty((count, 10, FEATURES))
        spent = best(lambda n=count, o=out: p.predict(tests, np.linspace(0, 1, n), out=o), min(repeats, 2))
        row(f"{count} times, into an array of the caller's", spent, f"{spent / count * 1e6:.1f} µs a time")


def solvers(repeats: int) -> None:
    print(
        "the same equation by solvers, until the slowest mode is learned, relative tolerance 1e-10; ratios are to the closed form"
    )
    rng = np.random.default_rng(0)
    for features, conditions in ((10, (3.0, 30.0, 100.0, 1e4)), (200, (3.0, 30.0, 100.0))):
        for condition in conditions:
            left, right = (np.linalg.qr(rng.standard_normal((size, 6)))[0] for size in (features, 6))
            x = ((left * np.geomspace(1, 1 / condition, 6)) @ right.T).T
            one_setting(x, condition, 3 * condition**2, repeats)


def one_setting(x: np.ndarray, condition: float, when: float, repeats: int) -> None:
    """The closed form, our solver on each state and the peers on one set of data, with what each answer is off by."""
    setting = Setting(Linear(), GradientFlow())
    p = Predictor(setting, x)
    exact = p.theta([when]).ravel()
    name = f"{x.shape[1]} features, cond {condition:g}"
    closed = best(lambda: Predictor(setting, x).theta([when]), repeats)
    row(f"{name}: closed form, modes and all", closed)

    def compared(who: str, solve: Callable[[], np.ndarray], truth: np.ndarray = exact) -> None:
        begin = time.perf_counter()
        off = float(np.abs(solve() - truth).max())
        spent = min(best(solve, 1), time.perf_counter() - begin) if x.shape[1] < 100 else time.perf_counter() - begin
        row(f"{name}: {who}", spent, f"{spent / closed:.0f} times, off by {off:.1e}")

    for state in ("auto", "full", "dual"):
        try:
            way = plan(p.problem, when, state)
        except StiffError:
            continue
        if way.products > MOST_WORK:
            print(f"  {name}: our solver, {state}: left out, about {way.products:.0e} products")
            continue
        how = f"{way.state}, {'Radau by rows' if way.implicit else 'DOP853'}"
        compared(
            f"our solver, {f'auto: {how}' if state == 'auto' else how}",
            lambda state=state: trajectory(p.problem, [when], state=state).theta.ravel(),
        )
    if condition > (100 if x.shape[1] < 100 else 3):
        return  # explicit solvers on the whole state would take minutes
    gram = p.problem.features[0] @ p.problem.features[0].T
    drive = p.problem.columns[0] @ p.problem.features[0].T

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        return (drive - flat.reshape(drive.shape) @ gram).ravel()

    for method in ("DOP853", "LSODA") if x.shape[1] < 100 else ("DOP853",):
        options: dict[str, Any] = {"method": method, "rtol": 1e-10, "atol": 1e-12}
        compared(
            f"scipy's {method} on the Gram matrix",
            lambda options=options: solve_ivp(velocity, (0, when), p.problem.start.ravel(), **options).y[:, -1],
        )
    if usable("torchdiffeq"):
        compared("torchdiffeq's dopri8 on the Gram matrix", lambda: by_torchdiffeq(p, gram, drive, when))
    if usable("diffrax"):
        solve = by_diffrax(p, gram, drive, when)
        begin = time.perf_counter()
        solve()
        print(f"  {name}: diffrax, compilation and a first run {time.perf_counter() - begin:.1f} s")
        compared("diffrax's Dopri8 on the Gram matrix, compiled", solve)
    if usable("neural_tangents"):
        solve = by_neural_tangents(p, when)
        solve()
        compared(
            "neural-tangents' gradient_descent_mse, outputs on the training data", solve, p.predict(x, [when]).ravel()
        )


def usable(peer: str) -> bool:
    """Whether a peer is installed and can be imported; an old one may not go with a new library below it."""
    try:
        importlib.import_module(peer)
    except ImportError:
        return False
    return True


def by_torchdiffeq(p: Predictor, gram: np.ndarray, drive: np.ndarray, when: float) -> np.ndarray:
    """The weights by torchdiffeq, a peer that is used where it is installed."""
    torch, solver = importlib.import_module("torch"), importlib.import_module("torchdiffeq")
    matrix, push = torch.tensor(gram), torch.tensor(drive)
    found = solver.odeint(
        lambda _, weight: push - weight @ matrix,
        torch.tensor(p.problem.start[0]),
        torch.tensor([0.0, when], dtype=torch.float64),
        method="dopri8",
        rtol=1e-10,
        atol=1e-12,
    )
    last: np.ndarray = found[-1].numpy()
    return last.ravel()


def by_diffrax(p: Predictor, gram: np.ndarray, drive: np.ndarray, when: float) -> Callable[[], np.ndarray]:
    """The weights by diffrax, compiled; a peer that is used where it is installed."""
    jax, diffrax = importlib.import_module("jax"), importlib.import_module("diffrax")
    jax.config.update("jax_enable_x64", True)
    matrix, push, start = (jax.numpy.asarray(array) for array in (gram, drive, p.problem.start[0]))
    term = diffrax.ODETerm(lambda t, weight, _: push - weight @ matrix)
    steps = diffrax.PIDController(rtol=1e-10, atol=1e-12)

    @jax.jit
    def solve() -> Any:
        found = diffrax.diffeqsolve(
            term, diffrax.Dopri8(), 0.0, when, None, start, stepsize_controller=steps, max_steps=10**7
        )
        return found.ys[-1]

    return lambda: np.asarray(solve()).ravel()


def by_neural_tangents(p: Predictor, when: float) -> Callable[[], np.ndarray]:
    """The training outputs by neural-tangents, from the tangent kernel; a peer that is used where it is installed."""
    jax, tangents = importlib.import_module("jax"), importlib.import_module("neural_tangents")
    jax.config.update("jax_enable_x64", True)
    x, y = jax.numpy.asarray(p.problem.inputs), jax.numpy.asarray(p.problem.targets)
    start = x @ jax.numpy.asarray(p.problem.start[0]).T
    # Its loss is the mean over the entries of a half of the squares, ours their half sum: time is multiplied by their number.
    move = tangents.predict.gradient_descent_mse(x @ x.T, y)
    return lambda: np.asarray(move(when * y.size, start)).ravel()


def large() -> None:
    print("60 000 training examples × 784, identity")
    x = np.random.default_rng(0).random((60_000, 784))
    begin = time.perf_counter()
    p = Predictor(Setting(Linear(), GradientFlow()), x)
    p.weight([1e-5])
    p.loss(np.linspace(0, 1e-3, 100))
    spent = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    row("modes, the weight at one time, a loss curve", spent, verdict(spent < 10, "< 10000 ms"))
    print(f"  peak memory of this whole run, the data included: {peak:.2f} GiB {verdict(peak < 2, '< 2')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--skip-large", action="store_true")
    chosen = parser.parse_args()
    print(f"{blas()}, one thread\n")
    with threadpool_limits(1):
        if not chosen.skip_large:
            large()
        fully_connected(chosen.repeats)
        convolutions(chosen.repeats)
        scaling(chosen.repeats)
        solvers(chosen.repeats)


if __name__ == "__main__":
    main()
