"""Studies side by side: agreement is counted, and a difference of effects is tested as what it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ablate
from ablate.analysis.between_studies import compare_studies
from ablate.cli.main import main
from ablate.definitions.study_results import StudyResults, TaskMetadata
from ablate.report.studies import render_comparison
from ablate.statistics.standardised import difference_of, standardised_pairs, standardised_samples
from ablate.testing.analyses import unclosed_elements
from ablate.testing.synthetic import synthetic_results
from tests.conftest import ROOT
from tests.made_studies import NOTHING, trials


def study(name: str, shift: float, seed: int, n: int = 40, **changed: object) -> StudyResults:
    """Paired trials in which A is worse than V by `shift` standard deviations of V's scores."""
    rng = np.random.default_rng(seed)
    draws = rng.normal(8, 1, n)
    parts = [trials("V", list(draws)), trials("A", list(draws + shift + rng.normal(0, 0.3, n)))]
    configuration = {"seed": seed, "paired": True, "training": {"epochs": seed}}
    results = StudyResults(
        name,
        pd.concat(parts, ignore_index=True),
        NOTHING,
        NOTHING,
        [TaskMetadata("t", baseline=50.0, score="nats", metric="nats")],
        [],
        n,
        configuration=configuration,
    )
    return replace(results, **changed)


def the_row(*studies: StudyResults, table: str = "differences") -> dict:
    (row,) = compare_studies(studies)[table].to_dict("records")
    return row


def test_the_error_is_the_jackknifes_by_hand():
    rng = np.random.default_rng(0)
    y = rng.gamma(2, 1, 12)
    x = y + rng.normal(1, 1, 12)
    found = standardised_pairs(x, y, list(range(12)))
    assert found is not None and found.value == pytest.approx((x - y).mean() / y.std(ddof=1))
    without = [np.delete(x - y, k).mean() / np.delete(y, k).std(ddof=1) for k in range(12)]
    assert found.error == pytest.approx(np.sqrt(11 / 12 * np.square(np.subtract(without, np.mean(without))).sum()))


def test_independent_trials_add_up_their_errors():
    rng = np.random.default_rng(1)
    x, y = rng.normal(1, 1, 10), rng.normal(0, 1, 15)
    found = standardised_samples(x, y, [("x", k) for k in range(10)], [("y", k) for k in range(15)])
    assert found is not None and len(found.influence) == 25
    of_x = [(np.delete(x, k).mean() - y.mean()) / y.std(ddof=1) for k in range(10)]
    of_y = [(x.mean() - np.delete(y, k).mean()) / np.delete(y, k).std(ddof=1) for k in range(15)]
    by_hand = sum((n - 1) / n * np.square(np.subtract(e, np.mean(e))).sum() for n, e in ((10, of_x), (15, of_y)))
    assert found.error == pytest.approx(np.sqrt(by_hand))


@pytest.mark.calibration
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("n", [13, 60])
def test_equal_effects_are_called_different_in_one_study_of_twenty(n: int, shared: bool):
    rng, wrong = np.random.default_rng(2), 0
    for _ in range(600):
        base = rng.gamma(1, 1, n)
        pairs = []
        for k in range(2):
            draws = base if shared else rng.gamma(1, 1, n)
            y = draws + 0.3 * rng.normal(size=n)
            names = [(0 if shared else k, index) for index in range(n)]
            pairs.append(standardised_pairs(draws + 1 + 0.5 * rng.normal(size=n), y, names))
        test = difference_of(*pairs)
        wrong += test is not None and test.p < 0.05
    assert wrong / 600 < 0.08


def test_equal_effects_are_not_told_apart_and_different_ones_are():
    equal = the_row(study("a", 1.0, seed=1), study("b", 1.0, seed=2))
    assert (equal["verdict"], equal["draws"], equal["agreement"]) == ("not told apart", "independent", "same")
    assert equal["low"] < 0 < equal["high"]
    turned = the_row(study("a", 1.0, seed=1), study("b", -1.0, seed=2))
    assert (turned["verdict"], turned["agreement"]) == ("different", "opposite")
    assert turned["difference"] == pytest.approx(-2.0, abs=0.5)  # of the further study less the first
    one = the_row(study("a", 1.0, seed=1), study("b", 0.0, seed=2))
    assert one["agreement"] == "only in a"
    counts = the_row(study("a", 1.0, seed=1), study("b", 0.0, seed=2), table="agreement")
    assert (counts["only_against"], counts["only_study"], counts["same"], counts["different"]) == (1, 0, 0, 1)


