"""The cells of the empirical exploration (Jozefowicz et al. 2015).

"An Empirical Exploration of Recurrent Network Architectures", ICML: LSTMs without peepholes that lack one gate
(-i, -f, -o) or start with a forget bias of 1 (-b), and the three mutants that their search found. The paper writes a
bare x where the mutants below project it (w.p), which sizes that differ need; so projected, MUT2 is the GRU with its
update gate turned round.
"""

from ablate.cell.initial import Plus
from ablate.cell.language import sigmoid, tanh
from ablate.definitions.variant import variant
from variants.greff import no_peepholes

SOURCE = "Jozefowicz et al. 2015"
GROUP = ("jozefowicz",)

variant(
    "NP-b", "LSTM without peepholes, forget bias 1", source=SOURCE, groups=GROUP, parent="NP", initial={"b_f": Plus(1)}
)(no_peepholes)


@variant("NP-i", "no peepholes, no input gate", source=SOURCE, groups=GROUP, parent="NP")
def no_peepholes_no_input_gate(x, y, c, w):
    z = tanh(w.z(x, y))
    f = sigmoid(w.f(x, y))
    c = z + c * f
    o = sigmoid(w.o(x, y))
    return tanh(c) * o, c


@variant("NP-f", "no peepholes, no forget gate", source=SOURCE, groups=GROUP, parent="NP")
def no_peepholes_no_forget_gate(x, y, c, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y))
    c = z * i + c
    o = sigmoid(w.o(x, y))
    return tanh(c) * o, c


@variant("NP-o", "no peepholes, no output gate", source=SOURCE, groups=GROUP, parent="NP")
def no_peepholes_no_output_gate(x, y, c, w):
    z = tanh(w.z(x, y))
    i = sigmoid(w.i(x, y))
    f = sigmoid(w.f(x, y))
    c = z * i + c * f
    return tanh(c), c


@variant("MUT1", "first mutant: the update gate sees the input only", source=SOURCE, groups=(*GROUP, "gru"))
def mutant_1(x, h, w):
    z = sigmoid(w.z(x))
    r = sigmoid(w.r(x, h))
    n = tanh(w.n(r * h) + tanh(w.p(x, bias=False)))
    return n * z + h * (1 - z)


@variant(
    "MUT2",
    "second mutant: with x projected, the GRU with its update gate turned round",
    source=SOURCE,
    groups=(*GROUP, "gru"),
)
def mutant_2(x, h, w):
    z = sigmoid(w.z(x, h))
    r = sigmoid(w.p(x, bias=False) + w.r(h))
    n = tanh(w.n(x, r * h))
    return n * z + h * (1 - z)


@variant("MUT3", "third mutant: the update gate reads tanh of the state", source=SOURCE, groups=(*GROUP, "gru"))
def mutant_3(x, h, w):
    z = sigmoid(w.z(x, tanh(h)))
    r = sigmoid(w.r(x, h))
    n = tanh(w.n(x, r * h))
    return n * z + h * (1 - z)
