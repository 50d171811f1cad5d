"""Any place: names, folders and environments in which the command must work, or say in one line why not."""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ablate.cache import default_cache_folder, writable
from ablate.plan.config import Config, cores
from ablate.plan.config_file import load_config
from tests.conftest import ROOT, Command, sweep_arguments

SOMEBODY = 54321  # a user without an entry among the users


def test_the_cache_falls_back_to_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    wanted = Path("/proc/nowhere/kernels")
    found = writable(wanted)
    assert found == tmp_path / f"ablate-{os.getuid()}" / "kernels"
    assert found.parent.stat().st_mode & 0o777 == 0o700
    assert writable(wanted) == found


@pytest.mark.parametrize("trap", ["another's", "open to all", "a link"])
def test_code_is_never_taken_from_a_folder_that_somebody_else_can_write_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("ABLATE_CACHE", raising=False)
    name = tmp_path / f"ablate-{os.getuid()}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if trap == "a link":
        name.symlink_to(elsewhere)
    else:
        name.mkdir(mode=0o700)
    if trap == "open to all":
        name.chmod(0o777)
    if trap == "another's":
        if os.getuid():
            pytest.skip("only root can give a folder away")
        os.chown(name, SOMEBODY, SOMEBODY)
    found = writable(Path("/proc/nowhere/kernels"))
    assert found.parent != name and list(name.iterdir()) == []
    assert found.parent.stat().st_mode & 0o777 == 0o700
    # Processes that this one starts inherit the place, and so does every later look.
    assert os.environ["ABLATE_CACHE"] == str(found.parent)
    assert writable(default_cache_folder() / "kernels") == found
    monkeypatch.delenv("ABLATE_CACHE")


