"""The diagnostic tasks: what they ask, by plain rules of its own, and that their baselines score what theory says."""

import math
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ablate.data.generated import generate_dataset
from ablate.definitions.dataset import SPLITS, Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS
from ablate.errors import UserError
from tasks import counting, reber

NAMES = (
    "adding", "copy-memory", "temporal-order", "reber", "anbn", "parity", "timing-measure", "timing-generate",
)  # fmt: skip
SHAPES = {  # name: type and width of inputs, type and width of targets, whether those are at the end
    "adding": ("float32", 2, "float32", 1, True),
    "copy-memory": ("uint8", 10, "uint8", 1, False),
    "temporal-order": ("uint8", 8, "uint8", 1, True),
    "reber": ("uint8", 7, "uint8", 7, False),
    "anbn": ("uint8", 3, "uint8", 3, False),
    "parity": ("uint8", 1, "uint8", 1, False),
    "timing-measure": ("uint8", 1, "float32", 1, True),
    "timing-generate": ("float32", 2, "uint8", 1, False),
}


def drawn(name: str, count: int = 300, seed: int = 0, **settings: Any) -> Sequences:
    task = TASKS[name]
    assert task.generate is not None
    assert settings.keys() <= task.settings.keys()
    return task.generate(np.random.default_rng(seed), count, {**task.settings, **settings})


def each(sequences: Sequences) -> list[tuple[list, list]]:
    """Inputs and targets of one sequence after the other, as plain lists; one-hot inputs stay vectors."""
    return [(inputs.tolist(), targets.tolist()) for inputs, targets in sequences]


def read(inputs: list, symbols: str) -> str:
    """One-hot inputs as the text they stand for."""
    assert all(sorted(frame) == [0] * (len(symbols) - 1) + [1] for frame in inputs)
    return "".join(symbols[frame.index(1)] for frame in inputs)


@pytest.mark.parametrize("name", NAMES)
def test_shapes(name: str) -> None:
    task, found = TASKS[name], drawn(name)
    kind, width, target_kind, target_width, at_end = SHAPES[name]
    assert found.inputs.dtype == kind and found.inputs.shape == (found.lengths.sum(), width)
    assert found.targets.dtype == target_kind
    assert found.target_position == (TargetPosition.SEQUENCE_END if at_end else TargetPosition.EVERY_FRAME)
    assert found.targets.shape == (300 if at_end else len(found.inputs), target_width)
    assert found.lengths.dtype == np.int64 and len(found) == 300
    assert task.load is None and task.groups == ("diagnostics",)
    if task.loss == "cross_entropy":
        assert set(found.targets[:, 0]) == set(range(task.n_classes))
    assert all(len(line) <= 120 for line in task.description.splitlines())
    sections = ["source", "own data", "shapes", "splits", "settings", "score"]
    assert re.findall(r"^(\w+(?: data)?)  +\S", task.description, re.M) == sections


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_alone_decides(name: str) -> None:
    one, again, other = drawn(name, seed=1), drawn(name, seed=1), drawn(name, seed=2)
    for array in one.arrays:
        np.testing.assert_array_equal(one.arrays[array], again.arrays[array])
    assert one.inputs.shape != other.inputs.shape or (one.inputs != other.inputs).any()


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set(name: str) -> None:
    task = TASKS[name]
    sizes = {"train": 30, "validation": 10, "test": 20}
    streams: dict[str, np.random.Generator] = dict(zip(SPLITS, np.random.default_rng(0).spawn(3), strict=True))
    dataset = generate_dataset(task, streams.__getitem__, {**task.settings, **sizes})
    assert {split: len(dataset.splits[split]) for split in SPLITS} == sizes
    assert dataset.input_size == SHAPES[name][1]
    assert dataset.output_size == (task.n_classes or SHAPES[name][3])


@pytest.mark.parametrize("length", [2, 3, 50])
def test_adding(length: int) -> None:
    sequences = drawn("adding", length=length)
    assert sequences.inputs.min() >= 0 and sequences.inputs.max() <= 1
    places = Counter()
    for inputs, [[total]] in each(sequences):
        marked = [place for place, (_, mark) in enumerate(inputs) if mark == 1]
        assert len(inputs) == length and len(marked) == 2 and sum(mark for _, mark in inputs) == 2
        assert marked[0] < length // 2 <= marked[1]
        assert total == pytest.approx(sum(inputs[place][0] for place in marked), rel=1e-6)
        places.update(marked)
    assert len(places) == length


@pytest.mark.parametrize(("blank", "recall"), [(1, 1), (30, 10), (7, 3)])
def test_copy_memory(blank: int, recall: int) -> None:
    for inputs, targets in each(drawn("copy-memory", blank=blank, recall=recall)):
        text = read(inputs, "01234567_!")
        shown, recalled = text[:recall], "".join("01234567_"[target] for [target] in targets)
        assert "_" not in shown and "!" not in shown
        assert text == shown + "_" * (blank - 1) + "!" + "_" * recall
        assert recalled == "_" * (blank + recall) + shown


