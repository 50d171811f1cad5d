"""A trial is its coordinates: they alone determine every number that it draws."""

from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, order=True)
class TrialId:
    """Where a trial stands in its study.

    A replicate has the hyperparameters of the search's trial at its task, variant and index, and draws all else anew.
    """

    task: str  # its name
    variant: str  # its name
    index: int  # 0 for the first draw of the search
    purpose: str = "search"  # or that of a replicate: "control", "confirmation"
    replicate: int = 0  # 1, 2, ... for the replicates of one purpose

    @property
    def searched(self) -> TrialId:
        """The trial of the search at this place: itself, or the one whose hyperparameters this replicate has."""
        return TrialId(self.task, self.variant, self.index)

    def __str__(self) -> str:
        place = f"{self.task}/{self.variant}/{self.index}"
        return f"{place}/{self.purpose}-{self.replicate}" if self.replicate else place


@dataclass(frozen=True)
class RandomStreams:
    """The random numbers of a trial, each kind from a stream of its own.

    A stream is a child of the study's `numpy.random.SeedSequence`, named by the coordinates and by what it is for.
    No generator outlives its use, so it does not matter in which order, by which process or in which run of the
    command a trial comes up.

    Paired draws leave the variant out of the name: at one index all variants share hyperparameters, data order,
    noise, and the initial value of each weight that they have in common. Replicates are never paired: what they say of
    two variants rests on draws that the two do not share.
    """

    seed: int  # of the study
    coordinates: TrialId  # the trial
    paired: bool = True  # whether all variants share the draws of an index

    def generator(self, purpose: str, *details: str | int) -> np.random.Generator:
        """The generator for one purpose, such as ("order", epoch)."""
        return np.random.Generator(np.random.PCG64(self._sequence(purpose, *details)))

    def key(self, purpose: str, *details: str | int) -> npt.NDArray[np.uint32]:
        """The key for one purpose, such as ("noise", epoch), of a stream whose numbers are known by their places."""
        return self._sequence(purpose, *details).generate_state(2).astype(np.uint32)

    def sobol_point(self, axes: int) -> list[float]:
        """This index' point of a scrambled Sobol sequence, in [0, 1) along each axis.

        The sequence is one for each task, and for each variant where draws are not paired.
        """
        from scipy.stats import qmc  # slow to import

        first = RandomStreams(self.seed, replace(self.coordinates.searched, index=0), self.paired)
        sequence = qmc.Sobol(axes, rng=first.generator("sobol"))
        if self.coordinates.index:
            sequence.fast_forward(self.coordinates.index)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # points of one sequence are taken one at a time
            (point,) = sequence.random(1)
        return [min(float(each), math.nextafter(1.0, 0.0)) for each in point]

    def _sequence(self, purpose: str, *details: str | int) -> np.random.SeedSequence:
        at = self.coordinates
        variant = () if self.paired and not at.replicate else (at.variant,)
        replicate = (at.purpose, at.replicate) if at.replicate else ()
        name = (at.task, *variant, at.index, *replicate, purpose, *details)
        return np.random.SeedSequence(self.seed, spawn_key=_key(name))


def _key(name: tuple[str | int, ...]) -> tuple[int, ...]:
    """A spawn key for a name; one digest over all parts, since differently cut names must not meet."""
    digest = hashlib.sha256("\0".join(map(str, name)).encode()).digest()
    return tuple(int.from_bytes(digest[k : k + 4], "little") for k in range(0, 16, 4))
