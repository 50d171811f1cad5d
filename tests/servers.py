"""Real servers for the tests: MLflow's, PostgreSQL and Slurm, started here, stopped, frozen, and ended by their ids."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


def free_port() -> int:
    """A port below those that the system gives to whoever asks, so that none takes it before it is used."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port


class Server:
    """A server as a process group that can be stopped, started again, and frozen."""

    def __init__(
        self,
        command: list[str],
        answers: Callable[[], bool],
        log: Path,
        user: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._command, self._answers, self._log, self._user = command, answers, log, user
        self._environment = environment

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self._user,
                cwd="/",
                env=self._environment,
            )
        end = time.monotonic() + 120
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < end, self._log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, also one that is frozen."""
        self._signal(signal.SIGINT)  # PostgreSQL's fast end, which waits for no client
        self._signal(signal.SIGCONT)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        """To all of its processes, of which some have sessions of their own."""
        for process in [self._process.pid, *_descendants(self._process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *_descendants(child)]
    return found


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[tuple[Server, str]]:
    """A tracking server, and its address."""
    uri = f"http://127.0.0.1:{free_port()}"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", uri.rpartition(":")[2]]
    command += ["--backend-store-uri", f"sqlite:///{folder}/m.db", "--artifacts-destination", f"{folder}/a"]
    with Server([*command, "--workers", "1"], answers, folder / "mlflow.log") as server:
        yield server, uri


@contextlib.contextmanager
def postgresql_server() -> Iterator[tuple[Server, str]]:
    """A PostgreSQL server of its own, and the address of its database; skips the test where there is none."""
    pytest.importorskip("psycopg", reason="needs psycopg, Python's driver of PostgreSQL")
    initdb, postgres, ready = map(_program, ("initdb", "postgres", "pg_isready"))
    if not (initdb and postgres and ready):
        pytest.skip("needs PostgreSQL: there is no initdb, postgres or pg_isready")
    with tempfile.TemporaryDirectory(prefix="ablate-postgresql-") as folder:
        user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        if user:
            shutil.chown(folder, user)
        data, port = f"{folder}/data", str(free_port())
        make = [initdb, "-D", data, "-A", "trust", "-U", "lab", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, user=user, cwd="/")
        command = [postgres, "-D", data, "-h", "127.0.0.1", "-p", port, "-k", folder]
        asked = [ready, "-q", "-h", "127.0.0.1", "-p", port]
        with Server(command, lambda: not subprocess.call(asked), Path(folder) / "log", user) as server:
            yield server, f"postgresql+psycopg://lab@127.0.0.1:{port}/postgres"


@contextlib.contextmanager
def slurm_cluster(folder: Path, cpus: int = 2) -> Iterator[dict[str, str]]:
    """A Slurm of one node, and the environment in which its commands reach it; skips the test where there is none."""
    if missing := [name for name in ("slurmctld", "slurmd", "sbatch", "munge") if not shutil.which(name)]:
        pytest.skip(f"needs Slurm and munge: there is no {missing[0]}")
    if os.geteuid():
        pytest.skip("needs root, as which slurmd runs")
    host = socket.gethostname()
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    (folder / "slurm.conf").write_text(
        SLURM_CONF.format(host=host, folder=folder, cpus=cpus, controller=free_port(), node=free_port())
    )
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def answers(*command: str, expect: str = "") -> Callable[[], bool]:
        def ask() -> bool:
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            return done.returncode == 0 and expect in done.stdout

        return ask

    with contextlib.ExitStack() as servers:
        if not (munge := answers("munge", "-n"))():
            Path("/run/munge").mkdir(exist_ok=True)
            shutil.chown("/run/munge", "munge")
            servers.enter_context(Server(["munged", "-F"], munge, folder / "munge.log", "munge"))
        for command, ready in (
            (["slurmctld", "-D"], answers("scontrol", "ping", expect="UP")),
            (["slurmd", "-D"], answers("sinfo", "--noheader", "--format=%T", expect="idle")),
        ):
            servers.enter_context(Server(command, ready, folder / f"{command[0]}.log", environment=environment))
        yield environment


SLURM_CONF = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/d.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=2
OverTimeLimit=0
InactiveLimit=0
MinJobAge=60
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def _program(name: str) -> str | None:
    if found := shutil.which(name):
        return found
    there = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))  # as Debian installs them
    return str(there[-1]) if there else None
