"""What a sweep shows while it runs: on a terminal a table, elsewhere lines."""

from __future__ import annotations

import io

from rich.console import Console

from ablate.execution.progress import ProgressDisplay
from ablate.plan.random_streams import TrialId

TRIALS = [TrialId(task, variant, index) for task in ("music", "parity") for variant in ("V", "NP") for index in (0, 1)]
DIRECTIONS, UNITS = {"parity": "maximize"}, {"music": "nats per frame", "parity": "% right"}


def test_lines_say_what_is_waited_for_and_the_first_trial_at_once() -> None:
    said = io.StringIO()
    display = ProgressDisplay(TRIALS[:4], DIRECTIONS, UNITS, said)
    with display:
        display.wait_for("starting 2 workers")
        display.add(TRIALS[0], "completed", 9.5)
        display.add(TRIALS[1], "completed", 8.5)
        assert said.getvalue().splitlines() == [
            "starting 2 workers ...",
            "1/4, best 9.500 nats per frame, lower is better",
        ]
    assert said.getvalue().splitlines()[-1] == "2/4, best 8.500 nats per frame, lower is better"


def test_the_table_says_units_directions_and_what_is_waited_for() -> None:
    display = ProgressDisplay(TRIALS, DIRECTIONS, UNITS, io.StringIO())
    display.wait_for("starting 2 workers")

    def drawn() -> str:
        page = Console(file=io.StringIO(), width=100)
        page.print(display._draw())
        return page.file.getvalue()  # type: ignore[attr-defined]

    before = drawn()
    assert "music, nats per frame, lower is better\nparity, % right, higher is better\n" in before
    assert "0/8  starting 2 workers (0 s)" in before
    display.add(TRIALS[4], "completed", 70.0)
    display.add(TRIALS[5], "completed", 60.0)
    after = drawn()
    assert "starting" not in after and "70.000" in after and "60.000" not in after, "the best is the highest"


def test_a_budget_in_time_is_shown_in_the_place_of_a_number_that_nobody_knows() -> None:
    said = io.StringIO()
    display = ProgressDisplay(TRIALS[:2], DIRECTIONS, UNITS, said)
    display.count_time(lambda: "0.1 of 0.2 h")
    with display:
        display.add(TRIALS[0], "completed", 9.5)
        assert said.getvalue() == "1, best 9.500 nats per frame, lower is better; 0.1 of 0.2 h\n"
        again = TrialId("music", "V", 0, "confirmation", 1)
        display.expect("confirmation", [again])
        display.add(again, "completed", 9.0)
    assert said.getvalue().splitlines()[-1] == "2, best 9.000 nats per frame, lower is better; 0.1 of 0.2 h"
