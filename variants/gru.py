"""Gated recurrent units, whole and with a gate less.

x is the input, h the hidden state, r the reset gate, u the update gate, n the candidate.
"""

from ablate.cell.initial import Normal, Orthogonal
from ablate.cell.language import sigmoid, tanh
from ablate.definitions.variant import variant

# Cho et al. 2014, supplementary material A: recurrent matrices are orthogonal, all other weights small.
NATIVE = {"R_*": Orthogonal(), "W_*": Normal(0.01)}


@variant(
    "GRU",
    "gated recurrent unit: the reset gate acts before the product",
    source="Cho et al. 2014",
    groups=("gru", "jozefowicz"),
    native=NATIVE,
    equal_to="MUT2",
)
def gated_recurrent_unit(x, h, w):
    r = sigmoid(w.r(x, h))
    u = sigmoid(w.u(x, h))
    n = tanh(w.n(x, r * h))
    return u * h + (1 - u) * n


@variant(
    "GRU-lib",
    "the libraries' GRU: the reset gate acts after the product",
    source="cuDNN's form of Cho et al. 2014",
    groups=("gru",),
    parent="GRU",
    native=NATIVE,
)
def gated_recurrent_unit_of_the_libraries(x, h, w):
    r = sigmoid(w.r(x, h))
    u = sigmoid(w.u(x, h))
    n = tanh(w.n(x) + r * w.m(h))
    return u * h + (1 - u) * n


@variant(
    "UGRNN",
    "update-gate RNN: the GRU without its reset gate",
    source="Collins et al. 2017",
    groups=("gru", "minimal"),
    parent="GRU",
)
def update_gate_rnn(x, h, w):
    u = sigmoid(w.u(x, h))
    n = tanh(w.n(x, h))
    return u * h + (1 - u) * n


@variant(
    "GRU-u",
    "GRU without an update gate",
    source="after Cho et al. 2014",
    groups=("gru",),
    parent="GRU",
    native=NATIVE,
)
def gated_recurrent_unit_without_update_gate(x, h, w):
    r = sigmoid(w.r(x, h))
    return tanh(w.n(x, r * h))


@variant("MGU", "minimal gated unit: one gate for both", source="Zhou et al. 2016", groups=("gru", "minimal"))
def minimal_gated_unit(x, h, w):
    f = sigmoid(w.f(x, h))
    n = tanh(w.n(x, f * h))
    return (1 - f) * h + f * n
