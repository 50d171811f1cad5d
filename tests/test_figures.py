"""What figures show, computed once more by other means than the tables that they are drawn from."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from ablate.analysis import AnalysisTables
from ablate.definitions.study_results import StudyResults
from ablate.report import FIGURES
from ablate.report.style import BLACK, BLUE
from ablate.statistics.budget import tuning_curve
from ablate.testing.synthetic import BASELINE, synthetic_results
from tests.made_studies import analysed, trials

VARIANTS = ("V", "NFG", "SRN", "GRU", "NP")


def drawn(results: StudyResults, name: str) -> Figure:
    picture = FIGURES[name](AnalysisTables(results))
    picture.draw_without_rendering()
    return picture


def scores(results: StudyResults, task: str) -> pd.DataFrame:
    """Scores by index and variant, from the trials as they stand in the study."""
    here = results.trials[results.trials["task"].eq(task) & results.trials["state"].ne("failed")]
    score = here["test"].where(here["state"].eq("completed"), BASELINE).clip(upper=BASELINE)
    return here.assign(score=score).pivot_table(index="index", columns="variant", values="score")


def named(picture: Figure) -> dict[str, Axes]:
    """The panels that are seen, by the last line of their titles."""
    return {ax.get_title(loc="left").split("\n")[-1]: ax for ax in picture.axes if ax.get_visible()}


def points(ax: Axes) -> dict[int, float]:
    """The marked points of a forest plot by their place from below."""
    return {int(line.get_ydata()[0]): float(line.get_xdata()[0]) for line in ax.lines if len(line.get_xdata()) == 1}


def test_a_forest_plot_shows_mean_differences_in_order() -> None:
    results = synthetic_results(("jsb", "iam"), VARIANTS, trials=20)
    picture = drawn(results, "effects")
    panels = named(picture)
    means = {task: (frame := scores(results, task)).sub(frame["V"], axis=0).mean().drop("V") for task in ("jsb", "iam")}
    spreads = {task: scores(results, task)["V"].std() for task in means}
    overall = sum(means[task] / spreads[task] for task in means) / 2
    order = [label.get_text() for label in panels["all tasks"].get_yticklabels()]
    assert order == list(overall.sort_values(ascending=False).index), "the best is at the top"
    for task, found in means.items():
        assert points(panels[task]) == pytest.approx({order.index(name): mean for name, mean in found.items()}), task


def test_a_forest_plot_has_a_row_for_best_settings_trained_anew() -> None:
    results = synthetic_results(("jsb",), VARIANTS, trials=30, confirmations=5, controls=1)
    anew = results.replicates[results.replicates["purpose"].eq("confirmation")].groupby("variant")["test"].mean()
    picture = drawn(results, "effects")
    *_, ax = (ax for ax in picture.axes if ax.get_visible())
    order = [label.get_text() for label in ax.get_yticklabels()]
    assert "trained anew" in ax.get_title(loc="left") and set(order) == set(VARIANTS) - {"V"}
    expected = {order.index(name): anew[name] - anew["V"] for name in order}
    assert points(ax) == pytest.approx(expected)


def test_where_higher_is_better_the_better_end_is_left() -> None:
    results = synthetic_results(("jsb",), VARIANTS, trials=20)
    upside = replace(results, tasks=[replace(task, direction="maximize", baseline=None) for task in results.tasks])
    (ax,) = named(drawn(upside, "effects")).values()
    left, right = ax.get_xlim()
    assert left > right
    order = [label.get_text() for label in ax.get_yticklabels()]
    assert order.index("SRN") > order.index("NP"), "a higher score is better, and stands above"


def test_the_overview_shows_effects_on_one_scale() -> None:
    results = synthetic_results(("jsb", "iam"), VARIANTS, trials=20)
    (ax, *_) = drawn(results, "overview").axes
    (mesh,) = (found for found in ax.collections if isinstance(found, QuadMesh))
    variants = [label.get_text() for label in ax.get_yticklabels()]
    tasks = [label.get_text() for label in ax.get_xticklabels()]
    assert tasks == ["all tasks", "jsb", "iam"]
    assert mesh.norm.vmin == -mesh.norm.vmax, "white is no difference"
    values = np.asarray(mesh.get_array()).reshape(len(variants), len(tasks))
    for task in tasks[1:]:
        frame = scores(results, task)
        expected = (frame.sub(frame["V"], axis=0).mean() / frame["V"].std())[variants]
        np.testing.assert_allclose(values[:, tasks.index(task)], expected)
    verdicts = AnalysisTables(results)["comparisons"].query("set == 'all' and verdict == 'worse'")
    texts = [text.get_text() for text in ax.texts]
    cells = dict(zip(itertools.product(variants, tasks), texts, strict=True))
    assert {(name, task) for name, task in verdicts[["variant", "task"]].to_numpy()} == {
        key for key, text in cells.items() if "■" in text and key[1] != "all tasks"
    }
    assert len(verdicts) and not any("-" in text for text in texts), "minus signs are true ones"


def test_learning_curves_are_running_bests_of_the_best_trials() -> None:
    results = synthetic_results(("jsb",), VARIANTS, trials=20)
    early = results.curves["index"].eq(3) & results.curves["epoch"].gt(9)  # one trial stopped there
    results = replace(results, curves=results.curves[~early])
    panels = named(drawn(results, "curves"))
    assert set(panels) == set(VARIANTS) - {"V"}
    for variant, ax in panels.items():
        best = results.trials[results.trials["variant"].eq(variant)].sort_values("validation").head(5)["index"]
        found = np.full((5, 30), np.nan)
        for k, index in enumerate(best):
            rows = results.curves[results.curves["variant"].eq(variant) & results.curves["index"].eq(index)]
            reached = math.inf
            for epoch, value in rows[["epoch", "validation"]].to_numpy():
                reached = min(reached, value)
                found[k, int(epoch) - 1 :] = reached
        (blue,) = (line for line in ax.lines if to_hex(line.get_color()) == to_hex(BLUE))
        np.testing.assert_allclose(blue.get_ydata(), np.median(found, axis=0))
        band = ax.collections[-1].get_paths()[0].vertices
        assert band[:, 1].min() == pytest.approx(np.quantile(found, 0.25, axis=0).min())
        (black,) = (line for line in ax.lines if to_hex(line.get_color()) == to_hex(BLACK))
        assert len(black.get_xdata()) == 30, "the reference is in every panel"
        others = next(np.asarray(line.get_ydata()) for line in ax.lines if np.isnan(line.get_ydata()).any())
        assert np.isnan(others).sum() == 3, "and so are the others"


def test_budget_curves_are_the_mean_over_all_choices() -> None:
    test = {"V": [3.0, 1.0, 2.0, 5.0, 4.0], "A": [6.0, 2.5, 2.0, 7.0, 1.0]}
    validation = {"V": [3.1, 1.2, 0.9, 5.0, 4.1], "A": [6.0, 2.0, 2.2, 7.0, 3.0]}
    parts = [trials(name, test[name], validations=validation[name]) for name in test]
    results = analysed(*parts, baseline=9.0).results
    for name, scale in (("budget", 1.0), ("budget_seconds", 2.0)):
        (ax,) = named(drawn(results, name)).values()
        lines = {to_hex(line.get_color()): line for line in ax.lines if line.get_linestyle() == "-"}
        for variant, colour in (("V", BLACK), ("A", BLUE)):
            expected = [
                np.mean(
                    [
                        test[variant][min(chosen, key=lambda k: validation[variant][k])]
                        for chosen in itertools.combinations(range(5), m)
                    ]
                )
                for m in range(1, 6)
            ]
            line = lines[to_hex(colour)]
            np.testing.assert_allclose(line.get_ydata(), expected)
            np.testing.assert_allclose(line.get_xdata(), scale * np.arange(1, 6))


def test_the_divergence_figure_shows_shares_and_where_they_lie() -> None:
    rates = 10 ** np.linspace(-4, -1, 10)
    parts = [trials("V", [1.0] * 10), trials("A", [1.0] * 7 + ["diverged"] * 3), trials("B", [1.0] * 10)]
    table = pd.concat([part.assign(learning_rate=rates) for part in parts])
    left, right = drawn(analysed(table, baseline=9.0).results, "divergence").axes
    order = [label.get_text() for label in left.get_yticklabels()]
    assert order == ["V", "A"] and "other 1" in right.get_title(loc="right")
    assert points(left) == {0: 0.0, 1: pytest.approx(0.3)}
    n, z = 10, 1.959964
    for y, k in ((0, 0), (1, 3)):  # Wilson 1927, solved for the true share
        roots = np.roots([n + z**2, -(2 * k + z**2), k**2 / n])
        (segment,) = (found.get_segments()[0] for found in left.collections if found.get_segments()[0][0][1] == y)
        np.testing.assert_allclose(sorted(roots), [end[0] for end in segment], atol=1e-6)
    completed, diverged = (np.asarray(found.get_offsets()) for found in right.collections)
    np.testing.assert_allclose(diverged[:, 0], rates[7:])
    assert (diverged[:, 1] == 1).all() and len(completed) == 17


# Bands of tuning curves


def test_the_median_of_the_best_of_m_by_enumeration() -> None:
    losses = [3.0, 1.0, 2.0, 5.0, 4.0]
    median = tuning_curve(losses).median
    for m in range(1, 6):
        best = sorted(min(draws) for draws in itertools.product(losses, repeat=m))
        assert median[m - 1] == best[math.ceil(len(best) / 2) - 1]


@pytest.mark.parametrize("n, rounds", [(13, 2000), (60, 2000), (400, 300)])
def test_bands_hold_their_level_for_all_m_at_once(n: int, rounds: int) -> None:
    """At least: the bands hold for the whole distribution, of which the medians of the best are a half."""
    m = np.arange(1, n + 1)
    truth = 1 - 0.5 ** (1 / m)  # uniform losses
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(rounds):
        _, low, high = tuning_curve(rng.random(n))
        held += bool(((low <= truth) & (truth <= high)).all())
    assert 0.95 - 3 * math.sqrt(0.95 * 0.05 / rounds) < held / rounds < 0.995


def test_bands_of_scores_with_ties_are_wider_at_most() -> None:
    rng = np.random.default_rng(0)
    truth = np.ceil(10 * (1 - 0.5 ** (1 / np.arange(1, 31)))) / 10
    held = []
    for _ in range(1000):
        _, low, high = tuning_curve(np.ceil(10 * rng.random(30)) / 10)
        held.append(bool(((low <= truth) & (truth <= high)).all()))
    assert np.mean(held) >= 0.95


def test_bands_end_where_so_few_draws_say_nothing() -> None:
    losses = np.append(np.linspace(1.0, 2.0, 99), math.nan)
    median, low, high = tuning_curve(losses)
    known = np.isfinite(low)
    last = int(np.flatnonzero(known)[-1]) + 1
    assert known[:last].all() and 5 <= last <= 15, "about a tenth of the draws"
    assert (low <= median).all() and (median <= high).all()
    assert (np.diff(median) <= 0).all() and (np.diff(high) <= 0).all()


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_bands_stand_around_the_validation_score(direction: str) -> None:
    rng = np.random.default_rng(1)
    validation = list(rng.normal(5.0, 1.0, 100))
    table = analysed(trials("V", validation, validations=validation), direction=direction)["budget_curves"]
    known = table.dropna(subset="better_end")
    sign = 1 if direction == "minimize" else -1
    assert 5 <= len(known) <= 15
    assert (sign * known["better_end"] <= sign * known["validation"]).all()
    assert (sign * known["validation"] <= sign * known["worse_end"]).all()
    assert (sign * np.diff(table["validation"]) <= 0).all(), "more draws find better ones"


# Any number of variants and tasks


@pytest.mark.parametrize("name", ["effects", "overview", "curves", "budget", "budget_seconds", "divergence"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 2), (6, 5), (1, 41)])
def test_panels_stay_apart(name: str, shape: tuple[int, int]) -> None:
    tasks, variants = shape
    names = ("V", *(f"X{k}" for k in range(variants - 1)))
    results = synthetic_results(tuple(f"task{k}" for k in range(tasks)), names, trials=8)
    picture = drawn(results, name)
    boxes = [ax.get_window_extent().bounds for ax in picture.axes if ax.get_visible()]
    for one, other in itertools.combinations(boxes, 2):
        apart = one[0] + one[2] <= other[0] + 1 or other[0] + other[2] <= one[0] + 1
        assert apart or one[1] + one[3] <= other[1] + 1 or other[1] + other[3] <= one[1] + 1
    wide, tall = picture.get_size_inches() * picture.dpi
    assert all(x >= 0 and y >= 0 and x + w <= wide and y + h <= tall for x, y, w, h in boxes)
