"""From recordings of speech to sequences: the samples of a file, their features, and the features as splits.

The features are those of Graves and Schmidhuber (2005) and of Greff et al. (2017) on TIMIT: 12 mel-frequency cepstral
coefficients (MFCC) and the log energy, with their first and second differences, of windows of 25 ms every 10 ms. What
these papers leave open follows the usual settings of HTK: pre-emphasis 0.97, a Hamming window, 26 mel bands and
differences over two frames on either side. The window of frame t begins at sample t * hop; none reaches past the end.
"""

from __future__ import annotations

import io
import re
import struct
import wave
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ablate.definitions.dataset import Sequences
from ablate.definitions.task import ProgressCallback
from ablate.errors import UserError
from ablate.files import read_file
from tasks.sources.preparation import mean_and_std

Item = TypeVar("Item")
Samples = npt.NDArray[np.float64]  # (samples,), within [-1, 1)
Features = npt.NDArray[np.float32]  # (frames, M)
FrameClasses = npt.NDArray[np.uint8]  # (frames,)

FEATURES = 39
WINDOW, HOP = 0.025, 0.010  # seconds
COEFFICIENTS, BANDS, PREEMPHASIS, WIDTH = 12, 26, 0.97, 5
RATES = range(8_000, 192_001)  # Hz; below, the lowest mel bands would hold no frequency of a 25 ms window


def read_recording(path: Path) -> tuple[Samples, int]:
    """The samples of a NIST SPHERE or a RIFF (.wav) file, whichever its first bytes say, and their rate in Hz.

    Several channels are averaged. Raises UserError when the file cannot be read, is neither, holds anything but 16-bit
    PCM, has fewer samples than its header says, or is shorter than one window. Common libraries read what is there of
    a truncated file and do not tell.
    """
    data = read_file(path)
    try:
        if data.startswith(b"NIST_1A"):
            channels, width, rate, count, order, pcm = _sphere(data)
        elif data.startswith(b"RIFF"):
            channels, width, rate, count, order, pcm = _riff(data)
        else:
            raise UserError(f"{path}: neither a NIST SPHERE nor a RIFF file; expected a recording of speech")
    except (ValueError, KeyError, wave.Error, EOFError, RuntimeError, struct.error) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{path}: a damaged or compressed recording ({reason:.120}); expected 16-bit PCM") from error
    if width != 2 or channels < 1:
        raise UserError(f"{path}: {channels} channel(s) of {8 * width} bits; expected 16-bit PCM")
    if len(pcm) < 2 * channels * count:
        there = len(pcm) // (2 * channels)
        raise UserError(f"{path}: truncated, {there} of {count} samples are there; get this file anew")
    if rate not in RATES:
        raise UserError(f"{path}: sampled at {rate} Hz; expected {RATES.start} Hz or more")
    if count < window_and_hop(rate)[0]:
        raise UserError(f"{path}: {count} samples are less than one window of 25 ms; remove or replace this file")
    return np.frombuffer(pcm, f"{order}i2", channels * count).reshape(count, channels).mean(axis=1) / 2**15, rate


_Parsed = tuple[int, int, int, int, str, bytes]  # channels, bytes a sample, rate, samples, byte order, PCM


def _sphere(data: bytes) -> _Parsed:
    size = int(data[8:16])  # the header's second line: 1024, in practice
    header = data[:size].partition(b"end_head")[0].decode("latin1")
    fields = dict(re.findall(r"^(\w+) -\w+ (.*?)\s*$", header, re.MULTILINE))
    coding = fields.get("sample_coding", "pcm")  # TIMIT leaves it out
    if coding != "pcm":
        raise ValueError(f"its samples are coded as {coding}, which is not read: convert it with `sph2pipe -p`")
    channels, width, rate, count = (
        int(fields[name]) for name in ("channel_count", "sample_n_bytes", "sample_rate", "sample_count")
    )
    return channels, width, rate, count, {"01": "<", "10": ">"}[fields["sample_byte_format"]], data[size:]


