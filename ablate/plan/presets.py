"""Presets: what each changes of the defaults."""

from __future__ import annotations

from typing import Any

# Each preset says what it changes of the defaults, which are Greff's protocol but for the draws.
PRESETS: dict[str, dict[str, Any]] = {
    # What 41 cells on three tasks can do in ten minutes. With 13 trials of each, sign flips over three tasks can reach
    # 5 % in a family of 40 comparisons; with fewer they cannot. The ranges leave out what so few epochs cannot use, and
    # weights of 0.1 are slow to start with four inputs.
    "default": {
        "trials": 13,
        "controls": 2,
        "confirm": 5,
        "confirm_variants": ["greff"],
        "training": {"epochs": 4},
        "search": {
            "hidden_size": {"high": 100},
            "learning_rate": {"low": 4e-3, "high": 1e-1},
            "input_noise": {"high": 0.5},
        },
        "settings": {
            "handwriting": {"epochs": 2, "init_std": 0.2, "train": 700, "validation": 100, "test": 200},
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
