"""Matrix products inside the time loop, as tiles of vector registers.

A recurrent product is small and needed at once, so that a library's product spends its time on preparations. Here a
tile of the result stays in registers while the matrix streams past once. The tiles are written in the compiler's
vector types, which it splits or joins into what the processor has; the last vector of a row is masked, so that any
number of units is as fast as the next multiple.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_FEATURES = llvmlite.binding.get_host_cpu_features()
VECTOR_BYTES = 64 if _FEATURES.get("avx512f") else 32 if _FEATURES.get("avx") else 16
# Vectors of the result held at once: for one sequence enough to hide the latency of their sums, for several as many
# as the registers hold.
ALONE = 8
SEQUENCES = 4
TOGETHER = 2 if VECTOR_BYTES == 32 else 4

# Sums may be reordered and products fused; NaN, infinity and their order of precedence stay.
_FAST = ("reassoc", "contract", "nsz")
_INDEX = ir.IntType(64)
_LANE = ir.IntType(32)


class _Matrix:
    """A two-dimensional array whose rows are contiguous, unless it is read through `number_at`."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        sizes, strides = (cgutils.unpack_tuple(builder, each, kind.ndim) for each in (array.shape, array.strides))
        self.builder = builder
        self.data = builder.bitcast(array.data, ir.IntType(8).as_pointer())
        self.number = context.get_data_type(kind.dtype)
        self.rows, self.columns = sizes
        self.stride, self._step = strides
        self.bytes = kind.dtype.bitwidth // 8

    def at(self, row: Any, column: Any, to: Any) -> Any:
        """A pointer to an element, as a pointer to `to`."""
        builder = self.builder
        offset = builder.add(builder.mul(row, self.stride), builder.mul(column, _INDEX(self.bytes)))
        return builder.bitcast(builder.gep(self.data, [offset]), to.as_pointer())

    def number_at(self, row: Any, column: Any) -> Any:
        """A pointer to an element, wherever the next one of its row lies."""
        builder = self.builder
        offset = builder.add(builder.mul(row, self.stride), builder.mul(column, self._step))
        return builder.bitcast(builder.gep(self.data, [offset]), self.number.as_pointer())


