"""Gaussian noise by its place: the k-th number of a stream follows from the stream's key and from k alone.

Two words of 32 bits come from a pair's number, by Threefry 2x32 (Salmon et al. 2011: Parallel random numbers: as easy
as 1, 2, 3), and from these two a pair of normal numbers, by Box and Muller's transform. All of it is written in steps
that are vector instructions, and whose results are the same on every processor: nothing is fused or reordered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ablate.training.compiled import compiled_loop

PAIRS = 64  # in a block, whose first half holds the first numbers of its pairs, the second half the others
BLOCK = 2 * PAIRS

u32, f32 = np.uint32, np.float32

# Without the flags of the other loops, so that a number is the same wherever a part of a stream begins or ends.
exactly: Any = numba.njit(error_model="numpy", nogil=True)


@intrinsic
def _float_of_bits(context: Any, bits: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), build


@intrinsic
def _bits_of_float(context: Any, x: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), build


@exactly
def _mix(x, y, by):
    x = u32(x + y)
    y = u32(u32(y << u32(by)) | u32(y >> u32(32 - by)))
    return x, u32(y ^ x)


@exactly
def threefry(low, high, key_low, key_high):
    """Two words from a counter of two, by Threefry 2x32 with 20 rounds."""
    third = u32(u32(0x1BD11BDA) ^ u32(key_low ^ key_high))
    x, y = u32(low + key_low), u32(high + key_high)
    x, y = _mix(x, y, 13)
    x, y = _mix(x, y, 15)
    x, y = _mix(x, y, 26)
    x, y = _mix(x, y, 6)
    x, y = u32(x + key_high), u32(y + u32(third + u32(1)))
    x, y = _mix(x, y, 17)
    x, y = _mix(x, y, 29)
    x, y = _mix(x, y, 16)
    x, y = _mix(x, y, 24)
    x, y = u32(x + third), u32(y + u32(key_low + u32(2)))
    x, y = _mix(x, y, 13)
    x, y = _mix(x, y, 15)
    x, y = _mix(x, y, 26)
    x, y = _mix(x, y, 6)
    x, y = u32(x + key_low), u32(y + u32(key_high + u32(3)))
    x, y = _mix(x, y, 17)
    x, y = _mix(x, y, 29)
    x, y = _mix(x, y, 16)
    x, y = _mix(x, y, 24)
    x, y = u32(x + key_high), u32(y + u32(third + u32(4)))
    x, y = _mix(x, y, 13)
    x, y = _mix(x, y, 15)
    x, y = _mix(x, y, 26)
    x, y = _mix(x, y, 6)
    return u32(x + third), u32(y + u32(key_low + u32(5)))


@exactly
def normal_pair(one, other):
    """Two normal numbers from two words: of one the distance from 0, up to 6.76, of the other the direction."""
    # The logarithm of a number above 0, up to 1, by a polynomial on its mantissa, between the roots of 1/2 and of 2.
    share = (f32(one) + f32(0.5)) * f32(2.0**-32)
    bits = _bits_of_float(share)  # pyright: ignore[reportCallIssue]
    apart = np.int32(bits - np.int32(0x3F3504F3))
    exponent = np.int32(apart >> np.int32(23))
    mantissa = np.int32(np.int32(apart & np.int32(0x7FFFFF)) + np.int32(0x3F3504F3))
    f = _float_of_bits(mantissa) - f32(1)  # pyright: ignore[reportCallIssue]
    p = f32(0.1170802394764)
    p = p * f - f32(0.1849689953333)
    p = p * f + f32(0.2049380873048)
    p = p * f - f32(0.2493686814482)
    p = p * f + f32(0.3331743228887)
    square = f * f
    log = f32(exponent) * f32(0.6931471805599453) + (f - f32(0.5) * square + square * f * p)
    distance = np.sqrt(-log)
    # The angle to the middle of its quadrant, in quarters of pi; the quadrant is that of the two lowest bits.
    angle = f32(np.int32(other)) * f32(2.0**-31)
    square = angle * angle
    sine = f32(0.0024271060403)
    sine = sine * square - f32(0.0807139987596)
    sine = (sine * square + f32(0.7853942344882)) * angle
    cosine = f32(-0.000318880507629)
    cosine = cosine * square + f32(0.0158499152558)
    cosine = cosine * square - f32(0.3084242535616)
    cosine = cosine * square + f32(0.9999999724233)
    first = _bits_of_float(distance * (cosine - sine))  # pyright: ignore[reportCallIssue]
    second = _bits_of_float(distance * (cosine + sine))  # pyright: ignore[reportCallIssue]
    word = np.int32(other)
    first = np.int32(first ^ np.int32(word << np.int32(31)))
    second = np.int32(second ^ np.int32(np.int32(word << np.int32(30)) & np.int32(-(2**31))))
    return _float_of_bits(first), _float_of_bits(second)  # pyright: ignore[reportCallIssue]


@exactly
def add_noise(x, key, position, std, work):
    """Add to `x` numbers of a stream, beginning with that at `position`, times `std`.

    Args:
        x: (n,), single precision, contiguous.
        key: the stream, two words of 32 bits.
        position: a whole number from 0.
        std: single precision.
        work: BLOCK numbers of single precision, with any content.
    """
    key_low, key_high, done, n = key[0], key[1], 0, x.shape[0]
    some, others = work[:PAIRS], work[PAIRS:BLOCK]
    while done < n:
        block, first = (position + done) // BLOCK, (position + done) % BLOCK
        low, high = u32(block * PAIRS), u32((block * PAIRS) >> 32)
        for k in range(PAIRS):
            one, other = threefry(u32(low + u32(k)), high, key_low, key_high)
            some[k], others[k] = normal_pair(one, other)
        count = min(BLOCK - first, n - done)
        part, drawn = x[done : done + count], work[first : first + count]
        for k in range(count):
            part[k] += std * drawn[k]
        done += count


_KEY: Any = types.Array(types.uint32, 1, "C", readonly=True)


@compiled_loop(types.void(types.float32[::1], _KEY, types.int64, types.float32))
def _add_noise(x, key, position, std):
    add_noise(x, key, position, std, np.empty(BLOCK, np.float32))


@dataclass
class Noise:
    """Gaussian noise over the inputs of an epoch, added batch by batch."""

    key: npt.NDArray[np.uint32]  # the stream, as `RandomStreams.key` gives it
    std: float
    position: int = 0  # how many numbers of the stream have been taken

    def add_to(self, x: npt.NDArray[np.float32]) -> None:
        if self.std:
            _add_noise(x.reshape(-1), self.key, self.position, self.std)  # type: ignore[call-arg]
            self.position += x.size
