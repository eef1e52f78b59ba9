"""One BLAS and torch thread: workers do not fight for cores, and sums come out the same however many workers there are."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from threadpoolctl import threadpool_limits

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

_lock = Lock()
_inside = 0
_before: list[Any] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for BLAS and torch in this process and in those that it starts, restored when the last one has left.

    Libraries that are loaded inside read it from the environment, and keep it.

    Example:
        >>> before = os.environ.get("OMP_NUM_THREADS")
        >>> with one_thread():
        ...     os.environ["OMP_NUM_THREADS"]
        '1'
        >>> os.environ.get("OMP_NUM_THREADS") == before
        True
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _enter()
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _leave()


def _enter() -> None:
    torch = sys.modules.get("torch")
    _before[:] = [
        {name: os.environ.get(name) for name in VARIABLES},
        torch.get_num_threads() if torch else None,
        threadpool_limits(limits=1),
    ]
    os.environ.update(dict.fromkeys(VARIABLES, "1"))
    if torch:
        torch.set_num_threads(1)


def _leave() -> None:
    variables, threads, limits = _before
    limits.restore_original_limits()
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    if threads is not None:
        sys.modules["torch"].set_num_threads(threads)
