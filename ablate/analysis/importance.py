"""Which hyperparameters a score and a training's time depend on: functional ANOVA, as in Hutter et al. (2014).

The surrogates take seconds a task and variant, so these tables hold what has been computed before: see `Kept`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ablate.analysis.axes import values
from ablate.analysis.dataframes import select
from ablate.analysis.registry import analysis
from ablate.analysis.responses import SCORE, SECONDS, Response, importance_axes, responses
from ablate.definitions.study_results import StudyResults
from ablate.importance.functional_anova import MIN_POINTS
from ablate.importance.measure import measure

WHOLE, GOOD = "whole", "good"  # regions of the search
MAIN, PAIR, REMAINDER = "main", "pair", "remainder"  # terms of the variance
TOO_FEW, POOR, MISSING = "too few trials", "poorly predicted", "not computed"
BAND = 1.96  # standard deviations on either side
SHOWN_PAIR = ("hidden_size", "learning_rate")  # the surface that the paper discusses

_KEY = ["task", "variant", "response", "region"]


@analysis("importance")
def importance(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The share of the variance of a response that each hyperparameter explains, alone and in pairs: functional ANOVA.

    The axes are taken on the scale of the search. Two surrogates are fitted, a random forest (Hutter et al. 2014, as
    Greff et al. use it) and a Gaussian process; the one with the better cross-validated R^2 speaks. Shares are those of
    what the surrogate predicts, without noise, over the ranges of the search: other ranges have other shares. Nothing
    is claimed where R^2 is below 0.5, or of fewer than 50 trials, or of fewer than 20 within the region. The score is
    that of `scored_trials`, the time the logarithm of the seconds of a trial, diverged ones among them.

    "all variants" pools the variants of a task: each one's own mean is taken out, the mean of these means put in, and
    trials of several variants at one draw are averaged, since they are one point of the search. How variants differ in
    what they depend on is averaged out by this. Of more than 400 points, 400 are chosen at random.

    Columns:
        response: "score", or "seconds" on a logarithmic scale.
        region: "whole" is the range of the search; "good" the box that holds, along each axis, the middle four fifths
            of the best quarter of the trials.
        surrogate: "forest" or "gaussian process"; empty where none was fitted.
        speaks: whether this surrogate predicts better than the other one.
        points: trials that it was fitted to; draws, where variants are pooled.
        inside: those within the region.
        r2: the share of their variance that it predicts in cross-validation.
        claimed: whether the shares may be claimed: it speaks, predicts well enough, and of trials enough.
        reason: why not: too few trials, poorly predicted, or not computed (`--report-only --full` does).
        term: "main", "pair" (the interaction alone) or "remainder" (interactions of three and more axes).
        axis: the hyperparameter.
        other: the second one of a pair.
        share: the share of the variance, from 0 to 1.
    """
    columns = [*_KEY, "surrogate", "speaks", "points", "inside", "r2", "claimed", "reason", "term", "axis", "other"]
    rows: list[dict[str, Any]] = []
    names = list(importance_axes(results))
    for response, found in _measured(results, tables):
        key = {"task": response.task, "variant": response.variant, "response": response.response}
        if found is None:
            reason = TOO_FEW if len(response.y) < MIN_POINTS else MISSING
            rows.append({**key, "region": WHOLE, "points": len(response.y), "reason": reason, **_unknown()})
            continue
        for region, part in found.items():
            for place, each in enumerate(part["surrogates"]):
                fit = {name: each[name] for name in ("surrogate", "points", "inside", "r2")}
                reason = "" if each["claims"] else POOR if each["enough"] else TOO_FEW
                fit |= {"speaks": place == 0, "claimed": place == 0 and each["claims"], "reason": reason}
                rows += [{**key, "region": region, **fit, **term} for term in _terms(each, names)]
    table = pd.DataFrame(rows, columns=[*columns, "share"])
    return table.astype({"speaks": bool, "claimed": bool, "points": int, "inside": float, "r2": float, "share": float})


