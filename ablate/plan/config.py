"""The configuration of a study: all that the command can be told."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablate.cell.backend import BACKENDS
from ablate.errors import UserError
from ablate.plan.matching import MATCHES, NONE
from ablate.plan.search_space import GREFF_SEARCH_SPACE, Choice, Entry, Range
from ablate.plan.shard import parse_shard
from ablate.plan.training_config import TrainingConfig, require

LOG_TRIALS = ("all", "best", "none")
DRAWS = ("random", "sobol")
DEFAULT_REFERENCE = "V"
LOCAL, SERIAL, RAY = "local", "serial", "ray"  # launchers that are executors
SLURM = "slurm"  # the launcher that submits the command in the place of running it
RESERVED = ("mlflow.db", "mlartifacts")  # beside the folders of studies
LONGEST_NAME = 200  # bytes; with what is put before and after it a file system takes it


@dataclass(frozen=True)
class Config:
    """All that the command can be told."""

    variants: tuple[str, ...] = ("all",)  # names and groups
    variants_from: tuple[str, ...] = ()  # Python files that register the user's own
    tasks: tuple[str, ...] = ("default",)  # names and groups
    tasks_from: tuple[str, ...] = ()  # Python files that register the user's own
    trials: int = 200  # per task and variant, in total; 0: as many as `hours` allow
    hours: float = 0.0  # of training on all workers, for all that the study has; 0: no limit
    reference: str = ""  # the variant that all others are compared with; the study's, V in a new one, if empty
    controls: int = 0  # replicates of the reference at every index, as negative controls
    confirm: int = (
        0  # replicates of each variant's best setting once the search has ended; of the reference twice as many
    )
    confirm_variants: tuple[str, ...] = ("all",)  # whose: names and groups; the reference is always among them
    paired: bool = True  # at one index all variants share their draws
    match: str = NONE  # or "parameters": at each draw as many as the reference has at the size drawn
    draws: str = "random"  # of hyperparameters; or "sobol", which fill the space evenly: for importance and pictures
    seed: int = 0  # of the study, which all draws come from
    study: str = ""  # the folder under results/; the preset's name if empty
    shard: str = ""  # i/n: of the indices every n-th, from the i-th on, into a folder of its own
    jobs: int = 0  # worker processes, one thread each; 0: one a core
    backend: str = "auto"  # "cpu", compiled kernels; "reference"; or "auto", the fastest that runs the variant
    launcher: str = "local"  # where trials run: worker processes; `serial`, this process; `ray` or `slurm`, a cluster
    address: str = ""  # with `ray`: of the cluster; this machine alone if empty
    shards: int = 0  # with `slurm`: the tasks of its job array
    sbatch: str = ""  # with `slurm`: more options of sbatch
    trial_timeout: float = 0.0  # seconds after which a trial's worker counts as stuck; generous, by ended trials, if 0
    tracking_uri: str = ""  # an MLflow server; the SQLite database under results/ if empty
    log_trials: str = "all"  # which trials become runs in MLflow: all, best (of each task and variant) or none
    equivalence_margin: float = 0.01  # what does not matter: a share of the way from the baseline to a perfect score
    storage: str = ""  # an Optuna database; the journal file of the study if empty
    results: str = "results"  # the folder of all studies
    data: dict[str, str] = field(default_factory=dict)  # the user's own copies, by task
    preset: str = "default"  # what the file and the command line go over
    training: TrainingConfig = field(default_factory=TrainingConfig)  # [training]: how a network is trained
    search: dict[str, Entry] = field(
        default_factory=lambda: dict(GREFF_SEARCH_SPACE)
    )  # [search]: what is drawn, or one value for all trials
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # by task: of its data, or in training's place

    def __post_init__(self) -> None:
        require("hours", self.hours, self.hours >= 0, "above 0 (0: no limit)")
        require("trials", self.trials, self.trials >= (0 if self.hours else 1), "at least 1")
        require("controls", self.controls, self.controls >= 0, "at least 0")
        require("confirm", self.confirm, self.confirm >= 0, "at least 0")
        require("match", repr(self.match), self.match in MATCHES, " or ".join(map(repr, MATCHES)))
        require("draws", repr(self.draws), self.draws in DRAWS, " or ".join(map(repr, DRAWS)))
        require("seed", self.seed, self.seed >= 0, "at least 0")
        require("equivalence_margin", self.equivalence_margin, self.equivalence_margin > 0, "above 0")
        require("trial_timeout", self.trial_timeout, self.trial_timeout >= 0, "at least 0 (0: by the ended trials)")
        if parse_shard(self.shard) and self.hours:
            raise UserError("a shard has a number of trials: give it --trials in the place of --hours")
        require("jobs", self.jobs, self.jobs >= 0, "at least 0 (0: one a core)")
        require("shards", self.shards, self.shards >= 0, "at least 1")
        if self.launcher == RAY and self.hours and not self.jobs:
            raise UserError("--hours with --launcher ray needs --jobs: how many trials the cluster trains at once")
        if self.launcher == SLURM:
            _check_array(self)
        require("log_trials", self.log_trials, self.log_trials in LOG_TRIALS, f"one of {', '.join(LOG_TRIALS)}")
        backends = ("auto", *BACKENDS)
        if self.backend not in backends:
            raise UserError(f"backend is {self.backend!r}; known: {', '.join(backends)}")
        try:
            object.__setattr__(self, "results", str(Path(self.results).expanduser()))
        except RuntimeError as error:
            raise UserError(f"results folder {self.results}: {error}; write the path out") from None
        _check_study_name(self.study, self.results)
        for name in (self.study, self.results, *self.variants_from, *self.tasks_from, *self.data.values()):
            # Bytes of a file's name that are no UTF-8 come as halves of characters, which no file can hold.
            if any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in name):
                raise UserError(f"{name!r} is not a name in UTF-8, or holds a control character; rename it")

    @property
    def study_name(self) -> str:
        return self.study or self.preset

    @property
    def folder(self) -> Path:
        return Path(self.results) / self.study_name

    @property
    def workers(self) -> int:
        return self.jobs or cores()

    def identity(self, tasks: Collection[str]) -> dict[str, Any]:
        """What the numbers of trials of these tasks depend on, flat; configurations that agree here make one study."""
        return {
            "seed": self.seed,
            "paired": self.paired,
            "draws": self.draws,
            "match": self.match if self.match == NONE else f"{self.match} of {self.reference or DEFAULT_REFERENCE}",
            "backend": self.backend,  # backends agree, but not to the last bit
            **{f"training.{key}": value for key, value in dataclasses.asdict(self.training).items()},
            **{f"search.{key}": entry for key, entry in self.search.items()},
            **{
                f"settings.{task}.{key}": value
                for task, own in self.settings.items()
                if task in tasks
                for key, value in own.items()
            },
        }

    def extended_by(self, other: Config) -> Config:
        """Another configuration of the same study, with what this one asks for besides."""

        def union(key: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys([*getattr(self, key), *getattr(other, key)]))

        lists = {key: union(key) for key in ("variants", "tasks", "variants_from", "tasks_from")}
        return dataclasses.replace(other, **lists, data={**self.data, **other.data})

    def to_toml(self) -> dict[str, Any]:
        """The configuration as a table that `--config` reads back."""
        table = dataclasses.asdict(self)
        table["search"] = {key: _plain(entry) for key, entry in self.search.items()}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}


def _check_array(config: Config) -> None:
    """Refuse what cannot be split into the tasks of a job array."""
    if config.shard:
        raise UserError("--launcher slurm submits all shards, by --shards N; leave out --shard")
    if config.hours:
        raise UserError("--launcher slurm needs a number of trials: give --trials in the place of --hours")
    if not config.shards:
        raise UserError("--launcher slurm needs --shards N: into how many tasks the study is split")
    try:
        shlex.split(config.sbatch)
    except ValueError as error:
        raise UserError(f"--sbatch: {error} in {config.sbatch!r}") from None


def _check_study_name(name: str, results: str) -> None:
    place = f"the plain name of a folder under {results}/"
    if name != Path(name).name or name.startswith("."):
        raise UserError(f"study is {name!r}; it must be {place}")
    if name in RESERVED:
        raise UserError(f"study is {name!r}, which holds what MLflow keeps there; choose another name")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise UserError(f"study is a name of {len(name)} letters; it must be {place}, of {LONGEST_NAME} bytes at most")


def cores() -> int:
    """The cores that this process may use: by its affinity, and by the quota of its control group."""
    from joblib import cpu_count  # knows of both; slow to import

    return cpu_count()


def _plain(entry: Entry) -> Any:
    if isinstance(entry, Range):
        return {"low": entry.low, "high": entry.high, "scale": entry.scale}
    if isinstance(entry, Choice):
        return list(entry.values)
    return entry
