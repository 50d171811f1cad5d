"""One training step of a single layer on the JSB shape: 88 inputs, 60 frames."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch

from ablate.cell.engine import choose_engine
from ablate.report.style import theme
from benchmarks.contenders import contenders
from benchmarks.measure import geometric_mean, interleave, markdown
from variants import VARIANTS

INPUTS, FRAMES = 88, 60
SIZES = (20, 50, 100, 200)
BATCHES = (1, 16)


def run(out: Path, names: str, rounds: int) -> None:
    torch.manual_seed(0)
    table = measure(names, rounds)
    table.to_csv(out / "step.csv", index=False)
    for batch in BATCHES:
        print(f"\nMicroseconds a frame and sequence for one training step, batch {batch}; in brackets: times as fast")
        print("as the reference\n")
        print(markdown(summary(table.query("batch == @batch"))))
    print(f"\nTimes as fast as the peers, geometric mean over N = {', '.join(map(str, SIZES))}\n")
    print(markdown(ratios(table)))
    draw(table, out / "step.png")


def measure(names: str, rounds: int) -> pd.DataFrame:
    """One row for each contender at each variant, size and batch."""
    tables = []
    for variant in VARIANTS.select(names.split(",")):
        engine, reason = choose_engine(variant.trace, variant.name, "auto")
        if engine == "reference":
            print(reason)
            continue
        for batch in BATCHES:
            for size in SIZES:
                steps = contenders(variant, FRAMES, batch, INPUTS, size)
                for step in steps.values():
                    step()  # what is compiled or set up at first use
                table = interleave(steps, rounds)
                for column in ("seconds", "first_quartile", "third_quartile"):
                    table[column] *= 1e6 / (FRAMES * batch)
                tables.append(
                    table.rename(columns={"seconds": "microseconds"}).assign(
                        variant=variant.name, batch=batch, hidden_size=size
                    )
                )
        print(f"measured {variant.name}", flush=True)
    order = ["variant", "batch", "hidden_size", "contender", "microseconds", "first_quartile", "third_quartile"]
    return pd.concat(tables).reindex(columns=order)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Kernel times with the ratio to the reference, by variant and size."""
    times = table.pivot(index=["variant", "hidden_size"], columns="contender", values="microseconds")
    rows = []
    for name in table["variant"].unique():
        own = times.xs(name)
        ratio = own["reference"] / own["kernel"]
        cells = {f"N = {size}": f"{own['kernel'][size]:.2f} ({ratio[size]:.0f})" for size in own.index}
        rows.append({"variant": name, **cells, "mean ratio": f"{geometric_mean(ratio):.1f}"})
    return pd.DataFrame(rows)


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """How many times as fast the kernels are as what computes the same; and their time over that of the bare BLAS."""
    rows = []
    for batch in BATCHES:
        for name in table["variant"].unique():
            own = table.query("batch == @batch and variant == @name")
            times = own.pivot(index="hidden_size", columns="contender", values="microseconds")
            row = {"batch": batch, "variant": name}
            for peer in ("framework", "torchrecurrent"):
                row[peer] = f"{geometric_mean(times[peer] / times['kernel']):.1f}" if peer in times else ""
            over_floor = times["kernel"] / times["BLAS floor"]
            row["time over BLAS floor, N = 100"] = f"{over_floor[100]:.2f}"
            rows.append(row)
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, file: Path) -> None:
    """The time of a step over the hidden size, one panel a variant with a peer, and the ratios of all."""
    alone = table.query("batch == 1")
    known = list(alone["variant"].unique())
    chosen = [name for name in ("V", "NP", "GRU-lib") if name in known] or known[:1]
    with theme():
        figure, axes = plt.subplots(1, len(chosen), figsize=(3.2 * len(chosen), 3.2), sharey=True, squeeze=False)
        for axis, name in zip(axes[0], chosen, strict=True):
            for contender, own in alone.query("variant == @name").groupby("contender", sort=False):
                middle = own["microseconds"]
                spread = [middle - own["first_quartile"], own["third_quartile"] - middle]
                axis.errorbar(own["hidden_size"], middle, spread, marker="o", markersize=3, label=contender)
            axis.set(title=name, xscale="log", yscale="log", xlabel="hidden size")
            axis.set_xticks(SIZES, [str(size) for size in SIZES])
            axis.minorticks_off()
            axis.legend(fontsize=7)
        axes[0, 0].set_ylabel("microseconds a frame")
        figure.savefig(file, dpi=200, bbox_inches="tight")
        plt.close(figure)
