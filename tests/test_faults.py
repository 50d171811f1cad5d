"""Full disks, stopped workers, endless trials, two starts at once: the study comes out as if nothing had been."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ablate.errors import UserError
from ablate.execution.spread import in_processes
from ablate.storage.tables import StudyTables
from tests.conftest import sweep_arguments
from tests.faults import (
    LONGEST,
    assert_same_study,
    assert_views_are_equal_to_the_tables,
    killed,
    lines,
    servers_of,
    square_once_killed,
    start,
    wait_until,
    workers_of,
)

pytestmark = [pytest.mark.fault, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


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


def test_workers_that_are_killed_while_they_start_are_replaced(
    sweep_to_kill: tuple[Path, list[str]], tmp_path: Path
) -> None:
    """As by a system that is short of memory: they had no trial yet, so nothing fails."""
    undisturbed, arguments = sweep_to_kill
    sweep = start(tmp_path, arguments, tmp_path / "log")
    wait_until(lambda: len(workers_of(sweep.pid)) == 2, sweep)
    for pid in workers_of(sweep.pid):
        os.kill(pid, signal.SIGKILL)
    assert sweep.wait(LONGEST) == 0, (tmp_path / "log").read_text()
    assert_same_study(tmp_path / "results", undisturbed)


def test_the_server_of_processes_can_be_killed(sweep_to_kill: tuple[Path, list[str]], tmp_path: Path) -> None:
    """Its workers go on, and another one forks those that come after."""
    undisturbed, arguments = sweep_to_kill
    sweep = start(tmp_path, arguments, tmp_path / "log")
    wait_until(lambda: lines(tmp_path / "results" / "s" / "trials.csv") > 1, sweep)
    (server,) = servers_of(sweep.pid)
    victims = workers_of(sweep.pid)[:1]
    for pid in (server, *victims):
        os.kill(pid, signal.SIGKILL)
    assert sweep.wait(LONGEST) in (0, 1) and victims  # 1: the trial of the killed worker has failed
    assert start(tmp_path, arguments, tmp_path / "log").wait(LONGEST) == 0, (tmp_path / "log").read_text()
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


def test_what_killed_processes_have_not_computed_for_the_report_others_compute(tmp_path: Path) -> None:
    inputs = [{"number": number, "flag": str(tmp_path / "flag")} for number in range(5)]
    compute = in_processes(2, lambda *_: None)
    assert dict(compute(square_once_killed, inputs)) == {number: number**2 for number in range(5)}
    with pytest.raises(UserError, match="were killed 3 times"):
        dict(compute(killed, [{"number": 1}, {"number": 2}]))
