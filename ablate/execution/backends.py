"""Which backend runs each variant; kernels are compiled before the first trial, so that none waits for them."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace

from ablate.cell.backend import choose_backend, ready_backend
from ablate.execution.processes import exit_with_parent, interrupts_held_back
from ablate.execution.progress import ProgressDisplay
from ablate.plan.config import Config
from ablate.plan.study_plan import StudyPlan, make_plan


def choose_backends(plan: StudyPlan, progress: ProgressDisplay) -> dict[str, str]:
    """The backend of each variant; one that cannot be what was asked for is told with the reason."""
    backends: dict[str, str] = {}
    for variant in plan.variants:
        if backend := ready_backend(variant.trace, variant.name, plan.config.backend):
            backends[variant.name] = backend
    names = [variant.name for variant in plan.variants if variant.name not in backends]
    if not names:
        return backends
    if plan.only_here():  # and so in no process that would compile
        for done, name in enumerate(names):
            progress.step("compiling kernels", done + 1, len(names))
            backends[name], reason = _choose(name, plan.config)
            if reason:
                progress.print_line(reason)
        return backends
    progress.step("compiling kernels", 0, len(names))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(plan.config.workers, len(names)), context, exit_with_parent) as pool:
        with interrupts_held_back():
            futures = {pool.submit(_choose, name, plan.config): name for name in names}
        try:
            for done, future in enumerate(as_completed(futures)):
                progress.step("compiling kernels", done + 1, len(names))
                backends[futures[future]], reason = future.result()
                if reason:
                    progress.print_line(reason)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return backends


def _choose(name: str, config: Config) -> tuple[str, str]:
    (variant,) = make_plan(replace(config, variants=(name,))).variants
    return choose_backend(variant.equations, variant.trace, name, config.backend)
