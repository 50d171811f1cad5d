"""The figures of a report: that they show what their tables say, and fit a page."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from ablate.analysis import AnalysisTables
from ablate.definitions.study_results import StudyResults
from ablate.report import FIGURES, style
from ablate.report.style import BLUE, VERMILLION
from ablate.testing.synthetic import synthetic_results
from tests.test_report import SHOWN


def drawn(results: StudyResults, name: str) -> tuple[AnalysisTables, Figure]:
    tables = AnalysisTables(results)
    picture = FIGURES[name](tables)
    picture.draw_without_rendering()
    return tables, picture


def test_the_boxes_are_the_tables():
    tables, picture = drawn(synthetic_results(variants=("NOG", "V", "NFG", "NP"), trials=110), "boxes")
    panels = [ax for ax in picture.axes if ax.get_title(loc="left")]
    counts = tables["boxes"].query("set == 'all'")["n"]
    heading = f"jsb\nAll trials, n = {counts.min()} to {counts.max()}"
    assert [ax.get_title(loc="left") for ax in panels] == [heading, "Best trials, n = 11"]
    assert [label.get_text() for label in panels[-1].get_xticklabels()] == ["V", "NOG", "NFG", "NP"]
    for name, ax in zip(("all", "best"), panels, strict=True):
        table = tables["boxes"].groupby("set").get_group(name).set_index("variant")
        boxes = [patch for patch in ax.patches if isinstance(patch, PathPatch)]
        assert len(boxes) == 4
        for box, variant in zip(boxes, table.index, strict=True):
            row, corners = table.loc[variant], box.get_path().vertices
            assert (corners[:, 1].min(), corners[:, 1].max()) == pytest.approx((row["q1"], row["q3"]))
            assert corners[:, 0].mean() == pytest.approx(list(table.index).index(variant), abs=0.3)
            face = {"worse": VERMILLION, "better": BLUE}.get(row["verdict"], "white")
            assert to_hex(box.get_facecolor()) == to_hex(face), variant
            assert bool(box.get_hatch()) == (row["verdict"] == "worse"), variant
        heights = {round(float(y), 9) for line in ax.lines for y in line.get_ydata()}
        assert {round(value, 9) for value in table[["min", "median", "mean", "max"]].to_numpy().ravel()} <= heights
        limits = tables["axis_limits"].set_index("set").loc[name]
        assert ax.get_ylim()[0] <= limits["low"] and limits["high"] <= ax.get_ylim()[1]
        outside = [int(text.get_text().strip("▲\n")) for text in ax.texts if "▲" in text.get_text()]
        assert outside == [count for count in table["n_outside"] if count]
    assert "worse" in set(tables["boxes"]["verdict"])


def test_the_bars_behind_the_boxes_are_the_mean_parameters():
    tables, picture = drawn(synthetic_results(trials=6), "boxes")
    bars = next(ax for ax in picture.axes if ax.get_ylabel() == "mean parameters")
    expected = tables["boxes"].query("set == 'all'")["parameters"]
    assert [bar.get_height() for bar in bars.patches] == list(expected)


def test_few_trials_are_drawn_as_points_at_their_scores():
    tables, picture = drawn(synthetic_results(variants=("V", "NFG"), trials=8), "boxes")
    ax = next(ax for ax in picture.axes if "All trials" in ax.get_title(loc="left"))
    heights = sorted(float(y) for points in ax.collections for _, y in np.asarray(points.get_offsets()))
    assert heights == pytest.approx(sorted(tables["trial_subsets"].query("set == 'all'")["score"]))


def test_a_figure_of_boxes_says_when_there_is_no_test():
    _, picture = drawn(synthetic_results(variants=("V", "NFG"), trials=4), "boxes")
    assert "n = 3 to 4: no test" in picture.axes[0].get_title(loc="left")
    assert not any(isinstance(patch, PathPatch) for ax in picture.axes for patch in ax.patches)


def test_every_scored_trial_stands_over_its_learning_rate():
    tables, picture = drawn(synthetic_results(variants=("V", "NFG", "NP"), trials=110), "learning_rates")
    (ax,) = picture.axes
    points = {found.get_label(): np.asarray(found.get_offsets()) for found in ax.collections}
    scored, limits = tables["trial_subsets"].query("set == 'all'"), tables["axis_limits"].iloc[0]
    assert sum(len(found) for found in points.values()) == len(scored)
    assert len(points["diverged"]) == scored["state"].eq("diverged").sum() > 0
    shown = scored[scored["score"].between(limits["low"], limits["high"]) & scored["state"].eq("completed")]
    ours = shown[shown["variant"].eq("V")][["learning_rate", "score"]].to_numpy()
    np.testing.assert_array_equal(points["V"], ours)
    assert ax.get_xscale() == "log"


@pytest.mark.parametrize(("tasks", "variants", "n"), [(3, 11, 20), (8, 3, 6), (2, 40, 12)])
@pytest.mark.parametrize("name", SHOWN)
def test_large_studies_fit_a_page_and_show_every_task(name, tasks, variants, n):
    names, places = ("V", *(f"X{k}" for k in range(variants - 1))), [f"task{k}" for k in range(tasks)]
    picture = FIGURES[name](AnalysisTables(synthetic_results(tuple(places), names, n)))
    assert picture.get_size_inches()[0] <= 7.21
    assert set(places) <= {word for text in picture.findobj(Text) for word in re.findall(r"[\w-]+", text.get_text())}


def words_of(picture: Figure) -> dict[str, list[Bbox]]:
    """Where each word that is drawn stands, in pixels; ticks beyond an axis are there but not drawn."""
    beyond = {
        id(label)
        for ax in picture.axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval()) * (1 + 1e-9)
    }
    found: dict[str, list[Bbox]] = {}
    for text in picture.findobj(Text):
        if text.get_text().strip() and text.get_visible() and id(text) not in beyond:
            found.setdefault(text.get_text(), []).append(text.get_window_extent())
    return found


@pytest.mark.parametrize(("tasks", "variants", "n"), [(1, 11, 110), (1, 2, 6), (3, 11, 20)])
@pytest.mark.parametrize("name", SHOWN)
def test_no_word_is_cut_off(name, tasks, variants, n):
    names, places = ("V", *(f"X{k}" for k in range(variants - 1))), tuple(f"task{k}" for k in range(tasks))
    _, picture = drawn(synthetic_results(places, names, n, controls=2, confirmations=5), name)
    for word, boxes in words_of(picture).items():
        for box in boxes:
            assert box.x0 >= picture.bbox.x0 - 1 and box.x1 <= picture.bbox.x1 + 1, f"{word!r} is cut off at a side"
            assert box.y0 >= picture.bbox.y0 - 1 and box.y1 <= picture.bbox.y1 + 1, f"{word!r} is cut off"


def test_an_even_grid_is_drawn_evenly_and_one_of_logarithms_is_not():
    ax, _ = Figure().subplots(1, 2)
    style.scale_axis(ax, "x", np.linspace(0.033, 0.967, 15).round(6))  # of input noise
    style.scale_axis(ax, "y", np.geomspace(1e-3, 0.2, 15).round(6))  # of learning rates
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")
