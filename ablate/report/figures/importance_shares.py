"""Which hyperparameters the score depends on. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ablate.analysis.dataframes import records, unique, where
from ablate.analysis.importance import MAIN, MISSING, PAIR, REMAINDER, WHOLE, that_speaks
from ablate.analysis.responses import POOLED, SCORE
from ablate.report import style
from ablate.report.registry import figure
from ablate.report.style import QUIET, reference_of

# From the left to the right of a bar; hatches tell interactions from axes also in grey.
_LOOKS: dict[str, dict[str, Any]] = {
    "learning_rate": {"fc": style.BLUE},
    "hidden_size": {"fc": style.ORANGE},
    "input_noise": {"fc": style.SKY},
    "momentum": {"fc": style.GREEN},
    "init_std": {"fc": style.YELLOW},
    "forget_bias": {"fc": style.PURPLE},
    "gradient_clipping": {"fc": style.VERMILLION},
    "gradient_norm": {"fc": style.BLACK},
    PAIR: {"fc": "#d5d5d5", "hatch": "////", "ec": "white"},
    REMAINDER: {"fc": "#efefef", "hatch": "....", "ec": "white"},
}
_LABELS = {PAIR: "pairs of them, beyond that", REMAINDER: "three and more"}
NONE = "Importance has not been computed: --report-only --full does."


@figure("importance_shares", tables=("importance", "variants"))
def importance_shares(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The share of the score's variance that each hyperparameter explains: a column a task, a bar a variant."""
    with style.theme():
        table = that_speaks(where(tables["importance"], response=SCORE, region=WHOLE))
        if True not in set(table["claimed"]):
            return style.blank(NONE if MISSING in set(table["reason"]) else "No importance can be claimed.")
        tasks, order = unique(table, "task"), _order(table, reference_of(tables["variants"]))
        columns = style.columns_for(len(tasks), 1.9)
        rows = -(-len(tasks) // columns)
        width = min(style.WIDTH, max(4.0, 1.0 + 2.2 * columns))
        picture = Figure(figsize=(width, rows * (0.7 + 0.13 * len(order)) + 0.5), layout=style.constrained())
        for panels, here in style.rows_of(picture.subplots(rows, columns, squeeze=False), tasks):
            for k, (ax, task) in enumerate(zip(panels, here, strict=False)):
                _panel(ax, records(where(table, task=task)), order)
                ax.set_title(task, loc="left")
                ax.set_title("$R^2$", loc="right", size=6, color=QUIET, x=1.13)
                ax.set_yticks(range(len(order)), order if k == 0 else [""] * len(order))
        shown = [name for name in _LOOKS if name in {*table["axis"], *table["term"]}]
        handles = [Patch(label=_LABELS.get(name, name.replace("_", " ")), **_LOOKS[name]) for name in shown]
        picture.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        return picture


def _order(table: pd.DataFrame, reference: str) -> list[str]:
    """From the top: all variants together, the reference, the others as the study has them."""
    names = unique(table, "variant")
    return [name for name in (POOLED, reference) if name in names] + [
        name for name in names if name not in (POOLED, reference)
    ]


def _panel(ax: Axes, rows: list[dict[str, Any]], order: list[str]) -> None:
    left = dict.fromkeys(order, 0.0)
    for name, look in _LOOKS.items():
        for variant in order:
            mine = [row for row in rows if row["variant"] == variant and row["claimed"]]
            share = sum(row["share"] for row in mine if name == (row["axis"] if row["term"] == MAIN else row["term"]))
            if share:
                ax.barh(order.index(variant), share, left=left[variant], height=0.8, lw=0, **look)
                left[variant] += share
    for row in {row["variant"]: row for row in rows}.values():
        at = {"y": order.index(row["variant"]), "va": "center", "size": 5, "color": QUIET}
        if row["speaks"]:
            ax.text(1.13, s=f"{row['r2']:.2f}".replace("-", "−"), ha="right", **at)
        if not row["claimed"]:
            ax.text(0.01, s=row["reason"], **at)
    if POOLED in order and len(order) > 1:
        ax.axhline(0.5, color=QUIET, lw=0.5)
    ax.set_xlim(0, 1)
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.set_xlabel("share of the variance")
    ax.tick_params(axis="y", length=0)
    sns.despine(ax=ax, left=True)
