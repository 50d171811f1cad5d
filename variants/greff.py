"""The nine of the search space odyssey (Greff et al. 2017).

"LSTM: A Search Space Odyssey", IEEE TNNLS 28(10).

The paper's letters: x is the input, y the block output, c the cell, z the block input, i, f and o the input, forget
and output gates. `w.z(x, y)` is W_z x + R_z y + b_z; `w.p_i * c` is a peephole, one weight a unit. Each variant
changes one thing about V, the vanilla LSTM; each is written in full all the same, since a cell is read as a whole, and
`--describe` and the gallery show what it changes.
"""

from ablate.cell.language import sigmoid, tanh
from ablate.definitions.variant import variant

SOURCE = "Greff et al. 2017"
GREFF = ("greff",)


@variant("V", "vanilla LSTM, with peepholes", source=SOURCE, groups=GREFF)
def vanilla(x, y, c, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y) + w.p_i * c)
    f = sigmoid(w.f(x, y) + w.p_f * c)
    c = z * i + c * f
    o = sigmoid(w.o(x, y) + w.p_o * c)  # the output gate sees the new cell
    return tanh(c) * o, c


@variant("NIG", "no input gate: i = 1", source=SOURCE, groups=GREFF, parent="V")
def no_input_gate(x, y, c, w):
    z = tanh(w.z(x, y))
    f = sigmoid(w.f(x, y) + w.p_f * c)
    c = z + c * f
    o = sigmoid(w.o(x, y) + w.p_o * c)
    return tanh(c) * o, c


@variant("NFG", "no forget gate: f = 1", source=SOURCE, groups=GREFF, parent="V")
def no_forget_gate(x, y, c, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y) + w.p_i * c)
    c = z * i + c
    o = sigmoid(w.o(x, y) + w.p_o * c)
    return tanh(c) * o, c


@variant("NOG", "no output gate: o = 1", source=SOURCE, groups=GREFF, parent="V")
def no_output_gate(x, y, c, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y) + w.p_i * c)
    f = sigmoid(w.f(x, y) + w.p_f * c)
    c = z * i + c * f
    return tanh(c), c


@variant("NIAF", "no input activation function: z is not squashed", source=SOURCE, groups=GREFF, parent="V")
def no_input_activation(x, y, c, w):
    z = w.z(x, y)
    i = sigmoid(w.i(x, y) + w.p_i * c)
    f = sigmoid(w.f(x, y) + w.p_f * c)
    c = z * i + c * f
    o = sigmoid(w.o(x, y) + w.p_o * c)
    return tanh(c) * o, c


@variant("NOAF", "no output activation function: y = c * o", source=SOURCE, groups=GREFF, parent="V")
def no_output_activation(x, y, c, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y) + w.p_i * c)
    f = sigmoid(w.f(x, y) + w.p_f * c)
    c = z * i + c * f
    o = sigmoid(w.o(x, y) + w.p_o * c)
    return c * o, c


@variant("CIFG", "coupled input and forget gate: f = 1 - i", source=SOURCE, groups=GREFF, parent="V")
def coupled_gates(x, y, c, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y) + w.p_i * c)
    c = z * i + c * (1 - i)
    o = sigmoid(w.o(x, y) + w.p_o * c)
    return tanh(c) * o, c


@variant("NP", "no peepholes", source=SOURCE, groups=(*GREFF, "jozefowicz"), parent="V")
def no_peepholes(x, y, c, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y))
    f = sigmoid(w.f(x, y))
    c = z * i + c * f
    o = sigmoid(w.o(x, y))
    return tanh(c) * o, c


@variant(
    "FGR", "full gate recurrence: each gate reads the gates of the last step", source=SOURCE, groups=GREFF, parent="V"
)
def full_gate_recurrence(x, y, c, i_, f_, o_, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y, i_, f_, o_) + w.p_i * c)
    f = sigmoid(w.f(x, y, i_, f_, o_) + w.p_f * c)
    c = z * i + c * f
    o = sigmoid(w.o(x, y, i_, f_, o_) + w.p_o * c)
    return tanh(c) * o, c, i, f, o