def test_studies_of_one_seed_are_not_taken_for_independent():
    one = study("a", 1.0, seed=1)
    nearly = one.trials.assign(test=one.trials["test"] + np.random.default_rng(0).normal(0, 0.01, 80))
    found = the_row(one, replace(one, name="b", trials=nearly))
    apart = the_row(one, replace(one, name="b", trials=nearly, configuration={"seed": 9}))
    assert (found["draws"], apart["draws"]) == ("shared", "independent")
    assert found["high"] - found["low"] < 0.2 * (apart["high"] - apart["low"])
    same = the_row(one, replace(one, name="b"))
    assert (same["verdict"], same["difference"]) == ("no variance", 0.0)


def test_effects_weigh_alike_whatever_the_unit_and_the_direction():
    one = study("a", 1.0, seed=1)
    flipped = one.trials.assign(test=-100 * one.trials["test"], validation=-100 * one.trials["validation"])
    task = TaskMetadata("t", baseline=-5000.0, direction="maximize")
    effects = compare_studies([one, replace(one, name="b", trials=flipped, tasks=[task])])["effects"]
    assert effects["effect"].iloc[0] == pytest.approx(effects["effect"].iloc[1])
    assert effects["low"].tolist() == pytest.approx([effects["low"].iloc[0]] * 2, abs=1e-6)
    assert (effects["low"] < effects["effect"]).all() and set(effects["verdict"]) == {"worse"}


def test_what_differs_in_how_they_were_made_is_listed_and_nothing_else():
    settings = compare_studies([study("a", 1.0, seed=1), study("b", 1.0, seed=2)])["settings"]
    assert dict(zip(settings["setting"], settings["b"], strict=True)) == {"seed": "2", "training.epochs": "2"}


@pytest.mark.parametrize(
    ("studies", "message"),
    [
        ([study("a", 1.0, 1)], "two studies or more"),
        ([study("a", 1.0, 1), study("a", 1.0, 2)], "two studies are called 'a'"),
        ([study("a", 1.0, 1), replace(study("b", 1.0, 2), trials=NOTHING)], "study 'b' has no trials of V"),
        (
            [study("a", 1.0, 1), replace(study("b", 1.0, 2), trials=study("b", 1.0, 2).trials.assign(task="u"))],
            "no task and variant in common",
        ),
    ],
    ids=["one", "one name", "no reference", "no task"],
)
def test_what_cannot_be_compared_is_told_in_a_line(studies: list[StudyResults], message: str):
    with pytest.raises(ablate.UserError, match=message):
        compare_studies(studies)


def test_the_page_shows_every_effect_and_each_difference():
    one = synthetic_results(("jsb", "iam"), ("V", "NFG", "SRN"), trials=12, controls=1, confirmations=5)
    other = replace(synthetic_results(("jsb",), ("V", "NFG", "NP"), trials=20, seed=1), name="<other>")
    tables = compare_studies([one, other])
    assert set(tables["effects"]["variant"]) == {"NFG"} and set(tables["effects"]["task"]) == {"jsb"}
    text = render_comparison(tables, b"<svg/>")
    assert not unclosed_elements(text) and "nan" not in text.lower().split()
    assert "&lt;other&gt; less demo" in text and "<strong>&lt;other&gt; and demo on jsb</strong>: of 1 variant," in text


def test_the_command_writes_a_page_beside_the_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    for name, most in (("a", 8), ("b", 6)):
        folder = tmp_path / "results" / name
        folder.mkdir(parents=True)
        for file in ("config.toml", "metadata.json"):
            (folder / file).write_bytes((ROOT / "results" / "greff-music" / file).read_bytes())
        table = pd.read_csv(ROOT / "results" / "greff-music" / "trials.csv", dtype=str, keep_default_na=False)
        kept = table[table["variant"].isin(["V", "NFG"]) & table["index"].astype(int).lt(most)]
        kept.to_csv(folder / "trials.csv", index=False)
    assert main(["--compare", "a", "b"]) == 0
    page = Path(capsys.readouterr().out.removeprefix("comparison: ").strip())
    assert page == Path("results/compare-a-b/index.html") and page.exists()
    kept = pd.read_csv(page.parent / "tables" / "differences.csv")
    pd.testing.assert_frame_equal(kept, ablate.compare("results/a", "results/b")["differences"], check_dtype=False)
    for names, message in ((["a", "none"], "there is no study 'none' in"), (["a", "a"], "is given twice")):
        assert main(["--compare", *names]) == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
