"""Train some trials of a study again and compare: what a reviewer asks for. The study is read and never written."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from ablate.plan.search_space import Entry, Range
from ablate.plan.study_plan import StudyPlan, make_plan
from ablate.storage.folder import StudyFolder
from ablate.storage.metadata import study_metadata
from ablate.storage.tables import MACHINE_COLUMNS, Curve, trial_id

TOLERANCE = 1e-4  # of a score, on another processor or with other versions of the libraries
_NUDGE = 1e-6  # of a learning rate: more than rounding, less than anyone would call another setting
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
    in_part: dict[TrialId, int]  # those that rounding moves: they agree over so many epochs, and no more can be said


def verify_study(folder: StudyFolder, number: int, jobs: int) -> Verification:
    """Train `number` random trials of a study again, replicates among them, and compare them with its tables.

    On the processor of a trial, with the same libraries, every number must be the same to the last bit, times apart.
    Elsewhere rounding differs, and its scores must agree to TOLERANCE, relative or absolute. Training may amplify
    rounding beyond that. So a trial that does not agree is trained once more with a learning rate changed by a
    millionth. If that moves its scores by more than TOLERANCE too, its curve must agree over the epochs before.

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
    again = _train(plan, chosen)
    differences = {trial: _compare(again[trial], *there[trial], exact[trial]) for trial in chosen}
    doubtful = [trial for trial in chosen if differences[trial] and not exact[trial]]
    nudged_plan = replace(plan, config=replace(plan.config, search=_nudged(config.search)))
    nudged = _train(nudged_plan, doubtful) if doubtful else {}
    in_part = {}
    for trial in doubtful:
        if _same_scores(again[trial].row, nudged[trial].row):
            continue  # rounding is no excuse
        steady = _epochs_in_common(again[trial].curve, nudged[trial].curve, TOLERANCE / 10)
        agree = _epochs_in_common(again[trial].curve, there[trial][1], TOLERANCE)
        if agree >= steady:
            in_part[trial], differences[trial] = steady, []
        else:
            differences[trial] = [f"{trial}: its curve is another one from epoch {agree + 1} on"]
    said = [words for found in differences.values() for words in found]
    return Verification(chosen, all(exact.values()), said, in_part)


def _train(plan: StudyPlan, trials: Sequence[TrialId]) -> dict[TrialId, TrialResult]:
    progress = ProgressDisplay(list(trials), {task.name: task.direction for task in plan.tasks})
    executor = make_executor("serial" if plan.only_here() else "local", plan)
    results = {}
    try:
        with progress:
            for result in executor.run(trials):
                progress.add(result.trial, result.row["state"], result.row["validation"])
                results[result.trial] = result
    finally:
        executor.stop()
    return results


def _nudged(search: dict[str, Entry]) -> dict[str, Entry]:
    """The search space in which every learning rate is greater by a millionth, and nothing else is changed."""
    rate = search["learning_rate"]
    if isinstance(rate, Range):
        return {**search, "learning_rate": replace(rate, low=rate.low * (1 + _NUDGE), high=rate.high * (1 + _NUDGE))}
    return {**search, "learning_rate": rate * (1 + _NUDGE)} if isinstance(rate, float) else search


def _same_scores(a: Row, b: Row) -> bool:
    return all(_equal(a[name], b[name], TOLERANCE) for name in _SCORES)


def _epochs_in_common(a: Curve, b: Curve, tolerance: float) -> int:
    """Over how many epochs from the first on two curves agree; 0 for replicates, of which no curve is kept."""
    equal = [all(_equal(x, y, tolerance) for x, y in zip(*epochs, strict=True)) for epochs in zip(a, b, strict=False)]
    return equal.index(False) if False in equal else len(equal)


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
