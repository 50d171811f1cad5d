"""The notebook of the documentation, run as its reader runs it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs" / "first_cell.ipynb"


@pytest.mark.filterwarnings("ignore")  # Jupyter's own
def test_the_notebook_goes_from_equations_to_a_verdict(
    tmp_path: Path, small_music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not committed"
    cells = {cell.source.splitlines()[0]: cell for cell in notebook.cells}
    study = next(cell for line, cell in cells.items() if line.startswith("study = ablate.run"))
    small = f'trials=6, controls=0, confirm=0, data={{"music": {str(small_music)!r}}}, training={{"epochs": 2}}'
    assert "trials=10" in study.source
    study.source = study.source.replace("trials=10", small)
    equations = next(cell for line, cell in cells.items() if line.startswith("@ablate.variant"))
    again = equations.source.replace("c * (1 - i)", "c")  # run again with a change, as a reader does
    notebook.cells += [
        new_code_cell(again),
        new_code_cell('other = ablate.layer("mine", 88, 100); print((layer.variant.trace != other.variant.trace))'),
        new_code_cell("import pickle; copy = pickle.loads(pickle.dumps(other)); print(copy.variant is other.variant)"),
    ]
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()

    said = {
        cell.source: "".join(out.get("text", "") or str(out.get("data", "")) for out in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    }
    assert "W_z" in said[cells["import torch"].source]
    assert "mine: defined in this process alone" in said[study.source] and "18/18" in said[study.source]
    assert "first-cell" in said[study.source]
    assert "image/png" in said['study.figure("boxes")']
    assert "mine" in next(text for source, text in said.items() if source.startswith("study.compare"))
    assert (tmp_path / "results" / "first-cell" / "report" / "index.html").exists()
    assert [cell.outputs[0]["text"].strip() for cell in notebook.cells[-2:]] == ["True", "True"]
