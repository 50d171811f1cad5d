"""A budget in time: what it is spent on, where it cuts a study, and what is compared of one that it has cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ablate.analysis import AnalysisTables
from ablate.definitions.study_results import StudyResults
from ablate.definitions.whole_indices import only_whole_indices, whole_indices
from ablate.errors import UserError
from ablate.execution.time_budget import FAILURES, TimeBudget
from ablate.execution.trial_runner import TrialRunner
from ablate.plan.config_file import load_config, load_study_config
from ablate.plan.study_plan import StudyPlan, make_plan
from ablate.report.caveats import caveats
from ablate.storage.folder import StudyFolder
from ablate.storage.results import load_results
from ablate.storage.tables import MACHINE_COLUMNS, StudyTables
from ablate.testing.synthetic import synthetic_results
from tests.conftest import Command

SMALL = ("--preset", "smoke", "--tasks", "parity", "--variants", "V,SRN", "--study", "s", "--log-trials", "none")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, float]]:
    """Each trial takes as many seconds as its variant says, or one."""
    seconds: dict[str, float] = {}
    run = TrialRunner.run

    def timed(self: TrialRunner, trial: Any) -> Any:
        result = run(self, trial)
        if result.row["state"] != "failed":
            result.row["seconds"] = seconds.get(trial.variant, 1.0)
        return result

    monkeypatch.setattr(TrialRunner, "run", timed)
    yield seconds


def hours(seconds: float) -> str:
    return repr(seconds / 3600)


def study(tmp_path: Path, name: str = "s") -> StudyFolder:
    return StudyFolder(tmp_path / "results", name)


def rows(folder: StudyFolder) -> tuple[pd.DataFrame, pd.DataFrame]:
    return folder.tables.trials(), folder.tables.replicates()


def assert_same_tables(one: StudyFolder, other: StudyFolder) -> None:
    for a, b in zip(rows(one), rows(other), strict=True):
        pd.testing.assert_frame_equal(
            a.drop(columns=MACHINE_COLUMNS), b.drop(columns=MACHINE_COLUMNS), check_exact=True
        )


def plan_of(**options: Any) -> StudyPlan:
    given = {"preset": "smoke", "tasks": "parity", "variants": "V,SRN", "jobs": 2, "hours": 10 / 3600}
    return make_plan(load_config(None, given | options))


def row(variant: str, index: int, seconds: float | None, **more: Any) -> dict[str, Any]:
    known = {"task": "parity", "variant": variant, "index": index, "purpose": "search", "replicate": 0}
    return {**known, "state": "completed", "validation": 1.0, "seconds": seconds, **more}


# What is spent, and when it is enough.


def test_the_budget_is_hours_times_workers_and_the_tables_say_what_is_spent() -> None:
    budget = TimeBudget(plan_of(), [row("V", 0, 12.0), row("SRN", 0, 7.5)])
    assert (budget.seconds, budget.spent, budget.enough()) == (20.0, 19.5, False)
    budget.add(row("V", 0, 0.5, purpose="control", replicate=1))
    assert budget.enough()
    assert TimeBudget(plan_of(launcher="serial")).seconds == 10.0
    assert not TimeBudget(plan_of(hours=0.0), [row("V", 0, 1e9)]).enough()


def test_the_confirmation_is_part_of_the_time() -> None:
    """Two replicates of SRN's best and four of V's, each as long as the best has taken."""
    budget = TimeBudget(plan_of(confirm=2), [row("V", 0, 2.0), row("SRN", 0, 1.0)])
    assert (budget.spent, budget.enough()) == (3.0, False)  # and 2 + 8 set aside, of 20
    budget.add(row("V", 1, 3.5, validation=2.0))  # which is no better: lower scores are
    assert (budget.spent, budget.enough()) == (6.5, False)
    budget.add(row("V", 2, 3.0, validation=0.5))
    assert (budget.spent, budget.enough()) == (9.5, True)  # 2 + 12


def test_what_the_confirmation_did_not_take_does_not_go_to_the_search() -> None:
    """Else the same command would go on."""
    budget = TimeBudget(plan_of(confirm=2), [row("V", 0, 3.0), row("SRN", 0, 3.0)])
    assert budget.enough()  # 6 and 18
    for replicate in range(1, 5):
        budget.add(row("V", 0, 0.5, purpose="confirmation", replicate=replicate))
        budget.add(row("SRN", 0, 0.5, purpose="confirmation", replicate=replicate))
    assert budget.spent == 10.0 and budget.enough()


def test_a_study_in_which_every_trial_fails_ends() -> None:
    budget = TimeBudget(plan_of())
    for index in range(FAILURES):
        assert not budget.enough()
        budget.add(row("V", index, None, state="failed"))
    assert budget.enough() and budget.gave_up


# The configuration.


def test_hours_take_the_place_of_a_presets_trials_and_not_of_explicit_ones(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("trials = 7\n")
    assert load_config(None, {"preset": "smoke", "hours": 1}).trials == 0
    assert load_config(None, {"preset": "smoke"}).trials == 2
    assert load_config(file, {"hours": 1}).trials == 7
    assert load_config(None, {"hours": 1, "trials": 5}).trials == 5
    with pytest.raises(UserError, match="trials is 0; it must be at least 1"):
        load_config(None, {"trials": 0})


def test_hours_are_no_part_of_a_studys_identity() -> None:
    one, other = (load_config(None, {"hours": each}) for each in (1, 2))
    assert one.identity(["parity"]) == other.identity(["parity"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--hours", "0"], "--hours is 0; it must be above 0"),
        (["--minutes", "-3"], "--minutes is -3; it must be above 0"),
        (["--hours", "nan"], "hours is nan; it must be a number"),
        (["--hours", "soon"], "invalid float value: 'soon'"),
        (["--hours", "1", "--minutes", "5"], "--hours and --minutes are the same budget; give one of them"),
        (["--hours", "1e-9"], "is too short: 2 trials make one index"),
    ],
)
def test_a_bad_budget_is_refused(options: list[str], told: str, sweep: Command, tmp_path: Path) -> None:
    done = sweep(*SMALL, *options, small=False)
    assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()


# Whole indices.


def test_whole_indices_are_those_that_every_variant_and_control_has() -> None:
    def table(**counts: int) -> pd.DataFrame:
        found = [{"task": "t", "variant": name, "index": k} for name, count in counts.items() for k in range(count)]
        return pd.DataFrame(found, columns=["task", "variant", "index"])

    trials, none = table(V=3, GRU=2), pd.DataFrame()
    assert whole_indices(trials, none, ["t"], ["V", "GRU"]) == {"t": 2}
    assert whole_indices(trials, none, ["t", "u"], ["V"]) == {"t": 3, "u": 0}
    assert whole_indices(trials, none, ["t"], ["V", "GRU", "NP"]) == {"t": 0}  # which came later
    controls = table(V=1).assign(purpose="control", replicate=1)
    assert whole_indices(trials, controls, ["t"], ["V", "GRU"], "V", 1) == {"t": 1}
    assert whole_indices(trials, none, ["t"], ["GRU"], "V", 1) == {"t": 2}  # no reference, so no controls
    hole = trials.drop(trials.index[1])  # V has 0 and 2
    assert whole_indices(hole, none, ["t"], ["V"]) == {"t": 1}
    assert whole_indices(none, none, ["t"], ["V"]) == {"t": 0}


def cut_in_the_middle(results: StudyResults, whole: int) -> StudyResults:
    """The study with all of the whole indices, and the next for its first variant alone."""

    def cut(table: pd.DataFrame) -> pd.DataFrame:
        mine = table["index"].lt(whole) | (table["index"].eq(whole) & table["variant"].eq("V"))
        if "replicate" in table:
            mine &= table["index"].lt(whole)
        return table.loc[mine].reset_index(drop=True) if len(table) else table

    return StudyResults(
        **{
            **{name: getattr(results, name) for name in results.__dataclass_fields__},
            **{name: cut(getattr(results, name)) for name in ("trials", "curves", "samples", "replicates")},
            "configuration": {**results.configuration, "controls": 1, "hours": 1.0},
        }
    )


def test_a_cut_study_has_the_tables_of_one_with_its_whole_indices_and_says_what_is_left_out() -> None:
    full = synthetic_results(("jsb", "iam"), ("V", "NFG", "SRN"), trials=8, controls=1)
    cut = only_whole_indices(cut_in_the_middle(full, 7))
    for name in ("trials", "curves", "replicates"):
        table = getattr(full, name)
        pd.testing.assert_frame_equal(getattr(cut, name), table[table["index"] < 7].reset_index(drop=True))
    assert cut.expected_trials == 7 and cut.not_compared == {"jsb": 1, "iam": 1}
    tables = AnalysisTables(cut)
    said = [each for each in caveats(cut, tables) if "not compared" in each]
    assert len(said) == 1 and "1 on jsb, 1 on iam" in said[0]
    assert not [each for each in caveats(full, AnalysisTables(full)) if "not compared" in each]


# Whole studies, in which a trial takes a second.


def test_a_study_is_cut_where_its_time_ends_and_compares_whole_indices(sweep: Command, tmp_path: Path) -> None:
    done = sweep(*SMALL, "--hours", hours(13), "--controls", "1", "--confirm", "0", small=False)
    assert done.returncode == 0, done.stderr
    trials, replicates = rows(study(tmp_path))
    assert len(trials) == 9 and len(replicates) == 4  # four whole indices of three trials, and one trial more
    assert "4 indices of 1 task x 2 variants in 0.0036 h" in done.stdout
    assert "in four of five studies they find" in done.stdout and "at twice the hours" in done.stdout
    assert load_study_config(study(tmp_path).config_file).trials == 0

    again = sweep(*SMALL, "--hours", hours(13), "--controls", "1", "--confirm", "0", small=False)
    assert "is complete: 13 trials; nothing to train" in again.stdout

    straight = sweep(*SMALL, "--trials", "4", "--controls", "1", "--study", "straight", small=False)
    assert straight.returncode == 0
    mine, other = (load_results(study(tmp_path, name)) for name in ("s", "straight"))
    assert mine.not_compared == {"parity": 1} and mine.expected_trials == other.expected_trials == 4
    mine_tables, other_tables = AnalysisTables(mine), AnalysisTables(other)
    for name in ("comparisons", "boxes", "trial_counts", "planning", "control_rates", "across_tasks"):
        pd.testing.assert_frame_equal(mine_tables[name], other_tables[name], check_exact=True)
    assert "are not compared" in (study(tmp_path).path / "report" / "index.html").read_text()


def test_more_hours_go_on_and_equal_a_straight_run(sweep: Command, tmp_path: Path) -> None:
    assert sweep(*SMALL, "--hours", hours(3), small=False).returncode == 0
    assert len(rows(study(tmp_path))[0]) == 3
    more = sweep(*SMALL, "--minutes", repr(8 / 60), small=False)
    assert more.returncode == 0 and "3 trials are there already" in more.stdout
    assert sweep(*SMALL, "--trials", "4", "--study", "straight", small=False).returncode == 0
    assert_same_tables(study(tmp_path), study(tmp_path, "straight"))


def test_explicit_trials_end_a_study_before_its_time(sweep: Command, tmp_path: Path) -> None:
    done = sweep(*SMALL, "--hours", "1", "--trials", "1", "--confirm", "1", small=False)
    assert done.returncode == 0
    trials, replicates = rows(study(tmp_path))
    assert len(trials) == 2 and len(replicates) == 3
    again = sweep(*SMALL, "--hours", "1", "--trials", "1", "--confirm", "1", small=False)
    assert "is complete: 5 trials" in again.stdout


def test_the_confirmation_ends_within_the_time_and_confirms_what_is_compared(
    sweep: Command, tmp_path: Path, clock: dict[str, float]
) -> None:
    """Twelve seconds: three are set aside for the best settings, and the search has nine."""
    options = (*SMALL, "--hours", hours(12), "--confirm", "1")
    done = sweep(*options, small=False)
    assert done.returncode == 0
    trials, replicates = rows(study(tmp_path))
    assert len(trials) == 9 and len(replicates) == 3
    assert sum(trials["seconds"]) + sum(replicates["seconds"]) == 12
    assert max(replicates["index"]) < 4, "the fifth index is not whole"
    clock |= {"V": 0.5, "SRN": 0.5}  # were it asked again
    assert "is complete: 12 trials" in sweep(*options, small=False).stdout


def test_new_variants_catch_up_first(sweep: Command, tmp_path: Path) -> None:
    assert sweep(*SMALL, "--hours", hours(6), small=False).returncode == 0
    done = sweep(*SMALL, "--variants", "V,SRN,GRU", "--hours", hours(8), small=False)
    assert done.returncode == 0
    results = load_results(study(tmp_path))
    assert results.trials.groupby("variant").size().to_dict() == {"GRU": 2, "SRN": 2, "V": 2}
    assert results.not_compared == {"parity": 2}


def test_a_budget_too_short_for_an_index_is_reported_in_one_line(sweep: Command, tmp_path: Path) -> None:
    done = sweep(*SMALL, "--hours", hours(0.5), small=False)
    assert done.returncode == 0, done.stderr
    assert "no index has ended for every variant on parity, so that nothing is compared there: one of 1 task x 2 " in (
        done.stdout
    )
    assert "needs about 0.00056 h" in done.stdout
    assert (study(tmp_path).path / "report" / "index.html").exists()
    assert len(StudyTables(study(tmp_path).path).trials()) == 1 and load_results(study(tmp_path)).trials.empty


def test_studies_without_hours_are_not_cut(sweep: Command, tmp_path: Path) -> None:
    assert sweep(*SMALL, small=False).returncode == 0
    assert sweep(*SMALL, "--variants", "V", "--trials", "3", small=False).returncode == 0
    results = load_results(study(tmp_path))
    assert len(results.trials) == 5 and not results.not_compared


def test_a_dry_run_says_how_many_indices_the_time_allows(sweep: Command, tmp_path: Path) -> None:
    done = sweep(*SMALL, "--hours", "0.01", "--dry-run", small=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("hours: 0.01 on ") and " allow about " in done.stdout
    assert "budget: " in done.stdout and not (tmp_path / "results").exists()
