"""The tables on disk: nothing that was kept is lost, whenever a process is killed; and studies of older versions."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablate.errors import UserError
from ablate.execution.continuation import check_numerics_version
from ablate.plan.numerics import NUMERICS_VERSION
from ablate.storage import stored_table
from ablate.storage.folder import StudyFolder
from ablate.storage.stored_table import Column, StoredTable
from ablate.storage.tables import TRIAL_COLUMNS, StudyTables
from tests.conftest import ROOT, Command

COLUMNS = (Column("name", "str", ""), Column("step", "int64", ""), Column("value", "float64", ""))


class KilledError(Exception):
    """Stands for a kill."""


def small_table(folder: Path) -> StoredTable:
    return StoredTable(folder / "t.csv", COLUMNS, ["name", "step"], rows_per_part=6)


def held(table: StoredTable) -> dict[tuple[str, int], float]:
    rows = table.read()
    assert list(rows.columns) == ["name", "step", "value"] and not rows.duplicated(["name", "step"]).any()
    return {(row["name"], row["step"]): row["value"] for row in rows.to_dict("records")}


@pytest.mark.parametrize("seed", range(20))
def test_no_row_is_lost_by_kills_between_any_two_steps(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows added, replaced, tidied and sealed in a random order, with kills in every write: the last of each key stays.

    A kill leaves either the start of a row at the end of the file, or a rename that was not reached.
    """
    generator = np.random.default_rng(seed)
    wanted: dict[tuple[str, int], float] = {}
    rename = Path.replace

    def killed_before_rename(self: Path, target: Path) -> Path:
        if generator.random() < 0.3:
            raise KilledError
        return rename(self, target)

    for _ in range(60):
        table = small_table(tmp_path)
        what = generator.integers(3)
        if what == 0:
            rows = [
                [str(generator.choice(["a", 'b,"c"', "é"])), int(generator.integers(20)), float(generator.normal())]
                for _ in range(generator.integers(1, 5))
            ]
            table.append(rows)
            wanted |= {(name, step): value for name, step, value in rows}
        elif what == 1 and table.file.exists():
            with table.file.open("a", encoding="utf-8") as stream:
                stream.write("a,1,0.7"[: generator.integers(1, 7)])  # a write that a kill cut short
            table.compact()
        else:
            with monkeypatch.context() as patch:
                patch.setattr(Path, "replace", killed_before_rename)
                with suppress(KilledError):
                    table.compact()
        assert held(small_table(tmp_path)) == wanted
    assert list((tmp_path / "t").glob("part-*.parquet")), "nothing was sealed"


def test_a_table_cut_at_any_byte_goes_on_with_its_whole_rows(tmp_path: Path) -> None:
    """As a kill leaves it, or a disk that was full before the first row."""
    table = small_table(tmp_path)
    table.append([["a", 0, 0.5], ["b", 1, 1.5]])
    whole = table.file.read_bytes()
    for length in range(len(whole) + 1):
        table.file.write_bytes(whole[:length])
        table.compact()
        rows = max(0, whole[:length].count(b"\n") - 1)
        assert held(table) == dict([(("a", 0), 0.5), (("b", 1), 1.5)][:rows])
        table.append([["c", 2, 2.5]])
        assert held(table)["c", 2] == 2.5 and len(held(table)) == rows + 1


