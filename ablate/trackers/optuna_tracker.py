"""The study in Optuna's form, which optuna-dashboard opens: an Optuna study for each task and variant.

Random search is drawn from the coordinates, so Optuna is told of finished trials and never asked for new ones: a
sampler's generator is not part of Optuna's storage, and a resumed one would draw its first points again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from ablate.errors import UserError
from ablate.plan.random_streams import TrialId
from ablate.plan.search_space import Range
from ablate.storage.tables import Curve

# A diverged trial is a result that ranks last; Optuna's word for a trial that was stopped early is "pruned".
STATES = {"completed": TrialState.COMPLETE, "diverged": TrialState.PRUNED, "failed": TrialState.FAIL}


def open_storage(storage: str | Path) -> BaseStorage:
    """An Optuna storage: a journal file by its path, or a database by its URL.

    Raises:
        UserError: the database cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if isinstance(storage, Path):
        # A killed run may have left its lock behind. This process holds the study's own lock, so the file is ours.
        storage.with_name(f"{storage.name}.lock").unlink(missing_ok=True)
        # Absolute, since the lock is a link to this path, and one that leads nowhere is waited for without end.
        return JournalStorage(JournalFileBackend(str(storage.resolve())))
    try:
        return optuna.storages.get_storage(storage)
    except Exception as error:  # each database driver has exceptions of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"storage {storage!r} cannot be opened: {reason}") from None


class OptunaTracker:
    """Finished trials in an Optuna storage."""

    def __init__(
        self, study: str, storage: str | Path, space: dict[str, Range | float], directions: dict[str, str]
    ) -> None:
        """Open the storage, a journal file or the URL of a database; `directions` are those of the tasks' scores."""
        self._study = study
        self._space = space
        self._directions = directions
        self._studies: dict[str, optuna.Study] = {}
        self._known: dict[str, set[tuple[int, str]]] = {}
        self._storage = open_storage(storage)

    def add(self, row: dict[str, Any], curve: Curve) -> None:
        """Tell Optuna of a finished trial, a row of the table; one that it knows already is left alone."""
        at = TrialId(row["task"], row["variant"], row["index"])
        study = self._open(at)
        known = self._known[study.study_name]
        if (at.index, row["state"]) in known:
            return
        state = STATES[row["state"]]
        distributions, params = self._params(row)
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=row["validation"] if state == TrialState.COMPLETE else None,
                params=params,
                distributions=distributions,
                intermediate_values={epoch: validation for epoch, _, validation in curve if validation == validation},
                user_attrs={
                    "index": at.index,
                    "state": row["state"],
                    **{key: row[key] for key in ("test", "best_epoch", "epochs", "parameters", "seconds", "reason")},
                },
            )
        )
        known.add((at.index, row["state"]))

    def _open(self, at: TrialId) -> optuna.Study:
        name = f"{self._study}/{at.task}/{at.variant}"
        if name not in self._studies:
            study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction=self._directions[at.task],  # type: ignore[arg-type]
                load_if_exists=True,
            )
            self._known[name] = {
                (trial.user_attrs.get("index", -1), trial.user_attrs.get("state", "")) for trial in study.get_trials()
            }
            self._studies[name] = study
        return self._studies[name]

    def forget(self) -> None:
        """Delete what the storage holds of this study, for a fresh start."""
        for name in optuna.get_all_study_names(self._storage):
            if name.startswith(f"{self._study}/"):
                optuna.delete_study(study_name=name, storage=self._storage)
        self._studies.clear()

    def _params(self, row: dict[str, Any]) -> tuple[dict[str, BaseDistribution], dict[str, Any]]:
        """The search space in Optuna's terms, on the axes that were sampled, and this trial's place in it."""
        distributions: dict[str, BaseDistribution] = {}
        params: dict[str, Any] = {}
        for name, entry in self._space.items():
            if not isinstance(entry, Range):
                continue
            value, log = row[name], entry.scale != "linear"
            if entry.scale == "one-minus-log":
                name, value = f"one_minus_{name}", min(max(1 - value, entry.low), entry.high)
            kind = IntDistribution if entry.integer else FloatDistribution
            distributions[name] = kind(entry.low, entry.high, log=log)  # type: ignore[arg-type]
            params[name] = value
        return distributions, params
