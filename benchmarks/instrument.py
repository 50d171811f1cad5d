"""A study as an instrument: what it finds of the differences of a longer one on the same cells, and what it reverses.

python -m benchmarks.instrument results/short results/long

The longer study stands for the truth, as far as its verdicts go. The two must have drawn independently, by another
`--seed`, or the short one would agree by being a part of the long one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import binomtest

import ablate
from ablate.analysis.verdicts import BETTER, VARIANT, WORSE
from ablate.report.formatting import SET_NAMES
from benchmarks.measure import markdown

DIFFERENT = (WORSE, BETTER)
LARGE = 1.0  # standard deviations of the reference's scores
KEYS = ("task", "set", "variant")
ACROSS = "tasks together"
QUESTIONS = (
    "differences of the long study that the short one finds",
    f"of these, those of {LARGE:g} standard deviation and more",
    "differences that both find, of which they say the opposite",
    "what the short one shows to be within its margin, and the long one to be beyond it",
)
COLUMNS = ("set", "question", "of", "holds", "share", "low", "high")  # the last two: the interval of the share
SHOWN_SETS = {**SET_NAMES, ACROSS: "all trials, tasks together"}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instrument", description="What a study finds of the differences of a longer one."
    )
    parser.add_argument("short", type=Path, help="the folder of the study that is measured")
    parser.add_argument("long", type=Path, help="that of a longer one, of another seed")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="the folder that the table is written to"
    )
    options = parser.parse_args()
    try:
        short, long = ablate.load(options.short), ablate.load(options.long)
        if short.results.configuration["seed"] == long.results.configuration["seed"]:
            raise ablate.UserError("the two studies have one seed, so that one is a part of the other")
    except ablate.UserError as error:
        print(f"benchmarks.instrument: {error}", file=sys.stderr)
        return 2
    measured(_effects(short), _effects(long)).to_csv(options.out / "instrument.csv", index=False)
    print(text(options.out))
    return 0


def text(results: Path) -> str:
    """The measured table: a row for each set of trials and question."""
    rows = []
    for row in pd.read_csv(results / "instrument.csv").to_dict("records"):
        share = f"{row['share']:.0%} [{row['low']:.0%}, {row['high']:.0%}]" if row["of"] else ""
        rows.append((SHOWN_SETS[row["set"]], row["question"], f"{row['holds']} of {row['of']}", share))
    return markdown(pd.DataFrame(rows, columns=["trials", "", "number", "share, 95 % interval"]))


def _effects(study: ablate.Study) -> pd.DataFrame:
    """The study's effects with their verdicts, those on the tasks together as a set of their own."""
    across = study.table("across_tasks").rename(columns={"difference": "effect"})
    across = across.dropna(subset="effect").assign(task=ACROSS, set=ACROSS, equivalent=False)
    effects = study.table("standardised_effects")
    shown = [*KEYS, "role", "effect", "verdict", "equivalent"]
    return pd.concat([effects.reindex(columns=shown), across.reindex(columns=shown)], ignore_index=True)


def measured(short: pd.DataFrame, long: pd.DataFrame) -> pd.DataFrame:
    """A row for each set and question, with the share and its 95 % interval (Clopper and Pearson).

    Args:
        short, long: the tables `standardised_effects` of the two studies, and what they say of the tasks together.
    """
    truth = {tuple(row[key] for key in KEYS): row for row in long.to_dict("records") if row["role"] == VARIANT}
    pairs = [(row, truth[key]) for row in short.to_dict("records") if (key := tuple(row[k] for k in KEYS)) in truth]
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(row["set"] for row, _ in pairs):
        real = [pair for pair in pairs if pair[0]["set"] == name and pair[1]["verdict"] in DIFFERENT]
        agree = [said["verdict"] == true["verdict"] for said, true in real]
        large = [same for same, (_, true) in zip(agree, real, strict=True) if abs(true["effect"]) >= LARGE]
        opposite = [not same for same, (said, _) in zip(agree, real, strict=True) if said["verdict"] in DIFFERENT]
        within = [_beyond(true) for said, true in pairs if said["set"] == name and said["equivalent"]]
        for question, answers in zip(QUESTIONS, (agree, large, opposite, within), strict=True):
            row = {"set": name, "question": question, "of": len(answers), "holds": sum(answers)}
            if answers:
                low, high = binomtest(sum(answers), len(answers)).proportion_ci(0.95)
                row |= {"share": sum(answers) / len(answers), "low": low, "high": high}
            rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _beyond(row: dict[str, Any]) -> bool:
    """Whether a row shows a difference that is not within the margin."""
    return row["verdict"] in DIFFERENT and not row["equivalent"]


if __name__ == "__main__":
    sys.exit(main())
