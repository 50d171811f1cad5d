"""A study on a real Slurm: what its tasks suffer loses nothing; and what the command refuses without one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ablate
from tests.conftest import ROOT, Command
from tests.faults import assert_same_study, lines, wait_until
from tests.servers import slurm_cluster

SLURM = ("--launcher", "slurm", "--shards", "4")


@pytest.mark.fault
def test_an_array_that_is_cancelled_requeued_and_timed_out_gives_the_table_of_one_process(
    sweep_to_kill: tuple[Path, list[str]], tmp_path: Path
) -> None:
    undisturbed, arguments = sweep_to_kill
    shards = tmp_path / "results" / "s" / "shards"
    with slurm_cluster(tmp_path / "slurm") as environment:

        def run(*command: str) -> str:
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
            assert done.returncode == 0, done.stderr
            return done.stdout

        def submit() -> list[str]:
            """Which shards it says it has submitted, out of the script."""
            own = ["--jobs", "1", "--log-trials", "none", "--sbatch", "--comment='two words'"]
            run(sys.executable, str(ROOT / "run_sweep.py"), *arguments, *own, *SLURM)
            script = (shards / "array.sh").read_text()
            return script.partition("--array=")[2].partition("\n")[0].split(",")

        def queued() -> list[str]:
            return run("squeue", "--noheader", "--array", "--format=%i").split()

        assert submit() == ["1", "2", "3", "4"]
        array = json.loads((shards / "slurm.json").read_text())["array"]
        assert "Comment=two words" in run("scontrol", "show", "job", array)
        begun(shards, 1)
        run("scancel", f"{array}_1")
        begun(shards, 2)
        frozen = process_of(shards, 2)
        assert frozen, "it has ended already"
        os.kill(frozen, signal.SIGSTOP)
        run("scontrol", "update", f"JobId={array}_2", "TimeLimit=1")  # minutes, the shortest that there is
        begun(shards, 3)
        run("scontrol", "requeue", f"{array}_3")
        wait_until(lambda: not process_of(shards, 3))
        run("scontrol", "update", f"JobId={array}_3", "StartTime=now")  # and not in two minutes
        again = subprocess.run(
            [sys.executable, str(ROOT / "run_sweep.py"), *arguments, *SLURM],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert again.returncode == 2 and "has jobs in the queue" in again.stderr, again.stdout
        said = run(sys.executable, str(ROOT / "run_sweep.py"), "--status", "s")
        assert f"job {array}_2: running" in said and "(Dependency)" in said and "shard 2-of-4: " in said, said
        assert f"job {array}_1: cancelled (after " in said, said
        wait_until(lambda: not queued())
        wait_until(lambda: not Path(f"/proc/{frozen}").exists())
        said = run(sys.executable, str(ROOT / "run_sweep.py"), "--status", "s")
        assert re.search(rf"job {array}_2: timeout \(after \S+ of 00:01:00, exit code ", said), said
        assert not (tmp_path / "results" / "s" / "trials.csv").exists(), "a report of half a study"

        assert submit() == ["1", "2"]
        wait_until(lambda: not queued())
    assert_same_study(tmp_path / "results", undisturbed)
    assert (tmp_path / "results" / "s" / "report" / "index.html").exists()


def begun(shards: Path, number: int) -> None:
    """Wait until a shard has a trial."""
    wait_until(lambda: lines(shards / f"{number}-of-4" / "trials.csv") > 1)


def process_of(shards: Path, number: int) -> int:
    """The process that runs a shard; 0 if there is none."""
    found = subprocess.run(["pgrep", "-f", "--", f"run_sweep.py.*--shard {number}/4"], capture_output=True, text=True)
    here = str(shards.parents[2])
    for pid in map(int, found.stdout.split()):
        try:
            if str(Path(f"/proc/{pid}/cwd").readlink()) == here:
                return pid
        except OSError:
            continue
    return 0


def test_the_scripts_are_shown_without_slurm(sweep: Command, tmp_path: Path) -> None:
    """And nothing is written."""
    shown = sweep("--jobs", "3", *SLURM, "--sbatch", "--time=10 --comment='two words'", "--dry-run", serial=False)
    assert shown.returncode == 0, shown.stderr
    array, report = shown.stdout.split("# report.sh")
    for line in ("#SBATCH --array=1,2,3,4", "#SBATCH --cpus-per-task=3", "#SBATCH '--comment=two words'"):
        assert f"{line}\n" in array
    assert '--shard "$SLURM_ARRAY_TASK_ID/4"' in array and "--shard" not in report and "--array" not in report
    assert not any(word in array.partition("cd ")[2] for word in ("--shards", "--sbatch", "slurm ", "--dry-run"))
    for script in (array.partition("\n")[2], report):
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    assert not (tmp_path / "results").exists()


def test_a_script_is_told_that_slurm_takes_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ablate.UserError, match="slurm submits a command"):
        ablate.run(tasks="adding", trials=1, launcher="slurm", shards=2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--launcher", "slurm"), "--launcher slurm needs --shards N"),
        ((*SLURM, "--fresh"), "leave out --fresh"),
        ((*SLURM, "--redo", "V"), "leave out --redo"),
        ((*SLURM, "--shard", "1/4"), "leave out --shard"),
        ((*SLURM, "--hours", "1"), "--launcher slurm needs a number of trials"),
        (("--shards", "4"), "--shards is of --launcher slurm"),
        (("--launcher", "slrum"), "launcher is 'slrum'; known: local"),
        ((*SLURM, "--sbatch", "--comment='two"), "--sbatch: No closing quotation"),
        (SLURM, "needs sbatch, which is not on this machine"),
    ],
)
def test_what_slurm_cannot_do_is_told_in_a_line(
    options: tuple[str, ...], said: str, sweep: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = sweep(*options, serial=False)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "results").exists()
