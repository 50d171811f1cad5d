"""Read, then write: the family that derives the LSTM from its principles.

R2RT, "Written Memories: Understanding, Deriving and Extending the LSTM" (2016). s is the state, n what is written to
it. The basic LSTM, which writes and then reads, is NP.
"""

from ablate.cell.language import sigmoid, tanh
from ablate.definitions.variant import variant

SOURCE = "R2RT 2016"
GROUP = ("written",)


@variant("Prototype", "prototype LSTM: its state is unbounded", source=SOURCE, groups=GROUP)
def prototype(x, s, w):
    i = sigmoid(w.i(x, s))
    f = sigmoid(w.f(x, s))
    o = sigmoid(w.o(x, s))
    n = tanh(w.n(x, o * s))
    return f * s + i * n


@variant("Pseudo-LSTM", "the prototype with its state squashed wherever it is read", source=SOURCE, groups=GROUP)
def pseudo_lstm(x, y, s, w):
    i = sigmoid(w.i(x, y))
    f = sigmoid(w.f(x, y))
    o = sigmoid(w.o(x, y))
    n = tanh(w.n(x, o * y))
    s = f * s + i * n
    return tanh(s), s
