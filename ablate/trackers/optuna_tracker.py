"""The search in Optuna's form, which optuna-dashboard opens: an Optuna study for each task and variant.

Replicates are left out: they are no part of the search, whose course and best value an Optuna study shows.

Random search is drawn from the trial's place in the study, so Optuna is told of ended trials and never asked for new
ones: a sampler's generator is not part of Optuna's storage, and a resumed one would draw its first points again.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState, create_trial

from ablate.credentials import masked
from ablate.errors import UserError
from ablate.plan.config import Config
from ablate.plan.search_space import Choice, Entry, Range
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import Curve
from ablate.trackers.tracker import Row

# A diverged trial is a result, without a value, that ranks last; Optuna calls a trial without a value "pruned".
STATES = {"completed": TrialState.COMPLETE, "diverged": TrialState.PRUNED, "failed": TrialState.FAIL}
STUDY_ID = "ablate.study_id"  # the attribute that says which study made an Optuna study
# Columns kept as attributes.
COPIED = ("test", "best_epoch", "epochs", "parameters", "seconds", "stop_reason", "reason")
TIMES_REDONE = "ablate.times_redone"  # and how often its variant had been redone then, as the metadata count it


def open_tracker(folder: StudyFolder, config: Config, print_line: Callable[[str], None]) -> OptunaTracker:
    """The tracker of a study: in the database of the configuration, or in a journal file of the study's folder."""
    metadata = folder.metadata()
    directions = {name: task["direction"] for name, task in metadata["tasks"].items()}
    storage = open_storage(config.storage) if config.storage else open_journal(folder.journal_file, print_line)
    tracker = OptunaTracker(
        storage,
        folder.name,
        folder.id,
        config.search,
        directions,
        owns_storage=not config.storage,
        times_redone=metadata.get("times_redone"),
    )
    tracker.delete_studies(folder.replaced_ids)
    return tracker


def open_journal(file: Path, print_line: Callable[[str], None]) -> BaseStorage:
    """The storage in a study's own journal file, by the process that holds the study's lock, so that the file is its.

    A journal that a kill or a disk has damaged is deleted: the tables have all that was in it.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Of Optuna's two locks, the one that needs no links, which not every file system has; one is left by a kill.
    lock = JournalFileOpenLock(str(file.resolve()))
    file.with_name(f"{file.name}.lock").unlink(missing_ok=True)
    if file.exists() and not _is_whole(file):
        print_line(f"{file} was damaged, and is made anew from the tables")
        file.unlink()
    try:
        return JournalStorage(JournalFileBackend(str(file.resolve()), lock_obj=lock))
    except Exception:  # entries that are JSON, and none of Optuna's
        print_line(f"{file} cannot be replayed, and is made anew from the tables")
        file.unlink()
        return JournalStorage(JournalFileBackend(str(file.resolve()), lock_obj=lock))


def _is_whole(file: Path) -> bool:
    """Whether every line of a journal is JSON, and the last one ends: Optuna waits for the end of one that does not."""
    line = b"\n"
    try:
        with file.open("rb") as stream:
            for line in stream:
                json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")


OPENINGS = 10
ALREADY_THERE = ("duplicate", "already exists", "unique constraint")  # another sweep makes the same tables just now


def open_storage(storage: str) -> BaseStorage:
    """An Optuna storage in a database, by its URL.

    Raises:
        UserError: the database cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")  # seconds; else a server that is frozen is waited for without end
    for tries_left in reversed(range(OPENINGS)):
        try:
            return optuna.storages.get_storage(storage)
        except Exception as error:  # each database driver has exceptions of its own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            if tries_left and any(words in reason.lower() for words in ALREADY_THERE):
                time.sleep(random.uniform(0.1, 1.0))
                continue
            raise UserError(masked(f"storage {storage!r} cannot be opened: {reason}")) from None
    raise AssertionError


