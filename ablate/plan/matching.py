"""The hidden size at which a cell has as many parameters as another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.errors import UserError

if TYPE_CHECKING:  # the report reads configurations, and loads no compiler
    from ablate.cell.trace import Trace

NONE, PARAMETERS = "none", "parameters"
MATCHES = (NONE, PARAMETERS)


def network_parameters(trace: Trace, M: int, N: int, K: int, layers: int = 1, bidirectional: bool = False) -> int:
    """The weights of a whole network of N units a layer, the output layer's among them.

    Args:
        M, K: the sizes of input and output.
    """
    directions = 2 if bidirectional else 1
    first, *rest = [M] + [directions * N] * (layers - 1)
    cells = trace.parameters(first, N)
    if rest:
        cells += len(rest) * trace.parameters(rest[0], N)
    return directions * cells + K * (directions * N + 1)


def matched_size(trace: Trace, wanted: int, M: int, K: int, layers: int = 1, bidirectional: bool = False) -> int:
    """The whole number of units, at least 1, whose number of parameters is nearest to `wanted`; of two the smaller.

    A cell has more parameters the more units it has: so it is for all equations, and is taken for granted of modules.

    Raises:
        UserError: a module cannot be made of a size that was tried.
    """

    def parameters(N: int) -> int:
        try:
            return network_parameters(trace, M, N, K, layers, bidirectional)
        except UserError as error:
            raise UserError(
                f"{error}; to match parameters a cell must take any number of units: leave it out, or set match to "
                f"{NONE!r}"
            ) from error

    below, above = 0, 1  # units: parameters(below) < wanted <= parameters(above)
    while parameters(above) < wanted:  # ends, since the output layer alone grows by K a unit
        below, above = above, 2 * above
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if parameters(middle) < wanted else (below, middle)
    if below and wanted - parameters(below) <= parameters(above) - wanted:
        return below
    return above
