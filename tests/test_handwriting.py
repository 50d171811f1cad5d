"""The task `handwriting` on its embedded pen digits; the frames, labels and notes of any lines; the baseline."""

from dataclasses import replace

import numpy as np
import pytest

from ablate.definitions.dataset import SPLITS, Dataset
from ablate.errors import UserError
from tasks.handwriting import baseline, fingerprint, load
from tasks.sources.ink import Line, dataset_of, frames_of
from tasks.sources.pendigits import FILE, PITCH, draw_strings, read_digits

SETTINGS = {"train": 1000, "validation": 200, "test": 400}
MOST = {"train": 1449, "validation": 483, "test": 494}
TRACES = 10_992


def quiet(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(None, SETTINGS, quiet)


def lines_of(*texts: str, frames: int = 4) -> list[Line]:
    return [Line(np.arange(4.0 * frames).reshape(frames, 4), text) for text in texts]


def dataset(train: list[Line], validation: list[Line] | None = None, test: list[Line] | None = None) -> Dataset:
    return dataset_of({"train": train, "validation": validation or train, "test": test or train}, "source")


def test_the_embedded_traces() -> None:
    with np.load(FILE) as arrays:
        points, labels = arrays["points"], arrays["digits"]
    assert points.shape == (TRACES, 8, 2) and points.dtype == labels.dtype == np.uint8
    assert (points.min(axis=1) == 0).all() and (points.max(axis=1) == 100).all()  # each fills its box
    assert np.bincount(labels).tolist() == [1143, 1143, 1144, 1055, 1144, 1055, 1056, 1142, 1055, 1055]
    # The first row of the data set as UCI has it.
    assert points[0].ravel().tolist() == [47, 100, 27, 81, 57, 37, 26, 0, 0, 23, 56, 53, 100, 90, 40, 98]
    assert labels[0] == 8


def test_shapes_and_labels(digits: Dataset) -> None:
    assert (digits.input_size, digits.output_size, digits.class_names) == (4, 11, tuple("0123456789"))
    assert digits.notes == ()
    for split, strings in digits.splits.items():
        assert strings.target_lengths is not None
        assert len(strings) == SETTINGS[split] == len(strings.target_lengths)
        assert strings.inputs.dtype == np.float32 and strings.inputs.shape == (strings.lengths.sum(), 4)
        assert strings.targets.dtype == np.uint8 and strings.targets.shape == (strings.target_lengths.sum(), 1)
        assert strings.lengths.dtype == strings.target_lengths.dtype == np.int64
        assert set(strings.targets.ravel()) == set(range(10))
        assert set(strings.target_lengths) == {3, 4, 5, 6}
        np.testing.assert_array_equal(strings.lengths, 8 * strings.target_lengths)  # every string can be aligned
        np.testing.assert_allclose(strings.inputs.mean(axis=0), 0, atol=1e-5 if split == "train" else 0.1)
        np.testing.assert_allclose(strings.inputs.std(axis=0), 1, atol=1e-4 if split == "train" else 0.1)


def test_the_frames_of_a_string_by_hand() -> None:
    (string,) = draw_strings(TRACES, {"train": 1, "validation": 1, "test": 1})["train"]
    (line,) = read_digits({"train": 1, "validation": 1, "test": 1})["train"]
    with np.load(FILE) as arrays:
        points, labels = arrays["points"].astype(int), arrays["digits"]
    assert line.text == "".join(map(str, labels[string]))
    x, y = line.frames[:, :2].cumsum(axis=0).T.reshape(2, -1, 8)  # from the string's first point on
    for place, trace in enumerate(string):
        np.testing.assert_array_equal(x[place] + points[string[0], 0, 0], points[trace, :, 0] + place * PITCH)
        np.testing.assert_array_equal(y[place] + points[string[0], 0, 1], points[trace, :, 1])
    np.testing.assert_array_equal(line.frames[:, 2], np.tile(range(8), len(string)))
    np.testing.assert_array_equal(line.frames[:, 3], np.tile([0] * 7 + [1], len(string)))


def test_no_trace_is_used_twice() -> None:
    strings = draw_strings(TRACES, MOST)
    used = np.concatenate([string for split in SPLITS for string in strings[split]])
    assert len(used) == len(set(used)) and len(used) > TRACES - 3 * 6
    assert [len(strings[split]) for split in SPLITS] == list(MOST.values())


def test_fewer_strings_are_the_first_of_more(digits: Dataset) -> None:
    few = draw_strings(TRACES, {"train": 5, "validation": 1, "test": 7})
    many = draw_strings(TRACES, MOST)
    for split in SPLITS:
        for one, other in zip(few[split], many[split], strict=False):
            np.testing.assert_array_equal(one, other)
    assert load(None, SETTINGS, quiet).hash == digits.hash


@pytest.mark.parametrize("split", SPLITS)
def test_no_more_strings_than_the_traces_make(split: str) -> None:
    for count in (0, MOST[split] + 1):
        with pytest.raises(UserError, match=rf"{split} = {count}; its pen digits make 1 to {MOST[split]} strings"):
            load(None, SETTINGS | {split: count}, quiet)


def test_frames_by_hand() -> None:
    strokes = [[(5, 5, 2.0), (7, 4, 2.1)], [(1, 9, 3.0)], [(2, 9, 7.5), (2, 10, 7.6), (0, 10, 7.8)]]
    expected = [
        (0, 0, 0, 0),
        (2, -1, 0.1, 1),
        (-6, 5, 0, 1),
        (1, 0, 0, 0),
        (0, 1, 0.1, 0),
        (-2, 0, 0.3, 1),
    ]
    np.testing.assert_allclose(frames_of([np.array(stroke, float) for stroke in strokes]), expected, atol=1e-12)


def test_normalised_by_training_only() -> None:
    generator = np.random.default_rng(0)
    train, other = ([Line(generator.normal(m, s, (50, 4)), "a")] for m, s in ((3, 2), (-5, 7)))
    splits = dataset(train, other, other).splits
    np.testing.assert_allclose(splits["train"].inputs.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(splits["train"].inputs.std(axis=0), 1, atol=1e-6)
    expected = (other[0].frames - train[0].frames.mean(axis=0)) / train[0].frames.std(axis=0)
    np.testing.assert_allclose(splits["test"].inputs.astype(float), expected, rtol=1e-5)


def test_an_input_that_never_changes_is_not_divided_by_zero() -> None:
    line = Line(np.ones((3, 4)), "a")
    assert (dataset([line]).splits["train"].inputs == 0).all()


def test_too_short_lines_are_kept_and_counted() -> None:
    # Four frames: "abcd" needs four, "abb" too (a blank between the b's), "aabb" six, "abcde" five.
    lines = lines_of("abcd", "abb", "aabb", "abcde")
    found = dataset(lines, lines[:2], lines[2:3])
    assert [line.too_short for line in lines] == [False, False, True, True]
    assert [len(found.splits[split]) for split in SPLITS] == [4, 2, 1]
    assert found.notes == (
        "2 of 4 training lines are too short for their label: they are not trained on, and count in the scores",
        "1 of 1 test lines are too short for their label: they count in the scores",
    )


def test_characters_that_training_lacks_come_last() -> None:
    found = dataset(lines_of("cab"), lines_of("aZ"), lines_of("Y", "YbZ"))
    assert found.class_names == ("a", "b", "c", "Y", "Z") and found.output_size == 6
    assert found.splits["test"].targets.ravel().tolist() == [3, 3, 1, 4]
    assert found.notes == (
        "1 validation characters are of kinds that no training line has (YZ)",
        "3 test characters are of kinds that no training line has (YZ)",
    )


def test_too_many_characters() -> None:
    with pytest.raises(UserError, match="source: 300 different characters; at most 255"):
        dataset(lines_of("".join(map(chr, range(300, 600)))))


def edit_distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row, above = [i], row
        for j, b in enumerate(other, 1):
            row.append(min(row[-1] + 1, above[j] + 1, above[j - 1] + (a != b)))
    return row[-1]


def test_the_baseline_against_edit_distances() -> None:
    generator = np.random.default_rng(1)
    texts = ["".join(generator.choice(list("aaabc"), generator.integers(1, 9))) for _ in range(60)]
    train, test = texts[:40], texts[40:]

    def error(answer: str, labels: list[str]) -> float:
        return 100 * sum(edit_distance(answer, label) for label in labels) / sum(map(len, labels))

    best = min((c * n for c in "abc" for n in range(9)), key=lambda answer: error(answer, train))
    found = baseline(dataset(lines_of(*train), test=lines_of(*test)), {})
    assert isinstance(found, float) and len(best) > 1
    assert found == pytest.approx(error(best, test), rel=1e-12)


def test_the_baseline_by_hand() -> None:
    assert baseline(dataset(lines_of("a", "b", "c")), {}) == pytest.approx(200 / 3)  # one of three is right
    # `a` is best in training, and right nowhere in the test: as bad as an empty answer.
    assert baseline(dataset(lines_of("a", "ab"), test=lines_of("bb")), {}) == 100


def test_the_baseline_of_pen_digits(digits: Dataset) -> None:
    assert baseline(digits, SETTINGS) == pytest.approx(90.4255319, abs=1e-6)
    read_only = {split: replace(s, targets=np.asarray(s.targets).copy()) for split, s in digits.splits.items()}
    for sequences in read_only.values():
        sequences.targets.flags.writeable = False  # as the cache gives them
    assert baseline(replace(digits, splits=read_only), SETTINGS) == baseline(digits, SETTINGS)


def test_the_fingerprint_is_of_the_embedded_file() -> None:
    assert fingerprint(None) == "0c42d2c4bc8bbc5e9fa8a34660ad988d6f3cc54cf001e0bb428a02f4caa8a077"
