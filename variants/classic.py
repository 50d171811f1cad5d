"""Before and beside the LSTM of today.

x is the input, h or y the output, c the cell. LSTM97 leaves out that in experiments of 1997 the gates also read one
another, as those of FGR do, and that its gradients were cut off after a step.
"""

from ablate.cell.initial import Constant, Identity, LongestMemory, Normal, Uniform, UniformBySize
from ablate.cell.language import relu, sigmoid, tanh
from ablate.definitions.variant import variant

GROUP = ("classic",)


@variant(
    "SRN",
    "simple recurrent network: no gates, no cell",
    source="Elman 1990",
    groups=(*GROUP, "jozefowicz"),
    native={"[WR]_*": UniformBySize()},  # the paper says only that they were random; so PyTorch's layers start
)
def simple_recurrent_network(x, h, w):
    return tanh(w.h(x, h))


@variant(
    "IRNN",
    "rectified units that start by copying their state",
    source="Le et al. 2015",
    groups=GROUP,
    parent="SRN",
    initial={"R_h": Identity(), "b_h": Constant(0)},
    native={"W_h": Normal(0.001)},  # section 4 of the paper
)
def rectified_units_from_the_identity(x, h, w):
    return relu(w.h(x, h))


@variant(
    "IndRNN",
    "independent rectified units: each reads its own state alone",
    source="Li et al. 2018",
    groups=GROUP,
    parent="IRNN",
    initial={"u": Uniform(0, 1)},
    native={"u": LongestMemory()},  # sections 4 and 5.1 of the paper
)
def independent_units(x, h, w):
    return relu(w.h(x) + w.u * h)


@variant(
    "LSTM97",
    "the original LSTM: no forget gate, no peepholes, its own squashing",
    source="Hochreiter and Schmidhuber 1997",
    groups=GROUP,
    parent="NP-f",
    native={"[WR]_*": Uniform(-0.1, 0.1)},  # experiments 3 to 6 of the paper
)
def original_lstm(x, y, c, w):
    z = 4 * sigmoid(w.z(x, y)) - 2
    i = sigmoid(w.i(x, y))
    c = z * i + c
    o = sigmoid(w.o(x, y))
    return (2 * sigmoid(c) - 1) * o, c
