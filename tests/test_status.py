"""How far a study is, asked while it runs, when it was killed, when it is done, and of its shards."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from ablate.execution.heartbeat import LATE
from tests.conftest import Command, run_command
from tests.faults import lines, start, wait_until

STATUS = ("--status", "s")


def asked(folder: Path, *options: str) -> str:
    done = run_command(folder, *(options or STATUS))
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def test_a_running_study_tells_its_counts_rate_and_workers(
    sweep_to_kill: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, arguments = sweep_to_kill
    study = tmp_path / "results" / "s"
    process = start(tmp_path, [*arguments, "--trials", "400"], tmp_path / "log")
    try:
        wait_until(lambda: lines(study / "trials.csv") > 4 and b'"ended": 0' not in beat(study), process)
        os.kill(process.pid, signal.SIGSTOP)  # so that what it says stands still
        said = asked(tmp_path)
        assert re.search(r"study 's' in \S+/results/s: [1-9]\d* of 1,20\d trials \(\d+ %\)", said), said
        assert f"(process {process.pid}), 2 workers, " in said
        assert re.search(r"2 workers alive, [\d,]+ trials an hour; about .* left", said), said
        assert asked(tmp_path / "results", "--status", str(study)) == said, "from anywhere"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    said = asked(tmp_path)
    assert "has ended without a word" in said and "workers alive" not in said


def beat(study: Path) -> bytes:
    try:
        return (study / ".running.json").read_bytes()
    except OSError:
        return b'"ended": 0'


def test_a_study_that_is_done_is_not_running(study: Path, tmp_path: Path) -> None:
    said = asked(study)
    assert "6 of 6 trials (100 %)" in said and said.splitlines()[1:] == ["not running"]
    assert not list((study / "results" / "s").glob(".running*"))


def test_a_sweep_on_another_machine_is_alive_as_long_as_it_beats(sweep: Command, tmp_path: Path) -> None:
    assert sweep("--shard", "2/3").returncode == 0
    file = tmp_path / "results" / "s" / "shards" / "2-of-3" / ".running.json"
    now = time.time()
    far = {"host": "node7", "pid": 1, "workers": 4, "since": now - 100, "at": now, "ended": 10}
    file.write_text(json.dumps(far))
    said = sweep(*STATUS, small=False, serial=False).stdout
    assert "2 of 6 trials" in said and "shard 2-of-3: 2 of 2 trials (100 %); running on node7" in said
    assert "4 workers alive, 360 trials an hour; about 1 min left" in said
    file.write_text(json.dumps({**far, "at": now - LATE - 60, "since": now - LATE - 200}))
    assert "ended without a word, 2 min ago" in sweep(*STATUS, small=False, serial=False).stdout
    file.write_text("{")  # no beat that can be read is none
    assert "not running" in sweep(*STATUS, small=False, serial=False).stdout


def test_a_study_that_is_not_there_is_told(sweep: Command, tmp_path: Path) -> None:
    done = sweep("--status", "nothing", small=False, serial=False)
    assert done.returncode == 2 and "there is no study 'nothing'" in done.stderr
    assert not (tmp_path / "results").exists()


def test_it_locks_nothing(sweep: Command, study: Path, tmp_path: Path) -> None:
    """A disk that is mounted for reading alone will do."""
    before = {file: file.stat().st_mtime_ns for file in (study / "results").rglob("*")}
    asked(study)
    assert {file: file.stat().st_mtime_ns for file in (study / "results").rglob("*")} == before
