"""The library as a notebook uses it: run, load, variants that are typed in and typed in again."""

from __future__ import annotations

import dataclasses
import linecache
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import matplotlib.figure
import pandas as pd
import pytest
import torch

import ablate
from ablate.api.run import StudyOptions
from ablate.definitions.variant import VARIANTS
from ablate.plan.config import Config
from tests.conftest import ROOT

SMALL: dict[str, Any] = {
    "tasks": "music",
    "training": {"epochs": 2, "batch_size": 3},
    "search": {"hidden_size": {"low": 2, "high": 6}, "learning_rate": {"low": 1e-3, "high": 1e-1}},
    "study": "s",
    "launcher": "serial",
    "controls": 0,
    "confirm": 0,
}


@pytest.fixture(scope="module")
def options(small_music: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {**SMALL, "data": {"music": small_music}, "results": tmp_path_factory.mktemp("api")}


@pytest.fixture(scope="module")
def study(options: dict[str, Any]) -> ablate.Study:
    """Never changed: a test that runs on takes another name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of MLflow, when it is first imported
        return ablate.run(variants=["V", "SRN", "GRU"], trials=12, **options)


def test_the_import_takes_no_time() -> None:
    code = "import ablate, sys; assert not {'torch', 'numpy', 'pandas', 'sympy'} & {*sys.modules}"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (line,) = [line for line in done.stderr.splitlines() if line.endswith(" ablate")]
    assert int(line.split("|")[1]) < 100_000, "microseconds"
    assert (ROOT / "ablate" / "py.typed").exists()
    assert {*ablate.__all__} <= {*dir(ablate)}
    for name in ablate.__all__:
        assert getattr(ablate, name).__doc__, f"{name} has no documentation"
    with pytest.raises(AttributeError, match="no attribute 'sweep'"):
        ablate.sweep  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_run_takes_all_that_the_command_takes() -> None:
    assert {*StudyOptions.__annotations__} == {field.name for field in dataclasses.fields(Config)}


def test_a_study_is_in_the_readers_hands(study: ablate.Study) -> None:
    assert study.name == "s" and study.path.name == "s" and study.report().exists()
    assert len(study.trials) == len(study.scored) == 36 and len(study.samples) == 0
    assert study.curves.groupby(["variant", "index"]).ngroups == 36
    assert repr(study) == "<Study 's': 36 trials (36 completed) of V, SRN, GRU on music>"
    assert "<td" in study._repr_html_() and "36 trials" in study._repr_html_()
    for name in study.tables:
        written = study.path / "report" / "tables" / f"{name}.csv"
        assert len(pd.read_csv(written)) == len(study.table(name)), name
    for table, column in ((study.trials, "test"), (study.scored, "score")):
        table[column] = 0.0
    assert (study.trials["test"] != 0).all() and (study.scored["score"] != 0).all(), "they are the reader's own"
    assert ablate.load(study.path).trials.equals(study.trials)


def test_any_variant_can_be_the_reference(study: ablate.Study) -> None:
    usual, other = study.compare(), study.compare("gru")
    assert set(usual["reference"]) == {"V"} and set(usual["variant"]) == {"SRN", "GRU"}
    assert set(other["reference"]) == {"GRU"} and set(other["variant"]) == {"V", "SRN"}
    there = usual[(usual["variant"] == "GRU") & (usual["set"] == "all")].iloc[0]
    back = other[(other["variant"] == "V") & (other["set"] == "all")].iloc[0]
    assert there["difference"] == pytest.approx(-back["difference"]) and there["p"] == pytest.approx(back["p"])
    with pytest.raises(ablate.UserError, match=r"no trials of 'NP'; it has V, SRN, GRU"):
        study.compare("NP")


def test_figures_are_matplotlibs(study: ablate.Study, tmp_path: Path) -> None:
    for name in study.figures:
        figure = study.figure(name)
        assert isinstance(figure, matplotlib.figure.Figure)
        assert figure.axes or figure.texts  # which say why there is none
    figure.savefig(tmp_path / "figure.png")
    with pytest.raises(ablate.UserError, match="unknown figure 'boxs': did you mean boxes"):
        study.figure("boxs")


def test_a_study_goes_on_where_it_was(
    study: ablate.Study, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    own = {**options, "study": "on"}
    first = ablate.run(variants="V,SRN", trials=1, **own)
    more = ablate.run(variants="V,SRN", trials=2, **own)
    assert len(first.trials) == 2 and len(more.trials) == 4
    shown = ["variant", "index", "validation", "test"]
    both = study.trials.merge(more.trials, on=["variant", "index"])
    assert len(both) == 4 and both["test_x"].equals(both["test_y"]), "coordinates determine a trial"
    capsys.readouterr()
    metadata = more.path / "metadata.json"  # as versions without modules wrote it
    metadata.write_text(metadata.read_text(encoding="utf-8").replace('"code": "",', ""), encoding="utf-8")
    again = ablate.run(variants="V,SRN", trials=2, **own)
    assert again.trials[shown].equals(more.trials[shown]) and "nothing to train" in capsys.readouterr().out
    with pytest.raises(ablate.UserError, match=r"training.epochs is 2 there and 3 here.*Give study another name, or f"):
        ablate.run(variants="V", trials=1, **{**own, "training": {"epochs": 3, "batch_size": 3}})
    anew = ablate.run(variants="V", trials=1, fresh=True, **own)
    assert len(anew.trials) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"variants": "VV"}, "unknown variant 'VV': did you mean V"),
        ({"tasks": ["musik"]}, "unknown task 'musik': did you mean music"),
        ({"trial": 3}, r"ablate.run: unknown key 'trial': did you mean trials"),
        ({"training": {"epoch": 3}}, r"ablate.run: unknown key 'training.epoch': did you mean epochs"),
        ({"trials": "3"}, "ablate.run: trials is '3'; it must be a whole number"),
        ({"variants_from": "nowhere.py"}, "variants_from nowhere.py: there is no such file"),
        ({"config": "nowhere.toml"}, "configuration nowhere.toml cannot be read"),
        ({"data": {"music": "nowhere.mat"}, "tasks": "music"}, "nowhere.mat"),
    ],
)
def test_bad_input_is_told_in_one_line_and_nothing_is_written(
    given: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ablate.UserError, match=message) as caught:
        ablate.run(**{"variants": "V", "trials": 1, **given})
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())
    with pytest.raises(ablate.UserError, match=rf"there is no study 'none' in {tmp_path}/results; it has none"):
        ablate.load("results/none")


CELL = """
import ablate
from ablate.cell.language import sigmoid, tanh

@ablate.variant("leaky", "a leaky unit", parent="SRN")
def leaky(x, h, w):
    f = sigmoid(w.f(x, h))
    return f * h + (1 - f) * tanh(w.h(x, h))
"""


def type_in(cell: str, number: int) -> None:
    """As IPython runs a cell: in __main__, its source kept under a name of its own."""
    file = f"<cell {number}>"
    linecache.cache[file] = (len(cell), None, cell.splitlines(keepends=True), file)
    exec(compile(cell, file, "exec"), {"__name__": "__main__"})


@pytest.fixture
def at_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    monkeypatch.setattr(VARIANTS, "_entries", dict(VARIANTS._entries))


def test_a_cell_that_is_run_again_replaces_its_variant(
    at_a_prompt: None, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(CELL, 1)
    assert VARIANTS["leaky"].family == "notebook" and VARIANTS["leaky"].defined_at == "the notebook, line 5"
    own = {**options, "study": "typed", "launcher": "local", "jobs": 2}
    first = ablate.run(variants="V,leaky", trials=1, **own)
    said = capsys.readouterr().out
    assert "leaky: defined in this process alone, so the trials run in it" in said
    assert set(first.trials["state"]) == {"completed"} and len(first.trials) == 2
    kept = ablate.layer("leaky", 2, 3, seed=0)

    type_in(CELL.replace("(1 - f) * ", ""), 2)
    x = torch.ones(4, 1, 2)
    assert not torch.equal(kept(x)[0], ablate.layer("leaky", 2, 3, seed=0)(x)[0])
    with pytest.raises(ablate.UserError, match="other equations for leaky than it has now"):
        ablate.run(variants="V,leaky", trials=2, **own)
    second = ablate.run(variants="V,leaky", trials=1, fresh=True, **own)
    (before,), (after,) = (each.trials.query("variant == 'leaky'")["test"] for each in (first, second))
    assert before != after, "the sweep sees the new equations"
    assert len([each for each in VARIANTS if each.name == "leaky"]) == 1


def test_elsewhere_a_second_definition_is_refused(at_a_prompt: None, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(CELL, 1)
    with pytest.raises(ablate.UserError, match=r"variant 'V' is defined twice: at variants/greff.py"):
        type_in(CELL.replace('"leaky"', '"V"'), 3)
    monkeypatch.delattr(sys, "ps1")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "script.py", raising=False)  # as a script has it
    with pytest.raises(ablate.UserError, match="variant 'leaky' is defined twice"):
        type_in(CELL, 4)
    ablate.VARIANTS.remove("leaky")
    assert "leaky" not in VARIANTS
    type_in(CELL, 5)
    with pytest.raises(ablate.UserError, match="unknown variant 'nothing'"):
        ablate.VARIANTS.remove("nothing")


def test_a_script_without_a_guard_is_told_about_it(small_music: Path, tmp_path: Path) -> None:
    """Each worker imports the script, and would run the study again."""
    script = tmp_path / "script.py"
    options = {"variants": "V", "tasks": "music", "preset": "smoke", "trials": 2, "study": "s", "jobs": 2}
    options |= {"data": {"music": str(small_music)}, "results": str(tmp_path / "results")}
    script.write_text(f"import ablate\nablate.run(**{options!r})\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'in a script, call it under `if __name__ == "__main__":`' in done.stderr
    assert "is being run by another process" not in done.stderr