@pytest.mark.parametrize("length", [10, 50, 100])
def test_temporal_order(length: int) -> None:
    classes, lengths, firsts, seconds = Counter(), set(), set(), set()
    for inputs, [[target]] in each(drawn("temporal-order", 1000, length=length)):
        text = read(inputs, "abcdXYEB")
        assert re.fullmatch(r"E[abcd]*[XY][abcd]*[XY][abcd]*B", text)
        first, second = (place for place, symbol in enumerate(text) if symbol in "XY")
        assert ["XX", "XY", "YX", "YY"][target] == text[first] + text[second]
        classes[target] += 1
        lengths.add(len(text))
        firsts.add(first)
        seconds.add(second)
    assert (min(lengths), max(lengths)) == (length, length + length // 10)
    assert (min(firsts), max(firsts)) == (length // 10, length // 5)
    assert (min(seconds), max(seconds)) == (length // 2, 3 * length // 5)
    assert min(classes.values()) > 200


NODES = {  # the grammar once more, as a drawing shows it: from each node the symbols and where they lead
    0: {"B": 1},
    1: {"T": 2, "P": 3},
    2: {"S": 2, "X": 4},
    3: {"T": 3, "V": 5},
    4: {"X": 3, "S": 6},
    5: {"P": 4, "V": 6},
    6: {"E": 7},
    7: {},
}


def legal_next(text: str) -> str:
    """The symbols that may follow the beginning of a string of the embedded grammar; fails if there is none."""
    if len(text) < 2:
        assert text in ("", "B")
        return "TP" if text else "B"
    assert text[0] == "B" and text[1] in "TP"
    node = 0
    for place, symbol in enumerate(text[2:], 2):
        if node == 7:
            assert symbol == text[1] and place == len(text) - 1
            return "E"
        node = NODES[node][symbol]
    return text[1] if node == 7 else "".join(NODES[node])


@pytest.mark.parametrize("loop", [0.0, 0.5, 0.9])
def test_reber(loop: float) -> None:
    strings = set()
    for inputs, targets in each(drawn("reber", loop=loop)):
        text = read(inputs, "BTPSXVE")
        for place, target in enumerate(targets, 1):
            legal = {symbol for symbol, yes in zip("BTPSXVE", target, strict=True) if yes}
            assert legal == set(legal_next(text[:place]))
        assert legal_next(text) == "E"
        strings.add(text)
    assert {text[1] for text in strings} == {"T", "P"}
    assert ("SS" in "".join(strings)) == (loop > 0)


@pytest.mark.parametrize("string", ["BTXSE", "BPVVE", "BTSSXXTVVE", "BTXXVPSE", "BPVPXVPXVPXVVE", "BTSXXVPSE"])
def test_strings_of_the_reber_grammar(string: str) -> None:
    """Strings of the literature are legal, and so is what is generated; the wrong end is not."""
    assert legal_next(f"BT{string}T") == legal_next(f"BP{string}P") == "E"
    with pytest.raises(AssertionError):
        legal_next(f"BT{string}P")


@pytest.mark.parametrize("longest", [2, 20])
def test_anbn(longest: int) -> None:
    counts = Counter()
    for inputs, targets in each(drawn("anbn", longest=longest)):
        text = read(inputs, "Sab")
        n = text.count("a")
        assert text == "S" + n * "a" + n * "b"
        expected = ["a"] + ["ab"] * n + ["b"] * (n - 1) + ["T"]
        found = ["".join(symbol for symbol, yes in zip("abT", target, strict=True) if yes) for target in targets]
        assert found == expected
        counts[n] += 1
    assert set(counts) == set(range(1, longest + 1))


@pytest.mark.parametrize("length", [2, 20, 300])
def test_parity(length: int) -> None:
    for inputs, [[odd]] in each(drawn("parity", length=length, running=False)):
        assert len(inputs) == length
        assert odd == sum(bit for [bit] in inputs) % 2
    for inputs, targets in each(drawn("parity", length=length)):
        assert [odd for [odd] in targets] == [sum(bit for [bit] in inputs[: t + 1]) % 2 for t in range(length)]


@pytest.mark.parametrize(("interval", "spread", "spikes"), [(10, 5, 3), (50, 1, 1), (2, 3, 2)])
def test_timing_measure(interval: int, spread: int, spikes: int) -> None:
    found = Counter()
    for inputs, [[target]] in each(drawn("timing-measure", interval=interval, spread=spread, spikes=spikes)):
        times = [0] + [frame for frame, [spike] in enumerate(inputs) if spike]
        intervals = [after - before for before, after in pairwise(times)]
        assert len(intervals) == spikes and times[-1] == len(inputs) - 1
        assert all(interval <= length <= interval + spread for length in intervals)
        assert target == pytest.approx((intervals[-1] - interval) / spread)
        found[intervals[-1]] += 1
    assert set(found) == set(range(interval, interval + spread + 1))


@pytest.mark.parametrize(("interval", "spread", "periods"), [(10, 5, 4), (20, 1, 1), (2, 3, 9)])
def test_timing_generate(interval: int, spread: int, periods: int) -> None:
    cues, tempi = set(), set()
    for inputs, targets in each(drawn("timing-generate", interval=interval, spread=spread, periods=periods)):
        [cue] = [frame for frame, [cued, _] in enumerate(inputs) if cued]
        [tempo] = {tempo for _, tempo in inputs}
        length = interval + round(tempo * spread)
        assert tempo == pytest.approx((length - interval) / spread)
        spikes = [frame for frame, [spike] in enumerate(targets) if spike]
        assert spikes == [cue + k * length for k in range(1, periods + 1)]
        assert len(inputs) == spikes[-1] + 1
        cues.add(cue)
        tempi.add(length)
    assert cues == set(range(interval))
    assert tempi == set(range(interval, interval + spread + 1))


def nats(chances: np.ndarray, targets: np.ndarray) -> float:
    """Mean over frames of what constant chances cost on targets of 0 and 1, summed over their columns."""
    return float(-np.where(targets, np.log(chances), np.log1p(-chances)).sum(axis=1).mean())


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("adding", {"length": 10}),
        ("copy-memory", {"blank": 5}),
        ("temporal-order", {"length": 10}),
        ("reber", {}),
        ("reber", {"loop": 0.8}),
        ("reber", {"loop": 0.0}),
        ("anbn", {}),
        ("anbn", {"longest": 3}),
        ("parity", {}),
        ("parity", {"running": False}),
        ("timing-measure", {}),
        ("timing-measure", {"spread": 1}),
        ("timing-generate", {}),
        ("timing-generate", {"interval": 25, "spread": 2, "periods": 1}),
    ],
)
def test_the_baseline_is_what_its_predictor_scores(name: str, settings: dict[str, Any]) -> None:
    """On 20,000 sequences; no baseline looks at the data, so a constant fitted to these is the best there is."""
    task = TASKS[name]
    targets = drawn(name, 20_000, **settings).targets.astype(np.float64)
    if task.loss == "squared_error":
        constant = {"adding": 1.0, "timing-measure": 0.5}[name]
        score = float(((targets - constant) ** 2).mean())
        assert targets.mean() == pytest.approx(constant, rel=0.01)
    elif task.loss == "binary_cross_entropy":
        score = nats(targets.mean(axis=0), targets)
    elif name == "copy-memory":
        score = float((targets < 8).mean() * math.log(8))
    else:
        right = 100 * (targets == 0).mean()
        score = float(right if task.score == "accuracy" else 100 - right)
    nothing = Dataset({}, "", 0, 0, hash="none")
    assert task.baseline(nothing, {**task.settings, **settings}) == pytest.approx(score, rel=0.015)


def test_what_is_reached_without_memory() -> None:
    """The second figures of the descriptions, from predictors that see what their docstrings allow."""
    text = TASKS["reber"].description
    strings = [read(inputs, "BTPSXVE") for inputs, _ in each(drawn("reber", 5000))]
    frames = sum(map(len, strings))
    # One guess a string, after the inner E: both T and P cost ln 2. No other frame depends on the second symbol.
    assert reber.without_memory({"loop": 0.5}) == pytest.approx(len(strings) * 2 * math.log(2) / frames, rel=0.02)
    assert f"{reber.without_memory({'loop': 0.5}):.3f}" in text

    sequences = drawn("anbn", 20_000)
    after_b = sequences.targets[sequences.inputs[:, 2] == 1]
    score = nats(after_b[:, 1:].mean(axis=0), after_b[:, 1:]) * len(after_b) / len(sequences.targets)
    assert counting.without_counting({"longest": 20}) == pytest.approx(score, rel=0.015)
    assert f"{counting.without_counting({'longest': 20}):.3f}" in TASKS["anbn"].description


@pytest.mark.parametrize("name", ["copy-memory", "reber", "anbn", "timing-measure", "timing-generate"])
def test_the_baseline_of_the_description(name: str) -> None:
    task = TASKS[name]
    score = task.baseline(Dataset({}, "", 0, 0, hash="none"), task.settings)
    assert re.search(rf"\b{score:.3f}\b", task.description)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("adding", "length", 1),
        ("adding", "length", 10**9),
        ("adding", "length", 50.5),
        ("copy-memory", "blank", 0),
        ("copy-memory", "recall", 0),
        ("temporal-order", "length", 9),
        ("reber", "loop", -0.1),
        ("reber", "loop", 1.0),
        ("reber", "loop", math.nan),
        ("anbn", "longest", 1),
        ("parity", "length", 1),
        ("timing-measure", "interval", 1),
        ("timing-measure", "spread", 0),
        ("timing-measure", "spikes", 0),
        ("timing-generate", "interval", -3),
        ("timing-generate", "spread", 0),
        ("timing-generate", "periods", 0),
    ],
)
def test_settings_that_cannot_be(name: str, key: str, value: Any) -> None:
    with pytest.raises(UserError) as caught:
        drawn(name, **{key: value})
    message = str(caught.value)
    assert message.startswith(f"settings.{name}.{key} is {value}; it must be from ") and "\n" not in message
