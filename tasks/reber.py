"""The task `reber`: which symbols may come next in a string of the embedded Reber grammar.

A string is B T r T E or B P r P E, where r is a string of the Reber grammar: its last symbol but one repeats its
second, whatever lies between them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ablate.data.generated import checked_setting
from ablate.definitions.dataset import Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS, Settings, Task
from tasks.baselines import binary_entropy

SYMBOLS = "BTPSXVE"

# The Reber grammar: of each node the symbols that may come, and the node after each.
GRAMMAR = (
    (("B", 1),),
    (("T", 2), ("P", 3)),
    (("S", 2), ("X", 4)),
    (("T", 3), ("V", 5)),
    (("X", 3), ("S", 6)),
    (("P", 4), ("V", 6)),
    (("E", 7),),
)
# Embedded, one copy of it for each second symbol: nodes 0 and 1 lead in, LAST leads out.
COPIES = {"T": 2, "P": 3 + len(GRAMMAR)}
LAST = 4 + 2 * len(GRAMMAR)
EMBEDDED = (
    (("B", 1),),
    tuple(COPIES.items()),
    *(
        nodes
        for second, start in COPIES.items()
        for nodes in (
            *(tuple((symbol, start + after) for symbol, after in node) for node in GRAMMAR),
            ((second, LAST),),
        )
    ),
    (("E", LAST),),  # nothing comes after it: a string rests here
)

# By node and which of its ways is taken; where there is but one, both are the same.
SYMBOL = np.array([[SYMBOLS.index(node[way][0]) for way in (0, -1)] for node in EMBEDDED])
AFTER = np.array([[node[way][1] for way in (0, -1)] for node in EMBEDDED])
LEGAL = np.array([[symbol in dict(node) for symbol in SYMBOLS] for node in EMBEDDED], np.uint8)  # (nodes, 7)


def generate(generator: np.random.Generator, count: int, settings: Settings) -> Sequences:
    """Inputs are uint8 (frames, 7), one-hot in the order of SYMBOLS; targets uint8 (frames, 7), 1 where legal next.

    Raises UserError when a setting is out of range.
    """
    first = _first(settings)
    node = np.zeros(count, np.int64)
    symbols, nodes = [], []
    while (node != LAST).any():
        way = (generator.random(count) >= first[node]).astype(np.int64)
        symbols.append(SYMBOL[node, way])
        node = AFTER[node, way]
        nodes.append(node)
    reached = np.stack(nodes, axis=1)  # (count, frames of the longest)
    lengths = (reached != LAST).sum(axis=1) + 1
    inside = np.arange(reached.shape[1]) < lengths[:, None]
    one_hot = np.eye(len(SYMBOLS), dtype=np.uint8)[np.stack(symbols, axis=1)[inside]]
    return Sequences(one_hot, LEGAL[reached[inside]], lengths)


def _first(settings: Settings) -> npt.NDArray[np.float64]:
    """By node, how likely its first way is: one half, but for the two loops."""
    loop = checked_setting(settings, "reber", "loop", 0.0, 0.95)
    return np.where(AFTER[:, 0] == np.arange(len(EMBEDDED)), loop, 0.5)


def expected_visits(settings: Settings) -> npt.NDArray[np.float64]:
    """By node, how many frames of a string end there: what each is expected to pass on to those after it."""
    size, first = len(EMBEDDED), _first(settings)
    passed = np.zeros((size, size))
    np.add.at(passed, (np.arange(size), AFTER[:, 0]), first)
    np.add.at(passed, (np.arange(size), AFTER[:, 1]), 1 - first)
    passed[LAST] = 0
    start = np.eye(size)[0]
    return np.linalg.solve(np.eye(size) - passed.T, start) - start


def baseline(dataset: Dataset, settings: Settings) -> float:
    """Nats per frame when each symbol is predicted, at every frame, by how often it is legal."""
    visits = expected_visits(settings)
    return binary_entropy(visits @ LEGAL / visits.sum())


def without_memory(settings: Settings) -> float:
    """Nats per frame of a net that knows the grammar and where it is in it, but not the second symbol.

    It has to guess once a string, and there both T and P: one of them is legal.
    """
    return float(2 * math.log(2) / expected_visits(settings).sum())


DESCRIPTION = """\
Which symbols may come next in a string of the embedded Reber grammar: the last but one repeats the second.

source     generated, no licence; the embedded Reber grammar as Hochreiter and Schmidhuber (1997, section 5.1) have
           it. Their target is the symbol that came; here it is all that may come, so that a perfect prediction costs 0.
own data   none.
shapes     inputs are frames x 7, one-hot: B T P S X V E; targets are frames x 7, 1 where a symbol may come next. The
           last E is only predicted, so the shortest string has 8 frames, and one at the defaults 11 on average.
splits     generated for each trial from its coordinates; `train`, `validation` and `test` say how many. Short strings
           are common, and so in more than one split, as in the literature.
settings   loop (0.5): how likely T and S are repeated where the grammar lets them be, from 0 to 0.95; the higher, the
           longer the second symbol has to be kept. All other choices are even.
score      nats per frame, lower is better: the negative log-likelihood summed over the symbols, averaged over all
           frames. The best constant predictor scores 3.615; who knows all but the second symbol scores 0.126, so
           that memory shows only below that.
"""

TASKS.add(
    Task(
        name="reber",
        summary="diagnostic: embedded Reber grammar, the symbols that may come next",
        description=DESCRIPTION,
        loss="binary_cross_entropy",
        score="nats",
        target_position=TargetPosition.EVERY_FRAME,
        unit="nats per frame",
        generate=generate,
        baseline=baseline,
        settings={"loop": 0.5},
        groups=("diagnostics",),
    )
)
