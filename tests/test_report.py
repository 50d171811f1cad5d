"""The report, in every state a study can be in."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ablate.report import Facts, TaskFacts, VariantFacts, write_report
from ablate.report.figures import FIGURES
from ablate.report.lineplots import _apart
from ablate.report.narrative import duration, number, scientific, signed
from ablate.report.style import line_styles
from ablate.report.tables import compute
from ablate.report.typesetting import typeset
from tests.synthetic import BASELINE, GREFF, study

NOTHING = pd.DataFrame()
VOID = {"area", "base", "br", "col", "hr", "img", "link", "meta"}


def facts(tasks: tuple[str, ...] = ("jsb",), variants: tuple[str, ...] = GREFF, n: int = 6) -> Facts:
    return Facts(
        study="demo",
        command="python run_sweep.py --variants all",
        expected=n,
        tasks=[
            TaskFacts(
                name, "chorales", "nats per frame", "minimize", BASELINE, "a <package>", "ab" * 32, {"train": 229}
            )
            for name in tasks
        ],
        variants=[
            VariantFacts(name, "a cell", "a paper", [r"z^{t} = \tanh{\left(W_{z} x^{t} \right)}"]) for name in variants
        ],
        configuration={"paired": True, "search": {"momentum": {"low": 0.01}}, "data": {}},
        environment={"python": "3.11"},
    )


class Page(HTMLParser):
    """Checks that every element is closed, and collects what the page would load and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = self.leads if tag == "a" else self.loads
        found += [value or "" for key, value in attrs if key in ("src", "href", "srcset")]
        self.places |= {f"#{value}" for key, value in attrs if key == "id"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def written(folder: Path, trials: pd.DataFrame, curves: pd.DataFrame, about: Facts) -> str:
    path = write_report(folder, trials, curves, about)
    assert path == folder / "report" / "index.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.loads)
    assert set(page.leads) == {"gallery.html"}
    shown = path.with_name("gallery.html").read_text(encoding="utf-8")
    gallery = Page(shown)
    assert set(gallery.loads) <= gallery.places  # outlines that the page itself defines
    assert set(gallery.leads) <= {"index.html", *gallery.places}
    assert "nan" not in f"{text} {shown}".lower().split()
    return text


def test_a_study_is_reported(tmp_path):
    trials, curves = study(n=6)
    text = written(tmp_path, trials, curves, facts())
    found = {str(path.relative_to(tmp_path / "report")) for path in tmp_path.rglob("*") if path.is_file()}
    assert {f"figures/{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")} <= found
    assert {"tables/boxes.csv", "tables/points.csv", "tables/comparisons.csv", "tables/curves.csv"} <= found
    assert not any(".part" in name for name in found)
    assert "too few for a test" in text
    assert f"of {trials['state'].ne('failed').sum()} scored trials do no better than the constant predictor" in text
    assert "no significant difference" in text
    assert "a &lt;package&gt;" in text
    assert "search.momentum.low" in text
    gallery = (tmp_path / "report" / "gallery.html").read_text(encoding="utf-8")
    assert gallery.count('class="equation"') == len(GREFF)


def test_the_gallery_marks_what_a_variant_changes(tmp_path):
    trials, curves = study(variants=("V", "NOG"), n=60)
    about = facts(variants=("V", "NOG"), n=60)
    changed = replace(
        about.variants[1],
        parent="V",
        difference=[("", "z = x"), ("-", "y = o"), ("+", "y = 1")],
        initial={"b_f": "the study's draw + 1"},
        parameters="4 NM + 4 N^2 + 7 N",
        states=2,
        stages=1,
    )
    written(tmp_path, trials, curves, replace(about, variants=[about.variants[0], changed]))
    text = (tmp_path / "report" / "gallery.html").read_text(encoding="utf-8")
    card = text[text.index('id="NOG"') :]
    assert [card.count(f'<div class="{kind}">') for kind in ("kept", "gone", "new")] == [1, 1, 1]
    assert "4 NM + 4 N² + 7 N" in card and "all trials against V" in card


def test_verdicts_are_named_once_there_are_enough_trials(tmp_path):
    trials, curves = study(variants=("V", "NFG", "NP"), n=60)
    text = written(tmp_path, trials, curves, facts(variants=("V", "NFG", "NP"), n=60))
    assert "The best trials (n = 6 a variant): significantly worse than V: NFG" in text


def test_what_the_best_trial_wrote_is_shown(tmp_path):
    trials, curves = study(variants=("V", "NFG"), n=3)
    samples = trials.loc[trials["state"].eq("completed"), ["task", "variant", "index"]]
    samples = samples.assign(
        sample=[f"<{v}> {k}\n\tif" for v, k in zip(samples["variant"], samples["index"], strict=True)]
    )
    write_report(tmp_path, trials, curves, facts(variants=("V", "NFG")), samples)
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    Page(text)
    done = trials[trials["state"].eq("completed") & trials["variant"].eq("V")].sort_values("validation")
    assert f"&lt;V&gt; {done['index'].iloc[0]}\n\tif" in text and text.count("&lt;V&gt;") == 1
    kept = pd.read_csv(tmp_path / "report" / "tables" / "samples.csv")
    assert list(kept["variant"]) == ["V", "NFG"] and kept["sample"].str.endswith("\n\tif").all()


