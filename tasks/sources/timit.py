"""TIMIT: which of 61 phones sounds at every frame; read from a user's own copy (LDC93S1, paid).

A copy is a tree {TRAIN,TEST}/DR1..DR8/<speaker>/<sentence>.{WAV,PHN}, in upper or lower case depending on the release;
its .WAV files are NIST SPHERE or RIFF. A .PHN file has a line "start end phone" for each segment, in samples. The two
SA sentences, which all speakers read, are dropped. The splits are those of Halberstadt (1998): the sentences of all
training speakers, of 50 speakers of TEST for development, of the 24 speakers of the core test set.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ablate.definitions.dataset import Dataset
from ablate.definitions.task import ProgressCallback
from ablate.errors import UserError
from ablate.files import read_file
from tasks.sources.features import (
    FEATURES,
    Features,
    FrameClasses,
    entries,
    features_of,
    frame_centres,
    read_recording,
    read_splits,
)

UTTERANCES = {"train": 3696, "validation": 400, "test": 192}
RATE = 16_000  # Hz
SLACK = RATE // 2  # samples by which labels and recording may disagree: the last segment may end a little early

CORE_TEST = """
    MDAB0 MWBT0 FELC0 MTAS1 MWEW0 FPAS0 MJMP0 MLNT0 FPKT0 MLLL0 MTLS0 FJLM0
    MBPM0 MKLT0 FNLP0 MCMJ0 MJDH0 FMGD0 MGRT0 MNJM0 FDHC0 MJLN0 MPAM0 FMLD0
"""
DEVELOPMENT = """
    FAKS0 FDAC1 FJEM0 MGWT0 MJAR0 MMDB1 MMDM2 MPDF0 FCMH0 FKMS0 MBDG0 MBWM0 MCSH0 FADG0 FDMS0 FEDW0 MGJF0
    MGLB0 MRTK0 MTAA0 MTDT0 MTHC0 MWJG0 FNMR0 FREW0 FSEM0 MBNS0 MMJR0 MDLS0 MDLF0 MDVC0 MERS0 FMAH0 FDRW0
    MRCS0 MRJM4 FCAL1 MMWH0 FJSJ0 MAJC0 MJSW0 MREB0 FGJD0 FJMG0 MROA0 MTEB0 MJFC0 MRJR0 FMML0 MRWS1
"""
LISTS = {"validation": ("development set", DEVELOPMENT.split()), "test": ("core test set", CORE_TEST.split())}

ALL_PHONES = """
    aa ae ah ao aw ax ax-h axr ay b bcl ch d dcl dh dx eh el em en eng epi er ey f g gcl h# hh hv ih ix iy jh k kcl l
    m n ng nx ow oy p pau pcl q r s sh t tcl th uh uw ux v w y z zh
