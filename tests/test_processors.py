"""Each trial says on which processor it ran; what ran on another one is compared, and told, accordingly."""

from __future__ import annotations

import re
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
CHAOTIC = """
controls = 0
confirm = 0
[training]
epochs = 60
patience = 60
[search]
hidden_size = 20
learning_rate = 0.5
momentum = 0.9
"""


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
    change(results, [ANOTHER], times=1.01)
    done = sweep("--verify", "s", "6", "--results", str(results), small=False)
    assert done.returncode == 1 and "compared to 0.0001" in done.stdout, done.stdout + done.stderr
    change(results, [processor()])  # the scores are still those of another
    done = sweep("--verify", "s", "6", "--results", str(results), small=False)
    assert done.returncode == 1 and "to the last bit" in done.stdout, done.stdout + done.stderr


def test_what_rounding_moves_is_verified_for_as_long_as_it_does_not(sweep: Command, tmp_path: Path) -> None:
    """Rates so high that training is chaotic: scores of another processor are no fault, a first epoch of others is."""
    config = tmp_path / "chaotic.toml"
    config.write_text(CHAOTIC, encoding="utf-8")
    assert sweep("--config", str(config), "--variants", "V", "--trials", "1", "--study", "chaos").returncode == 0
    folder = tmp_path / "results" / "chaos"
    trials, curves = pd.read_csv(folder / "trials.csv"), pd.read_csv(folder / "curves.csv")
    trials.assign(processor=ANOTHER, test=trials["test"] * 1.5).to_csv(folder / "trials.csv", index=False)
    done = sweep("--verify", "chaos", "1", small=False)
    assert done.returncode == 0 and "agree with it to 0.0001" in done.stdout, done.stdout + done.stderr
    assert re.search(r"agrees up to epoch \d+, after which rounding moves it", done.stdout), done.stdout
    curves.assign(train=curves["train"] * 1.01).to_csv(folder / "curves.csv", index=False)
    done = sweep("--verify", "chaos", "1", small=False)
    assert done.returncode == 1 and "its curve is another one from epoch 1 on" in done.stdout, done.stdout + done.stderr


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
