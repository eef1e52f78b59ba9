"""One batch of networks, trained until the last of them has ended."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from empirical.backends import Forward, backend
from empirical.device import construct, few_threads, full_precision, import_torch, quiet_padding
from empirical.networks import Network, draw_stack
from empirical.slopes import Slope, autograd_slope, linear_slope, losses_of
from theory.component import check_number
from theory.layers import check_whole
from theory.optimizers import Optimizer

PROGRESS = 0.99  # a loss that has not fallen below this share of the best one has not fallen

Observer = Callable[[int, list[int], Callable[[Any], Any]], Any]


@dataclass(frozen=True)
class Stop:
    """When a network's training ends; looked at every ``every`` steps, for each network on its own.

    Args:
        steps: After so many at the latest.
        loss: When the loss is at most this.
        plateau: When the loss has not fallen by 1 % in so many steps.
        every: Steps between looks.
    """

    steps: int = 1000
    loss: float | None = None
    plateau: int | None = None
    every: int = 20

    def __post_init__(self) -> None:
        check_whole("steps", self.steps, 0)
        check_whole("every", self.every, 1)
        if self.loss is not None:
            check_number("stop loss", self.loss, at_least=0)
        if self.plateau is not None:
            check_whole("plateau", self.plateau, 1)


class Ended(NamedTuple):
    """A network whose training has ended."""

    step: int
    loss: float
    reason: str
    parameters: list[NDArray[Any]]


class Look(NamedTuple):
    """The best loss of a network so far, and at which step."""

    loss: float = math.inf
    step: int = 0


@dataclass(frozen=True)
class Batch:
    """What a batch is trained on, and how; see :func:`empirical.ensemble.train_ensemble`."""

    network: Network
    inputs: NDArray[np.float64]
    targets: NDArray[np.float64]
    optimizer: Optimizer
    stop: Stop
    loss: str
    weight_decay: float
    record: frozenset[int]
    observe: Observer | None
    device: str
    dtype: str
    backend_name: str
    compiled: bool
    tf32: bool = False

    def train(
        self, seeds: Sequence[int], progress: Callable[[int], None] | None = None
    ) -> tuple[list[Ended], list[tuple[int, list[int], Any]]]:
        """Trains one network from each seed: how each ended, in their order, and what was observed."""
        torch = import_torch()
        shape, channels = self.inputs.shape[1:], self.targets.shape[1]
        kind = {"device": self.device, "dtype": getattr(torch, self.dtype)}
        x, y = torch.tensor(self.inputs, **kind), torch.tensor(self.targets, **kind)
        drawn = draw_stack(self.network, seeds, shape, channels)
        forward = backend(self.backend_name, self.network, shape, channels)
        if self.compiled:
            forward = torch.compile(forward)
        slope = self.slope(forward, x, y)
        running = Running(self, [torch.tensor(value, **kind, requires_grad=True) for value in drawn])
        seen = []
        with quiet_padding(), full_precision(self.tf32), few_threads(work(drawn, self.inputs)):
            for step in range(self.stop.steps + 1):
                if step in self.record and self.observe is not None:
                    with torch.no_grad():
                        apply = partial(forward, running.parameters)
                        seen.append((step, list(running.members), self.observe(step, list(running.members), apply)))
                if step == self.stop.steps or step % self.stop.every == 0:
                    if progress:
                        progress(step)
                    with torch.no_grad():
                        losses = losses_of(forward(running.parameters, x), y, self.loss).tolist()
                    if not running.look(step, losses):
                        break
                slope(running.parameters)
                running.advance(step)
        return [running.ended[member] for member in range(len(seeds))], seen

    def slope(self, forward: Forward, x: Any, y: Any) -> Slope:
        """The gradient: known for one linear layer, by autograd for everything else."""
        parts = self.network.parts(self.inputs.shape[1:], self.targets.shape[1])
        plain = len(parts) == 1 and not (parts[0].layer.complex_features or parts[0].layer.skips)
        if plain and not getattr(self.network, "residual", False):
            return linear_slope(parts[0], x, y, self.loss)
        return autograd_slope(forward, x, y, self.loss)

    def release(self) -> None:
        """Gives cached memory back to the device."""
        torch = import_torch()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class Running:
    """The networks of a batch that are still trained, and how the others ended."""

    def __init__(self, batch: Batch, parameters: list[Any]) -> None:
        self.optimizer, self.stop, self.parameters = batch.optimizer, batch.stop, parameters
        count = len(parameters[0])
        self.members, self.best, self.ended = list(range(count)), [Look()] * count, dict[int, Ended]()
        self.algorithm = construct(self.optimizer.torch_optimizer(), params=parameters, weight_decay=batch.weight_decay)
        schedule = self.optimizer.torch_scheduler()
        self.scheduler = None if schedule is None else construct(schedule, optimizer=self.algorithm)

    def look(self, step: int, losses: Sequence[float]) -> bool:
        """Ends the networks that are done, by the losses of those that were running; whether any goes on."""
        kept = []
        for place, (member, loss) in enumerate(zip(self.members, losses, strict=True)):
            if reason := self._reason(step, loss, member):
                values = [parameter[place].detach().cpu().numpy().copy() for parameter in self.parameters]
                self.ended[member] = Ended(step, loss if math.isfinite(loss) else math.inf, reason, values)
            else:
                kept.append(place)
        if 0 < len(kept) < len(self.members):
            self._keep(kept)
        self.members = [self.members[place] for place in kept]
        return bool(kept)

    def advance(self, step: int) -> None:
        """One step of torch's optimiser, with the gradients that are there."""
        for group in self.algorithm.param_groups:
            group.update(self.optimizer.torch_options(step))
        self.algorithm.step()
        if self.scheduler is not None:
            self.scheduler.step()

    def _reason(self, step: int, loss: float, member: int) -> str:
        """Why a network ends here, or an empty string."""
        if not math.isfinite(loss):
            return "diverged"
        if self.stop.loss is not None and loss <= self.stop.loss:
            return "loss"
        if loss < PROGRESS * self.best[member].loss:
            self.best[member] = Look(loss, step)
        elif self.stop.plateau is not None and step - self.best[member].step >= self.stop.plateau:
            return "plateau"
        return "steps" if step == self.stop.steps else ""

    def _keep(self, places: Sequence[int]) -> None:
        """Only these networks go on, and with them what the optimiser remembers of them."""
        old, state = self.parameters, self.algorithm.state
        self.parameters = [parameter.detach()[list(places)].clone().requires_grad_() for parameter in old]
        for before, after in zip(old, self.parameters, strict=True):
            state[after] = {
                name: value[list(places)] if getattr(value, "shape", ()) == before.shape else value
                for name, value in state.pop(before, {}).items()
            }
        self.algorithm.param_groups[0]["params"] = self.parameters


def work(parameters: Sequence[NDArray[Any]], inputs: NDArray[Any]) -> int:
    """About how many products one forward pass takes."""
    pixels = int(np.prod(inputs.shape[2:])) if inputs.ndim > 2 else 1
    return sum(value.size for value in parameters) * len(inputs) * pixels
