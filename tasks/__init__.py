"""The data, and what counts as success on it: one file a task."""

from importlib import import_module

from tasks.registry import TASKS

# In the order in which they are listed, and run unless asked for otherwise.
for task in (
    "music",
    "speech",
    "handwriting",
    "text",
    "images",
    "adding",
    "copy_memory",
    "temporal_order",
    "reber",
    "counting",
    "parity",
    "timing",
):
    import_module(f"tasks.{task}")

__all__ = ["TASKS"]
