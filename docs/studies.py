"""The tables of docs/findings.md, from those of the reports in results/."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd

from docs.generate import table

RESULTS = Path(__file__).resolve().parent.parent / "results"
# Best test nats on JSB Chorales as the papers report them: of Greff et al. over all their variants.
REPORTED = (
    "Reported of the same data, test nats: 8.38 (Greff et al. 2017, the best of all variants), 8.45 (LSTM, Bai et al. "
    "2018), 8.67 (LSTM, Chung et al. 2014)."
)
QUESTIONS = {"all": "at random", "best": "best tenth", "confirmed": "trained anew"}


def of_report(study: str, name: str) -> pd.DataFrame:
    """A table of a study's report."""
    return pd.read_csv(RESULTS / study / "report" / "tables" / f"{name}.csv")


def music_column() -> str:
    """Each variant's best trial of `greff-music`, its setting trained anew, and what each question says."""
    summary, compared = of_report("greff-music", "summary"), of_report("greff-music", "comparisons")
    published = of_report("greff-music", "paper_comparisons").set_index("variant")
    again = of_report("greff-music", "confirmation_trials").groupby("variant")["score"].agg(["mean", "std", "count"])
    rows = []
    for best in summary.sort_values("best_test").to_dict("records"):
        name = best["variant"]
        if name.startswith("control"):
            continue
        average, std, count = again.loc[name]
        said = {row["set"]: row for row in compared.loc[compared["variant"].eq(name)].to_dict("records")}
        theirs = published.loc[name] if name in published.index else None
        rows.append(
            (
                name,
                f"{best['best_test']:.2f}",
                f"{average:.2f} ± {std:.2f} ({count:.0f})",
                *(_said(said[each]) if each in said else "the reference" for each in QUESTIONS),
                "" if theirs is None else f"{theirs['difference']:+.2f}{' *' if theirs['different'] else ''}",
            )
        )
    heading = ("variant", "best by validation", "trained anew", *QUESTIONS.values(), "the paper's test")
    return f"{table(heading, rows)}\n\n{REPORTED}"


def _said(row: dict[str, Any]) -> str:
    """A difference with its interval, bold where it is significant, with = where it is within the margin."""
    if pd.isna(row["low"]):
        return str(row["verdict"])
    text = f"{row['difference']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
    if row["verdict"] in ("worse", "better"):
        text = f"**{text}**"
    return f"{text} =" if row["equivalent"] else text


def cells() -> str:
    """What the best settings of `example`, trained anew, are from the reference's on each task."""
    compared = of_report("example", "comparisons")
    compared = compared.loc[compared["set"].eq("confirmed") & compared["role"].eq("variant")]
    effects: dict[str, list[float]] = {}
    for row in of_report("example", "standardised_effects").to_dict("records"):
        if row["set"] == "confirmed" and row["role"] == "variant":
            effects.setdefault(row["variant"], []).append(row["effect"])
    units = of_report("example", "tasks").set_index("task")["metric"]
    tasks = list(dict.fromkeys(compared["task"]))
    said = {(row["variant"], row["task"]): _said(row) for row in compared.to_dict("records")}
    rows = [
        (name, *(said.get((name, task), "") for task in tasks))
        for name in sorted(effects, key=lambda name: mean(effects[name]))
    ]
    return table(("variant", *(f"{task}, {units[task]}" for task in tasks)), rows)


def music_claims() -> str:
    """What `greff-music` says of the papers' claims on its task."""
    claims = of_report("greff-music", "scorecard")
    claims = claims.loc[claims["task"].eq("music") & ~claims["reason"].fillna("").str.startswith("the study has no")]
    rows = [
        (row["claim"], row["verdict"], "" if pd.isna(row["estimate"]) else _estimate(row), row["reason"])
        for row in claims.fillna({"reason": ""}).to_dict("records")
    ]
    return table(("claim", "the study", "estimate", "why"), rows)


def _estimate(row: dict[str, Any]) -> str:
    return f"{row['estimate']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}] {row['unit']}"
