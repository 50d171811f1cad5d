"""What must be as it was for a study to go on: the version of the numbers, the data, the equations."""

from __future__ import annotations

from typing import Any

from ablate.errors import UserError
from ablate.plan.numerics import CHANGES, NUMERICS_VERSION
from ablate.storage.folder import StudyFolder


def check_continuation(folder: StudyFolder, metadata: dict[str, Any]) -> None:
    """Refuse to go on in a study whose trials would not be those of this command.

    Args:
        metadata: what this command would record.

    Raises:
        UserError: numbers, data or equations have changed since the study was made; the message says how.
    """
    kept = folder.metadata()
    if reason := _difference(kept, metadata):
        raise UserError(f"study {folder.name!r} {reason}. Give --study another name, or --fresh to start it anew")


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


def _difference(kept: dict[str, Any], new: dict[str, Any]) -> str:
    for name, before in kept.get("tasks", {}).items():
        now = new["tasks"].get(name, before)
        if now["sha256"] != before["sha256"]:
            if before["source"] == now["source"]:
                return f"was made with other data for {name}: {now['source']} has changed since"
            return f"was made with other data for {name}: {before['source']} there, {now['source']} here"
        for key in ("loss", "score"):
            if before.get(key) and now[key] != before[key]:
                return f"was made with the {key} {before[key]} for {name}, which has {now[key]} now"
    for name, before in kept.get("variants", {}).items():
        now = new["variants"].get(name, before)
        # Older versions did not write all of these.
        if any((now.get(key) or None) != (before.get(key) or None) for key in ("equations", "initial", "code")):
            return f"was made with other equations for {name} than it has now"
    return ""
