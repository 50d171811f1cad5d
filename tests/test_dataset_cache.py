"""The cache of parsed data sets: read once, whole or not at all, and never needed."""

from __future__ import annotations

import logging
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ablate.cache import default_cache_folder
from ablate.data import cache
from ablate.data.cache import open_dataset
from ablate.definitions.dataset import SPLITS, Dataset, Sequences, TargetPosition, content_hash
from ablate.definitions.task import ProgressCallback, Settings, Task
from ablate.errors import UserError


def quiet(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def load_counted(path: Path | None, settings: Settings, progress: ProgressCallback) -> Dataset:
    """Random sequences, seeded by the file's text; each call leaves a line in the file `loads` beside it."""
    assert path is not None
    with (path.parent / "loads").open("a") as loads:
        loads.write("loaded\n")
    time.sleep(0.1)  # long enough that processes which start together meet
    if path.read_text() == "bad":
        raise UserError(f"{path}: bad")
    generator = np.random.default_rng(int(path.read_text()))
    splits = {
        split: Sequences(
            generator.normal(size=(9, 3)).astype(np.float32),
            generator.integers(0, 2, (9, 2), dtype=np.uint8),
            np.array([4, 5], np.int64),
        )
        for split in SPLITS
    }
    return Dataset(splits, str(path), 3, 2, ("a", "b"), ("a note",))


COUNTED = Task(
    name="counted",
    summary="",
    description="",
    loss="binary_cross_entropy",
    score="nats",
    target_position=TargetPosition.EVERY_FRAME,
    load=load_counted,
    baseline=lambda dataset, settings: 1.0,
    settings={"difficulty": 1},
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.txt"
    path.write_text("1")
    return path


def loads(source: Path) -> int:
    return len((source.parent / "loads").read_text().splitlines())


def entry_of(folder: Path) -> Path:
    (entry,) = [path for path in folder.iterdir() if path.is_dir()]
    return entry


def open_hash(source: Path) -> str:
    return open_dataset(COUNTED, source, COUNTED.settings, source.parent / "cache", quiet).hash


def test_the_second_time_is_read_from_the_cache(source: Path, tmp_path: Path) -> None:
    fresh = load_counted(source, {}, quiet)
    first, second = (open_dataset(COUNTED, source, {}, tmp_path / "deep" / "cache", quiet) for _ in range(2))
    assert loads(source) == 2  # the fresh one and the first
    assert fresh.hash == first.hash == second.hash == content_hash(second.splits)
    for split in SPLITS:
        for array, kept in second.splits[split].arrays.items():
            assert isinstance(kept, np.memmap) and not kept.flags.writeable
            np.testing.assert_array_equal(kept, fresh.splits[split].arrays[array])
    assert replace(second, splits={}) == replace(fresh, splits={})


def test_an_entry_is_keyed_by_contents_and_version(source: Path, tmp_path: Path) -> None:
    before = open_hash(source)
    copy = source.with_name("copy.txt")
    copy.write_text("1")
    again = open_dataset(COUNTED, copy, COUNTED.settings, tmp_path / "cache", quiet)
    assert again.hash == before and again.source == str(copy) and loads(source) == 1
    copy.write_text("2")
    assert open_hash(copy) != before and loads(source) == 2
    open_dataset(replace(COUNTED, version=2), source, COUNTED.settings, tmp_path / "cache", quiet)
    assert loads(source) == 3
    open_dataset(COUNTED, source, {"difficulty": 2}, tmp_path / "cache", quiet)
    assert loads(source) == 4


def test_processes_that_start_together_parse_once(source: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        hashes = pool.map(open_hash, [source] * 4, chunksize=1)
    assert loads(source) == 1 and len(set(hashes)) == 1


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "index", "no index", "emptied"])
def test_a_damaged_entry_is_made_anew(source: Path, tmp_path: Path, damage: str) -> None:
    before = open_hash(source)
    entry = entry_of(tmp_path / "cache")
    array = entry / "train-inputs.npy"
    data = array.read_bytes()
    if damage == "truncated":
        array.write_bytes(data[:-5])
    elif damage == "flipped":
        array.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    elif damage == "missing":
        array.unlink()
    elif damage == "index":
        (entry / cache.INDEX).write_text('{"sizes": ')
    elif damage == "no index":
        (entry / cache.INDEX).unlink()
    else:
        for file in entry.iterdir():
            file.write_bytes(b"")
    assert open_hash(source) == before and loads(source) == 2
    assert open_hash(source) == before and loads(source) == 2


def test_what_a_killed_process_left_is_cleared_away(source: Path, tmp_path: Path) -> None:
    open_hash(source)
    entry = entry_of(tmp_path / "cache")
    partial = entry.with_suffix(".partial")
    entry.rename(partial)
    open_hash(source)
    assert entry_of(tmp_path / "cache") == entry and not partial.exists()


def test_an_unwritable_cache_is_a_warning(source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert open_hash(source) == load_counted(source, {}, quiet).hash
    (record,) = caplog.records
    assert "the cache cannot be used" in record.getMessage() and "\n" not in record.getMessage()


def test_a_full_disk_is_a_warning(
    source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with caplog.at_level(logging.WARNING):
        open_hash(source)
    assert "No space left on device" in caplog.text
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_bad_data_leave_no_entry_and_no_lock_held(source: Path, tmp_path: Path) -> None:
    source.write_text("bad")
    for _ in range(2):
        with pytest.raises(UserError):
            open_hash(source)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_the_default_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_CACHE", "some/where")
    assert default_cache_folder() == Path("some/where")
    monkeypatch.delenv("ABLATE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert default_cache_folder() == Path("caches/ablate")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_folder() == Path.home() / ".cache" / "ablate"
