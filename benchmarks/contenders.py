"""One training step of one layer, as each contender does it: forward, backward, Nesterov update.

The loss is a fixed weighting of the outputs, so that no contender pays for another's output layer.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from ablate.cell.backend import make_layer
from ablate.cell.trace import BIAS_KEY, INPUT_KEY, Trace
from ablate.definitions.variant import Variant
from ablate.training.optimiser import NESTEROV, make
from ablate.training.parameters import Parameters

RATE, MOMENTUM = 1e-6, 0.9  # so small that the weights, and with them the work, stay as they are

# What computes the same as a variant, or comes closest: the framework's own, and torchrecurrent's.
FRAMEWORK = {"NP": "nn.LSTM", "GRU": "nn.GRU", "GRU-lib": "nn.GRU", "SRN": "nn.RNN"}
TORCHRECURRENT = {"V": "PeepholeLSTM"}

Step = Callable[[], object]


def peers(variant: str) -> dict[str, str]:
    """What a variant is compared with, by contender."""
    found = {"framework": FRAMEWORK, "torchrecurrent": TORCHRECURRENT}
    return {contender: names[variant] for contender, names in found.items() if variant in names}


def contenders(variant: Variant, T: int, B: int, M: int, N: int) -> dict[str, Step]:
    """By name, those that there are for a variant."""
    x, weighting = torch.randn(T, B, M), torch.randn(T, B, N)
    found = {
        "reference": _reference(variant, x, weighting, N),
        "kernel": _kernel(variant, x, weighting, N),
        "BLAS floor": bare_products(variant.trace, x, N),
    }
    if variant.name in FRAMEWORK:
        module = getattr(torch.nn, FRAMEWORK[variant.name].removeprefix("nn."))(M, N)
        found["framework"] = _module(lambda: module(x)[0], module.parameters(), weighting)
    if variant.name in TORCHRECURRENT and importlib.util.find_spec("torchrecurrent"):
        import torchrecurrent

        peer = getattr(torchrecurrent, TORCHRECURRENT[variant.name])(M, N)
        found["torchrecurrent"] = _module(lambda: peer(x)[0], peer.parameters(), weighting)
    return found


def _parameters(trace: Trace, M: int, N: int) -> Parameters:
    parameters = Parameters((stack.key, stack.sized(M, N)) for stack in trace.stacks)
    parameters.flat.normal_(std=0.1)
    return parameters


def _kernel(variant: Variant, x: Tensor, weighting: Tensor, N: int) -> Step:
    """As a trial does it."""
    parameters = _parameters(variant.trace, x.shape[2], N)
    layer = make_layer(variant.equations, variant.trace, variant.name, "cpu")
    passes = layer.bind(parameters.weights, parameters.gradients)
    optimiser = make(parameters, NESTEROV, RATE, MOMENTUM)

    def step() -> None:
        passes.forward(x)
        passes.backward(weighting)
        optimiser.step()

    return step


def _reference(variant: Variant, x: Tensor, weighting: Tensor, N: int) -> Step:
    parameters = _parameters(variant.trace, x.shape[2], N)
    weights = {key: weight.requires_grad_() for key, weight in parameters.weights.items()}
    layer = make_layer(variant.equations, variant.trace, variant.name, "reference")
    return _module(lambda: layer(x, weights)[0], weights.values(), weighting)


def _module(forward: Callable[[], Tensor], parameters: Iterable[Tensor], weighting: Tensor) -> Step:
    """What PyTorch differentiates, with its fused optimiser."""
    optimiser = torch.optim.SGD(list(parameters), lr=RATE, momentum=MOMENTUM, nesterov=True, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        forward().backward(weighting)
        optimiser.step()

    return step


def bare_products(trace: Trace, x: Tensor, N: int) -> Step:
    """The bare products: the input's and the weights' gradients over all steps, the recurrent ones step by step."""
    T, B, M = x.shape
    flat, inputs, gradients = x.flatten(0, 1), [], []
    sizes = []
    for stack in trace.stacks:
        if stack.key == INPUT_KEY:
            columns = len(stack.weights) * N
            inputs.append((torch.randn(M, columns), torch.empty(T * B, columns)))
            gradients.append((flat, torch.randn(T * B, columns), torch.empty(M, columns)))
        elif stack.maps and stack.key != BIAS_KEY:
            columns = len(stack.weights) * N
            sizes.append(columns)
            gradients.append((torch.randn(T * B, N), torch.randn(T * B, columns), torch.empty(N, columns)))
    loops = [(np.random.randn(B, N), np.random.randn(N, columns)) for columns in sizes]
    recurrent = [tuple(each.astype(np.float32) for each in loop) for loop in loops]

    def step() -> None:
        for matrix, out in inputs:
            torch.mm(flat, matrix, out=out)
        for vectors, matrix in recurrent:
            _loop(T, vectors, matrix)
        for read, d_values, out in gradients:
            torch.mm(read.T, d_values, out=out)

    return step


def _loop(T: int, vectors: np.ndarray, matrix: np.ndarray) -> Any:
    """The recurrent products of T steps, forward and back, called from machine code."""
    if vectors.shape[0] == 1:
        return _one(T, vectors[0], matrix, np.empty(matrix.shape[1], np.float32), np.empty(len(matrix), np.float32))
    return _many(T, vectors, matrix, np.empty((len(vectors), matrix.shape[1]), np.float32), np.empty_like(vectors))


@numba.njit(cache=True)
def _one(T, vector, matrix, out, back):  # compiled for what it is given
    for _ in range(T):
        np.dot(vector, matrix, out)
        np.dot(matrix, out, back)


@numba.njit(cache=True)
def _many(T, vectors, matrix, out, back):  # compiled for what it is given
    for _ in range(T):
        np.dot(vectors, matrix, out)
        np.dot(out, matrix.T, back)
