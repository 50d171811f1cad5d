"""One trial: what it learns, when it stops, and what it depends on."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ablate.cell.backend import make_layer
from ablate.definitions.dataset import Sequences, TargetPosition
from ablate.definitions.variant import VARIANTS
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.search_space import Value
from ablate.plan.study_plan import TaskConfig
from ablate.plan.training_config import TrainingConfig
from ablate.testing.learning import SCALES, SCALES_TASK
from ablate.training import trial
from ablate.training.batches import Batch, BatchLoader
from ablate.training.losses import LOSSES, MetricSum, loss_and_errors
from ablate.training.network import Network
from ablate.training.optimiser import make_optimiser
from ablate.training.parameters import Parameters
from ablate.training.text_sampling import sample_text
from ablate.training.trainer import make_trainer
from ablate.training.trial import Outcome, run_trial

SETTINGS = {"hidden_size": 12, "learning_rate": 0.02, "momentum": 0.5, "input_noise": 0.0}


def run(variant: str = "V", training: TrainingConfig | None = None, seed: int = 0, **settings: Any) -> Outcome:
    entry = VARIANTS[variant]
    return run_trial(
        TaskConfig(SCALES_TASK, training or TrainingConfig(epochs=5), {}, False),
        SCALES,
        entry,
        make_layer(entry.equations, entry.trace, variant, "cpu"),
        RandomStreams(seed, TrialId("music", variant, 0)),
        {**SETTINGS, **settings},
    )


def test_a_trial_is_its_coordinates() -> None:
    def numbers(outcome: Outcome) -> tuple[Any, ...]:
        return outcome.validation, outcome.test, outcome.best_epoch, outcome.curve

    assert numbers(run(input_noise=0.3)) == numbers(run(input_noise=0.3))
    assert numbers(run(input_noise=0.3)) != numbers(run(input_noise=0.3, seed=1))


def test_the_test_score_is_that_of_the_best_epoch() -> None:
    """A trial that goes on past its best epoch scores as one that stops there."""
    long = run(training=TrainingConfig(epochs=40), learning_rate=5.0)
    assert long.best_epoch is not None and long.best_epoch < long.epochs
    short = run(training=TrainingConfig(epochs=long.best_epoch), learning_rate=5.0)
    assert (long.validation, long.test) == (short.validation, short.test)


def test_training_stops_without_progress() -> None:
    outcome = run(training=TrainingConfig(epochs=60, patience=3), learning_rate=5.0)
    assert outcome.best_epoch is not None
    assert outcome.epochs == outcome.best_epoch + 3 < 60
    assert outcome.stop_reason == "patience"


def test_a_trial_without_a_finite_validation_score_is_diverged() -> None:
    outcome = run("NOAF", learning_rate=1e36)
    assert (outcome.state, outcome.stop_reason) == ("diverged", "not finite")
    assert math.isnan(outcome.test) and math.isnan(outcome.validation) and outcome.best_epoch is None
    assert outcome.epochs == len(outcome.curve) == 1


@pytest.mark.parametrize("variant", ["NOAF", "SRN"])
def test_a_trial_whose_loss_stops_being_finite_keeps_its_best_epoch(variant: str) -> None:
    """It scores as one that was told to stop there; the weights that are not finite leave nothing behind."""
    found = 0
    for seed in range(12):
        wild = {"learning_rate": 10 ** np.random.default_rng(seed).uniform(3, 6), "momentum": 0.9, "seed": seed}
        outcome = run(variant, training=TrainingConfig(epochs=12), **wild)
        assert outcome.stop_reason == "not finite" or math.isfinite(outcome.curve[-1][2])
        if outcome.stop_reason == "not finite" and outcome.best_epoch is not None:
            found += 1
            assert outcome.state == "completed" and outcome.epochs == len(outcome.curve)
            short = run(variant, training=TrainingConfig(epochs=outcome.best_epoch), **wild)
            assert (outcome.validation, outcome.test) == (short.validation, short.test)
            assert short.stop_reason == "epochs"
    assert found


@pytest.mark.parametrize("split", ["validation", "test"])
def test_scores_that_are_not_finite(split: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of validation alone, it ends the trial; of the test, it leaves the trial completed and without a test score."""
    calls = []

    class Poisoned:
        def __init__(self, *arguments: Any) -> None:
            self._trainer = make_trainer(*arguments)
            self.train = self._trainer.train

        def evaluate(self, sequences: Sequences) -> float:
            of = next(name for name, own in SCALES.splits.items() if own is sequences)
            calls.append(of)
            poisoned = of == split and calls.count(of) == (3 if of == "validation" else 1)
            return math.nan if poisoned else self._trainer.evaluate(sequences)

    whole = run(training=TrainingConfig(epochs=5))
    monkeypatch.setattr(trial, "make_trainer", Poisoned)
    outcome = run(training=TrainingConfig(epochs=5))
    assert outcome.state == "completed"
    if split == "validation":
        assert (outcome.stop_reason, outcome.epochs, outcome.best_epoch) == ("not finite", 3, 2)
        assert math.isfinite(outcome.test)
    else:
        assert math.isnan(outcome.test)
        assert (outcome.validation, outcome.curve) == (whole.validation, whole.curve)


