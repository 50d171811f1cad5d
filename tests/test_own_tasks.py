"""Tasks from a Python file of one's own, and what is said when it is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ablate.definitions.task import TASKS
from ablate.plan.config_file import load_config
from ablate.plan.study_plan import make_plan
from ablate.testing.task_case import TaskCase
from ablate.testing.tasks import checks_for
from tests.conftest import ROOT, Command
from tests.own_data import told

pytestmark = pytest.mark.usefixtures("restored_tasks")
README = (ROOT / "README.md").read_text(encoding="utf-8")
TASK = README.partition("`my_task.py`")[2].partition("```python\n")[2].partition("```")[0]


def test_the_readme_goes_from_an_empty_file_to_a_task(sweep: Command, tmp_path: Path) -> None:
    assert len([line for line in TASK.splitlines() if line.strip()]) <= 15
    file = tmp_path / "my_task.py"
    file.write_text(TASK, encoding="utf-8")
    (tmp_path / "c.toml").write_text("[settings.first-bit]\ntrain = 50\nvalidation = 20\ntest = 20\n")
    words = ["--tasks-from", str(file), "--tasks", "first-bit", "--variants", "V", "--study", "s", "--preset", "smoke"]
    done = sweep(*words, "--config", str(tmp_path / "c.toml"), small=False)
    assert done.returncode == 0, done.stderr
    study = tmp_path / "results" / "s"
    assert list(pd.read_csv(study / "trials.csv")["state"]) == ["completed"] * 2
    assert json.loads((study / "metadata.json").read_text())["tasks"]["first-bit"]["counts"]["train"] == 50
    check = [check for check in checks_for(TASKS["first-bit"]) if check.__name__ != "check_description"]
    for each in check:
        each(TaskCase(TASKS["first-bit"]))


def test_workers_load_the_file_too(command: Command, tmp_path: Path) -> None:
    (tmp_path / "my_task.py").write_text(TASK, encoding="utf-8")
    words = ["--tasks-from", "my_task.py", "--tasks", "first-bit", "--variants", "V", "--study", "s", "--jobs", "2"]
    done = command(*words, "--preset", "smoke", small=False)
    assert done.returncode == 0, done.stderr
    listed = command("--tasks-from", "my_task.py", "--describe", "first-bit", small=False)
    assert listed.returncode == 0 and "the best constant predictor scores" in listed.stdout  # since it brings none
    (tmp_path / "my_task.py").write_text(TASK.replace('"error_rate"', '"bits"'), encoding="utf-8")
    changed = command(*words, "--preset", "smoke", "--trials", "3", small=False)
    assert changed.returncode == 2 and "was made with the score error_rate for first-bit" in changed.stderr
    (tmp_path / "my_task.py").unlink()
    reported = command("--study", "s", "--report-only", small=False)
    assert reported.returncode == 0, reported.stderr


LOADED = """
import numpy as np
from ablate.definitions.dataset import Dataset, Sequences, TargetPosition
from ablate.definitions.task import TASKS, Task

def load(path, settings, progress):
    part = Sequences(np.zeros((4, 1), np.float32), np.array([[0], [1], [0], [1]], np.uint8), np.array([2, 2]))
    return Dataset({"train": part, "validation": part, "test": part}, "made up", 1, 2)

TASKS.add(Task(name="mine", summary="mine", loss="cross_entropy", score="error_rate", load=load))
"""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("def load(path, settings, progress)", "def load(path)"), "has a load that takes (path); it is called with"),
        (("load=load", "load=7"), "has the load 7; give a function of (path, settings, progress)"),
        (("load=load", "load=load, generate=load"), "needs either load or generate"),
        (("load=load", "load=load, baseline=lambda: 1.0"), "has a baseline that takes (); it is called with (dataset,"),
        (("return Dataset", "Dataset"), "load returns a NoneType; it must return Dataset"),
        (("np.zeros((4, 1)", "np.zeroes((4, 1)"), "line 7: task 'mine': AttributeError: module 'numpy' has no attr"),
        (("np.array([2, 2])", "np.array([2, 3])"), "inputs are of shape (4, 1); expected (5, 1)"),
        (("TASKS.add(", "print("), "registers no task; call TASKS.add(Task(...))"),
        (('name="mine"', 'name="music"'), "task 'music' is defined twice"),
        (('name="mine", ', ""), "TypeError: Task.__init__() missing 1 required positional argument: 'name'"),
        (("import numpy as np", "import numpy as np,"), "line 2: invalid syntax"),
    ],
)
def test_a_wrong_file_of_tasks_is_one_line(sweep: Command, tmp_path: Path, change: tuple[str, str], words: str) -> None:
    assert change[0] in LOADED
    file = tmp_path / "my_task.py"
    file.write_text(LOADED.replace(*change), encoding="utf-8")
    done = sweep("--tasks-from", str(file), "--tasks", "mine", "--variants", "V", small=False)
    assert "my_task.py" in done.stderr or "data of mine" in done.stderr
    told(done, words, tmp_path)


def test_a_task_that_is_being_written_is_not_read_from_the_cache(own_cache: Path, tmp_path: Path) -> None:
    """Its parsed data belong to the contents of its file."""
    from ablate.data.load import task_data

    hashes = []
    for number, code in enumerate((LOADED, LOADED.replace("np.zeros", "np.ones"))):
        file = tmp_path / f"task_{number}.py"
        file.write_text(code, encoding="utf-8")
        TASKS._entries.pop("mine", None)
        plan = make_plan(load_config(None, {"tasks_from": [str(file)], "tasks": "mine"}))
        hashes.append(task_data(plan, plan.tasks[0], lambda what, done, total: None).hash)
    assert hashes[0] != hashes[1]


def test_an_installed_package_offers_tasks(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "offered_tasks.py").write_text(LOADED, encoding="utf-8")
    metadata = tmp_path / "offered_tasks-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: offered-tasks\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[ablate.tasks]\nmine = offered_tasks\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = command("--describe", "mine", small=False)
    assert done.returncode == 0 and "mine: mine" in done.stdout, done.stderr
