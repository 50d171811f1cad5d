"""The project's own variants: the equations, one file a paper or family."""

from importlib import import_module

# In the order in which tables and figures show them: the reference and its ablations first.
for family in ("greff", "gates", "jozefowicz", "gru", "classic", "minimal", "exponential", "written"):
    import_module(f"variants.{family}")
