"""Trains and evaluates a network in compiled passes over many batches at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ablate.cell.cpu.kernel import Kernel
from ablate.cell.cpu.layer import CompiledBoundLayer, runs
from ablate.cell.lower import Program
from ablate.cell.trace import BIAS_KEY, INPUT_KEY
from ablate.definitions.dataset import Sequences, TargetPosition
from ablate.definitions.task import Task
from ablate.training import passes
from ablate.training.batches import evaluation_batches, order_by_length
from ablate.training.losses import LOSSES, MetricSum
from ablate.training.network import Network
from ablate.training.noise import Noise
from ablate.training.optimiser import Optimiser
from ablate.training.packing import FRAMES, SEQUENCES, PackedBatches, Packer


class CompiledTrainer:
    """Trains and evaluates a network whose layers are all kernels, as `FrameworkTrainer` does.

    Args:
        task: whose loss and score count.
        optimiser: of the network's parameters.
        batch_size: sequences to an update.
        tbptt_steps: frames after which an update is made and the gradient is cut; the state goes on. 0: no cut.
    """

    def __init__(
        self, network: Network, task: Task, optimiser: Optimiser, batch_size: int = 1, tbptt_steps: int = 0
    ) -> None:
        self._network, self._task, self._optimiser = network, task, optimiser
        self._batch_size, self._tbptt_steps = batch_size, tbptt_steps
        self._flat, self._gradient = network.parameters.flat.numpy(), network.parameters.gradient.numpy()
        self._kernel = _kernel(network)
        program = self._kernel.program
        cells = [cell for layer in network.cells for cell in layer]
        self._pieces = np.array([list(_pieces(network, program, prefix)) for prefix, _, _ in cells], np.int64)
        layers = [layer for _, _, layer in cells if isinstance(layer, CompiledBoundLayer)]
        self._addresses = np.array([layer.weights_argument for layer in layers], np.int64)
        self._sizes = np.array(
            [
                *(network.N, network.K, len(network.cells), len(network.cells[0])),
                *(len(program.trace.states), len(program.trace.maps), len(program.saved_for_backward)),
                len(program.trace.vectors),
            ],
            np.int64,
        )
        self._memory: tuple[npt.NDArray[np.float32], ...] = ()
        self._capacity = 0, 0
        self._packers: deque[tuple[Sequences, Packer]] = deque(maxlen=2)  # of training and validation

    def train(self, sequences: Sequences, order: npt.NDArray[np.int64], noise: Noise | None = None) -> float:
        """As `FrameworkTrainer.train`."""
        packed = self._packer(sequences).packed(order, self._batch_size, noise)
        return self._pass(packed, sequences.target_position, self._tbptt_steps, training=True)

    def evaluate(self, sequences: Sequences) -> float:
        """As `FrameworkTrainer.evaluate`."""
        size, frames = evaluation_batches(self._network, self._task, sequences)
        packed = self._packer(sequences).packed(order_by_length(sequences), size)
        return self._pass(packed, sequences.target_position, frames, training=False)

    def _packer(self, sequences: Sequences) -> Packer:
        for known, packer in self._packers:
            if known is sequences:
                return packer
        self._packers.append((sequences, Packer(sequences, self._network.M)))
        return self._packers[-1][1]

    def _pass(self, packed: Iterator[PackedBatches], position: TargetPosition, part_size: int, training: bool) -> float:
        totals = np.zeros(3)
        optimiser = self._optimiser
        for batches in packed:
            longest = int(batches.batches[:, FRAMES].max())
            size = min(part_size, longest) if part_size else longest
            self._provide_memory(batches, size)
            passes.run_batches(  # type: ignore[call-arg]
                *(self._kernel.forward, self._kernel.backward, self._sizes, self._pieces, self._addresses),
                *(self._flat, self._gradient, *self._memory),
                *(batches.inputs, batches.targets, batches.batches, batches.lengths, batches.target_lengths),
                *(LOSSES[self._task.loss], position is TargetPosition.SEQUENCE_END, size, training),
                *(optimiser.number, optimiser.slots, optimiser.settings, totals),
            )
            if not np.isfinite(totals[0]):
                break
        loss, errors, n_targets = totals.tolist()
        return MetricSum(loss, errors, int(n_targets)).score(self._task.score)

    def _provide_memory(self, batches: PackedBatches, part_size: int) -> None:
        frames, sequences = batches.batches[:, FRAMES], batches.batches[:, SEQUENCES]
        steps, most = int((np.minimum(frames, part_size) * sequences).max()), int(sequences.max())
        if steps <= self._capacity[0] and most <= self._capacity[1]:
            return
        self._memory = ()
        steps, most = max(steps, self._capacity[0]), max(most, self._capacity[1])
        self._capacity = steps, most
        N, K, layers, directions, S, maps, lines, _ = (int(each) for each in self._sizes)
        widest = max(size for layer in self._network.cells for _, size, _ in layer)
        above = directions * N
        self._memory = (
            passes.memory(layers * directions, steps * maps * N),  # values
            passes.memory(1, steps * maps * N)[0],  # their derivatives
            passes.memory(layers * directions, S * (steps + most) * N),  # states
            passes.memory(layers * directions, lines * steps * N),  # saved for the way back
            passes.memory(
                2 * layers, steps * max(widest, above) if directions == 2 else 0
            ),  # inputs, turned and joined
            passes.memory(5, steps * above),  # derivatives by a layer's input
            passes.memory(1, steps * K),  # outputs
        )


def _kernel(network: Network) -> Kernel:
    layer = network.cells[0][0][2]
    assert isinstance(layer, CompiledBoundLayer)
    return layer.kernel


def _pieces(network: Network, program: Program, prefix: str) -> Iterator[list[int]]:
    """The rows of the table of pieces for one layer in one direction; see `passes`."""
    trace, N = program.trace, network.N
    reads = {product.stack: product.vector for stage in program.stages for product in stage.products}
    for stack in trace.stacks:
        weight = network.parameters.weights[prefix + stack.key]
        offset, stride = int(weight.storage_offset()), weight[0].numel()
        if not stack.maps:
            yield [passes.VECTOR, offset, 1, N, 0, N, 0, 0, 0]
        for columns, places in runs(stack.maps, N):
            source, shift = 0, 0
            if stack.key == BIAS_KEY:
                # A bias lies map after map: its columns are one row.
                yield [
                    passes.BIAS,
                    offset,
                    1,
                    weight.numel(),
                    places.start,
                    places.stop - places.start,
                    columns.start,
                    0,
                    0,
                ]
                continue
            if stack.key == INPUT_KEY:
                kind = passes.INPUT
            elif reads[stack.key] in trace.states:
                kind, source = passes.STATE, trace.states.index(reads[stack.key])
            elif reads[stack.key] in trace.outputs:
                kind, source, shift = passes.STATE, trace.outputs.index(reads[stack.key]), 1
            else:
                kind, source = passes.SAVED, program.saved_for_backward.index(reads[stack.key])
            width = places.stop - places.start
            yield [kind, offset, len(weight), stride, places.start, width, columns.start, source, shift]
