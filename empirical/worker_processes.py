"""Processes of our own: each runs one task at a time, so that when one dies it is known which task it had."""

import logging
import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait

from empirical.run_experiment import FAILED, Task, run_and_store
from theory.errors import SettingError

TRIES = 3  # how often a task is given to a worker before it counts as what kills them
READY = "ready"

log = logging.getLogger("closedflow")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(tasks: Sequence[Task], workers: int) -> Iterator[tuple[Task, tuple[str, str]]]:
    """Runs tasks in so many processes; what :func:`run_and_store` says of each, as they end.

    A task whose worker dies is given to a new one, :data:`TRIES` times in all, and is then failed.

    Raises:
        SettingError: If a process cannot even start.
    """
    waiting, tries = deque(tasks), Counter[str]()
    idle: list[Worker] = []
    busy: dict[Connection, tuple[Worker, Task]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                worker, task = idle.pop() if idle else Worker(), waiting.popleft()
                worker.send(task)
                busy[worker.pipe] = worker, task
            told = wait(list(busy))
            for worker, task in [given for pipe, given in busy.items() if pipe in told]:
                del busy[worker.pipe]
                answer = worker.receive()
                if isinstance(answer, str):  # it is ready
                    busy[worker.pipe] = worker, task
                elif answer is not None:
                    idle.append(worker)
                    yield task, answer
                else:
                    tries[task.key] += 1
                    line = f"its worker died ({worker.end()}) {tries[task.key]} of {TRIES} times"
                    log.warning("%s: %s", task, line)
                    if tries[task.key] < TRIES:
                        waiting.append(task)
                    else:
                        yield task, (FAILED, line)
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.stop()


class Worker:
    """A process and the pipe to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.started = False

    def send(self, task: Task) -> None:
        """Gives it a task; that it is dead is seen when its answer is read."""
        with suppress(OSError):
            self.pipe.send(tuple(task))

    def receive(self) -> str | tuple[str, str] | None:
        """Its answer, or None if it died.

        Raises:
            SettingError: If it died before it was ready.
        """
        try:
            answer: str | tuple[str, str] = self.pipe.recv()
        except (EOFError, OSError):
            if not self.started:
                message = (
                    f"worker processes must start, but one ended at once ({self.end()}). In a script of yours, run sweeps under "
                    '`if __name__ == "__main__":`, or pass workers=1.'
                )
                raise SettingError(message) from None
            return None
        self.started = True
        return answer

    def end(self) -> str:
        """How it ended."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"

    def stop(self) -> None:
        """Ends it, whatever it does."""
        self.pipe.close()
        self.process.terminate()
        self.process.join()


def _serve(pipe: Connection) -> None:
    """Runs what comes through the pipe until that is closed; an interrupt is left to the process that asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send(READY)
    with suppress(EOFError, BrokenPipeError):
        while True:
            pipe.send(run_and_store(Task(*pipe.recv())))
