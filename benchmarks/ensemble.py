"""How fast many networks train side by side, against a plain module in torch's own loop, in one run.

    python benchmarks/ensemble.py [--device cpu|cuda] [--networks 1,3,16,128] [--seconds S] [--compiled] [--dtype float32|float64]

One CPU thread, and its own processor time, so that other work on the machine disturbs little; on a GPU the clock on the wall.
Speed is networks × steps per second of momentum SGD on one picture; ratios are to the reference of the same
kind of network, one torch module trained by torch.optim.SGD in a plain loop, measured once here and once more at the end, so that
one sees how steady the machine is. Every backend is timed through ``train_ensemble``'s own steps, without its looks at the loss.
A compilation is not counted, and printed. "known gradient" is what ``train_ensemble`` does for one linear layer.
The last lines say which backend won for each kind and number: what ``backend("auto")`` should choose on this device.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from empirical.backends import BACKENDS, backend
from empirical.batch import Batch, Running, Stop
from empirical.device import describe, full_precision, resolve
from empirical.networks import Feedforward, build, draw_stack
from empirical.slopes import autograd_slope, linear_slope
from theory.layers import Conv, Linear
from theory.optimizers import HeavyBall
from theory.starts import Xavier

OPTIMIZER = HeavyBall(0.001, 0.9)
SIZE = 14  # pixels of a side

KINDS = {
    "one linear layer, 5×5, 1 channel": Feedforward(Conv(5), start=Xavier()),
    "five ReLU layers, 5×5, 16 channels": Feedforward(Conv(5), depth=5, width=16, start=Xavier()),
    "fourteen ReLU layers, 5×5, 16 channels": Feedforward(Conv(5), depth=14, width=16, start=Xavier()),
    f"three ReLU layers, fully connected, {SIZE * SIZE} units": Feedforward(
        Linear(), depth=3, width=SIZE * SIZE, start=Xavier()
    ),
}


def picture(network: Feedforward) -> np.ndarray:
    """One smooth random picture in [0, 1]."""
    x = np.random.default_rng(0).random((1, 1, SIZE, SIZE))
    smooth = (x + np.roll(x, 1, 2) + np.roll(x, 1, 3) + np.roll(x, (1, 1), (2, 3))) / 4
    return np.asarray(network.layer.arrange(smooth))


def speed(step: Callable[[], object], seconds: float, device: str) -> float:
    """Steps per second: the best of three rounds, after one that is not counted."""
    clock = time.process_time if device == "cpu" else time.perf_counter

    def round_of(count: int) -> float:
        begin = clock()
        for _ in range(count):
            step()
        if device == "cuda":
            torch.cuda.synchronize()
        return clock() - begin

    once = round_of(1)
    count = max(1, int(seconds / 3 / max(round_of(3) / 3, 1e-6))) if once < seconds else 1
    return count / min(round_of(count) for _ in range(3))


def plain(network: Feedforward, x: np.ndarray, device: str, dtype: torch.dtype, seconds: float) -> float:
    """Steps per second of one module, MSELoss and SGD, as anybody would write it."""
    module = build(network, x.shape[1:], x.shape[1]).to(device, dtype)
    inputs = torch.tensor(x, device=device, dtype=dtype)
    algorithm = torch.optim.SGD(module.parameters(), lr=OPTIMIZER.learning_rate, momentum=OPTIMIZER.momentum)
    criterion = torch.nn.MSELoss()

    def step() -> None:
        algorithm.zero_grad()
        criterion(module(inputs), inputs).backward()
        algorithm.step()

    return speed(step, seconds, device)


def ensemble(
    network: Feedforward, x: np.ndarray, way: str, count: int, device: str, dtype: str, seconds: float, compiled: bool
) -> float:
    """Networks × steps per second of a batch, its gradient found in one way."""
    kind = {"device": device, "dtype": getattr(torch, dtype)}
    inputs = torch.tensor(x, **kind)
    drawn = draw_stack(network, range(count), x.shape[1:], x.shape[1])
    if way == "known gradient":
        slope = linear_slope(network.parts(x.shape[1:], x.shape[1])[0], inputs, inputs, "mse")
    else:
        forward = backend(way, network, x.shape[1:], x.shape[1])
        slope = autograd_slope(torch.compile(forward) if compiled else forward, inputs, inputs, "mse")
    job = Batch(network, x, x, OPTIMIZER, Stop(), "mse", 0.0, frozenset(), None, device, dtype, "auto", compiled)
    running = Running(job, [torch.tensor(value, **kind, requires_grad=True) for value in drawn])

    def step() -> None:
        slope(running.parameters)
        running.advance(0)

    begin = time.perf_counter()
    step()
    if compiled:
        print(f"    {way}, compiled: a first step of {time.perf_counter() - begin:.1f} s", flush=True)
    return count * speed(step, seconds, device)


def compared(network: Feedforward, counts: Sequence[int], chosen: argparse.Namespace, device: str) -> dict[int, str]:
    """Prints one kind of network; the fastest backend for each number of networks."""
    x = picture(network)
    reference = plain(network, x, device, getattr(torch, chosen.dtype), chosen.seconds)
    print(f"  {'a plain module and SGD in a loop':<36}{reference:>14,.0f}", flush=True)
    ways = [(name, False) for name in BACKENDS] + [("grouped", True)] * chosen.compiled
    ways += [("known gradient", False)] * (network.depth == 1)
    found: dict[tuple[str, int], float] = {}
    for way, compiled in ways:
        name = f"{way}, compiled" if compiled else way
        for count in counts:
            found[name, count] = ensemble(network, x, way, count, device, chosen.dtype, chosen.seconds, compiled)
        print(
            f"  {name:<36}" + "".join(f"{found[name, n]:>14,.0f} {found[name, n] / reference:>7.1f}×" for n in counts),
            flush=True,
        )
    again = plain(network, x, device, getattr(torch, chosen.dtype), chosen.seconds)
    print(f"  {'the plain loop again':<36}{again:>14,.0f} {again / reference:>7.1f}×", flush=True)
    return {count: max(BACKENDS, key=lambda name: found[name, count]) for count in counts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--networks", default="1,3,16,128")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--compiled", action="store_true", help="torch.compile as well: slow to begin with")
    chosen = parser.parse_args()
    device, counts = resolve(chosen.device), [int(count) for count in chosen.networks.split(",")]
    torch.set_num_threads(1)
    winners = {}
    with full_precision():
        print(f"torch {torch.__version__}, {describe(device)}, {chosen.dtype}, pictures of {SIZE}×{SIZE}")
        for name, network in KINDS.items():
            heads = "".join(f"{f'{count} at once':>14} {'ratio':>8}" for count in counts)
            print(f"\n{name}: networks × steps per second\n  {'':<36}{heads}")
            winners[name] = compared(network, counts, chosen, device)
    print("\nfastest backend")
    for name, found in winners.items():
        print(f"  {name:<50}" + ", ".join(f"{count}: {way}" for count, way in found.items()))


if __name__ == "__main__":
    main()
