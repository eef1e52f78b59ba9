"""Workers on other machines, through dask's distributed."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from theory.errors import SettingError


@contextmanager
def dask_executor(address: str, timeout: float = 10.0) -> Iterator[Executor]:
    """An executor that runs on the workers of a dask scheduler.

    Args:
        address: Of the scheduler, such as tcp://10.0.0.1:8786.
        timeout: Seconds to wait for it.

    Raises:
        SettingError: If distributed is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError:
        message = (
            "distributed must be installed for dask workers, but it is not. Run: pip install 'closedflow[cluster]'."
        )
        raise SettingError(message) from None
    try:
        client: Any = Client(address, timeout=timeout, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = (
            f"executor must be the address of a dask scheduler, but {address!r} does not answer: {reason}. Start one."
        )
        raise SettingError(message) from None
    with client:
        # Not pure: a task that is tried again must not get the answer of the first time.
        yield client.get_executor(pure=False)
