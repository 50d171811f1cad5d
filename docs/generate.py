"""Write the generated parts of the documentation: options, catalogues, the columns of every table, the speed tables.

    python docs/generate.py

A part stands in its page between the lines `<!-- generated: NAME -->` and `<!-- /generated -->`. It is made from the
code that it describes; `tests/test_docs.py` tells when it is not up to date.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import io
import re
import sys
import textwrap
import tokenize
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
_PART = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- /generated -->)", re.DOTALL)


def table(heading: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown."""
    lines = [list(heading)]
    lines += [["---"] * len(lines[0]), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: object) -> str:
    return f"`{text}`" if str(text) else ""


def commented_fields(owner: type) -> dict[str, str]:
    """The fields of a dataclass, each with the comment at the end of its line or in the line above it."""
    found: dict[str, str] = {}
    source, above = textwrap.dedent(inspect.getsource(owner)), ""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    names = {each.name for each in dataclasses.fields(owner)}
    field, depth, lines = "", 0, source.splitlines()
    for token in tokens:
        if token.type == tokenize.OP:
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(token.string, 0)
        if token.type == tokenize.NAME and token.start[1] == 4 and depth == 0:
            field = token.string if token.string in names and token.string not in found else ""
            if field:
                found[field], above = above, ""
        elif token.type == tokenize.COMMENT:
            text = token.string.removeprefix("#").strip()
            if lines[token.start[0] - 1].lstrip().startswith("#"):
                above = f"{above} {text}".strip()
            elif field:
                found[field] = text
    return found


def command_line() -> str:
    """A table for each group of the command's options."""
    from ablate.cli.main import make_parser

    parts = []
    for group in make_parser()._action_groups:  # argparse has no public way to them
        actions = [each for each in group._group_actions if each.option_strings]
        exclusive = [inner for inner in group._mutually_exclusive_groups if inner._container is group]
        nested = [each for inner in exclusive for each in inner._group_actions]
        actions += [each for each in nested if each not in actions]
        if not actions:
            continue
        title = "others" if group.title in (None, "options") else group.title
        rows = [
            (code(" ".join([", ".join(each.option_strings), *_metavar(each)])), each.help or "") for each in actions
        ]
        parts.append((title, f"**{str(title).capitalize()}**\n\n{table(('option', 'meaning'), rows)}"))
    return "\n\n".join(text for title, text in sorted(parts, key=lambda part: part[0] == "others"))


def _metavar(action: argparse.Action) -> list[str]:
    return [str(action.metavar or action.dest.upper())] if action.nargs != 0 else []


def configuration() -> str:
    """The keys of a configuration file's top level."""
    from ablate.cli.main import make_parser
    from ablate.plan.config import Config

    helps = {action.dest: action.help or "" for action in make_parser()._actions}
    comments, default = commented_fields(Config), Config()
    rows = [
        (code(name), _toml(getattr(default, name)), comment or helps.get(name, ""))
        for name, comment in comments.items()
        if name not in ("training", "search", "settings")
    ]
    return table(("key", "default", "meaning"), rows)


def training() -> str:
    """The keys of a configuration file's [training]."""
    from ablate.plan.training_config import TrainingConfig

    default = TrainingConfig()
    rows = [
        (code(name), _toml(getattr(default, name)), comment)
        for name, comment in commented_fields(TrainingConfig).items()
    ]
    return table(("key", "default", "meaning"), rows)


def search() -> str:
    """The keys of a configuration file's [search]."""
    from ablate.plan.search_space import GREFF_SEARCH_SPACE

    rows = [(code(name), entry.low, entry.high, code(entry.scale)) for name, entry in GREFF_SEARCH_SPACE.items()]
    return table(("key", "low", "high", "scale"), rows)


def presets() -> str:
    """What each preset changes."""
    from ablate.cli.describe import preset_changes
    from ablate.plan.presets import PRESETS

    rows = [(code(name), "; ".join(map(code, preset_changes(preset).split(", ")))) for name, preset in PRESETS.items()]
    return table(("preset", "what it changes of the defaults above"), rows)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, str):
        return code(f'"{value}"')
    return code(list(value)).replace("'", '"') if isinstance(value, tuple) else code(value)


