"""A whole trial of V on each task of the default command, at its settings: 50 units, every epoch run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ablate.cell.backend import make_layer
from ablate.cell.cpu.layer import CompiledLayer
from ablate.data.load import task_data
from ablate.definitions.dataset import Dataset
from ablate.definitions.variant import VARIANTS
from ablate.plan.config_file import load_config
from ablate.plan.search_space import Value
from ablate.plan.study_plan import StudyPlan, TaskConfig, make_plan
from ablate.training import trial
from ablate.training.framework_trainer import FrameworkTrainer
from ablate.training.trainer import make_trainer
from benchmarks.measure import interleave, markdown

VARIANT, UNITS = "V", 50
COMPILED, FRAMEWORK, REFERENCE = "compiled passes", "the framework's operations around the kernel", "plain PyTorch"
KERNEL = "the kernel alone"
# Processor seconds of four epochs before the compiled passes (commit aff1348) and with them, taken in turns on one
# machine (two cores of an AMD EPYC, shared), 50 units; medians of three.
BEFORE = Path(__file__).parent / "results" / "trial_before.csv"


def run(out: Path, rounds: int) -> None:
    table = measure(rounds)
    table.to_csv(out / "trial.csv", index=False)
    print(f"\nSeconds of a trial of {VARIANT} with {UNITS} units at the settings of the default command\n")
    print(markdown(summary(table)))


def measure(rounds: int) -> pd.DataFrame:
    """One row for each contender and task."""
    plan, tables = make_plan(load_config(None, {"variants": (VARIANT,)})), []
    for task in plan.tasks:
        data = task_data(plan, task, lambda what, done, total: None)
        config = plan.task_config(task)
        config = replace(config, training=replace(config.training, patience=config.training.epochs))
        contenders = {
            COMPILED: _trial(plan, config, data, "cpu", make_trainer),
            FRAMEWORK: _trial(plan, config, data, "cpu", _framework_trainer),
            KERNEL: _kernel(config, data),
        }
        few = {REFERENCE: _trial(plan, config, data, "reference", make_trainer)}
        times = [interleave(contenders, rounds, steps=1), interleave(few, 1, steps=1)]
        tables.append(pd.concat(times).assign(task=task.name))
        print(f"measured {task.name}", flush=True)
    return pd.concat(tables)


def _trial(plan: StudyPlan, config: TaskConfig, data: Dataset, backend: str, make: Callable[..., Any]) -> Any:
    variant = VARIANTS[VARIANT]
    layer = make_layer(variant.equations, variant.trace, variant.name, backend)
    own = next(each for each in plan.trials() if each.task == config.task.name)
    settings: dict[str, Value] = {
        "hidden_size": UNITS,
        "learning_rate": 1e-6,  # so small that the work stays as it is
        "momentum": 0.9,
        "input_noise": 0.3,
    }

    def train() -> None:
        before, trial.make_trainer = trial.make_trainer, make
        try:
            trial.run_trial(config, data, variant, layer, plan.streams(own), settings)
        finally:
            trial.make_trainer = before

    return train


def _framework_trainer(network: Any, task: Any, optimiser: Any, training: Any) -> FrameworkTrainer:
    return FrameworkTrainer(network, task, optimiser, training.batch_size, training.tbptt_steps)


def _kernel(config: TaskConfig, data: Dataset) -> Callable[[], None]:
    """The time loops alone, forward and back over each training sequence, called from Python: some 5 us a call."""
    variant = VARIANTS[VARIANT]
    layer = make_layer(variant.equations, variant.trace, variant.name, "cpu")
    assert isinstance(layer, CompiledLayer)
    kernel, N = layer.kernel, UNITS
    program = kernel.program
    maps, states, vectors = len(program.trace.maps), len(program.trace.states), len(program.trace.vectors)
    lengths = [int(length) for length in data.splits["train"].lengths]
    generator = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return (0.1 * generator.standard_normal(shape)).astype(np.float32)

    columns = {stack.key: len(stack.weights) for stack in program.trace.stacks if stack.maps}
    arrays = [draw(N, columns[key] * N) if key in columns else draw(N) for key in kernel.weights]
    weights, directions = kernel.weights_argument(arrays), 2 if config.bidirectional else 1
    passes = {}
    for T in set(lengths):
        forward = draw(T, 1, maps * N), draw(states, T + 1, 1, N), draw(len(program.saved_for_backward), T, 1, N)
        passes[T] = forward, (draw(T, 1, maps * N), draw(vectors, N), draw(states, 1, N), draw(T, 1, N))

    def run() -> None:
        for _ in range(config.training.epochs * directions):
            for T in lengths:
                forward, backward = passes[T]
                forward[0][:] = 0.1  # else the values would grow
                kernel.forward(*forward, weights)
                kernel.backward(*backward, *forward, weights)

    return run


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Seconds by task, how many times as fast, and the kernel's share."""
    times = table.pivot(index="task", columns="contender", values="seconds")
    before = pd.read_csv(BEFORE).set_index("task") if BEFORE.exists() else pd.DataFrame(columns=["before", "after"])
    rows = []
    for task, own in times.iterrows():
        ours, kept = own[COMPILED], before.loc[task] if task in before.index else {"before": math.nan, "after": 1.0}
        rows.append(
            {
                "task": task,
                "seconds": f"{ours:.2f}",
                "in the kernel": f"{own[KERNEL] / ours:.0%}",
                "× the version before": f"{kept['before'] / kept['after']:.1f}",
                f"× {FRAMEWORK}": f"{own[FRAMEWORK] / ours:.1f}",
                f"× {REFERENCE}": f"{own[REFERENCE] / ours:.0f}",
            }
        )
    return pd.DataFrame(rows)
