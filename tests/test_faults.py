"""Real faults: processes are killed and stopped, disks are full; the study comes out as if nothing had been.

`python -m pytest -m fault` runs this; each promise of docs/reliability.md has its test here or in test_views.py.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from ablate.storage.tables import TIME_COLUMNS, StudyTables
from tests.conftest import ROOT, sweep_arguments
from tests.test_views import expected, mlflow_trials

pytestmark = [pytest.mark.fault, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

KILLS = 150  # of parents and of workers
LONGEST = 600  # seconds; nothing here hangs


def start(folder: Path, arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "run_sweep.py"), *arguments]
    with log.open("ab") as output:
        return subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)


def workers_of(parent: int) -> list[int]:
    """The processes that a sweep has started, save Python's own tracker of resources."""
    children = []
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children += [int(pid) for pid in task.read_text().split()]

    def command(pid: int) -> str:
        try:
            return Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            return ""

    return [pid for pid in children if "spawn_main" in command(pid)]


def assert_same_study(one: Path, other: Path) -> None:
    for table in ("trials", "curves", "replicates"):
        a, b = (
            getattr(StudyTables(folder / "s"), table)().drop(columns=TIME_COLUMNS, errors="ignore")
            for folder in (one, other)
        )
        pd.testing.assert_frame_equal(a, b, check_exact=True)


def assert_views_are_equal_to_the_tables(results: Path) -> None:
    import optuna

    assert mlflow_trials(results) == expected(results)
    trials = StudyTables(results / "s").trials()
    backend = optuna.storages.journal.JournalFileBackend(str(results / "s" / "optuna.journal"))
    storage = optuna.storages.JournalStorage(backend)
    for (task, variant), rows in trials.groupby(["task", "variant"]):
        held = optuna.load_study(study_name=f"s/{task}/{variant}", storage=storage).get_trials()
        values = {trial.user_attrs["index"]: trial.value for trial in held}
        assert values == dict(zip(rows["index"], rows["validation"], strict=True))


@pytest.fixture(scope="module")
def sweep_to_kill(tmp_path_factory: pytest.TempPathFactory, small_music: Path) -> tuple[Path, list[str]]:
    """A short sweep that ran undisturbed: its results, and the arguments that make it in any folder."""
    folder = tmp_path_factory.mktemp("undisturbed")
    arguments = [*sweep_arguments(folder, small_music), "--jobs", "2", "--trials", "20", "--controls", "1"]
    arguments += ["--confirm", "1"]
    done = start(folder, arguments, folder / "log")
    assert done.wait(LONGEST) == 0, (folder / "log").read_text()
    return folder / "results", arguments


def test_killed_at_random_moments_a_sweep_comes_out_equal(
    sweep_to_kill: tuple[Path, list[str]], tmp_path: Path
) -> None:
    """kill -9 of the parent and of workers; the same command again each time; then all views equal the tables."""
    undisturbed, arguments = sweep_to_kill
    chance, log, kills, rounds = random.Random(0), tmp_path / "log", 0, 0
    while kills < KILLS:
        rounds += 1
        assert rounds < 4 * KILLS, "most kills come too late"
        if kills % 10 == 9:  # nothing else is left to disturb
            shutil.rmtree(tmp_path / "results", ignore_errors=True)
        sweep = start(tmp_path, arguments, log)
        time.sleep(chance.choice((0.5, 3.0, 6.0)) * chance.random() + chance.random())
        for _ in range(chance.randrange(3)):
            if victims := workers_of(sweep.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(victims), signal.SIGKILL)
                    kills += 1
                time.sleep(0.3 * chance.random())
        if sweep.poll() is None and chance.random() < 0.8:
            sweep.kill()
            kills += 1
        sweep.wait(LONGEST)
    for _ in range(3):  # a trial whose worker was killed has failed, and is tried again
        if start(tmp_path, arguments, log).wait(LONGEST) == 0:
            break
    assert b"Traceback" not in log.read_bytes()
    assert_same_study(tmp_path / "results", undisturbed)
    assert_views_are_equal_to_the_tables(tmp_path / "results")


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=False)
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("room", [0, 8, 40, 2000])
def test_a_full_disk_is_told_in_one_line_and_the_sweep_goes_on_after_it(
    sweep_to_kill: tuple[Path, list[str]], tmp_path: Path, room: int
) -> None:
    """With so many KiB left: at the start, at the first trials, later."""
    undisturbed, arguments = sweep_to_kill
    disk, log = tmp_path / "disk", tmp_path / "log"
    with small_disk(disk, "30m"):
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            while stream.write(bytes(4096)):
                pass
        with ballast.open("r+b") as stream:
            stream.truncate(max(0, ballast.stat().st_size - room * 1024))
        sweep = start(tmp_path, [*arguments, "--results", str(disk / "results")], log)
        code, said = sweep.wait(LONGEST), log.read_text()
        assert "Traceback" not in said
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        if code:
            assert code == 3 and len(errors) == 1 and "No space left on device" in errors[0]
        ballast.unlink()
        again = [*arguments, "--results", str(disk / "results")]
        assert start(tmp_path, again, log).wait(LONGEST) == 0, log.read_text()
        assert_same_study(disk / "results", undisturbed)
        assert_views_are_equal_to_the_tables(disk / "results")


