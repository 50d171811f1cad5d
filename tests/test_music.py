"""The task `music` on the users' files: their three formats, and everything that is none of these."""

import contextlib
import json
import math
import os
import pickle
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from ablate.data.cache import open_dataset
from ablate.definitions.dataset import SPLITS, Dataset
from ablate.definitions.task import TASKS
from ablate.errors import UserError
from tasks.music import baseline, load
from tasks.sources.pianoroll import roll_of

MUSIC = TASKS["music"]

# Two short sequences in each split; a silent frame among them, and the lowest and the highest key.
PIECES = {
    "train": [[[60, 64], [], [21, 108]], [[60], [62]]],
    "valid": [[[55], [57], [59], [60, 72]], [[48, 52], [50, 53]]],
    "test": [[[60, 64, 67], [59, 62, 67], [60]], [[30], [31]]],
}


def quiet(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def read(path: Path) -> Dataset:
    return load(path, {}, quiet)


def refusal(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(UserError) as caught:
        read(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < 600
    return message


def write_json(path: Path, pieces: object) -> Path:
    path.write_text(json.dumps(pieces))
    return path


def cells(rolls: list[Any]) -> np.ndarray:
    found = np.empty((1, len(rolls)), object)
    for number, roll in enumerate(rolls):
        found[0, number] = roll
    return found


def write_mat(path: Path, convert: Callable[[np.ndarray], Any], compressed: bool = False) -> Path:
    splits = {f"{name}data": cells([convert(roll_of(s)) for s in found]) for name, found in PIECES.items()}
    savemat(path, splits, appendmat=False, do_compression=compressed)
    return path


def python2_pickle(pieces: dict[str, list[Any]]) -> bytes:
    """What cPickle of Python 2 writes (protocol 2): byte strings for names and for the bytes of NumPy's integers."""

    def text(value: bytes) -> bytes:
        return b"U" + struct.pack("<B", len(value)) + value

    kind = (
        b"cnumpy\ndtype\n"
        + text(b"i8")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"<")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )

    def key(value: int) -> bytes:
        return b"cnumpy.core.multiarray\nscalar\n" + kind + text(struct.pack("<q", value)) + b"\x86R"

    def frames(sequence: Any) -> bytes:
        return b"](" + b"".join(b"(" + b"".join(map(key, frame)) + b"t" for frame in sequence) + b"e"

    splits = (text(name.encode()) + b"](" + b"".join(map(frames, found)) + b"e" for name, found in pieces.items())
    return b"\x80\x02}(" + b"".join(splits) + b"u."


@pytest.fixture
def reference(tmp_path: Path) -> Dataset:
    return read(write_json(tmp_path / "reference.json", PIECES))


def test_the_next_frame_is_the_target(reference: Dataset) -> None:
    train = reference.splits["train"]
    np.testing.assert_array_equal(train.lengths, [2, 1])
    np.testing.assert_array_equal(train.inputs, np.concatenate([roll_of([[60, 64], []]), roll_of([[60]])]))
    np.testing.assert_array_equal(train.targets, np.concatenate([roll_of([[], [21, 108]]), roll_of([[62]])]))
    assert train.inputs.dtype == train.targets.dtype == np.uint8
    assert train.targets[1].nonzero()[0].tolist() == [0, 87]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("numbers", ["int", "numpy"])
def test_pickles(tmp_path: Path, reference: Dataset, protocol: int, numbers: str) -> None:
    path = tmp_path / "pieces.pickle"
    kind = int if numbers == "int" else np.int64
    pieces = {name: [[tuple(map(kind, f)) for f in s] for s in found] for name, found in PIECES.items()}
    path.write_bytes(pickle.dumps(pieces, protocol))
    assert read(path).hash == reference.hash


def test_a_pickle_of_python_2(tmp_path: Path, reference: Dataset) -> None:
    path = tmp_path / "pieces.pkl"
    path.write_bytes(python2_pickle(PIECES))
    assert read(path).hash == reference.hash


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("convert", [np.uint8, np.float64, np.bool_, lambda roll: csc_matrix(roll, dtype=float)])
def test_mat_files(tmp_path: Path, reference: Dataset, convert: Any, compressed: bool) -> None:
    assert read(write_mat(tmp_path / "pieces.mat", convert, compressed)).hash == reference.hash


def test_contents_count_before_the_name(tmp_path: Path, reference: Dataset) -> None:
    assert read(write_json(tmp_path / "pieces.data", PIECES)).hash == reference.hash
    assert read(write_json(tmp_path / "pieces.pkl", PIECES)).hash == reference.hash
    path = tmp_path / "pieces.json"
    path.write_bytes(python2_pickle(PIECES))
    assert read(path).hash == reference.hash
    assert read(write_mat(tmp_path / "pieces.txt", np.uint8)).hash == reference.hash


def test_the_baseline_by_hand(reference: Dataset) -> None:
    # Training targets: 3 frames, in which keys 21, 62 and 108 sound once each. Test targets: 3 frames.
    def cost(sounding: int, count: int) -> float:
        p = (count + 0.5) / 4
        return -math.log(p if sounding else 1 - p)

    counts = {21: 1, 62: 1, 108: 1}
    frames = [{59, 62, 67}, {60}, {31}]
    total = sum(cost(key in frame, counts.get(key, 0)) for frame in frames for key in range(21, 109))
    assert baseline(reference, {}) == pytest.approx(total / 3, rel=1e-12)


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        (PIECES | {"train": [[[60], [109]]]}, "frame 2 of sequence 1 of 'train' has the key 109"),
        (PIECES | {"train": [[[20], [60]]]}, "has the key 20; keys are whole numbers 21 to 108"),
        (PIECES | {"train": [[[60.5], [60]]]}, "has the key 60.5"),
        (PIECES | {"train": [[[True], [60]]]}, "has the key True"),
        (PIECES | {"train": [[["C4"], [60]]]}, "a str for a key"),
        (PIECES | {"train": [[60, 62]]}, "not a list of frames"),
        (PIECES | {"train": [{"a": 1}]}, "not a list of frames"),
        (PIECES | {"valid": [[[60], [60]], [[60]]]}, "sequence 2 of 'valid' has 1 frame(s)"),
        (PIECES | {"valid": [[]]}, "sequence 1 of 'valid' has 0 frame(s)"),
        (PIECES | {"test": []}, "'test' has no sequences"),
        (PIECES | {"test": "abc"}, "'test' is a str"),
        ({"train": PIECES["train"], "test": PIECES["test"]}, "has no validation split"),
        ([1, 2, 3], "holds a list"),
        (None, "holds a NoneType"),
    ],
)
@pytest.mark.parametrize("kind", ["json", "pkl"])
def test_unfit_pieces(tmp_path: Path, pieces: Any, reason: str, kind: str) -> None:
    path = tmp_path / f"pieces.{kind}"
    path.write_bytes(json.dumps(pieces).encode() if kind == "json" else pickle.dumps(pieces, 2))
    assert reason in refusal(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"traindata": cells([np.zeros((5, 87))])}, "has the shape (5, 87) instead of frames x 88"),
        ({"traindata": cells([np.zeros((5, 88)), np.zeros((5, 0))])}, "sequence 2 of 'traindata' has the shape (5, 0)"),
        ({"traindata": cells([np.full((5, 88), 2.0)])}, "values other than 0 and 1"),
        ({"traindata": cells([np.full((5, 88), np.nan)])}, "values other than 0 and 1"),
        ({"traindata": cells(["text"])}, "sequence 1 of 'traindata'"),
        ({"validdata": cells([np.zeros((1, 88))])}, "has 1 frame(s)"),
        ({"validdata": np.zeros((5, 88))}, "'validdata' is a ndarray instead of a list of sequences"),
        ({"testdata": np.empty((0, 0), object)}, "'testdata' has no sequences"),
        ({"testdata": None}, "has no test split"),
    ],
)
def test_unfit_mat_files(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    good = {f"{name}data": cells([roll_of(s) for s in found]) for name, found in PIECES.items()}
    path = tmp_path / "pieces.mat"
    savemat(path, {name: value for name, value in (good | change).items() if value is not None})
    assert reason in refusal(path)


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(200))


