"""The answer in a few lines: which parts of the reference matter, which other cells differ, and how sure that is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from ablate.analysis.dataframes import records, unique, where
from ablate.analysis.verdicts import BETTER, OPPOSITE, SAME, TESTED, VARIANT, WORSE
from ablate.definitions.study_results import StudyResults
from ablate.report.formatting import number, places, signed, span
from ablate.report.marks import range_marks

MANY = 12  # more names than these are counted
MANY_LINES = 8  # more groups of parts than these: the rest stands in the table
_TUNED = {"best": "the tenth that validation chose", "confirmed": "best settings trained anew"}


class Line(NamedTuple):
    """A statement, and the numbers that it rests on."""

    lead: str
    text: str


class _Part(NamedTuple):
    """A variant that changes one thing about the reference, with its comparison on each task by the task's name."""

    variant: str
    removed: str  # such as "forget gate"; "" where nothing is removed
    change: str  # such as "full gate recurrence"
    rows: dict[str, dict[str, Any]]

    def tasks(self, verdict: str) -> tuple[str, ...]:
        return tuple(task for task, row in self.rows.items() if row["verdict"] == verdict)

    @property
    def equal(self) -> bool:
        """Whether it is shown to be within the margin on every task."""
        return all(row["equivalent"] for row in self.rows.values())