def variants() -> str:
    """The catalogue of variants by family."""
    from ablate.cell.typeset import formula
    from ablate.cli.describe import family_title
    from ablate.definitions.variant import VARIANTS

    parts = []
    for family in dict.fromkeys(each.family for each in VARIANTS):
        rows = [
            (code(each.name), each.summary, code(each.parent or ""), formula(each.trace), each.source)
            for each in VARIANTS
            if each.family == family
        ]
        parts.append(
            f"### {family_title(family)}\n\n{table(('name', 'what it is', 'parent', 'weights', 'source'), rows)}"
        )
    return "\n\n".join([*parts, "### Groups\n\n" + _groups(VARIANTS)])


def tasks() -> str:
    """The catalogue of tasks."""
    from ablate.definitions.scores import SCORES
    from ablate.definitions.task import TASKS, TASKS_FROM_DATA

    rows = [
        (f"[`{each.name}`](#{each.name})", each.summary, each.unit, SCORES[each.score].better, code(each.loss))
        for each in TASKS
    ]
    parts = [table(("task", "what it is", "score", "better", "loss"), rows), "### Groups\n\n" + _groups(TASKS)]
    parts += [f"### {each.name}\n\n```text\n{each.description.strip()}\n```" for each in (*TASKS, *TASKS_FROM_DATA)]
    return "\n\n".join(parts)


def _groups(registry: Any) -> str:
    rows = [(code(group), ", ".join(code(each.name) for each in found)) for group, found in registry.groups().items()]
    return table(("group", "members"), rows)


def scores() -> str:
    """The scores that a task may have."""
    from ablate.definitions.scores import SCORES

    rows = [(code(each.name), each.unit, each.better, ", ".join(map(code, each.losses))) for each in SCORES.values()]
    return table(("score", "unit", "better", "possible with the losses"), rows)


def study_tables() -> str:
    """The columns of a study's own tables."""
    from ablate.storage.tables import CURVE_COLUMNS, REPLICATE_COLUMNS, SAMPLE_COLUMNS, TRIAL_COLUMNS

    parts = []
    files = {
        "trials": TRIAL_COLUMNS,
        "replicates": REPLICATE_COLUMNS,
        "curves": CURVE_COLUMNS,
        "samples": SAMPLE_COLUMNS,
    }
    for file, columns in files.items():
        rows = [(code(each.name), code(each.dtype), each.meaning) for each in columns]
        parts.append(f"### {file}.csv\n\n{table(('column', 'type', 'meaning'), rows)}")
    return "\n\n".join(parts)


def metadata() -> str:
    """What metadata.json holds of a task and of a variant."""
    from ablate.definitions.study_results import TaskMetadata, VariantMetadata

    parts = []
    for kind, owner in (("task", TaskMetadata), ("variant", VariantMetadata)):
        rows = [(code(name), comment) for name, comment in commented_fields(owner).items()]
        parts.append(f"Of each {kind}:\n\n{table(('field', 'meaning'), rows)}")
    return "\n\n".join(parts)


def analyses() -> str:
    """Every table of the report: what it holds, and each of its columns."""
    from ablate.analysis import ANALYSES, AnalysisTables
    from ablate.testing.synthetic import synthetic_results

    tables = AnalysisTables(synthetic_results(variants=("V", "NFG"), trials=12))
    parts = []
    for entry in ANALYSES:
        prose, known = described_columns(inspect.getdoc(entry.compute) or "")
        rows = [(code(name), meaning) for name, meaning in meanings(entry.name, tables[entry.name], known).items()]
        parts.append(f"### {entry.name}.csv\n\n{prose}\n\n{table(('column', 'meaning'), rows)}")
    return "\n\n".join(parts)


def described_columns(docstring: str) -> tuple[str, dict[str, str]]:
    """A docstring's prose, and what its section `Columns:` says by name; `best_*` stands for all that start so."""
    prose, _, section = docstring.partition("\nColumns:\n")
    found: dict[str, str] = {}
    for line in textwrap.dedent(section).strip().split("\n"):
        if line.startswith(" "):
            last = next(reversed(found))
            meaning = f"{found[last]} {line.strip()}"
            found |= {name: meaning for name in found if found[name] == found[last]}
        elif line:
            names, _, meaning = line.partition(": ")
            found |= dict.fromkeys(names.split(", "), meaning)
    return prose.strip(), found


