"""Makes japanese_vowels.npz from the wheel of the package aeon, which carries the data set as text.

pip download aeon==1.6.0 --no-deps
python tasks/data/make_japanese_vowels.py aeon-1.6.0-py3-none-any.whl
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

MEMBER = "aeon/datasets/data/JapaneseVowels/JapaneseVowels_{part}.ts"


def main(wheel: Path) -> None:
    arrays: dict[str, Any] = {}
    with zipfile.ZipFile(wheel) as archive:
        for part in ("TRAIN", "TEST"):
            text = archive.read(MEMBER.format(part=part)).decode("utf-8").partition("@data")[2]
            # A line is an utterance: its 12 coefficients between colons, each over all frames, and its speaker.
            rows = [line.split(":") for line in text.split()]
            utterances = [np.array([row.split(",") for row in series], np.float64).T for *series, _ in rows]
            name = part.lower()
            # The text has six decimals, so that millionths are exact.
            arrays[f"{name}_coefficients"] = np.rint(np.concatenate(utterances) * 1e6).astype(np.int32)
            arrays[f"{name}_lengths"] = np.array([len(utterance) for utterance in utterances], np.uint8)
            arrays[f"{name}_speakers"] = np.array([int(speaker) - 1 for *_, speaker in rows], np.uint8)
    np.savez_compressed(Path(__file__).with_name("japanese_vowels.npz"), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