def test_a_stopped_worker_is_replaced(sweep_to_kill: tuple[Path, list[str]], tmp_path: Path) -> None:
    undisturbed, arguments = sweep_to_kill
    sweep = start(tmp_path, [*arguments, "--trial-timeout", "5"], tmp_path / "log")
    end = time.monotonic() + LONGEST
    tables = StudyTables(tmp_path / "results" / "s")
    while tables.trials().empty and time.monotonic() < end:
        time.sleep(0.05)
    stopped = workers_of(sweep.pid)[:1]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    assert sweep.wait(LONGEST) == 0 and stopped
    assert not Path(f"/proc/{stopped[0]}").exists()
    assert_same_study(tmp_path / "results", undisturbed)


def test_a_trial_that_takes_too_long_fails_with_its_reason(small_music: Path, tmp_path: Path) -> None:
    arguments = [*sweep_arguments(tmp_path, small_music), "--jobs", "2", "--trial-timeout", "0.2", "--trials", "2"]
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import time\nimport torch\nimport ablate\n\n\nclass Slow(torch.nn.Module):\n"
        "    def __init__(self, M, N):\n        super().__init__()\n        self.cell = torch.nn.RNNCell(M, N)\n\n"
        "    def forward(self, x, y):\n        time.sleep(0.05)\n        return self.cell(x, y)\n\n\n"
        "ablate.module_variant('slow', Slow)\n"
    )
    arguments[arguments.index("--variants") + 1] = "slow"
    sweep = start(tmp_path, [*arguments, "--variants-from", str(slow)], tmp_path / "log")
    assert sweep.wait(LONGEST) == 1, (tmp_path / "log").read_text()
    trials = StudyTables(tmp_path / "results" / "s").trials()
    assert set(trials["state"]) == {"failed"} and len(trials) == 2
    assert trials["reason"].str.startswith("took longer than its limit of 0 s, twice").all()


def test_two_first_starts_at_once(sweep_to_kill: tuple[Path, list[str]], tmp_path: Path) -> None:
    """Two studies in one new results folder: both make its MLflow database."""
    _, arguments = sweep_to_kill
    names = ("s", "t")
    commands = [[*arguments, "--trials", "1", "--controls", "0", "--confirm", "0", "--study", name] for name in names]
    sweeps = [start(tmp_path, command, tmp_path / "log") for command in commands]
    assert [sweep.wait(LONGEST) for sweep in sweeps] == [0, 0], (tmp_path / "log").read_text()
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'results' / 'mlflow.db'}")
    assert {each.name for each in client.search_experiments()} == {"Default", *names}
    assert "cannot be written" not in (tmp_path / "log").read_text()
