"""Many independent networks trained as one batch: the seeds of one network, side by side."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from empirical.backends import backend
from empirical.batch import Batch, Ended, Observer, Stop, work
from empirical.device import DTYPES, few_threads, full_precision, import_torch, quiet_padding, resolve
from empirical.networks import Network
from numerics.arrays import check_shape, real_array
from theory.component import one_of
from theory.errors import SettingError
from theory.layers import check_whole
from theory.optimizers import Optimizer
from theory.setting import LOSSES

DEFAULT_STOP = Stop()


@dataclass(frozen=True)
class Ensemble:
    """Networks after training, in the order of the seeds.

    Attributes:
        network: Of which they are copies.
        seeds: One for each.
        parameters: Weight, then bias where there is one, layer by layer, (K, *shape) each; not finite where one diverged.
        steps: Steps that each took, (K,).
        losses: The loss of each after its last step, (K,); of a diverged one infinite.
        reasons: Why each ended: "steps", "loss", "plateau" or "diverged".
        records: What ``observe`` gave, by step.
        notes: What was done differently from what was asked, such as a smaller batch.
        device: "cpu" or "cuda".
        input_shape: Of one example.
        channels: Of the output.
    """

    network: Network
    seeds: tuple[int, ...]
    parameters: list[NDArray[Any]]
    steps: NDArray[np.int64]
    losses: NDArray[np.float64]
    reasons: tuple[str, ...]
    records: tuple[tuple[int, tuple[int, ...], Any], ...]
    notes: tuple[str, ...]
    device: str
    input_shape: tuple[int, ...]
    channels: int

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """Which networks were stopped because the loss or a weight was no longer finite, (K,)."""
        return np.array([reason == "diverged" for reason in self.reasons])

    def outputs(self, x: Any, backend_name: str = "auto") -> NDArray[Any]:
        """What the networks make of x, (K, N, *output shape), on the device and in the dtype of the training, without TF32.

        Raises:
            SettingError: If the device has not even memory for one network; fewer at once are tried before.
        """
        torch, x, count = import_torch(), np.asarray(x), len(self.seeds)
        forward = backend(backend_name, self.network, self.input_shape, self.channels)
        size, parts = count, list[NDArray[Any]]()

        def computed(chunk: slice) -> NDArray[Any]:
            parameters = [torch.as_tensor(value[chunk], device=self.device) for value in self.parameters]
            shown = torch.as_tensor(x, dtype=parameters[0].dtype, device=self.device)
            return forward(parameters, shown).cpu().numpy()  # type: ignore[no-any-return]

        with torch.no_grad(), quiet_padding(), full_precision(), few_threads(work(self.parameters, x)):
            while (done := sum(map(len, parts))) < count:
                try:
                    parts.append(computed(slice(done, done + size)))
                except torch.OutOfMemoryError:
                    size = smaller(min(size, count - done), self.device)
        return np.concatenate(parts)


def train_ensemble(
    network: Network,
    inputs: Any,
    targets: Any,
    *,
    seeds: Sequence[int],
    optimizer: Optimizer,
    stop: Stop = DEFAULT_STOP,
    loss: str = "half_sum",
    weight_decay: float = 0.0,
    record: Sequence[int] = (),
    observe: Observer | None = None,
    device: str = "auto",
    dtype: str = "float32",
    backend_name: str = "auto",
    compiled: bool = False,
    batch: int | None = None,
    progress: Callable[[int], None] | None = None,
    tf32: bool = False,
) -> Ensemble:
    r"""Trains the networks of several seeds side by side, full batch, each exactly as if it were alone (up to rounding).

    One linear layer is trained by its known gradient :math:`c(W\Phi - Y)\Phi^\top`, without autograd; everything else by
    autograd of the summed losses. A network that has ended leaves the batch, so that the others go on faster.

    Args:
        network: What is trained.
        inputs: (N, *input_shape).
        targets: (N, *output_shape).
        seeds: One network for each.
        optimizer: A descent, or Adam; torch's own, on the stacked parameters.
        stop: When each network's training ends.
        loss: "half_sum" or "mse", of each network.
        weight_decay: Torch's.
        record: Steps up to ``stop.steps`` at which ``observe`` is called with (step, members that are still trained,
            forward); forward takes torch inputs (N, …) to outputs (members, N, …) without gradients.
        observe: What is to be remembered of them: nothing else is held.
        device: "auto", "cpu" or "cuda".
        dtype: "float32" or "float64".
        backend_name: "auto", "grouped", "vmap" or "loop"; see :mod:`empirical.backends`.
        compiled: Whether ``torch.compile`` compiles the gradient: it pays for long training on a GPU.
        batch: How many networks at once; None is all. When memory runs out it is halved, and ``notes`` says so.
        progress: Called with the steps done, now and then.
        tf32: Whether a GPU may round the factors of products to 10 bits: faster, and outside of every float32 budget.

    Returns:
        The trained networks. The same seeds, device and batch give the same bits; another batch agrees to rounding,
        which grows with depth and steps.

    Raises:
        SettingError: If an argument does not fit, or torch or the device is missing.
    """
    if len(seeds) == 0:
        message = "seeds must hold at least one, but they are empty. Pass seeds=[0], say."
        raise SettingError(message)
    check_whole("batch", len(seeds) if batch is None else batch, 1)
    one_of("dtype", dtype, DTYPES)
    one_of("loss", loss, LOSSES)
    check_optimizer(optimizer)
    check_record(record, observe, stop.steps)
    x, y = real_array("inputs", inputs), real_array("targets", targets)
    check_data(network, x, y)
    job = Batch(
        network,
        x,
        y,
        optimizer,
        stop,
        loss,
        weight_decay,
        frozenset(record),
        observe,
        resolve(device),
        dtype,
        backend_name,
        compiled,
        tf32,
    )
    size, ended, records, notes = len(seeds) if batch is None else batch, list[Ended](), list[Any](), list[str]()
    while len(ended) < len(seeds):
        chunk = range(len(ended), min(len(ended) + size, len(seeds)))
        try:
            finished, seen = job.train([seeds[index] for index in chunk], progress)
        except import_torch().OutOfMemoryError:
            finished = []
        if not finished:  # not inside except: the traceback holds the memory
            job.release()
            size = smaller(len(chunk), job.device)
            notes.append(f"out of memory: {size} networks at once instead of {len(chunk)}")
            continue
        ended += finished
        records += [(step, tuple(chunk[member] for member in members), value) for step, members, value in seen]
    return _joined(network, seeds, ended, records, notes, job)


def smaller(size: int, device: str) -> int:
    """Half as many networks, where so many were too many.

    Raises:
        SettingError: If it was one.
    """
    if size == 1:
        message = (
            f"{device} must have memory for one network, but it has not. Use a narrower network or another device."
        )
        raise SettingError(message) from None
    return math.ceil(size / 2)


def check_record(record: Sequence[int], observe: Observer | None, last: int) -> None:
    """Refuses steps that never come, and steps at which nobody looks.

    Raises:
        SettingError: With the step.
    """
    if outside := [step for step in record if not 0 <= step <= last]:
        message = f"record must hold steps from 0 to {last}, but it holds {outside[0]}. Train longer, or leave it out."
        raise SettingError(message)
    if len(record) > 0 and observe is None:
        message = f"observe must be given to record steps {list(record)}, but it is None. Pass a function."
        raise SettingError(message)


def check_optimizer(optimizer: Optimizer) -> None:
    """Refuses what is not torch's own step on each parameter: flows, preconditioners, averages, batches.

    Raises:
        SettingError: With what to use instead.
    """
    if not optimizer.discrete:
        message = f"optimizer must take steps to train networks, but {optimizer} is a flow. Use GradientDescent, say."
        raise SettingError(message)
    if optimizer.rule is not optimizer or optimizer.torch_average() is not None or optimizer.batch is not None:
        message = f"optimizer must be a plain full-batch rule of torch for an ensemble, but it is {optimizer}. Use train() for one layer."
        raise SettingError(message)


def check_data(network: Network, x: NDArray[Any], y: NDArray[Any]) -> None:
    """Refuses inputs and targets that do not fit each other and the network.

    Raises:
        SettingError: With the shape that would fit.
    """
    if x.ndim < 2 or y.ndim < 2 or x.size == 0 or y.size == 0:
        message = f"inputs and targets must hold examples, (N, …), but they have shapes {x.shape} and {y.shape}. Pass at least one."
        raise SettingError(message)
    last = network.parts(x.shape[1:], y.shape[1])[-1]
    network.check_inputs(x)
    check_shape(
        "targets",
        y,
        (len(x), *last.layer.output_shape(last.input_shape, last.channels)),
        "these inputs and this network",
    )


def _joined(
    network: Network, seeds: Sequence[int], ended: list[Ended], records: list[Any], notes: list[str], job: Batch
) -> Ensemble:
    return Ensemble(
        network,
        tuple(seeds),
        [np.stack(values) for values in zip(*(one.parameters for one in ended), strict=True)],
        np.array([one.step for one in ended]),
        np.array([one.loss for one in ended]),
        tuple(one.reason for one in ended),
        tuple(records),
        tuple(notes),
        job.device,
        job.inputs.shape[1:],
        job.targets.shape[1],
    )
