"""Labels without alignment: the loss of Graves et al. (2006), best paths, and edits; for compiled loops to call.

A path gives each frame a class; its label is what is left when repeats are made one and blanks (the last class) are
left out. A label of L classes has 2L + 1 states, a blank before each class and after the last, so that the paths of the
label are those that go through the states in order, by one step or none, or past a blank that parts different classes.
The states' sums over paths are kept apart for blanks, u = 0 to L, and classes, u = 0 to L - 1.

The sums are taken of probabilities, each frame's over the greatest among the label's classes, in double precision.
Should a sum that matters have come near to what underflows, they are taken of logarithms instead.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ablate.cell.cpu.primitives import compiled, exp
from ablate.training.compiled import compiled_loop

EVERY = 16  # frames between looks at how far the sums have grown: 3^16 is the most by which they can
HIGH = 2.0**100  # above which sums are scaled
LOW = 1e-280  # below which their product may have lost terms
UNDERFLOW = math.log(2.3e-308)
MARGIN = 23.0  # nats: what is lost stays below 1e-10 of what is kept
INFINITY = math.inf

# Numba takes the types of what follows from the signature of the last functions.


@intrinsic
def _double_of_bits(context: Any, bits: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), build


@compiled
def _exp64(x):
    """e to the x, for x <= 0, to a relative 6e-9; by vector instructions, with the range of double precision."""
    c = -708.0 if x < -708.0 else x
    n = np.floor(c * 1.4426950408889634 + 0.5)
    r = c - n * 0.6931471805599453
    p = 1 / 5040
    p = p * r + 1 / 720
    p = p * r + 1 / 120
    p = p * r + 1 / 24
    p = p * r + 1 / 6
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * _double_of_bits((np.int64(n) + 1023) << 52)  # pyright: ignore[reportCallIssue]


@compiled
def ctc_work_size(T, L):
    """How many numbers of double precision `ctc` needs to work with, for T frames and a label of L."""
    return 4 * T * (L + 1) + T + 5 * (L + 1)


@compiled
def ctc(outputs, b, T, label, work, scale):
    """The negative log-likelihood of a label, in nats.

    A label that T frames are too short for trains nothing: its loss and derivatives are 0, as where PyTorch's
    `zero_infinity` is set. The loss is NaN, and so are the derivatives, where an output is not finite.

    Args:
        outputs: (at least T, B, K), pre-activations; those of sequence `b` are overwritten by `scale` times the
            derivatives of the loss by them, the frames beyond T by 0.
        label: (L,), classes below K - 1.
        work: at least `ctc_work_size(T, L)` numbers of double precision, with any content.
        scale: of the outputs' type.
    """
    K, L = outputs.shape[2], label.shape[0]
    for t in range(T, outputs.shape[0]):
        outputs[t, b, :] = 0
    size, end = T * (L + 1), 4 * T * (L + 1)
    logs = work[:size].reshape((T, L + 1))
    odds = work[size : 2 * size].reshape((T, L + 1))
    classes = work[2 * size : 3 * size].reshape((T, L + 1))  # classes[t, u + 1] is that of class u, the first is 0
    blanks = work[3 * size : end].reshape((T, L + 1))
    totals = work[end : end + T]
    free = work[end + T : end + T + 5 * (L + 1)].reshape((5, L + 1))
    needed = L
    skip = free[0]  # 1 where the blank before a class may be left out
    for u in range(L + 1):
        skip[u] = 1.0 if 0 < u < L and label[u] != label[u - 1] else 0.0
    for u in range(1, L):
        needed += 1 if label[u] == label[u - 1] else 0
    loss = _probabilities(outputs, b, T, label, logs, odds, totals)
    if needed > T or loss != loss:
        for t in range(T):
            outputs[t, b, :] = 0 if loss == loss else loss
        return 0.0 if loss == loss else loss
    found = _posteriors(odds, classes, blanks, free, T)
    if found != found:
        found = _posteriors_of_logs(logs, classes, blanks, free, T)
    for t in range(T):
        row, own, at_blank = outputs[t, b], classes[t], outputs.dtype.type(0)
        factor = outputs.dtype.type(1.0 / totals[t]) * scale
        for k in range(K):
            row[k] *= factor
        for u in range(L + 1):
            at_blank += blanks[t, u]
        row[K - 1] -= outputs.dtype.type(at_blank) * scale
        for u in range(L):
            row[label[u]] -= outputs.dtype.type(own[u + 1]) * scale
    return loss - found


@compiled
def _probabilities(outputs, b, T, label, logs, odds, totals):
    """Each frame's probabilities: `totals` times them in `outputs`, those of the label over their greatest in `odds`.

    The order in `odds`, and their logarithms in `logs`, is that of the label, the blank last. Returns the negative
    log-likelihood of the most probable of the label's classes, summed over the frames.
    """
    K, L = outputs.shape[2], label.shape[0]
    zero = outputs.dtype.type(0)
    loss, product = 0.0, 1.0
    for t in range(T):
        row, log, odd = outputs[t, b], logs[t], odds[t]
        for u in range(L):
            log[u] = row[label[u]]
        log[L] = row[K - 1]
        greatest = log[L]
        for u in range(L):
            greatest = log[u] if log[u] > greatest else greatest
        for u in range(L + 1):
            log[u] -= greatest
            odd[u] = _exp64(log[u])
        highest, unsound, total = row[0], zero, zero
        for k in range(K):
            unsound += row[k] * zero
            highest = row[k] if row[k] > highest else highest
        for k in range(K):
            row[k] = exp(row[k] - highest)
            total += row[k]
        if unsound != zero:
            return math.nan
        totals[t] = total
        loss += np.float64(highest) - greatest
        product *= total
        if product > HIGH:
            loss += math.log(product)
            product = 1.0
    return loss + math.log(product)


@compiled
def _posteriors(odds, classes, blanks, free, T):
    """The log of the sum over the label's paths; NaN where it may have underflowed.

    The probabilities of the states at each frame, given the label, stay in `classes` and `blanks`.
    """
    L = odds.shape[1] - 1
    skip, from_classes, from_blanks, to_classes, to_blanks = free[0], free[1], free[2], free[3], free[4]
    if T == 0:
        return 0.0
    scaled = 0.0
    before_classes, before_blanks = from_classes, from_blanks
    before_classes[:] = 0
    before_blanks[:] = 0
    before_blanks[0] = 1
    for t in range(T):
        odd, here_classes, here_blanks = odds[t], classes[t], blanks[t]
        at_blank = odd[L]
        here_classes[0] = 0
        for u in range(L + 1):
            here_blanks[u] = at_blank * (before_blanks[u] + before_classes[u])
        for u in range(L):
            here_classes[u + 1] = odd[u] * (before_classes[u + 1] + before_blanks[u] + skip[u] * before_classes[u])
        before_classes, before_blanks = here_classes, here_blanks
        if t % EVERY == EVERY - 1:
            scaled += _scale(here_classes, here_blanks)
    found = math.log(before_blanks[L] + before_classes[L])
    n, k = T + L, 2 * L  # n over k is the number of paths of a label without repeats
    paths = 0.0 if k == 0 or k >= n else k * math.log(n / k) + (n - k) * math.log(n / (n - k))
    if not found > UNDERFLOW + MARGIN + paths + math.log(2.0 * T * (L + 1)):
        return math.nan

    to_classes[:] = 0
    to_blanks[:] = 0
    to_blanks[L] = 1
    if L > 0:
        to_classes[L - 1] = 1
    from_classes[L] = 0
    for t in range(T - 1, -1, -1):
        odd, here_classes, here_blanks = odds[t], classes[t], blanks[t]
        at_blank, total = odd[L], 0.0
        for u in range(L + 1):
            total += here_blanks[u] * to_blanks[u]
        for u in range(L):
            total += here_classes[u + 1] * to_classes[u]
        if not total > LOW:
            return math.nan
        part = 1.0 / total
        for u in range(L + 1):
            here_blanks[u] *= to_blanks[u] * part
            from_blanks[u] = at_blank * to_blanks[u]
        for u in range(L):
            here_classes[u + 1] *= to_classes[u] * part
            from_classes[u] = odd[u] * to_classes[u]
        for u in range(L + 1):
            to_blanks[u] = from_blanks[u] + from_classes[u]
        for u in range(L):
            to_classes[u] = from_classes[u] + from_blanks[u + 1] + skip[u + 1] * from_classes[u + 1]
        if t % EVERY == 0:
            _scale(to_classes, to_blanks)
    return found + scaled


@compiled
def _scale(classes, blanks):
    """Scale what has grown large; returns the logarithm of what it was divided by."""
    total = 0.0
    for u in range(classes.shape[0]):
        total += classes[u] + blanks[u]
    if not total > HIGH:
        return 0.0
    part = 1.0 / total
    for u in range(classes.shape[0]):
        classes[u] *= part
        blanks[u] *= part
    return math.log(total)


@compiled
def _log_sum(a, b, c):
    top = max(a, b, c)
    if top == -INFINITY:
        return top
    return top + math.log(math.exp(a - top) + math.exp(b - top) + math.exp(c - top))


@compiled
def _posteriors_of_logs(logs, classes, blanks, free, T):
    """What `_posteriors` returns and leaves, from sums that neither overflow nor underflow, at the price of time."""
    L = logs.shape[1] - 1
    skip, from_classes, from_blanks, to_classes, to_blanks = free[0], free[1], free[2], free[3], free[4]
    before_classes, before_blanks = from_classes, from_blanks
    before_classes[:] = -INFINITY
    before_blanks[:] = -INFINITY
    before_blanks[0] = 0
    for t in range(T):
        log, here_classes, here_blanks = logs[t], classes[t], blanks[t]
        here_classes[0] = -INFINITY
        for u in range(L + 1):
            here_blanks[u] = log[L] + _log_sum(before_blanks[u], before_classes[u], -INFINITY)
        for u in range(L):
            past = before_classes[u] if skip[u] > 0 else -INFINITY
            here_classes[u + 1] = log[u] + _log_sum(before_classes[u + 1], before_blanks[u], past)
        before_classes, before_blanks = here_classes, here_blanks
    found = _log_sum(before_blanks[L], before_classes[L], -INFINITY)

    to_classes[:] = -INFINITY
    to_blanks[:] = -INFINITY
    to_blanks[L] = 0
    if L > 0:
        to_classes[L - 1] = 0
    from_classes[L] = -INFINITY
    for t in range(T - 1, -1, -1):
        log, here_classes, here_blanks = logs[t], classes[t], blanks[t]
        for u in range(L + 1):
            here_blanks[u] = math.exp(here_blanks[u] + to_blanks[u] - found)
            from_blanks[u] = log[L] + to_blanks[u]
        for u in range(L):
            here_classes[u + 1] = math.exp(here_classes[u + 1] + to_classes[u] - found)
            from_classes[u] = log[u] + to_classes[u]
        for u in range(L + 1):
            to_blanks[u] = _log_sum(from_blanks[u], from_classes[u], -INFINITY)
        for u in range(L):
            past = from_classes[u + 1] if skip[u + 1] > 0 else -INFINITY
            to_classes[u] = _log_sum(from_classes[u], from_blanks[u + 1], past)
    return found


@compiled
def best_path(outputs, b, T, path):
    """The label of a sequence's most probable path: repeats made one, blanks left out.

    Args:
        outputs: (at least T, B, K), of which sequence `b` is read.
        path: at least T whole numbers; the label is written to its start.

    Returns:
        The label's length.
    """
    K = outputs.shape[2]
    found, last = 0, K - 1
    for t in range(T):
        row, top = outputs[t, b], 0
        for k in range(1, K):
            top = k if row[k] > row[top] else top
        if top != last and top != K - 1:
            path[found] = top
            found += 1
        last = top
    return found


@compiled
def edit_distance(one, other, work):
    """How many insertions, deletions and substitutions turn one into the other (Levenshtein 1966).

    Args:
        work: at least as many whole numbers as `other` has, with any content.
    """
    for j in range(other.shape[0]):
        work[j] = j + 1
    for i in range(one.shape[0]):
        corner, left = i, i + 1
        for j in range(other.shape[0]):
            above = work[j]
            best = corner if one[i] == other[j] else corner + 1
            best = min(best, above + 1, left + 1)
            corner, left = above, best
            work[j] = best
    return work[other.shape[0] - 1] if other.shape[0] else one.shape[0]


_OUTPUTS = types.float32[:, :, ::1]
_LENGTHS = types.Array(types.int64, 1, "A", readonly=True)
_NUMBERS: Any = types.int64[::1]
_SIGNATURE: Any = types.UniTuple(types.float64, 2)(
    _OUTPUTS, _NUMBERS, _LENGTHS, _LENGTHS, types.float64[::1], _NUMBERS, types.float64
)


@compiled
def sum_ctc(outputs, labels, lengths, target_lengths, work, numbers, factor):
    """As `ctc_loss_and_errors`, with memory to work in: see `ctc`; of whole numbers as many as frames and labels."""
    loss, errors, first = 0.0, 0.0, 0
    path, row = numbers[: outputs.shape[0]], numbers[outputs.shape[0] :]
    for b in range(outputs.shape[1]):
        label = labels[first : first + target_lengths[b]]
        first += target_lengths[b]
        found = best_path(outputs, b, lengths[b], path)
        errors += edit_distance(path[:found], label, row)
        loss += ctc(outputs, b, lengths[b], label, work, outputs.dtype.type(factor))
    return loss, errors


@compiled_loop(_SIGNATURE)
def _ctc_loss_and_errors(outputs, labels, lengths, target_lengths, work, numbers, factor):
    return sum_ctc(outputs, labels, lengths, target_lengths, work, numbers, factor)


def ctc_loss_and_errors(
    outputs: npt.NDArray[np.float32],
    labels: npt.NDArray[Any],
    lengths: npt.NDArray[np.int64],
    target_lengths: npt.NDArray[np.int64],
    factor: float,
) -> tuple[float, float]:
    """The loss of a batch, and the edits from the best paths' labels to the right ones, summed over its sequences.

    Args:
        outputs: (T, B, K), pre-activations; overwritten by `factor` times the derivatives of the loss by them.
        labels: end to end.
    """
    T, L = len(outputs), int(target_lengths.max(initial=0))
    work, numbers = np.empty(ctc_work_size.py_func(T, L)), np.empty(T + L, np.int64)
    whole = labels.astype(np.int64)  # which type they have, does not pay compiling for
    return _ctc_loss_and_errors(outputs, whole, lengths, target_lengths, work, numbers, factor)  # type: ignore[call-arg]


@compiled_loop(_NUMBERS(_OUTPUTS, _LENGTHS, types.int64[:, ::1]))
def _best_paths(outputs, lengths, paths):
    found = np.empty(outputs.shape[1], np.int64)
    for b in range(outputs.shape[1]):
        found[b] = best_path(outputs, b, lengths[b], paths[b])
    return found


def best_paths(outputs: npt.NDArray[np.float32], lengths: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """The label of each sequence's most probable path: repeats made one, blanks (the last class) left out."""
    paths = np.empty((outputs.shape[1], len(outputs)), np.int64)
    ends = _best_paths(outputs, lengths, paths)  # type: ignore[call-arg]
    return [path[:end] for path, end in zip(paths, ends, strict=True)]
