"""TIMIT, on small trees in the true formats: its two letter cases and file formats, lists, labels, and damage."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ablate.data.cache import open_dataset
from ablate.definitions.dataset import SPLITS, Dataset
from tasks.sources.features import frame_centres
from tasks.sources.timit import FOLDED, LISTS, PHONES, UTTERANCES
from tasks.speech import load
from tests.test_speech import SETTINGS, SPEECH, noise, quiet, refusal, riff, sphere

# Two speakers that train, one for development, two of the core test set, and one of TEST who is in neither list.
SPEAKERS = {
    "TRAIN/DR1/FCJF0": 3000,
    "TRAIN/DR2/MAEB0": 3400,
    "TEST/DR1/FAKS0": 3800,
    "TEST/DR1/MDAB0": 4200,
    "TEST/DR7/MDLF0": 4600,
    "TEST/DR8/MJLN0": 5000,
    "TEST/DR1/MREB9": 5400,
}
SENTENCES = ("SA1", "SA2", "SI648", "SX37")
SEGMENTS = [("h#", 0, 700), ("q", 700, 1000), ("ao", 1000, 1640), ("zh", 1640, 1700), ("ax-h", 1700, 2500)]


def labels(samples: int) -> str:
    """A .PHN file whose last segment ends a little before the recording, as real ones do."""
    segments = [*SEGMENTS, ("h#", 2500, samples - 77)]
    return "".join(f"{start} {end} {phone}\n" for phone, start, end in segments)


def tree(folder: Path, cased: Callable[[str], str] = str.upper, kind: Callable[[np.ndarray], bytes] = sphere) -> Path:
    for seed, (speaker, samples) in enumerate(SPEAKERS.items()):
        place = folder / cased(speaker)
        place.mkdir(parents=True)
        for number, sentence in enumerate(SENTENCES):
            audio = noise(10 * seed + number, samples + 160 * number)
            (place / cased(f"{sentence}.WAV")).write_bytes(kind(audio))
            (place / cased(f"{sentence}.PHN")).write_text(labels(len(audio)))
            (place / cased(f"{sentence}.TXT")).write_text(f"0 {len(audio)} She had your dark suit.\n")
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree(tmp_path_factory.mktemp("timit"))


@pytest.fixture(scope="module")
def dataset(original: Path) -> Dataset:
    return load(original, SETTINGS, quiet)


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    """A tree to spoil."""
    return Path(shutil.copytree(original, tmp_path / "copy"))


def test_the_lists() -> None:
    development, core = (set(names) for _, names in LISTS.values())
    assert (len(development), len(core), len(development & core)) == (50, 24, 0)
    assert {split: 8 * len(names) for split, (_, names) in LISTS.items()}.items() <= UTTERANCES.items()
    assert sum(name.startswith("F") for name in core) == 8  # two men and a woman of each of eight regions


def test_the_phones() -> None:
    assert len(PHONES) == len(set(PHONES)) == 61
    assert set(FOLDED) <= set(PHONES)
    assert len({FOLDED.get(phone, phone) for phone in PHONES}) == 39


def test_splits_and_shapes(dataset: Dataset) -> None:
    """By region, speaker and sentence; without SA, and without the speaker of TEST who is in neither list."""

    def frames(*samples: int) -> list[int]:
        return [len(frame_centres(count + 160 * number, 16_000)) for count in samples for number in (2, 3)]

    expected = {"train": frames(3000, 3400), "validation": frames(3800, 4600), "test": frames(4200, 5000)}
    assert tuple(dataset.splits) == SPLITS
    for split, sequences in dataset.splits.items():
        assert sequences.lengths.tolist() == expected[split]
        assert sequences.inputs.shape == (sum(expected[split]), 39) and sequences.inputs.dtype == np.float32
        assert sequences.targets.shape == (sum(expected[split]), 1) and sequences.targets.dtype == np.uint8
    assert (dataset.input_size, dataset.output_size, dataset.class_names) == (39, 61, PHONES)
    assert dataset.notes == (
        "train has 4 utterances, TIMIT 3696",
        "validation has 4 utterances, TIMIT 400",
        "test has 4 utterances, TIMIT 192",
    )


def test_a_frame_has_the_phone_at_its_centre(dataset: Dataset) -> None:
    """The windows of 400 samples every 160 have the centres 200, 360, 520, 680, 840, 1000, ..."""
    train = dataset.splits["train"]
    phones = [PHONES[number] for number in train.targets[: train.lengths[0], 0]]
    #                   200..680    840    1000..1480   1640    1800..2440         2600 on
    assert phones == ["h#"] * 4 + ["q"] + ["ao"] * 4 + ["zh"] + ["ax-h"] * 5 + ["h#"] * (train.lengths[0] - 15)


def test_folded(original: Path, dataset: Dataset) -> None:
    folded = load(original, {"folded": True}, quiet)
    assert (folded.output_size, len(folded.class_names)) == (39, 39)
    for split in SPLITS:
        np.testing.assert_array_equal(folded.splits[split].inputs, dataset.splits[split].inputs)
    train = folded.splits["train"]
    phones = [folded.class_names[number] for number in train.targets[: train.lengths[0], 0]]
    assert phones == ["sil"] * 5 + ["aa"] * 4 + ["sh"] + ["ah"] * 5 + ["sil"] * (train.lengths[0] - 15)


@pytest.mark.parametrize("cased", [str.upper, str.lower])
@pytest.mark.parametrize("kind", [sphere, riff])
def test_letter_cases_and_formats_give_the_same_numbers(
    tmp_path: Path, dataset: Dataset, cased: Callable[[str], str], kind: Callable[[np.ndarray], bytes]
) -> None:
    assert load(tree(tmp_path, cased, kind), SETTINGS, quiet).hash == dataset.hash


def test_other_layouts_of_copies(copy: Path, tmp_path: Path, dataset: Dataset) -> None:
    """The disc's TIMIT folder, RIFF files beside those in SPHERE, and what does not belong to the tree."""
    for file in copy.rglob("*.WAV"):
        samples = np.frombuffer(file.read_bytes()[1024:], "<i2")
        file.with_name(f"{file.name}.wav").write_bytes(riff(samples))
        file.with_name(f"._{file.name}").write_bytes(b"of another file system")
    (copy / "TRAIN" / "DR1" / "readme.txt").write_text("text")
    copy.rename(tmp_path / "timit")
    (tmp_path / "README.DOC").write_text("text")
    assert load(tmp_path, SETTINGS, quiet).hash == dataset.hash


