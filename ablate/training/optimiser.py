"""Updates of all parameters in one pass over them."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numba import types

from ablate.cell.cpu.primitives import compiled
from ablate.plan.training_config import TrainingConfig
from ablate.training.compiled import compiled_loop
from ablate.training.parameters import Parameters

_vector = types.float32[::1]
_number = types.float32


class Optimiser(Protocol):
    def step(self) -> None:
        """Update the parameters by their gradient."""
        ...


def make_optimiser(
    parameters: Parameters, hyperparameters: dict[str, float | int], training: TrainingConfig
) -> Optimiser:
    """The optimiser of a trial.

    Greff et al. multiply the learning rate by (1 - momentum), which makes the two independent. Adam takes the
    momentum as its first decay rate; Adagrad has no use for it.
    """
    rate, momentum = float(hyperparameters["learning_rate"]), float(hyperparameters["momentum"])
    limit = training.gradient_clipping or math.inf
    if training.optimiser == "adam":
        return Adam(parameters, rate, momentum, limit=limit)
    if training.optimiser == "adagrad":
        return Adagrad(parameters, rate, limit)
    return Nesterov(parameters, rate * (1 - momentum), momentum, limit)


class Nesterov:
    """Stochastic gradient descent with Nesterov's momentum, as in Sutskever et al. (2013): `torch.optim.SGD`'s form.

    Args:
        limit: each component of the gradient is first clipped to [-limit, limit].
    """

    def __init__(self, parameters: Parameters, rate: float, momentum: float, limit: float = math.inf) -> None:
        self._arrays = parameters.flat.numpy(), parameters.gradient.numpy(), np.zeros(len(parameters.flat), np.float32)
        self._settings = rate, momentum, limit

    def step(self) -> None:
        _nesterov(*self._arrays, *self._settings)  # type: ignore[call-arg]


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1), with its usual second decay rate and epsilon."""

    def __init__(self, parameters: Parameters, rate: float, decay: float, limit: float = math.inf) -> None:
        zeros = [np.zeros(len(parameters.flat), np.float32) for _ in range(2)]
        self._arrays = parameters.flat.numpy(), parameters.gradient.numpy(), *zeros
        self._rate, self._decay, self._limit = rate, decay, limit
        self._steps = 0

    def step(self) -> None:
        self._steps += 1
        first, second = 1 - self._decay**self._steps, 1 - 0.999**self._steps
        rate = self._rate / first
        _adam(*self._arrays, rate, self._decay, math.sqrt(second), self._limit)  # type: ignore[call-arg]


class Adagrad:
    """Adagrad (Duchi, Hazan and Singer 2011, with a diagonal matrix): `torch.optim.Adagrad`'s form."""

    def __init__(self, parameters: Parameters, rate: float, limit: float = math.inf) -> None:
        self._arrays = parameters.flat.numpy(), parameters.gradient.numpy(), np.zeros(len(parameters.flat), np.float32)
        self._settings = rate, limit

    def step(self) -> None:
        _adagrad(*self._arrays, *self._settings)  # type: ignore[call-arg]


@compiled
def _clipped(g: Any, limit: Any) -> Any:
    g = limit if g > limit else g
    return -limit if g < -limit else g  # a NaN stays one


@compiled_loop(types.void(_vector, _vector, _vector, _number, _number, _number))
def _nesterov(flat, gradient, velocity, rate, momentum, limit):  # Numba takes the types from the signature
    for k in range(flat.shape[0]):
        g = _clipped(gradient[k], limit)
        velocity[k] = momentum * velocity[k] + g
        flat[k] -= rate * (g + momentum * velocity[k])


@compiled_loop(types.void(_vector, _vector, _vector, _vector, _number, _number, _number, _number))
def _adam(flat, gradient, mean, square, rate, decay, correction, limit):  # Numba takes the types from the signature
    second, epsilon, one = flat.dtype.type(0.999), flat.dtype.type(1e-8), flat.dtype.type(1)
    for k in range(flat.shape[0]):
        g = _clipped(gradient[k], limit)
        mean[k] = decay * mean[k] + (one - decay) * g
        square[k] = second * square[k] + (one - second) * g * g
        flat[k] -= rate * mean[k] / (np.sqrt(square[k]) / correction + epsilon)


@compiled_loop(types.void(_vector, _vector, _vector, _number, _number))
def _adagrad(flat, gradient, square, rate, limit):  # Numba takes the types from the signature
    epsilon = flat.dtype.type(1e-10)
    for k in range(flat.shape[0]):
        g = _clipped(gradient[k], limit)
        square[k] += g * g
        flat[k] -= rate * g / (np.sqrt(square[k]) + epsilon)
