"""Cells that ask how little is enough.

x is the input, h the hidden state, n the candidate; gates as in their papers.
"""

from ablate.cell.initial import Chrono, UniformBySize
from ablate.cell.language import sigmoid, tanh
from ablate.definitions.variant import variant

GROUP = ("minimal",)
# Feng et al. 2024, appendix B: PyTorch's linear layers, as they start.
LINEAR = {"W_*": UniformBySize()}


@variant(
    "JANET",
    "just another network: a forget gate only, chrono initialisation",
    source="van der Westhuizen and Lasenby 2018",
    groups=GROUP,
    initial={"b_f": Chrono()},
)
def just_another_network(x, h, w):
    s = w.f(x, h)
    n = tanh(w.n(x, h))
    return sigmoid(s) * h + (1 - sigmoid(s - 1)) * n


@variant(
    "minGRU",
    "no recurrent matrix: the gate sees the input only",
    source="Feng et al. 2024",
    groups=GROUP,
    native=LINEAR,
)
def minimal_gru(x, h, w):
    z = sigmoid(w.z(x))
    n = w.n(x)
    return (1 - z) * h + z * n


@variant(
    "minLSTM",
    "no recurrent matrix, two gates that share one whole",
    source="Feng et al. 2024",
    groups=GROUP,
    native=LINEAR,
)
def minimal_lstm(x, h, w):
    f = sigmoid(w.f(x))
    i = sigmoid(w.i(x))
    n = w.n(x)
    return f / (f + i) * h + i / (f + i) * n


@variant("MinimalRNN", "the input is mapped alone, one gate keeps or takes it", source="Chen 2017", groups=GROUP)
def minimal_rnn(x, h, w):
    z = tanh(w.z(x))
    u = sigmoid(w.u(h, z))
    return u * h + (1 - u) * z


@variant("RAN", "recurrent additive network: the cell sums linear inputs", source="Lee et al. 2017", groups=GROUP)
def recurrent_additive_network(x, h, c, w):
    i = sigmoid(w.i(x, h))
    f = sigmoid(w.f(x, h))
    n = w.n(x, bias=False)
    c = i * n + f * c
    return tanh(c), c


@variant("CFN", "chaos-free network: no input, no change but decay", source="Laurent and von Brecht 2017", groups=GROUP)
def chaos_free_network(x, h, w):
    f = sigmoid(w.f(x, h))
    i = sigmoid(w.i(x, h))
    return f * tanh(h) + i * tanh(w.n(x, bias=False))
