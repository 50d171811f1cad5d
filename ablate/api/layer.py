"""A variant as a layer of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ablate.cell.backend import BACKENDS, choose_backend, make_layer
from ablate.cell.layer import Layer
from ablate.cell.reference import State
from ablate.definitions.variant import VARIANTS, Variant
from ablate.errors import UserError
from ablate.plan.random_streams import RandomStreams, TrialId

COMPILED_DTYPES = (torch.float32, torch.float64)

Lengths = Tensor | Sequence[int] | np.ndarray


class RecurrentLayer(nn.Module):
    """Layers of a recurrent cell over whole sequences, as `torch.nn.LSTM`: made by `ablate.layer`.

    The weights are parameters by their names in the equations, `W_z`, `R_z`, `b_z`, `p_i`; before them stands where
    they are, if that is not the first layer forwards: `2.W_z`, `backward.W_z`, `2.backward.W_z`. Derivatives of
    derivatives are taken by the backend "reference" alone.

    Attributes:
        variant: the cell.
        input_size, hidden_size: M and N.
        output_size: N, or 2 N where the layer is bidirectional.
        layers, bidirectional, backend: as they were given.
    """

    def __init__(
        self,
        variant: Variant,
        input_size: int,
        hidden_size: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        backend: str = "auto",
        dtype: torch.dtype | None = None,
        seed: int | None = None,
        init_std: float = 0.1,
        longest: int = 100,
    ) -> None:
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("layers", layers)):
            if not isinstance(size, int | np.integer) or size < 1:
                raise UserError(f"{name} is {size}; it must be a whole number, at least 1")
        if backend not in ("auto", *BACKENDS):
            raise UserError(f"backend is {backend!r}; known: auto, {', '.join(BACKENDS)}")
        self.variant, self.backend = variant, backend
        self.input_size, self.hidden_size = input_size, hidden_size
        self.layers, self.bidirectional = layers, bidirectional
        self.init_std, self.longest = init_std, longest
        self.output_size = hidden_size * (1 + bidirectional)
        self._engines: dict[str, Layer] = {}
        for place, size in self._places():
            for stack in variant.trace.stacks_for(size, hidden_size):
                for weight in stack.weights:
                    self._put(place + weight.name, torch.empty(weight.sized(size, hidden_size), dtype=dtype))
        self.reset_parameters(seed)

    def reset_parameters(self, seed: int | None = None) -> None:
        """Draw every weight anew, from N(0, init_std) or as the variant says.

        Args:
            seed: of the draws, in which variants share the weights that they have in common; None takes one from
                PyTorch's own generator, which `torch.manual_seed` sets.

        Raises:
            UserError: the seed is below 0.
        """
        if seed is None:
            seed = int(torch.randint(2**62, ()))
        if seed < 0:
            raise UserError(f"seed is {seed}; it must be at least 0")
        streams = RandomStreams(seed, TrialId("layer", self.variant.name, 0))
        made = {
            place + name: values
            for place, size in self._places()
            for name, values in self.variant.trace.own_weights(
                size, self.hidden_size, streams.generator("weight", place)
            ).items()
        }
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                generator = streams.generator("weight", name)
                values = generator.standard_normal(tuple(parameter.shape)) * self.init_std
                own = name.rpartition(".")[2]
                if name in made:
                    values = made[name]
                elif own in self.variant.initial:
                    values = self.variant.initial[own](values, generator, self.longest)
                parameter.copy_(torch.from_numpy(values))

    @overload
    def forward(
        self, x: Tensor, state: State | Tensor | None = None, lengths: Lengths | None = None
    ) -> tuple[Tensor, State]: ...

    @overload
    def forward(self, x: PackedSequence, state: State | Tensor | None = None) -> tuple[PackedSequence, State]: ...

    def forward(
        self, x: Tensor | PackedSequence, state: State | Tensor | None = None, lengths: Lengths | None = None
    ) -> tuple[Tensor | PackedSequence, State]:
        """Run over whole sequences.

        Args:
            x: (T, B, M), or such sequences packed by `torch.nn.utils.rnn`.
            state: before the first step, for each state of the cell (layers * directions, B, N), in the order of
                `nn.LSTM`: layer by layer, forwards before backwards; zeros if left out.
            lengths: (B,), the frames of each sequence, from 1 to T; all T if left out.

        Returns:
            (T, B, N * directions), the output of the last layer, zero beyond a sequence's end, or packed as x was;
            and the state after each sequence's own last step, as `state`. The backward direction ends at frame 0.

        Raises:
            UserError: sizes, dtypes or lengths that do not fit, with both numbers.
        """
        if isinstance(x, PackedSequence):
            if lengths is not None:
                raise UserError("packed sequences bring their lengths along; leave out lengths")
            padded, own = pad_packed_sequence(x)
            y, last = self.forward(padded, state, own)
            order = x.sorted_indices
            if order is not None:
                y, own = y[:, order], own[order.cpu()]
            data = pack_padded_sequence(y, own).data
            return PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices), last
        self._check(x)
        ends = _checked_lengths(lengths, x)
        before = self._split(state, x)
        turn = None if ends is None else _turn(ends, x)
        engine = self._engine(x)
        after: list[State] = []
        for place in range(self.layers):
            outputs = []
            for name, size in list(self._places())[place * self.directions : (place + 1) * self.directions]:
                turned, weights = name.endswith("backward."), self._weights(name, size)
                cell = self.variant.trace.layer_for(engine, size, self.hidden_size, self.training)
                y, last = _run(cell, _turned(x, turn) if turned else x, weights, before[len(after)], ends)
                outputs.append(_turned(y, turn) if turned else y)
                after.append(last)
            x = torch.cat(outputs, 2) if self.bidirectional else outputs[0]
        return x, tuple(torch.stack(each) for each in zip(*after, strict=True))

    @property
    def directions(self) -> int:
        """2 where the layer is bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def extra_repr(self) -> str:
        words = [f"{self.variant.name!r}, {self.input_size}, {self.hidden_size}"]
        words += [f"layers={self.layers}"] if self.layers > 1 else []
        words += ["bidirectional=True"] if self.bidirectional else []
        words += [f"backend={self.backend!r}"] if self.backend != "auto" else []
        return ", ".join(words)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_engines": {}}  # machine code is found again, not stored

    def _places(self) -> Iterator[tuple[str, int]]:
        """The name before those of each cell's weights, and the size of its input, in the order of the states."""
        for depth in range(self.layers):
            for direction in ("", "backward.")[: self.directions]:
                yield (f"{depth + 1}." if depth else "") + direction, self.output_size if depth else self.input_size

    def _put(self, name: str, values: Tensor) -> None:
        *path, own = name.split(".")
        holder: nn.Module = self
        for part in path:
            if part not in holder._modules:
                holder._modules[part] = nn.Module()
            holder = holder._modules[part]  # type: ignore[assignment]
        # Not by register_parameter, which refuses the names that methods of a module have.
        holder._parameters[own] = nn.Parameter(values)

    def _weights(self, place: str, size: int) -> dict[str, Tensor]:
        """The weights of a cell as the backends take them, by the keys of its stacks."""
        holder: nn.Module = self
        for part in place.split(".")[:-1]:
            holder = holder._modules[part]  # type: ignore[assignment]
        return {
            stack.key: stack.joined([_given(holder, weight.name) for weight in stack.weights])
            for stack in self.variant.trace.stacks_for(size, self.hidden_size)
        }

    def _engine(self, x: Tensor) -> Layer:
        """The variant on the backend that can run this input."""
        asked = self.backend
        if not x.shape[1]:
            asked = "reference"  # an empty batch has empty derivatives, for which no kernel is needed
        if asked != "reference" and (x.device.type != "cpu" or x.dtype not in COMPILED_DTYPES):
            if asked != "auto":
                raise UserError(
                    f"the backend {asked!r} computes in float32 or float64 on the CPU, not in "
                    f"{_short(x.dtype)} on {x.device.type}; backend='auto' takes what can"
                )
            asked = "reference"
        if asked not in self._engines:
            equations, trace, name = self.variant.equations, self.variant.trace, self.variant.name
            chosen, _ = choose_backend(equations, trace, name, asked)
            self._engines[asked] = make_layer(equations, trace, name, chosen)
        return self._engines[asked]

    def _check(self, x: Tensor) -> None:
        if x.ndim != 3 or x.shape[2] != self.input_size or not x.shape[0]:
            wanted = f"(T, B, M) with M = {self.input_size} and T at least 1"
            raise UserError(f"x has the shape {tuple(x.shape)}; it must be {wanted}")
        like = next(self.parameters())
        if (x.dtype, x.device) != (like.dtype, like.device):
            raise UserError(
                f"x is {_short(x.dtype)} on {x.device} and the weights are {_short(like.dtype)} on {like.device}; "
                "move one of the two by .to()"
            )

    def _split(self, state: State | Tensor | None, x: Tensor) -> list[State | None]:
        """The state before the first step, by cell."""
        cells = self.layers * self.directions
        if state is None:
            return [None] * cells
        given = (state,) if isinstance(state, Tensor) else tuple(state)
        names = self.variant.trace.state_names
        if not self.variant.trace.compiles:  # a module's own state, of whatever shapes
            return [tuple(each[k] for each in given) for k in range(cells)]
        shape = (cells, x.shape[1], self.hidden_size)
        if len(given) != len(names) or any(tuple(each.shape) != shape for each in given):
            found = ", ".join(str(tuple(each.shape)) for each in given)
            raise UserError(f"state has the shapes {found}; {self.variant.name} takes {', '.join(names)}, each {shape}")
        if any((each.dtype, each.device) != (x.dtype, x.device) for each in given):
            found = ", ".join(f"{_short(each.dtype)} on {each.device}" for each in given)
            raise UserError(f"state is {found} and x is {_short(x.dtype)} on {x.device}; move one of the two by .to()")
        return [tuple(each[k] for each in given) for k in range(cells)]


