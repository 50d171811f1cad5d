"""MLflow's and PostgreSQL's servers stop, come back, or hang: the sweep ends in time, and the next start refills."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ablate.trackers.background import PATIENCE
from tests.faults import (
    LONGEST,
    assert_mlflow_is_equal_to_the_tables,
    assert_optuna_is_equal_to_the_tables,
    assert_same_study,
    lines,
    start,
    wait_until,
)
from tests.servers import Server, mlflow_server, postgresql_server

pytestmark = [pytest.mark.fault, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

AT_THE_END = 30.0  # seconds that a busy machine may take besides


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    with mlflow_server(tmp_path) as found:
        yield found


@pytest.fixture
def postgresql() -> Iterator[tuple[Server, str]]:
    with postgresql_server() as found:
        yield found


def told(log: Path, tracker: str) -> str:
    """The one line that tells of a tracker; whatever else is printed is what every sweep prints."""
    said = log.read_text().splitlines()
    assert "Traceback" not in log.read_text()
    (line,) = [line for line in said if tracker in line.lower() and not line.startswith("MLflow: ")]
    assert line.startswith(f"the {tracker} tracker ") and "writes what it lacks" in line
    return line


def ended_after_its_report(sweep: subprocess.Popen[bytes], results: Path) -> bool:
    """Wait for the end, which no server holds up for longer than the stated time."""
    wait_until((results / "s" / "report" / "index.html").exists, sweep)
    return sweep.wait(PATIENCE + AT_THE_END) == 0


def search_ended(results: Path) -> bool:
    return lines(results / "s" / "trials.csv") == 41


def test_an_mlflow_server_that_stops_in_mid_sweep_is_refilled_once_it_is_back(
    sweep_to_kill: tuple[Path, list[str]], mlflow: tuple[Server, str], tmp_path: Path
) -> None:
    undisturbed, arguments = sweep_to_kill
    server, uri = mlflow
    arguments, results = [*arguments, "--tracking-uri", uri], tmp_path / "results"
    sweep = start(tmp_path, arguments, tmp_path / "log")
    wait_until(lambda: lines(results / "s" / "trials.csv") > 5, sweep)
    server.stop()
    assert sweep.wait(LONGEST) == 0
    assert "the sweep goes on without it" in told(tmp_path / "log", "mlflow")
    assert_same_study(results, undisturbed)
    server.start()
    assert start(tmp_path, arguments, tmp_path / "again").wait(LONGEST) == 0
    assert "tracker" not in (tmp_path / "again").read_text()
    assert_mlflow_is_equal_to_the_tables(results, uri)


def test_a_frozen_mlflow_server_does_not_hold_the_end(
    sweep_to_kill: tuple[Path, list[str]], mlflow: tuple[Server, str], tmp_path: Path
) -> None:
    undisturbed, arguments = sweep_to_kill
    server, uri = mlflow
    arguments, results = [*arguments, "--tracking-uri", uri], tmp_path / "results"
    sweep = start(tmp_path, arguments, tmp_path / "log")
    wait_until(lambda: search_ended(results), sweep)
    server.freeze()
    assert ended_after_its_report(sweep, results)
    told(tmp_path / "log", "mlflow")
    assert_same_study(results, undisturbed)
    server.thaw()
    assert start(tmp_path, arguments, tmp_path / "again").wait(LONGEST) == 0
    assert "tracker" not in (tmp_path / "again").read_text()
    assert_mlflow_is_equal_to_the_tables(results, uri)


def test_an_interrupt_is_answered_while_mlflow_is_frozen_and_behind(
    sweep_to_kill: tuple[Path, list[str]], mlflow: tuple[Server, str], tmp_path: Path
) -> None:
    undisturbed, arguments = sweep_to_kill
    server, uri = mlflow
    arguments, results = [*arguments, "--tracking-uri", uri], tmp_path / "results"
    sweep = start(tmp_path, arguments, tmp_path / "log")
    wait_until(lambda: lines(results / "s" / "trials.csv") > 1, sweep)
    server.freeze()
    wait_until(lambda: lines(results / "s" / "trials.csv") > 20, sweep)
    began = time.monotonic()
    os.killpg(sweep.pid, signal.SIGINT)
    wait_until(lambda: "interrupted; what is finished is kept" in (tmp_path / "log").read_text(), sweep)
    answered = time.monotonic() - began
    assert sweep.wait(LONGEST) == 130
    ended = time.monotonic() - began
    assert answered < 2 and ended < 4, (answered, ended)
    assert "tracker" not in (tmp_path / "log").read_text()
    server.thaw()
    assert start(tmp_path, arguments, tmp_path / "again").wait(LONGEST) == 0
    assert_same_study(results, undisturbed)
    assert_mlflow_is_equal_to_the_tables(results, uri)


def test_a_frozen_postgresql_does_not_hold_the_end(
    sweep_to_kill: tuple[Path, list[str]], postgresql: tuple[Server, str], tmp_path: Path
) -> None:
    undisturbed, arguments = sweep_to_kill
    server, url = postgresql
    arguments, results = [*arguments, "--storage", url], tmp_path / "results"
    sweep = start(tmp_path, arguments, tmp_path / "log")
    wait_until(lambda: lines(results / "s" / "trials.csv") > 20, sweep)
    server.freeze()
    assert ended_after_its_report(sweep, results)
    told(tmp_path / "log", "optuna")
    assert_same_study(results, undisturbed)
    assert start(tmp_path, arguments, tmp_path / "frozen").wait(60) == 2
    assert "cannot be opened: " in (tmp_path / "frozen").read_text().splitlines()[-1]
    assert "Traceback" not in (tmp_path / "frozen").read_text()
    server.thaw()
    assert start(tmp_path, arguments, tmp_path / "again").wait(LONGEST) == 0
    assert "tracker" not in (tmp_path / "again").read_text()
    assert_mlflow_is_equal_to_the_tables(results)
    assert_optuna_is_equal_to_the_tables(results, url)


def test_ten_sweeps_at_once_share_one_mlflow_server_and_one_postgresql(
    sweep_to_kill: tuple[Path, list[str]],
    mlflow: tuple[Server, str],
    postgresql: tuple[Server, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both stores are empty, so that all ten make them at once; each sweep is told nothing but two addresses."""
    _, arguments = sweep_to_kill
    (_, uri), (_, storage) = mlflow, postgresql
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")  # eleven programs may share two cores here
    names = [f"s{number}" for number in range(10)]
    shared = [*arguments, "--tracking-uri", uri, "--storage", storage, "--launcher", "serial", "--trials", "4"]
    sweeps = [start(tmp_path, [*shared, "--study", name], tmp_path / name) for name in names]
    assert [sweep.wait(LONGEST) for sweep in sweeps] == [0] * 10
    for name in names:
        assert "tracker" not in (tmp_path / name).read_text(), (tmp_path / name).read_text()
        assert_mlflow_is_equal_to_the_tables(tmp_path / "results", uri, name)
        assert_optuna_is_equal_to_the_tables(tmp_path / "results", storage, name)
