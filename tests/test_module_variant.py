"""A module of PyTorch as a variant, beside those that are equations."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import ablate
from ablate.cli.main import main
from ablate.definitions.variant import VARIANTS
from tests.conftest import Command
from tests.test_api import SMALL

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow, when it is first imported

M, N, B = 3, 4, 2


class Attention(nn.Module):
    """A cell that is not point-wise: it writes keys and values into a matrix, and has a weight for its first state."""

    def __init__(self, M: int, N: int) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Linear(M, 3 * N), nn.Dropout(0.2))
        self.first = nn.Parameter(torch.zeros(N, N))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.first.expand(batch_size, -1, -1)

    def forward(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        query, key, value = self.maps(x).chunk(3, 1)
        memory = 0.9 * memory + value.unsqueeze(2) * key.unsqueeze(1)
        return torch.tanh(memory @ query.unsqueeze(2)).squeeze(2), memory


@pytest.fixture(autouse=True)
def own_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    VARIANTS.load()
    monkeypatch.setattr(VARIANTS, "_entries", dict(VARIANTS._entries))
    ablate.module_variant("cell", nn.LSTMCell, summary="PyTorch's own", groups=("modules",))
    ablate.module_variant("attention", Attention, summary="a matrix memory")


@pytest.mark.parametrize("lengths", [None, [5, 2]])
def test_an_lstm_cell_is_nn_lstm(lengths: list[int] | None) -> None:
    """Outputs, states and gradients, in two layers and directions, with a state that goes on."""
    ours = ablate.layer("cell", M, N, layers=2, bidirectional=True, seed=0)
    theirs = nn.LSTM(M, N, 2, bidirectional=True)
    assert [*ours.state_dict()][:2] == ["weight_ih", "weight_hh"] and "2.backward.bias_hh" in ours.state_dict()
    with torch.no_grad():
        for name, weight in ours.named_parameters():
            *place, own = name.split(".")
            suffix = f"_l{int('2' in place)}" + ("_reverse" if "backward" in place else "")
            getattr(theirs, own + suffix).copy_(weight)
    x, state = torch.randn(5, B, M), (torch.randn(4, B, N), torch.randn(4, B, N))
    y, last = ours(x, state, lengths)
    given = x if lengths is None else pack_padded_sequence(x, torch.tensor(lengths))
    expected, expected_last = theirs(given, state)
    if lengths is not None:
        expected, _ = nn.utils.rnn.pad_packed_sequence(expected)
    for mine, other in zip((y, *last), (expected, *expected_last), strict=True):
        torch.testing.assert_close(mine, other)
    for result in (y, expected):
        result.pow(2).sum().backward()
    torch.testing.assert_close(ours.get_parameter("2.weight_hh").grad, theirs.weight_hh_l1.grad)


def test_any_state_will_do() -> None:
    layer = ablate.layer("attention", M, N, seed=0).double().eval()
    assert [*layer.state_dict()] == ["first", "maps.0.weight", "maps.0.bias"]
    x = torch.randn(6, B, M, dtype=torch.float64)
    y, (memory,) = layer(x)
    assert y.shape == (6, B, N) and memory.shape == (1, B, N, N)
    first, state = layer(x[:2])
    torch.testing.assert_close(torch.cat([first, layer(x[2:], state)[0]]), y)
    torch.testing.assert_close(layer(x[:, :1])[0], y[:, :1])
    y.sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in layer.parameters())
    layer.train()
    assert not torch.equal(layer(x)[0], layer(x)[0]), "dropout drops in training alone"


def test_a_module_learns_beside_v_in_a_study(small_music: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {**SMALL, "training": {"epochs": 8, "batch_size": 2, "optimiser": "adam"}}
    options |= {"data": {"music": small_music}, "results": tmp_path}
    options |= {"search": {"hidden_size": 6, "learning_rate": 0.02, "input_noise": 0.0, "momentum": 0.5}}
    options |= {"variants": "V,cell,attention"}
    study = ablate.run(trials=2, **options)
    trials = study.trials.set_index(["variant", "index"]).sort_index()
    assert set(trials["state"]) == {"completed"}
    assert set(trials.loc["cell"]["backend"]) == {"reference"} and set(trials.loc["V"]["backend"]) == {"cpu"}
    assert (trials.loc["cell"]["parameters"] == 4 * 6 * (88 + 6 + 2) + 88 * 7).all()
    curves = study.curves.set_index(["variant", "epoch"]).sort_index()["train"]
    for name in ("V", "cell", "attention"):
        assert curves[name, 8].mean() < 0.7 * curves[name, 1].mean(), f"{name} learns"
    gallery = (study.path / "report" / "gallery.html").read_text(encoding="utf-8")
    assert 'id="cell"' in gallery and "A module of PyTorch, without equations" in gallery
    assert ">cell<" in (study.path / "report" / "index.html").read_text(encoding="utf-8")
    assert set(study.compare()["variant"]) == {"cell", "attention"}

    torch.manual_seed(99)  # a trial is its coordinates, whatever PyTorch's generator holds, dropout included
    ablate.run(trials=1, **{**options, "study": "resumed"})
    resumed = ablate.run(trials=2, **{**options, "study": "resumed"})
    again = resumed.trials.set_index(["variant", "index"]).sort_index()
    assert again[["validation", "test"]].equals(trials[["validation", "test"]])

    VARIANTS.remove("attention")
    ablate.module_variant("attention", type("Other", (Attention,), {"extra": lambda self: None}))
    with pytest.raises(ablate.UserError, match="made with other equations for attention"):
        ablate.run(trials=3, **options)


def test_the_command_knows_modules_from_a_file(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "cells.py"
    file.write_text("import ablate\nfrom torch.nn import GRUCell\n\nablate.module_variant('mine', GRUCell)\n")
    done = command("--variants-from", str(file), "--variants", "V,mine", "--trials", "1", "--jobs", "2")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "2/2" in done.stdout and "this process alone" not in done.stdout


def test_a_module_that_cannot_run_is_refused_before_anything_is_written(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "cells.py"
    file.write_text("import ablate\nfrom torch.nn import LSTM\n\nablate.module_variant('whole', LSTM)\n")
    done = command("--variants-from", str(file), "--variants", "V,whole", "--trials", "1", "--jobs", "2")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert (
        "error: variant 'whole' for" in done.stderr and "the first dimension must be that of the batch" in done.stderr
    )
    assert not (tmp_path / "results" / "smoke" / "config.toml").exists()


def test_it_is_described_and_planned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--describe", "cell"]) == 0
    said = capsys.readouterr().out
    assert "a module of PyTorch, without equations" in said and "400 x 88  weight_ih" in said
    assert "parameters: 76,000 for N = 100 and M = 88" in said and "every weight starts as its module makes it" in said
    assert main(["--list"]) == 0
    assert "modules    cell" in capsys.readouterr().out


class Wide(nn.LSTMCell):
    def __init__(self, M: int, N: int) -> None:
        super().__init__(M, N + 1)


class Silent(nn.Linear):
    def forward(self, x: Tensor, state: Any) -> Any:
        return None


class Elman(nn.Linear):
    def forward(self, x: Tensor, state: Any) -> Any:
        return torch.tanh(super().forward(x) + torch.relu(state))


class Batchless(nn.Linear):
    def forward(self, x: Tensor, state: Any) -> Any:
        return super().forward(x), (torch.zeros(3),)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (Wide, r"variant 'own' for 3 inputs and 4 units: its output for 2 sequences has the shape \(2, 5\), not"),
        (Silent, "it returns a NoneType; it must return its new state"),
        (Batchless, r"a state for 2 sequences has the shape \(3,\); the first dimension must be"),
        (Elman, r"the first state is None, unless the module has a method initial_state\(B\)"),
        (nn.Linear, r"TypeError: .*forward\(\)"),
        (lambda M: None, "TypeError: .*takes 1 positional argument"),
        (lambda M, N: 3, "it makes a int, not a torch.nn.Module"),
        (lambda M, N: nn.Identity(), "it has no parameters"),
    ],
)
def test_what_is_wrong_with_a_module_is_told(factory: Any, message: str) -> None:
    ablate.module_variant("own", factory)
    with pytest.raises(ablate.UserError, match=message):
        ablate.layer("own", M, N)


def test_registration_is_held_to_the_same_rules() -> None:
    with pytest.raises(ablate.UserError, match="variant 'cell' is defined twice"):
        ablate.module_variant("cell", nn.GRUCell)
    with pytest.raises(ablate.UserError, match="the factory of variant 'own' is 3"):
        ablate.module_variant("own", 3)  # type: ignore[arg-type]
    with pytest.raises(ablate.UserError, match="'own' is a Linear that is made already; give its class"):
        ablate.module_variant("own", nn.Linear(3, 4))  # type: ignore[arg-type]
    with pytest.raises(ablate.UserError, match="cannot be a variant's name"):
        ablate.module_variant("a,b", nn.GRUCell)
    entry = VARIANTS["cell"]
    assert entry.trace.parameters(88, 100) == 76_000 and dataclasses.replace(entry) == entry