@pytest.mark.parametrize("poison", [math.nan, math.inf, 1e38])
def test_a_text_of_a_network_that_is_not_finite_ends(poison: float) -> None:
    network = make_network()
    network.initialise(RandomStreams(0, TrialId("text", "V", 0)), TrainingConfig(), 11)
    network.parameters.flat.fill_(poison)
    text = sample_text(network, [chr(40 + k) for k in range(88)], np.random.default_rng(0), 30, 0.5)
    assert 1 <= len(text) <= 30


@pytest.mark.parametrize(
    "change",
    [
        {"optimiser": "adam"},
        {"optimiser": "adagrad"},
        {"layers": 2},
        {"tbptt_steps": 3},
        {"batch_size": 4},
        {"init_std": 0.3},
        {"forget_bias": 1.0},
        {"gradient_clipping": 0.01},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_setting_matters(change: dict[str, Any]) -> None:
    standard = TrainingConfig(epochs=2)
    changed = run(training=replace(standard, **change))
    assert changed.state == "completed"
    assert changed.validation != run(training=standard).validation


def test_forget_bias_reaches_the_forget_gate_alone() -> None:
    def initial(forget_bias: float) -> dict[str, torch.Tensor]:
        network = make_network()
        network.initialise(RandomStreams(0, TrialId("music", "V", 0)), TrainingConfig(forget_bias=forget_bias), 11)
        return network.named_weights()

    without, biased = initial(0.0), initial(1.0)
    torch.testing.assert_close(biased["b_f"], without["b_f"] + 1)
    assert all(torch.equal(without[name], biased[name]) for name in without if name != "b_f")


def test_variants_share_the_weights_that_they_have_in_common() -> None:
    """Paired draws go down to the weights: NP starts as V does, without the peepholes."""

    def initial(name: str) -> dict[str, torch.Tensor]:
        network = make_network(name)
        network.initialise(RandomStreams(0, TrialId("music", name, 0)), TrainingConfig(), 11)
        return network.parameters.weights

    vanilla, without = initial("V"), initial("NP")
    assert set(vanilla) - set(without) == {"p_i", "p_f", "p_o"}
    assert all(torch.equal(vanilla[key], value) for key, value in without.items())


def test_a_variant_says_how_its_weights_start() -> None:
    """Where its paper says so, that holds whatever the study says; all other weights are the study's."""

    def initial(name: str, longest: int = 100) -> dict[str, torch.Tensor]:
        network = make_network(name)
        network.initialise(RandomStreams(0, TrialId("music", name, 0)), TrainingConfig(forget_bias=5.0), longest)
        return network.named_weights()

    vanilla, biased = initial("V"), initial("V-b")
    torch.testing.assert_close(biased["b_f"], vanilla["b_f"] - 5 + 1)
    assert all(torch.equal(biased[name], weight) for name, weight in vanilla.items() if name != "b_f")
    identity = initial("IRNN")
    assert torch.equal(identity["R_h"], torch.eye(6)) and not identity["b_h"].any()
    assert torch.equal(identity["W_h"], initial("SRN")["W_h"])
    chrono = initial("JANET")["b_f"]
    assert (chrono >= 0).all() and (chrono <= math.log(99)).all() and chrono.std() > 0.1
    assert initial("JANET", longest=1)["b_f"].isfinite().all()
    independent = initial("IndRNN")["u"]
    assert (independent >= 0).all() and (independent <= 1).all() and independent.std() > 0.1


def make_network(name: str = "V", backend: str = "cpu") -> Network:
    variant = VARIANTS[name]
    return Network(variant, make_layer(variant.equations, variant.trace, variant.name, backend), 88, 6, 88)


def test_initial_weights_have_the_papers_spread() -> None:
    variant = VARIANTS["V"]
    network = Network(variant, make_layer(variant.equations, variant.trace, variant.name, "cpu"), 88, 100, 88)
    network.initialise(RandomStreams(0, TrialId("music", "V", 0)), TrainingConfig(), 11)
    assert float(network.parameters.flat.std()) == pytest.approx(0.1, rel=0.01)
    assert float(network.parameters.flat.mean()) == pytest.approx(0, abs=0.002)


def test_padding_changes_no_loss() -> None:
    """A batch of sequences of different lengths has the loss of its sequences one by one."""
    network = make_network()
    network.initialise(RandomStreams(0, TrialId("music", "V", 0)), TrainingConfig(), 11)
    frames = BatchLoader(SCALES.splits["test"], 88)

    def losses(size: int) -> list[float]:
        batches = frames.batches(np.arange(6), size)
        return [
            loss_and_errors("binary_cross_entropy", network.forward(batch.x, batch.lengths), batch)[0]
            for batch in batches
        ]

    together, alone = losses(6), losses(1)
    assert len(together) == 1 and len(alone) == 6
    assert together[0] == pytest.approx(sum(alone), rel=1e-5)


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", ["V", "GRU-lib"])
def test_gradients_are_the_frameworks(name: str, backend: str, size: int) -> None:
    """Loss and gradients of a whole network equal those that PyTorch takes through its graph."""
    network, variant = make_network(name, backend), VARIANTS[name]
    network.initialise(RandomStreams(0, TrialId("music", name, 0)), TrainingConfig(init_std=0.5), 11)
    batch = next(BatchLoader(SCALES.splits["train"], 88).batches(np.arange(size), size))
    outputs = network.forward(batch.x, batch.lengths)
    loss, _ = loss_and_errors("binary_cross_entropy", outputs, batch, 0.5)
    network.backward(outputs)
    weights = {key: weight.clone().requires_grad_() for key, weight in network.parameters.weights.items()}
    y, _ = make_layer(variant.equations, variant.trace, name, "reference")(batch.x, weights)
    z = torch.nn.functional.linear(y, weights["W_output"], weights["b_output"])
    targets = torch.from_numpy(batch.targets.astype(np.float32))
    losses = torch.nn.functional.binary_cross_entropy_with_logits(z, targets, reduction="none")
    losses = losses * (torch.arange(len(z))[:, None] < torch.from_numpy(batch.lengths))[:, :, None]
    (0.5 * losses.sum()).backward()
    assert loss == pytest.approx(losses.sum().item(), rel=1e-5)
    for key, weight in weights.items():
        torch.testing.assert_close(network.parameters.gradients[key], weight.grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("loss_name", ["cross_entropy", "squared_error"])
def test_losses_are_the_frameworks(loss_name: str, at_end: bool) -> None:
    """Loss, score and derivatives against PyTorch's, with padding, at every frame and at the last one."""
    generator = torch.Generator().manual_seed(0)
    outputs = (3 * torch.randn(5, 2, 4, generator=generator)).requires_grad_()
    lengths = torch.tensor([5, 3])
    if loss_name == "cross_entropy":
        targets = torch.randint(4, (1 if at_end else 5, 2, 1), generator=generator)
    else:
        targets = torch.randn(1 if at_end else 5, 2, 4, generator=generator)
    scored = [(b, t) for b in range(2) for t in range(int(lengths[b])) if not at_end or t == lengths[b] - 1]
    loss, errors = torch.zeros(()), 0.0
    for b, t in scored:
        row, target = outputs[t, b], targets[0 if at_end else t, b]
        if loss_name == "cross_entropy":
            loss = loss + torch.nn.functional.cross_entropy(row, target[0])
            errors += float(row.argmax() != target[0])
        else:
            loss = loss + (row - target).square().sum()
    (0.5 * loss).backward()
    kind = np.uint8 if loss_name == "cross_entropy" else np.float32
    position = TargetPosition.SEQUENCE_END if at_end else TargetPosition.EVERY_FRAME
    batch = Batch(outputs, targets.numpy().astype(kind), lengths.numpy(), position)
    assert batch.n_targets == len(scored)
    ours = outputs.detach().clone()
    found = loss_and_errors(loss_name, ours, batch, 0.5)
    assert found[0] == pytest.approx(loss.item(), rel=1e-5)
    assert found[1] == errors
    torch.testing.assert_close(ours, outputs.grad)


def test_a_loss_of_extreme_outputs_is_right() -> None:
    """Certain and right costs nothing, certain and wrong costs its margin; what is not a number comes out as one."""
    outputs = torch.tensor([100.0, -100.0, 100.0, -1000.0, 0.0]).reshape(1, 1, 5)
    batch = Batch(outputs, np.array([[[1, 0, 0, 1, 1]]], np.uint8), np.array([1]))
    assert loss_and_errors("binary_cross_entropy", outputs, batch) == (
        pytest.approx(100 + 1000 + math.log(2), rel=1e-6),
        0,
    )
    torch.testing.assert_close(outputs.flatten(), torch.tensor([0.0, 0.0, 1.0, -1.0, -0.5]))
    for bad in (math.nan, math.inf):
        for loss_name in set(LOSSES) - {"ctc"}:
            metric_sum = MetricSum()
            metric_sum.add(*loss_and_errors(loss_name, torch.full((1, 1, 5), bad), batch), batch.n_targets)
            assert math.isnan(metric_sum.score("nats")) and math.isnan(metric_sum.score("error_rate"))


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adagrad"])
@pytest.mark.parametrize("momentum", [0.0, 0.7])
@pytest.mark.parametrize(("clipping", "norm"), [(0.0, 0.0), (0.5, 0.0), (0.0, 3.0), (0.5, 3.0)])
def test_updates_are_the_frameworks(optimiser: str, momentum: float, clipping: float, norm: float) -> None:
    """Nesterov's momentum with the rate scaled by (1 - momentum), and Adam, against PyTorch's own."""
    generator = torch.Generator().manual_seed(0)
    parameters = Parameters([("w", (37,))])
    parameters.flat.normal_(generator=generator)
    theirs = parameters.flat.clone().requires_grad_()
    settings: dict[str, Value] = {"learning_rate": 0.05, "momentum": momentum}
    training = TrainingConfig(optimiser=optimiser, gradient_clipping=clipping, gradient_norm=norm)
    ours = make_optimiser(parameters, settings, training)
    if optimiser == "adam":
        framework: torch.optim.Optimizer = torch.optim.Adam([theirs], lr=0.05, betas=(momentum, 0.999))
    elif optimiser == "adagrad":
        framework = torch.optim.Adagrad([theirs], lr=0.05)
    else:
        framework = torch.optim.SGD([theirs], lr=0.05 * (1 - momentum), momentum=momentum, nesterov=momentum > 0)
    for _ in range(20):
        gradient = torch.randn(37, generator=generator)
        parameters.gradient.copy_(gradient)
        ours.step()
        theirs.grad = gradient.clone()
        if norm:
            torch.nn.utils.clip_grad_norm_(theirs, norm)
        if clipping:
            torch.nn.utils.clip_grad_value_(theirs, clipping)
        framework.step()
    torch.testing.assert_close(parameters.flat, theirs.detach(), rtol=1e-5, atol=1e-5)
    parameters.gradient[3] = math.nan
    ours.step()
    assert [k for k, value in enumerate(parameters.flat) if math.isnan(value)] == [3]
