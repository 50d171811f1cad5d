"""What slow analyses compute and reports draw, in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ablate.errors import UserError
from ablate.execution.processes import process_pool, processes_start
from ablate.kept import Compute, Inputs

Tell = Callable[[str, int, int], None]  # what, how many are done, of how many
ATTEMPTS = 3


def in_processes(workers: int, tell: Tell, what: str = "fitting for importance") -> Compute:
    """Compute by so many processes of one thread each, which begin at once; by one, in this process."""

    def compute(function: Callable[..., Any], inputs: Sequence[Inputs]) -> Iterator[tuple[int, Any]]:
        tell(what, 0, len(inputs))
        if min(workers, len(inputs)) > 1:
            results = _spread(workers, function, inputs)
            next(results)
        else:
            results = _here(function, inputs)
        return _told(results, lambda done: tell(what, done, len(inputs)))

    return compute


def _told(results: Iterator[Any], tell: Callable[[int], None]) -> Iterator[Any]:
    for done, result in enumerate(results, start=1):
        tell(done)
        yield result


def _here(function: Callable[..., Any], inputs: Sequence[Inputs]) -> Iterator[tuple[int, Any]]:
    return ((place, function(**each)) for place, each in enumerate(inputs))


def _spread(workers: int, function: Callable[..., Any], inputs: Sequence[Inputs]) -> Iterator[Any]:
    """First nothing, once the processes have begun, then each result; what a killed one has not computed, others do."""
    left, begun = set(range(len(inputs))), False
    for attempt in range(1, ATTEMPTS + 1):
        pool = process_pool(min(workers, len(left)))
        try:
            places = {}
            for place in sorted(left):
                each = inputs[place]  # which may take long, while others are computed already
                with processes_start():
                    places[pool.submit(function, **each)] = place
            if not begun:
                begun = True
                yield None
            for future in as_completed(places):
                result = future.result()
                left.remove(places[future])
                yield places[future], result
            return
        except BrokenProcessPool:
            if attempt == ATTEMPTS:
                raise UserError(
                    f"the processes that compute {function.__name__} were killed {ATTEMPTS} times (out of memory?); "
                    "what is finished is kept, and the same command goes on; fewer --jobs need less memory"
                ) from None
        finally:
            pool.shutdown(cancel_futures=True)
