"""The data, and what counts as success on it: one file a task."""

from tasks import images as images
from tasks import music as music
from tasks.registry import TASKS as TASKS
