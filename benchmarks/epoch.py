"""A whole epoch of the paper's protocol on the embedded chorales: one sequence at a time, with validation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure

from ablate.cache import default_cache_folder
from ablate.cell.backend import make_layer
from ablate.data.cache import open_dataset
from ablate.definitions.task import TASKS
from ablate.definitions.variant import VARIANTS
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.training_config import TrainingConfig
from ablate.report.style import theme
from ablate.training.network import Network
from ablate.training.noise import Noise
from ablate.training.optimiser import make_optimiser
from ablate.training.trainer import make_trainer
from benchmarks import plain
from benchmarks.measure import interleave, markdown, save

SIZES = (20, 50, 100, 200)
RATE, MOMENTUM, NOISE = 1e-3, 0.9, 0.3


def run(out: Path, rounds: int) -> None:
    torch.manual_seed(0)
    pieces = plain.load()
    tables = []
    for size in SIZES:
        contenders = {
            "V, kernel": _ablate("V", "cpu", size),
            "V, reference": _ablate("V", "reference", size),
            "NP, kernel": _ablate("NP", "cpu", size),
            "nn.LSTM in plain PyTorch": _plain(pieces, size),
        }
        tables.append(interleave(contenders, rounds, steps=1).assign(hidden_size=size))
    table = pd.concat(tables)
    table.to_csv(out / "epoch.csv", index=False)
    print("\nSeconds for an epoch of the embedded chorales, 211 sequences one at a time, with validation\n")
    print(markdown(summary(table)))
    save(plot(table), out / "epoch.png")


def _ablate(name: str, backend: str, size: int) -> Callable[[], object]:
    variant, task, training = VARIANTS[name], TASKS["music"], TrainingConfig()
    data = open_dataset(task, None, {}, default_cache_folder(), lambda what, done, total: None)
    layer = make_layer(variant.equations, variant.trace, name, backend)
    network = Network(variant, layer, data.input_size, size, data.output_size)
    streams = RandomStreams(0, TrialId(task.name, name, 0))
    network.initialise(streams, training, 100)
    settings: dict[str, float | int] = {"learning_rate": RATE, "momentum": MOMENTUM}
    optimiser = make_optimiser(network.parameters, settings, training)
    trainer, train = make_trainer(network, task, optimiser, training), data.splits["train"]

    def epoch() -> float:
        order = streams.generator("order", 1).permutation(len(train))
        trainer.train(train, order, Noise(streams.key("noise", 1), NOISE))
        return trainer.evaluate(data.splits["validation"])

    return epoch


def _plain(pieces: dict[str, plain.Pieces], size: int) -> Callable[[], object]:
    model, optimiser = plain.make(size, RATE, MOMENTUM)

    def epoch() -> float:
        plain.train_epoch(model, optimiser, pieces["train"], NOISE)
        return plain.evaluate(model, pieces["validation"])

    return epoch


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Seconds by contender and size, and how many times as fast the kernels are."""
    times = table.pivot(index="contender", columns="hidden_size", values="seconds").loc[table["contender"].unique()]
    rows = [{"contender": name, **{f"N = {n}": f"{own[n]:.3f}" for n in times}} for name, own in times.iterrows()]
    for kernel, peer in (("V, kernel", "V, reference"), ("NP, kernel", "nn.LSTM in plain PyTorch")):
        ratio = times.loc[peer] / times.loc[kernel]
        rows.append(
            {"contender": f"{kernel}: times as fast as {peer}", **{f"N = {n}": f"{ratio[n]:.1f}" for n in times}}
        )
    return pd.DataFrame(rows)


def plot(table: pd.DataFrame) -> Figure:
    with theme():
        figure, axis = plt.subplots(figsize=(3.5, 2.6))
        for contender, own in table.groupby("contender", sort=False):
            axis.plot(own["hidden_size"], own["seconds"], marker="o", markersize=3, label=contender)
        axis.set(xscale="log", yscale="log", xlabel="hidden size", ylabel="seconds an epoch")
        axis.set_xticks(SIZES, [str(size) for size in SIZES])
        axis.minorticks_off()
        figure.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False)
    return figure
