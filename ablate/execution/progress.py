"""What a sweep shows while it runs: a live table on a terminal, and in a notebook with ipywidgets; else plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ablate.credentials import masked
from ablate.execution.processes import interrupts_held_back
from ablate.plan.random_streams import TrialId

PLAIN_EVERY = 10.0  # seconds between plain lines
_Place = tuple[str, str, str]  # task, variant, and for replicates what they are for
FEWEST = 5  # trials that must have ended before the time left is told


@dataclass
class _TrialCounts:
    total: int = 0
    done: int = 0
    failed: int = 0
    diverged: int = 0
    best: float | None = None  # validation
    better: Callable[..., float] = min

    def add(self, state: str, validation: float | None) -> None:
        self.done += 1
        self.failed += state == "failed"
        self.diverged += state == "diverged"
        if validation is not None and validation == validation:
            self.best = validation if self.best is None else self.better(self.best, validation)

    def table_cells(self) -> list[str]:
        best = "" if self.best is None else f"{self.best:.3f}"
        return [self.number(), str(self.failed or ""), str(self.diverged or ""), best]

    def number(self) -> str:
        """Those done of all, where it is known how many these are."""
        return f"{self.done}/{self.total}" if self.total else f"{self.done}"

    def summary(self) -> str:
        parts = [self.number()]
        parts += [f"{count} {what}" for count, what in ((self.failed, "failed"), (self.diverged, "diverged")) if count]
        return ", ".join(parts + ([f"best {self.best:.3f}"] if self.best is not None else []))


class ProgressDisplay:
    """The progress of a study: counts by task and variant, best validation score, time left.

    Use it as a context; `print_line` prints a line above the display, `add` counts a finished trial.
    """

    def __init__(
        self,
        trials: list[TrialId],
        directions: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
        stream: Any = None,
    ) -> None:
        """Args: directions: by task, `maximize` where a higher score is better; units: of the score, by task."""
        self._console = Console(file=stream or sys.stdout, highlight=False, soft_wrap=True)
        self._directions = directions or {}
        self._counts = self._rows_of(trials)
        tasks = dict.fromkeys(trial.task for trial in trials)
        better = {task: "higher" if self._directions.get(task) == "maximize" else "lower" for task in tasks}
        self._scores = {task: f"{(units or {}).get(task, 'score')}, {better[task]} is better" for task in tasks}
        self._waiting = ""  # for what, until the first trial has ended
        one = next(iter(self._counts.values()), _TrialCounts())
        self._all = _TrialCounts(total=len(trials), better=one.better)  # its best is only shown where there is one task
        self._live: Live | None = None
        self._first_end = self._last_line = time.monotonic()
        self._ran = 0
        self._spent: Callable[[], str] | None = None  # of a budget in time

    def __enter__(self) -> ProgressDisplay:
        if self._console.is_terminal or (self._console.is_jupyter and find_spec("ipywidgets")):
            self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=2, transient=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting = ""
        with interrupts_held_back():  # or the table would go on being drawn, below the last word of the command
            if self._live:
                self._live.stop()
                self._live = None
            elif self._ran:
                self._line()

    def wait_for(self, what: str) -> None:
        """Say what is being done before the first trial can end, such as the start of the workers."""
        self._waiting, self._first_end = what, time.monotonic()
        if not self._live:
            self.print_line(f"{what} ...")

    def print_line(self, text: str) -> None:
        """Print a line; it stays when the display moves on."""
        self._console.print(masked(text), markup=False)

    def step(self, what: str, done: int, total: int) -> None:
        """ProgressDisplay of a preparation, such as the parsing of a data set."""
        if self._live or done in (0, total) or time.monotonic() - self._last_line > PLAIN_EVERY:
            self._last_line = time.monotonic()
            end = "\r" if self._console.is_terminal and done < total else "\n"
            self._console.print(f"{what}: {done}/{total}", end=end, markup=False)

    def _rows_of(self, trials: list[TrialId]) -> dict[_Place, _TrialCounts]:
        rows: dict[_Place, _TrialCounts] = {}
        for trial in trials:
            better = max if self._directions.get(trial.task) == "maximize" else min
            rows.setdefault(_place(trial), _TrialCounts(better=better)).total += 1
        return rows

    def expect(self, purpose: str, trials: list[TrialId]) -> None:
        """Count these in the place of those of this purpose that were given before, of which none has ended yet."""
        others = {place: count for place, count in self._counts.items() if place[2] != purpose}
        self._counts = others | self._rows_of(trials)  # at once, since the display reads it from a thread of its own
        if not self._spent:
            self._all.total = sum(count.total for count in self._counts.values())

    def count_time(self, spent: Callable[[], str]) -> None:
        """Show what is spent of a budget in time, in words, in the place of numbers of trials that nobody knows yet."""
        self._spent, self._all.total = spent, 0
        for count in self._counts.values():
            count.total = 0

    def add_earlier(self, trial: TrialId, state: str, validation: float | None) -> None:
        """Count a trial that an earlier run of the command has finished."""
        self._counts[_place(trial)].add(state, validation)
        # Scores of different tasks do not compare, so that a total of several has no best.
        self._all.add(state, validation if len({task for task, *_ in self._counts}) == 1 else None)

    def add(self, trial: TrialId, state: str, validation: float | None) -> None:
        """Count a trial that has just ended."""
        self.add_earlier(trial, state, validation)
        first = not self._ran
        if first:
            self._first_end, self._waiting = time.monotonic(), ""
        self._ran += 1
        if not self._live and (first or time.monotonic() - self._last_line > PLAIN_EVERY):
            self._line()

    def _left(self) -> str:
        if self._spent:
            return self._spent()
        remaining = self._all.total - self._all.done
        if not remaining or self._ran < FEWEST:
            return ""
        # From the first end of a trial on: what came before it was the start of the workers.
        seconds = (time.monotonic() - self._first_end) / (self._ran - 1) * remaining
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"about {hours} h {minutes} min left" if hours else f"about {max(minutes, 1)} min left"

    def _line(self) -> None:
        self._last_line = time.monotonic()
        summary = self._all.summary()
        if self._all.best is not None:  # of one task alone
            summary += f" {next(iter(self._scores.values()))}"
        self._console.print("; ".join(part for part in (summary, self._left()) if part), markup=False)

    def _draw(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for name, justify in (("task", "left"), ("variant", "left"), ("trials", "right")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        for name in ("failed", "diverged", "best validation"):
            table.add_column(name, justify="right")
        for (task, variant, purpose), count in self._shown():
            table.add_row(task, f"{variant} {purpose}".rstrip(), *count.table_cells())
        left = self._left()
        if self._waiting:
            left = f"{self._waiting} ({time.monotonic() - self._first_end:.0f} s)"
        scores = [Text(f"{task}, {score}") for task, score in self._scores.items()]
        return Group(*scores, table, Text(f"{self._all.summary()}  {left}"))

    def _shown(self) -> list[tuple[_Place, _TrialCounts]]:
        """Every row, or, where the terminal is too small for them, every task."""
        if len(self._counts) <= self._console.size.height - 5 - len(self._scores):
            return list(self._counts.items())
        by_task: dict[_Place, _TrialCounts] = {}
        for (task, *_), count in self._counts.items():
            total = by_task.setdefault((task, "all", ""), _TrialCounts(better=count.better))
            for name in ("total", "done", "failed", "diverged"):
                setattr(total, name, getattr(total, name) + getattr(count, name))
            bests = [best for best in (total.best, count.best) if best is not None]
            total.best = count.better(bests) if bests else None
        return list(by_task.items())


def _place(trial: TrialId) -> _Place:
    """The row in which a trial is counted: each control stands beside the variants, as one more of them."""
    purpose = {"search": "", "control": f"control {trial.replicate}"}.get(trial.purpose, trial.purpose)
    return trial.task, trial.variant, purpose
