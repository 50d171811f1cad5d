"""Which engine runs each variant; kernels are compiled before the first trial, so that none waits for them."""

from __future__ import annotations

import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed

from ablate.plan.study import Plan
from ablate.run.progress import Progress


def choose_engines(plan: Plan, progress: Progress) -> dict[str, str]:
    """The engine of each variant; one that cannot be what was asked for is told with the reason."""
    names = [variant.name for variant in plan.variants]
    if plan.config.engine == "reference":
        return dict.fromkeys(names, "reference")
    context = multiprocessing.get_context("spawn")
    engines = {}
    with ProcessPoolExecutor(min(plan.config.workers, len(names)), context, _leave_ctrl_c_to_the_parent) as pool:
        futures = {pool.submit(_choose, name, plan.config.engine): name for name in names}
        for done, future in enumerate(as_completed(futures)):
            progress.step("preparing kernels", done + 1, len(names))
            engines[futures[future]], reason = future.result()
            if reason:
                progress.tell(reason)
    return engines


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _choose(name: str, engine: str) -> tuple[str, str]:
    from ablate.cell.engine import choose_engine  # brings the compiler
    from variants import VARIANTS

    return choose_engine(VARIANTS[name].trace, name, engine)
