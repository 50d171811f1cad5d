"""One compiled call over many batches: forward, loss, backward and update, with nothing of the framework between them.

It is compiled once for all variants. A variant's kernel comes as two functions, its weights as a table of pieces: the
parts of its stacks that lie side by side both in the flat parameters and among the values of the maps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types

from ablate.cell.cpu.primitives import compiled
from ablate.cell.cpu.products import multiply, multiply_back, multiply_into
from ablate.training.compiled import compiled_loop
from ablate.training.ctc import ctc_work_size, sum_ctc
from ablate.training.losses import CTC, sum_losses
from ablate.training.optimiser import update
from ablate.training.packing import FIRST_ROW, FIRST_SEQUENCE, FIRST_TARGET, FRAMES, SEQUENCES

# The columns of the table of pieces. A piece has `WIDTH` columns of a stack, from column `START`; the stack begins at
# `OFFSET` in the parameters and has `ROWS` rows of `STRIDE` numbers. Among the map values it begins at column `COLUMN`.
KIND, OFFSET, ROWS, STRIDE, START, WIDTH, COLUMN, SOURCE, SHIFT = range(9)
# What a piece is multiplied by: one, the input, a state (`SOURCE`) at each step or (`SHIFT` 1) after it, a value saved
# by the forward pass; or nothing, since the time loop alone reads it.
BIAS, INPUT, STATE, SAVED, VECTOR = range(5)

_number, _index = types.float32, types.int64
_vector, _matrix, _cube, _hypercube = (types.Array(_number, d, "C") for d in (1, 2, 3, 4))
_indices, _table = types.Array(_index, 1, "C"), types.Array(_index, 2, "C")
_forward_arguments = (_cube, _hypercube, _hypercube, _indices)
FORWARD = types.FunctionType(types.void(*_forward_arguments))
BACKWARD = types.FunctionType(_cube(_cube, _matrix, _cube, _cube, *_forward_arguments))


@compiled
def _into(out, vectors, matrix):  # one function a use: an intrinsic's code is written wherever it stands
    multiply_into(out, vectors, matrix)  # pyright: ignore[reportCallIssue]


@compiled
def _product(out, vectors, matrix):
    multiply(out, vectors, matrix)  # pyright: ignore[reportCallIssue]


@compiled
def _back(out, vectors, matrix):
    multiply_back(out, vectors, matrix)  # pyright: ignore[reportCallIssue]


@compiled
def _weights(flat, piece):
    """A piece of a stack in the parameters or in their gradient: (rows, width)."""
    first, rows, stride, start = piece[OFFSET], piece[ROWS], piece[STRIDE], piece[START]
    return flat[first : first + rows * stride].reshape(rows, stride)[:, start : start + piece[WIDTH]]


@compiled
def _sum_rows(out, rows):
    """out = the sum of the rows."""
    out[:] = 0
    for r in range(rows.shape[0]):
        for k in range(out.shape[0]):
            out[k] += rows[r, k]


@compiled
def _reverse(out, sequences, lengths):
    """Each sequence of (T, B, N) from its end to its start; the padding stays behind it."""
    T = sequences.shape[0]
    for b in range(sequences.shape[1]):
        for t in range(T):
            back = lengths[b] - 1 - t
            out[t, b] = sequences[back if back >= 0 else t, b]


@compiled
def _layer_forward(forward, x, values, states, saved, pieces, addresses, flat):
    """The states of one layer, given those before the first frame; x is (T B, size of the input)."""
    T, B, width = values.shape
    rows = values.reshape(T * B, width)
    biased = 0
    for p in range(len(pieces)):
        biased += pieces[p, WIDTH] if pieces[p, KIND] == BIAS else 0
    if biased < width:
        rows[:] = 0
    for p in range(len(pieces)):
        if pieces[p, KIND] == BIAS:
            first = pieces[p, OFFSET] + pieces[p, START]
            bias, column = flat[first : first + pieces[p, WIDTH]], pieces[p, COLUMN]
            for r in range(T * B):
                row = rows[r, column : column + len(bias)]
                for k in range(len(bias)):
                    row[k] = bias[k]
    for p in range(len(pieces)):
        if pieces[p, KIND] == INPUT:
            column = pieces[p, COLUMN]
            _into(rows[:, column : column + pieces[p, WIDTH]], x, _weights(flat, pieces[p]))
    forward(values, states, saved, addresses)


@compiled
def _layer_backward(backward, x, d_y, d_values, d_state, d_vectors, values, states, saved, pieces, addresses, gradient):
    """The gradients of one layer's weights, given those of its outputs, (T, B, N)."""
    T, B, width = values.shape
    N = states.shape[3]
    d_state[:] = 0
    d_vectors[:] = 0
    backward(d_values, d_vectors, d_state, d_y, values, states, saved, addresses)
    rows, vectors = d_values.reshape(T * B, width), 0
    for p in range(len(pieces)):
        kind, column = pieces[p, KIND], pieces[p, COLUMN]
        d = rows[:, column : column + pieces[p, WIDTH]]
        if kind == VECTOR:
            gradient[pieces[p, OFFSET] : pieces[p, OFFSET] + N] = d_vectors[vectors]
            vectors += 1
        elif kind == BIAS:
            first = pieces[p, OFFSET] + pieces[p, START]
            _sum_rows(gradient[first : first + pieces[p, WIDTH]], d)
        elif kind == INPUT:
            _product(_weights(gradient, pieces[p]), x.T, d)
        else:
            if kind == STATE:
                first = pieces[p, SHIFT]
                read = states[pieces[p, SOURCE], first : first + T].reshape(T * B, N)
            else:
                read = saved[pieces[p, SOURCE]].reshape(T * B, N)
            _product(_weights(gradient, pieces[p]), read.T, d)


