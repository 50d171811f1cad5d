"""Shards: slices of a study that several machines run, each into a folder of its own, and that are put together.

A shard is a study in `results/<study>/shards/2-of-4`, with tables, configuration and metadata, and without a report. It
needs nothing but its folder: a shared disk, or a copy of the folder brought here, is all the infrastructure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.errors import UserError
from ablate.execution.continuation import check_continuation, check_numerics_version
from ablate.plan.config import Config
from ablate.plan.random_streams import TrialId
from ablate.plan.shard import parse_shard
from ablate.storage.folder import SHARDS, StudyFolder
from ablate.storage.metadata import merge_metadata
from ablate.storage.tables import ENDED, MACHINE_COLUMNS, trial_id


def folder_of(config: Config) -> StudyFolder:
    """The folder that a command writes to: the study's, or that of its shard."""
    folder = StudyFolder(Path(config.results), config.study_name)
    shard = parse_shard(config.shard)
    return folder if shard is None else StudyFolder(folder.path / SHARDS, shard.folder)


def whole_of(config: Config) -> StudyFolder | None:
    """The folder of the whole study, where a command is a shard's and there is one."""
    folder = StudyFolder(Path(config.results), config.study_name)
    return folder if config.shard and folder.exists else None


def shards_of(folder: StudyFolder) -> list[StudyFolder]:
    """The shards of a study that have begun, in their order.

    Raises:
        UserError: two of them are slices of different widths, and so have indices in common.
    """
    found = []
    for path in (folder.path / SHARDS).glob("*-of-*"):
        shard = StudyFolder(path.parent, path.name)
        if (numbers := re.fullmatch(r"(\d+)-of-(\d+)", path.name)) and shard.exists:
            found.append((int(numbers[2]), int(numbers[1]), shard))
    found.sort(key=lambda each: each[:2])
    if found and found[0][0] != found[-1][0]:
        one, other = found[0][2], found[-1][2]
        raise UserError(
            f"shards {one.name} and {other.name} in {one.results} overlap: shards of one study are of one number. "
            "Take away those that are not wanted"
        )
    return [shard for *_, shard in found]


def open_merged(folder: StudyFolder) -> None:
    """Make the study's own folder of what its first shard says, where shards are all that there is of it."""
    shards = shards_of(folder)
    if folder.exists or not shards:
        return
    config = replace(shards[0].config(), shard="", results=str(folder.results), study=folder.name)
    folder.open(config, fresh=False)
    folder.write_metadata({**shards[0].metadata(), "configuration": folder.config().to_toml()})


def merge_shards(folder: StudyFolder, print_line: Callable[[str], None]) -> int:
    """Add what the shards of a study have to its tables; returns how many trials that are.

    It may be called while shards are running, and again: what is there already is compared, and stays.

    Raises:
        UserError: a shard is of another configuration, of other data, equations or numbers, or has another result for a
            trial; the message says which. Nothing was added.
    """
    shards = shards_of(folder)
    if not shards:
        return 0
    there = {trial_id(row): row for row in folder.tables.trial_rows()}
    added: list[tuple[dict[str, Any], Any, str]] = []
    for shard in shards:
        check_numerics_version(shard)
        _compare(folder, shard)
        samples = {
            (row["task"], row["variant"], row["index"]): row["sample"]
            for row in shard.tables.samples().to_dict("records")
        }
        for row, curve in shard.tables.rows():
            trial = trial_id(row)
            if trial in there and there[trial]["state"] in ENDED:
                _check_same(trial, row, there[trial], shard, folder)
            elif trial not in there or row["state"] in ENDED:
                added.append((row, curve, samples.get((trial.task, trial.variant, trial.index), "")))
                there[trial] = row
    metadata = folder.metadata()
    for shard in shards:  # all else that they say is theirs
        metadata = merge_metadata(metadata, {key: shard.metadata()[key] for key in ("tasks", "variants")})
    folder.write_metadata(metadata)
    for row, curve, sample in added:
        folder.tables.add(row, curve, sample)
    if added:
        print_line(f"{len(added)} trials of {len(shards)} shard{'s' if len(shards) > 1 else ''} are merged")
        folder.tables.compact()
    return len(added)


def _compare(folder: StudyFolder, shard: StudyFolder) -> None:
    """Refuse a shard whose trials would not be those of the study."""
    try:
        shard.compare(folder.config())
        check_continuation(folder, shard.metadata())
    except UserError as error:
        said = str(error).partition(". Give ")[0]
        raise UserError(f"{said}: shard {shard.name} cannot be merged; take it away, or run it anew") from None


def _check_same(
    trial: TrialId, row: dict[str, Any], kept: dict[str, Any], shard: StudyFolder, folder: StudyFolder
) -> None:
    """Refuse two results for one trial."""
    if row["state"] not in ENDED:
        return
    for name in row.keys() - set(MACHINE_COLUMNS):
        if row[name] != kept.get(name):
            raise UserError(
                f"trial {trial} has two results: {name} is {row[name]} in shard {shard.name}, and {kept.get(name)} in "
                f"{folder.path}; find out which one is right, and take the other away"
            )