class _Tiles:
    """Writes loops over tiles."""

    def __init__(self, builder: Any, number: Any, number_bytes: int) -> None:
        self.builder = builder
        self.number = number
        self.bytes = number_bytes
        self.width = VECTOR_BYTES // number_bytes
        self.vector = ir.VectorType(number, self.width)

    def zero(self, kind: Any) -> Any:
        """A register of zeros, as a variable."""
        variable = cgutils.alloca_once(self.builder, kind)
        self.builder.store(ir.Constant(kind, None), variable)
        return variable

    def load(self, pointer: Any, mask: Any) -> Any:
        """A vector from memory; with a mask, zeros where it is off."""
        if mask is None:
            return self.builder.load(pointer, align=self.bytes)
        signature = ir.FunctionType(self.vector, [pointer.type, _LANE, mask.type, self.vector])
        load = self._intrinsic("masked.load", signature, f"{self._suffix()}.p0")
        return self.builder.call(load, [pointer, _LANE(self.bytes), mask, ir.Constant(self.vector, None)])

    def store(self, value: Any, pointer: Any, mask: Any) -> None:
        if mask is None:
            self.builder.store(value, pointer, align=self.bytes)
            return
        signature = ir.FunctionType(ir.VoidType(), [self.vector, pointer.type, _LANE, mask.type])
        store = self._intrinsic("masked.store", signature, f"{self._suffix()}.p0")
        self.builder.call(store, [value, pointer, _LANE(self.bytes), mask])

    def total(self, vector: Any) -> Any:
        """The sum of a vector's numbers."""
        signature = ir.FunctionType(self.number, [self.number, self.vector])
        reduce = self._intrinsic("vector.reduce.fadd", signature, self._suffix())
        return self.builder.call(reduce, [ir.Constant(self.number, -0.0), vector], fastmath=_FAST)

    def add_product(self, variable: Any, a: Any, b: Any) -> None:
        """variable += a * b"""
        builder = self.builder
        product = builder.fmul(a, b, flags=_FAST)
        builder.store(builder.fadd(builder.load(variable), product, flags=_FAST), variable)

    def spread(self, number: Any) -> Any:
        """A vector of one number."""
        builder = self.builder
        alone = builder.insert_element(ir.Constant(self.vector, ir.Undefined), number, _LANE(0))
        lanes = ir.Constant(ir.VectorType(_LANE, self.width), None)
        return builder.shuffle_vector(alone, ir.Constant(self.vector, ir.Undefined), lanes)

    def mask(self, left: Any) -> Any:
        """On for as many lanes as numbers are left."""
        lanes = ir.VectorType(_INDEX, self.width)
        builder = self.builder
        alone = builder.insert_element(ir.Constant(lanes, ir.Undefined), left, _LANE(0))
        zeros = ir.Constant(ir.VectorType(_LANE, self.width), None)
        limit = builder.shuffle_vector(alone, ir.Constant(lanes, ir.Undefined), zeros)
        return builder.icmp_signed("<", ir.Constant(lanes, list(range(self.width))), limit)

    def panels(self, columns: Any, most: int, tile: Callable[[Any, int, Any], None]) -> None:
        """Cover the columns by panels of at most `most` vectors, the last two of like width.

        `tile(column, vectors, mask)` writes one; the mask, if any, is for its last vector.
        """
        builder, width = self.builder, _INDEX(self.width)
        vectors = builder.sdiv(builder.add(columns, _INDEX(self.width - 1)), width)
        place = cgutils.alloca_once_value(builder, _INDEX(0))  # in vectors

        def left() -> Any:
            return builder.sub(vectors, builder.load(place))

        with self.repeat(lambda: builder.icmp_signed(">=", left(), _INDEX(2 * most))):
            tile(builder.mul(builder.load(place), width), most, None)
            builder.store(builder.add(builder.load(place), _INDEX(most)), place)
        with self.repeat(lambda: builder.icmp_signed(">", left(), _INDEX(0))):
            half = builder.sdiv(builder.add(left(), _INDEX(1)), _INDEX(2))
            one = builder.icmp_signed("<=", left(), _INDEX(most))
            size = builder.select(one, left(), half)
            after = builder.append_basic_block("panel.after")
            switch = builder.switch(size, after)
            for count in range(1, most + 1):
                block = builder.append_basic_block(f"panel.{count}")
                switch.add_case(_INDEX(count), block)
                builder.position_at_end(block)
                column = builder.mul(builder.load(place), width)
                last = builder.add(column, _INDEX((count - 1) * self.width))
                tile(column, count, self.mask(builder.sub(columns, last)))
                builder.branch(after)
            builder.position_at_end(after)
            builder.store(builder.add(builder.load(place), size), place)

    def repeat(self, holds: Callable[[], Any]) -> Any:
        """A loop that runs while something holds."""
        return _While(self.builder, holds)

    def rows(self, rows: Any, most: int, write: Callable[[Any, int], None]) -> None:
        """Cover the rows by blocks of `most`, the rest one by one; `write(row, count)` writes a block."""
        builder = self.builder
        row = cgutils.alloca_once_value(builder, _INDEX(0))
        for count in (most, 1):
            step = _INDEX(count)
            with self.repeat(lambda step=step: builder.icmp_signed("<=", builder.add(builder.load(row), step), rows)):
                write(builder.load(row), count)
                builder.store(builder.add(builder.load(row), step), row)

    def _suffix(self) -> str:
        return f"v{self.width}f{self.bytes * 8}"

    def _intrinsic(self, name: str, signature: Any, suffix: str) -> Any:
        return cgutils.get_or_insert_function(self.builder.module, signature, f"llvm.{name}.{suffix}")


class _While:
    def __init__(self, builder: Any, holds: Callable[[], Any]) -> None:
        self.builder = builder
        self.holds = holds

    def __enter__(self) -> None:
        builder = self.builder
        self.head, body, self.end = (builder.append_basic_block(f"while.{part}") for part in ("head", "body", "end"))
        builder.branch(self.head)
        builder.position_at_end(self.head)
        builder.cbranch(self.holds(), body, self.end)
        builder.position_at_end(body)

    def __exit__(self, *_: object) -> None:
        self.builder.branch(self.head)
        self.builder.position_at_end(self.end)


def _arguments(out: Any, vectors: Any, matrix: Any) -> bool:
    """Whether the arrays have contiguous rows of one kind of number."""
    arrays = (out, vectors, matrix)
    return all(isinstance(each, types.Array) and each.ndim == 2 for each in arrays)


