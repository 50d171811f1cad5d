"""Train some trials of a study again and compare: what a reviewer asks for. The study is read and never written."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ablate.cache import default_cache_folder
from ablate.data.load import task_data
from ablate.errors import UserError, storage_errors
from ablate.execution.backends import choose_backends
from ablate.execution.continuation import check_continuation, check_numerics_version
from ablate.execution.executor import TrialResult, make_executor
from ablate.execution.processes import prepare_environment
from ablate.execution.progress import ProgressDisplay
from ablate.machine import processor
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import make_plan
from ablate.storage.folder import StudyFolder
from ablate.storage.metadata import study_metadata
from ablate.storage.tables import MACHINE_COLUMNS, Curve, trial_id

TOLERANCE = 1e-4  # of a score, on another processor or with other versions of the libraries
_SCORES = ("validation", "test")
# With the processor they make the last bits: the same here and there, and every number must be the same.
_LIBRARIES = ("torch", "numba", "numpy", "scipy")

Row = dict[str, Any]


@dataclass(frozen=True)
class Verification:
    """What came of it."""

    trials: list[TrialId]  # those trained again
    exact: bool  # whether every bit was compared, and not scores to TOLERANCE
    differences: list[str]  # in words


def verify_study(folder: StudyFolder, number: int, jobs: int) -> Verification:
    """Train `number` random trials of a study again, replicates among them, and compare them with its tables.

    On the processor of a trial, with the same libraries, every number must be the same to the last bit, times apart;
    elsewhere its scores must agree to TOLERANCE, relative or absolute.

    Raises:
        UserError: there is no such study, it has no ended trial, or data or equations are not those it was made with.
    """
    prepare_environment()
    if not folder.exists:
        raise UserError(folder.missing())
    with storage_errors(default_cache_folder()):  # the one thing that is written: parsed data and compiled code
        return _verify(folder, number, jobs)


def _verify(folder: StudyFolder, number: int, jobs: int) -> Verification:
    check_numerics_version(folder)
    folder.check_tables()
    there = {trial_id(row): (row, curve) for row, curve in folder.tables.rows() if row["state"] != "failed"}
    if not there:
        raise UserError(f"study {folder.name!r} has no trial that has ended, so that there is nothing to verify")
    chosen = [list(there)[k] for k in np.random.default_rng().permutation(len(there))[:number]]
    config = folder.config()
    names = {kind: tuple(dict.fromkeys(getattr(trial, kind) for trial in chosen)) for kind in ("task", "variant")}
    plan = make_plan(replace(config, variants=names["variant"], tasks=names["task"], jobs=jobs, launcher="local"))
    progress = ProgressDisplay(chosen, {task.name: task.direction for task in plan.tasks})
    datasets = {task.name: task_data(plan, task, progress.step) for task in plan.tasks}
    plan = plan.with_sizes(datasets)
    metadata = study_metadata(plan, datasets, "")
    check_continuation(folder, metadata)
    then, now = folder.metadata().get("environment", {}), metadata["environment"]
    same_libraries = all(then.get(name) == now.get(name) for name in _LIBRARIES)
    exact = {trial: same_libraries and _same_processor(there[trial][0], then) for trial in chosen}
    plan = replace(plan, backends={**choose_backends(plan, progress), **_backends({t: there[t][0] for t in chosen})})
    executor, differences = make_executor("serial" if plan.only_here() else "local", plan), []
    try:
        with progress:
            for result in executor.run(chosen):
                progress.add(result.trial, result.row["state"], result.row["validation"])
                differences += _compare(result, *there[result.trial], exact[result.trial])
    finally:
        executor.stop()
    return Verification(chosen, all(exact.values()), differences)


def _backends(rows: dict[TrialId, Row]) -> dict[str, str]:
    """What ran each variant then, so that it is run likewise."""
    return {trial.variant: row["backend"] for trial, row in rows.items() if row["backend"]}


def _same_processor(row: Row, environment: dict[str, str]) -> bool:
    """Whether a trial ran on a processor of this kind; older tables leave it to the study's metadata."""
    return row["processor"] == processor() if row["processor"] else processor() in environment.get("machine", "")


def _compare(result: TrialResult, row: Row, curve: Curve, exact: bool) -> list[str]:
    """Where a trial that was trained again is not what the table says."""
    if result.row["state"] == "failed":
        return [f"{result.trial}: failed here, {result.row['reason']}"]
    if exact:
        columns = [name for name in result.row if name not in MACHINE_COLUMNS and name in row]
        found = [name for name in columns if not _equal(result.row[name], row[name], 0.0)]
        said = [f"{result.trial}: {name} is {row[name]} in the table and {result.row[name]} here" for name in found]
        if not said and not row["replicate"] and not _equal_curves(result.curve, curve):
            said = [f"{result.trial}: its curve is another one"]
        return said
    found = [name for name in _SCORES if not _equal(result.row[name], row[name], TOLERANCE)]
    return [f"{result.trial}: {name} is {row[name]} in the table and {result.row[name]} here" for name in found]


def _equal(a: Any, b: Any, tolerance: float) -> bool:
    a, b = (None if value in (None, "") or value != value else value for value in (a, b))
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
    return a == b


def _equal_curves(a: Curve, b: Curve) -> bool:
    return np.array_equal(np.array(a, float), np.array(b, float), equal_nan=True)
