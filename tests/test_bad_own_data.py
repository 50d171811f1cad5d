"""What is said of data without code that no task can be made of."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.sources import table_file
from tests.conftest import Command
from tests.own_data import own, table, told, write

pytestmark = pytest.mark.usefixtures("restored_tasks")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Empty CSV file"),
        ("sequence,split,x,target\n", "there are no rows"),
        ("sequence,split,x,target\n0,train,1,0\n0,train,1\n", "Row #3: Expected 4 columns, got 3"),
        ("sequence;split;x;target\n0;train;1;0\n", "separated by ';'; expected commas"),
        ("sequence,x,x,target\n0,1,2,0\n", "two columns are called 'x'"),
        (",sequence,x,target\n0,0,2,0\n", "a column has no name"),
        ("x,target\n1,0\n", "no column is called 'sequence'"),
        ("sequence,x\n1,0\n", "no column is called 'target'"),
        ("sequence,x,target,target_b\n1,0,1,1\n", "'target' beside 'target_b'"),
        ("sequence,target\n1,0\n", "no column is left for the inputs"),
        ("sequence,x,target\n1,0,1\n,0,1\n", "row 2: 'sequence' is missing"),
        ("sequence,split,x,target\n0,train,1,0\n0,train,,1\n1,validation,1,0\n2,test,1,1\n", "row 2: 'x' is missing"),
        ("sequence,split,x,target\n0,train,1,0\n0,train,nan,1\n1,validation,1,0\n2,test,1,1\n", "row 2: 'x' is missi"),
        ("sequence,split,x,target\n0,train,inf,0\n1,validation,1,0\n2,test,1,1\n", "row 1: 'x' is inf"),
        ("sequence,split,x,target\n0,train,1,0\n1,validation,1,0\n2,test,n/k,1\n", "row 3: 'x' is 'n/k'; expected a n"),
        ("sequence,split,x,target\n0,train,1,0\n1,validation,1,1\n", "no sequence is in the split 'test'"),
        ("sequence,split,x,target\n0,train,1,0\n0,test,1,0\n", "row 2: 'split' is not that of the sequence's first"),
        ("sequence,split,x,target\n0,train,1,0\n1,val,1,1\n", "row 2: 'split' is 'val'; give train, valid"),
        ("sequence,split,x,target\n0,train,1,0\n1,,1,1\n", "row 2: 'split' is missing"),
        ("sequence,x,target\n0,1,0\n0,2,1\n", "1 sequences without a split are split by fifths"),
        ("sequence,split,x,target\n0,0,1,1\n1,1,1,1\n2,2,1,1\n", "all targets are the same"),
        ("sequence,split,x,target\n0,0,1,1\n0,0,1,\n1,1,1,2\n2,2,1,3\n", "row 2: 'target' is missing or NaN; give a"),
        ("sequence,split,x,target\n0,0,1,1\n1,1,1,inf\n2,2,1,3\n", "row 2: 'target' is inf"),
        ("sequence,split,x,target_a,target_b\n0,0,1,1,2\n1,1,1,3,\n2,2,1,3,4\n", "row 2: 'target_b' is missing"),
        ("sequence,split,x,target_a,target_b\n0,0,1,1,b\n1,1,1,3,a\n2,2,1,3,c\n", "several columns of targets hold te"),
        ("sequence,split,x,target\n0,0,1,9007199254740993\n1,1,1,3\n2,2,1,3\n", "too large for a number; write class"),
        ("sequence,split,x,target\n0,0,1e300,1\n0,0,-1e308,2\n1,1,1,3\n2,2,1,3\n", "'x' has numbers that are too lar"),
        ("sequence,split,x,target\n0,0,2024-01-01,1\n1,1,2024-01-02,3\n2,2,2024-01-03,3\n", "holds dates or times"),
        ("sequence,split,x,target\n0,0,\xff,1\n1,1,1,3\n2,2,1,3\n", "row 1: 'x' is '\\\\xff'"),
        ("\x00\x01\x02\x03", "not CSV as expected: Empty"),
    ],
)  # fmt: skip
def test_a_bad_table_is_one_line(sweep: Command, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(text.encode("latin1"))
    told(sweep(*own(path), small=False), words, tmp_path)


ARRAYS: dict[str, Any] = {
    "inputs": np.arange(12.0).reshape(6, 2),
    "targets": np.array([0, 1, 0, 1, 0, 1]),
    "lengths": np.array([2, 2, 2]),
    "split": np.array(["train", "validation", "test"]),
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lengths": np.array([2, 2, 3])}, "the lengths sum up to 7, but inputs have 6 frames"),
        ({"lengths": np.array([2, 0, 4])}, "lengths[1] is 0"),
        ({"lengths": np.array([2.0, 2, 2])}, "lengths are float64"),
        ({"lengths": np.array([2**62, 2**62, 2**62])}, "the lengths sum up to 13835058055282163712"),
        ({"targets": np.zeros((4, 1))}, "targets are of shape (4, 1); expected (6,)"),
        ({"targets": np.array([0, 1, np.nan, 1, 0, 1])}, "targets[2] is missing or NaN"),
        ({"targets": np.array([[0, 1], [1, np.nan], [0, 1]])}, "targets[1, 1] is missing or NaN"),
        ({"inputs": np.array([["a", "b"]] * 6)}, "inputs are <U1; expected numbers"),
        ({"inputs": np.full((6, 2), np.nan)}, "inputs[0, 0] is missing or NaN"),
        ({"inputs": np.zeros((6, 2), complex)}, "inputs are complex128"),
        ({"inputs": np.zeros((6, 0))}, "inputs are of shape (6, 0)"),
        ({"inputs": np.array([{}] * 6, object)}, "it holds Python objects"),
        ({"split": np.array(["train", "train", "test"])}, "no sequence is in the split 'validation'"),
        ({"split": np.array(["train", "dev", "test"])}, "split[1] is 'dev'"),
        ({"split": np.array(["train"])}, "split is of shape (1,)"),
        ({"inputs": None}, "there is no array 'inputs'"),
        ({"weights": np.zeros(3)}, "the array 'weights' is not one of"),
        ({"time": np.zeros(6)}, "settings.own.time names an array of the time"),
    ],
)
def test_bad_arrays_are_one_line(sweep: Command, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **{name: array for name, array in {**ARRAYS, **change}.items() if array is not None})
    told(sweep(*own(path), small=False), words, tmp_path)


def test_arrays_that_would_fill_the_memory_are_refused_before_they_are_unpacked(
    sweep: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("inputs.npy", "w") as member:
        head = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2)}
        np.lib.format.write_array_header_1_0(member, head)
        member.write(b"\0" * 100)
    said = (
        "the array 'inputs' is said to be of shape (1099511627776, 2) and float64, 17,592,186,044,416 bytes, but there"
    )
    told(sweep(*own(path), small=False), said, tmp_path)
    packed = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    with packed as archive, archive.open("inputs.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (2**24, 10)})
        for _ in range(160):
            member.write(bytes(2**23))
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it is unpacked"))
    told(sweep(*own(path), small=False), "bytes become 1,342,177,408 when they are unpacked, more than data", tmp_path)


def test_a_table_in_pieces_is_the_table_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a column's type is only seen in a later piece, or never in the first ones."""
    import pyarrow.csv

    monkeypatch.setattr(table_file, "PIECE", 200)
    rows = [
        f"s{k // 10},{k},{'' if k < 60 else k},{k if k < 70 else k + 0.5},{k % 2},{'' if k < 90 else 'yes'}"
        for k in range(100)
    ]
    rows += ["s9,1,2,3,true,no"]  # which only a look at the whole of a column can tell
    for last in (100, 101):
        path = tmp_path / f"{last}.csv"
        path.write_text("\n".join(["sequence,a,late,later,bit,target", *rows[:last]]) + "\n", encoding="utf-8")
        found, whole = table_file._read(path).combine_chunks(), pyarrow.csv.read_csv(path).combine_chunks()
        assert found.schema == whole.schema and found.equals(whole)