def _product(out: Any, vectors: Any, matrix: Any, add: bool) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        o, v, m = (_Matrix(context, builder, *each) for each in zip(signature.args, arguments, strict=True))
        tiles = _Tiles(builder, m.number, m.bytes)

        def block(row: Any, count: int) -> None:
            def tile(column: Any, panel: int, mask: Any) -> None:
                masks = [None] * (panel - 1) + [mask]
                sums = [[tiles.zero(tiles.vector) for _ in range(panel)] for _ in range(count)]
                with cgutils.for_range(builder, m.rows) as loop:
                    start = m.at(loop.index, column, tiles.vector)
                    read = [tiles.load(_next(builder, start, k), masks[k]) for k in range(panel)]
                    for each in range(count):
                        factor = builder.load(v.number_at(builder.add(row, _INDEX(each)), loop.index))
                        spread = tiles.spread(factor)
                        for k in range(panel):
                            tiles.add_product(sums[each][k], spread, read[k])
                for each in range(count):
                    start = o.at(builder.add(row, _INDEX(each)), column, tiles.vector)
                    for k in range(panel):
                        pointer = _next(builder, start, k)
                        value = builder.load(sums[each][k])
                        if add:
                            value = builder.fadd(tiles.load(pointer, masks[k]), value, flags=_FAST)
                        tiles.store(value, pointer, masks[k])

            tiles.panels(o.columns, ALONE if count == 1 else TOGETHER, tile)

        tiles.rows(o.rows, SEQUENCES, block)
        return context.get_dummy_value()

    return (types.void(out, vectors, matrix), build) if _arguments(out, vectors, matrix) else None


@intrinsic
def multiply_into(context: Any, out: Any, vectors: Any, matrix: Any) -> Any:
    """out += vectors @ matrix; out is (B, columns), vectors (B, D), matrix (D, columns).

    Rows are contiguous, those of `vectors` excepted: it may be a transpose.
    """
    return _product(out, vectors, matrix, add=True)


@intrinsic
def multiply(context: Any, out: Any, vectors: Any, matrix: Any) -> Any:
    """out = vectors @ matrix, as `multiply_into`."""
    return _product(out, vectors, matrix, add=False)


@intrinsic
def multiply_back(context: Any, out: Any, vectors: Any, matrix: Any) -> Any:
    """out += vectors @ matrix.T; out is (B, D), vectors (B, columns), matrix (D, columns); rows are contiguous."""

    def build(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        o, v, m = (_Matrix(context, builder, *each) for each in zip(signature.args, arguments, strict=True))
        tiles = _Tiles(builder, m.number, m.bytes)
        width = _INDEX(tiles.width)

        def block(row: Any, count: int) -> None:
            def tile(d: Any, ds: int) -> None:
                sums = [[tiles.zero(tiles.vector) for _ in range(ds)] for _ in range(count)]

                def add(column: Any, mask: Any) -> None:
                    read = [
                        tiles.load(v.at(builder.add(row, _INDEX(each)), column, tiles.vector), mask)
                        for each in range(count)
                    ]
                    for k in range(ds):
                        line = tiles.load(m.at(builder.add(d, _INDEX(k)), column, tiles.vector), mask)
                        for each in range(count):
                            tiles.add_product(sums[each][k], line, read[each])

                whole = builder.sdiv(m.columns, width)
                with cgutils.for_range(builder, whole) as loop:
                    add(builder.mul(loop.index, width), None)
                end = builder.mul(whole, width)
                left = builder.sub(m.columns, end)
                with builder.if_then(builder.icmp_signed(">", left, _INDEX(0))):
                    add(end, tiles.mask(left))
                for each in range(count):
                    for k in range(ds):
                        pointer = o.at(builder.add(row, _INDEX(each)), builder.add(d, _INDEX(k)), m.number)
                        total = tiles.total(builder.load(sums[each][k]))
                        builder.store(builder.fadd(builder.load(pointer), total, flags=_FAST), pointer)

            tiles.rows(m.rows, ALONE if count == 1 else TOGETHER, tile)

        tiles.rows(o.rows, SEQUENCES, block)
        return context.get_dummy_value()

    return (types.void(out, vectors, matrix), build) if _arguments(out, vectors, matrix) else None


def _next(builder: Any, pointer: Any, vectors: int) -> Any:
    return builder.gep(pointer, [_INDEX(vectors)]) if vectors else pointer