def layer(
    variant: str | Variant | Callable[..., Any],
    input_size: int,
    hidden_size: int,
    *,
    layers: int = 1,
    bidirectional: bool = False,
    backend: str = "auto",
    dtype: torch.dtype | None = None,
    seed: int | None = None,
    init_std: float = 0.1,
    longest: int = 100,
) -> RecurrentLayer:
    """A variant as a layer of PyTorch.

        cell = ablate.layer("CIFG", 88, 100)
        y, state = cell(x)  # x (T, B, 88), y (T, B, 100), state: y and c after the last step, each (1, B, 100)

    Args:
        variant: a registered variant, by its name.
        input_size: M, the numbers of a frame.
        hidden_size: N, the units.
        layers: how many, one above the other.
        bidirectional: whether each layer is two, of which one reads from the end.
        backend: "auto" compiles the cell where it can, for float32 and float64 on the CPU, and runs it step by step
            elsewhere; "cpu" or "reference" is one of these two alone.
        dtype: of the weights; PyTorch's default if left out.
        seed: of the initial weights; if left out they come from PyTorch's generator.
        init_std: the initial weights are from N(0, init_std), where the variant does not say otherwise.
        longest: frames of the longest sequence, for variants whose initial weights depend on it.

    Raises:
        UserError: an unknown variant or backend, a group, or a size below 1.
    """
    return RecurrentLayer(
        _found(variant),
        input_size,
        hidden_size,
        layers=layers,
        bidirectional=bidirectional,
        backend=backend,
        dtype=dtype,
        seed=seed,
        init_std=init_std,
        longest=longest,
    )


