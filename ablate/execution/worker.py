"""A worker process: takes trials from a pipe, one at a time, and sends back their results."""

from __future__ import annotations

import os
from dataclasses import replace
from multiprocessing.connection import Connection

from ablate.execution.processes import begin_process, configure_torch
from ablate.execution.trial_runner import TrialRunner
from ablate.plan.config import Config
from ablate.plan.study_plan import make_plan


def run_worker(
    connection: Connection,
    environment: dict[str, str],
    config: Config,
    backends: dict[str, str],
    sizes: dict[str, tuple[int, int]],
) -> None:
    """The body of a worker process. It ends when it receives None, or with its parent, however that one ends.

    Args:
        connection: gives trials and takes results; the first thing sent is None, when the worker is ready.
        environment: the parent's.
        backends: the backend of each variant.
        sizes: of input and output, by task.
    """
    begin_process(environment)
    configure_torch()
    runner = TrialRunner(replace(make_plan(config), backends=backends, sizes=sizes))
    try:
        connection.send(None)
        while (trial := connection.recv()) is not None:
            connection.send(runner.run(trial))
    except (EOFError, ConnectionError):  # the parent has ended, which `begin_process` may see a little later
        os._exit(1)
