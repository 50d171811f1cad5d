"""How far a study is: what its tables hold, its shards, the sweeps that run it, and its jobs in a queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ablate.errors import UserError
from ablate.execution.heartbeat import Beat, last_beat
from ablate.execution.shards import shards_of
from ablate.execution.slurm import broken_off, queue
from ablate.plan.confirmation import most_confirmation_trials
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import make_plan
from ablate.storage.folder import StudyFolder
from ablate.storage.tables import ENDED, trial_id

SHOWN = 12  # shards or jobs, each on a line


@dataclass(frozen=True)
class Status:
    """How far a study, or a shard of one, is."""

    name: str
    states: dict[TrialId, str]  # of its trials, by the tables
    wanted: int  # trials by its plan; 0 where time is the limit
    beat: Beat | None

    def line(self) -> str:
        """In a line: counts, and the sweep that runs it."""
        return f"{self.name}: {_counts(self.states, self.wanted)}; {_told(self.beat)}"


def status(folder: StudyFolder) -> list[str]:
    """The lines that tell how far a study is; nothing is locked, changed or trained.

    Raises:
        UserError: there is no such study, or its files are damaged.
    """
    shards = shards_of(folder)
    if not folder.exists and not shards:
        raise UserError(folder.missing())
    config = replace((folder if folder.exists else shards[0]).config(), shard="")
    plan = make_plan(config)
    wanted = 0 if config.hours else len(plan.trials()) + len(most_confirmation_trials(plan))
    whole = Status(folder.name, _states(folder), wanted, last_beat(folder))
    parts = [_of_shard(shard) for shard in shards]
    states = dict(whole.states)
    for part in parts:
        states |= {trial: state for trial, state in part.states.items() if states.get(trial) not in ENDED}
    return [
        f"study {folder.name!r} in {folder.path.resolve()}: {_counts(states, wanted)}",
        *_sweeps(whole, parts),
        *_time_left(states, wanted, [part.beat for part in (whole, *parts)]),
        *_jobs(folder),
    ]


def _of_shard(shard: StudyFolder) -> Status:
    return Status(f"shard {shard.name}", _states(shard), len(make_plan(shard.config()).trials()), last_beat(shard))


def _states(folder: StudyFolder) -> dict[TrialId, str]:
    return {trial_id(row): row["state"] for row in folder.tables.trial_rows()} if folder.exists else {}


def _counts(states: dict[TrialId, str], wanted: int) -> str:
    """`40 of 120 trials (33 %), 2 failed`, of which failed ones are to be tried again."""
    by_state = Counter(states.values())
    ended = sum(by_state[state] for state in ENDED)
    number = (
        f"{ended:,} of {wanted:,} trials ({ended / wanted:.0%})".replace("%", " %") if wanted else f"{ended:,} trials"
    )
    return ", ".join([number, *(f"{by_state[state]} {state}" for state in ("failed", "diverged") if by_state[state])])


def _told(beat: Beat | None) -> str:
    if beat is None:
        return "not running"
    where = f"on {beat.host} (process {beat.pid})"
    if not beat.alive:
        return f"its sweep {where} has ended without a word, {_duration(beat.age)} ago; the same command goes on"
    rate = f", {3600 * beat.rate:,.0f} trials an hour" if beat.ended else ""
    return f"running {where}, {beat.workers} worker{'s' if beat.workers != 1 else ''}{rate}"


def _sweeps(whole: Status, parts: list[Status]) -> Iterator[str]:
    if whole.beat or not parts:
        yield _told(whole.beat)
    # Those that run come first, since a study may have hundreds.
    ordered = sorted(parts, key=lambda part: (part.beat is None, not (part.beat and part.beat.alive)))
    yield from (part.line() for part in ordered[:SHOWN])
    if len(ordered) > SHOWN:
        yield f"and {len(ordered) - SHOWN} more shards"


def _time_left(states: dict[TrialId, str], wanted: int, beats: list[Beat | None]) -> Iterator[str]:
    alive = [beat for beat in beats if beat and beat.alive]
    if not alive:
        return
    rate = sum(beat.rate for beat in alive)
    workers = sum(beat.workers for beat in alive)
    left = wanted - sum(state in ENDED for state in states.values())
    ends = f"; about {_duration(left / rate)} left" if rate and wanted and left > 0 else ""
    yield f"{workers} workers alive, {3600 * rate:,.0f} trials an hour{ends}"


def _jobs(folder: StudyFolder) -> Iterator[str]:
    try:
        jobs = [*queue(folder), *broken_off(folder)]
    except UserError as error:  # the rest is true without it
        yield str(error)
        return
    yield from (f"job {job.name}: {job.state.lower()} {job.why}" for job in jobs[:SHOWN])
    if len(jobs) > SHOWN:
        yield f"and {len(jobs) - SHOWN} more jobs"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 48 * 60:
        return f"{minutes / 60 / 24:.0f} days"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(minutes, 1)} min"
