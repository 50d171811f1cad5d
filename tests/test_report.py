"""The report: what its page and figures say is what its tables hold, in every state that a study can be in."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ablate.analysis import AnalysisTables
from ablate.definitions.study_results import StudyResults
from ablate.execution.spread import in_processes
from ablate.report import FIGURES, SECTIONS, figure, section, write_report
from ablate.report.formatting import SET_NAMES, decimals, duration, number, places, probability, scientific, signed
from ablate.report.gallery import render_gallery
from ablate.report.latex import latex_table
from ablate.report.page import render_page
from ablate.report.typesetting import typeset
from ablate.testing.analyses import check_figure, check_section, unclosed_elements
from ablate.testing.synthetic import synthetic_results

# Figures that every report shows; tests/test_importance_tables.py has those of importance, which takes seconds.
SHOWN = [entry.name for entry in FIGURES if not entry.name.startswith("importance")]
NO_FIGURES = dict.fromkeys((entry.name for entry in FIGURES), b"<svg/>")


class Page(HTMLParser):
    """What a page shows and loads: `tables` holds the cells' texts by table and row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.tables: list[list[list[str]]] = []
        self._cell = False
        assert not unclosed_elements(text)
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = self.links if tag == "a" else self.loads
        found += [value or "" for key, value in attrs if key in ("src", "href", "srcset")]
        self.places |= {f"#{value}" for key, value in attrs if key == "id"}
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.tables[-1][-1][-1] += data

    def rows(self, *heading: str) -> list[list[str]]:
        """The rows under the headings of the first table whose last row of headings starts with these words."""
        for table in self.tables:
            for k, row in enumerate(table):
                if tuple(row[: len(heading)]) == heading:
                    return table[k + 1 :]
        raise AssertionError(f"no table is headed {heading}")


@dataclass
class Report:
    """A study and its report, as written."""

    results: StudyResults
    folder: Path
    tables: AnalysisTables

    @property
    def text(self) -> str:
        return (self.folder / "index.html").read_text(encoding="utf-8")

    @property
    def gallery(self) -> str:
        return (self.folder / "gallery.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a study with enough trials for every verdict, a control and settings trained anew."""
    results = synthetic_results(variants=("V", "NFG", "NP"), trials=110, controls=1, confirmations=5)
    folder = tmp_path_factory.mktemp("report") / "report"
    assert write_report(results, folder) == folder / "index.html"
    return Report(results, folder, AnalysisTables(results))


def page_of(results: StudyResults) -> str:
    """The page without its figures, which take time to draw."""
    return render_page(results, AnalysisTables(results), NO_FIGURES)


# The files


def test_the_report_is_a_page_a_pdf_a_gallery_and_files_for_each_table_and_figure(report):
    found = {str(path.relative_to(report.folder)) for path in report.folder.rglob("*") if path.is_file()}
    figures = {f"figures/{entry.name}.{kind}" for entry in FIGURES for kind in ("pdf", "png")}
    tables = {f"tables/{name}.csv" for name in report.tables}
    tables |= {
        f"tables/{name}.tex" for name, table in report.tables.items() if latex_table(name, table, report.results)
    }
    assert found == {"index.html", "report.pdf", "gallery.html", *figures, *tables}


def test_the_page_loads_nothing_and_leads_only_to_what_is_there(report):
    page, gallery = Page(report.text), Page(report.gallery)
    assert len(page.loads) == len(SHOWN)
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.loads)
    assert all(link in page.places if link[0] == "#" else (report.folder / link).is_file() for link in page.links)
    assert set(gallery.loads) <= gallery.places  # outlines that the page itself defines
    assert set(gallery.links) <= {"index.html", *gallery.places}


def test_the_csv_files_hold_the_tables_to_ten_digits(report):
    for name, table in report.tables.items():
        kept = pd.read_csv(report.folder / "tables" / f"{name}.csv")
        assert list(kept.columns) == list(table.columns) and len(kept) == len(table), name
        for column in table.select_dtypes("number"):
            np.testing.assert_allclose(kept[column].astype(float), table[column].astype(float), rtol=1e-9, err_msg=name)


