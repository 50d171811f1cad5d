"""The project's own tasks: the data, and what counts as success on them, one file a task."""

from importlib import import_module

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
    "own",
):
    import_module(f"tasks.{task}")