def _found(variant: str | Variant | Callable[..., Any]) -> Variant:
    """The variant of a name; of the function or class that was registered, too."""
    if isinstance(variant, Variant):
        return variant
    if isinstance(variant, str):
        if variant not in VARIANTS and variant in VARIANTS.groups():
            raise UserError(f"{variant!r} is a group of variants; a layer is one of them")
        return VARIANTS[variant]
    found = [each for each in VARIANTS if each.equations is variant]
    if not found:
        raise UserError(f"{variant!r} is not registered as a variant; give the name of one")
    return found[0]  # the first of the names that it was registered under


def _run(
    engine: Layer, x: Tensor, weights: Mapping[str, Tensor], state: State | None, lengths: list[int] | None
) -> tuple[Tensor, State]:
    """One cell over sequences of their own lengths: the longest first, and the batch shrinks as they end."""
    if lengths is None:
        return engine(x, weights, state)
    order = sorted(range(len(lengths)), key=lambda b: -lengths[b])
    back = torch.tensor(order, device=x.device).argsort()
    x = x[:, order]
    state = None if state is None else tuple(each[order] for each in state)
    outputs, ended, start = [], [], 0
    for end in sorted(set(lengths)):
        active = sum(length >= end for length in lengths)
        now = None if state is None else tuple(each[:active] for each in state)
        y, state = engine(x[start:end, :active].contiguous(), weights, now)
        outputs.append(nn.functional.pad(y, (0, 0, 0, len(lengths) - active)))
        left = sum(length > end for length in lengths)
        ended.append([each[left:] for each in state])
        start = end
    y = nn.functional.pad(torch.cat(outputs), (0, 0, 0, 0, 0, x.shape[0] - start))
    last = tuple(torch.cat(parts[::-1])[back] for parts in zip(*ended, strict=True))
    return y[:, back], last


def _turn(lengths: list[int], x: Tensor) -> tuple[Tensor, Tensor]:
    """Indices that turn each sequence round within its length; padding stays behind it."""
    steps = torch.arange(x.shape[0], device=x.device)[:, None]
    from_end = torch.tensor(lengths, device=x.device) - 1 - steps
    return torch.where(from_end >= 0, from_end, steps), torch.arange(len(lengths), device=x.device)


def _turned(x: Tensor, turn: tuple[Tensor, Tensor] | None) -> Tensor:
    return x.flip(0) if turn is None else x[turn]


def _checked_lengths(lengths: Lengths | None, x: Tensor) -> list[int] | None:
    """The lengths as numbers, or None where all sequences fill x."""
    if lengths is None:
        return None
    found = lengths.tolist() if isinstance(lengths, Tensor | np.ndarray) else [int(length) for length in lengths]
    T, B = x.shape[:2]
    if len(found) != B or any(type(length) is not int or not 1 <= length <= T for length in found):
        raise UserError(f"lengths are {found}; they must be {B} numbers from 1 to {T}, one for each sequence of x")
    return None if all(length == T for length in found) else found


def _given(holder: nn.Module, name: str) -> Tensor:
    *path, own = name.split(".")
    for part in path:
        holder = holder._modules[part]  # type: ignore[assignment]
    weight = holder._parameters.get(own)
    # What `torch.nn.utils` parametrizes or prunes is computed from other parameters, and is no parameter itself.
    return getattr(holder, own) if weight is None else weight


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
