"""The whole training step: cell, output layer, loss, gradients and update, against the same in JAX."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from ablate.cell.backend import make_layer
from ablate.cell.cpu.compilation import compile_kernel
from ablate.definitions.dataset import Sequences
from ablate.definitions.task import TASKS
from ablate.definitions.variant import VARIANTS
from ablate.errors import UserError
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.training_config import TrainingConfig
from ablate.training.network import Network
from ablate.training.noise import Noise
from ablate.training.optimiser import NESTEROV, make
from ablate.training.trainer import Trainer, make_trainer
from benchmarks.contenders import bare_products
from benchmarks.jax_peer import CELLS, Peer
from benchmarks.measure import geometric_mean, markdown

M, K, FRAMES, SEQUENCES = 88, 88, 60, 20
SIZES = (20, 50, 100, 200)
STACKED = 16
PRODUCTS = "bare products"
RATE = 1e-7  # so small that the weights, and with them the work, stay as they are


def run(out: Path, rounds: int) -> None:
    if find_spec("jax") is None:
        raise UserError('JAX is not installed; python -m pip install -e ".[bench]"')
    table = measure(CELLS, SIZES, rounds)
    table.to_csv(out / "training.csv", index=False)
    first = first_seconds(CELLS)
    first.to_csv(out / "training_first.csv", index=False)
    print("\nSeconds before the first trial\n")
    print(markdown(first.round(1)))
    print(f"\nA whole training step ({M} inputs and outputs, {FRAMES} frames, one sequence): microseconds a frame\n")
    print(markdown(summary(table)))
    print("\nHow many times as fast as JAX, without noise; the mean is geometric, over the cells but FGR\n")
    print(markdown(ratios(table)))


def measure(cells: Iterable[str], sizes: Iterable[int], rounds: int) -> pd.DataFrame:
    """Microseconds a frame: one row for each contender, cell and hidden size; the contenders take turns."""
    rows = []
    for cell in cells:
        for N in sizes:
            alone, stacked = (Peer(cell, SEQUENCES, FRAMES, M, N, K, trials, RATE) for trials in (1, STACKED))
            trainer, data, order = _trainer(cell, N)
            noise = Noise(np.zeros(2, np.uint32), 0.5)

            def ours(
                noise: Noise | None, trainer: Trainer = trainer, data: Sequences = data, order: np.ndarray = order
            ) -> float:
                trainer.train(data, order, noise)
                started = time.perf_counter()
                trainer.train(data, order, noise)
                return time.perf_counter() - started

            contenders = {
                PRODUCTS: _products(cell, N),
                "ablate": lambda ours=ours: ours(None),
                "ablate, with noise": lambda ours=ours, noise=noise: ours(noise),
                "JAX": alone.train,
                f"JAX, {STACKED} trials stacked": stacked.train,
            }
            seconds = {name: [] for name in contenders}
            for _ in range(rounds):
                for name, train in contenders.items():
                    seconds[name].append(train())
            for name, times in seconds.items():
                low, median, high = np.quantile(times, [0.25, 0.5, 0.75]) / (SEQUENCES * FRAMES) * 1e6
                rows.append((cell, N, name, median, low, high))
            alone.close()
            stacked.close()
            print(f"measured {cell} with {N} units", flush=True)
    columns = ["variant", "hidden_size", "contender", "microseconds", "first_quartile", "third_quartile"]
    return pd.DataFrame(rows, columns=columns)


def _products(cell: str, N: int) -> Callable[[], float]:
    """The products of cell and output layer by the BLAS, of an epoch."""
    x, y, d = torch.randn(FRAMES, 1, M), torch.randn(FRAMES, N), torch.randn(FRAMES, K)
    W, out, d_y, d_W = torch.randn(N, K), torch.empty(FRAMES, K), torch.empty(FRAMES, N), torch.empty(N, K)
    of_the_cell = bare_products(VARIANTS[cell].trace, x, N)

    def run() -> None:
        for _ in range(SEQUENCES):
            of_the_cell()
            torch.mm(y, W, out=out)
            torch.mm(d, W.T, out=d_y)
            torch.mm(y.T, d, out=d_W)

    def timed() -> float:
        run()
        started = time.perf_counter()
        run()
        return time.perf_counter() - started

    return timed


def _trainer(cell: str, N: int) -> tuple[Trainer, Sequences, np.ndarray]:
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((SEQUENCES * FRAMES, M), dtype=np.float32)
    targets = (generator.random((SEQUENCES * FRAMES, K)) < 0.05).astype(np.uint8)
    data = Sequences(inputs, targets, np.full(SEQUENCES, FRAMES))
    variant, training = VARIANTS[cell], TrainingConfig()
    layer = make_layer(variant.equations, variant.trace, variant.name, "cpu")
    network = Network(variant, layer, M, N, K)
    network.initialise(RandomStreams(0, TrialId("music", cell, 0)), training, FRAMES)
    optimiser = make(network.parameters, NESTEROV, RATE, 0.9)
    return make_trainer(network, TASKS["music"], optimiser, training), data, np.arange(SEQUENCES)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Microseconds a frame by cell, contender and size."""
    times = table.pivot(index=["variant", "contender"], columns="hidden_size", values="microseconds")
    times = times.reindex(list(dict.fromkeys(zip(table["variant"], table["contender"], strict=True))))
    return times.rename(columns=lambda N: f"N = {N}").map("{:.2f}".format).reset_index()


def first_seconds(cells: Iterable[str], N: int = 100) -> pd.DataFrame:
    """What a cell costs before its first trial: a kernel is compiled once, JAX's step for each length of a sequence."""
    rows = []
    for cell in cells:
        variant = VARIANTS[cell]
        with TemporaryDirectory() as folder:
            started = time.perf_counter()
            compile_kernel(variant.equations, variant.trace, cell, Path(folder))
            ours = time.perf_counter() - started
        peer = Peer(cell, 1, FRAMES, M, N, K, 1, RATE)
        rows.append({"variant": cell, "kernel": ours, "JAX, each length": peer.first_seconds})
        peer.close()
    return pd.DataFrame(rows)


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """How many times as fast as the bare products and as each of JAX's contenders, by cell and size."""
    times = table.pivot(index=["variant", "hidden_size"], columns="contender", values="microseconds")
    rows = []
    for peer in (name for name in times if name == PRODUCTS or str(name).startswith("JAX")):
        ratio = (times[peer] / times["ablate"]).unstack()
        for cell in table["variant"].unique():
            rows.append({"variant": cell, "peer": peer, **{f"N = {N}": f"{ratio.loc[cell, N]:.2f}" for N in ratio}})
        others = ratio.drop(index="FGR", errors="ignore")
        mean = {f"N = {N}": f"{geometric_mean(others[N]):.2f}" for N in ratio}
        rows.append({"variant": "mean", "peer": peer, **mean})
    return pd.DataFrame(rows)
