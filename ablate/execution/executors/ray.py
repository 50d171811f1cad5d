"""Tasks of a Ray cluster, at `--address` or of this machine alone; Ray tries those again whose node or worker dies."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ablate.__about__ import __version__
from ablate.errors import UserError
from ablate.execution.executor import TrialResult, never
from ablate.execution.processes import configure_torch, limit_library_threads
from ablate.execution.time_limit import TimeLimit
from ablate.execution.trial_runner import TrialRunner, failed_trial
from ablate.plan.config import Config
from ablate.plan.numerics import NUMERICS_VERSION
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan, make_plan

RETRIES = 3  # of a task whose worker or node dies
AHEAD = 2  # tasks for each worker that are given out at once, so that none waits for this process
OBJECT_STORE = 100_000_000  # bytes, of a cluster that is started here: results are small
ANSWERS = 10.0  # seconds in which a cluster must answer
VERSIONS = {"ablate": __version__, "the numbers": str(NUMERICS_VERSION)}


class RayExecutor:
    """Runs trials as tasks of a Ray cluster. This process alone writes the study.

    Every node needs ablate, of this version, and the files that the configuration names, at the same places.
    """

    def __init__(self, plan: StudyPlan) -> None:
        self._plan = plan
        self._limit = TimeLimit(plan)
        self._running: dict[Any, TrialId] = {}
        self._ray, self._is_ours = _connected(plan.config)
        task = self._ray.remote(num_cpus=1, max_retries=RETRIES)(run_trial)
        key = uuid.uuid4().hex  # by which a worker knows the plan again
        parts = self._ray.put((key, _with_full_paths(plan.config), plan.backends, plan.sizes, VERSIONS))
        self._start: Callable[[TrialId], Any] = lambda trial: task.remote(parts, trial, self._limit.seconds(trial))

    def run(self, trials: Sequence[TrialId], enough: Callable[[], bool] = never) -> Iterator[TrialResult]:
        """As `Executor.run`.

        Raises:
            UserError: workers have another version of ablate, or the cluster has gone.
        """
        try:
            yield from self._run(trials, enough)
        except (ConnectionError, self._ray.exceptions.RayError) as error:
            raise UserError(f"Ray has gone: {_last_line(error)}; what is finished is kept") from None

    def _run(self, trials: Sequence[TrialId], enough: Callable[[], bool]) -> Iterator[TrialResult]:
        waiting = deque(trials)
        while True:
            while waiting and len(self._running) < AHEAD * self.workers():
                if enough():
                    waiting.clear()
                    break
                trial = waiting.popleft()
                self._running[self._start(trial)] = trial
            if not self._running:
                return
            done, _ = self._ray.wait(list(self._running))
            for reference in done:
                result = self._result(reference, self._running.pop(reference))
                self._limit.learn(result)
                yield result

    def workers(self) -> int:
        """As `Executor.workers`: the CPUs of the cluster."""
        cpus = int(self._ray.cluster_resources().get("CPU", 1)) or 1
        return min(cpus, self._plan.config.jobs or cpus)

    def stop(self) -> None:
        """As `Executor.stop`; a cluster that was started here ends."""
        for reference in self._running:
            with contextlib.suppress(Exception):  # it may have gone
                self._ray.cancel(reference, force=True)
        self._running = {}
        if self._is_ours and self._ray.is_initialized():
            self._ray.shutdown()
        self._is_ours = False

    def _result(self, reference: Any, trial: TrialId) -> TrialResult:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            raise UserError(f"a worker of the Ray cluster cannot run trials: {_last_line(error)}") from None
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError, errors.ObjectLostError):
            reason = f"its worker died {RETRIES + 1} times, as one does that takes longer than trial_timeout"
            return failed_trial(self._plan, trial, reason)


_runners: dict[str, TrialRunner] = {}  # of this worker process: the one that it needs


def run_trial(parts: tuple[str, Config, Any, Any, dict[str, str]], trial: TrialId, limit: float) -> TrialResult:
    """What a task does, in a worker of the cluster.

    Args:
        parts: a key, and what a plan is made of.
        limit: seconds after which the worker ends, with all that it does.

    Raises:
        UserError: it has another version of ablate, or not the study's files.
    """
    key, config, backends, sizes, versions = parts
    for name, version in versions.items():
        if version != VERSIONS[name]:
            host = socket.gethostname()
            raise UserError(f"{host} has version {VERSIONS[name]} of {name}, and {version} is needed: install that one")
    if key not in _runners:
        limit_library_threads()
        configure_torch()
        _runners.clear()
        _runners[key] = TrialRunner(replace(make_plan(config), backends=backends, sizes=sizes))
    late = threading.Timer(limit, os._exit, (1,))
    late.daemon = True
    late.start()
    try:
        return _runners[key].run(trial)
    finally:
        late.cancel()


def check(config: Config) -> None:
    """Refuse an address at which nothing answers, which Ray itself would try for a minute; or Ray that is not there.

    Raises:
        UserError: so it is.
    """
    if find_spec("ray") is None:
        raise UserError("--launcher ray needs Ray: pip install 'ablate-rnn[ray]'")
    host, colon, port = config.address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWERS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"no Ray cluster answers at {config.address} ({reason}); `ray start --head` starts one"
        ) from None


def _connected(config: Config) -> tuple[Any, bool]:
    """Ray, connected to the cluster; and whether it is this process that has connected it."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray says it will do, with a warning
    ray: Any = import_module("ray")  # which type checks must not need
    if ray.is_initialized():  # by a script that calls ablate
        return ray, False
    own = {} if config.address else {"num_cpus": config.workers, "object_store_memory": OBJECT_STORE}
    if not config.address:
        own["include_dashboard"] = False
    try:
        ray.init(config.address or "local", log_to_driver=False, logging_level="ERROR", **own)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        token = "; where it wants a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN" if config.address else ""
        raise UserError(f"Ray at {config.address or 'this machine'}: {_last_line(error)}{token}") from None
    return ray, True


def _with_full_paths(config: Config) -> Config:
    """The configuration as a worker with another working folder finds its files."""

    def full(paths: Sequence[str]) -> tuple[str, ...]:
        return tuple(str(Path(path).expanduser().resolve()) for path in paths)

    data = dict(zip(config.data, full(list(config.data.values())), strict=True))
    return replace(config, variants_from=full(config.variants_from), tasks_from=full(config.tasks_from), data=data)


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].removeprefix("ablate.errors.UserError: ") if lines else type(error).__name__


def make_executor(plan: StudyPlan) -> RayExecutor:
    """The executor of a plan."""
    return RayExecutor(plan)