def answer(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[Line]:
    """The lines, the most telling first; none where nothing was tested."""
    return [
        *_parts_of_the_reference(results, tables),
        *_other_cells(results, tables),
        *_tuned(tables),
        *_turned_by_tuning(tables),
        *_diverged(results, tables),
        *_nothing_learned(results, tables),
        *_cut_short(tables),
    ]


def _parts_of_the_reference(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[Line]:
    """A line for each group of changes that have the same verdicts on the same tasks."""
    parts = [part for part in _parts(results, tables) if any(row["verdict"] in TESTED for row in part.rows.values())]
    groups: dict[tuple[Any, ...], list[_Part]] = {}
    for part in parts:
        verdicts = part.tasks(WORSE), part.tasks(BETTER)
        groups.setdefault((*verdicts, bool(part.removed), part.equal), []).append(part)
    tasks = list(dict.fromkeys(where(tables["comparisons"], set="all")["task"]))
    marks = range_marks(tables)
    told, untold = [], []
    for (worse, better, removed, equal), members in groups.items():
        if worse or better or equal:
            rank = (not worse, bool(better), equal, -len(worse) - len(better), not removed)
            told.append((rank, _line(results, tasks, worse, better, members, marks)))
        else:
            untold += members
    lines = [line for _, line in sorted(told, key=lambda each: each[0])]
    lines, more = lines[:MANY_LINES], lines[MANY_LINES:]
    if more:
        one = len(more) == 1
        further = f"{len(more)} further {'group' if one else 'groups'} of parts"
        lines.append(Line(further, f"{'differs' if one else 'differ'} too; the table of comparisons has all."))
    if untold:
        names = [f"{part.change} ({part.variant})" for part in untold]
        lines.append(Line("Not told, neither different nor equal", f"{_some(names)}."))
    return lines


def _parts(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[_Part]:
    rows = records(where(tables["comparisons"], set="all", role=VARIANT))
    found = []
    for variant in results.variants:
        mine = {row["task"]: row for row in rows if row["variant"] == variant.name}
        if variant.parent == results.reference and mine:
            change = variant.summary.partition(":")[0] or variant.name
            # Of "no peepholes, no input gate" the last is what the parent has.
            removal = re.fullmatch(r"(?:no .+, )?no ([^,]+)", change)
            found.append(_Part(variant.name, removal[1] if removal else "", change, mine))
    return found


def _line(
    results: StudyResults,
    tasks: Sequence[str],
    worse: tuple[str, ...],
    better: tuple[str, ...],
    members: list[_Part],
    marks: Mapping[tuple[str, str], str],
) -> Line:
    """What changes with the same verdicts have in common, and their numbers."""
    shown = (*worse, *better) or tuple(members[0].rows)
    members = sorted(members, key=lambda part: -abs(part.rows[shown[0]]["difference"]))
    removed, alone = bool(members[0].removed), len(members) == 1
    names = [_article(part.removed) if removed else f"{part.change} ({part.variant})" for part in members]
    subject = joined(names)[0].upper() + joined(names)[1:]
    one = alone and not members[0].removed.endswith("s")  # of which the verb is in the singular
    verdicts = [word for word, where_ in ((WORSE, worse), (BETTER, better)) if where_]
    if not verdicts:
        lead = f"{subject} do{'es' if one else ''} not matter" if removed else "No matter"
        named = joined([part.variant for part in members])
        return Line(lead, f"{named} {'is' if alone else 'are'} shown to be within the margin {_on(shown, tasks)}.")
    if not removed:
        what = ", ".join(f"{word} {_on(here, tasks)}" for word, here in ((WORSE, worse), (BETTER, better)) if here)
        lead = f"{subject} is {what}" if alone else what[0].upper() + what[1:]
    elif worse and better:
        lead = f"{subject} depend{'s' if one else ''} on the task"
    elif worse:
        lead = f"{subject} matter{'s' if one else ''} {_on(worse, tasks)}"
    else:
        lead = f"{subject} {'is' if one else 'are'} not needed {_on(better, tasks)}"
    effects = [_effects(results, part, shown, marks, told=len(verdicts) > 1) for part in members]
    if alone:
        word = "" if len(verdicts) > 1 else f"{verdicts[0]} "
        without = f"without {'it' if one else 'them'} ({members[0].variant}) the score is {word}" if removed else ""
        return Line(lead, f"{without}{effects[0]}.")
    without = f"without them the score is {' or '.join(verdicts)}: " if removed else ""
    labels = [part.variant for part in members] if removed else names
    said = [f"{label} {effect}" for label, effect in zip(labels, effects, strict=True)]
    return Line(lead, f"{without}{_some(said, '; ')}.")


def _effects(
    results: StudyResults, part: _Part, shown: Sequence[str], marks: Mapping[tuple[str, str], str], told: bool
) -> str:
    """Such as `worse by 0.69 [0.32 to 1.07] on music, and better by 2.9 [1.7 to 4.2] on speech`.

    Args:
        told: whether the verdicts are, since they differ.
    """
    said, last = [], ""
    for task in shown:
        row = part.rows[task]
        verdict = f"{row['verdict']} " if told and row["verdict"] != last else ""
        on = f" on {task}" if len(shown) > 1 else ""
        said.append(f"{verdict}{_by(row, results.sign(task))}{marks.get((task, part.variant), '')}{on}")
        last = row["verdict"]
    return joined(said)


def _by(row: Mapping[str, Any], sign: float) -> str:
    """Such as `by 0.69 [0.32 to 1.07]`, in the direction of the verdict whatever that of the task."""
    turn = sign if row["verdict"] == WORSE else -sign
    ends = sorted((turn * row["low"], turn * row["high"]))
    digits = places(row)
    interval = "" if ends[0] != ends[0] else f" [{number(ends[0], digits)} to {number(ends[1], digits)}]"
    return f"by {number(abs(row['difference']), digits)}{interval}"


def _other_cells(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[Line]:
    """The variants that are no change of the reference: by the tasks together, or task by task."""
    children = {variant.name for variant in results.variants if variant.parent == results.reference}
    together = [row for row in records(where(tables["across_tasks"], role=VARIANT)) if row["verdict"] in TESTED]
    marks = range_marks(tables)
    if together:
        families = [(f"over the {together[0]['tasks']} tasks together", together, "")]
    else:
        table = where(tables["comparisons"], set="all", role=VARIANT)
        families = [
            (f"on {task}", [row for row in records(where(table, task=task)) if row["verdict"] in TESTED], task)
            for task in dict.fromkeys(table["task"])
        ]
    lines, nothing_told, cells = [], True, "Other cells" if children else "Cells"
    for place, rows, task in families:
        rows = [row for row in rows if row["variant"] not in children]
        told = {
            verdict: [
                f"{row['variant']} ({signed(row['difference'], places(row))}{marks.get((task, row['variant']), '')}"
                f"{', by ranks' if together and (row['difference'] > 0) != (verdict == WORSE) else ''})"
                for row in sorted(rows, key=lambda row: -abs(row["difference"]))
                if row["verdict"] == verdict
            ]
            for verdict in (WORSE, BETTER)
        }
        said = [f"{verdict}: {_some(names)}" for verdict, names in told.items() if names]
        if rest := len(rows) - sum(map(len, told.values())):
            said.append(f"{rest} {'are' if rest != 1 else 'is'} not told from {results.reference}")
        unit = f" (in standard deviations of {results.reference}’s scores, above zero is worse)" if together else ""
        nothing_told &= rest == len(rows)
        if rows:
            lines.append(Line(f"{cells} {place}{unit}", f"{'; '.join(said)}."))
    if nothing_told and len(lines) > 1:
        return [Line(cells, f"none is told from {results.reference} on any task.")]
    return lines


def _turned_by_tuning(tables: Mapping[str, pd.DataFrame]) -> list[Line]:
    """Which variants are told at settings drawn at random to be what they are not once tuned."""
    said = []
    compared = records(where(tables["comparisons"], role=VARIANT))
    for row in (row for row in compared if row["set"] == "all"):
        key = row["task"], row["variant"]
        tuned = [each for each in compared if (each["task"], each["variant"]) == key and each["set"] in _TUNED]
        if row["verdict"] in OPPOSITE:
            turned = [each["verdict"] for each in tuned if each["verdict"] == OPPOSITE[row["verdict"]]]
        elif row["equivalent"]:
            turned = [each["verdict"] for each in tuned if each["verdict"] in OPPOSITE and not each["equivalent"]]
        else:
            continue
        if turned:
            first = "within the margin" if row["equivalent"] else row["verdict"]
            said.append(f"{row['variant']} on {row['task']} is {first} at random settings, and {turned[0]} once tuned")
    return [Line("Turned by tuning", f"{_some(said, '; ')}.")] if said else []


def _tuned(tables: Mapping[str, pd.DataFrame]) -> list[Line]:
    """What holds of tuned cells: by the tenth that validation chose, and by best settings trained anew."""
    lines, marks = [], range_marks(tables)
    for name, what in _TUNED.items():
        table = where(tables["comparisons"], set=name, role=VARIANT)
        rows = [row for row in records(table) if row["verdict"] in TESTED]
        if not rows:
            continue
        said = []
        for verdict in (WORSE, BETTER):
            told = [row for row in rows if row["verdict"] == verdict]
            if told:
                said.append(f"{verdict}: {_some(_named(told, unique(table, 'task'), marks), ', ')}")
        n = f"{span([row['n'] for row in rows])} against {span([row['n_reference'] for row in rows])} trainings"
        if same := [row for row in rows if row["verdict"] == SAME]:
            equal = sum(row["equivalent"] for row in same)
            rest = f"{len(same)} of {len(rows)} comparisons {'tells' if len(same) == 1 else 'tell'} no difference"
            said.append(f"{rest}, {equal} of them within the margin" if equal else rest)
        lines.append(Line(f"Once tuned ({what}{', ' + n if name == 'confirmed' else ''})", f"{'; '.join(said)}."))
    return lines


def _named(rows: list[dict[str, Any]], tasks: Sequence[str], marks: Mapping[tuple[str, str], str]) -> list[str]:
    """The comparisons with their numbers; where there are many, the variants with their tasks."""
    if len(rows) <= MANY_LINES:
        return [
            f"{row['variant']} on {row['task']} ({_interval(row)}{marks.get((row['task'], row['variant']), '')})"
            for row in rows
        ]
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["variant"], []).append(row["task"])
    ranked = sorted(found.items(), key=lambda each: -len(each[1]))
    return [f"{variant} {_on(tuple(here), tasks)}" for variant, here in ranked]


def _interval(row: Mapping[str, Any]) -> str:
    digits = places(row)
    return f"{signed(row['difference'], digits)} [{signed(row['low'], digits)} to {signed(row['high'], digits)}]"


def _diverged(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[Line]:
    """Which variants diverge most, and where."""
    by_variant: dict[str, list[dict[str, Any]]] = {}
    counts = records(tables["trial_counts"])
    for row in counts:
        if row["diverged"]:
            by_variant.setdefault(row["variant"], []).append(row)
    if not by_variant:
        return []
    ranked = sorted(by_variant, key=lambda variant: -sum(row["diverged"] for row in by_variant[variant]))
    named = []
    for variant in ranked[:4]:
        rows = by_variant[variant]
        total = sum(row["completed"] + row["diverged"] for row in counts if row["variant"] == variant)
        where_ = ", ".join(f"{row['task']} {row['diverged']}" for row in rows)
        named.append(f"{variant} in {sum(row['diverged'] for row in rows)} of {total} trials ({where_})")
    more = len(ranked) - len(named)
    rest = f"; and {more} more at least once" if more else ""
    return [Line("Diverged", f"{'; '.join(named)}{rest}.")]


def _nothing_learned(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> list[Line]:
    """Where not one trial beats the baseline: of a whole task, of the reference, of a variant."""
    lines, single = [], {}
    table = where(tables["learning"], set="all")
    for task in dict.fromkeys(table["task"]):
        rows, name = records(where(table, task=task)), results.task(task).baseline_name
        nothing = [row["variant"] for row in rows if row["nothing_learned"]]
        if nothing and len(nothing) == len(rows):
            total = sum(row["n"] for row in rows)
            lines.append(Line(f"On {task} nothing was learned", f"not one of {total:,} trials beats the {name}."))
            continue
        if results.reference in nothing:
            text = f"not one of its trials beats the {name}, so no difference there speaks of its parts."
            lines.append(Line(f"{results.reference} itself learned nothing on {task}", text))
        for variant in nothing:
            if variant != results.reference and variant not in results.controls:
                single.setdefault(variant, []).append(task)
    if single:
        tasks = list(dict.fromkeys(table["task"]))
        said = [f"by {variant} {_on(tuple(where_), tasks)}" for variant, where_ in single.items()]
        lines.append(Line("Nothing was learned in any trial", f"{_some(said, '; ')}."))
    return lines


def _cut_short(tables: Mapping[str, pd.DataFrame]) -> list[Line]:
    short = [row for row in records(tables["training_length"]) if row["cut_short"]]
    if not short:
        return []
    named = joined([f"{row['last']:.0%} on {row['task']}" for row in short]).replace("%", " %")
    return [
        Line(
            "Training was cut short",
            f"the best epoch is the last one in {named} of the completed trials, so all this is about learning fast.",
        )
    ]


def joined(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _article(part: str) -> str:
    return part if part.endswith("s") else f"the {part}"


def _on(tasks: tuple[str, ...], every: Sequence[str]) -> str:
    """Such as `on music and speech`, or `on all 3 tasks`."""
    if len(tasks) == len(every) > 1:
        return "on both tasks" if len(every) == 2 else f"on all {len(every)} tasks"
    return f"on {joined(tasks)}"


def _some(names: Sequence[str], between: str = ", ") -> str:
    """The first names, and how many more there are."""
    more = f"{between}and {len(names) - MANY} more" if len(names) > MANY else ""
    return between.join(names[:MANY]) + more