def test_the_same_numbers_give_the_same_files(tmp_path):
    trials, curves = study(variants=("V", "NFG"), n=6)
    about = facts(variants=("V", "NFG"))
    write_report(tmp_path / "a", trials, curves, about)
    write_report(tmp_path / "b", trials.sample(frac=1, random_state=0), curves.sample(frac=1, random_state=0), about)
    for path in sorted((tmp_path / "a").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes(), path.name


def only(trials: pd.DataFrame, state: str) -> pd.DataFrame:
    blank = {"state": state, "validation": np.nan, "test": np.nan, "best_epoch": np.nan}
    return trials.assign(**blank, reason="Boom <b>: bad" if state == "failed" else None)


@pytest.mark.parametrize("state", ["failed", "diverged"])
def test_no_trial_completed(tmp_path, state):
    trials, _ = study(n=2)
    text = written(tmp_path, only(trials, state), NOTHING, facts(n=2))
    assert f"22 {state}" in text
    assert ("Boom &lt;b&gt;: bad" in text) == (state == "failed")


def test_no_trial_at_all(tmp_path):
    trials, curves = study(n=1)
    for table, lines in ((NOTHING, NOTHING), (trials[:0], curves[:0])):
        assert "No trial has ended yet; 66 are planned" in written(tmp_path, table, lines, facts())
    assert "Nothing is planned" in written(tmp_path, NOTHING, NOTHING, facts((), ()))


def test_one_trial_and_one_variant(tmp_path):
    trials, curves = study(variants=("V",), n=1)
    trials = trials.assign(state="completed", validation=8.4, test=8.5, best_epoch=3)
    text = written(tmp_path, trials, curves, facts(variants=("V",), n=1))
    assert "nothing to compare" in text


def test_curves_missing_and_study_unfinished(tmp_path):
    trials, _ = study(variants=("V", "NFG"), n=5)
    text = written(tmp_path, trials, NOTHING, facts(variants=("V", "NFG", "NP"), n=9))
    assert "are missing: all that follows may still change" in text


def test_the_reference_absent(tmp_path):
    trials, curves = study(variants=("NFG", "NP"), n=8)
    assert "the reference V has no score" in written(tmp_path, trials, curves, facts(variants=("NFG", "NP"), n=8))


def test_rows_that_the_facts_do_not_announce_are_shown(tmp_path):
    trials, curves = study(("jsb", "iam"), ("V", "XYZ"), n=6)
    text = written(tmp_path, trials, curves, facts(("jsb",), ("V",)))
    assert "XYZ" in text
    assert "iam" in text


def test_where_higher_is_better(tmp_path):
    trials, curves = study(variants=("V", "NFG"), n=60)
    trials[["validation", "test"]] *= -1
    curves[["train", "validation"]] *= -1
    about = facts(variants=("V", "NFG"), n=60)
    about = replace(about, tasks=[replace(about.tasks[0], direction="maximize", baseline=-BASELINE)])
    text = written(tmp_path, trials, curves, about)
    assert "significantly worse than V: NFG (−0." in text
    assert "higher is better" in text


@pytest.mark.parametrize(("tasks", "variants", "n"), [(1, 2, 3), (3, 11, 20), (8, 3, 6), (2, 40, 6)])
def test_every_figure_can_be_drawn(tasks, variants, n):
    names = ("V", *(f"X{k}" for k in range(variants - 1)))
    places = tuple(f"task{k}" for k in range(tasks))
    trials, curves = study(places, names, n)
    about = facts(places, names, n)
    tables = compute(trials, curves, about)
    for draw in FIGURES.values():
        figure = draw(tables, about)
        assert isinstance(figure, Figure)
        figure.draw_without_rendering()
        assert figure.get_size_inches()[0] <= 7.21


def test_the_reference_comes_first_in_tables_and_facts():
    about = facts(variants=("NFG", "V", "NP"))
    trials, curves = study(variants=("NP", "NFG", "V"), n=5)
    tables = compute(trials, curves, about)
    assert list(tables.summary["variant"]) == ["V", "NFG", "NP"]
    assert list(dict.fromkeys(tables.boxes["variant"])) == ["V", "NFG", "NP"]


def test_forty_variants_are_told_apart():
    names = ["V", *(f"X{k}" for k in range(39))]
    colours, dashes = line_styles(names, "V")
    assert len({(str(colours[name]), str(dashes[name])) for name in names}) == 40


def test_labels_keep_apart_and_in_order():
    heights = [0.5, 0.5, 0.51, 0.0, 1.0]
    moved = _apart(heights, 0.1)
    assert np.diff(sorted(moved)).min() >= 0.1 - 1e-12
    assert min(moved) >= 0
    assert max(moved) <= 1
    assert np.argsort(moved, kind="stable").tolist() == np.argsort(heights, kind="stable").tolist()
    assert _apart([0.2, 0.8], 0.1) == [0.2, 0.8]


def test_equations_are_typeset_or_else_shown_as_written():
    equation = typeset(r"i^{t} = \sigma{\left(W_{i} x^{t} + p_{i} c^{t-1} \right)}", "e1")
    assert equation is not None
    assert equation.definition.startswith('<path id="e1" d="M')
    assert equation.__html__().startswith("<svg") and 'href="#e1" fill="currentColor"' in equation.__html__()
    assert typeset(r"\begin{aligned}a\end{aligned}", "e2") is None


def test_numbers_in_words():
    assert (number(-1234.5), signed(0.25), signed(-0.25)) == ("−1,234.50", "+0.25", "−0.25")
    assert scientific(3.2e-4) == "3.2 × 10⁻⁴"
    assert [duration(seconds) for seconds in (4.0, 90.0, 7200.0)] == ["4.0 s", "1.5 min", "2.0 h"]


def test_neither_room_imports_the_training_or_opens_a_display():
    code = (
        "import sys, ablate.report, ablate.analysis; "
        "assert not {'torch', 'optuna', 'mlflow', 'ablate.training', 'ablate.cell'} & set(sys.modules); "
        "from matplotlib import pyplot; assert not pyplot.get_fignums()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