def test_the_same_results_give_the_same_files_whatever_the_order_of_their_rows_and_whoever_draws(report, tmp_path):
    results = report.results
    shuffled = {name: getattr(results, name).sample(frac=1, random_state=0) for name in ("trials", "curves", "samples")}
    write_report(replace(results, **shuffled), tmp_path, in_processes(2, lambda *_: None))
    for path in sorted(path for path in report.folder.rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / path.relative_to(report.folder)).read_bytes(), path.name


def test_the_pdf_files_embed_their_fonts(report):
    for path in (report.folder / "figures").glob("*.pdf"):
        content = path.read_bytes()
        assert b"/FontFile2" in content and b"/CIDFontType2" in content and b"/Type3" not in content, path.name


# What the page says


def test_the_page_states_the_verdicts_of_the_table(report):
    page = Page(report.text)
    table = report.tables["comparisons"].set_index(["variant", "set"])
    assert {"worse", "no significant difference"} <= set(table["verdict"])
    short = {"worse": "worse", "better": "better", "no significant difference": "n.s."}
    rows = page.rows("variant", "what differs")
    assert [row[0] for row in rows] == ["control 1", "NFG", "NP"]
    for variant, _, *cells in rows:
        for name, cell in zip(SET_NAMES, cells, strict=True):
            if (variant, name) not in table.index:  # a control's best setting is not trained anew
                assert cell == "–"
                continue
            row = table.loc[(variant, name)]
            shown = "≈" if row["equivalent"] and row["verdict"] not in ("worse", "better") else short[row["verdict"]]
            assert (
                cell.removesuffix(" ≈") + " ≈" * (shown == "≈") == f"{signed(row['difference'], places(row))} {shown}"
            )


def test_the_page_gives_every_test_in_full(report):
    shown = Page(report.text).rows("trials", "variant", "n", "mean")
    expected = report.tables["comparisons"].sort_values("set", kind="stable").to_dict("records")  # all, best, confirmed
    assert len(shown) == len(expected) == 8
    for cells, row in zip(shown, expected, strict=True):
        digits = places(row)
        assert cells[:4] == [SET_NAMES[row["set"]], row["variant"], str(row["n"]), number(row["mean"], digits)]
        assert cells[6:8] == [
            signed(row["difference"], digits),
            f"{signed(row['low'], digits)} to {signed(row['high'], digits)}",
        ]
        ps = [probability(row[name]).removeprefix("= ") for name in ("p", "p_rank", "p_adjusted", "p_equivalent")]
        assert cells[12:16] == ps
        assert cells[16].removesuffix(", within the margin") == row["verdict"]


def test_the_page_names_the_worse_variants_with_their_differences(report):
    table = report.tables["comparisons"].set_index(["set", "variant"])
    worse = table[table["verdict"].eq("worse") & table["role"].eq("variant")]
    assert len(worse)
    for _, row in worse.iterrows():
        said = f"({signed(row['difference'], places(row))}, p {probability(row['p_adjusted'])})".replace("<", "&lt;")
        assert f"{row.name[1]} {said}" in report.text
    assert "Best settings trained anew (5 trainings against 10):" in report.text


def test_the_page_says_what_its_families_and_controls_promise(report):
    assert "3 families of comparisons are corrected by Holm’s method" in report.text
    assert "up to 15 % of studies have one somewhere" in report.text
    rates = report.tables["control_rates"].set_index("set")
    assert f"of {rates['comparisons'].sum()} comparisons of V with itself were called different" in report.text
    rows = {row[1]: row[2:4] for row in Page(report.text).rows("what", "trials", "comparisons")}
    assert rows["all trials"] == ["1", str(rates.loc["all", "different"])]