@pytest.mark.parametrize("suffix", ["mat", "json", "pkl", "pickle", "png", "txt", ""])
@pytest.mark.parametrize(
    "contents", [b"", PNG, b"Once upon a time\nthere was a text.\n", b"{", b"[" * 100_000, b"\x00" * 500, b"\xff\xfe{"]
)
def test_foreign_files(tmp_path: Path, suffix: str, contents: bytes) -> None:
    path = tmp_path / f"stranger.{suffix}"
    path.write_bytes(contents)
    assert "expected a .mat, .json or .pkl file" in refusal(path)


def test_a_file_of_matlab_7_3(tmp_path: Path) -> None:
    path = tmp_path / "new.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert "-v7" in refusal(path)


@pytest.mark.parametrize("kind", ["json", "pkl", "mat", "compressed.mat", "sparse.mat"])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, kind: str) -> None:
    whole = tmp_path / f"whole.{kind}"
    if kind.endswith("mat"):
        write_mat(whole, csc_matrix if kind == "sparse.mat" else np.float64, compressed=kind == "compressed.mat")
    else:
        whole.write_bytes(json.dumps(PIECES).encode() if kind == "json" else python2_pickle(PIECES))
    data = whole.read_bytes()
    path = tmp_path / f"cut.{kind}"
    for size in range(0, len(data), len(data) // 60):
        path.write_bytes(data[:size])
        assert "expected" in refusal(path)


@pytest.mark.parametrize("kind", ["json", "pkl"])
def test_damaged_files_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    data = np.frombuffer(json.dumps(PIECES).encode() if kind == "json" else python2_pickle(PIECES), np.uint8)
    path = tmp_path / f"damaged.{kind}"
    generator = np.random.default_rng(0)
    for _ in range(100):
        damaged = data.copy()
        damaged[generator.integers(0, len(data), 3)] = generator.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        with contextlib.suppress(UserError):
            read(path)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    assert "not a file" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "missing.json")
    assert "cannot be read" in refusal(tmp_path / ("x" * 300))
    assert "cannot be read" in refusal(tmp_path / "null\0")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "not a file" in refusal(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "missing.json"):
        with pytest.raises(UserError):
            open_dataset(MUSIC, path, {}, tmp_path / "cache", quiet)


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_json(tmp_path / "pieces.json", PIECES)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # chmod would not stop a test that runs as root
    assert "cannot be read (Permission denied)" in refusal(path)


