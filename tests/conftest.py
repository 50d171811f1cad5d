"""Fixtures: a small data set of our own, and the command run as a user runs it."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings

from ablate.cli.main import main
from ablate.definitions.task import TASKS
from ablate.execution.processes import limit_library_threads

ROOT = Path(__file__).parent.parent

# How long an example takes depends on what else the machine does.
settings.register_profile("ablate", deadline=None)
settings.load_profile("ablate")

limit_library_threads()  # as a worker does: pytest's own processes share the cores

# Parsed data and compiled kernels are kept between runs of the tests, and apart from the user's own.
os.environ.setdefault("ABLATE_CACHE", str(ROOT / ".pytest_cache" / "ablate"))


@pytest.fixture(scope="session")
def small_music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of short two-part pieces in the JSON format of the music task: a scale that the ear can predict."""
    generator = np.random.default_rng(0)

    def piece() -> list[list[int]]:
        start, length = int(generator.integers(50, 60)), int(generator.integers(6, 12))
        return [[start + step, start + step + 7] for step in range(length)]

    pieces = {split: [piece() for _ in range(count)] for split, count in (("train", 6), ("valid", 3), ("test", 3))}
    file = tmp_path_factory.mktemp("data") / "small.json"
    file.write_text(json.dumps(pieces), encoding="utf-8")
    return file


@pytest.fixture
def restored_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    TASKS.load()
    monkeypatch.setattr(TASKS, "_entries", dict(TASKS._entries))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache: nothing that another test has parsed is found."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("ABLATE_CACHE", str(cache))
    return cache


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path, small_music: Path) -> Command:
    """Run `python run_sweep.py` as a process of its own, with its results in the test's own folder.

    A small study takes the place of the defaults; options given to the call come after these, and so win.
    """

    def run(*options: str, small: bool = True) -> subprocess.CompletedProcess[str]:
        arguments = [*sweep_arguments(tmp_path, small_music), *options] if small else list(options)
        return run_command(tmp_path, *arguments)

    return run


@pytest.fixture
def sweep(tmp_path: Path, small_music: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """As `command`, but in this process, which spares the start of others: for all that is not about processes."""
    monkeypatch.chdir(tmp_path)

    def run(*options: str, small: bool = True, serial: bool = True) -> subprocess.CompletedProcess[str]:
        arguments = [*sweep_arguments(tmp_path, small_music), *options] if small else list(options)
        arguments += ["--launcher", "serial"] if serial else []
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of MLflow, when it is first imported
            code = main(arguments)
            for thread in threading.enumerate():  # left by an interrupt, with warnings that are no errors in here
                if thread.name.startswith("tracker "):
                    thread.join(60)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory, small_music: Path) -> Path:
    """A folder with results/s, a study that ran straight through on two workers, and said.txt, what it printed.

    It is made once for all processes of the tests, and never changed: a test that changes something copies it.
    """
    folder = shared_folder(tmp_path_factory) / "study"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "said.txt").exists():
            folder.mkdir(exist_ok=True)
            done = run_command(folder, *sweep_arguments(folder, small_music), "--jobs", "2")
            assert done.returncode == 0, done.stderr
            assert "Traceback" not in done.stderr
            (folder / "said.txt").write_text(done.stdout + done.stderr)
    return folder


@pytest.fixture(scope="session")
def sweep_to_kill(tmp_path_factory: pytest.TempPathFactory, small_music: Path) -> tuple[Path, list[str]]:
    """A short sweep that ran undisturbed: its results, and the arguments that make it in any folder."""
    folder = shared_folder(tmp_path_factory) / "undisturbed"
    data = shared_folder(tmp_path_factory) / "music.json"
    with FileLock(folder.with_suffix(".lock")):
        if not data.exists():
            shutil.copy(small_music, data)
        folder.mkdir(exist_ok=True)
        own = tmp_path_factory.mktemp("own")  # another process of the tests writes to none that is being read
        arguments = [*sweep_arguments(own, data), "--jobs", "2", "--trials", "20", "--controls", "1", "--confirm", "1"]
        if not (folder / "said.txt").exists():
            done = run_command(folder, *arguments)
            assert done.returncode == 0, done.stderr
            (folder / "said.txt").write_text(done.stdout + done.stderr)
    return folder / "results", arguments


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary folder of this run of the tests, the same for all of its processes."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def run_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python run_sweep.py` in a folder."""
    return subprocess.run(
        [sys.executable, str(ROOT / "run_sweep.py"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )


def sweep_arguments(folder: Path, data: Path) -> list[str]:
    config = folder / "small.toml"
    config.write_text(
        "controls = 0\nconfirm = 0\nconfirm_variants = ['all']\n\n"  # what tests of replicates ask for themselves
        "[training]\nepochs = 40\npatience = 40\nbatch_size = 2\n\n"  # long enough to be interrupted
        "[search]\nhidden_size = { low = 2, high = 6 }\nlearning_rate = { low = 1e-3, high = 1e-1 }\n",
        encoding="utf-8",
    )
    words = [
        "--config",
        str(config),
        "--tasks",
        "music",
        "--data",
        f"music={data}",
        "--variants",
        "V,SRN",
        "--trials",
        "3",
    ]
    return [*words, "--study", "s", "--jobs", "1"]
