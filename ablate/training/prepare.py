"""Compiles what all trials share, which takes half a minute once a machine."""

from __future__ import annotations

from ablate.training.loops import READY, loops_folder


def prepare_loops() -> None:
    """Compile the loops of the training, or find them in the cache."""
    import ablate.training.trainer  # noqa: F401  (what is compiled is compiled as it is imported)

    (loops_folder() / READY).touch()
