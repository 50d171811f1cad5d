"""What the tracer reads in a variant's equations, and which mistakes it refuses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ablate.cell.language import maximum, minimum, relu, sigmoid, softplus, tanh
from ablate.cell.tracer import trace
from ablate.cell.typeset import text
from ablate.definitions.variant import VARIANTS
from ablate.errors import UserError


def test_stages_follow_the_products() -> None:
    assert VARIANTS["V"].trace.stages == 1
    assert VARIANTS["GRU"].trace.stages == 2  # its candidate reads r * h
    assert VARIANTS["GRU-lib"].trace.stages == 1


def test_equations_keep_their_names_and_order() -> None:
    assert text(VARIANTS["V"].trace) == [
        "z = tanh(W_z x + R_z y' + b_z)",
        "i = sigmoid(W_i x + R_i y' + c'*p_i + b_i)",
        "f = sigmoid(W_f x + R_f y' + c'*p_f + b_f)",
        "c = i*z + c'*f",
        "o = sigmoid(W_o x + R_o y' + c*p_o + b_o)",
        "y = o*tanh(c)",
    ]


def test_maps_that_read_the_same_are_stacked() -> None:
    stacks = {stack.key: [weight.name for weight in stack.weights] for stack in VARIANTS["FGR"].trace.stacks}
    assert stacks["W x"] == ["W_z", "W_i", "W_f", "W_o"]
    assert stacks["R f`prev"] == ["R_fi", "R_ff", "R_fo"]


def test_a_name_bound_twice_is_two_values() -> None:
    def twice(x, h, w):
        h = tanh(w.a(x, h))
        h = h * sigmoid(w.g(x))
        return h

    assert text(trace(twice, "twice")) == ["h = tanh(W_a x + R_a h' + b_a)", "h_2 = h*sigmoid(W_g x + b_g)"]


def test_parts_of_a_cell_may_be_functions() -> None:
    def gate(value, w):
        g = sigmoid(value + w.p_g)
        return g

    def composed(x, h, w):
        g = gate(w.g(x, h), w)
        return g * h

    assert text(trace(composed, "composed"))[0] == "g = sigmoid(W_g x + R_g h' + p_g + b_g)"


def test_a_map_may_go_without_bias_and_input() -> None:
    def bare(x, h, w):
        return relu(w.a(x, bias=False)) + softplus(w.b(h)) + minimum(h, 1.0) + maximum(h, h * h)

    assert [weight.name for weight in trace(bare, "bare").weights] == ["W_a", "R_b", "b_b"]


def test_what_no_new_state_depends_on_is_left_out() -> None:
    def dead(x, y, c, w):
        q = tanh(w.q(x, y)) * w.p_q  # noqa: F841  # nothing reads it
        z = tanh(w.z(x, y))
        c = z + c  # nor this
        return z * sigmoid(w.o(x, y)), z

    traced = trace(dead, "dead")
    assert traced.dead == ("q", "c", "w.q", "w.p_q")
    assert [weight.name for weight in traced.weights] == ["W_z", "W_o", "R_z", "R_o", "b_z", "b_o"]
    assert traced.parameters(3, 2) == 2 * (3 * 2 + 2 * 2 + 2)
    assert text(traced) == [
        "z = tanh(W_z x + R_z y' + b_z)",
        "y = z*sigmoid(W_o x + R_o y' + b_o)",
        "c = z",
    ]


def test_names_are_written_down_wherever_they_are_bound() -> None:
    def line(x, y, w):
        a = tanh(w.a(x, y)); b = a * y; a = b + 1  # fmt: skip  # noqa: E702
        return a * b

    assert text(trace(line, "line")) == [
        "a = tanh(W_a x + R_a y' + b_a)",
        "b = a*y'",
        "a_2 = 1 + b",
        "y = a_2*b",
    ]


def test_every_value_is_shown_under_a_name_of_its_own() -> None:
    def alike(x, y, y_, w):
        y = tanh(w.y(x, y, y_))
        y_2 = y * y_
        y = y + y_2
        b_y = y * 2
        x = b_y + y
        return y, x

    assert text(trace(alike, "alike")) == [
        "y = tanh(W_y x + R_y y' + R_y_y y_' + b_y)",
        "y_2 = y*y_'",
        "y_3 = y + y_2",
        "b_y_2 = 2*y_3",
        "x_2 = b_y_2 + y_3",
        "y_ = x_2",
    ]


def no_state_returned(x, y, c, w):
    z = tanh(w.z(x, y))
    return z  # wrong


def name_used_twice(x, y, w):
    z = tanh(w.z(x, y))
    return z + w.z(x) * y  # wrong


def map_and_vector(x, y, w):
    z = tanh(w.z(x, y))
    return z + w.z * y  # wrong


def vector_and_value(x, y, w):
    z = tanh(w.a(x, y))
    return z + w.z * y  # wrong


def unknown_function(x, y, w):
    return cosh(w.z(x, y))  # noqa: F821  # wrong


def foreign_function(x, y, w):
    return np.tanh(w.z(x, y))  # wrong


def input_without_map(x, y, w):
    return tanh(w.z(x, y)) * x  # wrong


def reads_twice(x, y, w):
    return tanh(w.z(x, y, y))  # wrong


def branches(x, y, w):
    return y if w.z(x, y) else w.z(x)  # wrong


def wrong_order(y, x, w):  # wrong
    return tanh(w.z(x, y))


def no_map(x, y, w):
    return y * 0.5  # wrong


def a_number_for_state(x, y, c, w):
    return tanh(w.z(x, y)), 1.0  # wrong


def nothing_is_read(x, y, w):  # wrong
    z = tanh(w.z(x, y))  # noqa: F841
    return y * 0.5


def output_layers_weight(x, y, w):
    return tanh(w.output(x, y))  # wrong


def two_underscores(x, y, w):
    return tanh(w.z(x, y)) * w.__p  # wrong


def assigned(x, y, w):
    w.z = y  # wrong
    return tanh(w.a(x, y))


def in_place(x, y, w):
    y += tanh(w.z(x, y))  # wrong
    return y


def compares(x, y, w):
    return tanh(w.z(x, y)) if y == 0 else w.z(x, y)  # wrong


# What mixes the units of a vector or picks some of them, each as the new state of a cell.
NOT_ELEMENTWISE = {
    "h.T": ".T: ",
    "h.sum()": ".sum: ",
    "h.tanh()": ".tanh: functions stand before their vector, as tanh(h)",
    "np.tanh(h)": "a function of NumPy is given a Vector (TypeError); equations are made of + - * / ** and ",
    "h @ w.z(x, h)": "a product by @: ",
    "np.eye(3) @ h": "a product by @: ",
    "h[0]": "a part of a vector, by [...]: ",
    "h[:3]": "a part of a vector, by [...]: ",
    "len(h) * h": "the length of a vector",
    "sum(h) * h": "a vector gone through unit by unit",
    "softmax(h)": "unknown function or name 'softmax'; known functions: tanh, ",
    "torch.softmax(h, -1)": "",
    "float(h) * h": "a vector taken as a number: ",
    "h % 2": "only + - * / and ** are known: ",
    "h if h > 0 else -h": "a cell has no branches: use minimum, maximum or relu",
    "w.z(x, h).mean() * h": ".mean: ",
}


@pytest.mark.parametrize(("expression", "message"), NOT_ELEMENTWISE.items())
def test_what_is_not_elementwise_says_so_and_what_to_do(expression: str, message: str) -> None:
    names: dict[str, Any] = {"np": np, "torch": torch}
    exec(f"def cell(x, h, w):\n    return {expression}", names)
    with pytest.raises(UserError) as refused:
        trace(names["cell"], "MINE")
    said = str(refused.value)
    assert message in said and "a state is a vector of units, taken element by element; " in said
    assert said.endswith("ablate.module_variant") and "\n" not in said and "object" not in said


MISTAKES = [
    (no_state_returned, "1 of 2 states returned; return the new y, c"),
    (name_used_twice, "the weight name 'z' is used for two things: w.z(x, y) and w.z(x)"),
    (map_and_vector, "the weight name 'z' is used for two things: the map w.z and the vector w.z"),
    (vector_and_value, "the name 'z' is used for two things: a value and the vector w.z"),
    (unknown_function, "unknown function or name 'cosh'; known functions: tanh"),
    (foreign_function, "ablate.cell.language: tanh"),
    (input_without_map, "only a map such as w.z(x, ...) can read it"),
    (reads_twice, "w.z reads y twice"),
    (branches, "a cell has no branches"),
    (wrong_order, "they must be x, the state, and w last"),
    (no_map, "no map is named"),
    (in_place, "write c = c + z instead of c += z"),
    (compares, "a cell has no branches"),
    (nothing_is_read, "no new state depends on a map"),
    (output_layers_weight, "'W_output' is used for two things: the network's output layer and the map w.output"),
    (two_underscores, "w.__p: the name of a weight cannot start with two underscores"),
    (assigned, "w.z is assigned to; weights are learned"),
    (a_number_for_state, "the new c is 1.0, which is not a vector"),
]


@pytest.mark.parametrize(("equations", "message"), MISTAKES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_mistake_is_refused_with_its_line(equations: Callable[..., Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        trace(equations, "MINE")
    said = str(error.value)
    assert said.startswith("variant 'MINE', tests/test_trace.py, line ")
    assert message in said
    assert "\n" not in said
    lines, first = inspect.getsourcelines(equations)
    wrong = next(k for k, line in enumerate(lines) if "# wrong" in line)
    assert int(said.split("line ")[1].split(":")[0]) in (first, first + wrong)
