"""A variant as a layer of PyTorch: nn.LSTM's equal, and a module like any other."""

from __future__ import annotations

import copy
import io
import pickle
import threading

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import ablate
from ablate.definitions.variant import VARIANTS

T, B, M, N = 7, 4, 3, 5
LENGTHS = [4, 7, 1, 4]
GATES = "ifzo"  # the order in which nn.LSTM stores its gates


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64).to(dtype)


def lstm_like(cell: ablate.RecurrentLayer) -> nn.LSTM:
    """PyTorch's LSTM with the weights of a layer of NP."""
    theirs = nn.LSTM(cell.input_size, N, cell.layers, bidirectional=cell.bidirectional, dtype=torch.float64)
    with torch.no_grad():
        for depth in range(cell.layers):
            for direction in ("", "backward.")[: cell.directions]:
                own = cell.state_dict(prefix="")
                place = (f"{depth + 1}." if depth else "") + direction
                suffix = f"_l{depth}" + ("_reverse" if direction else "")
                for ours, name in (("W", "weight_ih"), ("R", "weight_hh"), ("b", "bias_ih")):
                    joined = torch.cat([own[f"{place}{ours}_{gate}"] for gate in GATES])
                    getattr(theirs, name + suffix).copy_(joined)
                getattr(theirs, "bias_hh" + suffix).zero_()
    return theirs


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, False), (1, True), (2, True)])
@pytest.mark.parametrize("packed", [False, True])
def test_np_is_pytorchs_lstm(backend: str, layers: int, bidirectional: bool, packed: bool) -> None:
    """Outputs, states, and the gradients of input, state and weights."""
    settings = {"layers": layers, "bidirectional": bidirectional, "dtype": torch.float64, "seed": 1}
    ours = ablate.layer("NP", M, N, backend=backend, init_std=0.5, **settings)
    theirs = lstm_like(ours)
    found = []
    for module in (ours, theirs):
        x = random(T, B, M).requires_grad_()
        state = tuple(random(layers * ours.directions, B, N + k)[:, :, :N].requires_grad_() for k in range(2))
        given = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False) if packed else x
        y, last = module(given, state)
        if packed:
            y, lengths = pad_packed_sequence(y)
            assert lengths.tolist() == LENGTHS
        loss = sum((each * random(*each.shape)).sum() for each in (y, *last))
        loss.backward()
        found.append([y, *last, x.grad, *(each.grad for each in state)])
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other)
    expected = theirs.weight_hh_l0.grad
    assert expected is not None
    mine = torch.cat([ours.get_parameter(f"R_{gate}").grad for gate in GATES])  # type: ignore[arg-type]
    torch.testing.assert_close(mine, expected)


def test_lengths_are_packed_sequences_without_the_packing() -> None:
    cell = ablate.layer("V", M, N, layers=2, bidirectional=True, dtype=torch.float64, seed=0)
    x = random(T, B, M)
    y, last = cell(x, lengths=torch.tensor(LENGTHS))
    packed, packed_last = cell(pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False))
    torch.testing.assert_close(pad_packed_sequence(packed)[0], y)
    for mine, other in zip(last, packed_last, strict=True):
        torch.testing.assert_close(mine, other)
    x[4:, 0] = float("nan")  # what stands behind a sequence is never looked at
    again, _ = cell(x, lengths=LENGTHS)
    torch.testing.assert_close(again, y)
    assert (y[4:, 0] == 0).all() and (y[1:, 2] == 0).all()
    alone, state = cell(x[:4, :1])
    torch.testing.assert_close(alone[:, 0], y[:4, 0])
    torch.testing.assert_close(state[1][:, 0], last[1][:, 0])
    sorted_ = pack_padded_sequence(random(T, 2, M), torch.tensor([7, 3]))
    packed, _ = cell(sorted_)
    assert packed.sorted_indices is None and torch.equal(packed.batch_sizes, sorted_.batch_sizes)


