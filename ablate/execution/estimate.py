"""How long a study would take, from a short measurement on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ablate.data.load import task_data
from ablate.definitions.dataset import Dataset, Sequences
from ablate.definitions.task import Task
from ablate.definitions.variant import VARIANTS, Variant
from ablate.errors import UserError
from ablate.execution.processes import configure_torch, process_pool, processes_start
from ablate.plan.config import Config
from ablate.plan.confirmation import most_confirmation_trials
from ablate.plan.random_streams import TrialId
from ablate.plan.study_plan import StudyPlan, make_plan

MEASURED_VARIANT = "V"
FRAMES = 2_000  # of the training data, and of the validation data, that are timed
TRIALS = 2_000  # at most so many are looked at; they stand for all

LOOKED_AT = 50  # indices that stand for all where their number follows from the time

UNCOMPILED = 30  # what PyTorch takes step by step, in kernels; as measured, from 10 to 100

Costs = list[tuple[int, float]]  # hidden size, seconds of a trial in which all epochs are run


def estimate_seconds(plan: StudyPlan) -> tuple[float, dict[str, Costs]]:
    """Seconds that one core would take for the plan if no trial stopped early, and what that was measured from.

    One variant is timed on each task at a few of the hidden sizes that are drawn; between them the time is
    interpolated, and other variants take it in proportion to the arithmetic of a step. It is measured in a process of
    its own, so that this one need not import the framework.

    Raises:
        UserError: the data cannot be read, or the process died.
    """
    sizes, costs = _measured(plan)
    return total_seconds(plan, sizes, costs), costs


def estimate_indices(plan: StudyPlan) -> int:
    """How many indices, of all tasks and variants, the hours of a plan allow beside its confirmation.

    Raises:
        UserError: as `estimate_seconds`.
    """
    config = replace(plan.config, trials=LOOKED_AT)
    plan = replace(plan, config=config)
    sizes, costs = _measured(plan)
    search = total_seconds(replace(plan, config=replace(config, confirm=0)), sizes, costs)
    confirmation = total_seconds(plan, sizes, costs) - search
    left = 3600 * config.hours * config.workers - confirmation
    return max(0, int(left / (search / LOOKED_AT)))


def _measured(plan: StudyPlan) -> tuple[dict[str, int], dict[str, Costs]]:
    try:
        with process_pool(1) as pool:
            with processes_start():
                measured = pool.submit(_measure, plan.config)
            return measured.result()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"the time cannot be measured: {type(error).__name__}: {error}") from None


def total_seconds(plan: StudyPlan, sizes: dict[str, int], costs: dict[str, Costs]) -> float:
    """Seconds of one core for the whole plan, its controls and as much as its confirmation can come to.

    Args:
        sizes: the size of the input, by task.
        costs: what was measured of V, by task, from the smallest hidden size to the largest.
    """

    def seconds(trial: TrialId, drawn: int) -> float:
        known, M, N = costs[trial.task], sizes[trial.task], plan.hidden_size(trial, drawn)
        logarithm = np.interp(
            math.log(drawn), [math.log(size) for size, _ in known], [math.log(cost) for _, cost in known]
        )
        operations = _operations(VARIANTS[trial.variant], M, N) / _operations(VARIANTS[MEASURED_VARIANT], M, drawn)
        return math.exp(logarithm) * operations

    trials = plan.trials()
    looked_at = _sample_of(trials)
    search = sum(seconds(trial, int(plan.drawn(trial)["hidden_size"])) for trial in looked_at)
    # Which settings will be the best is not known; they are often large, so the largest stands for them.
    confirmation = sum(seconds(trial, costs[trial.task][-1][0]) for trial in most_confirmation_trials(plan))
    return search * len(trials) / len(looked_at) + confirmation


def _sample_of(trials: list[TrialId]) -> list[TrialId]:
    if len(trials) <= TRIALS:
        return trials
    return [trials[k] for k in np.random.default_rng(0).choice(len(trials), TRIALS, replace=False)]


def _operations(variant: Variant, M: int, N: int) -> int:
    return sum(variant.trace.operations(M, N)) * (1 if variant.trace.compiles else UNCOMPILED)


def _measure(config: Config) -> tuple[dict[str, int], dict[str, Costs]]:
    """For each task the size of its input, and the cost of a trial at the smallest, middle and largest hidden size."""
    configure_torch()
    plan = make_plan(config)
    sizes, costs = {}, {}
    for task in plan.tasks:
        data = task_data(plan, task, lambda what, done, total: None)
        trials = _sample_of([trial for trial in plan.trials() if trial.task == task.name])
        drawn = [int(plan.drawn(trial)["hidden_size"]) for trial in trials]
        chosen = {min(drawn), round(math.sqrt(min(drawn) * max(drawn))), max(drawn)}
        sizes[task.name] = data.input_size
        costs[task.name] = [(N, _trial_seconds(plan, task, data, N)) for N in sorted(chosen)]
    return sizes, costs


def _trial_seconds(plan: StudyPlan, task: Task, data: Dataset, N: int) -> float:
    from ablate.cell.backend import choose_backend, make_layer
    from ablate.training.noise import Noise
    from ablate.training.optimiser import make_optimiser
    from ablate.training.trainer import make_trainer
    from ablate.training.trial import make_network

    task_config, variant, trial = plan.task_config(task), VARIANTS[MEASURED_VARIANT], plan.trials()[0]
    backend, _ = choose_backend(variant.equations, variant.trace, variant.name, plan.config.backend)
    layer = make_layer(variant.equations, variant.trace, variant.name, backend)
    hyperparameters = {**plan.drawn(trial), "hidden_size": N, "learning_rate": 1e-6}
    task_config = replace(task_config, training=task_config.training.with_drawn(hyperparameters))
    network = make_network(task_config, data, variant, layer, hyperparameters)
    network.initialise(plan.streams(trial), task_config.training, int(data.splits["train"].lengths.max()))
    optimiser = make_optimiser(network.parameters, hyperparameters, task_config.training)
    few = {split: _first_sequences(sequences) for split, sequences in data.splits.items()}
    trainer = make_trainer(network, task, optimiser, task_config.training)

    def train() -> None:
        noise = Noise(np.zeros(2, np.uint32), float(hyperparameters["input_noise"]))
        trainer.train(few["train"], np.arange(len(few["train"])), noise)

    def loss_and_errors() -> None:
        trainer.evaluate(few["validation"])

    share = {split: data.splits[split].lengths.sum() / few[split].lengths.sum() for split in few}
    test = data.splits["test"].lengths.sum() / few["validation"].lengths.sum()
    training, judging = _seconds(train), _seconds(loss_and_errors)
    epoch = training * share["train"] + judging * share["validation"]
    return float(task_config.training.epochs * epoch + judging * test)


def _first_sequences(sequences: Sequences) -> Sequences:
    """The first sequences, up to FRAMES frames, but at least one."""
    count = max(1, int(np.searchsorted(np.cumsum(sequences.lengths), FRAMES, side="right")))
    return sequences.first(count)


def _seconds(run: Callable[[], None]) -> float:
    times = []
    for _ in range(3):  # the first makes room and warms caches
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times[1:])
