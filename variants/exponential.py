"""Exponential gates with a stabiliser.

The paper's letters: z cell input, i, f and o gates, c cell, n normaliser, m stabiliser, which keeps the exponents of
both gates at or below zero and cancels in c / n.
"""

from ablate.cell.language import exp, maximum, sigmoid, softplus, tanh
from ablate.definitions.variant import variant

SOURCE = "Beck et al. 2024"
GROUP = ("exponential",)


@variant("sLSTM", "scalar LSTM of the xLSTM: exponential input gate, sigmoid forget gate", source=SOURCE, groups=GROUP)
def scalar_lstm(x, h, c, n, m, w):
    z = tanh(w.z(x, h))
    o = sigmoid(w.o(x, h))
    log_i = w.i(x, h)
    log_f = -softplus(-w.f(x, h)) + m  # the logarithm of sigmoid, on the old scale
    m = maximum(log_f, log_i)
    i = exp(log_i - m)
    f = exp(log_f - m)
    c = f * c + i * z
    n = f * n + i
    return o * (c / n), c, n, m


@variant("sLSTM-exp", "scalar LSTM with both gates exponential", source=SOURCE, groups=GROUP, parent="sLSTM")
def scalar_lstm_with_exponential_forget_gate(x, h, c, n, m, w):
    z = tanh(w.z(x, h))
    o = sigmoid(w.o(x, h))
    log_i = w.i(x, h)
    log_f = w.f(x, h) + m  # on the old scale
    m = maximum(log_f, log_i)
    i = exp(log_i - m)
    f = exp(log_f - m)
    c = f * c + i * z
    n = f * n + i
    return o * (c / n), c, n, m
