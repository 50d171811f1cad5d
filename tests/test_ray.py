"""A study on a real Ray cluster: a node that dies loses nothing; and what is said where there is no cluster."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ablate.errors import UserError
from ablate.execution.executor import make_executor
from ablate.testing.executors import example_plan
from tests.conftest import ROOT, Command
from tests.faults import assert_same_study, lines, start, wait_until
from tests.servers import free_port

TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # which clusters want by default
AUTHENTICATED = {**os.environ, **TOKEN}


@contextmanager
def ray_cluster(nodes: int) -> Iterator[tuple[str, list[int]]]:
    """A cluster of nodes of one CPU each: its address, and the processes of the nodes, the head first."""
    pytest.importorskip("ray", reason="needs Ray, the extra `ray`")
    ray = str(Path(sys.executable).with_name("ray"))
    address = f"127.0.0.1:{free_port()}"
    shared = ["--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats"]
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:  # whose sockets need a short path
        head = ["--head", f"--port={address.rpartition(':')[2]}", "--include-dashboard=false", f"--temp-dir={folder}"]
        found: list[int] = []
        try:
            for own in (head, *[[f"--address={address}"]] * (nodes - 1)):
                done = subprocess.run([ray, "start", *own, *shared], capture_output=True, text=True, env=AUTHENTICATED)
                assert done.returncode == 0, done.stdout + done.stderr
                found += [pid for pid in raylets(folder) if pid not in found]
            yield address, found
        finally:
            for pid in processes(folder):
                os.kill(pid, signal.SIGKILL)


def processes(folder: str) -> list[int]:
    """All processes whose command line has a folder."""
    done = subprocess.run(["pgrep", "-f", "--", folder], capture_output=True, text=True)
    return [int(pid) for pid in done.stdout.split()]


def raylets(folder: str) -> list[int]:
    return [pid for pid in processes(folder) if Path(f"/proc/{pid}/comm").read_text().strip() == "raylet"]


@pytest.mark.fault
def test_a_node_that_is_killed_loses_nothing(
    sweep_to_kill: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, arguments = sweep_to_kill
    table = tmp_path / "results" / "s" / "trials.csv"
    with ray_cluster(2) as (address, nodes):
        assert len(nodes) == 2
        own = ["--launcher", "ray", "--address", address, "--log-trials", "none"]
        refused = start(tmp_path, [*arguments, "--jobs", "0", *own], tmp_path / "refused")
        assert refused.wait(300) == 2 and "wants a token, set RAY_AUTH_MODE" in (tmp_path / "refused").read_text()
        for name, value in TOKEN.items():
            monkeypatch.setenv(name, value)
        sweep = start(tmp_path, [*arguments, "--jobs", "0", *own], tmp_path / "log")
        wait_until(lambda: lines(table) > 4, sweep)
        os.kill(nodes[1], signal.SIGKILL)
        before = lines(table)
        assert sweep.wait(300) == 0, (tmp_path / "log").read_text()
        assert before < lines(table)
    assert_same_study(tmp_path / "results", undisturbed)
    assert not (tmp_path / "results" / "s" / "failures").exists()


def test_a_study_on_a_ray_of_this_machine_is_that_of_its_workers(
    sweep_to_kill: tuple[Path, list[str]], tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="needs Ray, the extra `ray`")
    undisturbed, arguments = sweep_to_kill
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_sweep.py"), *arguments, "--launcher", "ray", "--log-trials", "none"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert_same_study(tmp_path / "results", undisturbed)


def refused(sweep: Command, *options: str) -> str:
    done = sweep(*options, serial=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_what_ray_cannot_do_is_told_in_a_line(sweep: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "--address is of --launcher ray" in refused(sweep, "--address", "127.0.0.1:1")
    assert "needs --jobs" in refused(sweep, "--launcher", "ray", "--hours", "1", "--jobs", "0")
    module = import_module("ablate.execution.executors.ray")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert "pip install 'ablate-rnn[ray]'" in refused(sweep, "--launcher", "ray")
    monkeypatch.setattr(module, "find_spec", lambda name: True)
    pytest.importorskip("ray", reason="needs Ray, the extra `ray`")
    address = f"127.0.0.1:{free_port()}"
    assert f"no Ray cluster answers at {address}" in refused(sweep, "--launcher", "ray", "--address", address)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("name", "version"), [("ablate", "0.0.1"), ("the numbers", "3")])
def test_workers_of_another_version_are_refused(name: str, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs Ray, the extra `ray`")
    module: Any = import_module("ablate.execution.executors.ray")
    monkeypatch.setitem(module.VERSIONS, name, version)
    plan = example_plan()
    executor = make_executor("ray", plan)
    try:
        with pytest.raises(UserError, match=f"of {name}, and {version} is needed") as told:
            list(executor.run(plan.trials()))
        assert "\n" not in str(told.value)
    finally:
        executor.stop()
