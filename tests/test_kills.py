"""kill -9 of a sweep and of its workers, at moments of every kind: it comes out as if nothing had been."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ablate.cache import default_cache_folder
from ablate.storage.folder import StudyFolder
from tests.faults import (
    LONGEST,
    assert_same_study,
    assert_views_are_equal_to_the_tables,
    lines,
    start,
    wait_until,
    workers_of,
)

pytestmark = [pytest.mark.fault, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

KILLS = int(os.environ.get("ABLATE_KILLS", "75"))  # of parents and of workers, in each of two tests
LATE = -4  # the moments from here on are those after the last trial


# Python prints this, before any code of ours, in a process whose parent is killed between its fork and its first bytes.
_NOT_OURS = re.compile(r"Traceback .*\n(?: .*\n)*? .*/multiprocessing/.*\n(?: .*\n)*EOFError.*\n")


def _said(log: Path) -> str:
    return _NOT_OURS.sub("", log.read_text())


def _changed(file: Path) -> Callable[[], bool]:
    def when() -> int:
        try:
            return file.stat().st_mtime_ns
        except OSError:
            return 0

    before = when()
    return lambda: when() != before


def _grown(file: Path, rows: int) -> Callable[[], bool]:
    before = lines(file)
    return lambda: lines(file) >= before + rows


def _added(folder: Path, pattern: str) -> Callable[[], bool]:
    before = set(folder.glob(pattern))
    return lambda: not before.issuperset(folder.glob(pattern))


# The moments of a study's life, in its order, as (name, the time has come, seconds after it at most). A life ends
# when a sweep outruns its moment and ends, so that the last four are tried with the rarest kind first.
def _moments(study: Path, chance: random.Random) -> list[tuple[str, Callable[[], Callable[[], bool]], float]]:
    trials, replicates = study / "trials.csv", study / "replicates.csv"
    return [
        ("start", lambda: lambda: True, 2.0),
        ("start", lambda: lambda: True, 5.0),
        ("opened", lambda: (study / "config.toml").exists, 0.3),
        ("making of mlflow.db", lambda: _added(default_cache_folder(), "*/mlflow-*.db"), 2.0),
        ("training", lambda: _grown(trials, chance.randint(1, 10)), 0.1),
        ("compaction", lambda: lambda: any(study.glob(".*.csv.part")), 0.002),
        ("training", lambda: _grown(trials, chance.randint(1, 10)), 0.1),
        ("training", lambda: _grown(trials, chance.randint(1, 10)), 0.1),
        ("confirmation", lambda: lambda: b"confirmation" in replicates.read_bytes(), 0.1),
        ("report", lambda: _changed(study / "report" / "tables"), 1.0),
        ("report", lambda: _changed(study / "report" / "figures"), 2.0),
        ("MLflow's end", lambda: _changed(study / ".views.json"), 0.1),
        ("MLflow's end", lambda: _changed(study / ".views.json"), 0.5),
    ]


def _kill(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_moments_of_every_kind_a_sweep_comes_out_equal(
    seed: int, sweep_to_kill: tuple[Path, list[str]], tmp_path: Path
) -> None:
    """The same command again each time; then tables and views equal those of a sweep that ran undisturbed."""
    undisturbed, arguments = sweep_to_kill
    chance, killed = random.Random(seed), Counter[str]()
    lives = 0
    names = {name for name, *_ in _moments(tmp_path, chance)}
    while killed.total() < KILLS or not killed.keys() >= names:  # a sweep may end before its moment has come
        lives += 1
        assert lives <= KILLS / 5, f"too few kills in a life: {killed}"
        folder = tmp_path / f"life{lives}"
        study, log = folder / "results" / "s", folder / "log"
        folder.mkdir()
        for template in default_cache_folder().glob("mlflow-*.db"):
            template.unlink()  # so that the database is made anew, which takes time
        moments = _moments(study, chance)
        last = sorted(moments[LATE:], key=lambda moment: killed[moment[0]])
        for name, make, delay in [*moments[:LATE], *last]:
            come = make()
            sweep = start(folder, arguments, log)
            wait_until(come, sweep)
            time.sleep(delay * chance.random())
            for _ in range(chance.randint(1, 3)):
                if victims := workers_of(sweep.pid):
                    killed["a worker at " + name] += _kill(chance.choice(victims))
                    time.sleep(0.2 * chance.random())
            if sweep.poll() is None:
                sweep.kill()
                killed[name] += 1
            assert sweep.wait(LONGEST) in (-signal.SIGKILL, 0, 1), log.read_text()
        assert start(folder, arguments, log).wait(LONGEST) == 0, log.read_text()
        assert "Traceback" not in _said(log) and "error: " not in _said(log)
        assert_same_study(folder / "results", undisturbed)
        assert_views_are_equal_to_the_tables(folder / "results")
        assert not list((folder / "results").rglob(".*.part"))
    print(f"{killed.total()} kills in {lives} lives: {dict(sorted(killed.items()))}")
    assert killed.keys() >= names


@pytest.mark.parametrize("moment", ["put aside", "opened", "described"])
def test_a_fresh_start_that_is_killed_leaves_the_old_study_or_the_new_one(
    moment: str, sweep_to_kill: tuple[Path, list[str]], tmp_path: Path
) -> None:
    """And nothing of the old one in MLflow's experiment, whose name the new one has."""
    undisturbed, arguments = sweep_to_kill
    results, log = tmp_path / "results", tmp_path / "log"
    shutil.copytree(undisturbed, results, ignore=shutil.ignore_patterns("*.lock", ".*.lock"))
    folder = StudyFolder(results, "s")
    folder.metadata_file.write_text(json.dumps({**folder.metadata(), "place": str(folder.path)}))  # it was made here
    old = folder.id
    come = {
        "put aside": (results / ".s.replaced").exists,
        "opened": _changed(results / "s" / "config.toml"),
        "described": lambda: StudyFolder(results, "s").id != old,
    }[moment]
    sweep = start(tmp_path, [*arguments, "--fresh"], log)
    wait_until(come, sweep)
    sweep.kill()
    assert sweep.wait() == -signal.SIGKILL
    assert start(tmp_path, arguments, log).wait(LONGEST) == 0, log.read_text()
    assert "Traceback" not in _said(log) and "left alone" not in _said(log)
    assert_same_study(results, undisturbed)
    assert_views_are_equal_to_the_tables(results)
    assert StudyFolder(results, "s").id != old and not (results / ".s.replaced").exists()
