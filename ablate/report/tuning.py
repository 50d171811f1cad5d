"""What to tune first, in sentences made from the tables of importance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import records, select, unique, where
from ablate.analysis.importance import GOOD, MAIN, MISSING, PAIR, TOO_FEW, WHOLE, that_speaks
from ablate.analysis.responses import POOLED, SCORE
from ablate.definitions.study_results import StudyResults
from ablate.importance.functional_anova import ACCURACY, MIN_POINTS, MIN_R2, share_error
from ablate.report.formatting import span

MANY = 6  # more names than these are counted


def tuning_advice(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """What to tune first on each task, what interacts, and what cannot be said; from the table `importance`.

    Of all variants together, or of the reference where nothing is claimed of them. Where importance has not been
    computed, the one sentence says how to.
    """
    table = where(tables["importance"], response=SCORE)
    if table.empty:
        return []
    if nothing := _nothing_yet(table):
        return [nothing]
    table = that_speaks(table)
    return [text for task in unique(table, "task") for text in _task(results, where(table, task=task), task)]


def _nothing_yet(table: pd.DataFrame) -> str:
    """Why nothing can be said of any task, of which nothing was computed; else empty."""
    if MISSING in set(table["reason"]):
        return "Which hyperparameters matter most has not been computed yet: --report-only --full does."
    if set(table["reason"]) != {TOO_FEW}:
        return ""
    few = span([int(n) for n in unique(table, "points")])
    return (
        f"Which hyperparameters matter most is not asked of fewer than {MIN_POINTS} scored trials a variant; here are "
        f"{few}."
    )


def first_to_tune(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """What to tune first on every task of which anything is claimed, or why that is not known, in one sentence."""
    if nothing := _nothing_yet(where(tables["importance"], response=SCORE)):
        return [nothing]
    claimed = where(tables["importance"], response=SCORE, region=WHOLE, claimed=True)
    said = []
    for task in unique(claimed, "task"):
        if lead := _lead(results, where(claimed, task=task)):
            near = _near(records(where(claimed, task=task, variant=lead)))
            named = " or ".join(f"{_axis(row['axis'])} ({_percent(row['share'])})" for row in near)
            said.append(f"{named} on {task}{'' if lead == POOLED else f' for {lead}'}")
    if not said:
        return []
    return [f"To tune first: {'; '.join(said)}. In brackets the share of what can be predicted of the score."]


def _lead(results: StudyResults, claimed: pd.DataFrame) -> str:
    """Whose shares are told first: all variants, else the reference; "" where of neither anything is claimed."""
    return next((name for name in (POOLED, results.reference) if name in set(claimed["variant"])), "")


def _task(results: StudyResults, table: pd.DataFrame, task: str) -> list[str]:
    whole = where(table, region=WHOLE)
    claimed = where(whole, claimed=True)
    lead = _lead(results, claimed)
    if claimed.empty:
        return [f"On {task} nothing can be claimed of any variant: {_reasons(whole)}."]
    if not lead:
        first = _firsts(claimed)
        return [f"On {task} nothing can be claimed of all variants together, nor of {results.reference}; {first}."]
    rows = records(where(claimed, variant=lead))
    said = [f"On {task}, {_first(rows, lead)}", *_interactions(rows, task)]
    others = select(claimed, claimed["variant"].ne(lead))
    if len(others) and lead == POOLED:
        said.append(f"One by one on {task}, {_firsts(others)}.")
    good = records(where(table, region=GOOD, variant=lead))
    if good and good[0]["claimed"]:
        said.append(f"Within the region of good trials on {task}, {_first(good, lead)}")
    names = set(claimed["variant"])
    if unsaid := [name for name in unique(whole, "variant") if name not in names]:
        said.append(f"Nothing is claimed on {task} of {_names(unsaid)}: {_reasons(where(whole, claimed=False))}.")
    return said


def _first(rows: list[dict[str, Any]], lead: str) -> str:
    """Which axis explains most, and how little the others do."""
    main = sorted((row for row in rows if row["term"] == MAIN), key=lambda row: -row["share"])
    near = _near(rows)
    of = "all variants together" if lead == POOLED else lead
    fit = f"{rows[0]['points']:,} {'draws' if lead == POOLED else 'trials'}, R² {rows[0]['r2']:.2f}"
    least = share_error(rows[0]["r2"])
    if main[0]["share"] < least:
        return f"no single hyperparameter is shown to explain {_percent(least)} of the score of {of} by itself ({fit})."
    if len(near) > 1:
        *others, last = [f"{_axis(row['axis'])} ({_percent(row['share'])})" for row in near]
        return (
            f"tune {', '.join(others)} and {last} first, whose shares of the score of {of} are not told apart ({fit})."
        )
    text = f"tune {_axis(main[0]['axis'])} first: by itself it explains {_percent(main[0]['share'])} of what can be "
    text += f"predicted of the score of {of} ({fit})"
    rest = [f"{_axis(row['axis'])} {_percent(row['share'])}" for row in main[1:]]
    return f"{text}; {', '.join(rest)}." if rest else f"{text}."


def _interactions(rows: list[dict[str, Any]], task: str) -> list[str]:
    pairs = [row for row in rows if row["term"] == PAIR]
    if not pairs:
        return []
    apart = 1 - sum(row["share"] for row in rows if row["term"] == MAIN)
    strongest = max(pairs, key=lambda row: row["share"])
    named = f"{_axis(strongest['axis'])} with {_axis(strongest['other'])} ({_percent(strongest['share'])})"
    least = share_error(rows[0]["r2"])
    if apart < ACCURACY:
        return [f"Interactions on {task} are small ({_percent(apart)} in all), so that one can be tuned after another."]
    if apart < least:
        return [f"Interactions on {task} explain {_percent(apart)} in all, which may be an error of the surrogate."]
    text = f"Interactions on {task} explain {_percent(apart)} in all; the strongest pair is {named}"
    return [f"{text}, which is better tuned together." if strongest["share"] >= least else f"{text}."]


def _near(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The main effects that are not told from the largest, the largest first."""
    main = sorted((row for row in rows if row["term"] == MAIN), key=lambda row: -row["share"])
    return [row for row in main if row["share"] > main[0]["share"] - share_error(row["r2"])]


def _firsts(claimed: pd.DataFrame) -> str:
    """By the axis that explains most of them, the variants; those that are few by name."""
    leads: dict[str, list[str]] = {}
    for name in unique(claimed, "variant"):
        near = _near(records(where(claimed, variant=name)))
        first = f"{_axis(near[0]['axis'])} comes first" if len(near) == 1 else "no hyperparameter clearly comes first"
        leads.setdefault(first, []).append(name)
    named = sorted(leads.items(), key=lambda item: -len(item[1]))
    return "; ".join(f"{first} for {_names(names)}" for first, names in named)


def _names(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= MANY else f"{len(names)} variants"


def _reasons(table: pd.DataFrame) -> str:
    reasons: list[str] = [reason for reason in unique(table, "reason") if reason]
    needed: dict[str, str] = {TOO_FEW: f"fewer than {MIN_POINTS} trials", "poorly predicted": f"R² below {MIN_R2:g}"}
    return " or ".join(needed.get(reason, reason) for reason in reasons)


def _axis(name: str) -> str:
    return name.replace("_", " ")


def _percent(share: float) -> str:
    return "less than 1 %" if 0 <= share < 0.01 else f"{share:.0%}".replace("%", " %")
