"""Compiled passes against the framework's: the same scores and the same weights, whatever the task and the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ablate.definitions.dataset import Sequences, TargetPosition
from ablate.definitions.task import TASKS, Task
from ablate.definitions.variant import VARIANTS
from ablate.plan.random_streams import RandomStreams
from ablate.plan.study_plan import TrialId
from ablate.plan.training_config import TrainingConfig
from ablate.testing.layers import layer_of
from ablate.training.compiled_trainer import CompiledTrainer
from ablate.training.framework_trainer import FrameworkTrainer
from ablate.training.network import Network
from ablate.training.noise import Noise
from ablate.training.optimiser import make_optimiser

M, K = 5, 4
TASK = {"binary_cross_entropy": "music", "cross_entropy": "text", "squared_error": "adding", "ctc": "handwriting"}


def sequences(loss: str, position: TargetPosition, lengths: list[int], seed: int, one_hot: bool) -> Sequences:
    generator = np.random.default_rng(seed)
    frames = sum(lengths)
    inputs = generator.integers(M, size=(frames, 1), dtype=np.uint8) if one_hot else None
    if inputs is None:
        inputs = generator.standard_normal((frames, M), dtype=np.float32)
    counts = np.array(lengths)
    target_lengths = None
    if loss == "ctc":
        counts = target_lengths = generator.integers(0, 4, len(lengths))
    elif position is TargetPosition.SEQUENCE_END:
        counts = np.ones(len(lengths), int)
    rows = int(counts.sum())
    if loss == "binary_cross_entropy":
        targets = generator.integers(2, size=(rows, K), dtype=np.uint8)
    elif loss == "squared_error":
        targets = generator.standard_normal((rows, K), dtype=np.float32)
    else:
        targets = generator.integers(K - 1, size=(rows, 1), dtype=np.uint16)
    return Sequences(inputs, targets, np.array(lengths), position, target_lengths)


def train(made: type, name: str, N: int, task: Task, data: Sequences, training: TrainingConfig, bidirectional: bool):
    variant = VARIANTS[name]
    network = Network(variant, layer_of(variant, "cpu"), M, N, K, training.layers, bidirectional)
    network.initialise(RandomStreams(0, TrialId("music", name, 0)), training, 10)
    optimiser = make_optimiser(network.parameters, {"learning_rate": 0.02, "momentum": 0.5}, training)
    trainer = made(network, task, optimiser, training.batch_size, training.tbptt_steps)
    scores, seed = [], 0
    for epoch in range(3):
        generator = np.random.default_rng(epoch)
        scores += [
            trainer.train(data, generator.permutation(len(data)), Noise(np.array([seed, epoch], np.uint32), 0.1)),
            trainer.evaluate(data),
        ]
    return np.array(scores), network.parameters.flat


cases = st.tuples(
    st.sampled_from(["V", "GRU", "MUT1", "SRN"]),
    st.integers(1, 9),
    st.sampled_from(
        [
            ("binary_cross_entropy", TargetPosition.EVERY_FRAME),
            ("cross_entropy", TargetPosition.EVERY_FRAME),
            ("cross_entropy", TargetPosition.SEQUENCE_END),
            ("squared_error", TargetPosition.EVERY_FRAME),
            ("squared_error", TargetPosition.SEQUENCE_END),
            ("ctc", TargetPosition.UNALIGNED_LABEL),
        ]
    ),
    st.lists(st.integers(1, 12), min_size=1, max_size=7),
    st.builds(
        TrainingConfig,
        optimiser=st.sampled_from(["sgd", "adam", "adagrad"]),
        batch_size=st.integers(1, 4),
        layers=st.integers(1, 3),
        gradient_clipping=st.sampled_from([0.0, 0.05]),
        tbptt_steps=st.sampled_from([0, 3, 50]),
    ),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1000),
)


NO_LABEL = ("V", 1, ("ctc", TargetPosition.UNALIGNED_LABEL), [1], TrainingConfig(), False, False, 0)


@given(cases)
@example(NO_LABEL)
@settings(max_examples=60)
def test_the_compiled_trainer_does_what_the_frameworks_does(case) -> None:
    name, N, (loss, position), lengths, training, bidirectional, one_hot, seed = case
    if bidirectional or loss == "ctc":
        training = replace(training, tbptt_steps=0)
    task = replace(TASKS[TASK[loss]], loss=loss)
    data = sequences(loss, position, lengths, seed, one_hot)
    scores, weights = train(CompiledTrainer, name, N, task, data, training, bidirectional)
    expected, expected_weights = train(FrameworkTrainer, name, N, task, data, training, bidirectional)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights, expected_weights, rtol=1e-3, atol=1e-4)
