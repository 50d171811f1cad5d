"""A user's own cells: from a file, from an installed package, and what is said when they are wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ablate.cli.main import main
from tests.conftest import ROOT, Command

OWN = """from ablate import variant
from ablate.cell.initial import Plus
from ablate.cell.language import sigmoid, tanh


@variant("leaky", "a leaky unit", parent="SRN", initial={"b_f": Plus(2)})
def leaky(x, h, w):
    f = sigmoid(w.f(x, h))
    return f * h + (1 - f) * tanh(w.h(x, h))
"""


def test_a_cell_of_ones_own_runs_beside_v(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "my_cells.py"
    file.write_text(OWN, encoding="utf-8")
    options = ["--variants", "V,leaky", "--variants-from", str(file), "--jobs", "2"]
    done = command(*options)
    assert done.returncode == 0, done.stderr
    study = tmp_path / "results" / "s"
    trials = pd.read_csv(study / "trials.csv")
    assert trials.groupby("variant").size().to_dict() == {"V": 3, "leaky": 3}
    assert set(trials["backend"]) == {"cpu"} and set(trials["state"]) == {"completed"}
    gallery = (study / "report" / "gallery.html").read_text(encoding="utf-8")
    assert 'id="leaky"' in gallery and "the study&#39;s draw + 2" in gallery

    file.write_text(OWN.replace("(1 - f) * ", ""), encoding="utf-8")
    changed = command(*options, "--trials", "4")
    assert changed.returncode == 2 and "other equations for leaky" in changed.stderr
    assert len(pd.read_csv(study / "trials.csv")) == 6


def test_a_cell_of_ones_own_is_described(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "my_cells.py"
    file.write_text(OWN, encoding="utf-8")
    done = command("--variants-from", str(file), "--describe", "leaky", small=False)
    assert done.returncode == 0, done.stderr
    assert "- h = tanh(W_h x + R_h h' + b_h)" in done.stdout
    assert "b_f starts as the study's draw + 2" in done.stdout
    listed = command("--variants-from", str(file), "--list", small=False)
    assert "variants: my_cells.py\n  leaky " in listed.stdout


def test_what_no_state_depends_on_is_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "wasteful.py"
    unused = "    q = tanh(w.q(x, h)) * w.p\n    f = sigmoid("
    file.write_text(OWN.replace("leaky", "wasteful").replace("    f = sigmoid(", unused), encoding="utf-8")
    assert main(["--variants-from", str(file), "--describe", "wasteful"]) == 0
    said = capsys.readouterr().out
    assert "left out, since no new state depends on it: q, w.q, w.p" in said
    assert "W_q" not in said and "parameters: 2 NM + 2 N^2 + 2 N" in said


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("import sigmoid, tanh", "import sigmoid,, tanh"), "line 3: "),
        (("sigmoid(w.f", "sigmod(w.f"), "line 8: unknown function or name 'sigmod'"),
        (("from ablate import variant", "from ablate import variants"), "line 1: ImportError"),
        (("return f * h +", "return f * x +"), "line 9: * is given the input"),
        (('"leaky"', '"GRU"'), "variant 'GRU' is defined twice"),
        (('parent="SRN"', 'parent="SRM"'), "line 6: variant 'leaky' has the parent 'SRM'"),
        (('{"b_f"', '{"b_g"'), "line 6: variant 'leaky' has no weight 'b_g'; its weights: W_f"),
        (('"leaky"', '"a,b"'), "line 6: 'a,b' cannot be a variant's name"),
        (('"leaky"', '"greff"'), "line 6: 'greff' would be both a variant and a group"),
        (('parent="SRN"', 'groups=("V",)'), "line 6: 'V' would be both a variant and a group"),
        (('parent="SRN"', 'groups="mine"'), "give a tuple, ('mine',)"),
        (("Plus(2)", "2"), "lets b_f start as 2; say it as Constant(...)"),
        (("    return f", "    f"), "nothing is returned; return the new h"),
        (("sigmoid(w.f", "tahn(w.f"), "did you mean tanh?"),
        (("    return", "    if f > 0: f = h\n    return"), "line 9: a cell has no branches"),
        (("@variant", "# @variant"), "registers no variant"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_a_wrong_file_is_one_line(
    change: tuple[str, str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my_cells.py"
    file.write_text(OWN.replace(*change), encoding="utf-8")
    assert main(["--variants-from", str(file), "--list"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and complaint in said and len(said.splitlines()) == 1
    assert "my_cells.py" in said


@pytest.mark.parametrize("name", ["missing.py", "."])
def test_no_such_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--variants-from", str(tmp_path / name), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert ("there is no such file" in said or "this is a folder" in said) and len(said.splitlines()) == 1


@pytest.mark.parametrize("broken", [False, True])
def test_an_installed_package_offers_variants(broken: bool, tmp_path: Path) -> None:
    (tmp_path / "offered.py").write_text(OWN.replace("tanh(w.h", "tan(w.h") if broken else OWN, encoding="utf-8")
    metadata = tmp_path / "offered-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[ablate.variants]\ncells = offered\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_sweep.py"), "--describe", "leaky"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    if broken:
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert "installed package offered" in done.stderr and "unknown function or name 'tan'" in done.stderr
    else:
        assert done.returncode == 0 and "leaky: a leaky unit" in done.stdout
