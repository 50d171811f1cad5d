"""The tasks `timing-measure` and `timing-generate`: how long an interval was, and to keep one.

After the experiments MSD and GTS of Gers, Schraudolph and Schmidhuber (2002), which ask for peepholes: a cell whose
output gate is closed cannot be read by the gates unless they look into it. Measuring is reported to need none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ablate.data.generated import checked_setting
from ablate.definitions.dataset import Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS, Settings, Task
from tasks.baselines import binary_entropy


def _intervals(settings: Settings, task: str) -> tuple[int, int]:
    """The shortest interval and how many frames longer it may be; raises UserError when out of range."""
    return checked_setting(settings, task, "interval", 2, 1_000), checked_setting(settings, task, "spread", 1, 1_000)


def _spikes(times: npt.NDArray[np.int64], frames: int) -> npt.NDArray[np.uint8]:
    """Trains of `frames` frames, (count, frames), 1 at the times given, (count, spikes)."""
    train = np.zeros((len(times), frames), np.uint8)
    np.put_along_axis(train, times, 1, axis=1)
    return train


def measure(generator: np.random.Generator, count: int, settings: Settings) -> Sequences:
    """Inputs are uint8 (frames, 1), 1 at a spike; targets float32 (count, 1), from 0 to 1.

    Raises UserError when a setting is out of range.
    """
    interval, spread = _intervals(settings, "timing-measure")
    spikes = checked_setting(settings, "timing-measure", "spikes", 1, 1_000)
    longer = generator.integers(spread, size=(count, spikes), endpoint=True)
    times = np.cumsum(interval + longer, axis=1)
    lengths = times[:, -1] + 1
    train = _spikes(times, lengths.max())
    inside = np.arange(lengths.max()) < lengths[:, None]
    return Sequences(
        train[inside][:, None], (longer[:, -1:] / spread).astype(np.float32), lengths, TargetPosition.SEQUENCE_END
    )


def variance(dataset: Dataset, settings: Settings) -> float:
    """The mean squared error of always predicting one half: the variance of 0, 1/spread, ... 1, all equally likely."""
    return (settings["spread"] + 2) / (12 * settings["spread"])


def beat(generator: np.random.Generator, count: int, settings: Settings) -> Sequences:
    """Inputs are float32 (frames, 2), the cue and the tempo from 0 to 1; targets uint8 (frames, 1), 1 at a spike.

    Raises UserError when a setting is out of range.
    """
    interval, spread = _intervals(settings, "timing-generate")
    periods = checked_setting(settings, "timing-generate", "periods", 1, 1_000)
    cue, longer = generator.integers(interval, size=(count, 1)), generator.integers(spread + 1, size=(count, 1))
    times = cue + (interval + longer) * np.arange(1, periods + 1)
    lengths = times[:, -1] + 1
    inputs = np.empty((count, lengths.max(), 2), np.float32)
    inputs[:, :, 0] = _spikes(cue, lengths.max())
    inputs[:, :, 1] = longer / spread
    inside = np.arange(lengths.max()) < lengths[:, None]
    return Sequences(inputs[inside], _spikes(times, lengths.max())[inside][:, None], lengths)


def constant_rate(dataset: Dataset, settings: Settings) -> float:
    """Nats per frame when a spike is predicted at every frame by how frequent spikes are.

    The frames of a sequence are those before the cue, the cue and `periods` intervals; here the mean of each.
    """
    before, interval = (settings["interval"] - 1) / 2, settings["interval"] + settings["spread"] / 2
    return binary_entropy(settings["periods"] / (before + 1 + settings["periods"] * interval))


MEASURE = """\
How long the last of some intervals between spikes was, asked at the spike that ends it.

source     generated, no licence; the experiment MSD, measuring spike delays, of Gers, Schraudolph and Schmidhuber
           (2002). There one stream goes on and is asked at every spike; here a sequence is a few spikes long and asked
           at the last, so that the intervals before it have to be forgotten.
own data   none.
shapes     inputs are frames x 1, 1 at a spike. Each interval, the first counted from the first frame, is `interval`
           frames and 0 to `spread` more, all equally likely. One number at the end: the frames more, over `spread`.
splits     generated for each trial from its coordinates; `train`, `validation` and `test` say how many.
settings   interval (10): F, the shortest interval in frames, from 2; spread (5): how many frames more there may be,
           from 1, the hardest; spikes (3): spikes of a sequence, from 1.
score      squared error, lower is better; always predicting one half scores (spread + 2) / (12 spread), 0.117 at the
           defaults.
"""

GENERATE = """\
To give a spike at every interval after a cue: nothing but the cell itself tells when the next one is due.

source     generated, no licence; the experiment GTS, generating timed spikes, of Gers, Schraudolph and Schmidhuber
           (2002). There one stream goes on, and each interval has a length of its own; here a sequence has a few
           intervals of one length, and begins with a cue.
own data   none.
shapes     inputs are frames x 2: 1 at the cue, which comes at one of the first `interval` frames, and at every frame
           how much longer than `interval` the interval is, 0 to `spread` frames, over `spread`. Targets are frames x
           1, 1 at each of the `periods` ends of an interval after the cue; the last of them ends the sequence.
splits     generated for each trial from its coordinates; `train`, `validation` and `test` say how many. There are only
           `interval` x (`spread` + 1) sequences, so the splits share them: it is the timing that is hard.
settings   interval (10): F, the shortest interval in frames, from 2; spread (5): how many frames more there may be,
           from 1; periods (4): spikes of a sequence, from 1.
score      nats per frame, lower is better; predicting spikes by their frequency alone scores 0.259 at the defaults.
"""

TASKS.add(
    Task(
        name="timing-measure",
        summary="diagnostic: how long the interval between two spikes was",
        description=MEASURE,
        loss="squared_error",
        score="squared_error",
        target_position=TargetPosition.SEQUENCE_END,
        generate=measure,
        baseline=variance,
        settings={"interval": 10, "spread": 5, "spikes": 3},
        groups=("diagnostics",),
    )
)
TASKS.add(
    Task(
        name="timing-generate",
        summary="diagnostic: a spike at every interval after a cue",
        description=GENERATE,
        loss="binary_cross_entropy",
        score="nats",
        target_position=TargetPosition.EVERY_FRAME,
        unit="nats per frame",
        generate=beat,
        baseline=constant_rate,
        settings={"interval": 10, "spread": 5, "periods": 4},
        groups=("diagnostics",),
    )
)
