"""The task `text`: which character comes next.

The text is cut into sections that follow one another. A section is read from its start, an update every 100
characters; there gradients stop, and the state is carried on: truncated back-propagation through time, with 100
characters as in Karpathy's char-rnn (25 in his min-char-rnn). A state of zeros at the start of every section, where
those programs carry theirs through the whole text, costs about a hundredth of a bit, and leaves sections that can be
shuffled and read side by side.
"""

from __future__ import annotations

import hashlib
import platform
import sysconfig
from pathlib import Path

import numpy as np

from ablate.definitions.dataset import SPLITS, Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS, ProgressCallback, Settings, Task
from ablate.errors import UserError
from ablate.files import file_fingerprint, read_file

LONGEST = 1_000_000  # characters of the embedded text
SECTION = 5_000  # characters
# Of each ten sections the ninth validates and the tenth tests, so that all three see every part of the text.
SPLIT_OF_REMAINDER = {8: "validation", 9: "test"}
UNKNOWN = "\ufffd"  # stands for every character that is not in the training sections
FEWEST_SECTIONS = 10


def load(path: Path | None, settings: Settings, progress: ProgressCallback) -> Dataset:
    """The user's UTF-8 file, or the source of Python's standard library.

    Inputs and targets are uint8 or uint16 (characters, 1), numbers of classes; target t is input t+1.

    Raises:
        UserError: the file is not UTF-8, is empty or too short.
    """
    _check(settings)
    text = standard_library() if path is None else read_text(path)
    # A short text has shorter sections, so that there are some to test on.
    section = min(SECTION, (len(text) - 1) // FEWEST_SECTIONS)
    if section < 2:
        raise UserError(f"{path}: {len(text)} characters are too few; a text needs at least {2 * FEWEST_SECTIONS + 1}")
    starts: dict[str, list[int]] = {split: [] for split in SPLITS}
    for place, start in enumerate(range(0, len(text) - 1, section)):
        starts[SPLIT_OF_REMAINDER.get(place % 10, "train")].append(start)
    characters = sorted({character for start in starts["train"] for character in text[start : start + section + 1]})
    classes = (*(character for character in characters if character != UNKNOWN), UNKNOWN)
    number = {character: place for place, character in enumerate(classes)}
    numbers = np.array([number.get(character, len(classes) - 1) for character in text])
    numbers = numbers.astype(np.uint8 if len(classes) <= 256 else np.uint16)[:, None]
    splits = {}
    for split in SPLITS:
        ends = [min(start + section, len(text) - 1) for start in starts[split]]
        pieces = list(zip(starts[split], ends, strict=True))
        splits[split] = Sequences(
            inputs=np.concatenate([numbers[start:end] for start, end in pieces]),
            targets=np.concatenate([numbers[start + 1 : end + 1] for start, end in pieces]),
            lengths=np.array([end - start for start, end in pieces], np.int64),
        )
    source = f"standard library of Python {platform.python_version()}" if path is None else str(path)
    return Dataset(splits, source, len(classes), len(classes), classes)


def standard_library() -> str:
    """The modules of the running Python's standard library, in sorted order, up to LONGEST characters."""
    text = ""
    for file in _modules():
        text += file.read_text(encoding="utf-8")
        if len(text) >= LONGEST:
            break
    return text[:LONGEST]


def _modules() -> list[Path]:
    folder = Path(sysconfig.get_path("stdlib"))
    files = sorted(folder.glob("*.py"))
    if not files:
        raise UserError(f"{folder}: the source of Python's standard library is not there; give --data text=PATH")
    return files


def read_text(path: Path) -> str:
    """A UTF-8 file, with every way to end a line as a line feed. Raises UserError for one that is not."""
    data = read_file(path)
    if not data:
        raise UserError(f"{path}: the file is empty")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "its own"
        byte = f"byte {error.start} is {data[error.start]:#04x}"
        raise UserError(f"{path}: not UTF-8 ({byte}); convert it from {found} encoding, as by `iconv`") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def baseline(dataset: Dataset, settings: Settings) -> float:
    """Test bits per character when each is predicted by how often it occurs in training, half a count added to all."""
    train, test = (dataset.splits[split].targets[:, 0] for split in ("train", "test"))
    counts = np.bincount(train, minlength=dataset.output_size) + 0.5
    return float(-np.log2(counts / counts.sum())[test].mean())


def fingerprint(path: Path | None) -> str:
    """The SHA-256 of the text."""
    return file_fingerprint(path) if path else hashlib.sha256(standard_library().encode()).hexdigest()


def _check(settings: Settings) -> None:
    for key, least, most in (("sample", 1, 100_000), ("temperature", 0.01, 100)):
        if not least <= settings[key] <= most:
            raise UserError(f"settings.text.{key} is {settings[key]}; it must be from {least} to {most}")


DESCRIPTION = """\
Which character comes next, from all characters before it in a section of up to 5,000.

source     the source code of the running Python's standard library, read where it is installed (PSF licence): its
           modules in sorted order, the first 1,000,000 characters. It changes with Python's version, so compare
           scores only where the hash is the same.
own data   --data text=PATH: any UTF-8 file, such as Tiny Shakespeare.
shapes     inputs are characters x 1, read as one-hot vectors of the training sections' characters and one for all
           others; the targets are the inputs one character later.
splits     sections of 5,000 characters that follow one another (a tenth of the text in one below 50,000): of each
           ten the ninth is for validation, the tenth for testing, the others for training.
score      bits per character, lower is better; times 0.693 for nats.
training   truncated back-propagation: an update every 100 characters, the state carried on; `tbptt_steps` sets it.
           A sample of `sample` characters at a `temperature` is kept with each trial.
"""

TASKS.add(
    Task(
        name="text",
        summary="text: the next character of Python's standard library, or of a file of yours",
        description=DESCRIPTION,
        loss="cross_entropy",
        score="bits",
        target_position=TargetPosition.EVERY_FRAME,
        unit="bits per character",
        load=load,
        baseline=baseline,
        settings={"sample": 400, "temperature": 0.7},
        training_overrides={"tbptt_steps": 100},
        samples_text=True,
        fingerprint=fingerprint,
    )
)
