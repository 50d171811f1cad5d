"""Run a study from Python, or read one."""

from __future__ import annotations

import multiprocessing
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from ablate.api.study import Study
from ablate.errors import UserError
from ablate.execution.sweep import run_study
from ablate.plan.config_file import load_config, split_names
from ablate.plan.study_plan import make_plan
from ablate.storage.folder import StudyFolder

Names = str | Sequence[str]  # "V,GRU" or ["V", "GRU"]


class StudyOptions(TypedDict, total=False):
    """What `run` takes beside the rest: the options of the command, by the same names."""

    variants: Names
    variants_from: str | Path | Sequence[str | Path]
    tasks: Names
    tasks_from: str | Path | Sequence[str | Path]
    trials: int
    hours: float
    reference: str
    controls: int
    confirm: int
    confirm_variants: Names
    paired: bool
    match: str
    draws: str
    seed: int
    study: str
    shard: str
    jobs: int
    backend: str
    launcher: str
    address: str
    shards: int
    sbatch: str
    trial_timeout: float
    tracking_uri: str
    log_trials: str
    equivalence_margin: float
    storage: str
    results: str | Path
    data: Mapping[str, str | Path]
    preset: str
    training: Mapping[str, Any]
    search: Mapping[str, Any]
    settings: Mapping[str, Mapping[str, Any]]


def run(
    *,
    fresh: bool = False,
    redo: Names = (),
    full: bool = False,
    config: str | Path | None = None,
    **options: Unpack[StudyOptions],
) -> Study:
    """Run a study, or finish what is missing of it, and report it: what `python run_sweep.py` does.

        study = ablate.run(variants="greff", tasks="music", trials=20, study="s")
        study = ablate.run(variants=["V", "mine"], training={"epochs": 10}, search={"hidden_size": 50})

    Variants of a notebook or script, which no worker process could import, run in this process, one trial after the
    other. A script that runs a study on worker processes does so under `if __name__ == "__main__":`.

    Args:
        fresh: start the study anew; its old results are deleted.
        redo: variants whose trials are deleted and trained anew, such as those whose equations have changed.
        full: report importance as well, which takes minutes; 50 trials a variant or more have it anyway.
        config: a TOML file, over which the options go.
        **options: as those of the command, see README and `python run_sweep.py --help`; an option that is left out is
            as the preset says. `training`, `search` and `settings` are nested as in a TOML file.

    Returns:
        The study, with all trials that it has by now; failed ones are told, and tried again by the next call.

    Raises:
        UserError: bad options or data, or a study of this name that was made otherwise; nothing was written.
        KeyboardInterrupt: what is finished is kept, and the same call goes on.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself asks
        # Written here, since a process that was forked from a server prints no reason of its exit.
        reason = 'a worker process has reached ablate.run: in a script, call it under `if __name__ == "__main__":`'
        print(reason, file=sys.stderr, flush=True)
        sys.exit(1)
    given = {key: _plain(value) for key, value in options.items()}
    words = [f"{key}={value!r}" for key, value in given.items()] + ["fresh=True"] * fresh
    try:
        if fresh and redo:
            raise UserError("--fresh trains everything anew; leave out --redo")
        plan = make_plan(load_config(Path(config) if config else None, given, "ablate.run"))
        command = f"ablate.run({', '.join(words)})"
        failed = run_study(plan, fresh=fresh, command=command, redo=split_names(redo), full=full)
    except UserError as error:
        raise UserError(_as_python(str(error))) from error.__cause__
    if failed:
        print(f"{failed} trials failed; see {plan.config.folder}/failures. The same call tries them again.")
    return Study(StudyFolder(Path(plan.config.results), plan.config.study_name))


def load(path: str | Path) -> Study:
    """A study that was run before.

        study = ablate.load("results/example")

    Args:
        path: its folder.

    Raises:
        UserError: there is no study in this folder.
    """
    place = Path(path).expanduser()
    folder = StudyFolder(place.parent, place.name)
    if not folder.exists:
        raise UserError(folder.missing())
    return Study(folder)


def _plain(value: Any) -> Any:
    """Paths as texts, everything else as it is."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _as_python(message: str) -> str:
    """A message that names options of the command, with the names that they have here."""
    message = re.sub(r"--redo ([^\s:;]+)", r"redo='\1'", message.replace("--fresh", "fresh=True"))
    return re.sub(r"--([a-z]+(?:-[a-z]+)*)", lambda found: found[1].replace("-", "_"), message)
