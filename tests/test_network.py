"""Networks of several layers and both directions, carried state, labels without alignment, and writing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ablate.cell.backend import make_layer
from ablate.definitions.dataset import Sequences, TargetPosition
from ablate.definitions.task import TASKS
from ablate.definitions.variant import VARIANTS
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.training_config import TrainingConfig
from ablate.training.batches import Batch, BatchLoader
from ablate.training.ctc import best_paths
from ablate.training.framework_trainer import train_epoch
from ablate.training.losses import MetricSum, loss_and_errors
from ablate.training.network import Network
from ablate.training.noise import Noise
from ablate.training.optimiser import make_optimiser
from ablate.training.text_sampling import sample_text

M, N, K = 5, 7, 3
LENGTHS = np.array([6, 2, 4])
GATES = "ifzo"  # in the order of nn.LSTM


def network_of(name: str, backend: str = "cpu", layers: int = 1, bidirectional: bool = False, K: int = K) -> Network:
    variant = VARIANTS[name]
    layer = make_layer(variant.equations, variant.trace, name, backend)
    network = Network(variant, layer, M, N, K, layers, bidirectional)
    network.initialise(RandomStreams(0, TrialId("music", name, 0)), TrainingConfig(init_std=0.4), 6)
    return network


def batch_of(seed: int = 0) -> Batch:
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((6, 3, M)).astype(np.float32)
    for column, length in enumerate(LENGTHS):
        x[length:, column] = 0
    targets = generator.integers(0, K, (6, 3, 1)).astype(np.uint8)
    return Batch(torch.from_numpy(x), targets, LENGTHS)


def gradients_of(network: Network, batch: Batch) -> dict[str, torch.Tensor]:
    outputs = network.forward(batch.x, batch.lengths)
    loss_and_errors("cross_entropy", outputs, batch)
    network.backward(outputs)
    return {key: gradient.clone() for key, gradient in network.parameters.gradients.items()}


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, True), (2, False), (3, True)])
def test_equal_to_the_frameworks_lstm(layers: int, bidirectional: bool, backend: str) -> None:
    """Outputs and gradients of NP stacked and in both directions, over sequences of different lengths."""
    network, batch = network_of("NP", backend, layers, bidirectional), batch_of()
    peer = torch.nn.LSTM(M, N, layers, bidirectional=bidirectional)
    ours = network.named_weights()
    ends = {"": ""} | ({"backward.": "_reverse"} if bidirectional else {})
    with torch.no_grad():
        for depth in range(layers):
            for place, end in ends.items():
                before = (f"{depth + 1}." if depth else "") + place

                def stacked(letter: str, before: str = before) -> torch.Tensor:
                    return torch.cat([ours[f"{before}{letter}_{gate}"] for gate in GATES])

                getattr(peer, f"weight_ih_l{depth}{end}").copy_(stacked("W"))
                getattr(peer, f"weight_hh_l{depth}{end}").copy_(stacked("R"))
                getattr(peer, f"bias_ih_l{depth}{end}").copy_(stacked("b"))
                getattr(peer, f"bias_hh_l{depth}{end}").zero_()
    packed = pack_padded_sequence(batch.x, torch.from_numpy(LENGTHS), enforce_sorted=False)
    y, _ = pad_packed_sequence(peer(packed)[0])
    weight, bias = (ours[name].clone().requires_grad_() for name in ("W_output", "b_output"))
    z = torch.nn.functional.linear(y, weight, bias)
    outputs = network.forward(batch.x, batch.lengths)
    within = torch.arange(6)[:, None] < torch.from_numpy(LENGTHS)
    torch.testing.assert_close(outputs[within], z[within], rtol=1e-4, atol=1e-5)
    targets = torch.from_numpy(batch.targets[:, :, 0].astype(np.int64))
    torch.nn.functional.cross_entropy(z[within], targets[within], reduction="sum").backward()
    loss_and_errors("cross_entropy", outputs, batch)
    network.backward(outputs)
    torch.testing.assert_close(network.parameters.gradients["W_output"], weight.grad, rtol=1e-3, atol=1e-5)
    flat, network.parameters.flat = network.parameters.flat, network.parameters.gradient
    network.parameters.weights, kept = network.parameters.gradients, network.parameters.weights
    found = network.named_weights()  # the gradients, by the names of the weights
    network.parameters.flat, network.parameters.weights = flat, kept
    for depth in range(layers):
        for place, end in ends.items():
            before = (f"{depth + 1}." if depth else "") + place
            for letter, theirs in (("W", "weight_ih"), ("R", "weight_hh"), ("b", "bias_ih")):
                gradient = torch.cat([found[f"{before}{letter}_{gate}"] for gate in GATES])
                torch.testing.assert_close(
                    gradient, getattr(peer, f"{theirs}_l{depth}{end}").grad, rtol=1e-3, atol=1e-5
                )


def test_padding_does_not_reach_a_sequence_read_from_its_end() -> None:
    network, batch = network_of("V", bidirectional=True, layers=2), batch_of()
    together = network.forward(batch.x, batch.lengths).clone()
    for column, length in enumerate(LENGTHS):
        alone = network.forward(batch.x[:length, column : column + 1].contiguous(), LENGTHS[column : column + 1])
        torch.testing.assert_close(alone[:, 0], together[:length, column], rtol=1e-4, atol=1e-5)


def test_only_a_network_that_reads_from_the_end_sees_what_follows() -> None:
    batch = batch_of()
    changed = batch.x.clone()
    changed[5, 0] += 1
    for bidirectional in (False, True):
        network = network_of("V", bidirectional=bidirectional)
        before = network.forward(batch.x, LENGTHS)[0, 0].clone()
        assert torch.equal(before, network.forward(changed, LENGTHS)[0, 0]) == (not bidirectional)


# --- Carried state.


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("layers", [1, 2])
def test_parts_with_the_state_carried_on_are_the_whole(backend: str, layers: int) -> None:
    network, batch = network_of("V", backend, layers), batch_of()
    whole = network.forward(batch.x, batch.lengths).clone()
    loss = loss_and_errors("cross_entropy", whole.clone(), batch)
    state, outputs, metric_sum = None, [], MetricSum()
    for part in batch.split(4):
        outputs.append(network.forward(part.x, part.lengths, state=state).clone())
        state = network.last_state()
        metric_sum.add(*loss_and_errors("cross_entropy", outputs[-1].clone(), part), part.n_targets)
    torch.testing.assert_close(torch.cat(outputs), whole, rtol=1e-5, atol=1e-6)
    assert metric_sum.n_targets == batch.n_targets == LENGTHS.sum()
    assert (metric_sum.loss, metric_sum.errors) == (pytest.approx(loss[0], rel=1e-5), loss[1])


def test_a_target_at_the_end_is_scored_in_the_part_that_holds_the_end() -> None:
    batch = batch_of()
    ends = Batch(batch.x, batch.targets[:1], LENGTHS, target_position=TargetPosition.SEQUENCE_END)
    assert ends.n_targets == 3
    assert [part.n_targets for part in ends.split(2)] == [1, 1, 1]  # of lengths 6, 2 and 4
    outputs = torch.randn(6, 3, K, generator=torch.Generator().manual_seed(0))
    whole = loss_and_errors("cross_entropy", outputs.clone(), ends)
    parts = [loss_and_errors("cross_entropy", outputs[first : first + 2].clone(), part) for first, part in
             zip((0, 2, 4), ends.split(2), strict=True)]  # fmt: skip
    assert sum(loss for loss, _ in parts) == pytest.approx(whole[0], rel=1e-5)


def test_gradients_stop_at_a_chunks_end() -> None:
    """An update after each tbptt_steps: the first of a chunked epoch is that of the sequence cut off there."""
    data = Sequences(batch_of().x[:, 0].numpy(), batch_of().targets[:, 0], np.array([6]))

    def first_update(sequences: Sequences, tbptt_steps: int) -> list[torch.Tensor]:
        network = network_of("V")
        seen: list[torch.Tensor] = []

        class Watch:
            def step(self) -> None:
                seen.append(network.parameters.gradient.clone())

        noise = Noise(np.zeros(2, np.uint32), 0.0)
        batches = BatchLoader(sequences, M).batches(np.array([0]), 1, noise)
        train_epoch(network, TASKS["text"], Watch(), batches, tbptt_steps)
        return seen

    chunked = first_update(data, 4)
    (cut,) = first_update(Sequences(data.inputs[:4], data.targets[:4], np.array([4])), 0)
    assert len(chunked) == 2
    torch.testing.assert_close(chunked[0], cut)
    (whole,) = first_update(data, 0)
    assert not torch.allclose(chunked[0] + chunked[1], whole)


# --- Labels without alignment.


def test_a_labels_loss_by_hand() -> None:
    """Two frames and the label `a`: the paths aa, a-, -a; with the derivatives of finite differences."""
    outputs = torch.tensor([[[0.3, -0.2]], [[-0.5, 0.9]]])
    p = outputs.softmax(2)[:, 0]
    right = p[0, 0] * p[1, 0] + p[0, 0] * p[1, 1] + p[0, 1] * p[1, 0]
    batch = Batch(outputs, np.array([[0]], np.uint8), np.array([2]), target_lengths=np.array([1]))
    derivatives = outputs.clone()
    loss, errors = loss_and_errors("ctc", derivatives, batch, 0.5)
    assert loss == pytest.approx(-math.log(right), rel=1e-5)
    assert errors == 0  # the best path is a-
    for t in range(2):
        for k in range(2):
            moved = [outputs.clone(), outputs.clone()]
            for sign, each in zip((1, -1), moved, strict=True):
                each[t, 0, k] += sign * 1e-2
            above, below = (loss_and_errors("ctc", each, batch)[0] for each in moved)
            assert derivatives[t, 0, k] == pytest.approx(0.5 * (above - below) / 2e-2, abs=1e-3)


def test_best_paths_and_their_edits() -> None:
    """Repeats are one unless a blank parts them; padding is not read; edits are counted over the label."""
    frames = [[0, 0, 2, 0, 1, 1], [2, 2, 2, 1, 1, 1], [1, 2, 2, 2, 2, 2]]  # 2 is the blank
    outputs = torch.nn.functional.one_hot(torch.tensor(frames).T, 3).float() * 9
    lengths = np.array([6, 3, 2])
    assert [path.tolist() for path in best_paths(outputs.numpy(), lengths)] == [[0, 0, 1], [], [1]]
    labels = np.array([[0], [1], [0], [1], [1]], np.uint8)
    batch = Batch(outputs, labels, lengths, target_lengths=np.array([2, 2, 1]))
    loss, errors = loss_and_errors("ctc", outputs, batch)
    assert batch.n_targets == 5 and errors == 1 + 2 + 0 and math.isfinite(loss)


def test_a_sequence_too_short_for_its_label_trains_nothing_and_counts() -> None:
    outputs = torch.zeros(2, 1, 3)
    batch = Batch(outputs, np.array([[0], [0]], np.uint8), np.array([2]), target_lengths=np.array([2]))
    loss, errors = loss_and_errors("ctc", outputs, batch)
    assert loss == 0 and not outputs.any() and errors == 1  # `aa` needs a blank between


def test_a_label_of_what_is_not_a_number_is_one() -> None:
    for bad in (math.nan, math.inf):
        outputs = torch.full((2, 1, 3), bad)
        batch = Batch(outputs, np.array([[0]], np.uint8), np.array([2]), target_lengths=np.array([1]))
        assert not math.isfinite(loss_and_errors("ctc", outputs, batch)[0])


@pytest.mark.parametrize(
    ("score", "expected"),
    [("nats", 3.0), ("bits", 3 / math.log(2)), ("squared_error", 3.0), ("error_rate", 25.0), ("accuracy", 75.0)],
)
def test_scores_are_means_over_targets(score: str, expected: float) -> None:
    metric_sum = MetricSum()
    metric_sum.add(4.0, 1, 3)
    metric_sum.add(8.0, 0, 1)
    assert metric_sum.score(score) == pytest.approx(expected)


# --- Writing.


def test_what_is_written_follows_the_networks_probabilities() -> None:
    """A network whose outputs are its biases draws each character as often as their softmax says."""
    network = network_of("V", K=M)
    network.parameters.weights["W_output"].zero_()
    odds = torch.tensor([0.5, 0.3, 0.2, 1e-30, 1e-30]).log()
    network.parameters.weights["b_output"].copy_(odds)

    def shares(temperature: float) -> list[float]:
        text = sample_text(network, "abcde", np.random.default_rng(0), 3000, temperature)
        assert len(text) == 3000
        return [text.count(character) / 3000 for character in "abcde"]

    assert shares(1.0) == pytest.approx([0.5, 0.3, 0.2, 0, 0], abs=0.03)
    sharper = np.array([0.5, 0.3, 0.2]) ** 2
    assert shares(0.5)[:3] == pytest.approx(list(sharper / sharper.sum()), abs=0.03)


def test_what_is_written_depends_on_what_was_written() -> None:
    """A network that has learnt a cycle goes on with it: the state and the last character reach the next one."""
    cycle = "abcde" * 8
    numbers = np.array(["abcde".index(character) for character in cycle], np.uint8)[:, None]
    data = Sequences(numbers[:-1], numbers[1:], np.array([len(cycle) - 1]))
    network = network_of("NP-b", K=M)
    hyperparameters: dict[str, float | int] = {"learning_rate": 0.02, "momentum": 0.9}
    optimiser = make_optimiser(network.parameters, hyperparameters, TrainingConfig(optimiser="adam"))
    for _ in range(150):
        train_epoch(network, TASKS["text"], optimiser, BatchLoader(data, M).batches(np.array([0]), 1), 10)
    text = sample_text(network, "abcde", np.random.default_rng(0), 40, 0.3)
    assert text[10:] in "abcde" * 10
