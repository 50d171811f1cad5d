"""Each trial says on which processor it ran; what ran on another one is compared, and told, accordingly."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from ablate.analysis import AnalysisTables
from ablate.machine import kind_of, processor
from ablate.report.caveats import caveats
from ablate.report.sections.methods_paragraph import methods_paragraph
from ablate.storage.folder import StudyFolder
from ablate.storage.results import load_results
from tests.conftest import Command

ANOTHER = "Another processor, 3.1 GHz"


@pytest.fixture
def results(study: Path, tmp_path: Path) -> Path:
    """A study of one's own, to be changed."""
    shutil.copytree(study / "results" / "s", tmp_path / "results" / "s")
    return tmp_path / "results"


def change(results: Path, processors: list[str], times: float = 1.0) -> None:
    """Give the trials other processors in turn, and test scores that are so many times as high."""
    file = results / "s" / "trials.csv"
    table = pd.read_csv(file)
    table["processor"] = [processors[k % len(processors)] for k in range(len(table))]
    table["test"] *= times
    table.to_csv(file, index=False)


def told(results: Path) -> list[str]:
    found = load_results(StudyFolder(results, "s"))
    return [each for each in caveats(found, AnalysisTables(found)) if "processors" in each]


def test_trials_name_their_processor(study: Path) -> None:
    table = StudyFolder(study / "results", "s").tables.trials()
    assert processor() and set(table["processor"]) == {processor()}
    assert not told(study / "results")


def test_a_mixture_of_processors_is_told(results: Path) -> None:
    change(results, [processor(), ANOTHER])
    (said,) = told(results)
    assert said.startswith("Trials ran on 2 kinds of processors") and f"{ANOTHER} (3 trials)" in said
    found = load_results(StudyFolder(results, "s"))
    paragraph = methods_paragraph(found, AnalysisTables(found))
    assert paragraph and f"on one core ({processor()} or {ANOTHER})." in str(paragraph)


def test_what_ran_on_another_processor_is_verified_within_a_tolerance(sweep: Command, results: Path) -> None:
    change(results, [ANOTHER], times=1 + 1e-6)
    done = sweep("--verify", "s", "6", "--results", str(results), small=False)
    assert done.returncode == 0 and "agree with it to 0.0001" in done.stdout, done.stdout + done.stderr
    change(results, [processor()])  # the scores are still those of another
    done = sweep("--verify", "s", "6", "--results", str(results), small=False)
    assert done.returncode == 1 and "to the last bit" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (
            "processor : 0\nmodel name : AMD EPYC\ncpu family : 26\nmodel : 2\nflags : fma avx2 avx512f\n"
            "processor : 1\nmodel name : another\n",
            "AMD EPYC family 26 model 2 AVX-512",
        ),
        (
            "model name\t: AMD EPYC\ncpu family\t: 25\nmodel\t\t: 1\nflags\t\t: fma avx2\n",
            "AMD EPYC family 25 model 1 AVX2",
        ),
        ("model name : A processor\n", "A processor"),
        ("processor : 0\nCPU implementer : 0x41\n", ""),
        ("", ""),
    ],
)
def test_generations_of_one_name_are_kinds_of_their_own(lines: str, kind: str) -> None:
    assert kind_of(lines) == kind