@pytest.mark.parametrize("name", ["V", "GRU", "IndRNN"])
def test_derivatives_are_those_of_finite_differences(name: str) -> None:
    cell = ablate.layer(name, 2, 3, bidirectional=True, dtype=torch.float64, seed=0, backend="cpu")
    x = random(4, 2, 2).requires_grad_()
    names, weights = zip(*cell.named_parameters(), strict=True)

    def run(x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        y, state = torch.func.functional_call(cell, dict(zip(names, weights, strict=True)), (x, None, [4, 2]))
        return y, *state

    assert torch.autograd.gradcheck(run, (x, *weights))


def test_a_graph_may_be_gone_through_twice_and_its_output_changed() -> None:
    """The kernels' arrays are their own: what PyTorch keeps of them does not change under its hands."""
    found = []
    for backend in ("cpu", "reference"):
        cell = ablate.layer("V", M, N, dtype=torch.float64, seed=0, backend=backend)
        x = random(T, B, M).requires_grad_()
        y, (_, c) = cell(x)
        first, second = y[2].sum(), (c**2).sum()
        y.mul_(2.0)
        first.backward(retain_graph=True)
        second.backward()
        found.append([x.grad, *(each.grad for each in cell.parameters())])
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other)

    cell = ablate.layer("V", M, N, dtype=torch.float64, backend="cpu")
    x = random(T, B, M)
    y, _ = cell(x)
    x.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="use backend='reference'"):
        torch.autograd.grad(cell(x.requires_grad_())[0].sum(), x, create_graph=True)


def test_the_state_dict_speaks_the_papers_language() -> None:
    cell = ablate.layer("CIFG", 88, 10, layers=2, bidirectional=True)
    names = list(cell.state_dict())
    own = ["W_z", "W_i", "W_o", "R_z", "R_i", "R_o", "b_z", "b_i", "b_o", "p_i", "p_o"]
    assert sorted(names) == sorted(place + name for place in ("", "backward.", "2.", "2.backward.") for name in own)
    assert cell.state_dict()["W_z"].shape == (10, 88) and cell.state_dict()["2.backward.W_z"].shape == (10, 20)
    assert sum(each.numel() for each in cell.parameters()) == 2 * (
        VARIANTS["CIFG"].trace.parameters(88, 10) + VARIANTS["CIFG"].trace.parameters(20, 10)
    )
    other = ablate.layer("CIFG", 88, 10, layers=2, bidirectional=True)
    other.load_state_dict(cell.state_dict())
    x = torch.randn(3, 2, 88)
    assert torch.equal(cell(x)[0], other(x)[0])
    assert repr(cell).startswith("RecurrentLayer(\n  'CIFG', 88, 10, layers=2, bidirectional=True")


def test_a_layer_is_copied_pickled_saved_and_moved() -> None:
    cell = ablate.layer("V", M, N, seed=3)
    x = random(T, B, M, dtype=torch.float32)
    y, _ = cell(x)
    file = io.BytesIO()
    torch.save(cell, file)
    file.seek(0)
    copies = [copy.deepcopy(cell), pickle.loads(pickle.dumps(cell)), torch.load(file, weights_only=False)]
    for each in copies:
        assert torch.equal(each(x)[0], y)
        each.get_parameter("W_z").data.add_(1.0)
    assert torch.equal(cell(x)[0], y), "a copy shares nothing"
    double, _ = copy.deepcopy(cell).double()(x.double())
    torch.testing.assert_close(double.float(), y)
    half, _ = copy.deepcopy(cell).to(torch.bfloat16)(x.bfloat16())
    torch.testing.assert_close(half.float(), y, atol=0.01, rtol=0.1)
    with torch.no_grad():
        assert not cell(x)[0].requires_grad


