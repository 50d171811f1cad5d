"""The registry of variants: the equations, one file a paper or family."""

from importlib import import_module

from variants.registry import VARIANTS, Variant, variant

# In the order in which tables and figures show them: the reference and its ablations first.
for family in ("greff", "classic"):
    import_module(f"variants.{family}")

__all__ = ["VARIANTS", "Variant", "variant"]
