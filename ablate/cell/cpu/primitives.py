"""Functions that generated kernels call, in forms that the compiler turns into vector instructions.

No fast-math flag that assumes away NaN or infinity is set: a trial that diverges must be seen to.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

# Sums may be reordered and products fused; NaN, infinity and their order of precedence stay.
FAST = {"reassoc", "contract", "nsz", "arcp"}

compiled: Any = numba.njit(fastmath=FAST, error_model="numpy", nogil=True)
kernel: Any = numba.njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)


@intrinsic
def _float_of_bits(context: Any, bits: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), build


@intrinsic
def _pointer(context: Any, address: Any, like: Any) -> Any:
    pointer = types.CPointer(like.dtype)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.int64, like), build


@compiled
def vector_at(weights: Any, k: Any, N: Any, like: Any) -> Any:
    """The vector of N numbers that lies at the k-th address; its numbers are of the kind of `like`."""
    return numba.carray(_pointer(weights[k], like), (N,))  # pyright: ignore


@compiled
def matrix_at(weights: Any, k: Any, rows: Any, columns: Any, like: Any) -> Any:
    """The contiguous matrix that lies at the k-th address; its numbers are of the kind of `like`."""
    return numba.carray(_pointer(weights[k], like), (rows, columns))  # pyright: ignore


def exp(x: Any) -> Any:
    """e to the x."""
    return math.exp(x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return math.tanh(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x)."""
    return 1 / (1 + math.exp(-x))


def log1p(x: Any) -> Any:
    """log(1 + x) for x from 0 to 1."""
    return math.log1p(x)


f32 = np.float32


@compiled
def _exp32(x: Any) -> Any:
    """e to the x in single precision, by Cephes' polynomial: x = n log 2 + r, and e^r is a polynomial on |r| < 0.35."""
    c = x
    c = f32(88.72) if c > f32(88.72) else c
    c = f32(-87.33) if c < f32(-87.33) else c
    n = np.floor(c * f32(1.44269504088896341) + f32(0.5))
    r = c - n * f32(0.693359375) + n * f32(2.12194440e-4)
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    bits = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))  # 2^n, by its exponent
    value = (p * r * r + r + f32(1)) * _float_of_bits(bits)  # pyright: ignore[reportCallIssue]
    value = f32(np.inf) if x > f32(88.72) else value
    return f32(0) if x < f32(-87.33) else value


@compiled
def _tanh32(x: Any) -> Any:
    """tanh in single precision, a quotient of polynomials in x^2 (minimax on |x| < 7.9, beyond which tanh is 1)."""
    c = x
    c = f32(7.90531110763549805) if c > f32(7.90531110763549805) else c
    c = f32(-7.90531110763549805) if c < f32(-7.90531110763549805) else c
    s = c * c
    p = f32(-2.76076847742355e-16)
    p = p * s + f32(2.00018790482477e-13)
    p = p * s + f32(-8.60467152213735e-11)
    p = p * s + f32(5.12229709037114e-08)
    p = p * s + f32(1.48572235717979e-05)
    p = p * s + f32(6.37261928875436e-04)
    p = p * s + f32(4.89352455891786e-03)
    q = f32(1.19825839466702e-06)
    q = q * s + f32(1.18534705686654e-04)
    q = q * s + f32(2.26843463243900e-03)
    q = q * s + f32(4.89352518554385e-03)
    return c * p / q


@compiled
def _sigmoid32(x: Any) -> Any:
    return f32(1) / (f32(1) + _exp32(-x))


@compiled
def _log1p32(x: Any) -> Any:
    """log(1 + x) = 2 artanh(x / (2 + x)), by the series of artanh, which falls fast as long as 0 <= x <= 1."""
    s = x / (f32(2) + x)
    q = s * s
    p = f32(1 / 15)
    p = p * q + f32(1 / 13)
    p = p * q + f32(1 / 11)
    p = p * q + f32(1 / 9)
    p = p * q + f32(1 / 7)
    p = p * q + f32(1 / 5)
    p = p * q + f32(1 / 3)
    return f32(2) * (s + s * q * p)


@compiled
def relu(x: Any) -> Any:
    return x * 0 if x < 0 else x  # a NaN stays one


@compiled
def maximum(a: Any, b: Any) -> Any:
    return a if a > b or a != a else b


@compiled
def minimum(a: Any, b: Any) -> Any:
    return a if a < b or a != a else b


@compiled
def softplus(x: Any) -> Any:
    return relu(x) + log1p(exp(-abs(x)))


def _single(x: Any, short: Any, exact: Any) -> Any:
    """The single-precision form for single precision, the library's for double."""
    return short if isinstance(x, types.Float) and x.bitwidth == 32 else exact


@overload(exp, inline="always")
def _exp(x):  # Numba compares signatures, so no annotations
    return _single(x, lambda x: _exp32(x), lambda x: math.exp(x))


@overload(tanh, inline="always")
def _tanh(x):  # Numba compares signatures, so no annotations
    return _single(x, lambda x: _tanh32(x), lambda x: math.tanh(x))


@overload(sigmoid, inline="always")
def _sigmoid(x):  # Numba compares signatures, so no annotations
    return _single(x, lambda x: _sigmoid32(x), lambda x: 1.0 / (1.0 + math.exp(-x)))


@overload(log1p, inline="always")
def _log1p(x):  # Numba compares signatures, so no annotations
    return _single(x, lambda x: _log1p32(x), lambda x: math.log1p(x))