class OptunaTracker:
    """Ended trials in an Optuna storage.

    Args:
        study: the study's name, with which the names of its Optuna studies begin.
        study_id: tells this study's Optuna studies from those of another study of the same name.
        space: the search space, by hyperparameter.
        directions: by task, `minimize` or `maximize`.
        owns_storage: whether whatever the storage holds is this study's.
        times_redone: by variant, how often its trials have been dropped and trained anew; 0 if left out.
    """

    def __init__(
        self,
        storage: BaseStorage,
        study: str,
        study_id: str,
        space: dict[str, Entry],
        directions: dict[str, str],
        owns_storage: bool,
        times_redone: Mapping[str, int] | None = None,
    ) -> None:
        self._storage, self._space, self._directions = storage, space, directions
        self._study, self._study_id = study, study_id
        self._times_redone = times_redone or {}
        self._studies: dict[str, optuna.Study] = {}
        self._states: dict[str, dict[int, str]] = {}  # by Optuna study and index
        self._owners = {
            summary.study_name: study_id if owns_storage else summary.user_attrs.get(STUDY_ID)
            for summary in optuna.get_all_study_summaries(storage, include_best_trial=False)
        }

    def delete_studies(self, study_ids: Iterable[str]) -> None:
        """Delete what studies of these ids have made: those that this study has replaced by a fresh start."""
        replaced = set(study_ids)
        for name in [name for name, owner in self._owners.items() if owner in replaced]:
            self._delete(name)

    def repair(self, trials: Iterable[tuple[Row, Curve]]) -> None:
        """As `Tracker.repair`."""
        wanted: dict[str, dict[int, str]] = {}
        search = [row for row, _ in trials if not row["replicate"]]
        variants: dict[str, str] = {}
        for row in search:
            name = self._name(row["task"], row["variant"])
            wanted.setdefault(name, {})[row["index"]], variants[name] = row["state"], row["variant"]
        for name in [name for name, owner in self._owners.items() if owner == self._study_id]:
            if name not in wanted:
                self._delete(name)
                continue
            study = optuna.load_study(study_name=name, storage=self._storage)
            found = study.get_trials(deepcopy=False)
            right = [trial for trial in found if wanted[name].get(_index(trial)) == trial.user_attrs.get("state")]
            replaced = study.user_attrs.get(TIMES_REDONE, 0) != self._times_redone.get(variants[name], 0)
            if replaced or len({_index(trial) for trial in right}) < len(found):
                self._delete(name)  # Optuna deletes whole studies only; what is missing is added below
        for row, curve in trials:
            self.add(row, curve)

    def add(self, trial: Row, curve: Curve) -> None:
        """As `Tracker.add`."""
        if trial["replicate"]:
            return
        study = self._open(trial["task"], trial["variant"])
        states, index = self._states[study.study_name], trial["index"]
        if states.get(index) == trial["state"]:
            return
        if index in states:
            study = self._remake(trial["task"], trial["variant"], without=index)
        study.add_trial(self._frozen(trial, curve))
        self._states[study.study_name][index] = trial["state"]

    def close(self, report: Path | None) -> None:
        """As `Tracker.close`: nothing is left to write."""

    def _name(self, task: str, variant: str) -> str:
        """The name of an Optuna study; where another study has taken it, one with this study's id in it."""
        name = f"{self._study}/{task}/{variant}"
        taken = name in self._owners and self._owners[name] != self._study_id
        return f"{self._study} ({self._study_id[:8]})/{task}/{variant}" if taken else name

    def _open(self, task: str, variant: str) -> optuna.Study:
        name = self._name(task, variant)
        if name not in self._studies:
            study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction=self._directions[task],  # type: ignore[arg-type]
                load_if_exists=True,
            )
            if STUDY_ID not in study.user_attrs:
                if variant in self._times_redone:
                    study.set_user_attr(TIMES_REDONE, self._times_redone[variant])
                study.set_user_attr(STUDY_ID, self._study_id)
            self._owners[name] = self._study_id
            self._studies[name] = study
            found = study.get_trials(deepcopy=False)
            self._states[name] = {_index(trial): trial.user_attrs.get("state", "") for trial in found}
        return self._studies[name]

    def _remake(self, task: str, variant: str, without: int) -> optuna.Study:
        """The Optuna study made anew without one trial, since Optuna cannot delete one."""
        kept = [trial for trial in self._open(task, variant).get_trials() if _index(trial) != without]
        self._delete(self._name(task, variant))
        study = self._open(task, variant)
        study.add_trials(kept)
        self._states[study.study_name] = {_index(trial): trial.user_attrs["state"] for trial in kept}
        return study

    def _delete(self, name: str) -> None:
        optuna.delete_study(study_name=name, storage=self._storage)
        self._owners.pop(name, None)
        self._studies.pop(name, None)

    def _frozen(self, row: Row, curve: Curve) -> FrozenTrial:
        state = STATES[row["state"]]
        distributions, params = self._params(row)
        return create_trial(
            state=state,
            value=row["validation"] if state == TrialState.COMPLETE else None,
            params=params,
            distributions=distributions,
            intermediate_values={epoch: validation for epoch, _, validation in curve if validation == validation},
            user_attrs={"index": row["index"], "state": row["state"], **{key: row[key] for key in COPIED}},
        )

    def _params(self, row: Row) -> tuple[dict[str, BaseDistribution], dict[str, Any]]:
        """The search space in Optuna's terms, on the axes that were sampled, and this trial's place in it."""
        distributions: dict[str, BaseDistribution] = {}
        params: dict[str, Any] = {}
        for name, entry in self._space.items():
            if isinstance(entry, Choice):
                distributions[name], params[name] = CategoricalDistribution(entry.values), row[name]
            if not isinstance(entry, Range):
                continue
            value, log = _drawn(row, name), entry.scale != "linear"
            if entry.scale == "one-minus-log":
                name, value = f"one_minus_{name}", min(max(1 - value, entry.low), entry.high)
            kind = IntDistribution if entry.integer else FloatDistribution
            distributions[name] = kind(entry.low, entry.high, log=log)  # type: ignore[arg-type]
            params[name] = value
        return distributions, params


def _drawn(row: Row, name: str) -> Any:
    """The value that the search drew; a hidden size may have been matched since."""
    matched = name == "hidden_size" and row.get("drawn_size") is not None
    return row["drawn_size" if matched else name]


def _index(trial: FrozenTrial) -> int:
    return trial.user_attrs.get("index", -1)
