"""The tasks that a configuration knows: the registered ones, those of its files, and those that its data become."""

from __future__ import annotations

from pathlib import Path

from ablate.definitions.loading import load_tasks
from ablate.definitions.registry import Registry
from ablate.definitions.task import TASKS, TASKS_FROM_DATA, Task, TaskFromData
from ablate.errors import UserError
from ablate.plan.config import Config


def made_from_data() -> Registry[TaskFromData]:
    """The tasks that can be made from a user's file."""
    TASKS.load()  # whose modules fill this one too
    return TASKS_FROM_DATA


def known_tasks(config: Config) -> Registry[Task]:
    """All tasks by name. Those that follow from data are among them where their data are given.

    Raises:
        UserError: a file cannot be loaded, or data cannot become a task.
    """
    for file in config.tasks_from:
        load_tasks(file)
    makers = made_from_data()
    made = []
    for name, path in config.data.items():
        if name in makers:
            maker = makers[name]
            own = {key: config.settings.get(maker.name, {}).get(key, each) for key, each in maker.settings.items()}
            made.append(maker.make(Path(path).expanduser(), own))
    return TASKS.including(made)


def selected_tasks(config: Config) -> list[Task]:
    """The tasks that a configuration asks for.

    Raises:
        UserError: as `known_tasks`; or a task is unknown, or has no data, or data that it does not read.
    """
    known, makers = known_tasks(config), made_from_data()
    for name in config.tasks:
        if name not in known and name in makers:
            raise UserError(f"the task {name!r} follows from data of yours: give them, --data {name}=FILE")
    tasks = known.select(config.tasks)
    for name, path in config.data.items():
        if name not in known:
            near = ", ".join(f"--data {maker.name}={path}" for maker in makers)
            raise UserError(f"{known.unknown(name)}; for data that no task knows, {near}")
        if known[name].load is None:
            raise UserError(f"{name} is generated; it reads no data, so leave out --data {name}=...")
        if known[name] not in tasks:
            raise UserError(
                f"there are data for {name}, which is not among the tasks; add it to --tasks or leave them out"
            )
    return tasks
