"""The registry of variants: the equations, one file a paper or family."""

from importlib import import_module

from variants.load import load_file, load_installed
from variants.registry import VARIANTS, Variant, variant

# In the order in which tables and figures show them: the reference and its ablations first.
for family in ("greff", "gates", "jozefowicz", "gru", "classic", "minimal", "exponential", "written"):
    import_module(f"variants.{family}")

load_installed()

__all__ = ["VARIANTS", "Variant", "load_file", "variant"]