@analysis("importance_marginals")
def importance_marginals(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A response along each hyperparameter, all others averaged out, by the surrogate that speaks, where it may claim.

    Columns:
        response: "score", or "seconds".
        region: as in `importance`.
        axis: the hyperparameter.
        value: its value.
        mean: the score in the task's unit, or the geometric mean of the seconds.
        low, high: an end of the band of 1.96 standard deviations: those of the Gaussian process, or between the trees
            of the forest.
    """
    rows = []
    axes = importance_axes(results)
    for response, region, part in _regions(results, tables):
        sign = results.sign(response.task)
        for (name, axis), (at, mean, deviation) in zip(axes.items(), part["marginals"], strict=False):
            mean, width = np.array(mean), BAND * np.array(deviation)
            ends = np.stack([_unit(response, sign, mean + k * width) for k in (-1, 1)])
            key = {"task": response.task, "variant": response.variant, "response": response.response}
            lines = {"value": values(np.array(at), axis), "mean": _unit(response, sign, mean)}
            lines |= {"low": ends.min(axis=0), "high": ends.max(axis=0)}
            rows.append(pd.DataFrame({**key, "region": region, "axis": name, **lines}))
    columns = [*_KEY, "axis", "value", "mean", "low", "high"]
    return pd.concat(rows, ignore_index=True) if rows else _empty(columns, 5)


@analysis("importance_surfaces")
def importance_surfaces(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The score over two hyperparameters, all others averaged out, by the surrogate that speaks, where it may claim.

    Over the whole ranges of the search. Of each task and variant there are learning rate with hidden size, and the pair
    with the largest interaction.

    Columns:
        axis: the first hyperparameter.
        other: the second one.
        share: the share of the variance that their interaction explains.
        value: of the first one.
        other_value: of the second one.
        mean: the score in the task's unit.
        interaction: what of it the two marginals do not add up to.
    """
    rows = []
    axes = importance_axes(results)
    names = list(axes)
    for response, region, part in _regions(results, tables):
        if response.response != SCORE or region != WHOLE or not part["surfaces"]:
            continue
        sign = results.sign(response.task)
        shares = {(a, b): share for a, b, share in part["surrogates"][0]["pairs"]}
        strongest = max(shares, key=lambda pair: shares[pair])
        for a, b, at_a, at_b, surface in part["surfaces"]:
            if (a, b) != strongest and (names[a], names[b]) != SHOWN_PAIR:
                continue
            mean = sign * np.array(surface)
            apart = mean - mean.mean(axis=0) - mean.mean(axis=1, keepdims=True) + mean.mean()
            x, y = np.meshgrid(
                values(np.array(at_a), axes[names[a]]), values(np.array(at_b), axes[names[b]]), indexing="ij"
            )
            key = {"task": response.task, "variant": response.variant}
            pair = {"axis": names[a], "other": names[b], "share": shares[a, b]}
            grid = {"value": x.ravel(), "other_value": y.ravel(), "mean": mean.ravel(), "interaction": apart.ravel()}
            rows.append(pd.DataFrame({**key, **pair, **grid}))
    columns = ["task", "variant", "axis", "other", "share", "value", "other_value", "mean", "interaction"]
    return pd.concat(rows, ignore_index=True) if rows else _empty(columns, 5)


def that_speaks(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `importance` of the surrogates that speak, and those where none was fitted."""
    return select(table, table["speaks"] | table["surrogate"].eq(""))


def _measured(
    results: StudyResults, tables: Mapping[str, pd.DataFrame]
) -> Iterator[tuple[Response, dict[str, Any] | None]]:
    """Every response, with what was measured of it; None of too few trials, or where it has not been computed."""
    every = responses(results, tables)
    enough = [each for each in every if len(each.y) >= MIN_POINTS]
    inputs = [{"u": each.u, "y": each.y, "good": each.response == SCORE} for each in enough]
    found = iter(results.kept.map(measure, inputs))
    for each in every:
        yield each, next(found) if len(each.y) >= MIN_POINTS else None


def _regions(
    results: StudyResults, tables: Mapping[str, pd.DataFrame]
) -> Iterator[tuple[Response, str, dict[str, Any]]]:
    for response, found in _measured(results, tables):
        for region, part in (found or {}).items():
            yield response, region, part


def _terms(found: Mapping[str, Any], names: list[str]) -> list[dict[str, Any]]:
    """The shares of one surrogate, a row each."""
    main = [{"term": MAIN, "axis": name, "share": share} for name, share in zip(names, found["main"], strict=True)]
    pairs = [{"term": PAIR, "axis": names[a], "other": names[b], "share": share} for a, b, share in found["pairs"]]
    rest = [{"term": REMAINDER, "share": found["remainder"]}] if len(names) > 2 else []
    return [{"axis": "", "other": "", **term} for term in (*main, *pairs, *rest)]


def _unknown() -> dict[str, Any]:
    return {"surrogate": "", "speaks": False, "claimed": False, "term": "", "axis": "", "other": ""}


def _unit(response: Response, sign: float, y: np.ndarray) -> np.ndarray:
    """The response in the unit that a reader knows."""
    return np.exp(y) if response.response == SECONDS else sign * y


def _empty(columns: list[str], numbers: int) -> pd.DataFrame:
    """No rows; the last columns are numbers."""
    return pd.DataFrame(columns=columns).astype(dict.fromkeys(columns[-numbers:], float))
