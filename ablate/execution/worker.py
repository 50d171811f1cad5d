"""A worker process: takes trials from a pipe, one at a time, and sends back their results."""

from __future__ import annotations

import os
from dataclasses import replace
from multiprocessing.connection import Connection

from ablate.execution.processes import configure_torch, exit_with_parent
from ablate.execution.trial_runner import TrialRunner
from ablate.plan.config import Config
from ablate.plan.study_plan import make_plan


def run_worker(
    connection: Connection, config: Config, backends: dict[str, str], sizes: dict[str, tuple[int, int]]
) -> None:
    """The body of a worker process. It ends when it receives None, or with its parent, however that one ends.

    Args:
        connection: gives trials and takes results; the first thing sent is None, when the worker is ready.
        backends: the backend of each variant.
        sizes: of input and output, by task.
    """
    exit_with_parent()
    configure_torch()
    runner = TrialRunner(replace(make_plan(config), backends=backends, sizes=sizes))
    try:
        connection.send(None)
        while (trial := connection.recv()) is not None:
            connection.send(runner.run(trial))
    except (EOFError, ConnectionError):  # the parent has ended, which `exit_with_parent` may see a little later
        os._exit(1)