def test_a_sealed_study_reads_as_an_open_one(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = StudyTables(study / "results" / "s")
    shutil.copytree(study / "results" / "s", tmp_path / "s")
    monkeypatch.setattr(stored_table, "ROWS_PER_PART", 3)
    after = StudyTables(tmp_path / "s")
    after.compact()
    assert (tmp_path / "s" / "curves" / "part-00000.parquet").exists()
    assert (tmp_path / "s" / "curves.csv").read_text().count("\n") == 1
    key = ["task", "variant", "index"]
    pd.testing.assert_frame_equal(after.trials(), before.trials().sort_values(key, ignore_index=True))
    pd.testing.assert_frame_equal(
        after.curves().sort_values([*key, "epoch"], ignore_index=True),
        before.curves().sort_values([*key, "epoch"], ignore_index=True),
    )


def test_curves_in_several_parts_are_read_one_part_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial whose curve is in two places, as a kill leaves it, has it once; of some trials come theirs alone."""
    monkeypatch.setattr(stored_table, "ROWS_PER_PART", 10)
    (tmp_path / "s").mkdir()
    tables, wanted = StudyTables(tmp_path / "s"), {}
    empty = dict.fromkeys(column.name for column in TRIAL_COLUMNS)
    for index in range(12):
        row = {**empty, "task": "t", "variant": "V", "index": index, "state": "completed", "replicate": 0}
        curve = [(epoch, index + epoch / 7, math.nan if epoch == 2 else index / 3) for epoch in range(1, 7)]
        tables.add(row, curve)
        wanted[index] = curve
        if index % 3 == 2:
            tables.compact()
    tables._curves.append([["t", "V", 1, *each] for each in wanted[1]])  # as it stands in the first part already
    tables._curves.append([["t", "V", 12, 1, 0.5, 0.5]])  # of a trial that a kill kept from its row
    assert len(list((tmp_path / "s" / "curves").glob("part-*.parquet"))) > 2
    tables.check(["t"], ["V"])
    held = {row["index"]: curve for row, curve in tables.rows()}
    assert str(sorted(held.items())) == str(sorted(wanted.items()))  # as texts, since no NaN equals another
    assert sorted(held) == sorted(row["index"] for row, _ in tables.rows()), "a second time gives other trials"
    some = tables.trials().iloc[[1, 7]]
    found = tables.curves(some)
    assert len(found) == 12 and set(found["index"]) == {1, 7}
    assert len(tables.curves()) == 12 * 6


def older(folder: Path) -> None:
    """Make a study's folder look as version 1 of the numbers left it."""
    metadata = json.loads((folder / "metadata.json").read_text())
    del metadata["numerics_version"], metadata["replaced_ids"]
    (folder / "metadata.json").unlink()
    (folder / "facts.json").write_text(json.dumps(metadata))
    config = (folder / "config.toml").read_text()
    for new, old in (("backend", "engine"), ("init_std", "weight_spread"), ("tbptt_steps", "chunk")):
        assert new in config
        config = config.replace(new, old)
    (folder / "config.toml").write_text(config.replace('launcher = "local"\n', "").replace('launcher = "serial"\n', ""))
    trials = pd.read_csv(folder / "trials.csv").drop(columns="stop_reason").rename(columns={"backend": "engine"})
    trials.to_csv(folder / "trials.csv", index=False)


def test_a_study_of_an_older_version_is_reported_and_not_continued(study: Path, sweep: Command, tmp_path: Path) -> None:
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    folder = tmp_path / "results" / "s"
    older(folder)
    shutil.rmtree(folder / "report")
    tables = {file.name: file.read_bytes() for file in folder.glob("*.csv")}
    refused = sweep("--trials", "9")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert f"study 's' holds numbers of version 1, and this is version {NUMERICS_VERSION}" in refused.stderr
    assert "--report-only" in refused.stderr
    assert sweep("--report-only", "--study", "s", small=False).returncode == 0
    assert (folder / "report" / "index.html").exists()
    assert {file.name: file.read_bytes() for file in folder.glob("*.csv")} == tables
    trials = StudyTables(folder).trials()
    assert set(trials["backend"]) == {"cpu"} and trials["stop_reason"].isna().all()
    assert list(trials.columns) == [column.name for column in TRIAL_COLUMNS]


def test_a_study_of_a_newer_version_is_left_to_it(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "results" / "s", tmp_path / "s")
    folder = StudyFolder(tmp_path, "s")
    check_numerics_version(folder)
    folder.write_metadata({**folder.metadata(), "numerics_version": NUMERICS_VERSION + 1})
    with pytest.raises(UserError, match="a newer ablate made it"):
        check_numerics_version(folder)


def test_the_example_study_can_be_read() -> None:
    tables = StudyTables(ROOT / "results" / "example")
    trials = tables.trials()
    assert len(trials) == 17715 and set(trials["state"]) == {"completed", "diverged"}
    assert len(tables.curves()) == trials["epochs"].sum()
