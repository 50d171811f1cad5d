"""The IAM On-Line Handwriting Database (IAM-OnDB, Liwicki and Bunke 2005), read from a user's copy.

The folder holds the text of each board, `ascii/a01/a01-000/a01-000u.txt`; the ink of its lines,
`lineStrokes/a01/a01-000/a01-000u-01.xml` and on; and, beside them or in a folder of their own, the four lists of the
recognition task IAM-OnDB-t1. A text has two blocks, what a recogniser once made of the board (`OCR:`) and what was
written (`CSR:`); the k-th non-empty line after `CSR:` is that of stroke file k.

The lines are those of Graves et al. (2009) and Greff et al. (2017): both validation lists are one split, the board
a08-551z is left out, and of each stroke every second point is kept, and always its last.

A stroke file without its line of text would be ink of unknown meaning, and is refused; a line of text without its
stroke file has nothing to be read from, and is counted in the notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ablate.definitions.task import ProgressCallback
from ablate.errors import UserError
from ablate.files import files_fingerprint, read_file
from tasks.sources.ink import Line, Stroke, frames_of

LISTS = {
    "train": ("trainset.txt",),
    "validation": ("testset_v.txt", "testset_t.txt"),
    "test": ("testset_f.txt",),
}
LEFT_OUT = "a08-551z"  # its text is cut by rows of `%`, and two of its lines are damaged
PUBLISHED = {"train": 5355, "validation": 2956, "test": 3859}  # lines
PUBLISHED_CHARACTERS = 81
# As the archives are unpacked: together, or each into a folder of its name.
TEXTS = ("ascii", "ascii-all/ascii", "ascii-all")
STROKES = ("lineStrokes", "lineStrokes-all/lineStrokes", "lineStrokes-all")

BOARD = re.compile(r"(([a-z]\d\d)-\d{3})[a-z]?")


def read_iam(root: Path, progress: ProgressCallback) -> tuple[dict[str, list[Line]], list[str]]:
    """The lines of each split in the order of the lists, and what a reader should know of this copy.

    Raises UserError for a folder without the data set, a list, text or stroke file that is missing or damaged, a list
    that names a board twice or one that is not there, and a stroke file without its line of text.
    """
    boards = _boards(_lists(root))
    texts, strokes = _folder(root, TEXTS), _folder(root, STROKES)
    lines: dict[str, list[Line]] = {split: [] for split in LISTS}
    without_ink = 0
    for done, (board, (split, source)) in enumerate(boards.items()):
        progress("reading IAM-OnDB", done, len(boards))
        if board == LEFT_OUT:
            continue
        found, missing = _read_board(texts, strokes, board, source)
        lines[split] += found
        without_ink += missing
    progress("reading IAM-OnDB", len(boards), len(boards))
    for split, found in lines.items():
        if not found:
            raise UserError(f"{root}: no lines for {split}: {' and '.join(LISTS[split])} hold only {LEFT_OUT}")
    notes = [f"the board {LEFT_OUT} is left out"] if LEFT_OUT in boards else []
    if without_ink:
        notes.append(f"{without_ink:,} lines of text have no stroke file, and are not part of the data")
    return lines, [_counts(lines), *notes]


def _counts(lines: dict[str, list[Line]]) -> str:
    """The numbers of lines and characters beside the published ones."""
    characters = len(set("".join(line.text for found in lines.values() for line in found)))
    counts = {split: len(found) for split, found in lines.items()}
    found = f"{' / '.join(f'{count:,}' for count in counts.values())} lines and {characters} characters"
    if (counts, characters) == (PUBLISHED, PUBLISHED_CHARACTERS):
        return f"{found}, as published"
    published = " / ".join(f"{count:,}" for count in PUBLISHED.values())
    return f"{found}, which differs from the published {published} lines and {PUBLISHED_CHARACTERS} characters"


def fingerprint(root: Path) -> str:
    """What identifies the copy: the names, sizes and times of change of its files. Raises UserError."""
    files = [file for lists in _lists(root).values() for file in lists]
    for names, ending in ((TEXTS, "txt"), (STROKES, "xml")):
        files += _folder(root, names).glob(f"*/*/*.{ending}")
    return files_fingerprint(files)


def _folder(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise UserError(f"{root}: no IAM-OnDB: looked for a folder {' or '.join(names)} in it; {_expected()}")


def _lists(root: Path) -> dict[str, list[Path]]:
    """The files of the lists by split: in the folder itself, or all in the same one of its sub-folders."""
    names = [name for lists in LISTS.values() for name in lists]
    try:
        folders = [root, *sorted(folder for folder in root.iterdir() if folder.is_dir())]
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{root}: cannot be read as a folder ({reason}); {_expected()}") from error
    # Of several incomplete places the message names what the best of them lacks.
    lacks, folder = min(
        (([name for name in names if not (folder / name).is_file()], folder) for folder in folders),
        key=lambda found: len(found[0]),
    )
    if lacks:
        where = f"{root} and its sub-folders" if len(lacks) == len(names) else f"{folder}"
        raise UserError(f"{where}: no IAM-OnDB: looked for the list(s) {', '.join(lacks)}; {_expected()}")
    return {split: [folder / name for name in lists] for split, lists in LISTS.items()}


def _expected() -> str:
    return "expected the folder that holds ascii, lineStrokes and the four lists of the task IAM-OnDB-t1"


def _read(file: Path) -> bytes:
    data = read_file(file)
    if not data.strip():
        raise UserError(f"{file}: an empty file; complete the copy")
    return data


def _text(file: Path, data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as error:
        found = f"byte {data[error.start]:#04x}"
        raise UserError(f"{file}: not ASCII text ({found}); expected the file as IAM-OnDB has it") from None


def _boards(lists: dict[str, list[Path]]) -> dict[str, tuple[str, Path]]:
    """The split of each board, and the list that names it."""
    boards: dict[str, tuple[str, Path]] = {}
    for split, files in lists.items():
        for file in files:
            for board in _text(file, _read(file)).split():
                if not BOARD.fullmatch(board):
                    raise UserError(f"{file}: {board!r:.40} is not a board; expected one a line, such as a01-000u")
                if board in boards:
                    raise UserError(f"{file}: names {board} again, after {boards[board][1]}; no board may be in two")
                boards[board] = (split, file)
    return boards


def _read_board(texts: Path, strokes: Path, board: str, source: Path) -> tuple[list[Line], int]:
    """The lines of a board, and how many lines of its text have no stroke file."""
    match = BOARD.fullmatch(board)
    assert match is not None
    place = Path(match[2]) / match[1]
    text, ink = texts / place / f"{board}.txt", strokes / place
    if not text.is_file():
        raise UserError(f"{text}: missing, though {source} names the board; complete the copy, or the list")
    truth = _read_truth(text)
    files = {int(file.stem.rsplit("-", 1)[1]): file for file in ink.glob(f"{board}-[0-9][0-9].xml")}
    if not files:
        raise UserError(f"{ink}: no {board}-01.xml, though {source} names the board; complete the copy, or the list")
    for number, file in files.items():
        if not 1 <= number <= len(truth):
            raise UserError(f"{file}: its text is missing: {text} has {len(truth)} lines after 'CSR:'; complete it")
    lines = [Line(frames_of(_read_strokes(file)), truth[number - 1]) for number, file in sorted(files.items())]
    return lines, len(truth) - len(lines)


def _read_truth(file: Path) -> list[str]:
    """The non-empty lines after `CSR:`; what is before is of no interest, whatever its encoding."""
    _, *blocks = re.split(rb"^CSR:", _read(file), maxsplit=1, flags=re.MULTILINE)
    if not blocks:
        raise UserError(f"{file}: no line 'CSR:' in ASCII; expected a text file as IAM-OnDB has it")
    lines = [line.strip() for line in _text(file, blocks[0]).split("\n") if line.strip()]
    if not lines:
        raise UserError(f"{file}: no text after the line 'CSR:'; complete the copy")
    return lines


def _read_strokes(file: Path) -> list[Stroke]:
    """The strokes of a line, thinned: every second point, and the last, after which the pen is lifted."""
    expected = "expected XML with StrokeSet/Stroke/Point and its x, y and time"
    data = _read(file)
    try:
        elements = ElementTree.fromstring(data).findall("StrokeSet/Stroke")
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter two: an unknown encoding
        raise UserError(f"{file}: malformed XML ({' '.join(str(error).split()):.120}); {expected}") from None
    strokes = []
    for element in elements:
        points = element.findall("Point")
        try:
            stroke = np.array([[float(point.attrib[name]) for name in ("x", "y", "time")] for point in points])
        except (KeyError, ValueError) as error:
            raise UserError(f"{file}: a point without a proper number ({error!s:.60}); {expected}") from None
        if not np.isfinite(stroke).all():
            raise UserError(f"{file}: a point that is not finite; {expected}")
        if len(stroke):
            kept = np.arange(0, len(stroke), 2)
            strokes.append(stroke[kept if len(stroke) % 2 else np.append(kept, len(stroke) - 1)])
    if not strokes:
        raise UserError(f"{file}: no points; {expected}")
    return strokes
