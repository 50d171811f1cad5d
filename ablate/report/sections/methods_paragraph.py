"""How the study was made, in sentences that a paper can take over, with this study's numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ablate.analysis.dataframes import records, unique, where
from ablate.analysis.verdicts import TESTED
from ablate.definitions.study_results import EQUIVALENCE_MARGIN, StudyResults, TaskMetadata
from ablate.plan.search_space import Choice, Entry, Range, parse_distribution
from ablate.report.citations import bibliography, in_latex, in_words
from ablate.report.formatting import duration, span
from ablate.report.registry import section

FEW = 12  # more names than these are counted, not listed

_SCALES = {"log": "log-uniformly", "linear": "uniformly", "one-minus-log": "such that one minus it is log-uniform"}
_SEARCHED = {
    "hidden_size": "the hidden size",
    "learning_rate": "the learning rate",
    "momentum": "the momentum",
    "input_noise": "the standard deviation of the noise on the inputs",
    "init_std": "the standard deviation of the initial weights",
    "forget_bias": "the bias of the forget gate",
    "gradient_clipping": "the limit of the gradient’s components",
    "gradient_norm": "the limit of the gradient’s norm",
    "layers": "the layers",
    "optimiser": "the optimiser",
}
_OPTIMISERS = {
    "sgd": "stochastic gradient descent with Nesterov momentum, the learning rate multiplied by one minus the momentum",
    "adam": "Adam",
    "adagrad": "Adagrad",
}
_CORRECTIONS = {
    "Holm": "the method of Holm [@holm1979] for up to ten comparisons",
    "Benjamini-Hochberg": "that of Benjamini and Hochberg [@benjamini1995] for more",
}


@section(
    "methods_paragraph",
    "Methods, for a paper",
    position=101,
    tables=("trial_counts", "comparisons", "across_tasks", "control_rates", "summary", "confirmation_trials"),
)
def methods_paragraph(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    counts = tables["trial_counts"]
    if not len(counts) or not counts[["completed", "diverged", "failed"]].to_numpy().sum():
        return None
    parts = (_what(results, tables), _training(results), _tests(results, tables), _means(results, tables))
    texts = [text for part in parts if (text := " ".join(" ".join(part).split()))]
    return {
        "words": [in_words(text) for text in texts],
        "latex": "\n\n".join(in_latex(text) for text in texts),
        "bibliography": bibliography(" ".join(texts)),
    }


def _what(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """Cells, tasks, search and trials."""
    others = [name for name in results.variant_order if name not in (results.reference, *results.controls)]
    tasks = _listed([_task(results.task(name)) for name in results.task_order])
    on = f"on {_counted(len(results.task_order), 'task')}: {tasks}"
    if others:
        named = f" ({', '.join(others)})" if len(others) <= FEW else ""
        yield f"We compared {_counted(len(others), 'recurrent cell')}{named} with {results.reference} {on}."
    else:
        yield f"We trained the recurrent cell {results.reference} {on}."
    search, trials = results.configuration.get("search"), results.expected_trials
    if isinstance(search, Mapping) and search:
        drawn = [
            f"{words} {_range(parse_distribution(name, search[name]))}"
            for name, words in _SEARCHED.items()
            if name in search
        ]
        sobol = results.configuration.get("draws") == "sobol"
        how = "by the points of a scrambled Sobol sequence" if sobol else "at random"
        yield f"Following an earlier study of LSTM variants [@greff2017lstm], hyperparameters were searched {how} "
        yield f"[@bergstra2012random], with {_counted(trials, 'trial')} of each cell and task: {_listed(drawn)}."
    if "paired" in results.configuration and others:
        if results.configuration["paired"]:
            yield "At one draw all cells shared the hyperparameters, the order of the data, the noise, and the initial "
            yield "values of the weights that they have in common."
        else:
            yield "Each cell had draws of its own."
    counts = [row for row in records(tables["trial_counts"]) if row["variant"] not in results.controls]
    sums = {state: sum(row[state] for row in counts) for state in ("completed", "diverged", "failed", "missing")}
    ended = sums["completed"] + sums["diverged"] + sums["failed"]
    told = f"Of {_counted(ended, 'trial')}, {sums['completed']:,} completed, {sums['diverged']:,} diverged"
    yield told + f" and {sums['failed']:,} failed" + f"; {sums['missing']:,} are missing" * bool(sums["missing"]) + "."


def _task(task: TaskMetadata) -> str:
    """Such as music (nats per frame; 211 training, 80 validation and 79 test sequences)."""
    splits = {"train": "training", "validation": "validation", "test": "test"}
    sizes = [f"{task.counts[split]:,} {word}" for split, word in splits.items() if split in task.counts]
    return f"{task.name} ({task.metric}{'; ' + _listed(sizes) + ' sequences' if sizes else ''})"


def _range(entry: Entry) -> str:
    if isinstance(entry, Choice):
        return f"as {entry}"
    if not isinstance(entry, Range):
        return f"fixed at {entry:g}"
    low, high = (1 - entry.high, 1 - entry.low) if entry.scale == "one-minus-log" else (entry.low, entry.high)
    return f"from {low:g} to {high:g}, {_SCALES[entry.scale]}"


def _training(results: StudyResults) -> Iterator[str]:
    training = results.configuration.get("training")
    if not isinstance(training, Mapping) or not training:
        return
    epochs, patience, batch = (training.get(name) for name in ("epochs", "patience", "batch_size"))
    optimiser = str(training.get("optimiser", "sgd"))
    size = {1: "one sequence an update", None: ""}.get(batch, f"{batch} sequences an update")
    text = f"Networks of {_counted(int(training.get('layers', 1)), 'layer')} were trained by "
    text += _OPTIMISERS.get(optimiser, optimiser) + f", {size}" * bool(size)
    if epochs:
        text += f", for at most {_counted(epochs, 'epoch')}"
        if patience and patience < epochs:
            text += f", or until {_counted(patience, 'epoch')} had brought no better validation score"
    yield text + "."
    own = ", unless a cell prescribes others" if any(variant.initial for variant in results.variants) else ""
    own = ", or were as the paper of each cell says" if training.get("initialisation") == "native" else own
    drawn = results.configuration.get("search", {})
    said = [f"initial weights came from N(0, {training['init_std']}²){own}"] if "init_std" in training else []
    said = ["the spread of the initial weights was drawn"] if "init_std" in drawn else said
    for name, words in (("forget_bias", "forget gates were given a bias of"), ("tbptt_steps", "gradients ran through")):
        said += [f"{words} {training[name]}" + " frames" * (name == "tbptt_steps")] if training.get(name) else []
    said += [f"gradients were clipped at {training['gradient_clipping']}"] if training.get("gradient_clipping") else []
    said += [f"gradients were scaled to a norm of {training['gradient_norm']}"] if training.get("gradient_norm") else []
    if said:
        text = _listed(said)
        yield text[0].upper() + text[1:] + "."
    for task in (results.task(name) for name in results.task_order):
        if own := [_own_setting(name, value) for name, value in task.settings.items() if name in training]:
            yield f"On {task.name}, training differed: {_listed(own)}."
    yield "The epoch with the best validation score was scored once on the test set, which chose nothing."


def _own_setting(name: str, value: Any) -> str:
    counted = {
        "epochs": "epoch",
        "patience": "epoch",
        "layers": "layer",
        "batch_size": "sequence",
        "tbptt_steps": "frame",
    }
    words = {
        "epochs": "at most {}",
        "patience": "a patience of {}",
        "layers": "{}",
        "batch_size": "{} an update",
        "tbptt_steps": "gradients through {}",
        "init_std": "initial weights of standard deviation {}",
        "gradient_clipping": "gradients clipped at {}",
        "forget_bias": "a forget bias of {}",
        "gradient_norm": "gradients scaled down to a norm of {}",
        "optimiser": "the optimiser {}",
        "initialisation": "the initialisation {}",
    }
    said = words.get(name, f"{name} {{}}")  # of an older version
    return said.format(_counted(int(value), counted[name]) if name in counted else value)


def _tests(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    rows, reference = [row for row in records(tables["comparisons"]) if row["verdict"] in TESTED], results.reference
    if not rows:
        return
    table = pd.DataFrame(rows)
    if any(task.baseline is not None for task in results.tasks):
        yield "A score worse than the baseline’s counted as the baseline’s, and so did a trial that diverged."
    everything, best, confirmed = (where(table, set=name) for name in ("all", "best", "confirmed"))
    if (paired := where(everything, design="paired")).shape[0]:
        yield f"Over all trials, differences from {reference} at the same draw ({_span(paired)} pairs) were tested by "
        yield "sign flips."
    if (independent := where(everything, design="independent")).shape[0]:
        yield f"All trials of a cell ({_span(independent)}) were compared with those of {reference} by Welch’s test "
        yield "[@welch1947]."
    if len(best):
        yield f"The tenth that validation chose ({_span(best)} trials) was compared by a t-test for order statistics."
    if len(confirmed):
        names = unique(where(confirmed, role="variant"), "variant")
        yield f"The best setting by validation of {_counted(len(names), 'cell')} was trained {_span(confirmed)} times "
        yield f"anew, that of {reference} {_span(confirmed, 'n_reference')} times, and compared by Welch’s test "
        yield "[@welch1947]."
    if len(tables["across_tasks"]):
        yield "Tasks were taken together by signed ranks [@wilcoxon1945] of differences in standard deviations of "
        yield f"{reference}’s scores."
    used = {str(name) for each in (table, tables["across_tasks"]) for name in each["correction"]}
    named = [words for name, words in _CORRECTIONS.items() if name in used]
    families = "each task and set of trials" + " and across tasks" * bool(len(tables["across_tasks"]))
    yield f"Tests were two-sided at the 5 % level, corrected within {families} by {' and by '.join(named)}."
    if any(row["p_equivalent"] == row["p_equivalent"] for row in rows):
        share = float(results.configuration.get("equivalence_margin", EQUIVALENCE_MARGIN))
        yield f"Equivalence, within {100 * share:g} % of the way from the baseline to a perfect score, was tested by "
        yield "two one-sided tests [@schuirmann1987]."
    if controls := [row for row in records(tables["control_rates"]) if row["kind"] == "control"]:
        wrong, total = (sum(row[name] for row in controls) for name in ("different", "comparisons"))
        copies = _counted(len(results.controls), "replicate")
        yield f"At every draw {copies} of {reference} served as negative control{'s' * (len(results.controls) > 1)}; "
        yield f"{wrong} of {_counted(total, 'comparison')} with {reference} came out different."


def _means(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """Software, machine, seed and time."""
    made = results.environment
    names = {"torch": "PyTorch", "numpy": "NumPy", "scipy": "SciPy", "numba": "Numba"}
    software = [f"{names.get(name, name)} {made[name]}" for name in ("Python", *names) if name in made]
    if "ablate" in made:
        seed = f", from the seed {results.configuration['seed']}" if "seed" in results.configuration else ""
        yield (
            f"The study was made with ablate {made['ablate']}"
            + f" ({', '.join(software)})" * bool(software)
            + seed
            + "."
        )
    times = {"summary": "total_seconds", "confirmation_trials": "seconds"}
    every = [row[column] for name, column in times.items() for row in records(tables[name])]
    seconds = sum(each for each in every if not math.isnan(each))
    several = results.processors if len(results.processors) > 1 else {}
    machine = " or ".join(several) or made.get("machine", "")  # the last command's, with its cores and system
    where = f" ({machine})" if machine else ""
    yield f"Its trials took {duration(seconds)} of computing, each on one core{where}."


def _span(rows: pd.DataFrame, column: str = "n") -> str:
    return span([int(n) for n in rows[column]])


def _counted(number: int, thing: str) -> str:
    """One task, 3 tasks."""
    return f"one {thing}" if number == 1 else f"{number:,} {thing}s"


def _listed(parts: list[str]) -> str:
    """A, b and c; with semicolons where the parts have commas."""
    if len(parts) < 2:
        return "".join(parts)
    comma = ";" if any("," in part or ";" in part for part in parts) else ","
    return f"{f'{comma} '.join(parts[:-1])}{comma if comma == ';' else ''} and {parts[-1]}"