"""
PHONES = tuple(ALL_PHONES.split())
# What joins another phone or silence in the 39 classes of Lee and Hon (1989). They leave q, the glottal stop, out of
# the scoring; where every frame has a target it needs a class, and joins the other closures.
FOLDS = {
    "aa": "ao",
    "ah": "ax ax-h",
    "er": "axr",
    "hh": "hv",
    "ih": "ix",
    "l": "el",
    "m": "em",
    "n": "en nx",
    "ng": "eng",
    "sh": "zh",
    "uw": "ux",
    "sil": "bcl dcl gcl kcl pcl tcl epi pau h# q",
}
FOLDED = {phone: name for name, phones in FOLDS.items() for phone in phones.split()}
LINE = re.compile(r"\s*(\d{1,9})\s+(\d{1,9})\s+(\S+)\s*", re.ASCII)


class Utterance(NamedTuple):
    """The two files of a sentence."""

    recording: Path
    labels: Path


def find_utterances(path: Path) -> dict[str, list[Utterance]] | None:
    """The utterances of each split in the order of their names; None when there is neither a TRAIN nor a TEST folder.

    Raises UserError when a part of the tree is missing, or the label file or the recording of an utterance.
    """
    tree = _by_name(path)
    if "TIMIT" in tree:  # as on the disc
        path = tree["TIMIT"]
        tree = _by_name(path)
    if not {"TRAIN", "TEST"} & set(tree):
        return None
    for name in ("TRAIN", "TEST"):
        if name not in tree:
            raise UserError(f"{path}: has no folder {name}; TIMIT has TRAIN and TEST, give the folder with both")
    test = _speakers(tree["TEST"])
    speakers = {"train": list(_speakers(tree["TRAIN"]).values())}
    for split, (title, names) in LISTS.items():
        speakers[split] = [folder for name, folder in test.items() if name in names]
        if not speakers[split]:
            raise UserError(
                f"{tree['TEST']}: none of the {len(names)} speakers of TIMIT's {title} is there; "
                f"expected folders such as {names[0]} in DR1 to DR8"
            )
    found = {split: [each for folder in folders for each in _utterances(folder)] for split, folders in speakers.items()}
    for split, utterances in found.items():
        if not utterances:
            raise UserError(
                f"{path}: the {split} speakers have no SI or SX sentences (.WAV with .PHN); copy TIMIT anew"
            )
    return found


def _by_name(folder: Path) -> dict[str, Path]:
    """What a folder holds by name, in upper case whatever the release."""
    return {entry.name.upper(): entry for entry in entries(folder)}


def _speakers(folder: Path) -> dict[str, Path]:
    """The folders of speakers by their names in upper case, in the order of regions and names."""
    regions = [region for name, region in _by_name(folder).items() if re.fullmatch("DR[1-8]", name)]
    every = [item for region in regions for item in _by_name(region).items()]
    speakers = {name: each for name, each in every if re.fullmatch(r"[FM][A-Z]{3}\d", name)}
    if not speakers:
        raise UserError(f"{folder}: has no folders of speakers, such as DR1/FCJF0; expected those of TIMIT")
    return speakers


def _utterances(speaker: Path) -> list[Utterance]:
    files = _by_name(speaker)
    # To the first dot: some copies have SX10.WAV.wav beside SX10.WAV, the same in RIFF and in SPHERE.
    recordings, labels = (
        {name.partition(".")[0]: file for name, file in files.items() if re.match(rf"S[IX]\d+\..*{kind}$", name)}
        for kind in ("WAV", "PHN")
    )
    for one, other, kind in ((recordings, labels, "label file .PHN"), (labels, recordings, "recording .WAV")):
        for name in sorted(one.keys() - other.keys()):
            raise UserError(f"{one[name]}: its {kind} is missing beside it; copy it there, or remove this file")
    return [Utterance(recordings[name], labels[name]) for name in sorted(recordings)]


def load(path: Path, found: dict[str, list[Utterance]], folded: bool, progress: ProgressCallback) -> Dataset:
    """Inputs are float32 (frames, 39), targets uint8 (frames, 1): the phone at the centre of a frame's window.

    `folded` gives 39 classes for the 61. Raises UserError when a file is damaged or not what it should be.
    """
    phones = {phone: FOLDED.get(phone, phone) if folded else phone for phone in PHONES}
    classes = tuple(sorted(set(phones.values())))
    numbers = {phone: classes.index(name) for phone, name in phones.items()}

    def read(utterance: Utterance) -> tuple[Features, FrameClasses]:
        samples, rate = read_recording(utterance.recording)
        if rate != RATE:
            raise UserError(f"{utterance.recording}: sampled at {rate} Hz; TIMIT's labels count samples at {RATE} Hz")
        starts, segments = read_labels(utterance.labels, len(samples))
        # A frame before the first label has the first one.
        places = np.searchsorted(starts, frame_centres(len(samples), rate), side="right").clip(1) - 1
        return features_of(samples, rate), np.array([numbers[phone] for phone in segments], np.uint8)[places]

    splits = read_splits(found, read, "reading TIMIT", progress)
    notes = tuple(
        f"{split} has {len(splits[split])} utterances, TIMIT {expected}"
        for split, expected in UTTERANCES.items()
        if len(splits[split]) != expected
    )
    return Dataset(splits, str(path), FEATURES, len(classes), classes, notes)


def read_labels(path: Path, samples: int) -> tuple[list[int], list[str]]:
    """The first samples of the segments of a .PHN file, in order, and their phones.

    Raises UserError when a line is not "start end phone", a phone unknown, or when the segments do not cover the
    recording's `samples` from the first to the last one.
    """
    starts: list[int] = []
    phones: list[str] = []
    end = 0
    for number, line in enumerate(read_file(path).decode("ascii", "replace").splitlines(), start=1):
        match = LINE.fullmatch(line)
        if match is None or int(match[2]) < int(match[1]):
            raise UserError(f"{path}: line {number} is {line[:40]!r}; expected 'start end phone', in samples")
        start, phone = int(match[1]), match[3].lower()
        if phone not in PHONES:
            raise UserError(f"{path}: line {number} has the phone {phone[:40]!r}, which is none of TIMIT's 61")
        if abs(start - end) > SLACK or (starts and start < starts[-1]):
            raise UserError(f"{path}: line {number} begins at sample {start}, the one before it ends at {end}")
        starts.append(start)
        phones.append(phone)
        end = int(match[2])
    if abs(samples - end) > SLACK or not starts:
        raise UserError(f"{path}: the labels end at sample {end}, the recording at {samples}; get both files anew")
    return starts, phones
