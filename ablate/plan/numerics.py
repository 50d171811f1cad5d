"""The version of the numbers: raised whenever the same trial comes to give other ones.

A study records the version that made it. One of an older version can be reported and read, never continued, so that
no table mixes two.
"""

from __future__ import annotations

NUMERICS_VERSION = 4

CHANGES = {
    1: "studies before versions were recorded",
    2: "names that the compiler made could meet names of a user's own cell, which was then computed wrongly; "
    "no number of the registered cells changed",
    3: "a trial whose loss stops being finite keeps the scores of its best epoch; before, it had none",
    4: "the noise over the inputs is drawn by a generator whose numbers follow from their places, and the sums of a "
    "training step are taken in another order",
}