def test_it_learns_in_a_plain_loop() -> None:
    """To give each bit a step late, with an optimiser of PyTorch's."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"cell": ablate.layer("V", 1, 8, init_std=0.3), "out": nn.Linear(8, 1)})
    optimiser = torch.optim.Adam(model.parameters(), 0.05)
    losses = []
    for _ in range(60):
        x = torch.randint(2, (6, 16, 1)).float()
        y, _ = model["cell"](x)
        loss = nn.functional.binary_cross_entropy_with_logits(model["out"](y[1:]), x[:-1])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert min(losses[:5]) > 0.6 and sum(losses[-5:]) / 5 < 0.1


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_an_empty_batch_is_empty_as_nn_lstms(backend: str) -> None:
    cell = ablate.layer("NP", M, N, layers=2, bidirectional=True, backend=backend)
    x = torch.zeros(T, 0, M, requires_grad=True)
    for lengths in (None, []):
        y, state = cell(x, lengths=lengths)
        assert y.shape == (T, 0, 2 * N) and [each.shape for each in state] == [(4, 0, N)] * 2
    y.sum().backward()
    assert x.grad is not None and all((each.grad == 0).all() for each in cell.parameters())  # type: ignore[union-attr]


def test_it_stands_in_a_sequential_under_adamw_with_clipped_gradients() -> None:
    class Outputs(nn.Module):
        def forward(self, both: tuple[Tensor, object]) -> Tensor:
            return both[0]

    torch.manual_seed(0)
    model = nn.Sequential(ablate.layer("GRU", M, N, layers=2), Outputs(), nn.Linear(N, 1))
    optimiser = torch.optim.AdamW(model.parameters(), 0.02)
    x, losses = random(T, B, M, dtype=torch.float32), []
    for _ in range(40):
        optimiser.zero_grad()
        loss = (model(x) - x[:, :, :1]).pow(2).mean()
        loss.backward()
        assert nn.utils.clip_grad_norm_(model.parameters(), 1.0) > 0
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    for parameter in model[0].parameters():  # frozen, it still hands the derivatives of its input on
        parameter.requires_grad_(False)
    model(x.requires_grad_()).sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0


def test_threads_share_a_layer() -> None:
    """Its first use too, which compiles the cell; and under inference_mode, which leaves it as it was."""
    cell = ablate.layer("V", M, N, seed=0)
    x, found = random(T, B, M, dtype=torch.float32), []

    def use() -> None:
        with torch.inference_mode():
            cell(x, lengths=LENGTHS)
        y, _ = cell(x)
        y.sum().backward()
        found.append(y)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(torch.equal(each, found[0]) for each in found)


def test_derivatives_of_states_before_the_first_step() -> None:
    cell = ablate.layer("V", 2, 3, layers=2, bidirectional=True, dtype=torch.float64, seed=0, backend="cpu")
    state = [random(4, 2, 3).requires_grad_() for _ in range(2)]

    def run(x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        y, last = cell(x, state)
        return y, *last

    assert torch.autograd.gradcheck(run, (random(3, 2, 2).requires_grad_(), *state))


def test_pytorchs_own_tools_take_its_weights() -> None:
    """Strict loading, pruning, a parametrization, and inputs that do not lie in order."""
    cell, x = ablate.layer("V", M, N, seed=0), random(B, M, T, dtype=torch.float32).permute(2, 0, 1)
    y, _ = cell(x)
    torch.testing.assert_close(y, cell(x.contiguous())[0])
    for change in ({"more": torch.zeros(1)}, {"W_z": torch.zeros(N, M + 1)}):
        with pytest.raises(RuntimeError, match=next(iter(change))):
            cell.load_state_dict({**cell.state_dict(), **change})
    pruned = prune.l1_unstructured(copy.deepcopy(cell), "W_z", 0.5)
    normed = nn.utils.parametrizations.weight_norm(copy.deepcopy(cell), "W_z")
    torch.testing.assert_close(normed(x)[0], y)
    assert not torch.allclose(pruned(x)[0], y)
    for each in (pruned, normed):
        each(x)[0].sum().backward()
        assert all(parameter.grad is not None for parameter in each.parameters())


def test_initial_weights_follow_the_seed_and_the_variant() -> None:
    one, same, other = (ablate.layer("V", 40, 50, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.W_z, same.W_z) and not torch.equal(one.W_z, other.W_z)
    assert abs(one.W_z.std().item() - 0.1) < 0.01  # type: ignore[operator]
    before = torch.random.get_rng_state()
    ablate.layer("V", 2, 2, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(5)
    first = ablate.layer("V", 2, 2).W_z
    torch.manual_seed(5)
    assert torch.equal(first, ablate.layer("V", 2, 2).W_z)  # type: ignore[arg-type]
    biased, plain = ablate.layer("V-b", 2, 3, seed=1), ablate.layer("V", 2, 3, seed=1)
    torch.testing.assert_close(biased.b_f, plain.b_f + 1)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("make", "call", "message"),
    [
        ({"variant": "VV"}, {}, "unknown variant 'VV': did you mean V"),
        ({"hidden_size": 0}, {}, "hidden_size is 0; it must be a whole number, at least 1"),
        ({"layers": 1.5}, {}, "layers is 1.5; it must be a whole number, at least 1"),
        ({}, {"x": torch.zeros(0, B, M)}, r"x has the shape \(0, 4, 3\); it must be .* and T at least 1"),
        ({}, {"lengths": torch.tensor([1.0, 2.5, 3.0, 4.0])}, "they must be 4 numbers from 1 to 7"),
        ({}, {"lengths": torch.ones(B, dtype=torch.bool)}, "they must be 4 numbers from 1 to 7"),
        (
            {},
            {"state": (torch.zeros(1, B, N), torch.zeros(1, B, N).double())},
            "state is float32 on cpu, float64 on cpu",
        ),
        ({"backend": "gpu"}, {}, "backend is 'gpu'; known: auto, cpu"),
        ({"seed": -1}, {}, "seed is -1"),
        ({}, {"x": torch.zeros(T, B, 9)}, r"x has the shape \(7, 4, 9\); it must be \(T, B, M\) with M = 3"),
        ({}, {"x": torch.zeros(T, M)}, r"x has the shape \(7, 3\)"),
        ({}, {"x": torch.zeros(T, B, M).double()}, "x is float64 on cpu and the weights are float32"),
        ({}, {"lengths": [1, 2, 3]}, r"lengths are \[1, 2, 3\]; they must be 4 numbers from 1 to 7"),
        ({}, {"lengths": [0, 2, 3, 4]}, "they must be 4 numbers from 1 to 7"),
        ({}, {"state": torch.zeros(1, B, N)}, r"state has the shapes \(1, 4, 5\); V takes y, c, each \(1, 4, 5\)"),
        (
            {"backend": "cpu", "dtype": torch.float16},
            {"x": torch.zeros(T, B, M, dtype=torch.float16)},
            "the backend 'cpu' computes in float32 or float64 on the CPU, not in float16",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(make: dict, call: dict, message: str) -> None:
    with pytest.raises(ablate.UserError, match=message) as caught:
        cell = ablate.layer(**{"variant": "V", "input_size": M, "hidden_size": N, **make})
        cell(**{"x": torch.zeros(T, B, M), **call})
    assert "\n" not in str(caught.value)


def test_a_layer_is_of_a_name_a_variant_or_what_was_registered() -> None:
    variant = VARIANTS["NP"]
    for found in ("np", variant, variant.equations):
        assert ablate.layer(found, 3, 4).variant is variant
    with pytest.raises(ablate.UserError, match="'greff' is a group"):
        ablate.layer("greff", 3, 4)
    with pytest.raises(ablate.UserError, match="not registered as a variant"):
        ablate.layer(lambda x, y, w: y, 3, 4)
