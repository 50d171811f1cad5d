"""The task `speech`: its embedded data, recordings and their features, a folder of spoken digits, and bad paths."""

import io
import subprocess
import sys
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ablate.data.cache import open_dataset
from ablate.definitions.dataset import SPLITS, Dataset
from ablate.definitions.task import TASKS
from ablate.errors import UserError
from tasks.baselines import most_frequent_class
from tasks.sources.features import FEATURES, features_of, frame_centres, read_recording, splits_of
from tasks.speech import load

SPEECH = TASKS["speech"]
SETTINGS = {"folded": False}


def quiet(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def noise(seed: int, samples: int = 3000) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3000, samples).round().astype("<i2")


def sphere(samples: np.ndarray, rate: int = 16_000, **changes: str) -> bytes:
    """A NIST SPHERE file, with the header of TIMIT's; `changes` are of its lines' ends: sample_count="-i 7"."""
    fields = {
        "database_id": "-s5 TIMIT",
        "utterance_id": "-s8 cjf0_sa1",
        "channel_count": "-i 1",
        "sample_count": f"-i {len(samples)}",
        "sample_rate": f"-i {rate}",
        "sample_min": "-i -2191",
        "sample_max": "-i 2790",
        "sample_n_bytes": "-i 2",
        "sample_byte_format": "-s2 01",
        "sample_sig_bits": "-i 16",
    } | changes
    lines = "".join(f"{name} {value}\n" for name, value in fields.items() if value)
    return f"NIST_1A\n   1024\n{lines}end_head\n".encode().ljust(1024) + samples.tobytes()


