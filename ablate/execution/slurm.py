"""Submits a study to Slurm: a job array over its shards, and a job after it that merges, confirms and reports.

It needs Slurm's own commands, and a results folder that all nodes see. Accounting may be absent. A shard resumes by its
tables, so a task that was requeued, cancelled or over its time limit loses no more than the trials that it was in.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablate.errors import UserError, storage_errors
from ablate.execution.preparation import check_plan, prepare, with_reference
from ablate.execution.processes import prepare_environment
from ablate.execution.progress import ProgressDisplay
from ablate.execution.shards import folder_of, shards_of
from ablate.plan.shard import Shard
from ablate.plan.study_plan import StudyPlan
from ablate.storage.folder import SHARDS, StudyFolder, write_text
from ablate.storage.tables import ENDED, trial_id

ARRAY, REPORT = "array.sh", "report.sh"  # the scripts, in the folder of the study's shards
_JOBS = "slurm.json"  # the ids of the jobs that were submitted last
_OWN_OPTIONS = ("--launcher", "--shards", "--sbatch", "--jobs")  # not of the command that a job runs
_COMMANDS = ("sbatch", "squeue", "scontrol")
_BROKEN_OFF = ("BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT")


@dataclass(frozen=True)
class Task:
    """A job of a study, or a task of its array, that Slurm knows of."""

    name: str  # 12_3 for the third of array 12
    state: str  # as Slurm says it: PENDING, RUNNING, ...
    why: str  # it waits, or the nodes that it is on; or how long it ran


def submit(plan: StudyPlan, program: Sequence[str], words: Sequence[str], print_line: Callable[[str], None]) -> None:
    """Submit what is missing of a study.

    Args:
        program: how this command was called, such as `python run_sweep.py`, by full paths.
        words: its arguments.
        print_line: prints a line.

    Raises:
        UserError: bad data, no Slurm, jobs of this study that are there still, or a job that Slurm refuses.
    """
    prepare_environment()
    if missing := [name for name in _COMMANDS if not shutil.which(name)]:
        raise UserError(
            f"--launcher slurm needs {missing[0]}, which is not on this machine: give the command where jobs are "
            "submitted, or see the scripts by --dry-run"
        )
    folder = folder_of(plan.config)
    plan = with_reference(plan, folder)
    check_plan(plan, folder)
    if there := queue(folder):
        raise UserError(
            f"study {folder.name!r} has jobs in the queue: {', '.join(each.name for each in there[:4])}"
            f"{' and more' if len(there) > 4 else ''}. Wait for them (--status {folder.name}), or scancel them"
        )
    prepare(plan, ProgressDisplay([]).step)  # so that no node loads data, and bad ones are told now
    shards = incomplete(plan, folder)
    with storage_errors(folder.path):
        place = folder.path / SHARDS
        (place / "logs").mkdir(parents=True, exist_ok=True)
        for name, text in scripts(plan, program, words, shards).items():
            write_text(place / name, text)
        jobs = {"array": _sbatch(place / ARRAY)} if shards else {}
        after = [f"--dependency=afterok:{jobs['array']}", "--kill-on-invalid-dep=yes"] if shards else []
        jobs["report"] = _sbatch(place / REPORT, *after)
        write_text(place / _JOBS, json.dumps(jobs))
    if shards:
        print_line(f"job {jobs['array']}: {len(shards)} of {plan.config.shards} shards, by {place / ARRAY}")
    print_line(
        f"job {jobs['report']}: merges, confirms and reports{' after that' if shards else ''}, by {place / REPORT}"
    )
    print_line(f"how far it is: --status {folder.name}. The same command submits again what has not come through")


def scripts(
    plan: StudyPlan, program: Sequence[str], words: Sequence[str], shards: Sequence[int] | None = None
) -> dict[str, str]:
    """The scripts that are submitted, by the names of their files.

    Args:
        shards: the numbers of those that are run; all if None.
    """
    config, folder = plan.config, folder_of(plan.config)
    number = _number_of_shards(plan, folder)
    command = shlex.join([*program, *_without_own(words), "--launcher", "local"])
    logs = str((folder.path / SHARDS / "logs").resolve()).replace("%", "%%")

    def script(name: str, log: str, line: str, *options: str) -> str:
        asked = [
            f"--job-name={shlex.quote(f'ablate-{folder.name}{name}')}",
            f"--cpus-per-task={config.jobs or 1}",
            f"--output={shlex.quote(f'{logs}/{log}.log')}",
            "--open-mode=append",
            "--requeue",
            *options,
            *map(shlex.quote, shlex.split(config.sbatch)),
        ]
        head = "\n".join(f"#SBATCH {option}" for option in asked)
        return f"#!/bin/bash\n{head}\ncd {shlex.quote(str(Path.cwd()))}\n{line}\n"

    jobs = '--jobs "$SLURM_CPUS_PER_TASK"'
    shard = f'--shard "$SLURM_ARRAY_TASK_ID/{number}"'
    # Exit code 1: some trials have failed, which the job that follows tries again and tells of.
    line = f"{command} {shard} {jobs} || [ $? -eq 1 ]"
    numbers = ",".join(map(str, shards or range(1, number + 1)))
    return {
        ARRAY: script("", "shard-%a", line, f"--array={numbers}"),
        REPORT: script("-report", "report", f"{command} {jobs}"),
    }


def incomplete(plan: StudyPlan, folder: StudyFolder) -> list[int]:
    """The numbers of the shards that have trials which have not ended.

    Raises:
        UserError: the study has shards of another number already.
    """
    shards = [Shard(each, _number_of_shards(plan, folder)) for each in range(1, plan.config.shards + 1)]
    there = [each for each in (folder, *shards_of(folder)) if each.exists]
    ended = {trial_id(row) for each in there for row in each.tables.trial_rows() if row["state"] in ENDED}
    missing = {trial.index for trial in plan.trials() if trial not in ended}
    return [shard.number for shard in shards if any(index in shard for index in missing)]


def queue(folder: StudyFolder) -> list[Task]:
    """The jobs of a study that wait or run; none where there is no Slurm.

    Raises:
        UserError: Slurm does not answer.
    """
    if not (jobs := _submitted(folder)):
        return []
    done = subprocess.run(
        ["squeue", "--noheader", "--array", f"--jobs={','.join(jobs)}", "--format=%i|%T|%R"],
        capture_output=True,
        text=True,
    )
    if done.returncode and "Invalid job id" not in done.stderr:  # jobs that ended long ago are forgotten
        raise UserError(f"squeue: {_last_line(done.stderr)}")
    return [Task(*line.split("|", 2)) for line in done.stdout.splitlines() if line.count("|") >= 2]


def broken_off(folder: StudyFolder) -> list[Task]:
    """The tasks that ended without coming through, as long as Slurm remembers them: minutes, without accounting."""
    found = []
    for job in _submitted(folder):
        done = subprocess.run(["scontrol", "--oneliner", "show", "job", job], capture_output=True, text=True)
        for line in done.stdout.splitlines():
            facts = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if (state := facts.get("JobState", "")) in _BROKEN_OFF:
                name = f"{job}_{facts['ArrayTaskId']}" if "ArrayTaskId" in facts else job
                why = f"after {facts.get('RunTime')} of {facts.get('TimeLimit')}, exit code {facts.get('ExitCode')}"
                found.append(Task(name, state, f"({why})"))
    return found


def _submitted(folder: StudyFolder) -> list[str]:
    """The ids of the jobs that were submitted last; none where there is no Slurm."""
    file = folder.path / SHARDS / _JOBS
    if not file.exists() or not all(map(shutil.which, _COMMANDS)):
        return []
    return list(json.loads(file.read_text(encoding="utf-8")).values())


def _number_of_shards(plan: StudyPlan, folder: StudyFolder) -> int:
    number = plan.config.shards
    there = shards_of(folder)
    of = int(there[0].name.rpartition("-")[2]) if there else number
    if of != number:
        raise UserError(
            f"study {folder.name!r} has shards of {of} already: give --shards {of}, or --merge them and take "
            f"{folder.path / SHARDS} away"
        )
    return number


def _without_own(words: Sequence[str]) -> list[str]:
    """Arguments without the options that say how jobs are submitted."""
    return [
        word
        for before, word in zip(["", *words], words, strict=False)
        if before not in _OWN_OPTIONS and word.partition("=")[0] not in _OWN_OPTIONS
    ]


def _sbatch(script: Path, *options: str) -> str:
    """The id of the job that Slurm makes of a script."""
    done = subprocess.run(["sbatch", "--parsable", *options, str(script)], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"sbatch refuses {script}: {_last_line(done.stderr)}")
    return done.stdout.strip().partition(";")[0]  # with the cluster's name behind, where there are several


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
