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
from benchmarks.measure import markdown

DIFFERENT = (WORSE, BETTER)
LARGE = 1.0  # standard deviations of the reference's scores
KEYS = ("task", "set", "variant")
QUESTIONS = (
    "differences of the long study that the short one finds",
    f"of these, those of {LARGE:g} standard deviation and more",
    "differences that both find, of which they say the opposite",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instrument", description="What a study finds of the differences of a longer one."
    )
    parser.add_argument("short", type=Path, help="the folder of the study that is measured")
    parser.add_argument("long", type=Path, help="that of a longer one, of another seed")
    options = parser.parse_args()
    try:
        short, long = ablate.load(options.short), ablate.load(options.long)
        if short.results.configuration["seed"] == long.results.configuration["seed"]:
            raise ablate.UserError("the two studies have one seed, so that one is a part of the other")
    except ablate.UserError as error:
        print(f"benchmarks.instrument: {error}", file=sys.stderr)
        return 2
    print(markdown(measured(short.table("standardised_effects"), long.table("standardised_effects")).round(3)))
    return 0


def measured(short: pd.DataFrame, long: pd.DataFrame) -> pd.DataFrame:
    """A row for each set and question, with the share and its 95 % interval (Clopper and Pearson).

    Args:
        short, long: the tables `standardised_effects` of the two studies.
    """
    truth = {tuple(row[key] for key in KEYS): row for row in long.to_dict("records") if row["role"] == VARIANT}
    pairs = [(row, truth[key]) for row in short.to_dict("records") if (key := tuple(row[k] for k in KEYS)) in truth]
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(row["set"] for row, _ in pairs):
        real = [pair for pair in pairs if pair[0]["set"] == name and pair[1]["verdict"] in DIFFERENT]
        agree = [said["verdict"] == true["verdict"] for said, true in real]
        large = [same for same, (_, true) in zip(agree, real, strict=True) if abs(true["effect"]) >= LARGE]
        opposite = [not same for same, (said, _) in zip(agree, real, strict=True) if said["verdict"] in DIFFERENT]
        for question, answers in zip(QUESTIONS, (agree, large, opposite), strict=True):
            row = {"set": name, "question": question, "of": len(answers), "holds": sum(answers)}
            if answers:
                low, high = binomtest(sum(answers), len(answers)).proportion_ci(0.95)
                row |= {"share": sum(answers) / len(answers), "low": low, "high": high}
            rows.append(row)
    return pd.DataFrame(rows, columns=["set", "question", "of", "holds", "share", "low", "high"])


if __name__ == "__main__":
    sys.exit(main())
