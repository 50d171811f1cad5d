"""The loss of labels without alignment, against the framework's in double precision; best paths, and edits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.training import ctc as module
from ablate.training.ctc import best_paths, ctc, ctc_loss_and_errors, ctc_work_size, edit_distance

Array = npt.NDArray[Any]


@dataclass
class Case:
    outputs: Array  # (T, B, K)
    labels: Array
    lengths: Array
    target_lengths: Array

    def found(self, factor: float = 1.0) -> tuple[float, Array]:
        derivatives = self.outputs.copy()
        parts = (self.labels, self.lengths, self.target_lengths)
        return ctc_loss_and_errors(derivatives, *parts, factor)[0], derivatives

    def expected(self, factor: float = 1.0) -> tuple[float, Array]:
        leaf = torch.from_numpy(self.outputs).double().requires_grad_()
        loss, first = torch.zeros((), dtype=torch.float64), 0
        for b, (length, count) in enumerate(zip(self.lengths, self.target_lengths, strict=True)):
            label = torch.from_numpy(self.labels[first : first + count].astype(np.int64))
            first += count
            if length:  # the framework takes no sequence of no frames
                ends = (torch.tensor([length]), torch.tensor([count]))
                z = leaf[:, b : b + 1].log_softmax(2)
                loss = loss + torch.nn.functional.ctc_loss(
                    z, label[None], *ends, z.shape[2] - 1, reduction="sum", zero_infinity=True
                )
        if loss.requires_grad:
            (factor * loss).backward()
        return loss.item(), np.zeros(self.outputs.shape) if leaf.grad is None else leaf.grad.numpy()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Batches of random outputs; labels with repeats, empty ones, and ones that the frames are too few for."""
    T, B, K = draw(st.integers(1, 40)), draw(st.integers(1, 4)), draw(st.integers(2, 12))
    lengths = np.array([draw(st.integers(0, T)) for _ in range(B)])
    target_lengths = np.array([draw(st.integers(0, 3 + length // 2)) for length in lengths])
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    few = draw(st.integers(1, K - 1))  # classes in the labels
    labels = generator.integers(0, few, target_lengths.sum()).astype(draw(st.sampled_from(["uint8", "uint16"])))
    outputs = generator.uniform(-1, 1, (T, B, K)).astype(np.float32) * np.float32(draw(st.sampled_from([1, 8, 30, 80])))
    return Case(outputs, labels, lengths, target_lengths)


@settings(max_examples=400)
@given(cases(), st.sampled_from([1.0, 0.25]))
def test_loss_and_derivatives_equal_the_frameworks(case: Case, factor: float) -> None:
    (loss, derivatives), (expected, by_graph) = case.found(factor), case.expected(factor)
    assert loss == pytest.approx(expected, rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(derivatives, by_graph, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [0.01, 1, 5, 80])
@pytest.mark.parametrize(("T", "L", "K"), [(300, 40, 82), (1500, 60, 82), (900, 0, 5), (700, 300, 4), (64, 64, 70)])
def test_long_sequences_equal_the_frameworks(T: int, L: int, K: int, scale: float) -> None:
    """Sums over paths that would leave the range of double precision either way."""
    generator = np.random.default_rng(0)
    outputs = (scale * generator.standard_normal((T, 1, K))).astype(np.float32)
    label = np.arange(L) % (K - 1) if T == L else generator.integers(0, K - 1, L)
    case = Case(outputs, label.astype(np.uint8), np.array([T]), np.array([L]))
    (loss, derivatives), (expected, by_graph) = case.found(), case.expected()
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(derivatives, by_graph, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sure", [-60.0, 60.0])
def test_a_network_that_is_sure_of_the_label_or_against_it(sure: float) -> None:
    """The right class at its place in each stretch of frames, or the least likely: 60 nats a frame."""
    T, L, K = 200, 20, 30
    label = np.random.default_rng(1).integers(0, K - 1, L).astype(np.uint8)
    outputs = np.random.default_rng(2).standard_normal((T, 1, K)).astype(np.float32)
    for u, right in enumerate(label):
        outputs[10 * u : 10 * u + 5, 0, right] += sure
        outputs[10 * u + 5 : 10 * u + 10, 0, K - 1] += sure
    case = Case(outputs, label, np.array([T]), np.array([L]))
    (loss, derivatives), (expected, by_graph) = case.found(), case.expected()
    assert loss == pytest.approx(expected, rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(derivatives, by_graph, rtol=0, atol=1e-5)


@settings(max_examples=50)
@given(st.integers(1, 60), st.integers(0, 12), st.integers(0, 2**32))
def test_both_ways_of_summing_agree(T: int, L: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    logs = np.log(generator.dirichlet(np.ones(L + 1), T))
    skip, found = generator.integers(0, 2, L + 1), []
    for of_logs in (False, True):
        classes, blanks, free = np.empty((T, L + 1)), np.empty((T, L + 1)), np.zeros((5, L + 1))
        free[0, 1:L] = skip[1:L]
        total = (module._posteriors_of_logs if of_logs else module._posteriors)(
            logs if of_logs else np.exp(logs), classes, blanks, free, T
        )
        found.append((total, classes[:, 1:], blanks))
    (total, classes, blanks), (expected, *others) = found
    if math.isinf(expected):  # no path
        assert math.isnan(total)
        return
    assert total == pytest.approx(expected, rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(classes, others[0], atol=1e-9)
    np.testing.assert_allclose(blanks, others[1], atol=1e-9)


def test_no_frames() -> None:
    """No frames have the empty label for certain, and are too few for any other."""
    case = Case(np.ones((2, 2, 3), np.float32), np.array([1], np.uint8), np.array([0, 0]), np.array([0, 1]))
    loss, derivatives = case.found()
    assert loss == 0 and not derivatives.any()


def test_frames_beyond_the_end_are_not_read() -> None:
    outputs = np.random.default_rng(0).standard_normal((9, 2, 4)).astype(np.float32)
    labels, lengths, target_lengths = np.array([0, 1, 2], np.uint8), np.array([5, 9]), np.array([2, 1])
    loss, derivatives = Case(outputs, labels, lengths, target_lengths).found()
    outputs[5:, 0] = math.nan
    padded, of_padded = Case(outputs, labels, lengths, target_lengths).found()
    assert padded == loss and not of_padded[5:, 0].any()
    np.testing.assert_array_equal(of_padded, derivatives)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("T", [3, 1])  # 1: too short for the label
def test_what_is_not_finite_has_no_finite_loss(bad: float, T: int) -> None:
    """Whichever output it is, of a class in the label or not."""
    for t in range(T):
        for k in range(4):
            outputs = np.zeros((T, 1, 4), np.float32)
            outputs[t, 0, k] = bad
            loss, _ = Case(outputs, np.array([0, 1], np.uint8), np.array([T]), np.array([2])).found()
            assert not math.isfinite(loss)


def test_what_was_in_the_working_arrays_does_not_matter() -> None:
    outputs = np.random.default_rng(0).standard_normal((12, 1, 5)).astype(np.float32)
    label, losses = np.array([1, 1, 3], np.uint8), []
    for content in (0.0, math.nan, 1e300):
        derivatives = outputs.copy()
        work = np.full(ctc_work_size(12, 3), content)
        losses.append((ctc(derivatives, 0, 12, label, work, np.float32(1)), derivatives.tobytes()))
    assert losses[0] == losses[1] == losses[2]


@settings(max_examples=100)
@given(cases())
def test_best_paths_are_the_classes_at_the_top_without_repeats_and_blanks(case: Case) -> None:
    blank = case.outputs.shape[2] - 1
    expected = [
        [k for k, _ in groupby(case.outputs[:length, b].argmax(1).tolist()) if k != blank]
        for b, length in enumerate(case.lengths)
    ]
    assert [path.tolist() for path in best_paths(case.outputs, case.lengths)] == expected
    ends = np.cumsum(case.target_lengths)
    labels = [case.labels[end - n : end].tolist() for end, n in zip(ends, case.target_lengths, strict=True)]
    errors = sum(edits(tuple(path), tuple(label)) for path, label in zip(expected, labels, strict=True))
    assert ctc_loss_and_errors(case.outputs, case.labels, case.lengths, case.target_lengths, 1.0)[1] == errors


@cache
def edits(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """By the definition."""
    if not one or not other:
        return len(one) + len(other)
    if one[-1] == other[-1]:
        return edits(one[:-1], other[:-1])
    return 1 + min(edits(one[:-1], other), edits(one, other[:-1]), edits(one[:-1], other[:-1]))


@settings(max_examples=100)
@given(*[st.lists(st.integers(0, 3), max_size=9)] * 2)
def test_edits_by_their_definition(one: list[int], other: list[int]) -> None:
    arrays = [np.array(each, np.int64) for each in (one, other)]
    assert edit_distance(*arrays, np.full(9, 99)) == edits(tuple(one), tuple(other))
