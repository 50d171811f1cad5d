"""Updates of all parameters in one pass over them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from ablate.cell.cpu.primitives import compiled
from ablate.plan.search_space import Value
from ablate.plan.training_config import TrainingConfig
from ablate.training.compiled import compiled_loop
from ablate.training.parameters import Parameters

NESTEROV, ADAM, ADAGRAD = range(3)


@dataclass(frozen=True)
class Optimiser:
    """An update of all parameters in one pass over them.

    Attributes:
        number: NESTEROV, ADAM or ADAGRAD.
        slots: what the optimiser remembers of each parameter, a row each.
        settings: learning rate; momentum, or the first decay rate; the limit to which each component of the gradient
            is clipped; how many updates there have been; the norm to which the whole gradient is scaled down before
            that; then, for each run of parameters that is bounded, its first, the one behind its last, and the bound.
    """

    parameters: Parameters
    number: int
    slots: npt.NDArray[np.float32]
    settings: npt.NDArray[np.float64]

    def step(self) -> None:
        """Update the parameters by their gradient."""
        flat, gradient = self.parameters.flat.numpy(), self.parameters.gradient.numpy()
        _update(self.number, flat, gradient, self.slots, self.settings)  # type: ignore[call-arg]


Bounds = Sequence[tuple[int, int, float]]  # runs of parameters that stay within [-bound, bound]: first, end, bound


def make_optimiser(
    parameters: Parameters, hyperparameters: Mapping[str, Value], training: TrainingConfig, bounds: Bounds = ()
) -> Optimiser:
    """The optimiser of a trial.

    `nesterov` is stochastic gradient descent with Nesterov's momentum, as in Sutskever et al. (2013), in the form of
    `torch.optim.SGD`; Greff et al. multiply the learning rate by (1 - momentum), which makes the two independent.
    `adam` (Kingma and Ba 2015, algorithm 1) takes the momentum as its first decay rate; `adagrad` (Duchi, Hazan and
    Singer 2011, with a diagonal matrix) has no use for it.
    """
    rate, momentum = float(hyperparameters["learning_rate"]), float(hyperparameters["momentum"])
    limits = training.gradient_clipping or math.inf, training.gradient_norm or math.inf, bounds
    if training.optimiser == "adam":
        return make(parameters, ADAM, rate, momentum, *limits)
    if training.optimiser == "adagrad":
        return make(parameters, ADAGRAD, rate, 0.0, *limits)
    return make(parameters, NESTEROV, rate * (1 - momentum), momentum, *limits)


def make(
    parameters: Parameters,
    number: int,
    rate: float,
    momentum: float,
    limit: float = math.inf,
    norm: float = math.inf,
    bounds: Bounds = (),
) -> Optimiser:
    """An optimiser that has made no update yet."""
    slots = np.zeros((2 if number == ADAM else 1, len(parameters.flat)), np.float32)
    return Optimiser(parameters, number, slots, np.array([rate, momentum, limit, 0.0, norm, *chain(*bounds)]))


# Numba takes the types of what follows from the signature of the last function.


@compiled
def _clipped(g: Any, limit: Any) -> Any:
    g = limit if g > limit else g
    return -limit if g < -limit else g  # a NaN stays one


@compiled
def _scale_down(gradient, norm):
    square = 0.0
    for k in range(gradient.shape[0]):
        square += float(gradient[k]) * float(gradient[k])
    if square > norm * norm:
        factor = gradient.dtype.type(norm / math.sqrt(square))
        for k in range(gradient.shape[0]):
            gradient[k] *= factor


@compiled
def _nesterov(flat, gradient, velocity, rate, momentum, limit):
    for k in range(flat.shape[0]):
        g = _clipped(gradient[k], limit)
        velocity[k] = momentum * velocity[k] + g
        flat[k] -= rate * (g + momentum * velocity[k])


@compiled
def _adam(flat, gradient, mean, square, rate, decay, correction, limit):
    second, epsilon, one = flat.dtype.type(0.999), flat.dtype.type(1e-8), flat.dtype.type(1)
    for k in range(flat.shape[0]):
        g = _clipped(gradient[k], limit)
        mean[k] = decay * mean[k] + (one - decay) * g
        square[k] = second * square[k] + (one - second) * g * g
        flat[k] -= rate * mean[k] / (np.sqrt(square[k]) / correction + epsilon)


@compiled
def _adagrad(flat, gradient, square, rate, limit):
    epsilon = flat.dtype.type(1e-10)
    for k in range(flat.shape[0]):
        g = _clipped(gradient[k], limit)
        square[k] += g * g
        flat[k] -= rate * g / (np.sqrt(square[k]) + epsilon)


@compiled
def update(number, flat, gradient, slots, settings):
    """Update the parameters by their gradient; see `Optimiser`."""
    kind = flat.dtype.type
    rate, momentum, limit = settings[0], kind(settings[1]), kind(settings[2])
    settings[3] += 1
    if settings[4] < math.inf:
        _scale_down(gradient, settings[4])
    if number == ADAM:
        correction = kind(math.sqrt(1 - 0.999 ** settings[3]))
        _adam(
            flat,
            gradient,
            slots[0],
            slots[1],
            kind(rate / (1 - settings[1] ** settings[3])),
            momentum,
            correction,
            limit,
        )
    elif number == ADAGRAD:
        _adagrad(flat, gradient, slots[0], kind(rate), limit)
    else:
        _nesterov(flat, gradient, slots[0], kind(rate), momentum, limit)
    for k in range(5, settings.shape[0], 3):
        first, end, bound = int(settings[k]), int(settings[k + 1]), kind(settings[k + 2])
        for place in range(first, end):
            flat[place] = _clipped(flat[place], bound)


_vector = types.float32[::1]


@compiled_loop(types.void(types.int64, _vector, _vector, types.float32[:, ::1], types.float64[::1]))
def _update(number, flat, gradient, slots, settings):
    update(number, flat, gradient, slots, settings)
