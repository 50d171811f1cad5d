"""A study's results: what is kept of tasks and variants, the order of a study, and reading a folder of any version."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from ablate.definitions.study_results import TaskMetadata, VariantMetadata
from ablate.storage.folder import StudyFolder
from ablate.storage.results import load_results
from ablate.testing.synthetic import synthetic_results

TASK = TaskMetadata("adding", "a sum", "squared error", baseline=0.167, theoretical_baseline=True, counts={"train": 9})
VARIANT = VariantMetadata("V", equations=["y = x"], difference=[("+", "y = x")], initial={"b_f": "1"}, states=2)


@pytest.mark.parametrize("metadata", [TASK, VARIANT])
def test_metadata_survives_json(metadata):
    kept = json.loads(json.dumps(asdict(metadata)))
    read = type(metadata).from_dict(kept)
    assert json.dumps(asdict(read)) == json.dumps(asdict(metadata))


def test_metadata_of_other_versions_is_read():
    older = TaskMetadata.from_dict({"name": "adding", "baseline": 0.167, "theory": True})
    assert older == TaskMetadata("adding", baseline=0.167, theoretical_baseline=True)
    assert older.baseline_name == "baseline of theory"
    assert VariantMetadata.from_dict({"name": "V", "colour": "blue"}) == VariantMetadata("V")


def test_equations_are_marked_only_where_a_parent_is_known():
    assert VARIANT.marked_equations == [("+", "y = x")]
    assert replace(VARIANT, difference=[]).marked_equations == [("", "y = x")]


def test_the_order_of_a_study_ends_with_what_it_does_not_announce():
    results = synthetic_results(("b", "a", "c"), ("NFG", "V", "B", "A"), trials=1)
    results = replace(results, tasks=results.tasks[:1], variants=results.variants[:2])
    assert results.task_order == ["b", "a", "c"]
    assert results.variant_order == ["V", "NFG", "A", "B"]
    table = results.ordered(results.trials.sample(frac=1, random_state=0))
    assert list(zip(table["task"], table["variant"], strict=True)) == [
        (task, variant) for task in "bac" for variant in ("V", "NFG", "A", "B")
    ]


def test_a_score_times_its_sign_is_a_loss():
    results = synthetic_results(("up", "down"), ("V",), trials=1)
    results = replace(results, tasks=[TaskMetadata("up", direction="maximize"), TaskMetadata("down")])
    assert results.directions == {"up": "maximize", "down": "minimize"}
    assert (results.sign("up"), results.sign("down"), results.sign("unknown")) == (-1.0, 1.0, 1.0)
    assert list(results.signs(pd.DataFrame({"task": ["down", "up", "up"]}))) == [1.0, -1.0, -1.0]


def test_a_folder_is_read_with_all_that_its_report_needs():
    results = load_results(StudyFolder(Path(__file__).parent.parent / "results", "example"))
    assert results.name == "example" and results.reference == "V"
    assert set(results.trials["task"]) == {task.name for task in results.tasks}
    assert set(results.trials["variant"]) == {variant.name for variant in results.variants}
    assert results.trials.groupby(["task", "variant"]).size().max() == results.expected_trials
    assert results.baselines["music"] == pytest.approx(results.task("music").baseline)
    assert len(results.curves_of(results.trials)) == results.trials["epochs"].sum()
    assert results.configuration["hours"] == 2 and "torch" in results.environment
