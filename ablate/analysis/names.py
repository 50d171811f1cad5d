"""What a reader of the other tables must know of the tasks and variants that they name."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ablate.analysis.registry import analysis
from ablate.definitions.study_results import StudyResults, VariantMetadata


@analysis("tasks")
def tasks(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row a task, in the study's order.

    Columns:
        summary: the task in a line.
        metric: the unit of its scores.
        direction: which scores are better, "minimize" or "maximize".
        baseline: the test score without learning; empty where it is not known.
        baseline_name: what the baseline is: the best constant predictor, or a number of theory.
    """
    columns = ["summary", "metric", "direction", "baseline", "baseline_name"]
    rows = [
        {"task": name, **{column: getattr(results.task(name), column) for column in columns}}
        for name in results.task_order
    ]
    return pd.DataFrame(rows, columns=["task", *columns]).astype({"baseline": float})


@analysis("variants")
def variants(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row a variant, the reference first.

    Columns:
        reference: the variant that it is compared with.
        summary: the variant in a line.
        source: the paper that its equations are from.
        family: the file that it stands in.
        parent: the variant that it changes one thing about.
        parameters: the number of weights of a layer, as a formula in N units and M inputs.
        states: vectors of N that go from one step to the next.
        stages: rounds of products that wait for one another within a step.
    """
    columns = ["summary", "source", "family", "parent", "parameters", "states", "stages"]
    known = {variant.name: variant for variant in results.variants}
    rows = []
    for name in results.variant_order:
        metadata = known.get(name, VariantMetadata(name))
        details = {column: getattr(metadata, column) for column in columns}
        rows.append({"variant": name, "reference": results.reference, **details})
    return pd.DataFrame(rows, columns=["variant", "reference", *columns])
