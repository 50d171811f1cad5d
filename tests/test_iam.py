"""The loader of IAM-OnDB, on small trees in its true formats; and everything that is none of these."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ablate.data.cache import open_dataset
from ablate.definitions.dataset import SPLITS, Dataset
from ablate.definitions.task import TASKS
from ablate.errors import UserError
from tasks.handwriting import fingerprint, load
from tasks.sources.iam import PUBLISHED, read_iam
from tasks.sources.ink import Line

SETTINGS = {"train": 1000, "validation": 200, "test": 400}

XML = """\
<?xml version="1.0" encoding="ISO-8859-1"?>
<WhiteboardCaptureSession>
  <WhiteboardDescription>
    <SensorLocation corner="top_left"/>
    <DiagonallyOppositeCoords x="6512" y="1376"/>
    <VerticallyOppositeCoords x="966" y="1376"/>
    <HorizontallyOppositeCoords x="6512" y="787"/>
  </WhiteboardDescription>
  <StrokeSet>
{strokes}  </StrokeSet>
</WhiteboardCaptureSession>
"""
Points = list[tuple[int, int, float]]
# An even and an odd number of points, and a single one.
STROKES: list[Points] = [
    [(10, 20, 769.05), (11, 21, 769.07), (13, 19, 769.08), (14, 18, 769.10)],
    [(20, 30, 770.00), (21, 30, 770.01), (23, 30, 770.02), (24, 31, 770.04), (26, 33, 770.05)],
    [(30, 20, 772.50)],
]
# Kept are points 1, 3 and 4 of the first stroke, 1, 3 and 5 of the second, and that of the third.
FRAMES = [
    (0, 0, 0, 0),
    (3, -1, 0.03, 0),
    (1, -1, 0.05, 1),
    (6, 12, 0, 0),
    (3, 0, 0.02, 0),
    (3, 3, 0.05, 1),
    (4, -13, 0, 1),
]
# The board of each list, and its lines.
BOARDS = {
    "trainset.txt": {"a01-000u": ["By Trevor", "A MOVE to stop"], "h02-037": ["Wills."]},
    "testset_v.txt": {"b04-010z": ["Move, now"]},
    "testset_t.txt": {"c03-021a": ["Tom", "pots"]},
    "testset_f.txt": {"p06-242x": ["Bet"]},
}


def quiet(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def xml_of(strokes: list[Points]) -> str:
    def one(points: Points) -> str:
        inner = "".join(f'      <Point x="{x}" y="{y}" time="{time:.2f}"/>\n' for x, y, time in points)
        times = f'start_time="{points[0][2]:.2f}" end_time="{points[-1][2]:.2f}"' if points else ""
        return f'    <Stroke colour="black" {times}>\n{inner}    </Stroke>\n'

    return XML.format(strokes="".join(map(one, strokes)))


def text_file(root: Path, board: str) -> Path:
    return root / "ascii" / board[:3] / board[:7] / f"{board}.txt"


def stroke_file(root: Path, board: str, number: int) -> Path:
    return root / "lineStrokes" / board[:3] / board[:7] / f"{board}-{number:02d}.xml"


def write_board(root: Path, board: str, lines: list[str]) -> None:
    """A board whose k-th line has k times the strokes; its OCR block reads otherwise than its CSR block."""
    text = text_file(root, board)
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text("OCR:\n\nnever\nto be\nread\nat all\n\n\nCSR:\n\n" + "\n".join(lines) + "\n\n", encoding="ascii")
    for number in range(1, len(lines) + 1):
        file = stroke_file(root, board, number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(xml_of(STROKES * number), encoding="iso-8859-1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "iam"
    for name, boards in BOARDS.items():
        for board, lines in boards.items():
            write_board(root, board, lines)
        (root / name).write_text("\n".join(boards) + "\n")
    return root


def read(root: Path) -> dict[str, list[Line]]:
    return read_iam(root, quiet)[0]


def texts(lines: dict[str, list[Line]]) -> dict[str, list[str]]:
    return {split: [line.text for line in found] for split, found in lines.items()}


TEXTS = {
    "train": ["By Trevor", "A MOVE to stop", "Wills."],
    "validation": ["Move, now", "Tom", "pots"],
    "test": ["Bet"],
}


def test_layout_and_splits(root: Path) -> None:
    lines = read(root)
    assert texts(lines) == TEXTS  # the CSR block, in the order of the lists, the two validation lists joined
    assert [len(line.frames) for line in lines["train"]] == [7, 14, 7]  # the k-th line belongs to file k


def test_frames_by_hand(root: Path) -> None:
    (line,) = read(root)["test"]
    np.testing.assert_allclose(line.frames, FRAMES, atol=1e-9)


def test_the_data_set(root: Path) -> None:
    dataset = load(root, SETTINGS, quiet)
    assert dataset.source == str(root) and dataset.input_size == 4
    # The characters of the training lines in order, then what only validation has.
    assert "".join(dataset.class_names) == " .ABEMOTVWeiloprstvy" + ",mnw"
    assert dataset.output_size == len(dataset.class_names) + 1
    for split in SPLITS:
        sequences = dataset.splits[split]
        found = "".join(dataset.class_names[number] for number in sequences.targets.ravel())
        assert found == "".join(TEXTS[split])
        assert sequences.target_lengths is not None
        assert sequences.target_lengths.tolist() == [len(text) for text in TEXTS[split]]
    train = np.concatenate([FRAMES, FRAMES, FRAMES, FRAMES])
    train[14, :2] = (10 - 30, 20 - 20)  # the second line has all strokes twice, and goes on from where it was
    expected = (np.array(FRAMES) - train.mean(axis=0)) / train.std(axis=0)
    np.testing.assert_allclose(dataset.splits["test"].inputs.astype(float), expected, rtol=1e-5, atol=1e-6)


def test_the_counts_are_checked_and_reported(root: Path) -> None:
    notes = load(root, SETTINGS, quiet).notes
    assert notes[0].startswith("3 / 3 / 1 lines and 24 characters, which differs from the published")
    assert notes[0].endswith("5,355 / 2,956 / 3,859 lines and 81 characters")
    # 7, 14 and 7 frames for 9, 14 and 6 characters: only the first is too short.
    assert (
        "1 of 3 training lines are too short for their label: they are not trained on, and count in the scores" in notes
    )
    assert "1 of 3 validation lines are too short for their label: they count in the scores" in notes
    assert any(note.startswith("4 validation characters are of kinds that no training line has (") for note in notes)


def test_counts_as_published(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, count in zip(SPLITS, (3, 3, 1), strict=True):
        monkeypatch.setitem(PUBLISHED, split, count)
    monkeypatch.setattr("tasks.sources.iam.PUBLISHED_CHARACTERS", 24)
    assert read_iam(root, quiet)[1] == ["3 / 3 / 1 lines and 24 characters, as published"]


def test_one_board_is_left_out(root: Path) -> None:
    write_board(root, "a08-551z", ["%%%%%%%%"])
    with (root / "trainset.txt").open("a") as file:
        file.write("a08-551z\n")
    lines, notes = read_iam(root, quiet)
    assert texts(lines) == TEXTS
    assert notes[1:] == ["the board a08-551z is left out"]
    shutil.rmtree(root / "ascii" / "a08")  # it need not even be there
    assert texts(read(root)) == TEXTS


def move(root: Path, *pairs: tuple[str, str]) -> None:
    for source, target in pairs:
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        (root / source).rename(root / target)


@pytest.mark.parametrize(
    "pairs",
    [
        [(name, f"task1/{name}") for name in BOARDS],
        [("ascii", "ascii-all"), ("lineStrokes", "lineStrokes-all")],
        [("ascii", "ascii-all/ascii"), ("lineStrokes", "lineStrokes-all/lineStrokes")],
    ],
)
def test_other_layouts(root: Path, pairs: list[tuple[str, str]]) -> None:
    expected = load(root, SETTINGS, quiet)
    move(root, *pairs)
    assert load(root, SETTINGS, quiet).hash == expected.hash


@pytest.mark.parametrize("ending", ["\n", "\r\n", " \r\n"])
def test_line_endings(root: Path, ending: str) -> None:
    for file in [*root.glob("*.txt"), *root.glob("ascii/*/*/*.txt")]:
        file.write_bytes(file.read_text().replace("\n", ending).encode())
    assert texts(read(root)) == TEXTS


def test_only_the_truth_needs_its_encoding(root: Path) -> None:
    file = text_file(root, "a01-000u")
    file.write_bytes(file.read_bytes().replace(b"never", b"n\xe9ver"))
    assert texts(read(root)) == TEXTS


def test_a_text_without_ink_is_counted(root: Path) -> None:
    stroke_file(root, "c03-021a", 1).unlink()
    lines, notes = read_iam(root, quiet)
    assert texts(lines) == TEXTS | {"validation": ["Move, now", "pots"]}
    assert "1 lines of text have no stroke file, and are not part of the data" in notes
    assert len(lines["validation"][1].frames) == 14  # still the second


def test_a_stroke_without_points_is_nothing(root: Path) -> None:
    stroke_file(root, "p06-242x", 1).write_text(xml_of([[], *STROKES, []]), encoding="iso-8859-1")
    np.testing.assert_allclose(read(root)["test"][0].frames, FRAMES, atol=1e-9)


def test_the_cache_and_the_fingerprint(root: Path, tmp_path: Path) -> None:
    def opened() -> Dataset:
        return open_dataset(TASKS["handwriting"], root, SETTINGS, tmp_path / "cache", quiet)

    first, before = opened(), fingerprint(root)
    again = opened()
    assert (again.hash, again.notes, again.class_names) == (first.hash, first.notes, first.class_names)
    assert again.splits["train"].target_lengths is not None
    for file in (text_file(root, "a01-000u"), stroke_file(root, "a01-000u", 1), root / "trainset.txt"):
        file.write_text(file.read_text(encoding="iso-8859-1") + "\n", encoding="iso-8859-1")
        assert fingerprint(root) != before
        before = fingerprint(root)


def refusal(root: Path, file: Path) -> str:
    """The one line with which a tree is refused; it names the file."""
    with pytest.raises(UserError) as caught:
        read(root)
    message = str(caught.value)
    assert str(file) in message and "\n" not in message and len(message) < 700
    return message


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "an empty file"),
        (b" \n\n", "an empty file"),
        (b"OCR:\nBy Trevor\n", "no line 'CSR:'"),
        ("CSR:\nBy Trevor\nA MOVE\n".encode("utf-16"), "no line 'CSR:' in ASCII"),
        (b"OCR:\nx\nCSR:\n\n  \n", "no text after the line 'CSR:'"),
        ("CSR:\n\nBy Trévor\nA MOVE\n".encode(), "not ASCII text (byte 0xc3)"),
        (b"CSR:\n\n\xa3 5\nA MOVE\n", "not ASCII text (byte 0xa3)"),
    ],
)
def test_unfit_texts(root: Path, contents: bytes, reason: str) -> None:
    file = text_file(root, "a01-000u")
    file.write_bytes(contents)
    assert reason in refusal(root, file)


GOOD = xml_of(STROKES)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ("", "an empty file"),
        (GOOD[: len(GOOD) // 2], "malformed XML (unclosed token"),
        (GOOD.replace("</Stroke>", "", 1), "malformed XML (mismatched tag"),
        ("By Trevor", "malformed XML (syntax error"),
        (GOOD.replace("ISO-8859-1", "no-such"), "malformed XML (unknown encoding"),
        ("<html><body>404</body></html>", "no points"),
        (xml_of([]), "no points"),
        (xml_of([[]]), "no points"),
        (GOOD.replace(' time="769.07"', ""), "a point without a proper number ('time')"),
        (GOOD.replace('x="11"', 'x="eleven"'), "a point without a proper number (could not convert"),
        (GOOD.replace('x="11"', 'x="nan"'), "not finite"),
        (GOOD.replace('x="11"', 'x="1e999"'), "not finite"),
    ],
)
def test_unfit_strokes(root: Path, contents: str, reason: str) -> None:
    file = stroke_file(root, "a01-000u", 2)
    file.write_text(contents, encoding="iso-8859-1")
    assert reason in refusal(root, file)


def test_a_stroke_file_cut_off_anywhere_is_refused(root: Path) -> None:
    file = stroke_file(root, "a01-000u", 1)
    for size in range(0, len(GOOD.rstrip()), 150):
        file.write_text(GOOD[:size])
        refusal(root, file)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "an empty file"),
        (b"a01-000u\nh02-037\nz99-999z\n", "z99/z99-999/z99-999z.txt: missing, though"),
        (b"a01-000u\na01-000u\n", "names a01-000u again"),
        (b"a01-000u\nb04-010z\n", "names b04-010z again"),
        (b"a01-000u\n../../etc\n", "'../../etc' is not a board"),
        (b"a01-000u-01\n", "'a01-000u-01' is not a board"),
        ("a01-000u\n".encode("utf-16"), "not ASCII text (byte 0xff)"),
    ],
)
def test_unfit_lists(root: Path, contents: bytes, reason: str) -> None:
    file = root / "trainset.txt"
    file.write_bytes(contents)
    if b"b04-010z" in contents:
        file = root / "testset_v.txt"  # the second to name it
    assert reason in refusal(root, file)


def test_a_split_without_lines(root: Path) -> None:
    (root / "testset_f.txt").write_text("a08-551z\n")
    assert "no lines for test: testset_f.txt hold only a08-551z" in refusal(root, root)


def test_a_missing_text_names_the_list_too(root: Path) -> None:
    text_file(root, "b04-010z").unlink()
    message = refusal(root, text_file(root, "b04-010z"))
    assert str(root / "testset_v.txt") in message


def test_a_board_without_ink(root: Path) -> None:
    stroke_file(root, "b04-010z", 1).unlink()
    assert "no b04-010z-01.xml" in refusal(root, root / "testset_v.txt")


def test_ink_without_its_text(root: Path) -> None:
    file = stroke_file(root, "b04-010z", 2)
    shutil.copy(stroke_file(root, "b04-010z", 1), file)
    assert "its text is missing" in refusal(root, file)


@pytest.mark.parametrize("name", BOARDS)
def test_a_missing_list(root: Path, name: str) -> None:
    (root / name).unlink()
    assert f"looked for the list(s) {name};" in refusal(root, root)
    assert fingerprint_refusal(root) == refusal(root, root)


def fingerprint_refusal(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        fingerprint(root)
    return str(caught.value)


@pytest.mark.parametrize(
    "change", [lambda folder: shutil.rmtree(folder), lambda folder: folder.rename(folder / "../x")]
)
@pytest.mark.parametrize("name", ["ascii", "lineStrokes"])
def test_a_missing_folder(root: Path, name: str, change: Callable[[Path], None]) -> None:
    change(root / name)
    assert f"looked for a folder {name} or {name}-all/{name}" in refusal(root, root)


def test_paths_that_are_not_the_data_set(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    message = refusal(tmp_path / "empty", tmp_path / "empty")
    assert "looked for the list(s) trainset.txt, testset_v.txt, testset_t.txt, testset_f.txt" in message
    assert "sub-folders" in message and "expected the folder that holds ascii, lineStrokes" in message
    assert "cannot be read as a folder" in refusal(tmp_path / "missing", tmp_path / "missing")
    assert "cannot be read as a folder" in refusal(root / "trainset.txt", root / "trainset.txt")
    assert "cannot be read as a folder" in refusal(tmp_path / "null\0", tmp_path)