@compiled
def _layer_d_x(d_x, d_values, pieces, flat):
    """The derivatives by a layer's input, (T B, size of the input)."""
    T, B, width = d_values.shape
    rows = d_values.reshape(T * B, width)
    d_x[:] = 0
    for p in range(len(pieces)):
        if pieces[p, KIND] == INPUT:
            column = pieces[p, COLUMN]
            _back(d_x, rows[:, column : column + pieces[p, WIDTH]], _weights(flat, pieces[p]))


# Numba takes the types from the signature.
@compiled_loop(
    types.void(
        *(FORWARD, BACKWARD, _indices, types.Array(_index, 3, "C"), _table, _vector, _vector),  # the network
        *(_matrix, _vector, _matrix, _matrix, _matrix, _matrix, _matrix),  # the memory of the passes
        *(_matrix, _matrix, _table, _indices, _indices),  # the batches
        *(_index, types.boolean, _index, types.boolean),
        *(_index, _matrix, types.Array(types.float64, 1, "C")),  # the optimiser
        types.Array(types.float64, 1, "C"),
    )
)
def run_batches(
    forward, backward, sizes, pieces, addresses, flat, gradient,
    values_memory, d_values_memory, states_memory, saved_memory, input_memory, d_input_memory, output_memory,
    x, targets, batches, lengths, target_lengths,
    loss, at_end, part_size, training,
    optimiser, slots, settings,
    totals,
):  # fmt: skip
    """Pass over batches in turn, each in parts of `part_size` frames, and update the parameters after each part.

    The state goes on from part to part. The totals are loss, errors and targets; the loss is not finite if that of a
    part was not, after which nothing is computed.
    """
    N, K, layers, directions, S, maps, lines, n_vectors = sizes
    W_output = flat[len(flat) - K * directions * N - K : len(flat) - K].reshape(K, directions * N)
    d_W_output = gradient[len(flat) - K * directions * N - K : len(flat) - K].reshape(K, directions * N)
    b_output, d_b_output = flat[len(flat) - K :], gradient[len(flat) - K :]
    d_vectors = np.zeros((n_vectors, N), np.float32)
    labels, work, numbers = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64)
    if loss == CTC:
        labels = targets[:, 0].astype(np.int64)
        longest = batches[:, FRAMES].max()
        work, numbers = (
            np.zeros(ctc_work_size(longest, target_lengths.max())),
            np.zeros(longest + len(labels), np.int64),
        )
    for place in range(len(batches)):
        B, first_sequence = batches[place, SEQUENCES], batches[place, FIRST_SEQUENCE]
        all_lengths = lengths[first_sequence : first_sequence + B]
        carry = np.zeros((layers * directions, S, B, N), np.float32)
        d_state = np.zeros((S, B, N), np.float32)
        for start in range(0, batches[place, FRAMES], part_size):
            T = min(part_size, batches[place, FRAMES] - start)
            first = batches[place, FIRST_ROW] + start * B
            part_lengths = all_lengths - start
            n_targets = 0
            for b in range(B):
                if loss == CTC:
                    n_targets += target_lengths[first_sequence + b]
                elif at_end:
                    n_targets += 1 if 0 < part_lengths[b] <= T else 0
                else:
                    n_targets += max(0, min(T, part_lengths[b]))
            steps = T * B
            y = x[first : first + steps]
            for depth in range(layers):
                below = y
                for direction in range(directions):
                    cell = depth * directions + direction
                    values = values_memory[cell, : steps * maps * N].reshape(T, B, maps * N)
                    states = states_memory[cell, : S * (T + 1) * B * N].reshape(S, T + 1, B, N)
                    saved = saved_memory[cell, : lines * steps * N].reshape(lines, T, B, N)
                    states[:, 0] = carry[cell]
                    if direction:
                        size = below.shape[1]
                        turned = input_memory[2 * depth + 1, : steps * size].reshape(T, B, size)
                        _reverse(turned, below.reshape(T, B, size), part_lengths)
                        _layer_forward(
                            forward,
                            turned.reshape(steps, size),
                            values,
                            states,
                            saved,
                            pieces[cell],
                            addresses[cell],
                            flat,
                        )
                    else:
                        _layer_forward(forward, below, values, states, saved, pieces[cell], addresses[cell], flat)
                    if part_size < batches[place, FRAMES]:
                        carry[cell] = states[:, T]
                    if directions == 1:
                        y = states[0, 1:].reshape(steps, N)
                    else:
                        y = input_memory[2 * depth, : steps * 2 * N].reshape(steps, 2 * N)
                        if direction:
                            _reverse(y.reshape(T, B, 2 * N)[:, :, N:], states[0, 1:], part_lengths)
                        else:
                            y[:, :N] = states[0, 1:].reshape(steps, N)
            if training and n_targets == 0:
                continue
            outputs = output_memory[0, : steps * K].reshape(T, B, K)
            rows = outputs.reshape(steps, K)
            for r in range(steps):
                rows[r] = b_output
            _back(rows, y, W_output)
            first_target = batches[place, FIRST_TARGET]
            if loss == CTC:
                part_labels = labels[first_target : first_target + n_targets]
                counts = target_lengths[first_sequence : first_sequence + B]
                found, errors = sum_ctc(outputs, part_labels, part_lengths, counts, work, numbers, 1 / B)
            else:
                first_target, rows_of_targets, frames = (
                    (first_target, B, 1) if at_end else (first_target + start * B, steps, T)
                )
                part_targets = targets[first_target : first_target + rows_of_targets].reshape(
                    frames, B, targets.shape[1]
                )
                found, errors = sum_losses(loss, outputs, part_targets, part_lengths, at_end, 1 / B)
            totals[0] += found
            totals[1] += errors
            totals[2] += n_targets
            if not math.isfinite(found):
                totals[0] = math.nan
                return
            if not training:
                continue
            _sum_rows(d_b_output, rows)
            _product(d_W_output, rows.T, y)
            d_y = d_input_memory[0, : steps * directions * N].reshape(steps, directions * N)
            _product(d_y, rows, W_output)
            for depth in range(layers - 1, -1, -1):
                if depth == 0:
                    below = x[first : first + steps]
                elif directions == 1:
                    below = (
                        states_memory[depth - 1, : S * (T + 1) * B * N].reshape(S, T + 1, B, N)[0, 1:].reshape(steps, N)
                    )
                else:
                    below = input_memory[2 * depth - 2, : steps * 2 * N].reshape(steps, 2 * N)
                size = below.shape[1]
                d_below = d_input_memory[1, : (steps * size if depth else 0)].reshape(steps if depth else 0, size)
                for direction in range(directions):
                    cell = depth * directions + direction
                    values = values_memory[cell, : steps * maps * N].reshape(T, B, maps * N)
                    states = states_memory[cell, : S * (T + 1) * B * N].reshape(S, T + 1, B, N)
                    saved = saved_memory[cell, : lines * steps * N].reshape(lines, T, B, N)
                    d_values = d_values_memory[: steps * maps * N].reshape(T, B, maps * N)
                    read, d_own = below, d_y.reshape(T, B, directions * N)
                    if directions == 2:
                        part = d_own[:, :, direction * N : direction * N + N]
                        d_own = d_input_memory[2, : steps * N].reshape(T, B, N)
                        if direction:
                            _reverse(d_own, part, part_lengths)
                            read = input_memory[2 * depth + 1, : steps * size].reshape(steps, size)
                        else:
                            d_own[:] = part
                    _layer_backward(
                        backward, read, d_own, d_values, d_state, d_vectors, values, states, saved,
                        pieces[cell], addresses[cell], gradient,
                    )  # fmt: skip
                    if depth == 0:
                        continue
                    if direction:
                        turned = d_input_memory[3, : steps * size].reshape(steps, size)
                        _layer_d_x(turned, d_values, pieces[cell], flat)
                        again = d_input_memory[4, : steps * size].reshape(T, B, size)
                        _reverse(again, turned.reshape(T, B, size), part_lengths)
                        d_below += again.reshape(steps, size)
                    else:
                        _layer_d_x(d_below, d_values, pieces[cell], flat)
                if depth:
                    d_y = d_input_memory[0, : steps * size].reshape(steps, size)
                    d_y[:] = d_below
            update(optimiser, flat, gradient, slots, settings)


def memory(rows: int, numbers: int) -> Any:
    """Uninitialised memory of a pass."""
    return np.empty((rows, max(numbers, 1)), np.float32)