def test_the_page_says_how_many_trials_a_difference_needs(report):
    (row,) = Page(report.text).rows("task", "trials", "comparisons")
    assert row[-3:] == [number(value, 0) for value in report.tables["planning"]["trials"]]


def test_the_published_procedure_is_shown_as_what_it_is(report):
    rows = Page(report.text).rows("variant", "n", "mean", "V: n", "mean", "difference", "Welch’s 95 % interval")
    assert [row[0] for row in rows] == ["NFG", "NP"]
    assert "nothing on this page is concluded from it" in report.text


def test_the_page_counts_the_trials_and_what_a_baseline_would_do(report):
    trials = report.results.trials
    states = trials["state"].value_counts()
    said = f"{len(trials)} trials have ended: {states['completed']} completed, {states['diverged']} diverged"
    assert said in report.text
    scores = report.tables["scored_trials"]["score"].dropna()
    useless = int((scores >= 11.9).sum())
    assert f"{useless} of {len(scores)} scored trials do no better than the constant predictor" in report.text
    rows = Page(report.text).rows("task", "variant", "planned")
    counted = report.tables["trial_counts"][["variant", "expected", "completed", "diverged", "failed", "missing"]]
    assert [row[1:7] for row in rows] == [[str(cell) for cell in row] for row in counted.to_numpy()]


def test_the_page_shows_the_best_trials_hyperparameters(report):
    rows = Page(report.text).rows("variant", "validation", "test", "hidden size")
    best = report.tables["summary"].set_index("variant")
    assert [row[0] for row in rows] == ["V", "control 1", "NFG", "NP"]
    for variant, validation, test, size, rate, *_ in rows:
        row = best.loc[variant]
        assert (validation, test) == (number(row["best_validation"], 2), number(row["best_test"], 2))
        assert (size, rate) == (number(row["best_hidden_size"], 0), scientific(row["best_learning_rate"]))


def test_the_page_shows_what_the_best_trials_wrote_and_how_the_study_was_made(report):
    best = report.tables["summary"].set_index("variant")["best_index"]
    assert f"&lt;V&gt; {best['V']:.0f}\n\tif" in report.text and report.text.count("&lt;V&gt;") == 1
    for text in ("a &lt;package&gt;", "search.momentum.low", "python run_sweep.py --variants all", "ab" * 32):
        assert text in report.text


def test_sections_and_figures_are_numbered_and_the_contents_lead_to_them(report):
    titles = re.findall(r'<section id="(\w+)">\n<h2><span class="number">(\d+)</span> (.*?)</h2>', report.text)
    assert [int(number) for _, number, _ in titles] == list(range(1, len(titles) + 1))
    entries = re.findall(r'<li><a href="#(\w+)">(.*?)</a>', report.text)
    assert entries == [(name, title) for name, _, title in titles] and len(entries) > 10
    captions = re.findall(r'<figcaption id="figure-(\d+)"><strong>Figure (\d+)\.</strong>', report.text)
    assert captions == [(str(k), str(k)) for k in range(1, len(SHOWN) + 1)]
    assert entries[0][0] == "findings"  # the answer comes first


def test_the_gallery_shows_equations_and_marks_what_a_variant_changes(report):
    changed = replace(
        report.results.variants[1],
        parent="V",
        difference=[("", "z = x"), ("-", "y = o"), ("+", "y = 1")],
        initial={"b_f": "the study's draw + 1"},
        parameters="4 NM + 4 N^2 + 7 N",
        states=2,
        stages=1,
    )
    first, _, last = report.results.variants
    text = render_gallery(replace(report.results, variants=[first, changed, last]), report.tables)
    Page(text)
    card = text[text.index('id="NFG"') : text.index('id="NP"')]
    assert [card.count(f'<div class="{kind}">') for kind in ("kept", "gone", "new")] == [1, 1, 1]
    assert "4 NM + 4 N² + 7 N" in card and "<code>b_f</code> starts as the study&#39;s draw + 1" in card
    rows = {row[0]: row[1] for table in Page(card_of(card)).tables for row in table}
    found = report.tables["comparisons"].set_index(["variant", "set"])
    for name in ("all", "best"):
        row = found.loc[("NFG", name)]
        said = {"worse": "worse", "no significant difference": "n.s."}[row["verdict"]]
        assert rows[f"{SET_NAMES[name]} against V"] == f"{signed(row['difference'], places(row))} {said}"
    assert report.gallery.count('class="equation"') == 3


