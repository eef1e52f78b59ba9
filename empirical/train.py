"""Training for real: torch's own module, torch's own optimiser, autograd, one step at a time."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from empirical.device import DTYPES, construct, few_threads, full_precision, import_torch, quiet_padding, resolve
from empirical.saved_training import save_training
from numerics.arrays import check_times
from numerics.plan import speeds
from numerics.problem import Problem, assemble
from theory.component import check_number, one_of
from theory.errors import SettingError
from theory.layers import check_whole
from theory.optimizers import Optimizer
from theory.setting import Setting

CHECK_EVERY = 64  # steps between looks for a divergence


@dataclass(frozen=True, repr=False)
class Training:
    """A trained network's trajectory.

    Attributes:
        steps: The recorded step counts, ascending.
        weights: Torch's weight at each, (K, *weight shape), in the dtype of the training.
        biases: Torch's bias at each, (K, channels), or None.
        losses: The data term of the loss at each, (K,).
        diverged: Whether training stopped because a weight or the loss was no longer finite; what was recorded before is kept.
        optimizer: The optimiser that ran: for a flow, its companion.
        device: "cpu" or "cuda".
        dtype: "float64" or "float32".
    """

    steps: NDArray[np.int64]
    weights: NDArray[Any]
    biases: NDArray[Any] | None
    losses: NDArray[Any]
    diverged: bool
    optimizer: Optimizer
    device: str
    dtype: str

    @property
    def final(self) -> NDArray[Any]:
        """The last recorded weight.

        Raises:
            SettingError: If training diverged before the first recorded step.
        """
        if len(self.steps) == 0:
            message = "record must hold a step before training diverged, but it holds none. Record 0, or lower the learning rate."
            raise SettingError(message)
        return self.weights[-1]  # type: ignore[no-any-return]

    def save(self, path: str | Path) -> None:
        """Writes the trajectory to one ``.npz`` file, without pickle; ``cf.load`` reads it back bit for bit."""
        save_training(self, path)

    def __repr__(self) -> str:
        steps = (
            f"steps {self.steps[0]} to {self.steps[-1]} ({len(self.steps)} recorded)" if len(self.steps) else "no step"
        )
        loss = f", loss {self.losses[0]:.6g} to {self.losses[-1]:.6g}" if len(self.steps) else ""
        ended = ", diverged" if self.diverged else ""
        shape = tuple(self.weights.shape[1:])
        return f"Training({self.optimizer}, {steps}{loss}, weights {shape}, {self.device} {self.dtype}{ended})"


def train(
    setting: Setting,
    inputs: Any,
    targets: Any = None,
    initial_weight: Any = None,
    initial_bias: Any = None,
    *,
    seed: int = 0,
    steps: int = 1000,
    record: Sequence[int] | None = None,
    learning_rate: float | None = None,
    device: str = "auto",
    dtype: str = "float64",
    progress: Callable[[int], None] | None = None,
) -> Training:
    r"""Trains the setting's torch module with its torch optimiser, full batch.

    Args:
        setting: The setting; a flow is trained by its companion descent at ``learning_rate``.
        inputs: (N, features) or (N, C, \*spatial).
        targets: With ``Given()`` only.
        initial_weight: Torch's weight; drawn from ``setting.start`` with ``seed`` if None, the same as a Predictor's.
        initial_bias: Torch's bias.
        seed: Seed of the draw of the start, and of the batches of a ``MinibatchDescent``.
        steps: How many steps to take.
        record: Step counts to record; None records eleven, evenly spaced.
        learning_rate: For flows only.
        device: "auto", "cpu" or "cuda".
        dtype: "float64" or "float32" (TF32 is off).
        progress: Called with the number of steps done, now and then.

    Raises:
        SettingError: If an argument does not fit, or torch or the device is missing.
    """
    problem = assemble(setting, inputs, targets, initial_weight, initial_bias, seed)
    return train_problem(
        problem,
        steps,
        record=record,
        learning_rate=learning_rate,
        device=device,
        dtype=dtype,
        progress=progress,
        seed=seed,
    )


def train_problem(
    problem: Problem,
    steps: int,
    *,
    record: Sequence[int] | None = None,
    learning_rate: float | None = None,
    device: str = "auto",
    dtype: str = "float64",
    progress: Callable[[int], None] | None = None,
    seed: int = 0,
) -> Training:
    """Trains an assembled problem; see :func:`train`."""
    torch = import_torch()
    one_of("dtype", dtype, DTYPES)
    check_whole("steps", steps, 0)
    total = int(steps)
    marks = set((np.linspace(0, total, 11).astype(int) if record is None else _marks(record, total)).tolist())
    optimizer = companion(problem.setting.optimizer.rule, learning_rate)
    device = resolve(device)
    kind = {"device": device, "dtype": getattr(torch, dtype)}
    module, parameters = _module(problem, kind)
    x, y = torch.tensor(problem.inputs, **kind), torch.tensor(problem.targets, **kind)
    algorithm = construct(optimizer.torch_optimizer(), params=parameters, weight_decay=problem.setting.weight_decay)
    schedule, average = optimizer.torch_scheduler(), optimizer.torch_average()
    scheduler = None if schedule is None else construct(schedule, optimizer=algorithm)
    averaged = None if average is None else construct(average, model=module)
    half_sum = problem.setting.loss == "half_sum"
    recorded: list[tuple[int, list[NDArray[Any]]]] = []
    diverged = False
    batch, rng = optimizer.batch, np.random.default_rng(seed)
    with quiet_padding(), full_precision(), few_threads(problem.features.size * problem.columns.shape[1]):
        for step in range(total + 1):
            algorithm.zero_grad()
            loss = _loss(module, x, y, half_sum)
            due = step in marks
            if due or step % CHECK_EVERY == 0 or step == total:
                diverged = not all(bool(torch.isfinite(value).all()) for value in (loss, *parameters))
                if progress:
                    progress(step)
            if diverged:
                break
            if due:
                shown = (loss, *parameters)
                if averaged is not None:
                    shown = (_loss(averaged, x, y, half_sum), *averaged.parameters())
                recorded.append((step, [value.detach().cpu().numpy().copy() for value in shown]))
            if step < total:
                if batch is not None:
                    algorithm.zero_grad()
                    chosen = rng.integers(len(x), size=batch)
                    scale = len(x) / batch if half_sum else 1.0
                    loss = scale * _loss(module, x[chosen], y[chosen], half_sum)
                loss.backward()
                _precondition(problem, parameters)
                for group in algorithm.param_groups:
                    group.update(optimizer.torch_options(step))
                algorithm.step()
                if scheduler is not None:
                    scheduler.step()
                if averaged is not None:
                    averaged.update_parameters(module)
    taken = np.array([step for step, _ in recorded], dtype=np.int64)
    losses, weights, *biases = (
        np.array([values[index] for _, values in recorded], dtype=dtype).reshape((-1, *value.shape))
        for index, value in enumerate((loss, *parameters))
    )
    return Training(taken, weights, biases[0] if biases else None, losses, diverged, optimizer, device, dtype)


def companion(optimizer: Optimizer, learning_rate: float | None) -> Optimizer:
    """The optimiser that training runs: a descent itself, a flow's companion.

    Raises:
        SettingError: If a flow comes without a learning rate, or a descent with one.
    """
    optimizer = optimizer.rule
    if not optimizer.discrete:
        if learning_rate is None:
            message = f"learning_rate must be given to train {optimizer}, a flow, but it is None. Pass learning_rate=0.1/s_max, say."
            raise SettingError(message)
        check_number("learning_rate", learning_rate, above=0)
        return optimizer.companion(float(learning_rate))  # type: ignore[attr-defined, no-any-return]
    if learning_rate is not None:
        message = (
            f"learning_rate must be left out for {optimizer}, which has its own, but it is {learning_rate}. Drop it."
        )
        raise SettingError(message)
    return optimizer


def fine_rate(flow: Optimizer, rate: float) -> float:
    """The learning rate of a check of a flow: that of steps which are short beside the time of the fastest mode, of this rate."""
    rule: Any = flow.rule
    fastest: float = speeds(rule.steady(1.0)[0], rate, math.inf)[1]
    return float(rule.learning_rate_for(rule.fineness / fastest))


def halved(flow: Optimizer, learning_rate: float) -> float:
    """The learning rate of steps half as long."""
    rule: Any = flow.rule
    return float(rule.learning_rate_for(rule.companion_time(learning_rate, 1) / 2))


def obstacle(optimizer: Optimizer, learning_rate: float) -> str:
    """Why a trained network says nothing about the closed form, or an empty string."""
    optimizer = optimizer.rule
    if optimizer.discrete:
        return optimizer.sampled
    try:
        optimizer.companion(learning_rate)  # type: ignore[attr-defined]
    except SettingError as error:
        return str(error)
    bound = optimizer.gap_bound(np, np.zeros(1), 1, learning_rate)  # type: ignore[attr-defined]
    return f"no discretisation bound is derived for {optimizer}" if bound is None else ""


def _loss(module: Any, x: Any, y: Any, half_sum: bool) -> Any:
    """The data term of the loss."""
    output = module(x)
    return 0.5 * ((output - y) ** 2).sum() if half_sum else import_torch().nn.functional.mse_loss(output, y)


def _precondition(problem: Problem, parameters: list[Any]) -> None:
    """Multiplies the gradients by the setting's preconditioner, in the order of the features, the bias last."""
    optimizer, layer = problem.setting.optimizer, problem.setting.layer
    if optimizer.rule is optimizer:
        return
    torch = import_torch()
    weight, *biases = (parameter.grad for parameter in parameters)
    slope = layer.to_blocks(weight, biases[0] if biases else None, torch)
    changed = layer.from_blocks(optimizer.precondition(torch, slope), problem.input_shape, torch)
    for parameter, gradient in zip(parameters, changed, strict=False):
        parameter.grad.copy_(gradient)


def _marks(record: Sequence[int], total: int) -> NDArray[np.int64]:
    marks = check_times(record, discrete=True, allow_infinity=False).astype(int)
    if marks.size == 0 or marks.max() > total:
        message = f"record must be step counts up to steps={total}, at least one, but it is {record}. Raise steps or drop them."
        raise SettingError(message)
    return marks


def _module(problem: Problem, kind: dict[str, Any]) -> tuple[Any, list[Any]]:
    torch = import_torch()
    channels = problem.targets.shape[1]
    module = construct(problem.setting.layer.torch_module(problem.input_shape, channels)).to(**kind)
    weight, bias = problem.to_torch(problem.start)
    parameters = [module.weight] if bias is None else [module.weight, module.bias]
    with torch.no_grad():
        for parameter, value in zip(parameters, (weight, bias), strict=False):
            parameter.copy_(torch.tensor(value))
    return module, parameters
