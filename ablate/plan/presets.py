"""Presets: what each changes of the defaults."""

from __future__ import annotations

from typing import Any

# Each preset says what it changes of the defaults, which are Greff's protocol but for the draws.
PRESETS: dict[str, dict[str, Any]] = {
    # What 41 cells on three tasks can do in ten minutes: 20 trials of each, where sign flips can reach 5 % in a family
    # of 40 comparisons from 13 on. The learning rates hold the best ones of nearly every cell; handwriting, with one
    # target a sequence and four inputs, wants the highest, and larger weights to start from.
    "default": {
        "trials": 20,
        "controls": 2,
        "confirm": 5,
        "confirm_variants": ["greff"],
        "training": {"epochs": 8},
        "search": {
            "hidden_size": {"high": 100},
            "learning_rate": {"low": 1e-3, "high": 2e-1},
            "input_noise": {"high": 0.5},
        },
        "settings": {
            "handwriting": {"epochs": 6, "init_std": 0.2, "train": 700, "validation": 200, "test": 400},
        },
    },
    "paper": {"trials": 200, "paired": False},
    "smoke": {
        "trials": 2,
        "training": {"epochs": 1},
        "search": {"hidden_size": 20},
        "settings": {"handwriting": {"train": 100, "validation": 50, "test": 50}, "text": {"sample": 50}},
    },
}