def meanings(analysis: str, frame: Any, known: Mapping[str, str]) -> dict[str, str]:
    """The meaning of each column, by its own table's words or, for a column of trials.csv, by those of that table.

    Raises:
        ValueError: a column is not explained, or one is explained that does not exist.
    """
    from ablate.storage.tables import TRIAL_COLUMNS

    common = {column.name: column.meaning for column in TRIAL_COLUMNS}
    found: dict[str, str] = {}
    for column in frame.columns:
        own = [
            _own_meaning(column, pattern, known[pattern], common) for pattern in known if fnmatchcase(column, pattern)
        ]
        if not own and column not in common:
            raise ValueError(f"the docstring of the analysis {analysis!r} does not explain its column {column!r}")
        found[column] = own[0] if own else common[column]
    for pattern in known:
        if not any(fnmatchcase(column, pattern) for column in frame.columns):
            raise ValueError(f"the docstring of the analysis {analysis!r} explains {pattern!r}, which is no column")
    return found


def _own_meaning(column: str, pattern: str, meaning: str, common: Mapping[str, str]) -> str:
    """What a docstring says of a column; `best_*: of the best trial.` goes before what the rest of the name means."""
    rest = common.get(column.removeprefix(pattern.removesuffix("*"))) if pattern.endswith("*") else None
    return f"{meaning.rstrip('.')}: {rest}" if rest else meaning


def figures() -> str:
    """The figures of the report, with the tables that they show."""
    from ablate.report import FIGURES

    rows = [
        (code(each.name), _first_line(each.draw), ", ".join(f"[`{name}`](#{name}csv)" for name in each.tables))
        for each in FIGURES
    ]
    return table(("figure", "what it shows", "tables"), rows)


def _first_line(function: Callable[..., Any]) -> str:
    return " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())


def executors() -> str:
    """The executors that there are."""
    from importlib import import_module

    from ablate.execution.executor import executor_names

    names = {name: import_module(f"ablate.execution.executors.{name}") for name in executor_names()}
    return table(("executor", "what it does"), ((code(name), inspect.getdoc(each)) for name, each in names.items()))


def speed() -> str:
    """The tables of the benchmarks, from their CSV files."""
    from benchmarks.page import text

    return text(ROOT / "benchmarks" / "results")


def calibration() -> str:
    """The errors, coverage and power of the comparisons, from their CSV file."""
    from benchmarks.calibration.page import text

    return text(ROOT / "benchmarks" / "results")


def scale() -> str:
    """What a study takes as it grows, from its CSV file."""
    from benchmarks.scale import text

    return text(ROOT / "benchmarks" / "results")


def instrument() -> str:
    """What the default budget finds of the differences of a longer study, from its CSV file."""
    from benchmarks.instrument import text

    return text(ROOT / "benchmarks" / "results")


def music_column() -> str:
    """What the study of the paper's music column found, by variant."""
    from docs.studies import music_column

    return music_column()


def music_claims() -> str:
    """What that study says of the papers' claims."""
    from docs.studies import music_claims

    return music_claims()


def cells() -> str:
    """What the study of forty-one cells found, by variant and task."""
    from docs.studies import cells

    return cells()


PARTS: dict[str, Callable[[], str]] = {
    "command-line": command_line,
    "configuration": configuration,
    "training": training,
    "search": search,
    "presets": presets,
    "variants": variants,
    "tasks": tasks,
    "scores": scores,
    "study-tables": study_tables,
    "metadata": metadata,
    "analyses": analyses,
    "figures": figures,
    "executors": executors,
    "speed": speed,
    "scale": scale,
    "calibration": calibration,
    "instrument": instrument,
    "music-column": music_column,
    "music-claims": music_claims,
    "cells": cells,
}


def written(page: str, parts: Mapping[str, Callable[[], str]] = PARTS) -> str:
    """A page with its generated parts as they are today."""
    return _PART.sub(lambda match: f"{match[1]}{parts[match['name']]()}\n{match[3]}", page)


def pages() -> list[Path]:
    """The pages that have generated parts."""
    return [file for file in sorted(DOCS.rglob("*.md")) if _PART.search(file.read_text(encoding="utf-8"))]


def main() -> int:
    for file in pages():
        old = file.read_text(encoding="utf-8")
        new = written(old)
        if new != old:
            file.write_text(new, encoding="utf-8")
            print(f"wrote {file.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # for the benchmarks, which are not installed
    sys.exit(main())
