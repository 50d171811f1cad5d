"""Bach's four-part chorales as quarter-note frames, from the corpus that the package music21 installs.

music21 itself finds and parses the scores, in about 25 s; it is imported only for that.

Which pieces. Of the roughly 410 scores by BWV number, those with exactly one part each for soprano, alto, tenor
and bass; instruments that join in are left out. Not taken are the two five-voice movements and the one keyboard
piece (`bwv227.3`, `bwv27.6`, `bwv846`), and five concerted movements whose choir is silent for more than a quarter
of the time (the corpus has the plain chorale of four of them beside).

Which key. A chorale closes on its tonic or, in the Phrygian and similar modes, on the dominant of the key it is
heard in. So the tonic is the last bass note or the note a fourth above it, whichever of the two explains the
frequencies of the twelve pitch classes better: the higher correlation with Temperley's major and minor key
profiles. Against the transpositions of the original JSB Chorales, for 342 pieces recognised in both, this agrees in
96 %; the last bass note alone in 94 %, the profiles over all 24 keys in 82 to 91 %.
The tonic is moved to C by -6 to +5 semitones: a major key comes to C major, a minor key to C minor.

Which are the same. Bach used a chorale more than once, and some movements are in the corpus in two versions. Two
pieces have the same harmonisation when at the best alignment in time, in any transposition, at least half of the
shorter one's frames are equal; in order of BWV number the later is dropped, whichever splits they would belong to,
which leaves 370 pieces. Other harmonisations of the same melody stay: they are what the model is to predict.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ablate.definitions.task import ProgressCallback
from ablate.errors import UserError

if TYPE_CHECKING:
    from music21.stream import Score

Chord = tuple[int, ...]  # the MIDI keys that sound, ascending, each once

VOICES = ("soprano", "alto", "tenor", "bass")
MOST_SILENCE = 1 / 4  # share of silent frames beyond which a piece is a concerted movement, not a chorale
SAME_HARMONISATION = 1 / 2  # share of equal frames

# How well each degree above the tonic fits a major and a minor key (Temperley, from the Kostka-Payne corpus).
KEY_PROFILES = np.array(
    [
        [0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400],
        [0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330],
    ]
)


@dataclass(frozen=True)
class Chorale:
    """A chorale with its tonic moved to C."""

    name: str  # of its file: bwv244.10
    bwv: int  # 244: all movements of one work share it
    frames: list[Chord]


def read_chorales(progress: ProgressCallback) -> list[Chorale]:
    """The distinct four-part chorales, in order of BWV number and movement.

    Raises UserError when music21 is installed without its corpus.
    """
    from music21 import corpus

    found = corpus.getComposer("bach", fileExtensions=("xml",))  # the compressed ones, .mxl, come with them
    by_number = (path for path in found if path.name.startswith("bwv"))
    paths = sorted(by_number, key=lambda path: (_catalogue_numbers(path), path.stem))
    if not paths:
        raise UserError(
            "music21's corpus of Bach chorales is not installed: run `pip install --force-reinstall music21`, "
            "or give your own file with --data music=PATH"
        )
    seen = Harmonisations()
    chorales: list[Chorale] = []
    for done, path in enumerate(paths):
        progress("reading Bach chorales", done, len(paths))
        frames = four_part_frames(parse_score(path))
        if frames and not seen.has(frames):
            seen.add(frames)
            shift = (6 - tonic(frames)) % 12 - 6
            transposed = [tuple(key + shift for key in frame) for frame in frames]
            chorales.append(Chorale(path.stem, _catalogue_numbers(path)[0], transposed))
    progress("reading Bach chorales", len(paths), len(paths))
    return chorales


def parse_score(path: Path) -> Score:
    """A MusicXML file as music21's object model."""
    # What music21.converter.parse uses, but without the folder for pickles that it makes beside the temporary files.
    from music21.converter.subConverters import ConverterMusicXML

    converter = ConverterMusicXML()
    converter.parseFile(path)
    return converter.stream


def four_part_frames(score: Score) -> list[Chord]:
    """A chorale as one frame a quarter note from its first note to its last; none when the score is something else.

    A frame holds the keys that sound at that moment in the four voices, held ones included. Every bar is played once,
    as written: repeat signs are not followed.
    """
    parts = [[part for part in score.parts if str(part.partName).lower().startswith(voice)] for voice in VOICES]
    if any(len(found) != 1 for found in parts):
        return []
    sounding: defaultdict[int, set[int]] = defaultdict(set)
    for (part,) in parts:
        for note in part.flatten().notes:  # of a tied note each piece; a grace note takes no time
            for beat in range(ceil(note.offset), ceil(note.offset + note.quarterLength)):
                sounding[beat].update(pitch.midi for pitch in note.pitches)
    if not sounding:
        return []
    frames = [tuple(sorted(sounding[beat])) for beat in range(min(sounding), max(sounding) + 1)]
    return [] if frames.count(()) > MOST_SILENCE * len(frames) else frames


def tonic(frames: list[Chord]) -> int:
    """The pitch class (C is 0) of the tonic of a piece: see the head of this file for how it is found."""
    sounding = Counter(key % 12 for frame in frames for key in frame)
    counts = np.array([sounding[pitch_class] for pitch_class in range(12)])
    last_bass = frames[-1][0] % 12

    def fit(candidate: int) -> float:
        degrees = np.roll(counts, -candidate)
        return max(float(np.corrcoef(degrees, profile)[0, 1]) for profile in KEY_PROFILES)

    return max(last_bass, (last_bass + 5) % 12, key=fit)


class Harmonisations:
    """The pieces met so far, to tell whether a further one is one of them again."""

    def __init__(self) -> None:
        # Where each chord (as intervals above its bass) occurs: piece, time, bass.
        self._places: defaultdict[Chord, list[tuple[int, int, int]]] = defaultdict(list)
        self._lengths: list[int] = []

    def has(self, frames: list[Chord]) -> bool:
        """Whether a piece met before has the same harmonisation."""
        # Each pair of equal chords votes for the piece, shift in time and transposition that would bring it about.
        votes = Counter(
            (piece, there - here, bass - chord[0])
            for here, chord in enumerate(frames)
            for piece, there, bass in self._places.get(_intervals(chord), ())
        )
        return any(
            equal >= SAME_HARMONISATION * min(len(frames), self._lengths[piece])
            for (piece, _, _), equal in votes.items()
        )

    def add(self, frames: list[Chord]) -> None:
        """Remember a piece."""
        for time, chord in enumerate(frames):
            if chord:
                self._places[_intervals(chord)].append((len(self._lengths), time, chord[0]))
        self._lengths.append(len(frames))


def _intervals(chord: Chord) -> Chord:
    return tuple(key - chord[0] for key in chord)


def _catalogue_numbers(path: Path) -> list[int]:
    """BWV number and movement: of bwv248.35-3c.mxl, 248 and 35."""
    return [int(number) for number in re.findall(r"\d+", path.stem)[:2]]