def card_of(text: str) -> str:
    """A piece of a page from the first table on, closed."""
    return text[text.index("<table>") : text.rindex("</table>")] + "</table>"


# Entries from outside


def test_a_section_of_ones_own_has_its_place_and_its_figure_a_number(report, monkeypatch):
    monkeypatch.setattr(FIGURES, "_entries", dict(FIGURES._entries))
    monkeypatch.setattr(SECTIONS, "_entries", dict(SECTIONS._entries))

    @figure("sizes", tables=("boxes",))
    def sizes(tables):
        picture = Figure()
        picture.subplots().bar(tables["boxes"]["variant"], tables["boxes"]["parameters"])
        return picture

    @section(
        "sizes",
        "how large they are next to {reference}",
        position=35,
        tables=("boxes",),
        figure="sizes",
        template='<figure><img src="{{ figure }}" alt="{{ largest }}"><figcaption>Sizes.</figcaption></figure>',
    )
    def of_sizes(results, tables):
        return {"largest": tables["boxes"]["parameters"].max()} if len(tables["boxes"]) else None

    check_figure("sizes")
    check_section("sizes")
    text = render_page(report.results, report.tables, {**NO_FIGURES, "sizes": b"<svg/>"})
    assert '<h2><span class="number">8</span> How large they are next to V</h2>' in text
    assert [text.count(f"<strong>Figure {k}.</strong>{after}") for k, after in ((2, ""), (4, " Sizes."), (5, ""))] == [
        1
    ] * 3
    with pytest.raises(KeyError):  # what it does not name, it does not see
        FIGURES["sizes"].draw({})


# Pieces


def test_equations_are_typeset_or_else_shown_as_written():
    equation = typeset(r"i^{t} = \sigma{\left(W_{i} x^{t} + p_{i} c^{t-1} \right)}", "e1")
    assert equation is not None
    assert equation.definition.startswith('<path id="e1" d="M')
    assert equation.__html__().startswith("<svg") and 'href="#e1" fill="currentColor"' in equation.__html__()
    assert typeset(r"\begin{aligned}a\end{aligned}", "e2") is None
    results = synthetic_results(variants=("V",), trials=1)
    odd = replace(results.variants[0], equations=[r"\begin{aligned}a\end{aligned}"])
    assert r"<code>\begin{aligned}a\end{aligned}</code>" in render_gallery(
        replace(results, variants=[odd]), AnalysisTables(results)
    )


def test_numbers_in_words():
    assert (number(-1234.5), signed(0.25), signed(-0.25)) == ("−1,234.50", "+0.25", "−0.25")
    assert scientific(3.2e-4) == "3.2 × 10⁻⁴"
    assert [duration(seconds) for seconds in (4.0, 90.0, 7200.0)] == ["4.0 s", "1.5 min", "2.0 h"]
    assert [probability(value) for value in (0.0004, 0.0123, np.nan)] == ["< 0.001", "= 0.012", "–"]


def test_scores_are_shown_to_three_significant_places_at_least_two_decimals():
    boxes = pd.DataFrame({"task": ["a", "b", "b"], "median": [0.00123, 8.4, 61.0]})
    assert decimals(boxes) == {"a": 5, "b": 2}


def test_neither_room_imports_the_training_or_opens_a_display():
    code = (
        "import sys, ablate.report, ablate.analysis; "
        "assert not {'torch', 'optuna', 'mlflow', 'ablate.training', 'ablate.cell'} & set(sys.modules); "
        "from matplotlib import pyplot; assert not pyplot.get_fignums()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
