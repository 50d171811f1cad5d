"""Which backend runs each variant; kernels are compiled before the first trial, so that none waits for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import replace

from ablate.cell.backend import choose_backend, ready_backend
from ablate.errors import UserError
from ablate.execution.processes import process_pool, processes_start
from ablate.execution.progress import ProgressDisplay
from ablate.plan.config import Config
from ablate.plan.study_plan import StudyPlan, make_plan
from ablate.storage.folder import StudyFolder
from ablate.training.loops import loops_are_ready
from ablate.training.prepare import prepare_loops


def choose_backends(plan: StudyPlan, progress: ProgressDisplay) -> dict[str, str]:
    """The backend of each variant; one that cannot be what was asked for is told with the reason."""
    backends: dict[str, str] = {}
    for variant in plan.variants:
        if backend := ready_backend(variant.trace, variant.name, plan.config.backend):
            backends[variant.name] = backend
    names = [variant.name for variant in plan.variants if variant.name not in backends]
    loops = 0 if loops_are_ready() else 1
    if not names and not loops:
        return backends
    if plan.only_here():  # and so in no process that would compile
        for done, name in enumerate(names):
            progress.step("compiling kernels", done + 1, len(names))
            backends[name], reason = _choose(name, plan.config)
            if reason:
                progress.print_line(reason)
        return backends
    progress.step("compiling kernels", 0, len(names) + loops)
    with process_pool(min(plan.config.workers, len(names) + loops)) as pool:
        with processes_start():
            loops_compiled = pool.submit(prepare_loops) if loops else None
            futures = {pool.submit(_choose, name, plan.config): name for name in names}
        try:
            for done, future in enumerate(as_completed(futures)):
                progress.step("compiling kernels", done + 1, len(names) + loops)
                backends[futures[future]], reason = future.result()
                if reason:
                    progress.print_line(reason)
            if loops_compiled is not None:
                loops_compiled.result()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return backends


def keep_backends(chosen: dict[str, str], folder: StudyFolder, print_line: Callable[[str], None]) -> dict[str, str]:
    """The backends with which a study goes on: a variant keeps the one that it began with.

    Backends agree, but not to the last bit, and a disk that was full when a kernel was compiled may have room now.

    Raises:
        UserError: a variant was run by kernels, and they are not to be had now.
    """
    began: dict[str, list[str]] = {}
    for row in folder.tables.trial_rows():
        if row["backend"] and row["state"] != "failed":
            began.setdefault(row["variant"], []).append(row["backend"])
    kept = dict(chosen)
    for name, backend in chosen.items():
        before = sorted(set(began.get(name, [])))
        if len(before) > 1:
            print_line(
                f"{name} was run by two backends in this study, {' and '.join(before)}; --redo {name} mends that"
            )
        elif before and before != [backend]:
            if before != ["reference"]:
                raise UserError(
                    f"{name} was run by the backend {before[0]!r} in this study, which cannot run it now (see above); "
                    f"mend that, or give --redo {name} to train it anew by {backend!r}"
                )
            print_line(f"{name} goes on with the backend 'reference', by which it was run in this study")
            kept[name] = "reference"
    return kept


def _choose(name: str, config: Config) -> tuple[str, str]:
    (variant,) = make_plan(replace(config, variants=(name,))).variants
    return choose_backend(variant.equations, variant.trace, name, config.backend)
