"""Peepholes and couplings one at a time: further questions to V.

The letters are those of Greff et al. (greff.py). Each asks about one claim of the literature: which of the three
peepholes does the work (Gers et al. 2002), which of two coupled gates should be the learned one, and whether coupling
bounds the cell so that the output needs no squashing (Greff et al. 2017).
"""

from ablate.cell.initial import Plus
from ablate.cell.language import sigmoid, tanh
from ablate.definitions.variant import variant
from variants.greff import vanilla

GERS = "after Gers et al. 2002"
GREFF = "after Greff et al. 2017"

variant("V-b", "V with a forget bias of 1", source="after Gers et al. 2000", parent="V", initial={"b_f": Plus(1)})(
    vanilla
)


@variant("PI", "peephole of the input gate only", source=GERS, parent="V")
def peephole_of_the_input_gate(x, y, c, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y) + w.p_i * c)
    f = sigmoid(w.f(x, y))
    c = z * i + c * f
    o = sigmoid(w.o(x, y))
    return tanh(c) * o, c


@variant("PF", "peephole of the forget gate only", source=GERS, parent="V")
def peephole_of_the_forget_gate(x, y, c, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y))
    f = sigmoid(w.f(x, y) + w.p_f * c)
    c = z * i + c * f
    o = sigmoid(w.o(x, y))
    return tanh(c) * o, c


@variant("PO", "peephole of the output gate only", source=GERS, parent="V")
def peephole_of_the_output_gate(x, y, c, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y))
    f = sigmoid(w.f(x, y))
    c = z * i + c * f
    o = sigmoid(w.o(x, y) + w.p_o * c)
    return tanh(c) * o, c


@variant("CIFG-f", "coupled gates, the forget gate learned: i = 1 - f", source=GREFF, parent="CIFG", equal_to="CIFG")
def coupled_gates_with_the_forget_gate_learned(x, y, c, w):
    z = tanh(w.z(x, y))
    f = sigmoid(w.f(x, y) + w.p_f * c)
    c = z * (1 - f) + c * f
    o = sigmoid(w.o(x, y) + w.p_o * c)
    return tanh(c) * o, c


@variant("CIFG-NOAF", "coupled gates, no output activation: |c| <= 1 by the coupling", source=GREFF, parent="CIFG")
def coupled_gates_without_output_activation(x, y, c, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y) + w.p_i * c)
    c = z * i + c * (1 - i)
    o = sigmoid(w.o(x, y) + w.p_o * c)
    return c * o, c
