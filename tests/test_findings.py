"""Findings in the README and the documentation: each names its rows, and its numbers stand there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

import ablate
from ablate.plan.numerics import NUMERICS_VERSION
from benchmarks.instrument import QUESTIONS
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "docs" / "findings.md"]
ROW = re.compile(r"`(?P<study>[\w-]+)/(?P<table>\w+): (?P<key>[^`]+)`")  # `study/comparisons: set=best variant=NFG`
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*\.\d+(?![\w.]|\.\d)")
ITEM = re.compile(r"^(?:\d+\.|-) (?P<text>.+(?:\n[ ]+\S.*)*)", re.MULTILINE)


def findings() -> Iterator[tuple[str, str]]:
    """The items of lists that name a row, with the page that they stand on."""
    for page in PAGES:
        for item in ITEM.finditer(page.read_text(encoding="utf-8")):
            text = " ".join(item["text"].split())
            if ROW.search(text):
                yield page.name, text


def row_of(study: str, table: str, key: str) -> pd.Series:
    """The row that a finding names.

    Raises:
        AssertionError: there is not exactly one.
    """
    rows = pd.read_csv(ROOT / "results" / study / "report" / "tables" / f"{table}.csv", keep_default_na=False)
    for name, value in (part.split("=") for part in re.split(r" (?=\w+=)", key)):
        rows = rows.loc[rows[name].astype(str).eq(value)]
    assert len(rows) == 1, f"{len(rows)} rows of {study}/{table} have {key}"
    return rows.iloc[0]


def numbers_in(row: pd.Series) -> Iterator[float]:
    for value in pd.to_numeric(row, errors="coerce").dropna():
        yield abs(value)
        yield 100 * abs(value)  # a share in per cent


@pytest.mark.parametrize(("page", "finding"), list(findings()))
def test_each_number_of_a_finding_stands_in_a_row_that_it_names(page: str, finding: str) -> None:
    known = [value for match in ROW.finditer(finding) for value in numbers_in(row_of(**match.groupdict()))]
    for said in NUMBER.findall(ROW.sub("", finding)):
        number, digits = float(said.replace(",", "")), len(said.partition(".")[2])
        close = [value for value in known if abs(value - number) <= 0.5 * 10.0**-digits + 1e-9]
        assert close, f"{page}: {said} is in no row named by: {finding}"


def test_the_readme_opens_with_five_findings() -> None:
    assert sum(page == "README.md" for page, _ in findings()) == 5


def test_the_readme_says_how_good_an_instrument_the_default_budget_is() -> None:
    table = pd.read_csv(ROOT / "benchmarks" / "results" / "instrument.csv").set_index(["set", "question"])
    found, reversed_ = table.loc[("all", QUESTIONS[1])], table.loc[("all", QUESTIONS[2])]
    low, share, high = (round(100 * found[name]) for name in ("low", "share", "high"))
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{found['holds']:.0f} of the {found['of']:.0f} differences of one standard deviation and more" in text
    assert f"({share} %, 95 % interval {low} % to {high} %)" in text
    assert reversed_["holds"] == 0 and f"in none of the {reversed_['of']:.0f} that both find" in text


def todays_studies() -> list[str]:
    """Those of today's numbers that are reported; an older version's was reported by the program of its time."""
    studies = [path.parents[2] for path in (ROOT / "results").glob("*/report/tables/comparisons.csv")]
    versions = {path.name: json.loads((path / "metadata.json").read_text("utf-8")) for path in studies}
    return sorted(name for name, what in versions.items() if what.get("numerics_version") == NUMERICS_VERSION)


@pytest.mark.slow
@pytest.mark.parametrize("study", todays_studies())
@pytest.mark.parametrize("name", ["comparisons", "summary", "paper_comparisons", "control_rates"])
def test_the_tables_of_a_committed_report_are_those_of_its_trials(study: str, name: str) -> None:
    folder = ROOT / "results" / study
    made = ablate.load(folder).table(name).reset_index(drop=True)
    written = pd.read_csv(folder / "report" / "tables" / f"{name}.csv")
    for column in made:
        if made[column].dtype.kind in "fiub":
            np.testing.assert_allclose(written[column].astype(float), made[column].astype(float), rtol=1e-6)
        else:
            assert list(written[column].fillna("")) == list(made[column].fillna(""))
