"""What every process that a sweep starts does first."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver, get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.cache import provide_home
from ablate.errors import UserError

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext


def limit_library_threads() -> None:
    """Let the numerical libraries of this process and its children use one thread; they read this when imported."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    os.environ.update(dict.fromkeys(names, "1"))


def prepare_environment() -> None:
    """Make sure of what the libraries behind a sweep need, in this process and those that it starts.

    Raises:
        UserError: the environment forbids compiled code.
    """
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        raise UserError("NUMBA_DISABLE_JIT is set, and without compiled code a sweep takes weeks: unset it")
    provide_home()


def configure_torch() -> None:
    """Set PyTorch, which this imports, for the small arrays of a trial."""
    import torch

    torch.set_num_threads(1)
    # Gradients that vanish over many steps come to numbers so small that processors take a hundred times as long.
    torch.set_flush_denormal(True)


@contextmanager
def torch_configured() -> Iterator[None]:
    """Compute as a worker does, so that a trial gives the same numbers here, and leave PyTorch as it was."""
    limit_library_threads()
    import torch

    threads = torch.get_num_threads()
    configure_torch()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)


@contextmanager
def stop_signals_as_interrupts() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C and a signal to terminate, a job queue's way to say stop, raise KeyboardInterrupt; in the main thread.

    Gives a function that tells whether one has come.
    """
    came = False

    def stop(*_: object) -> None:
        nonlocal came
        came = True
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield lambda: came
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Let Ctrl-C wait; a process that is started meanwhile never gets it, not even while it starts."""
    if not hasattr(signal, "pthread_sigmask"):  # as on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def process_context() -> ForkServerContext | SpawnContext:
    """How processes are started: none is forked from one that holds threads.

    On Linux they are forked from a server that holds none, and that imports the slow libraries once for all of them.
    It begins to do so when this is first called.
    """
    limit_library_threads()
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["ablate.execution.preloaded"])
    # The server finds this very code, whatever else lies in the folder that the command is run in.
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    before = dict(os.environ)
    os.environ.update(paths)
    try:
        with interrupts_held_back():
            forkserver.ensure_running()
    finally:
        for name in paths:
            os.environ.pop(name)
            os.environ.update({name: before[name]} if name in before else {})
    return context


def end_server() -> None:
    """End the server, if there is one, at once: by itself it finishes its imports first, and holds our output open."""
    pid = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if pid:
        os.kill(pid, signal.SIGKILL)


def process_pool(workers: int) -> ProcessPoolExecutor:
    """A pool of processes of one thread each, to be used within `processes_start`."""
    return ProcessPoolExecutor(workers, process_context(), begin_process, (dict(os.environ),))


@contextmanager
def processes_start() -> Iterator[None]:
    """Let processes that are started meanwhile come up quietly: no Ctrl-C reaches them, nor a script that is no file.

    A spawned process runs its parent's script, which for one from standard input is a file `<stdin>` that is not there.
    """
    main = sys.modules["__main__"]
    script = getattr(main, "__file__", None)
    hidden = script is not None and not Path(script).exists()
    if hidden:
        del main.__file__
    try:
        with interrupts_held_back():
            yield
    finally:
        if hidden:
            main.__file__ = script


def begin_process(environment: Mapping[str, str]) -> None:
    """Take over the parent's environment, leave Ctrl-C to the parent, and end with it, however that one ends.

    Ctrl-C reaches every process of a terminal; the parent alone decides what it means.

    Args:
        environment: the parent's; a server that processes are forked from has that of its own start.
    """
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
