"""One training step of a single layer on the JSB shape: 88 inputs, 60 frames."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure

from ablate.cell.backend import choose_backend
from ablate.definitions.variant import VARIANTS
from ablate.report.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, WIDTH, theme
from benchmarks.contenders import contenders, peers
from benchmarks.measure import geometric_mean, interleave, markdown, save

INPUTS, FRAMES = 88, 60
SIZES = (20, 50, 100, 200)
BATCHES = (1, 16)
COLOURS = {"kernel": BLACK, "BLAS floor": GREEN, "reference": BLUE, "framework": ORANGE, "torchrecurrent": PURPLE}


def run(out: Path, names: str, rounds: int) -> None:
    torch.manual_seed(0)
    table = measure(names, rounds)
    table.to_csv(out / "step.csv", index=False)
    for batch in BATCHES:
        sequences = "one sequence" if batch == 1 else f"{batch} sequences a batch"
        print(f"\nOne training step of one layer ({INPUTS} inputs, {FRAMES} frames, {sequences}): microseconds a frame")
        print("and sequence, in brackets how many times as fast as the reference; the geometric mean of these over the")
        print("sizes, and that over a peer; the time over that of the bare BLAS calls\n")
        print(markdown(summary(table.query("batch == @batch"))))
    save(plot(table), out / "step.png")


def measure(names: str, rounds: int) -> pd.DataFrame:
    """One row for each contender at each variant, size and batch."""
    tables = []
    for variant in VARIANTS.select(names.split(",")):
        backend, reason = choose_backend(variant.equations, variant.trace, variant.name, "auto")
        if backend == "reference":
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
    """Kernel times by variant and size, and their ratios to the reference, to a peer and to the bare BLAS calls."""
    rows = []
    for name in table["variant"].unique():
        times = table.query("variant == @name").pivot(index="hidden_size", columns="contender", values="microseconds")
        kernel = times["kernel"]
        ratio = times["reference"] / kernel
        row = {"variant": name, **{f"N = {n}": f"{kernel[n]:.2f} ({ratio[n]:.0f})" for n in times.index}}
        row["× reference"] = f"{geometric_mean(ratio):.0f}"
        row["× peer"] = ", ".join(
            f"{geometric_mean(times[contender] / kernel):.1f} ({peer})"
            for contender, peer in peers(str(name)).items()
            if contender in times
        )
        row["÷ BLAS, N = 100"] = f"{kernel[100] / times['BLAS floor'][100]:.2f}"
        rows.append(row)
    return pd.DataFrame(rows)


def plot(table: pd.DataFrame) -> Figure:
    """The time of a step over the hidden size, one panel a variant with a peer, and the ratios of all."""
    alone = table.query("batch == 1")
    known = list(alone["variant"].unique())
    chosen = [name for name in ("V", "NP", "GRU-lib") if name in known] or known[:1]
    with theme():
        figure, axes = plt.subplots(1, len(chosen), figsize=(WIDTH, 2.4), sharey=True, squeeze=False)
        for axis, name in zip(axes[0], chosen, strict=True):
            for contender, own in alone.query("variant == @name").groupby("contender", sort=False):
                middle = own["microseconds"]
                spread = [middle - own["first_quartile"], own["third_quartile"] - middle]
                colour = COLOURS[str(contender)]
                axis.errorbar(
                    own["hidden_size"], middle, spread, color=colour, marker="o", markersize=3, label=str(contender)
                )
            axis.set(title=name, xscale="log", yscale="log", xlabel="hidden size")
            axis.set_xticks(SIZES, [str(size) for size in SIZES])
            axis.minorticks_off()
        axes[0, 0].set_ylabel("microseconds a frame, batch 1")
        lines = {label: line for axis in axes[0] for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
        named = ["framework (torch.nn)" if label == "framework" else label for label in lines]
        figure.legend(lines.values(), named, loc="upper center", bbox_to_anchor=(0.5, -0.03), ncols=5, frameon=False)
    return figure
