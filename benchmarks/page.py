"""The benchmarks as a part of docs/benchmarks.md, made from their CSV files."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from benchmarks import epoch, step, training, trial
from benchmarks.measure import geometric_mean, markdown

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"

MEASURED = ("step", "training", "trial", "epoch", "sweep")

# The columns of the CSV files.
COLUMNS = {
    "variant": "the cell",
    "task": "the task",
    "before": "processor seconds of a trial before the compiled passes",
    "after": "the same with them, taken in turns",
    "batch": "sequences in a step",
    "hidden_size": "units of the layer",
    "contender": "what was timed: `kernel` and `reference` are ablate's backends, `BLAS floor` the bare products, "
    "`framework` the module of torch.nn that computes the same, `torchrecurrent` that of the package; JAX is jit of "
    "lax.scan with its gradient and Nesterov's update, alone or 16 trials at once by vmap",
    "microseconds": "median time of a step, for each frame and sequence",
    "seconds": "median time of an epoch or a trial; of a sweep, its wall time",
    "first_quartile": "of the times, in the unit of the median",
    "third_quartile": "of the times, in the unit of the median",
    "kernel": "seconds until a kernel is compiled and has agreed with the reference",
    "JAX, each length": "seconds until the first step has ended",
    "trials_an_hour": "trials that ended in an hour of wall time, from the start of the command to its report",
}


def write(results: Path) -> None:
    """Write the part of the page that is made from the results."""
    old = PAGE.read_text(encoding="utf-8")
    marks = re.compile(r"(<!-- generated: speed -->\n).*?(<!-- /generated -->)", re.DOTALL)
    PAGE.write_text(marks.sub(lambda match: f"{match[1]}{text(results)}\n{match[2]}", old), encoding="utf-8")


def text(results: Path) -> str:
    """The tables of the CSV files, with the machines that they were taken on."""
    tables = {name: pd.read_csv(results / f"{name}.csv") for name in (*MEASURED, "training_first")}
    machines: dict[str, list[str]] = {}
    for name in MEASURED:
        machine = (results / f"{name}.machine.txt").read_text(encoding="utf-8").strip()
        machines.setdefault(machine, []).append(name)
    several = len(machines) > 1
    measured = [
        f"Measured on{' (' + ', '.join(which) + ')' if several else ''}: {name}." for name, which in machines.items()
    ]
    steps, sweeps = tables["step"], tables["sweep"].round({"seconds": 1, "trials_an_hour": 0})
    used = {name: [file for file, table in tables.items() if name in table] for name in COLUMNS}
    columns = pd.DataFrame(
        {
            "column": [f"`{name}`" for name in COLUMNS],
            "in": [", ".join(f"{file}.csv" for file in files) for files in used.values()],
            "meaning": COLUMNS.values(),
        }
    )
    parts = [
        *measured,
        "### A training step",
        markdown(step.summary(steps.query("batch == 1"))),
        *_in_batches(steps),
        "### A whole training step, beside JAX",
        "Microseconds a frame: noise, cell, output layer, loss, gradients and update.",
        markdown(training.summary(tables["training"])),
        "How many times as fast, without noise, as the bare products by the BLAS and as JAX; the mean is geometric, "
        "over the cells but FGR.",
        markdown(training.ratios(tables["training"])),
        "Seconds that a cell takes before its first trial with 100 units: a kernel is compiled once a machine, "
        "JAX's step in each process for each length of a sequence.",
        markdown(tables["training_first"].round(1)),
        "### A trial",
        markdown(trial.summary(tables["trial"])),
        "### An epoch",
        markdown(epoch.summary(tables["epoch"])),
        "### A whole sweep",
        markdown(sweeps.astype({"trials_an_hour": int})),
        "### Columns of the CSV files",
        markdown(columns),
    ]
    return "\n\n".join(parts)


def headline(results: Path) -> dict[str, str]:
    """The figures that the README gives: geometric means over the cells, and over the sizes for a bare layer."""
    steps = pd.read_csv(results / "step.csv").query("batch == 1")
    ratios = training.ratios(pd.read_csv(results / "training.csv")).query("variant == 'mean'").set_index("peer")
    *most, last = (f"{float(ratio):.1f}" for name, ratio in ratios.loc["JAX"].items() if str(name).startswith("N ="))
    np_steps = steps.query("variant == 'NP'")
    return {
        "JAX": f"{', '.join(most)} and {last}",
        "reference": f"{geometric_mean(list(_speed_up(steps, 'reference').values())):.0f}",
        "nn.LSTM": f"{geometric_mean(list(_speed_up(np_steps, 'framework').values())):.1f}",
    }


def _speed_up(steps: pd.DataFrame, contender: str) -> dict[tuple[str, int], float]:
    """How many times as fast as a contender the kernel is, by variant and size."""
    times = steps.pivot(index=["variant", "hidden_size"], columns="contender", values="microseconds")
    return dict(zip(times.index, times[contender] / times["kernel"], strict=True))


def _in_batches(steps: pd.DataFrame) -> list[str]:
    batches = steps.query("variant == 'NP' and batch == 16")
    if batches.empty:
        return []
    ratios = _speed_up(batches, "framework")
    sizes, numbers = ", ".join(str(size) for _, size in ratios), ", ".join(f"{ratio:.1f}" for ratio in ratios.values())
    return [f"At 16 sequences a batch NP is {numbers} times as fast as nn.LSTM at N = {sizes}."]