def riff(samples: np.ndarray, rate: int = 16_000, width: int = 2, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((channels, width, rate, 0, "NONE", ""))
        writer.writeframes(samples.tobytes())
    return file.getvalue()


def refusal(path: Path, folded: bool = False) -> str:
    """The one line with which a path is refused."""
    with pytest.raises(UserError) as caught:
        load(path, {"folded": folded}, quiet)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    return message


# --- The embedded data.


@pytest.fixture(scope="module")
def vowels() -> Dataset:
    return load(None, SETTINGS, quiet)


def test_japanese_vowels_have_their_published_counts(vowels: Dataset) -> None:
    train, validation, test = (vowels.splits[split] for split in SPLITS)
    assert [len(train) + len(validation), len(test)] == [270, 370]
    assert [len(train.inputs) + len(validation.inputs), len(test.inputs)] == [4274, 5687]
    lengths = np.concatenate([train.lengths, validation.lengths, test.lengths])
    assert (lengths.min(), lengths.max()) == (7, 29)
    speakers = [np.bincount(each.targets[np.cumsum(each.lengths) - 1, 0]).tolist() for each in vowels.splits.values()]
    assert speakers == [[24] * 9, [6] * 9, [31, 35, 88, 44, 29, 24, 40, 50, 29]]
    assert (vowels.input_size, vowels.output_size, len(vowels.class_names)) == (12, 9, 9)
    assert vowels.hash[:12] == "f8d6afa2bf6c"
    assert most_frequent_class(vowels, SETTINGS) == pytest.approx(100 * (1 - 867 / 5687))


def test_japanese_vowels_say_what_they_are(vowels: Dataset) -> None:
    assert "speaker classification" in vowels.notes[0] and "not" in vowels.notes[0]
    assert "speaker classification" in SPEECH.description


def test_a_speaker_speaks_a_whole_utterance(vowels: Dataset) -> None:
    for sequences in vowels.splits.values():
        for targets in np.split(sequences.targets, np.cumsum(sequences.lengths)[:-1]):
            assert len(np.unique(targets)) == 1


def test_importing_the_task_is_light() -> None:
    code = "import sys, tasks.speech; print([name for name in ('librosa', 'scipy', 'numba') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- Recordings and their features.


def test_recordings_are_read_to_the_sample(tmp_path: Path) -> None:
    samples = np.concatenate([noise(0), np.array([-(2**15), 2**15 - 1], "<i2")])
    swapped = samples.astype(">i2")
    files = [sphere(samples), riff(samples), sphere(swapped, sample_byte_format="-s2 10"), sphere(samples) + b"tail"]
    files.append(riff(np.repeat(samples, 2), channels=2))
    for number, contents in enumerate(files):
        path = tmp_path / f"{number}.wav"  # the name says nothing
        path.write_bytes(contents)
        found, rate = read_recording(path)
        assert rate == 16_000
        np.testing.assert_array_equal(found * 2**15, samples)


def unread(path: Path) -> str:
    """The one line with which a recording is refused."""
    with pytest.raises(UserError) as caught:
        read_recording(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


@pytest.mark.parametrize("data", [sphere(noise(0, 600)), riff(noise(0, 600))], ids=["sphere", "riff"])
def test_a_recording_cut_off_anywhere_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "cut.wav"
    for size in range(0, len(data), 97):
        path.write_bytes(data[:size])
        unread(path)
    path.write_bytes(data[:-1])
    assert "truncated, 599 of 600 samples" in unread(path)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "neither a NIST SPHERE nor a RIFF file"),
        (b"ID3 and so on", "neither a NIST SPHERE nor a RIFF file"),
        (
            sphere(noise(0), sample_coding="-s26 pcm,embedded-shorten-v2.00"),
            "embedded-shorten-v2.00, which is not read",
        ),
        (sphere(noise(0), sample_count=""), "KeyError: 'sample_count'"),
        (sphere(noise(0), sample_count="-i many"), "damaged"),
        (sphere(noise(0), sample_count="-i -7"), "-7 samples are less than one window"),
        (sphere(noise(0), sample_n_bytes="-i 1"), "8 bits"),
        (sphere(noise(0), channel_count="-i 0"), "0 channel(s)"),
        (sphere(noise(0), sample_byte_format="-s4 0123"), "KeyError: '0123'"),
        (sphere(noise(0), rate=0), "sampled at 0 Hz"),
        (b"NIST_1A\n", "damaged"),
        (riff(noise(0), rate=4000), "sampled at 4000 Hz"),
        (riff(noise(0), width=1), "8 bits"),
        (riff(noise(0, 399)), "399 samples are less than one window"),
        (riff(noise(0)).replace(b"\x10\x00\x00\x00\x01\x00", b"\x10\x00\x00\x00\x07\x00"), "unknown format: 7"),
    ],
)
def test_recordings_that_cannot_be_used(tmp_path: Path, contents: bytes, reason: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(contents)
    assert reason in unread(path)


@pytest.mark.parametrize(
    ("samples", "rate", "frames"), [(400, 16_000, 1), (559, 16_000, 1), (560, 16_000, 2), (8_000, 8_000, 98)]
)
def test_a_frame_every_10_ms_of_whole_windows(samples: int, rate: int, frames: int) -> None:
    features = features_of(noise(1, samples) / 2**15, rate)
    centres = frame_centres(samples, rate)
    assert features.shape == (frames, FEATURES) and features.dtype == np.float32
    assert centres[0] == 0.0125 * rate and (np.diff(centres) == 0.01 * rate).all() and len(centres) == frames
    assert np.isfinite(features).all()


def test_what_the_features_measure() -> None:
    loud = noise(2, 8000) / 2**15
    features, quieter = features_of(loud, 16_000), features_of(loud / 10, 16_000)
    window = loud[10 * 160 : 10 * 160 + 400]
    assert features[10, 12] == pytest.approx(10 * np.log10((window**2).mean()), abs=1e-4)  # the log energy, in dB
    # Ten times softer is 20 dB less energy, and the same spectral shape and differences.
    np.testing.assert_allclose(features[:, 12] - quieter[:, 12], 20, atol=1e-4)
    other = np.arange(FEATURES) != 12
    np.testing.assert_allclose(features[:, other], quieter[:, other], atol=1e-3)
    # Differences are slopes over two frames on either side.
    static, first, second = np.split(features, 3, axis=1)
    for values, slopes in ((static, first), (first, second)):
        slope = (2 * (values[14] - values[10]) + values[13] - values[11]) / 10
        np.testing.assert_allclose(slopes[12], slope, atol=1e-4)


def test_a_feature_belongs_to_its_window() -> None:
    samples = noise(3, 8000) / 2**15
    changed = samples.copy()
    changed[4000] += 0.5
    touched = np.flatnonzero((features_of(samples, 16_000) != features_of(changed, 16_000))[:, 12])
    assert touched.tolist() == [t for t in range(48) if 160 * t <= 4000 < 160 * t + 400]


def test_silence_has_features() -> None:
    assert np.isfinite(features_of(np.zeros(1000), 16_000)).all()


def test_normalisation_is_by_training_frames_alone() -> None:
    generator = np.random.default_rng(0)

    def sequence(frames: int) -> tuple[np.ndarray, np.ndarray]:
        values = generator.normal(5, 3, (frames, 4)).astype(np.float32)
        values[:, 3] = 7  # a constant feature
        return values, np.zeros(frames, np.uint8)

    pairs = {"train": [sequence(20), sequence(30)], "validation": [sequence(9)], "test": [sequence(9)]}
    found = splits_of(pairs)
    train = found["train"].inputs
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(train[:, :3].std(axis=0), 1, atol=1e-5)
    louder = splits_of(pairs | {"test": [(100 * values, classes) for values, classes in pairs["test"]]})
    np.testing.assert_array_equal(train, louder["train"].inputs)
    np.testing.assert_array_equal(found["validation"].inputs, louder["validation"].inputs)
    assert found["train"].lengths.tolist() == [20, 30] and found["train"].inputs.dtype == np.float32


def test_without_librosa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = digits(tmp_path)
    monkeypatch.setitem(sys.modules, "librosa", None)
    assert "run `pip install librosa`" in refusal(path)


# --- A folder of spoken digits.


def digits(folder: Path) -> Path:
    """Spoken digits of two speakers: indices 0, 4, 5, 9, 10 and 12 of two digits."""
    for digit in (3, 7):
        for number, speaker in enumerate(("jackson", "van_dam")):
            for index in (0, 4, 5, 9, 10, 12):
                contents = riff(noise(100 * digit + 50 * number + index, 1000 + 80 * index), 8000)
                (folder / f"{digit}_{speaker}_{index}.wav").write_bytes(contents)
    return folder


def test_spoken_digits(tmp_path: Path) -> None:
    dataset = load(digits(tmp_path), SETTINGS, quiet)
    assert (dataset.input_size, dataset.output_size, dataset.class_names) == (39, 10, tuple("0123456789"))
    # By digit, speaker and index as a number; 1 + (1000 + 80 * index - 200) // 80 frames.
    for split, indices in (("train", (10, 12)), ("validation", (5, 9)), ("test", (0, 4))):
        sequences = dataset.splits[split]
        assert sequences.lengths.tolist() == [11 + index for _ in range(4) for index in indices]
        said = np.repeat([3, 3, 3, 3, 7, 7, 7, 7], sequences.lengths)[:, None]
        np.testing.assert_array_equal(sequences.targets, said)
        assert sequences.targets.dtype == np.uint8 and sequences.inputs.dtype == np.float32
    assert any("24 recordings of 2 speakers" in note for note in dataset.notes)
    assert not any("left out" in note for note in dataset.notes)


def test_spoken_digits_in_the_folder_of_a_clone(tmp_path: Path) -> None:
    inner = tmp_path / "clone" / "recordings"
    inner.mkdir(parents=True)
    (tmp_path / "flat").mkdir()
    digits(inner)
    (inner / "README.md").write_text("text")
    (inner / "._3_jackson_0.wav").write_bytes(b"of another file system")
    (inner / "3_jackson.wav").write_bytes(b"")
    found = load(tmp_path / "clone", SETTINGS, quiet)
    assert found.hash == load(digits(tmp_path / "flat"), SETTINGS, quiet).hash
    assert any("1 .wav files were left out" in note for note in found.notes)


def test_bad_spoken_digits(tmp_path: Path) -> None:
    digits(tmp_path)
    file = tmp_path / "3_jackson_4.wav"
    contents = file.read_bytes()
    file.write_bytes(contents[:-2])
    assert f"{file}: truncated" in refusal(tmp_path)
    file.write_bytes(b"")
    assert f"{file}: neither" in refusal(tmp_path)
    file.write_bytes(riff(noise(0), 16_000))
    assert f"{file}: sampled at 16000 Hz, but 3_jackson_10.wav at 8000 Hz" in refusal(tmp_path)
    file.write_bytes(contents)
    for index in (0, 4):
        for found in tmp_path.glob(f"*_{index}.wav"):
            found.unlink()
    assert "the test split is empty, it takes the recordings with index 0 to 4" in refusal(tmp_path)


# --- Paths.


def test_a_path_that_is_neither(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    message = refusal(tmp_path)
    for part in (str(tmp_path), "TRAIN and TEST", "3_jackson_12.wav"):
        assert part in message
    for path in (tmp_path / "missing", tmp_path / "notes.txt", tmp_path / "null\0"):
        assert f"{path}: cannot be read as a folder" in refusal(path)
        with pytest.raises(UserError):
            open_dataset(SPEECH, path, SETTINGS, tmp_path / "cache", quiet)


def test_folding_is_of_timit(tmp_path: Path) -> None:
    assert "`folded` joins the phones of TIMIT" in refusal(digits(tmp_path), folded=True)
    with pytest.raises(UserError, match="--data speech=PATH"):
        load(None, {"folded": True}, quiet)


def test_the_cache_keeps_features_until_a_file_changes(tmp_path: Path) -> None:
    folder, cache = tmp_path / "digits", tmp_path / "cache"
    folder.mkdir()
    digits(folder)
    first = open_dataset(SPEECH, folder, SETTINGS, cache, quiet)

    def never(*_: object) -> Dataset:
        raise AssertionError("parsed again")

    again = open_dataset(replace(SPEECH, load=never), folder, SETTINGS, cache, quiet)
    assert (again.hash, again.notes, again.class_names) == (first.hash, first.notes, first.class_names)
    (folder / "3_jackson_10.wav").write_bytes(riff(noise(5, 2000), 8000))
    assert open_dataset(SPEECH, folder, SETTINGS, cache, quiet).hash != first.hash