class Attack(tuple):
    """Pickled, it asks the reader to call its first element with its second."""

    def __reduce__(self) -> Any:
        return self[0], (self[1],)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_cannot_run_code(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "mark"
    for number, function in enumerate((os.mkdir, eval, os.system)):
        path = tmp_path / f"attack{number}.pkl"
        argument = f"__import__('os').mkdir({str(mark)!r})" if function is eval else str(mark)
        path.write_bytes(pickle.dumps(PIECES | {"train": Attack((function, argument))}, protocol))
        assert "is refused" in refusal(path)
        assert not mark.exists()


def test_a_pickle_with_other_things_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "floats.pkl"
    path.write_bytes(pickle.dumps(PIECES | {"train": [[(np.float64(60),), (60,)]]}, 2))
    assert "has the key 60.0" in refusal(path)
    path.write_bytes(pickle.dumps(PIECES | {"train": np.zeros((3, 88))}, 2))
    assert "is refused" in refusal(path)
    path.write_bytes(b"\x80\x02]r\xff\xff\xff\x7f.")  # an empty list, remembered under a number of gigabytes
    assert "holds a list" in refusal(path)


def bomb(kind: str) -> bytes:
    """A pickle that is small, and that a reader who follows all its references never ends with."""
    start = b"\x80\x02"
    if kind == "a key of keys":  # ((((), ()), ((), ())), ...), of which Python takes the hash
        return start + b"})q\x00" + b"h\x00\x86q\x00" * 20_000 + b"K\x00s."
    if kind == "lists of lists":
        return start + b"]q\x00" + b"](h\x00h\x00eq\x00" * 12_000 + b"."
    if kind == "bytes of bytes":  # a text of 40 kB, of which bytes are made 10,000 times
        text = b"X" + struct.pack("<I", 40_000) + b"a" * 40_000
        made = b"h\x00h\x01X\x06\x00\x00\x00latin1\x86R"
        return start + b"c_codecs\nencode\nq\x00" + text + b"q\x01(" + made * 10_000 + b"l."
    frame = b"(K<K@K@t" if kind == "one sequence" else b"(" + b"K<" * 20_000 + b"t"
    sequence = b"](" + frame + b"q\x00" + b"h\x00" * 20_000 + b"eq\x01"
    split = b"](" + sequence + (b"h\x01" * 30_000 if kind == "one sequence" else b"") + b"eq\x02"
    names = (b"X" + struct.pack("<I", len(name)) + name for name in (b"train", b"valid", b"test"))
    first, *others = names
    return start + b"}(" + first + split + b"".join(name + b"h\x02" for name in others) + b"u."


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("a key of keys", "with a tuple in a place where none can be"),
        ("lists of lists", "holds a list instead of the three splits"),
        ("bytes of bytes", "with a number of 40000 bytes"),
        ("one sequence", "'train' has 600,050,001 frames, more than a file of"),
        ("one frame", "frame 1 of sequence 1 of 'train' has 20,000 keys; there are 88"),
    ],
)
def test_a_pickle_that_names_the_same_things_over_and_over_is_refused_at_once(
    tmp_path: Path, kind: str, said: str
) -> None:
    path = tmp_path / "bomb.pkl"
    path.write_bytes(bomb(kind))
    assert path.stat().st_size < 250_000
    started = time.monotonic()
    assert said in refusal(path)
    assert time.monotonic() - started < 10


@pytest.mark.skipif("ABLATE_JSB" not in os.environ, reason="ABLATE_JSB names no folder with the JSB Chorales")
def test_jsb_chorales() -> None:
    folder = Path(os.environ["ABLATE_JSB"])
    found = [
        read(folder / name) for name in ("JSB_Chorales.mat", "jsb-chorales-quarter.json", "jsb-chorales-quarter.pkl")
    ]
    assert {dataset.hash[:12] for dataset in found} == {"4393870e9ef6"}
    splits = found[0].splits
    assert [len(splits[split]) for split in SPLITS] == [229, 76, 77]
    assert [int(splits[split].lengths.sum()) + len(splits[split]) for split in SPLITS] == [13_807, 4_602, 4_725]
    assert baseline(found[0], {}) == pytest.approx(11.091029, abs=1e-5)