def test_sa_sentences_do_not_count(copy: Path, dataset: Dataset) -> None:
    for file in copy.rglob("SA*"):
        file.write_bytes(b"")
    assert load(copy, SETTINGS, quiet).hash == dataset.hash


def test_only_training_audio_normalises(copy: Path, dataset: Dataset) -> None:
    train = dataset.splits["train"].inputs
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-4)
    path = copy / "TEST/DR1/MDAB0/SX37.WAV"
    path.write_bytes(sphere(noise(99, 4680) // 50))
    found = load(copy, SETTINGS, quiet)
    for split in ("train", "validation"):
        np.testing.assert_array_equal(found.splits[split].inputs, dataset.splits[split].inputs)
    assert (found.splits["test"].inputs != dataset.splits["test"].inputs).any()


def test_cached_by_settings_and_files(copy: Path, tmp_path: Path) -> None:
    whole, folded = (
        open_dataset(SPEECH, copy, {"folded": folded}, tmp_path / "cache", quiet) for folded in (False, True)
    )
    assert (whole.output_size, folded.output_size) == (61, 39)
    before = SPEECH.fingerprint(copy)
    assert before == SPEECH.fingerprint(copy)
    (copy / "TRAIN/DR1/FCJF0/SX37.TXT").write_text("not read")
    assert before == SPEECH.fingerprint(copy)
    (copy / "TRAIN/DR1/FCJF0/SX37.PHN").write_text(labels(9999))
    assert before != SPEECH.fingerprint(copy)


def test_progress_is_told(original: Path) -> None:
    told: list[tuple[int, int]] = []
    load(original, SETTINGS, lambda what, done, total: told.append((done, total)))
    assert told == [(done, 12) for done in range(13)]


# --- Damage.


@pytest.mark.parametrize(
    ("gone", "named", "reason"),
    [
        ("TEST", "", "has no folder TEST"),
        ("TRAIN", "", "has no folder TRAIN"),
        ("TRAIN/DR*", "TRAIN", "no folders of speakers"),
        ("TRAIN/DR*/*", "TRAIN", "no folders of speakers"),
        ("TEST/DR*/M[DJ][AL][BN]0", "TEST", "none of the 24 speakers of TIMIT's core test set"),
        ("TEST/DR[17]/[FM][AD][KL][SF]0", "TEST", "none of the 50 speakers of TIMIT's development set"),
        ("TRAIN/DR*/*/S[IX]*", "", "the train speakers have no SI or SX sentences"),
        ("TRAIN/DR1/FCJF0/SX37.PHN", "TRAIN/DR1/FCJF0/SX37.WAV", "its label file .PHN is missing"),
        ("TEST/DR1/MDAB0/SX37.WAV", "TEST/DR1/MDAB0/SX37.PHN", "its recording .WAV is missing"),
    ],
)
def test_what_is_missing(copy: Path, gone: str, named: str, reason: str) -> None:
    found = list(copy.glob(gone))
    assert found
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    message = refusal(copy)
    assert message.startswith(f"{copy / named}: ") and reason in message


def test_a_speaker_who_is_a_file(copy: Path) -> None:
    (copy / "TRAIN/DR1/FXXX0").write_text("text")
    assert f"{copy / 'TRAIN/DR1/FXXX0'}: cannot be read as a folder" in refusal(copy)


GOOD = sphere(noise(0, 3000))


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "neither a NIST SPHERE nor a RIFF file"),
        (GOOD[:-100], "truncated, 2950 of 3000 samples"),
        (GOOD[:1000], "truncated, 0 of 3000 samples"),
        (GOOD[:100], "damaged"),
        (riff(noise(0, 3000))[:-2], "truncated, 2999 of 3000 samples"),
        (sphere(noise(0, 3000), rate=8000), "sampled at 8000 Hz; TIMIT's labels count samples at 16000 Hz"),
        (sphere(noise(0, 20_000)), "the labels end at sample 3403, the recording at 20000"),
    ],
)
def test_damaged_recordings(copy: Path, contents: bytes, reason: str) -> None:
    path = copy / "TRAIN/DR1/FCJF0/SX37.WAV"
    path.write_bytes(contents)
    message = refusal(copy)
    assert reason in message
    assert message.startswith(f"{path.with_suffix('.PHN') if 'labels end' in reason else path}: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the labels end at sample 0"),
        ("0 3000 xx\n", "line 1 has the phone 'xx'"),
        ("0 700 h#\n700 3000\n", "line 2 is '700 3000'"),
        ("0 700 h#\n\n", "line 2 is ''"),
        ("0 700 h#\n7oo 3000 aa\n", "line 2 is '7oo 3000 aa'"),
        ("0 3000 h# again\n", "line 1 is"),
        ("700 0 h#\n", "line 1 is '700 0 h#'"),
        ("-1 3000 h#\n", "line 1 is '-1 3000 h#'"),
        ("0 1e9 h#\n", "line 1 is '0 1e9 h#'"),
        ("0 99999999999999999999 h#\n", "line 1 is"),
        ("0 700 h#\n700 3000 aa\n20 30 h#\n", "line 3 begins at sample 20, the one before it ends at 3000"),
        ("0 700 h#\n9000 9500 aa\n", "line 2 begins at sample 9000, the one before it ends at 700"),
        ("0 700 h#\n700 99000 aa\n", "the labels end at sample 99000, the recording at 3480"),
        ("\x00\x01\x02", "line 1 is"),
    ],
)
def test_damaged_labels(copy: Path, text: str, reason: str) -> None:
    path = copy / "TRAIN/DR1/FCJF0/SX37.PHN"
    path.write_text(text)
    message = refusal(copy)
    assert message.startswith(f"{path}: ") and reason in message


def test_label_files_of_other_systems(copy: Path, dataset: Dataset) -> None:
    for path in copy.rglob("*.PHN"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n").replace(b"h#", b"H# "))
    assert load(copy, SETTINGS, quiet).hash == dataset.hash
