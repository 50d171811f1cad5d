"""What the page does in a browser, and the report's other forms: one PDF, LaTeX, a text for a paper."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from ablate.analysis import AnalysisTables
from ablate.report import FIGURES
from ablate.report.latex import LONG, LONGEST, escaped, latex_table
from ablate.report.page import render_page
from ablate.report.pdf import html_tree, render_pdf
from ablate.report.pictures import render_figure
from ablate.testing.synthetic import synthetic_results, unusual_results

NO_FIGURES = dict.fromkeys((entry.name for entry in FIGURES), b"<svg/>")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def study():
    results = synthetic_results(variants=("V", "NFG", "NP"), trials=12, controls=1, confirmations=5)
    return results, AnalysisTables(results)


@pytest.fixture(scope="module")
def blank_pdfs() -> dict[str, bytes]:
    from ablate.report import style

    return dict.fromkeys(NO_FIGURES, render_figure(style.blank("no figure"))["pdf"])


def pdf_text(content: bytes) -> str:
    """The text of a PDF without spaces and hyphens, since lines are broken where the page breaks them otherwise."""
    return squeezed("".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages))


def squeezed(text: str) -> str:
    return re.sub(r"[\s\N{SOFT HYPHEN}\N{ZERO WIDTH SPACE}-]", "", text)


# The page


def test_the_browser_runs_the_pages_own_script_and_nothing_else(study):
    results, tables = study
    hostile = [replace(each, summary="<script>alert(1)</script>") for each in results.variants]
    text = render_page(replace(results, variants=hostile), tables, NO_FIGURES)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'" and rules["script-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:" and rules["style-src"] == "'unsafe-inline'"


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_tables_sort_by_number_with_what_has_none_last(study, tmp_path):
    cells = ["+0.25 worse", "–", "−3.0 better", "diverged", "1.5 min", "1,200", "3.0 × 10⁻²", "&lt; 0.001", "12 s"]
    rows = "".join(f'<tr><td class="text">v{k}</td><td>{cell}</td></tr>' for k, cell in enumerate(cells))
    table = (
        '<table id="mine"><thead><tr><th></th><th colspan="1">task</th></tr><tr><th class="text">name</th>'
        f"<th>score</th></tr></thead><tbody>{rows}</tbody></table>"
    )
    script = """<script>
      const state = () => [...mine.tBodies[0].rows].map((row) => row.cells[0].textContent.slice(1)).join("");
      const head = mine.tHead.rows[1].cells[1], seen = [];
      for (let k = 0; k < 3; k++) { head.querySelector("button").click(); seen.push(head.ariaSort, state()); }
      mine.tHead.rows[1].cells[0].querySelector("button").click();
      seen.push(head.ariaSort, mine.tHead.rows[0].querySelectorAll("button").length);
      document.querySelector("#effects .enlarge").click();
      seen.push(document.querySelectorAll("dialog[open] img").length);
      document.querySelector("dialog").close();
      document.title = seen.join(" ");
    </script>"""
    results, tables = study
    text = render_page(results, tables, NO_FIGURES).replace("</main>", table + "</main>")
    text = re.sub(r"script-src '.*?'", "script-src 'unsafe-inline'", text).replace("</body>", script + "</body>")
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    command = [str(BROWSER), "--headless", "--no-sandbox", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [*command, str(tmp_path / "page.html")], capture_output=True, text=True, timeout=60, check=True
    )
    (title,) = re.findall(r"<title>(.*?)</title>", done.stdout)
    assert title == "ascending 276084513 descending 548067213 none 012345678 none 0 1"


# The PDF


def test_the_pdf_says_what_the_page_says(study, blank_pdfs):
    results, tables = study
    said = pdf_text(render_pdf(results, tables, blank_pdfs))
    page = render_page(results, tables, NO_FIGURES)
    page = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)  # what the page folds is not on paper
    for kind in ("li", "figcaption", "h2"):
        texts = re.findall(rf"<{kind}[^>]*>(.*?)</{kind}>", page, re.DOTALL)
        assert texts
        for text in texts:
            if "href" not in text:  # the contents, which have page numbers on paper
                assert squeezed(words_of(html_tree(text))) in said, text
    row = tables["comparisons"].query("set == 'all' and variant == 'NFG'").iloc[0]
    assert f"{row['difference']:+.2f}".replace("-", "−")[:4] in said


def words_of(nodes) -> str:
    return "".join(node if isinstance(node, str) else words_of(node["children"]) for node in nodes)


def test_the_pdf_has_every_figure_as_vectors_its_fonts_page_numbers_and_a_title(study):
    results, tables = study
    pdfs = {entry.name: render_figure(entry(tables))["pdf"] for entry in FIGURES}
    content = render_pdf(results, tables, pdfs)
    reader = PdfReader(io.BytesIO(content))
    assert reader.metadata is not None and reader.metadata.title == results.name
    pages = [page.extract_text() for page in reader.pages]
    assert all(f"{k} / {len(pages)}" in text for k, text in enumerate(pages, 1))
    assert "difference, nats per frame" in "".join(pages)  # the label of an axis: text, and no picture of it
    assert content.count(b"/FontFile") >= 3 and b"/Type3" not in content
    assert b"CreationDate" not in content


def test_the_pdf_stands_in_every_state_of_a_study(blank_pdfs):
    for state, results in unusual_results().items():
        said = pdf_text(render_pdf(results, AnalysisTables(results), blank_pdfs))
        assert squeezed(results.name) in said, state
    render_pdf(replace(results, command=""), AnalysisTables(results), blank_pdfs)


def test_names_are_no_markup_in_the_pdf(study, blank_pdfs):
    results, tables = study
    odd = replace(results, name="#panic() *a* $x$ <b> \\ ]", command='echo "#{1}" ' + "`" * 3)
    assert squeezed('echo "#{1}" ```') in pdf_text(render_pdf(odd, tables, blank_pdfs))


# Tables as LaTeX


def cells(line: str) -> list[str]:
    return re.split(r"(?<!\\) & ", line.removesuffix(r" \\"))


@given(st.text())
def test_any_text_is_one_line_of_latex_without_a_command_of_its_own(text):
    shown = escaped(text)
    assert "\n" not in shown
    bare = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum|textbar)\{\}|\\[&%$#_{}]", "", shown)
    bare = re.sub(r"\$(<|>|-|\\times|\\approx|\^\{[-\d]*\})\$|\{[\[*]?\}", "", bare)
    assert not set("\\&%$#_{}~^<>[*|") & set(bare)


def test_the_latex_has_the_tables_numbers_rounded_as_on_the_page(study):
    results, tables = study
    table = tables["comparisons"]
    text = latex_table("comparisons", table, results)
    assert text is not None
    lines = text.splitlines()
    columns = cells(next(line for line in lines if line.startswith("set & ")))
    rows = [cells(line) for line in lines if line.startswith(("all & ", "confirmed & ", "best & "))]
    assert columns == [escaped(name.replace("_", " ")) for name in table.columns if name != "task"]
    assert len(rows) == len(table) and {len(row) for row in rows} == {len(columns)}
    assert any("jsb, scores in nats per frame" in line for line in lines)
    for shown, row in zip(rows, table.to_dict("records"), strict=True):
        difference = shown[columns.index("difference")].replace("$-$", "-")
        digits = len(difference.partition(".")[2])
        assert float(difference) == pytest.approx(row["difference"], abs=0.5 * 10**-digits + 1e-12)
        if not math.isnan(row["low"]):
            assert digits <= 2 - math.floor(math.log10((row["high"] - row["low"]) / 2))


def test_latex_is_balanced_and_long_tables_run_over_pages(study):
    results, tables = study
    for name, table in tables.items():
        text = latex_table(name, table, results)
        if text is None:
            continue
        begun, ended = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
        assert begun == ended[::-1]
        bare = re.sub(r"\\[{}\\]", "", text)
        assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    rows = pd.DataFrame({"variant": ["V"] * (LONG + 1), "score": 1.5})
    assert "longtable}" in (latex_table("boxes", rows, results) or "")
    assert "tabular}" in (latex_table("boxes", rows.head(LONG), results) or "")


def test_raw_data_has_no_latex_and_what_there_was_goes(study):
    results, _ = study
    rows = pd.DataFrame({"variant": ["V"] * (LONGEST + 1), "score": 1.5})
    assert latex_table("boxes", rows, results) is None
    assert latex_table("boxes", rows.head(0), results) is None
    assert latex_table("boxes", pd.DataFrame({"sample": ["a\nb"]}), results) is None


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles(study, tmp_path: Path):
    results, tables = study
    odd = pd.DataFrame(
        {"variant": ["[a]", "*", "a_b & 50 % #1 {x} ~ ^ \\ <|>", "--x"], "p": [0.0001, 0.5, math.nan, 1]}
    )
    texts = [latex_table("boxes", odd, results), *(latex_table(name, table, results) for name, table in tables.items())]
    page = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs,longtable}\begin{document}"
    document = "\n".join([page, *filter(None, texts), r"\end{document}"])
    (tmp_path / "all.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


# The methods paragraph


def paragraph(results) -> str:
    page = render_page(results, AnalysisTables(results), NO_FIGURES)
    section = page[page.index('<section id="methods_paragraph">') :]
    return " ".join(words_of(html_tree(section[: section.index("</section>")])).split())


def test_the_methods_paragraph_has_the_studys_numbers(study):
    results, _ = study
    training = {"optimiser": "sgd", "epochs": 20, "patience": 5, "batch_size": 1, "init_std": 0.1, "layers": 1}
    search = {"learning_rate": {"low": 1e-4, "high": 0.01, "scale": "log"}, "momentum": 0.9}
    made = {"configuration": {"paired": True, "seed": 7, "training": training, "search": search}}
    text = paragraph(replace(results, environment={"ablate": "1.2", "torch": "2.8"}, **made))
    states = results.trials["state"].value_counts()
    for said in (
        "We compared 2 recurrent cells (NFG, NP) with V on one task: jsb (nats per frame; 229 training sequences).",
        "12 trials of each cell and task: the learning rate from 0.0001 to 0.01, log-uniformly",
        "the momentum fixed at 0.9",
        f"Of 36 trials, {states['completed']} completed, {states.get('diverged', 0)} diverged",
        "for at most 20 epochs, or until 5 epochs had brought no better validation score",
        "sign flips",
        "trained 5 times anew, that of V 10 times",
        "one replicate of V served as negative control;",
        "the method of Holm (Holm, 1979)",
        "ablate 1.2 (PyTorch 2.8), from the seed 7",
    ):
        assert said in text, said
    assert "Benjamini" not in text
    assert r"~\cite{holm1979}" in text and "@article{holm1979," in text


def test_what_the_methods_paragraph_cites_is_in_its_bibliography(study):
    text = paragraph(study[0])
    assert set(re.findall(r"\\cite\{(\w+)\}", text)) == set(re.findall(r"@article\{(\w+),", text)) != set()


def test_the_methods_paragraph_of_one_variant_and_one_trial_counts_in_the_singular():
    text = paragraph(synthetic_results(variants=("V",), trials=1))
    assert "We trained the recurrent cell V on one task:" in text and "Of one trial, " in text
    assert "compared" not in text and "1 trials" not in text
