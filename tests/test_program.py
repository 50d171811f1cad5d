"""The command by both of its names, and the project under an old name of its distribution and today's."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import ablate
from ablate.cli import main as command
from ablate.definitions import registry
from ablate.definitions.registry import Registry
from ablate.execution.sweep import SweepInterrupted
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("called", "name", "program"),
    [("/anywhere/bin/ablate", "ablate", "ablate"), ("clone/run_sweep.py", "run_sweep.py", "python run_sweep.py")],
)
def test_the_command_speaks_of_itself_as_it_was_called(
    called: str, name: str, program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    with pytest.raises(SystemExit) as ended:
        command.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{name} {ablate.__version__}\n"

    words = ["--study", "a b", "--fresh", "--redo", "V,GRU", "--redo=NP"]
    goes_on = {SweepInterrupted: "--study 'a b'", KeyboardInterrupt: "--study 'a b' --fresh --redo V,GRU --redo=NP"}
    for stop, rest in goes_on.items():

        def interrupted(*options: object, stop: type[BaseException] = stop) -> int:
            raise stop

        monkeypatch.setattr(command, "_run", interrupted)
        assert command.main(words) == 130
        assert capsys.readouterr().err.endswith(f"Go on with: {program} {rest}\n")


def test_the_distribution_has_a_name_of_its_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] != "ablate" and project["scripts"] == {"ablate": "ablate.cli.main:main"}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert project["name"] in readme and "import ablate" in readme


def test_what_two_installations_offer_is_loaded_once_and_first(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    class Offered(EntryPoint):
        def load(self) -> None:
            loaded.append(self.value)

    group = "ablate.variants"
    offered = [Offered("cells", "other", group), *[Offered(registry.OWN, "variants", group) for _ in range(2)]]
    monkeypatch.setattr(registry, "entry_points", lambda group: offered)
    assert len(Registry("variant", group)) == 0
    assert loaded == ["variants", "other"]


def test_the_script_of_the_clone_is_the_same_command() -> None:
    assert "from ablate.cli.main import main" in Path(ROOT / "run_sweep.py").read_text(encoding="utf-8")