def test_a_user_without_home_has_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "home", no_home)
    for name in ("ABLATE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert default_cache_folder() == tmp_path / f"ablate-{os.getuid()}"


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ABLATE_CACHE", "~/kept")
    assert default_cache_folder() == tmp_path / "kept"
    assert Config(results="~/results").folder == tmp_path / "results" / "default"
    (tmp_path / "own.toml").write_text("trials = 7\n")
    assert load_config(Path("~/own.toml"), {}).trials == 7


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_bytes(b"\xef\xbb\xbftrials = 7\n")
    assert load_config(file, {}).trials == 7


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--study", "x" * 300], "study is a name of 300 letters; it must be the plain name of a folder under"),
        (["--study", "mlflow.db"], "study is 'mlflow.db', which holds what MLflow keeps there; choose another name"),
        (["--study", "a\nb"], "'a\\nb' is not a name in UTF-8, or holds a control character; rename it"),
        (["--results", os.fsdecode(b"r\xff")], "'r\\udcff' is not a name in UTF-8, or holds a control character"),
        (["--results", "~nobody-of-this-name/results"], "results folder ~nobody-of-this-name/results: "),
    ],
)
def test_names_that_no_study_can_have(sweep: Command, tmp_path: Path, options: list[str], said: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    refused = sweep(*options)
    assert refused.returncode == 2 and f"error: {said}" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert [file for file in sorted(tmp_path.rglob("*")) if file not in before and file.name != "small.toml"] == []


@pytest.mark.parametrize("name", ["a b", "100%", "a%20b", "what?", "a#b", "it's", "é"])
def test_the_results_folder_may_have_any_name(sweep: Command, tmp_path: Path, name: str) -> None:
    done = sweep("--results", name, "--trials", "1", "--variants", "V")
    assert done.returncode == 0, done.stderr
    results = tmp_path / name
    assert {each.name for each in results.iterdir() if not each.name.startswith(".")} >= {"s", "mlflow.db"}
    assert len(list((results / "mlartifacts").rglob("index.html"))) == 1
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == [name]
    # The command that is printed is one that a shell takes, and that opens this database.
    line = next(line for line in done.stdout.splitlines() if line.startswith("MLflow: "))
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {line.removeprefix('MLflow: ')}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert words[:3] == ["mlflow", "ui", "--backend-store-uri"] and len(words) == 4
    from mlflow import MlflowClient

    assert [each.name for each in MlflowClient(words[3]).search_experiments(filter_string="name = 's'")] == ["s"]


@pytest.mark.slow
def test_a_user_of_a_container_can_sweep(tmp_path: Path, small_music: Path) -> None:
    """Without a home, without an entry among the users, without a cache, with code that cannot be written."""
    if os.getuid() or not shutil.which("setpriv"):
        pytest.skip("only root can become a user without an entry, by setpriv")
    arguments = sweep_arguments(tmp_path, small_music)
    for name in ("work", "tmp"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, SOMEBODY, SOMEBODY)
    # Somebody who may read everything, as in a container, and write nothing that is not his.
    capability = "+dac_read_search"
    somebody = ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups"]
    somebody += [f"--inh-caps={capability}", f"--ambient-caps={capability}"]
    kept = {key: value for key, value in os.environ.items() if key not in ("HOME", "USER", "LOGNAME", "ABLATE_CACHE")}
    done = subprocess.run(
        [*somebody, sys.executable, str(ROOT / "run_sweep.py"), *arguments, "--trials", "1", "--variants", "V"],
        cwd=tmp_path / "work",
        env={**kept, "TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": "/proc/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    study = tmp_path / "work" / "results" / "s"
    assert (study / "report" / "index.html").exists() and "Traceback" not in done.stderr
    assert pd.read_csv(study / "trials.csv")["backend"].tolist() == ["cpu"]
    package = importlib.util.find_spec("mlflow")
    assert package is not None and package.origin is not None
    # MLflow asks by the rights of the user alone whether it can read its own files.
    if all(folder.stat().st_mode & 0o001 for folder in Path(package.origin).parents):
        assert (study.parent / "mlflow.db").exists() and "tracker cannot be written" not in done.stdout


def test_cores_are_those_that_may_be_used() -> None:
    assert 1 <= cores() <= len(os.sched_getaffinity(0))


UNUSUAL_STYLE = """\
text.usetex: True
font.family: fantasy
backend: TkAgg
savefig.format: eps
savefig.bbox: tight
figure.autolayout: True
axes.facecolor: black
svg.fonttype: none
mathtext.default: bf
"""
WRITE_REPORT = """\
import sys
from pathlib import Path
from ablate.report.write import write_report
from ablate.testing.synthetic import synthetic_results
write_report(synthetic_results(variants=("V", "NFG"), trials=12), Path(sys.argv[1]))
"""


def test_a_report_is_the_same_whatever_style_the_user_has_set(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text(UNUSUAL_STYLE)
    for name, more in (("plain", {}), ("styled", {"MATPLOTLIBRC": str(tmp_path)})):
        words = [sys.executable, "-c", WRITE_REPORT, str(tmp_path / name)]
        done = subprocess.run(words, cwd=ROOT, env={**os.environ, **more}, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stderr == ""
    files = [file for file in sorted((tmp_path / "plain").rglob("*")) if file.is_file()]
    assert len(files) > 40
    for file in files:
        assert (tmp_path / "styled" / file.relative_to(tmp_path / "plain")).read_bytes() == file.read_bytes(), file.name


STUDY = 'variants="V", tasks="parity", trials=1, preset="smoke", study="s", jobs=1, controls=0, confirm=0'
IN_A_THREAD = f"""\
import threading, ablate
if __name__ == "__main__":
    thread = threading.Thread(target=lambda: print(ablate.run({STUDY})))
    thread.start()
    thread.join()
"""


@pytest.mark.parametrize(
    ("way", "script"),
    [
        ("standard input", f"import ablate\nprint(ablate.run({STUDY}))\n"),
        pytest.param("prompt", f"import ablate\nprint(ablate.run({STUDY}))\n", marks=pytest.mark.slow),
        ("thread", IN_A_THREAD),
    ],
)
def test_python_may_be_used_in_any_way(tmp_path: Path, way: str, script: str) -> None:
    (tmp_path / "script.py").write_text(script)
    words = {"standard input": ["-"], "prompt": ["-i"], "thread": ["script.py"]}[way]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input="" if way == "thread" else script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "1 trials (1 completed) of V on parity" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("mode", [[], ["--report-only"], ["--verify", "s"]])
def test_without_compiled_code_nothing_is_begun(
    sweep: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    refused = sweep(*mode)
    assert refused.returncode == 2 and not (tmp_path / "results").exists()
    assert refused.stderr.startswith("error: NUMBA_DISABLE_JIT is set, and") and refused.stderr.count("\n") == 1


@pytest.mark.parametrize("mode", ["--report-only", "--verify", "--compare", "sweep"])
def test_a_disk_that_takes_nothing_is_told_in_a_line(study: Path, tmp_path: Path, mode: str) -> None:
    for name in ("s", "t"):
        shutil.copytree(study / "results" / "s", tmp_path / "results" / name)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    options = {"--report-only": ["--study", "s"], "--verify": ["s", "1"], "--compare": ["s", "t"]}
    words = [mode, *options[mode]] if mode in options else ["--tasks", "parity", "--trials", "1", "--preset", "smoke"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_sweep.py"), *words],
        cwd=tmp_path,
        env={**os.environ, "ABLATE_CACHE": str(tmp_path / "cache")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (2, 3) and "Traceback" not in done.stderr, done.stderr
    reason = "could be compared" if mode == "--compare" else "File too large"  # too few trials: it writes nothing
    assert done.stderr.splitlines()[-1].startswith("error: ") and reason in done.stderr
    after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert {file: after.get(file) for file in before} == before
