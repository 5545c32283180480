"""A table of what is known of pictures: a CSV file with a row a picture and a column an attribute.

Nothing of it takes part in training or in any choice: it is held beside what Q reads.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from infogan.data import Dataset
from infogan.errors import InputError

FILE = "file"
"""The column of the pictures' file names; any other name will do for the first column if it holds such names."""


def read(path: str | Path, data: Dataset) -> dict[str, np.ndarray]:
    """The columns of a CSV file in the order of the pictures of `data`: (N,) floats, or words.

    Where `data` have file names, the column `file`, or else the first one, says which picture a row is about, by
    its name in the folder or by its last part; pictures without a row are NaN or "", and rows without a picture are
    left out. Other data need a row a picture, in order. A column is numbers if every entry that is not empty is
    one. Raises `InputError` where the file is no such table, no row fits, or two are about one picture.
    """
    header, rows = _table(Path(path))
    if data.names is None:
        if len(rows) != len(data):
            raise InputError(f"{path}: has {len(rows):,} rows for {len(data):,} pictures: one each, in order, is right")
        places = np.arange(len(data))
    else:
        at = header.index(FILE) if FILE in header else 0
        places = _places(Path(path), [row[at] for row in rows], data.names)
        header = [*header[:at], *header[at + 1 :]]
        rows = [[*row[:at], *row[at + 1 :]] for row in rows]
    return {name: _column([row[k] for row in rows], places, len(data)) for k, name in enumerate(header)}


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is no CSV file in UTF-8 ({error})") from None
    if len(lines) < 2:
        raise InputError(f"{path}: has no rows: a line of names, then a line a picture is right")
    header, rows = lines[0], lines[1:]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise InputError(f"{path}: row {number} has {len(row)} entries, the line of names has {len(header)}")
    if len(set(header)) < len(header) or "" in header:
        raise InputError(f"{path}: every column needs a name of its own, not {', '.join(header)}")
    return header, rows


def _places(path: Path, given: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Which picture each row is about, −1 for one that is not there."""
    by_name = {name: place for place, name in enumerate(names)}
    last: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        last.setdefault(PurePosixPath(name).name, []).append(place)
    found = np.full(len(given), -1)
    for row, name in enumerate(given):
        known = [by_name[name]] if name in by_name else last.get(name, [])
        if len(known) > 1:
            raise InputError(f"{path}: {name!r} is the name of several pictures, such as {names[known[0]]!r}")
        found[row] = known[0] if known else -1
    places, times = np.unique(found[found >= 0], return_counts=True)
    if not len(places):
        raise InputError(f"{path}: none of its rows is about a picture that is there: right would be {names[0]!r}")
    if (times > 1).any():
        raise InputError(f"{path}: more than one row is about {names[places[times > 1][0]]!r}")
    return found


def _column(cells: Sequence[str], places: np.ndarray, count: int) -> np.ndarray:
    try:
        values: np.ndarray = np.array([float(cell) if cell else np.nan for cell in cells])
        column = np.full(count, np.nan)
    except ValueError:
        values = np.array(cells)
        column = np.full(count, "", dtype=values.dtype)
    column[places[places >= 0]] = values[places >= 0]
    return column