def _riff(data: bytes) -> _Parsed:
    with wave.open(io.BytesIO(data)) as file:
        count = file.getnframes()
        return file.getnchannels(), file.getsampwidth(), file.getframerate(), count, "<", file.readframes(count)


def window_and_hop(rate: int) -> tuple[int, int]:
    """The length of a window and the distance to the next one, in samples."""
    return round(WINDOW * rate), round(HOP * rate)


def frame_centres(samples: int, rate: int) -> npt.NDArray[np.int64]:
    """The sample in the middle of each frame's window, (frames,)."""
    window, hop = window_and_hop(rate)
    return window // 2 + hop * np.arange(1 + (samples - window) // hop)


def features_of(samples: Samples, rate: int) -> Features:
    """Features (frames, 39): 12 MFCC and the energy, their first differences, their second ones; not yet normalised.

    `samples` fill at least one window. Raises UserError when librosa is not installed.
    """
    try:
        import librosa
    except ImportError:
        raise UserError(
            "recordings of speech need the package librosa: run `pip install librosa`, "
            "or install with the extra `speech`"
        ) from None
    window, hop = window_and_hop(rate)
    mel = librosa.feature.melspectrogram(
        y=librosa.effects.preemphasis(samples, coef=PREEMPHASIS),
        sr=rate,
        n_fft=window,
        hop_length=hop,
        window="hamming",
        center=False,
        n_mels=BANDS,
        htk=True,
    )
    energy = librosa.feature.rms(y=samples, frame_length=window, hop_length=hop, center=False) ** 2
    # Without top_db: it would cut off what is quiet beside the utterance's own loudest frame.
    cepstrum = librosa.feature.mfcc(S=librosa.power_to_db(mel, top_db=None), n_mfcc=COEFFICIENTS + 1)
    static = np.concatenate([cepstrum[1:], librosa.power_to_db(energy, top_db=None)])
    first = librosa.feature.delta(static, width=WIDTH, mode="nearest")
    second = librosa.feature.delta(first, width=WIDTH, mode="nearest")
    return np.concatenate([static, first, second]).T.astype(np.float32)


def read_splits(
    found: Mapping[str, Sequence[Item]],
    read: Callable[[Item], tuple[Features, FrameClasses]],
    what: str,
    progress: ProgressCallback,
) -> dict[str, Sequences]:
    """What `read` makes of the items of each split; see `splits_of`."""
    total = sum(map(len, found.values()))
    pairs: dict[str, list[tuple[Features, FrameClasses]]] = {split: [] for split in found}
    done = 0
    for split, items in found.items():
        for item in items:
            progress(what, done, total)
            pairs[split].append(read(item))
            done += 1
    progress(what, done, total)
    return splits_of(pairs)


def splits_of(pairs: Mapping[str, Sequence[tuple[Features, FrameClasses]]]) -> dict[str, Sequences]:
    """Sequences of each split, every feature at mean 0 and variance 1 over the training frames.

    `pairs` holds a sequence's features and its classes; the statistics are of the split `train` alone.
    """
    mean, std = mean_and_std(np.concatenate([frames for frames, _ in pairs["train"]]))
    return {
        split: Sequences(
            inputs=np.concatenate([((frames - mean) / std).astype(np.float32) for frames, _ in sequences]),
            targets=np.concatenate([classes for _, classes in sequences])[:, None],
            lengths=np.array([len(frames) for frames, _ in sequences], np.int64),
        )
        for split, sequences in pairs.items()
    }


def entries(folder: Path) -> list[Path]:
    """What a folder holds, without hidden files, in an order that does not depend on the case of names.

    Raises UserError when it is no folder or cannot be read.
    """
    try:
        found = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{folder}: cannot be read as a folder ({reason}); check the path") from error
    return sorted(found, key=lambda entry: (entry.name.upper(), entry.name))
