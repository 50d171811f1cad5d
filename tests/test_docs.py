"""The documentation: its code runs, its links lead somewhere, and what is generated in it is up to date."""

from __future__ import annotations

import dataclasses
import inspect
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import ablate
from ablate.cli.main import make_parser
from benchmarks import instrument, scale
from benchmarks import page as speed_page
from benchmarks.calibration import page as calibration_page
from docs import generate
from tests.conftest import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(generate.DOCS.rglob("*.md")),
]
BLOCK = re.compile(
    r"^```(?P<language>\w+)(?: title=\"(?P<file>[^\"]+)\")?\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)

# Runs in a process of its own, since examples register what other tests must not meet.
RUN = """
import importlib, sys, traceback, warnings
from pathlib import Path

failed = passed = 0
for page in sorted(Path.cwd().iterdir()):
    sys.path.insert(0, str(page))
    for file in sorted(page.glob("*.py"), key=lambda file: file.stem.startswith("test_")):
        try:
            module = importlib.import_module(file.stem)
            for name in dir(module):
                if name.startswith("test_") and callable(test := getattr(module, name)):
                    test()
                    passed += 1
        except Exception:
            failed += 1
            print(f"--- {page.name}, {file.name}", traceback.format_exc(), sep="\\n")
print(f"{passed} passed")
sys.exit(failed)
"""


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """The code of a page in one language, each with its file name, if it says one."""
    text = page.read_text(encoding="utf-8")
    return [(match["file"] or "", match["code"]) for match in BLOCK.finditer(text) if match["language"] == language]


def relative(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_every_python_example_runs(tmp_path: Path) -> None:
    """Examples of a page lie beside one another, under the names that they have there; tests in them are run."""
    count = 0
    for page in PAGES:
        for number, (name, code) in enumerate(blocks(page, "python")):
            folder = tmp_path / relative(page).replace("/", "-")
            folder.mkdir(exist_ok=True)
            (folder / (name or f"{page.stem.lower()}_{number}.py")).write_text(code, encoding="utf-8")
            count += 1
    assert count > 18
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # this clone, whatever is installed
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(list(tmp_path.glob('*/test_*.py')))} passed" in done.stdout, done.stdout


@pytest.mark.parametrize("page", sorted((generate.DOCS / "adding").glob("*.md")), ids=relative)
def test_every_way_to_add_has_one_file_and_its_test(page: Path) -> None:
    if page.stem == "index":
        linked = set(re.findall(r"\((\w+)\.md\)", page.read_text(encoding="utf-8")))
        assert linked == {each.stem for each in page.parent.glob("*.md")} - {"index"}
    else:
        first, second = (name for name, _ in blocks(page, "python"))
        assert second == f"test_{first}"


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_command_is_one_that_the_program_knows(page: Path) -> None:
    for _, code in blocks(page, "sh"):
        for line in code.replace("\\\n", " ").splitlines():
            for command in line.split("&&"):
                words = shlex.split(command, comments=True)
                if words[:2] == ["python", "run_sweep.py"] or words[:1] == ["ablate"]:
                    make_parser().parse_args(words[2 if words[0] == "python" else 1 :])


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, place = target.partition("#")
        if "://" in target or file.startswith("mailto:"):
            continue
        there = page.parent / file if file else page
        assert there.exists(), f"{relative(page)} links to {target}"
        if place and there.suffix == ".md":
            assert place in anchors(there), f"{relative(page)} links to {target}"


def anchors(page: Path) -> set[str]:
    """The places of a page that its headings make."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", generate.pages(), ids=relative)
def test_what_is_generated_is_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert generate.written(text) == text, f"run `python docs/generate.py`: {relative(page)} is not up to date"


def test_every_generated_part_stands_somewhere_and_explains_every_row() -> None:
    placed = [match["name"] for page in generate.pages() for match in generate._PART.finditer(page.read_text("utf-8"))]
    assert sorted(placed) == sorted(generate.PARTS)
    for name in ("command-line", "configuration", "training", "study-tables", "metadata", "analyses"):
        for line in generate.PARTS[name]().splitlines():
            assert not line.startswith("|") or line.split(" | ")[-1].strip(" |"), f"{name}: no meaning in {line}"


def documented_dataclasses() -> Iterator[type]:
    """The dataclasses of the API reference, by themselves or in a module that it shows."""
    for path in re.findall(r"^::: (\S+)", (generate.DOCS / "api.md").read_text(encoding="utf-8"), re.MULTILINE):
        shown = pkgutil.resolve_name(path)
        members = vars(shown).values() if inspect.ismodule(shown) else [shown]
        for each in members:
            own = not inspect.ismodule(shown) or getattr(each, "__module__", "") == path
            if inspect.isclass(each) and dataclasses.is_dataclass(each) and own:
                yield each


# Of what decorators fill in from their own, documented parameters.
REGISTERED = ("ablate.analysis.registry", "ablate.report.registry")


def test_every_field_in_the_api_reference_is_explained() -> None:
    silent = {
        owner.__name__: [name for name, text in generate.commented_fields(owner).items() if not text]
        for owner in documented_dataclasses()
        if owner.__module__ not in REGISTERED
    }
    assert len(silent) > 10 and not {owner: names for owner, names in silent.items() if names}


def test_a_column_without_an_explanation_is_found_out() -> None:
    with pytest.raises(ValueError, match="does not explain its column 'share'"):
        generate.meanings("mine", pd.DataFrame(columns=["task", "share"]), {})
    with pytest.raises(ValueError, match="explains 'share', which is no column"):
        generate.meanings("mine", pd.DataFrame(columns=["task"]), {"share": "a part"})


def test_the_columns_of_the_benchmarks_are_explained() -> None:
    of_its_own = {
        calibration_page.FILE: calibration_page.COLUMNS,
        "instrument.csv": instrument.COLUMNS,
        "scale.csv": {"trials", *scale.COLUMNS},
    }
    for file in (ROOT / "benchmarks" / "results").glob("*.csv"):
        assert set(pd.read_csv(file).columns) <= set(of_its_own.get(file.name, speed_page.COLUMNS))


def test_the_figures_of_speed_in_the_readme_are_those_of_the_benchmarks() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    speed = speed_page.headline(ROOT / "benchmarks" / "results")
    assert f"{speed['JAX']} times as fast as `jit` of `lax.scan` in JAX" in text
    assert f"{speed['reference']} times as fast as the reference" in text
    assert f"{speed['nn.LSTM']} times as fast as `nn.LSTM`" in text


def test_versions_agree() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {ablate.__version__}\n" in citation
    assert re.search(r"^date-released: 20\d\d-[01]\d-[0-3]\d$", citation, re.MULTILINE)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    assert released[0] == ablate.__version__
