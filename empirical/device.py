"""Where training runs, and in which arithmetic."""

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from theory.component import Named, one_of
from theory.errors import SettingError

DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("float64", "float32")


def import_torch() -> Any:
    """The torch module.

    Raises:
        SettingError: If torch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError:
        message = "torch must be installed to train networks, but it is not. Run: pip install 'closedflow[train]'."
        raise SettingError(message) from None
    return torch


def resolve(device: str) -> str:
    """The device that a name means here: "auto" is cuda where there is one.

    Raises:
        SettingError: If the name is unknown, or cuda is asked for and absent.
    """
    one_of("device", device, DEVICES)
    available = import_torch().cuda.is_available()
    if device == "cuda" and not available:
        message = "device must be one that torch finds here, but 'cuda' is not. Use device='cpu' or 'auto'."
        raise SettingError(message)
    return ("cuda" if available else "cpu") if device == "auto" else device


def describe(device: str) -> str:
    """A device in words: its name and how many threads or which card."""
    torch = import_torch()
    if device == "cuda":
        return f"cuda ({torch.cuda.get_device_name()})"
    return f"cpu ({torch.get_num_threads()} threads)"


def versions() -> str:
    """Python and the packages that numbers depend on."""
    import platform
    from importlib.metadata import version

    packages = ", ".join(f"{name} {version(name)}" for name in ("closedflow", "sympy", "numpy", "scipy", "torch"))
    return f"Python {platform.python_version()}, {packages}"


def construct(named: Named, **more: Any) -> Any:
    """Builds what a :class:`~theory.component.Named` names."""
    module, _, name = named.path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**named.arguments, **more)


@contextmanager
def full_precision(tf32: bool = False) -> Iterator[None]:
    """TF32 off and deterministic algorithms in cuDNN, restored afterwards: float32 then has the unit roundoff of its budget.

    Args:
        tf32: Whether products may round their factors to 10 bits after all, which is many times faster on some cards.
    """
    torch = import_torch()
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


@contextmanager
def quiet_padding() -> Iterator[None]:
    """Torch warns that an even kernel with padding "same" copies its input; that is a remark on speed, not on results."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel lengths")
        yield


@contextmanager
def few_threads(work: int) -> Iterator[None]:
    """One CPU thread for small steps, restored afterwards: below a million products a second thread only waits."""
    torch = import_torch()
    before = torch.get_num_threads()
    torch.set_num_threads(1 if work < 10**6 else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
