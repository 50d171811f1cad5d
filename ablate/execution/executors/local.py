"""Worker processes that run trials, and survive one another."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ablate.errors import UserError
from ablate.execution.executor import TrialResult, never
from ablate.execution.processes import process_context, processes_start
from ablate.execution.time_limit import SHORTEST, TimeLimit
from ablate.execution.trial_runner import failed_trial
from ablate.execution.worker import run_worker
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan

# Trials that a worker has at hand: one more than it runs, so that it never waits for its parent, which writes.
PREFETCHED = 2
LOOK_EVERY = 1.0  # seconds between two looks at who is late
STARTS = 5  # of workers in a row that are killed before they are ready, until it is not chance


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    trials: deque[TrialId] = field(default_factory=deque)  # sent to it, the one that it runs first
    ready: bool = False
    since: float = field(default_factory=time.monotonic)  # when it began what it does: its start, or its first trial
    limit: float = 0.0  # the seconds that it took too long for, and was killed


class LocalExecutor:
    """Runs trials on a number of worker processes; the results come in the order in which they are finished."""

    def __init__(self, plan: StudyPlan, size: int) -> None:
        self._plan = plan
        self._size = size
        self._context = process_context()
        self._workers: list[_Worker] = []
        self._limit = TimeLimit(plan)

    def run(self, trials: Sequence[TrialId], enough: Callable[[], bool] = never) -> Iterator[TrialResult]:
        """As `Executor.run`. A trial whose worker dies is failed, and a new worker takes the place of the dead one.

        One that takes longer than its limit is tried once more, and then failed.

        Raises:
            UserError: workers cannot start; their output is above.
        """
        waiting, tried, killed = deque[TrialId]() if enough() else deque(trials), set[TrialId](), 0
        self._workers = [self._start() for _ in range(min(self._size, len(waiting)))]
        while self._workers:
            by_connection = {worker.connection: worker for worker in self._workers}
            self._kill_the_late()
            for connection in wait(list(by_connection), timeout=LOOK_EVERY):
                worker = by_connection[connection]  # type: ignore[index]
                try:
                    result = worker.connection.recv()
                except (EOFError, OSError):
                    self._workers.remove(worker)
                    worker.process.join()
                    if not worker.ready:
                        killed += 1
                    if not worker.ready and (killed == STARTS or (worker.process.exitcode or 0) >= 0):
                        raise UserError(
                            f"a worker process cannot start ({_exit_reason(worker.process)}); its output is above"
                        ) from None
                    lost = worker.trials.popleft() if worker.trials else None
                    waiting.extendleft(reversed(worker.trials))
                    if lost is not None and worker.limit and lost not in tried:
                        tried.add(lost)
                        waiting.appendleft(lost)
                        lost = None
                    if waiting and not enough():
                        self._workers.append(self._start())
                    if lost is not None:
                        yield failed_trial(self._plan, lost, _reason(worker))
                    continue
                if result is not None:
                    worker.trials.popleft()
                    self._limit.learn(result)
                worker.ready, worker.since, killed = True, time.monotonic(), 0
                self._send_trials(worker, waiting, enough)
                if not worker.trials:
                    self._workers.remove(worker)
                if result is not None:
                    yield result

    def _kill_the_late(self) -> None:
        """Kill the workers that take too long: their connections end next."""
        for worker in self._workers:
            limit = self._limit.seconds(worker.trials[0]) if worker.ready and worker.trials else SHORTEST
            if not worker.limit and time.monotonic() - worker.since > limit:
                worker.limit = limit
                worker.process.kill()  # also one that has been stopped

    def _send_trials(self, worker: _Worker, waiting: deque[TrialId], enough: Callable[[], bool]) -> None:
        """Give a worker its next trial, and one ahead as long as there are enough for all; or let it go."""
        try:
            while waiting and len(worker.trials) < (PREFETCHED if len(waiting) >= len(self._workers) else 1):
                if enough():
                    waiting.clear()
                    break
                worker.trials.append(waiting.popleft())
                worker.connection.send(worker.trials[-1])
            if not worker.trials:
                worker.connection.send(None)
        except OSError:
            pass  # it has died; the end of its connection says so next

    def workers(self) -> int:
        """As `Executor.workers`."""
        return len(self._workers)

    def stop(self) -> None:
        """As `Executor.stop`: kills all workers."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
        self._workers = []

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=run_worker,
            args=(theirs, dict(os.environ), self._plan.config, self._plan.backends, self._plan.sizes),
            daemon=True,
        )
        with processes_start():
            process.start()
        theirs.close()  # so that the worker's death closes the pipe
        return _Worker(process, ours)


def _reason(worker: _Worker) -> str:
    if worker.limit:
        return f"took longer than its limit of {worker.limit:,.0f} s, twice (trial_timeout sets another)"
    return f"the worker died: {_exit_reason(worker.process)}"


def _exit_reason(process: BaseProcess) -> str:
    code = process.exitcode or 0
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}{' (out of memory?)' if -code == signal.SIGKILL else ''}"
    return f"exit status {code}"


def make_executor(plan: StudyPlan) -> LocalExecutor:
    """The executor of a plan: as many workers as its configuration says."""
    return LocalExecutor(plan, plan.config.workers)
