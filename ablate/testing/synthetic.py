"""Synthetic studies: results shaped like those of a random search, also in every state that is out of the ordinary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ablate.analysis.dataframes import where
from ablate.definitions.study_results import StudyResults, TaskMetadata, VariantMetadata

GREFF = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR", "SRN", "GRU")
SHIFT = {"NFG": 0.35, "NOAF": 0.3, "SRN": 0.8, "FGR": 0.05, "NIAF": -0.04, "GRU": -0.1}
BASELINE = 11.9
EPOCHS = 30


def synthetic_results(
    tasks: tuple[str, ...] = ("jsb",),
    variants: tuple[str, ...] = GREFF,
    trials: int = 6,
    seed: int = 0,
    controls: int = 0,
    confirmations: int = 0,
) -> StudyResults:
    """A study of so many trials for each task and variant: nothing is trained, some score well, some diverge.

    Args:
        controls: negative controls of V.
        confirmations: how often each variant's best setting is trained anew; that of V twice as often.
    """
    table, curves = _trials_and_curves(tasks, variants, trials, seed)
    completed = table.loc[table["state"].eq("completed"), ["task", "variant", "index"]]
    return StudyResults(
        name="demo",
        trials=table,
        curves=curves,
        samples=completed.assign(sample=[f"<{v}> {k}\n\tif" for v, k in completed[["variant", "index"]].to_numpy()]),
        tasks=[
            TaskMetadata(
                name,
                "chorales",
                score="nats",
                metric="nats per frame",
                baseline=BASELINE,
                source="a <package>",
                sha256="ab" * 32,
                counts={"train": 229},
            )
            for name in tasks
        ],
        variants=[
            VariantMetadata(name, "a cell", "a paper", [r"z^{t} = \tanh{\left(W_{z} x^{t} \right)}"])
            for name in variants
        ],
        expected_trials=trials,
        replicates=_replicates(table, controls, confirmations, np.random.default_rng([seed, 1])),
        command="python run_sweep.py --variants all",
        configuration={"paired": True, "search": {"momentum": {"low": 0.01}}, "data": {}},
        environment={"python": "3.11"},
    )


def unusual_results() -> dict[str, StudyResults]:
    """A small ordinary study, and one for every state out of the ordinary that a study can be in, by what it is."""
    ordinary = synthetic_results(variants=("V", "NFG", "SRN"), trials=12)
    trials, curves = ordinary.trials, ordinary.curves
    alone = synthetic_results(variants=("V",), trials=6)
    one = replace(alone, trials=_completed(alone.trials.head(1), 8.5), curves=alone.curves[:0], expected_trials=1)
    upside_down = replace(
        ordinary,
        trials=trials.assign(validation=-trials["validation"], test=-trials["test"]),
        curves=curves.assign(train=-curves["train"], validation=-curves["validation"]),
        tasks=[replace(task, direction="maximize", baseline=-BASELINE) for task in ordinary.tasks],
    )
    empty = pd.DataFrame()
    return {
        "ordinary": ordinary,
        "higher is better": upside_down,
        "no trial": replace(ordinary, trials=trials[:0], curves=curves[:0], samples=ordinary.samples[:0]),
        "no column": replace(ordinary, trials=empty, curves=empty, samples=empty),
        "nothing planned": replace(ordinary, trials=empty, curves=empty, samples=empty, tasks=[], variants=[]),
        "one variant": alone,
        "one trial": one,
        "only diverged trials": without_scores(ordinary, "diverged"),
        "only failed trials": without_scores(ordinary, "failed"),
        "constant scores": replace(ordinary, trials=_completed(trials, 8.5)),
        "test scores missing": replace(
            ordinary, trials=trials.assign(test=trials["test"].where(trials["index"] % 2 == 0))
        ),
        "reference missing": synthetic_results(variants=("NFG", "NP"), trials=12),
        "controls and confirmations": synthetic_results(
            ("jsb", "iam"), ("V", "NFG", "SRN"), trials=12, controls=2, confirmations=5
        ),
        "enough for the best tenth": synthetic_results(variants=("V", "NFG"), trials=110),
        "tasks and variants unannounced": replace(ordinary, tasks=[], variants=[]),
    }


def without_scores(results: StudyResults, state: str) -> StudyResults:
    """The study had all its trials "diverged" or "failed"."""
    nothing: dict[str, Any] = dict.fromkeys(("validation", "test", "best_epoch"), np.nan)
    trials = results.trials.assign(**nothing, state=state, reason="Boom <b>: bad" if state == "failed" else None)
    return replace(results, trials=trials, curves=results.curves[:0], samples=results.samples[:0])


def _completed(trials: pd.DataFrame, score: float) -> pd.DataFrame:
    return trials.assign(state="completed", validation=score, test=score, best_epoch=3)


def _replicates(table: pd.DataFrame, controls: int, confirmations: int, rng: np.random.Generator) -> pd.DataFrame:
    """Trials of the table again, with another score each; the best are not as lucky again."""
    parts = []
    for k in range(controls):
        parts.append(where(table, variant="V").assign(purpose="control", replicate=k + 1, luck=0.0))
    ranked = where(table, state="completed").sort_values("validation")
    best = ranked.drop_duplicates(["task", "variant"])
    for k in range(2 * confirmations):
        mine = best if k < confirmations else where(best, variant="V")
        parts.append(mine.assign(purpose="confirmation", replicate=k + 1, luck=0.05))
    if not parts:
        return pd.DataFrame()
    again = pd.concat(parts, ignore_index=True)
    luck = again.pop("luck") + rng.normal(0, 0.05, len(again))
    return again.assign(validation=again["validation"] + luck, test=again["test"] + luck)


def _trials_and_curves(
    tasks: tuple[str, ...], variants: tuple[str, ...], n: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A usable band of learning rates, some networks untrained, some diverged."""
    rng = np.random.default_rng(seed)
    rows, epochs = [], []
    for k, task in enumerate(tasks):
        for index in range(n):
            size, rate = int(20 * 10 ** rng.uniform()), 10 ** rng.uniform(-6, -2)
            momentum, noise = 1 - 10 ** rng.uniform(-2, 0), rng.uniform()
            for variant in variants:
                slow = max(0.0, -3.3 - np.log10(rate)) ** 2.5
                score = 8.4 + 0.4 * k + SHIFT.get(variant, 0.0) + slow + 25 / size * 0.2 + 0.3 * noise
                score = min(score + rng.gamma(2, 0.08), 61.0)
                diverged = rate > 6e-3 and rng.uniform() < (0.8 if variant == "SRN" else 0.3)
                failed = not diverged and rng.uniform() < 0.01
                key = {"task": task, "variant": variant, "index": index}
                row = {**key, "state": "diverged" if diverged else "failed" if failed else "completed"}
                row |= {"hidden_size": size, "learning_rate": rate, "momentum": momentum, "input_noise": noise}
                row |= {"validation": np.nan, "test": np.nan, "best_epoch": np.nan, "epochs": EPOCHS}
                gates = {"FGR": 7, "SRN": 1, "GRU": 3, "CIFG": 3, "NIG": 3, "NFG": 3, "NOG": 3}.get(variant, 4)
                row |= {"parameters": gates * size * (88 + size + 1) + 88 * (size + 1)}
                row |= {"seconds": 4 + size / 20 + rng.uniform(), "reason": "ValueError: no data" if failed else None}
                if row["state"] == "completed":
                    row |= {"validation": score - 0.1 + rng.normal(0, 0.03), "test": score}
                    t = np.arange(1, EPOCHS + 1)
                    course = row["validation"] + (61 - row["validation"]) * np.exp(-t / 2) + 0.01 * np.abs(t - 24)
                    row["best_epoch"] = int(t[course.argmin()])
                    for epoch, value in zip(t, course, strict=True):
                        epochs.append({**key, "epoch": epoch, "train": value - 0.3, "validation": value})
                rows.append(row)
    columns = ["task", "variant", "index", "epoch", "train", "validation"]
    return pd.DataFrame(rows), pd.DataFrame(epochs, columns=columns)
