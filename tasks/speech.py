"""The task `speech`: at every frame, which phone sounds; on the embedded data, who speaks.

The original is TIMIT with its 61 phones (see sources/timit.py), which is paid for; a folder of spoken digits may stand
in for it (see sources/recordings.py). What is embedded is real speech too, but another job: Japanese Vowels, where nine
speakers are told apart at every frame of a vowel pair. Its results say nothing on phones; report them as just that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ablate.definitions.dataset import Dataset, TargetPosition
from ablate.definitions.task import TASKS, ProgressCallback, Settings, Task
from ablate.errors import UserError
from ablate.files import file_fingerprint, files_fingerprint
from tasks.baselines import most_frequent_class
from tasks.sources import recordings, timit
from tasks.sources.features import splits_of

VOWELS = Path(__file__).parent / "data" / "japanese_vowels.npz"
SPEAKERS = 9


def load(path: Path | None, settings: Settings, progress: ProgressCallback) -> Dataset:
    """TIMIT, a folder of spoken digits, or the embedded Japanese Vowels when there is no path.

    Inputs are float32 (frames, M), targets uint8 (frames, 1). Raises UserError.
    """
    folded = bool(settings["folded"])
    utterances = None if path is None else timit.find_utterances(path)
    if path is not None and utterances is not None:
        return timit.load(path, utterances, folded, progress)
    if folded:
        raise UserError(
            "speech: `folded` joins the phones of TIMIT; give your copy with --data speech=PATH, or drop it"
        )
    return load_vowels() if path is None else recordings.load(path, _recordings(path), progress)


def _recordings(path: Path) -> dict[str, list[recordings.Recording]]:
    found = recordings.find_recordings(path)
    if found is None:
        raise UserError(
            f"{path}: neither TIMIT (no folders TRAIN and TEST in it or in a folder TIMIT in it) nor spoken digits "
            "(no files such as 3_jackson_12.wav in it or in a folder `recordings` in it)"
        )
    return found


def load_vowels() -> Dataset:
    """Japanese Vowels: inputs are (frames, 12), targets the speaker; every fifth training utterance validates.

    Each speaker has 30 training utterances, in order, so six of them validate.
    """
    with np.load(VOWELS) as arrays:
        parts = {}
        for part in ("train", "test"):
            lengths = arrays[f"{part}_lengths"].astype(np.int64)
            coefficients = (arrays[f"{part}_coefficients"] / 1e6).astype(np.float32)  # kept as millionths
            speakers = np.repeat(arrays[f"{part}_speakers"], lengths)
            cuts = np.cumsum(lengths)[:-1]
            parts[part] = list(zip(np.split(coefficients, cuts), np.split(speakers, cuts), strict=True))
    numbered = list(enumerate(parts["train"]))
    splits = splits_of(
        {
            "train": [utterance for number, utterance in numbered if number % 5 != 4],
            "validation": [utterance for number, utterance in numbered if number % 5 == 4],
            "test": parts["test"],
        }
    )
    return Dataset(
        splits,
        "Japanese Vowels (UCI)",
        input_size=splits["train"].inputs.shape[1],
        output_size=SPEAKERS,
        class_names=tuple(f"speaker {number + 1}" for number in range(SPEAKERS)),
        notes=("framewise speaker classification: who of nine speakers says /ae/, not which phone sounds",),
    )


def fingerprint(path: Path | None) -> str:
    """SHA-256 of the embedded file, or over the files that would be read. Raises UserError."""
    if path is None:
        return file_fingerprint(VOWELS)
    utterances = timit.find_utterances(path)
    if utterances is not None:
        return files_fingerprint(file for split in utterances.values() for pair in split for file in pair)
    return files_fingerprint(each.path for split in _recordings(path).values() for each in split)


DESCRIPTION = """\
Which class a frame of speech belongs to, at every frame. Embedded: which of nine speakers; TIMIT: which of 61 phones.

source     Japanese Vowels (Kudo, Toyama and Shimbo 1999; UCI, doi 10.24432/C5NS47, CC BY 4.0): nine male speakers say
           the vowels /ae/; 640 utterances of 7 to 29 frames of 12 LPC cepstrum coefficients, 25.6 ms every 6.4 ms.
           Real speech, but framewise speaker classification, not phones: report it as just that.
own data   --data speech=PATH, which needs librosa (the extra `speech`):
           TIMIT (LDC93S1, paid), the folder with TRAIN and TEST, upper or lower case, SPHERE or RIFF; SA sentences
           are dropped. With the setting `folded`, training and scoring use the 39 classes of Lee and Hon (1989) for
           the 61 phones; q, which they leave out, joins the closures in `sil`, since every frame has a target.
           Or spoken digits, a folder of {digit}_{speaker}_{index}.wav such as the Free Spoken Digit Dataset (CC BY-SA
           4.0): the digit of the recording at every frame.
shapes     Japanese Vowels: inputs frames x 12, 9 classes. Recordings: inputs frames x 39, 12 MFCC and the log energy
           with first and second differences, windows of 25 ms every 10 ms, pre-emphasis 0.97; 61 (39) or 10 classes,
           TIMIT's being the phone at the centre of the window. All with mean 0 and variance 1 over training frames.
splits     Japanese Vowels: the published one, 270 training (of which every fifth, 54, validates) and 370 test
           utterances, the test of the same speakers on other occasions. TIMIT: 3,696 utterances of the training
           speakers, 400 of the 50-speaker development set, 192 of the core test set. Digits: index 0 to 4 test,
           5 to 9 validation, the rest training.
score      classification error in per cent of the frames, lower is better.
"""

TASKS.add(
    Task(
        name="speech",
        summary="speech, frame by frame: the speaker (Japanese Vowels, embedded) or the phone (TIMIT)",
        description=DESCRIPTION,
        loss="cross_entropy",
        score="error_rate",
        target_position=TargetPosition.EVERY_FRAME,
        unit="% frame error",
        load=load,
        baseline=most_frequent_class,
        settings={"folded": False},
        allows_bidirectional=True,
        groups=("default",),
        fingerprint=fingerprint,
    )
)