@pytest.mark.parametrize(
    ("name", "contents", "words"),
    [
        ("x.txt", b"", "own data are a file whose name ends in .npz, .csv, .parquet"),
        ("x.npz", b"PK\x03\x04 cut off", "no .npz file, or a damaged one"),
        ("x.npz", b"", "no .npz file, or a damaged one"),
        ("x.parquet", b"PAR1", "not Parquet as expected"),
        ("x.csv", None, "cannot be read (No such file or directory)"),
    ],
)
def test_what_is_no_such_file_is_one_line(
    sweep: Command, tmp_path: Path, name: str, contents: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if contents is not None:
        path.write_bytes(contents)
    told(sweep(*own(path), small=False), words, tmp_path)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("loss = 'ctc'", "settings.own.loss is 'ctc'; possible: cross_entropy"),
        ("score = 'nuts'", "settings.own.score is 'nuts'; possible with cross_entropy: nats, bits"),
        ("target_position = 'label'", "possible: every_frame, sequence_end"),
        ("time = 'heaat'", "settings.own.time is 'heaat', which is no column"),
        ("time = 'heat'", "'heat' goes back, from"),
        ("looss = 'x'", "unknown key 'settings.own.looss': did you mean loss"),
        ("mask_gaps = 1", "settings.own.mask_gaps is 1; it must be true or false"),
    ],
)
def test_settings_that_do_not_fit_are_one_line(sweep: Command, tmp_path: Path, setting: str, words: str) -> None:
    path = write(table(), tmp_path / "x.csv")
    (tmp_path / "c.toml").write_text(f"[settings.own]\n{setting}\n")
    told(sweep(*own(path, "--config", str(tmp_path / "c.toml")), small=False), words, tmp_path)
