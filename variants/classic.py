"""The cells that the LSTM is measured against: the simple recurrent network and the gated recurrent unit.

x is the input, h the hidden state, r the reset gate, u the update gate, n the candidate.
"""

from ablate.cell.language import sigmoid, tanh
from variants.registry import variant


@variant("SRN", "simple recurrent network: no gates, no cell", source="Elman 1990", groups=("classic",))
def simple_recurrent_network(x, h, w):
    return tanh(w.h(x, h))


@variant(
    "GRU", "gated recurrent unit: the reset gate acts before the product", source="Cho et al. 2014", groups=("gru",)
)
def gated_recurrent_unit(x, h, w):
    r = sigmoid(w.r(x, h))
    u = sigmoid(w.u(x, h))
    n = tanh(w.n(x, r * h))
    return u * h + (1 - u) * n


@variant(
    "GRU-lib",
    "the libraries' GRU; reset gate after the product",
    source="cuDNN's form of Cho et al. 2014",
    groups=("gru",),
)
def gated_recurrent_unit_of_the_libraries(x, h, w):
    r = sigmoid(w.r(x, h))
    u = sigmoid(w.u(x, h))
    n = tanh(w.n(x) + r * w.m(h))
    return (1 - u) * n + u * h
