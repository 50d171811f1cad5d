"""The embedded chorales: reading scores, finding keys and duplicates, and what comes of it."""

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from music21 import chord, converter, corpus, note, stream

from ablate.cache import default_cache_folder
from ablate.data.cache import open_dataset
from ablate.definitions.dataset import SPLITS, Dataset
from ablate.definitions.task import TASKS
from ablate.errors import UserError
from tasks.music import baseline, load
from tasks.sources.chorales import Harmonisations, four_part_frames, tonic
from tasks.sources.pianoroll import roll_of

MUSIC = TASKS["music"]


def quiet(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def score(**voices: str) -> stream.Score:
    """A score of parts by their names, in music21's TinyNotation: c'2 is a half note on MIDI 72, r4 a quarter rest."""
    parts = []
    for name, notes in voices.items():
        part = converter.parse(f"tinyNotation: {notes}")
        assert isinstance(part, stream.Part)
        part.partName = name
        parts.append(part)
    return stream.Score(parts)


def test_held_notes_sound_on_and_short_ones_between_beats_do_not() -> None:
    chorale = score(
        Soprano="4/4 c'2 b8 a8 g#4", Alto="4/4 g4~ g4 e4 trip{e8 f8 e8}", Tenor="4/4 c4. d-8 e4 f4", Bass="4/4 C1"
    )
    assert four_part_frames(chorale) == [(48, 60, 67, 72), (48, 60, 67, 72), (48, 64, 71), (48, 64, 65, 68)]


def test_rests_are_silent_and_the_ends_are_trimmed() -> None:
    silent = "4/4 r1 r1"
    chorale = score(Soprano="4/4 r2 c'4 r4 d'4 r2.", Alto=silent, Tenor=silent, Bass=silent)
    assert four_part_frames(chorale) == []  # a third of it is silence
    chorale = score(Soprano="4/4 r2 c'4 r4 d'2 e'4 r4", Alto=silent, Tenor=silent, Bass=silent)
    assert four_part_frames(chorale) == [(72,), (), (74,), (74,), (76,)]
    assert four_part_frames(score(Soprano=silent, Alto=silent, Tenor=silent, Bass=silent)) == []


def test_instruments_are_left_out_and_other_settings_are_none() -> None:
    voices = dict.fromkeys(("Soprano.", "Alto", "TENOR", "Bass 1"), "4/4 c1")
    assert four_part_frames(score(**voices, Horn="4/4 g1")) == [(60,)] * 4
    assert four_part_frames(score(**voices, Alto2="4/4 g1")) == []
    assert four_part_frames(score(Soprano="4/4 c1", Bass="4/4 C1")) == []


def test_chords_and_grace_notes() -> None:
    chorale = score(**dict.fromkeys(("Soprano", "Alto", "Tenor"), "4/4 c1"), Bass="4/4 C4 D2.")
    bass = chorale.parts[3].measure(1)
    bass.insert(0, chord.Chord("E3 G3"))
    bass.insert(1, note.Note("B6").getGrace())
    assert four_part_frames(chorale) == [(48, 52, 55, 60), (50, 60), (50, 60), (50, 60)]


def test_the_tonic() -> None:
    major = [(60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67)]
    minor = [(57, 60, 64), (62, 65, 69), (64, 68, 71), (57, 60, 64)]
    assert tonic(major) == 0 and tonic(minor) == 9
    assert tonic([tuple(key + 5 for key in frame) for frame in major]) == 5
    assert tonic([*minor, (57, 60, 65), (52, 64, 68, 71)]) == 9  # a Phrygian close, on the dominant


def test_the_same_harmonisation_is_known_in_any_transposition() -> None:
    piece = [(48, 55, 64), (50, 57, 65), (43, 59, 62), (48, 60, 64)]
    seen = Harmonisations()
    seen.add(piece)
    up = [tuple(key + 3 for key in frame) for frame in piece]
    assert seen.has(up) and seen.has([(40, 47), *up]) and seen.has([*piece[:2], (41, 60), (48, 63)])
    assert not seen.has([piece[0], (50, 57, 66), (43, 59, 63), (48, 60, 65)])
    assert not seen.has([])


@pytest.fixture(scope="module")
def chorales() -> Dataset:
    return open_dataset(MUSIC, None, {}, default_cache_folder(), quiet)


def rolls(dataset: Dataset, split: str) -> list[np.ndarray]:
    """The whole rolls (frames, 88) of a split, first frames included."""
    found = dataset.splits[split]
    ends = np.cumsum(found.lengths)
    return [
        np.concatenate([found.inputs[end - length : end], found.targets[end - 1 : end]])
        for end, length in zip(ends, found.lengths, strict=True)
    ]


def test_counts_of_the_chorales(chorales: Dataset) -> None:
    counts = [len(chorales.splits[split]) for split in SPLITS]
    frames = [int(chorales.splits[split].lengths.sum()) for split in SPLITS]
    if not chorales.source.startswith("Bach chorales of music21 10."):
        pytest.skip("counted on music21 10")
    assert counts == [211, 80, 79]
    assert frames == [11_742, 4_203, 4_209]
    assert baseline(chorales, {}) == pytest.approx(10.957905, abs=1e-5)
    assert chorales.hash.startswith("fe69af30f836")


def test_the_chorales_are_four_part_music_in_c(chorales: Dataset) -> None:
    pieces = [roll for split in SPLITS for roll in rolls(chorales, split)]
    everything = np.concatenate(pieces)
    sounding = np.flatnonzero(everything.any(axis=0)) + 21
    assert sounding.min() >= 30 and sounding.max() <= 88  # a low bass to a high soprano
    assert everything.sum(axis=1).max() == 4
    assert (everything.sum(axis=1) >= 3).mean() > 0.98
    # Nine in ten close on C; the others are Phrygian and the like, and close on its dominant.
    closes = np.array([(np.flatnonzero(roll[-1])[0] + 21) % 12 for roll in pieces])
    assert (closes == 0).mean() > 0.9 and set(closes) == {0, 7}
    assert all(roll[0].any() and roll[-1].any() for roll in pieces)


def test_no_piece_stands_in_two_splits(chorales: Dataset) -> None:
    seen = Harmonisations()
    for split in SPLITS:
        pieces = [[tuple(np.flatnonzero(frame).tolist()) for frame in roll] for roll in rolls(chorales, split)]
        assert not any(seen.has(piece) for piece in pieces)
        for piece in pieces:
            seen.add(piece)


def test_reading_gives_the_same_again_and_leaves_nothing_behind(chorales: Dataset, tmp_path: Path) -> None:
    """A few pieces, read in a process of its own in which each warning is an error."""
    code = """
import json
from music21 import corpus
from tasks.sources.chorales import read_chorales
paths = corpus.getComposer("bach", fileExtensions=("xml",))
corpus.getComposer = lambda *_, **__: [path for path in paths if path.stem in ("bwv253", "bwv254", "bwv67.4", "bwv846")]
calls = []
found = read_chorales(lambda what, done, total: calls.append([done, total]))
print(json.dumps([[(chorale.name, chorale.frames) for chorale in found], calls]))
"""
    folders = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | folders,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "" and not list(tmp_path.iterdir())
    found, calls = json.loads(done.stdout)
    assert calls == [[count, 4] for count in range(5)]
    assert [name for name, _ in found] == ["bwv67.4", "bwv253", "bwv254"]
    kept = {roll.tobytes() for split in SPLITS for roll in rolls(chorales, split)}
    assert all(roll_of(frames).tobytes() in kept for _, frames in found)


def test_what_is_cached_needs_no_music21(chorales: Dataset) -> None:
    code = """
import sys
from ablate.definitions.task import TASKS
from ablate.cache import default_cache_folder
from ablate.data.cache import open_dataset
print(open_dataset(TASKS["music"], None, {}, default_cache_folder(), print).hash, "music21" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [chorales.hash, "False"]


def test_a_corpus_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "getComposer", lambda *_, **__: [])
    with pytest.raises(UserError, match="--data music=PATH"):
        load(None, {}, quiet)


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("tasks.music.version", missing)
    with pytest.raises(UserError, match="pip install music21"):
        load(None, {}, quiet)
