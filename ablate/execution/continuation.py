"""What must be as it was for a study to go on: the version of the numbers, the data, the equations."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ablate.errors import UserError
from ablate.plan.numerics import CHANGES, NUMERICS_VERSION
from ablate.storage.folder import StudyFolder


def check_continuation(folder: StudyFolder, metadata: dict[str, Any], redone: Collection[str] = ()) -> None:
    """Refuse to go on in a study whose trials would not be those of this command.

    Args:
        metadata: what this command would record.
        redone: the variants whose trials are dropped, so that it does not matter what their equations were.

    Raises:
        UserError: numbers, data or equations have changed since the study was made; the message says how.
    """
    kept = folder.metadata()
    if reason := _difference_of_tasks(kept, metadata):
        raise UserError(f"study {folder.name!r} {reason}. Give --study another name, or --fresh to start it anew")
    if changed := [name for name in _changed_variants(kept, metadata) if name not in redone]:
        it_has, it = ("it has", "it") if len(changed) == 1 else ("they have", "them")
        raise UserError(
            f"study {folder.name!r} was made with other equations for {', '.join(changed)} than {it_has} now. Give "
            f"--redo {','.join(changed)} to train {it} anew, --study another name, or --fresh to start all anew"
        )


def check_numerics_version(folder: StudyFolder) -> None:
    """Refuse to go on in a study of another version of the numbers.

    Raises:
        UserError: the study is of another version.
    """
    kept = folder.metadata()
    version = kept.get("numerics_version", 1) if kept else NUMERICS_VERSION
    if version == NUMERICS_VERSION:
        return
    if version > NUMERICS_VERSION:
        why = "a newer ablate made it; install that one"
    else:
        why = "; ".join(CHANGES[k] for k in range(version + 1, NUMERICS_VERSION + 1))
    raise UserError(
        f"study {folder.name!r} holds numbers of version {version}, and this is version {NUMERICS_VERSION} ({why}): it "
        "can be read and reported with --report-only, but not continued. "
        "Give --study another name, or --fresh to start it anew"
    )


def _difference_of_tasks(kept: dict[str, Any], new: dict[str, Any]) -> str:
    for name, before in kept.get("tasks", {}).items():
        now = new["tasks"].get(name, before)
        if now["sha256"] != before["sha256"]:
            if before["source"] == now["source"]:
                return f"was made with other data for {name}: {now['source']} has changed since"
            return f"was made with other data for {name}: {before['source']} there, {now['source']} here"
        for key in ("loss", "score"):
            if before.get(key) and now[key] != before[key]:
                return f"was made with the {key} {before[key]} for {name}, which has {now[key]} now"
    return ""


def _changed_variants(kept: dict[str, Any], new: dict[str, Any]) -> list[str]:
    def decisive(variant: dict[str, Any]) -> list[Any]:
        # Older versions did not write all of these.
        return [variant.get(key) or None for key in ("equations", "initial", "code")]

    before, now = kept.get("variants", {}), new["variants"]
    return [name for name in now if name in before and decisive(now[name]) != decisive(before[name])]
