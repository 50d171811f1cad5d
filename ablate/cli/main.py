"""The command line: what the user asks for, and how it ends.

Heavy libraries are imported where they are needed, so that --help, --list, --describe and --dry-run answer at once.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import re
import shlex
import signal
import sys
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn

from ablate.__about__ import __version__
from ablate.credentials import masked
from ablate.errors import StorageError, UserError

RENAMED_OPTIONS = {"--engine": "--backend", "--executor": "--launcher"}
MODES = ("dry_run", "list", "describe", "report_only", "merge", "status", "verify", "compare")  # instead of a sweep
NAMES_OPTIONS = ("--variants", "--tasks", "--redo")

EXIT_FAILED, EXIT_USAGE, EXIT_STORAGE, EXIT_INTERRUPTED = 1, 2, 3, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        for old, new in RENAMED_OPTIONS.items():
            if re.search(rf"{old}\b", message):
                raise UserError(f"{old} is now called {new}")
        raise UserError(f"{message} (see --help)")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 complete, 1 some trials failed, 2 bad usage or input, 3 a disk."""
    words = sys.argv[1:] if arguments is None else arguments
    if arguments is None:
        atexit.register(gc.freeze)  # else Python looks through a million objects before it ends, which takes seconds
    try:
        return _run(_parsed(words), words)
    except UserError as error:
        print(f"error: {masked(str(error))}", file=sys.stderr)
        return EXIT_STORAGE if isinstance(error, StorageError) else EXIT_USAGE
    except KeyboardInterrupt as stop:
        if arguments is None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process is ending; nothing comes after its last line
        opened = type(stop) is not KeyboardInterrupt  # SweepInterrupted, whose module may not have been imported yet
        command = _resume_command(words) if opened else shlex.join([*_program(), *words])
        sys.stdout.flush()
        print(f"\ninterrupted; what is finished is kept. Go on with: {masked(command)}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def make_parser() -> argparse.ArgumentParser:
    """All that the command understands."""
    parser = _Parser(
        prog=_program()[-1],
        description="Ablate recurrent cells: random search over tasks for each variant, with statistics and figures.",
        epilog="The same command again finishes what is missing. Exit codes: 0 complete, 1 some trials failed, "
        "2 bad usage or input, 3 a disk that cannot be written, 130 interrupted.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,  # so that no other word is --fresh or --redo, which the command that goes on leaves out
    )
    study = parser.add_argument_group("the study")
    study.add_argument("--variants", metavar="NAMES", help="'all', a group ('greff' is the nine) or names, with commas")
    study.add_argument("--variants-from", action="append", metavar="FILE", help="a Python file with your own variants")
    study.add_argument("--tasks", metavar="NAMES", help="'default', 'all' or names, with commas")
    study.add_argument("--tasks-from", action="append", metavar="FILE", help="a Python file with your own tasks")
    study.add_argument("--trials", type=int, metavar="N", help="trials per task and variant, in total")
    study.add_argument(
        "--hours", type=float, metavar="H", help="of training, instead of a number of trials: as many as these allow"
    )
    study.add_argument("--minutes", type=float, metavar="M", help="the same in minutes")
    study.add_argument(
        "--preset", metavar="NAME", help="'default' (ten minutes), 'paper' (Greff's), 'smoke' (a minute)"
    )
    study.add_argument("--config", type=Path, metavar="FILE", help="a TOML file; the command line goes over it")
    study.add_argument(
        "--reference", metavar="NAME", help="the variant that all others are compared with; V by default"
    )
    study.add_argument(
        "--controls", type=int, metavar="K", help="replicates of the reference at every index, as negative controls"
    )
    study.add_argument(
        "--confirm", type=int, metavar="K", help="replicates of each variant's best setting, after the search"
    )
    study.add_argument(
        "--confirm-variants", metavar="NAMES", help="the variants that --confirm trains anew; all by default"
    )
    study.add_argument(
        "--match",
        metavar="WHAT",
        help="'parameters': at each draw the hidden size at which a variant has as many as the reference; or 'none'",
    )
    study.add_argument("--shard", metavar="i/n", help="of the indices every n-th, from the i-th on; see --merge")
    study.add_argument("--seed", type=int, metavar="N", help="the study's seed, which all draws come from")
    study.add_argument(
        "--data",
        action="append",
        metavar="TASK=PATH",
        help="your own copy of a task's data; own=FILE makes any .npz, .csv or .parquet a task",
    )
    where = parser.add_argument_group("where and how")
    where.add_argument("--study", metavar="NAME", help="the folder under results/; the preset's name by default")
    where.add_argument("--fresh", action="store_true", help="start the study anew: its old results are deleted")
    where.add_argument("--redo", metavar="NAMES", help="drop the study's trials of these variants, and train them anew")
    where.add_argument(
        "--full",
        action="store_true",
        help="a report with importance, minutes more; a sweep of 50 trials a variant or more does so anyway",
    )
    where.add_argument("--results", metavar="DIR", help="the folder of all studies; results by default")
    where.add_argument(
        "--jobs", type=int, metavar="N", help="worker processes, one thread each; one a core by default, or if 0"
    )
    where.add_argument("--backend", metavar="NAME", help="'auto', 'cpu' (compiled kernels) or 'reference'")
    where.add_argument(
        "--launcher",
        metavar="NAME",
        help="'local' (worker processes), 'serial' (this process, for a debugger), 'ray' or 'slurm' (a cluster)",
    )
    where.add_argument(
        "--address", metavar="A", help="with ray: of the cluster's head, such as 10.0.0.1:6379; else this machine alone"
    )
    where.add_argument("--shards", type=int, metavar="N", help="with slurm: tasks of --jobs cores, 1 by default")
    where.add_argument(
        "--sbatch", metavar="OPTIONS", help="with slurm: more options of sbatch, such as '--time=4:00:00 --mem=4G'"
    )
    where.add_argument(
        "--trial-timeout", type=float, metavar="SECONDS", help="when a trial is given up; by those that ended if 0"
    )
    where.add_argument("--tracking-uri", metavar="URI", help="an MLflow server instead of results/mlflow.db")
    where.add_argument(
        "--log-trials", metavar="WHICH", help="the trials that become runs in MLflow: 'all', 'best' or 'none'"
    )
    where.add_argument("--storage", metavar="URL", help="an Optuna database instead of the study's journal file")
    instead = parser.add_argument_group("instead of a sweep").add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true", help="print the plan with its draws and the time it needs")
    instead.add_argument("--list", action="store_true", help="list variants, tasks and presets")
    instead.add_argument("--describe", metavar="NAME", help="a variant's equations and weights, or a task's data")
    instead.add_argument("--report-only", action="store_true", help="rebuild report and MLflow from a study's tables")
    instead.add_argument("--merge", action="store_true", help="put a study's shards together, and report it")
    instead.add_argument("--status", metavar="STUDY", help="how far a study is: counts, rates, workers, time left")
    instead.add_argument(
        "--verify", nargs="+", metavar=("STUDY", "N"), help="train N random trials of a study again (5), and compare"
    )
    instead.add_argument(
        "--compare", nargs="+", metavar="STUDY", help="set studies side by side: names under results/, or their folders"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}", help="print the version")
    return parser


def _program() -> list[str]:
    """How the command was called: by its own name, or as the script of a clone."""
    return ["ablate"] if Path(sys.argv[0]).stem == "ablate" else ["python", "run_sweep.py"]


def _run(options: argparse.Namespace, words: list[str]) -> int:
    given = vars(options)
    modes = {name: given.pop(name, None) for name in MODES}
    fresh, full, file = given.pop("fresh", False), given.pop("full", False), given.pop("config", None)
    from ablate.plan.config_file import load_config, split_names

    redo = split_names(given.pop("redo", ""))
    if fresh and redo:
        raise UserError("--fresh trains everything anew; leave out --redo")
    if "data" in given:
        given["data"] = _data(given["data"])
    _take_hours(given)
    config = load_config(file, given)
    from ablate.plan.config import LOCAL, RAY, SLURM

    for name, launcher in (("shards", SLURM), ("sbatch", SLURM), ("address", RAY)):
        if name in given and config.launcher != launcher:
            raise UserError(f"--{name} is of --launcher {launcher}; add that, or leave it out")
    if modes["list"] or modes["describe"]:
        from ablate.cli import describe as catalogue
        from ablate.definitions.loading import load_variants

        for path in config.variants_from:
            load_variants(path)
        print(catalogue.describe(modes["describe"], config) if modes["describe"] else catalogue.listing())
        return 0
    if modes["report_only"] or modes["merge"]:
        return _report_only(config, full, shards=bool(modes["merge"]))
    if modes["status"]:
        from ablate.execution.status import status
        from ablate.storage.folder import find_study

        print("\n".join(status(find_study(Path(config.results), modes["status"]))))
        return 0
    if modes["verify"] is not None:
        return _verify(config, *modes["verify"])
    if modes["compare"]:
        return _compare(Path(config.results), modes["compare"])
    from ablate.plan.study_plan import make_plan

    plan = make_plan(config)
    if config.launcher == SLURM:
        if fresh or redo:
            raise UserError(f"--launcher slurm goes on with a study: leave out {'--fresh' if fresh else '--redo'}")
        return _submit(plan, words, show=bool(modes["dry_run"]))
    if modes["dry_run"]:
        from ablate.cli import describe as catalogue

        if config.match != "none":  # by data alone is it known how many parameters a network has
            from ablate.data.load import read_sizes

            plan = read_sizes(plan)
        if config.hours:
            print(catalogue.dry_run_of_hours(plan))
            return 0
        print(catalogue.dry_run(plan), flush=True)
        print(catalogue.time_estimate(plan))
        return 0
    from ablate.execution.processes import end_server, prepare_environment, process_context

    prepare_environment()
    if config.launcher == LOCAL:
        with suppress(OSError):  # of a full disk, which is told when the study is opened
            process_context()  # its server imports what workers need while this process imports the rest
        atexit.register(end_server)
    from ablate.execution.sweep import run_study

    failed = run_study(plan, fresh=fresh, command=shlex.join([*_program(), *words]), redo=redo, full=full)
    if failed:
        print(
            f"{failed} trials failed; see {config.folder}/failures. To try them again: {masked(_resume_command(words))}"
        )
    if not (config.tracking_uri or config.shard):
        from ablate.storage.folder import sqlite_address

        address = shlex.quote(sqlite_address(Path(config.results) / "mlflow.db"))
        print(f"MLflow: mlflow ui --backend-store-uri {address}")
    return EXIT_FAILED if failed else 0


def _submit(plan: Any, words: list[str], show: bool) -> int:
    from ablate.execution.slurm import scripts, submit

    program = [sys.executable, str(Path(sys.argv[0]).resolve())]
    words = [word for word in words if word != "--dry-run"]
    if show:
        for name, text in scripts(plan, program, words).items():
            print(f"# {name}\n{text}")
    else:
        submit(plan, program, words, print)
    return 0


def _report_only(config: Any, full: bool, shards: bool) -> int:
    from ablate.execution.sweep import rebuild
    from ablate.storage.folder import StudyFolder

    rebuild(StudyFolder(Path(config.results), config.study_name), config, full, shards=shards)
    return 0


def _verify(config: Any, study: str, number: str = "5", *more: str) -> int:
    from ablate.execution.verification import TOLERANCE, verify_study
    from ablate.storage.folder import find_study

    if more or not (number.isdecimal() and int(number)):
        raise UserError(f"--verify {' '.join([study, number, *more])}: give a study and a number of trials")
    found = verify_study(find_study(Path(config.results), study), int(number), config.jobs)
    for difference in found.differences:
        print(difference)
    for trial, epochs in found.in_part.items():
        over = f"agrees up to epoch {epochs}, after which" if epochs else "cannot be compared, since"
        print(f"{trial}: {over} rounding moves it: here a learning rate changed by a millionth does too")
    how = "to the last bit" if found.exact else f"to {TOLERANCE:g}, on another processor or with other libraries"
    wrong = len({difference.partition(":")[0] for difference in found.differences})
    compared = len(found.trials) - sum(not epochs for epochs in found.in_part.values())
    if wrong:
        print(f"{wrong} of {len(found.trials)} trials are not what the study says, compared {how}")
        return EXIT_FAILED
    if not compared:
        print("nothing is verified: on another processor rounding alone moves each of these trials; give more of them")
        return EXIT_FAILED
    print(f"verified: {compared} of the study's trials, trained again, agree with it {how}")
    return 0


def _compare(results: Path, names: list[str]) -> int:
    from ablate.api.compare import compare
    from ablate.storage.folder import find_study

    # With commas or with spaces.
    studies = [name for word in names for name in word.split(",") if name]
    folders = [find_study(results, name).path for name in studies]
    output = results / f"compare-{'-'.join(folder.name for folder in folders)}"
    compare(*folders, output=output)
    print(f"comparison: {output / 'index.html'}")
    return 0


def _parsed(words: list[str]) -> argparse.Namespace:
    """The options. Names that follow one another with spaces are told to take commas."""
    parser = make_parser()
    if "--sbatch" in words[:-1]:  # whose value is options, which look to the parser like this command's own
        place = words.index("--sbatch")
        words = [*words[:place], f"--sbatch={words[place + 1]}", *words[place + 2 :]]
    options, rest = parser.parse_known_args(words)
    for place, option in enumerate(words if rest else ()):
        names = list(takewhile(lambda word: not word.startswith("-"), words[place + 1 :]))
        if option in NAMES_OPTIONS and len(names) > 1:
            joined = ",".join(name.strip(",") for name in names)
            raise UserError(f"{option} takes names with commas and no spaces: {option} {joined}")
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options


def _data(words: list[str]) -> dict[str, str]:
    """`--data TASK=PATH`, which may be given for several tasks."""
    paths = {}
    for word in words:
        task, equals, path = word.partition("=")
        if not (task and equals and path):
            raise UserError(f"--data {word!r} is not of the form TASK=PATH")
        if task in paths:
            raise UserError(f"--data {task} is given twice, {paths[task]} and {path}; a study has one copy of each")
        paths[task] = path
    return paths


def _take_hours(given: dict[str, Any]) -> None:
    """`--hours H`, or `--minutes M` in its place."""
    for option in ("hours", "minutes"):
        if given.get(option, 1) <= 0:
            raise UserError(f"--{option} is {given[option]:g}; it must be above 0")
    if "minutes" in given:
        if "hours" in given:
            raise UserError("--hours and --minutes are the same budget; give one of them")
        given["hours"] = given.pop("minutes") / 60


def _resume_command(words: list[str]) -> str:
    """The command that goes on with this study: the same, but it must not train anew what it has."""
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if word not in ("--fresh", "--redo") and before != "--redo" and not word.startswith("--redo=")
    ]
    return shlex.join([*_program(), *kept])
