"""Train variants of a study anew: what it has of them is dropped, and the sweep finds their trials missing.

The order makes a kill harmless: (1) the metadata name what is to be dropped; (2) it is dropped; (3) the metadata get
the equations of now, and no longer name it. So trials of the old equations never stand under the new ones, and where
they are gone with the old equations still recorded, the next command knows that these do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ablate.errors import UserError
from ablate.plan.study_plan import StudyPlan
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import trial_id

PENDING, TIMES = "redo", "times_redone"  # in the metadata: the variants named by (1), and how often (3) was reached


def check_redo(folder: StudyFolder, plan: StudyPlan, names: Sequence[str]) -> list[str]:
    """The variants that names stand for.

    Raises:
        UserError: one of them is not the study's, or not the command's.
    """
    if not names:
        return []
    if not folder.exists:
        raise UserError(f"--redo {','.join(names)}: {folder.missing()}; leave it out")
    here = {variant.name.lower(): variant.name for variant in plan.variants}
    known = {*folder.metadata().get("variants", {}), *folder.tables.trials()["variant"]}
    found = []
    for name in names:
        variant = here.get(name.lower(), name)
        if variant not in known:
            there = ", ".join(sorted(known)) or "none"
            raise UserError(f"--redo {name}: study {folder.name!r} has no variant of this name; it has {there}")
        if variant not in here.values():
            raise UserError(f"--redo {name}: it is not among the variants of this command; add it to --variants")
        found.append(variant)
    return list(dict.fromkeys(found))


def pending(folder: StudyFolder) -> list[str]:
    """The variants that an earlier command was to drop, and may have been killed over."""
    return folder.metadata().get(PENDING, [])


def drop_trials(
    folder: StudyFolder, plan: StudyPlan, names: Sequence[str], print_line: Callable[[str], None]
) -> dict[str, Any]:
    """Steps 1 and 2 for these variants and the pending ones; returns what step 3 is to record beside the equations."""
    kept = folder.metadata()
    variants = list(dict.fromkeys([*pending(folder), *names]))
    if not variants:
        return {}
    print_line(_told(folder, plan, variants))
    folder.write_metadata({**kept, PENDING: variants})
    folder.drop(variants)
    here = {variant.name for variant in plan.variants}
    times = kept.get(TIMES, {})
    return {
        PENDING: [name for name in variants if name not in here],  # whose equations this command does not record
        TIMES: {**times, **{name: times.get(name, 0) + 1 for name in variants if name in here}},
    }


def _told(folder: StudyFolder, plan: StudyPlan, variants: list[str]) -> str:
    dropped = [trial_id(row) for row in folder.tables.trial_rows() if row["variant"] in variants]
    tasks = [trial.task for trial in dropped]
    counts = ", ".join(f"{tasks.count(task)} of {task}" for task in dict.fromkeys(tasks))
    planned = set(plan.trials())  # confirmations are not in it: they follow from the search
    others = (
        0 if plan.config.hours else sum(trial.purpose != "confirmation" and trial not in planned for trial in dropped)
    )
    rest = f"; {len(dropped) - others} of them are in this command" if others else ""
    return f"redo {','.join(variants)}: drops {len(dropped)} trials{f' ({counts})' if counts else ''}{rest}"
