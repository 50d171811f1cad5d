"""What a user of JAX writes who wants his own cell to be fast: jit of lax.scan, its gradient, and Nesterov's update.

It runs in a process of its own, which answers a request to train by the seconds that it took. The input's products are
taken for all frames at once, gates side by side; the sequences of an epoch have one length, so that it compiles once.
"""

from __future__ import annotations

import functools
import os
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

CELLS = ("V", "NP", "GRU", "MUT1", "FGR")


class Peer:
    """A training loop of JAX in a process of its own.

    Args:
        trials: how many networks are trained at once, stacked by vmap.
    """

    def __init__(self, cell: str, sequences: int, T: int, M: int, N: int, K: int, trials: int, rate: float) -> None:
        self._trials = trials
        self._connection, theirs = get_context("spawn").Pipe()
        arguments = (theirs, cell, sequences, T, M, N, K, trials, rate)
        self._process = get_context("spawn").Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        self.first_seconds = float(self._connection.recv())  # with compilation

    def train(self) -> float:
        """Train an epoch; the seconds for each of the trials."""
        self._connection.send(True)
        return float(self._connection.recv()) / self._trials

    def close(self) -> None:
        self._connection.send(False)
        self._process.join()


def _serve(
    connection: Connection, cell: str, sequences: int, T: int, M: int, N: int, K: int, trials: int, rate: float
) -> None:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import jax  # pyright: ignore[reportMissingImports]

    generator = np.random.default_rng(0)
    x = generator.standard_normal((sequences, T, M)).astype(np.float32)
    targets = (generator.random((sequences, T, K)) < 0.05).astype(np.float32)
    parameters = _parameters(cell, M, N, K, generator)
    if trials > 1:
        parameters = jax.tree.map(lambda each: np.stack([each] * trials), parameters)
    velocity = jax.tree.map(np.zeros_like, parameters)
    step = functools.partial(_step, cell, rate)
    if trials > 1:
        step = jax.vmap(step, in_axes=(0, 0, None, None))
    compiled = jax.jit(step, donate_argnums=(0, 1))

    def epoch() -> float:
        nonlocal parameters, velocity
        started = time.perf_counter()
        for k in range(sequences):
            parameters, velocity = compiled(parameters, velocity, x[k], targets[k])
        jax.block_until_ready(parameters)
        return time.perf_counter() - started

    connection.send(epoch())
    while connection.recv():
        epoch()
        connection.send(epoch())


def _parameters(cell: str, M: int, N: int, K: int, generator: np.random.Generator) -> dict[str, Any]:
    gates = {"V": 4, "NP": 4, "GRU": 3, "MUT1": 3, "FGR": 4}[cell]

    def draw(*shape: int) -> np.ndarray:
        return (0.1 * generator.standard_normal(shape)).astype(np.float32)

    found = {"W": draw(M, gates * N), "R": draw(N, gates * N), "b": draw(gates * N), "Wo": draw(N, K), "bo": draw(K)}
    if cell in ("V", "FGR"):
        found["p"] = draw(3, N)
    if cell == "FGR":
        found["RG"] = draw(3 * N, 3 * N)
    if cell == "GRU":
        found |= {"R": draw(N, 2 * N), "Rn": draw(N, N)}
    if cell == "MUT1":  # the update gate reads x alone
        found |= {"R": draw(N, N), "Rn": draw(N, N)}
    return found


def _step(cell: str, rate: float, parameters: Any, velocity: Any, x: Any, targets: Any) -> Any:
    import jax  # pyright: ignore[reportMissingImports]
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

    momentum = 0.9

    def loss(p: Any) -> Any:
        z = _layer(cell, p, x) @ p["Wo"] + p["bo"]
        return jnp.sum(jax.nn.softplus(z) - targets * z)

    gradient = jax.grad(loss)(parameters)
    velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, gradient)
    return jax.tree.map(lambda p, g, v: p - rate * (g + momentum * v), parameters, gradient, velocity), velocity


def _layer(cell: str, p: Any, x: Any) -> Any:
    import jax  # pyright: ignore[reportMissingImports]
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

    N, sigmoid, tanh = p["Wo"].shape[0], jax.nn.sigmoid, jnp.tanh
    inputs, zeros = x @ p["W"] + p["b"], jnp.zeros(p["Wo"].shape[0], jnp.float32)

    def lstm(state: Any, row: Any) -> Any:
        y, c = state
        z, i, f, o = jnp.split(row + y @ p["R"], 4)
        if cell == "V":
            i, f = i + p["p"][0] * c, f + p["p"][1] * c
        c = sigmoid(f) * c + sigmoid(i) * tanh(z)
        o = sigmoid(o + p["p"][2] * c) if cell == "V" else sigmoid(o)
        y = o * tanh(c)
        return (y, c), y

    def full_gate_recurrence(state: Any, row: Any) -> Any:
        y, c, gates = state
        z, rest = jnp.split(row + y @ p["R"], [N])
        i, f, o = jnp.split(rest + gates @ p["RG"], 3)
        i, f = sigmoid(i + p["p"][0] * c), sigmoid(f + p["p"][1] * c)
        c = f * c + i * tanh(z)
        o = sigmoid(o + p["p"][2] * c)
        y = o * tanh(c)
        return (y, c, jnp.concatenate([i, f, o])), y

    def gru(y: Any, row: Any) -> Any:
        gates, n = jnp.split(row, [2 * N])
        u, r = jnp.split(sigmoid(gates + y @ p["R"]), 2)
        y = u * y + (1 - u) * tanh(n + (r * y) @ p["Rn"])
        return y, y

    def mut1(y: Any, rows: Any) -> Any:
        u, r, n = rows
        r = sigmoid(r + y @ p["R"])
        y = tanh((r * y) @ p["Rn"] + n) * u + y * (1 - u)
        return y, y

    if cell in ("V", "NP"):
        return jax.lax.scan(lstm, (zeros, zeros), inputs)[1]
    if cell == "FGR":
        return jax.lax.scan(full_gate_recurrence, (zeros, zeros, jnp.zeros(3 * N, jnp.float32)), inputs)[1]
    if cell == "MUT1":  # what reads x alone is taken for all frames at once
        u, r, n = jnp.split(inputs, 3, axis=1)
        return jax.lax.scan(mut1, zeros, (sigmoid(u), r, tanh(n)))[1]
    return jax.lax.scan(gru, zeros, inputs)[1]
