"""Shards put together are the study that one process gives, and what does not belong together is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from ablate.errors import UserError
from ablate.plan.shard import parse_shard
from ablate.storage.tables import MACHINE_COLUMNS, StudyTables
from tests.conftest import Command
from tests.faults import assert_same_study

SEARCH = ("--trials", "5", "--controls", "1", "--confirm", "1", "--log-trials", "none")


def run(sweep: Command, *options: str) -> str:
    done = sweep(*SEARCH, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def whole(sweep: Command, tmp_path: Path) -> Path:
    """A results folder with the study as one process gives it."""
    run(sweep)
    (tmp_path / "results").rename(tmp_path / "whole")
    return tmp_path / "whole"


def test_shards_give_the_table_of_one_process(sweep: Command, whole: Path, tmp_path: Path) -> None:
    """In whatever order they end; the command without a shard confirms what they have found, and reports all."""
    study = tmp_path / "results" / "s"
    for number in (3, 1):
        assert f"shard {number}/3 is in" in run(sweep, "--shard", f"{number}/3")
    assert not (study / "trials.csv").exists() and not (study / "report").exists()
    assert "nothing to train" in run(sweep, "--shard", "3/3")
    assert "trials of 2 shards are merged" in run(sweep, "--merge")
    run(sweep, "--report-only", "--reference", "SRN")
    run(sweep, "--merge")
    assert json.loads((study / "metadata.json").read_text())["reference"] == "SRN", "a shard has put its own back"
    run(sweep, "--report-only", "--reference", "V")
    partly = StudyTables(study).trials()
    assert set(partly["index"]) == {0, 2, 3} and (study / "report" / "index.html").exists()
    run(sweep, "--shard", "2/3")
    said = run(sweep)  # merges, confirms, reports
    assert "trials of 3 shards are merged" in said
    assert_same_study(tmp_path / "results", whole)
    before = (study / "trials.csv").read_bytes()
    assert "are merged" not in run(sweep, "--report-only") and (study / "trials.csv").read_bytes() == before


def test_a_shard_runs_its_own_indices(sweep: Command, tmp_path: Path) -> None:
    run(sweep, "--shard", "2/4")
    tables = StudyTables(tmp_path / "results" / "s" / "shards" / "2-of-4")
    assert set(tables.trials()["index"]) == {1} and set(tables.replicates()["purpose"]) == {"control"}


def broken(results: Path, find: str, put: str, file: str = "config.toml") -> None:
    path = results / "s" / "shards" / "2-of-2" / file
    text = path.read_text()
    assert find in text
    path.write_text(text.replace(find, put))


def test_what_does_not_belong_together_is_refused_in_a_line(sweep: Command, tmp_path: Path) -> None:
    results, kept = tmp_path / "results", tmp_path / "kept"
    for number in (1, 2):
        run(sweep, "--shard", f"{number}/2")
    shutil.copytree(results, kept)

    def refused(*said: str, mode: str = "--merge") -> None:
        done = sweep(*SEARCH, mode)
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1 and all(words in done.stderr for words in said), done.stderr
        assert not (results / "s" / "trials.csv").exists()
        shutil.rmtree(results)
        shutil.copytree(kept, results)

    broken(results, "epochs = 40", "epochs = 41")
    refused("training.epochs is 41 there and 40 here", "shard 2-of-2 cannot be merged")
    broken(results, '"numerics_version": ', '"numerics_version": 9', "metadata.json")
    refused("holds numbers of version 9")
    broken(results, '"sha256": "', '"sha256": "0', "metadata.json")
    refused("other data for music", "shard 2-of-2")
    shutil.copytree(results / "s" / "shards" / "1-of-2", results / "s" / "shards" / "1-of-3")
    refused("shards 1-of-2 and 1-of-3", "overlap")
    shutil.rmtree(results / "s" / "shards")
    refused("has no shards")


def test_two_results_for_one_trial_are_refused(sweep: Command, tmp_path: Path) -> None:
    study = tmp_path / "results" / "s"
    run(sweep, "--shard", "1/2")
    run(sweep, "--merge")
    before = (study / "trials.csv").read_bytes()
    file = study / "shards" / "1-of-2" / "trials.csv"
    table = pd.read_csv(file, dtype=str)
    table.loc[0, "test"] = "7.125"
    table.to_csv(file, index=False)
    done = sweep(*SEARCH, "--merge")
    assert done.returncode == 2 and "has two results: test is 7.125 in shard 1-of-2" in done.stderr
    assert (study / "trials.csv").read_bytes() == before
    table.loc[0, "test"] = repr(float(StudyTables(study).trials()["test"].iloc[0]))
    table.assign(**dict.fromkeys(MACHINE_COLUMNS, "1.0")).to_csv(file, index=False)
    assert run(sweep, "--merge")  # times and processors may differ


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", "1/4/2"])
def test_what_is_no_shard_is_told(text: str, sweep: Command) -> None:
    with pytest.raises(UserError, match="must be i/n"):
        parse_shard(text)
    done = sweep(f"--shard={text}")
    assert done.returncode == 2 and "must be i/n" in done.stderr and len(done.stderr.splitlines()) == 1


def test_every_index_is_in_one_shard() -> None:
    for n in range(1, 8):
        shards = [parse_shard(f"{k}/{n}") for k in range(1, n + 1)]
        for index in range(50):
            assert sum(shard is not None and index in shard for shard in shards) == 1
