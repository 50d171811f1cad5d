"""What two papers claim and a study can speak to, as data: adding a claim is adding an entry to CLAIMS.

The claims are told in our own words. What each needs to be supported or contradicted stands with its measure in
scorecard.py. A claim names the tasks of the paper by the task here that does the same job; the data may differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WORSE_THAN, BETTER_THAN, NOT_WORSE, NO_DIFFERENCE = "worse", "better", "not worse", "no difference"


@dataclass(frozen=True)
class Difference:
    """A tuned variant against the paper's reference."""

    variant: str
    expected: str  # WORSE_THAN, BETTER_THAN, NOT_WORSE or NO_DIFFERENCE


@dataclass(frozen=True)
class NoneBetter:
    """No variant of the paper's is better than its reference."""


@dataclass(frozen=True)
class MostCritical:
    """Without each of these, tuned cells are worse than without any other part."""

    variants: tuple[str, ...]


@dataclass(frozen=True)
class Trend:
    """The loss rises or falls with a hyperparameter, over all draws of the search."""

    axis: str
    rises: bool


@dataclass(frozen=True)
class Share:
    """The share of the score's variance that axes explain, by functional ANOVA.

    One axis is its main effect, two are their interaction alone, none is all interactions together.
    """

    axes: tuple[str, ...]
    low: float = 0.0
    high: float = 1.0
    largest: bool = False  # whether the claim is that no other main effect is larger


Measure = Difference | NoneBetter | MostCritical | Trend | Share


@dataclass(frozen=True)
class Paper:
    """A paper, and the comparisons that it makes: one family of each task."""

    name: str
    reference: str
    variants: tuple[str, ...]


@dataclass(frozen=True)
class Claim:
    """A claim of a paper, where it stands, and on which of its tasks."""

    paper: Paper
    section: str
    text: str
    measure: Measure
    tasks: Mapping[str, str]  # the paper's task by the task here


GREFF = Paper("Greff et al. 2017", "V", ("NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR"))
JOZEFOWICZ = Paper("Jozefowicz et al. 2015", "NP", ("NP-b", "NP-i", "NP-f", "NP-o", "GRU", "MUT1", "MUT2", "MUT3"))
_ALL = {"speech": "TIMIT", "handwriting": "IAM Online", "music": "JSB Chorales"}
_MUSIC = {"music": _ALL["music"]}
_NOT_MUSIC = {name: data for name, data in _ALL.items() if name != "music"}
_NOT_SPEECH = {name: data for name, data in _ALL.items() if name != "speech"}
_XML = {"text": "XML, the next character"}
_VARIANTS = "section V, comparison of the variants"
_IMPACT = "section V, impact of hyperparameters"
_ANOVA = "section V, analysis of variance"

CLAIMS = (
    Claim(GREFF, _VARIANTS, "No variant is significantly better than V.", NoneBetter(), _ALL),
    Claim(
        GREFF,
        _VARIANTS,
        "The forget gate and the output activation function are the most critical parts.",
        MostCritical(("NFG", "NOAF")),
        _ALL,
    ),
    Claim(GREFF, _VARIANTS, "Without its forget gate V is worse.", Difference("NFG", WORSE_THAN), _ALL),
    Claim(GREFF, _VARIANTS, "Without its output activation V is worse.", Difference("NOAF", WORSE_THAN), _ALL),
    *(
        Claim(GREFF, _VARIANTS, f"Without its {part} V {what}.", Difference(variant, expected), tasks)
        for variant, part in (("NIG", "input gate"), ("NOG", "output gate"), ("NIAF", "input activation"))
        for what, expected, tasks in (
            ("is worse", WORSE_THAN, _NOT_MUSIC),
            ("does not differ", NO_DIFFERENCE, _MUSIC),
        )
    ),
    Claim(GREFF, _VARIANTS, "Coupling input and forget gate does not hurt.", Difference("CIFG", NOT_WORSE), _ALL),
    Claim(GREFF, _VARIANTS, "Removing the peepholes does not hurt.", Difference("NP", NOT_WORSE), _ALL),
    Claim(
        GREFF,
        _VARIANTS,
        "Full gate recurrence makes no difference (as reported).",
        Difference("FGR", NO_DIFFERENCE),
        _NOT_MUSIC,
    ),
    Claim(GREFF, _VARIANTS, "Full gate recurrence is worse (as reported).", Difference("FGR", WORSE_THAN), _MUSIC),
    Claim(GREFF, _IMPACT, "Larger networks are better.", Trend("hidden_size", rises=False), _ALL),
    Claim(GREFF, _IMPACT, "Noise on the inputs hurts.", Trend("input_noise", rises=True), _NOT_SPEECH),
    Claim(GREFF, _ANOVA, "The learning rate is the most important.", Share(("learning_rate",), largest=True), _ALL),
    Claim(GREFF, _ANOVA, "The learning rate explains over two thirds.", Share(("learning_rate",), low=2 / 3), _ALL),
    Claim(GREFF, _ANOVA, "Momentum explains less than 1 %.", Share(("momentum",), high=0.01), _ALL),
    Claim(GREFF, _ANOVA, "All interactions explain 5 to 20 %.", Share((), low=0.05, high=0.2), _ALL),
    Claim(
        GREFF,
        _ANOVA,
        "Learning rate and size hardly interact (below 5 %).",
        Share(("learning_rate", "hidden_size"), high=0.05),
        _ALL,
    ),
    *(
        Claim(JOZEFOWICZ, "results, accuracies", text, Difference(variant, expected), _XML)
        for variant, expected, text in (
            ("NP-f", WORSE_THAN, "Without its forget gate the LSTM is worse (0.234 against 0.425)."),
            ("NP-i", WORSE_THAN, "Without its input gate the LSTM is worse (0.414 against 0.425)."),
            ("NP-o", WORSE_THAN, "Without its output gate the LSTM is worse (0.421 against 0.425)."),
            ("NP-b", BETTER_THAN, "With a forget bias of 1 the LSTM is better (0.444 against 0.425)."),
            ("GRU", BETTER_THAN, "The GRU is better than the LSTM (0.460 against 0.425)."),
            ("MUT1", BETTER_THAN, "MUT1 is better than the LSTM (0.475 against 0.425)."),
            ("MUT2", BETTER_THAN, "MUT2 is better than the LSTM (0.473 against 0.425)."),
            ("MUT3", BETTER_THAN, "MUT3 is better than the LSTM (0.465 against 0.425)."),
        )
    ),
)
