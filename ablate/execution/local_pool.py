"""Worker processes that run trials, and survive one another."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ablate.errors import UserError
from ablate.execution.processes import one_thread_each
from ablate.execution.worker import Result, failed, work
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan

# Trials that a worker has at hand: one more than it runs, so that it never waits for its parent, which writes.
AHEAD = 2


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    trials: deque[TrialId] = field(default_factory=deque)  # sent to it, the one that it runs first
    ready: bool = False


class LocalPool:
    """Runs trials on a number of worker processes; the results come in the order in which they are finished."""

    def __init__(self, plan: StudyPlan, size: int) -> None:
        self._plan = plan
        self._size = size
        # Forking a process that holds threads and libraries is not safe; a spawned one starts clean.
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def run(self, trials: list[TrialId]) -> Iterator[Result]:
        """Run the trials; one whose worker dies is failed, and another worker takes that one's place."""
        waiting = deque(trials)
        one_thread_each()
        self._workers = [self._start() for _ in range(min(self._size, len(waiting)))]
        while self._workers:
            by_connection = {worker.connection: worker for worker in self._workers}
            for connection in wait(list(by_connection)):
                worker = by_connection[connection]  # type: ignore[index]
                try:
                    result = worker.connection.recv()
                except (EOFError, OSError):
                    self._workers.remove(worker)
                    worker.process.join()
                    if not worker.ready:
                        raise UserError(
                            f"a worker process cannot start ({_last_words(worker.process)}); its own words stand above"
                        ) from None
                    lost = worker.trials.popleft() if worker.trials else None
                    waiting.extendleft(reversed(worker.trials))
                    if waiting:
                        self._workers.append(self._start())
                    if lost is not None:
                        yield failed(self._plan, lost, f"the worker died: {_last_words(worker.process)}")
                    continue
                if result is not None:
                    worker.trials.popleft()
                worker.ready = True
                self._hand_out(worker, waiting)
                if not worker.trials:
                    self._workers.remove(worker)
                if result is not None:
                    yield result

    def _hand_out(self, worker: _Worker, waiting: deque[TrialId]) -> None:
        """Give a worker its next trial, and one ahead as long as there are enough for all; or let it go."""
        try:
            if not worker.trials and not waiting:
                worker.connection.send(None)
            while waiting and len(worker.trials) < (AHEAD if len(waiting) >= len(self._workers) else 1):
                worker.trials.append(waiting.popleft())
                worker.connection.send(worker.trials[-1])
        except OSError:
            pass  # it has died; the end of its connection says so next

    def stop(self) -> None:
        """End all workers at once; trials in flight are lost, and are run again when the study goes on."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
        self._workers = []

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(theirs, self._plan.config, self._plan.engines), daemon=True)
        process.start()
        theirs.close()  # so that the worker's death closes the pipe
        return _Worker(process, ours)


def _last_words(process: BaseProcess) -> str:
    code = process.exitcode or 0
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}{' (out of memory?)' if -code == signal.SIGKILL else ''}"
    return f"exit status {code}"
