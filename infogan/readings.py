"""What Q reads in many pictures, and files of it: a row a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from infogan.codes import Code
from infogan.data import Dataset
from infogan.errors import InputError
from infogan.progress import slow
from infogan.run import BATCH, Run
from minigrad import serialize


def read(run: Run, images: np.ndarray) -> dict[str, np.ndarray]:
    """`run.encode` of pictures (N, C, H, W), with a bar where it takes long.

    By code: probabilities (N, K), or mean and deviation (N, 2), float64.
    """
    starts = slow(range(0, len(images), BATCH), "reading codes", " batches")
    parts = [run.encode(images[at : at + BATCH]) for at in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in run.code.names}


def write(found: dict[str, np.ndarray], code: Code, data: Dataset, out: str | Path) -> Path:
    """Write what `read` found in the pictures of `data`.

    `*.csv`: `file` (without files the `picture`'s number from 0), then for a categorical code c1 the most probable
    category under `c1` and each one's probability under `c1_p0`, `c1_p1`, …, for a continuous one `c2_mean` and
    `c2_deviation`. `*.npz`: arrays under the names of the codes as `read` gives them, and `names` where there are
    files. Raises `InputError` for another ending, or where `out` cannot be written.
    """
    out = Path(out)
    if out.suffix not in (".csv", ".npz"):
        raise InputError(f"--out {out}: give a name that ends in .csv or .npz")
    try:
        serialize.write_atomically(out, _csv(found, code, data) if out.suffix == ".csv" else _npz(found, data))
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror or error})") from None
    return out


def _csv(found: dict[str, np.ndarray], code: Code, data: Dataset) -> bytes:
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    columns = list(_columns(found, code))
    rows.writerow(["picture" if data.names is None else "file", *(name for name, _ in columns)])
    names = data.names or range(len(data))
    rows.writerows(zip(names, *(values for _, values in columns), strict=True))
    return text.getvalue().encode()


def _columns(found: dict[str, np.ndarray], code: Code) -> Iterator[tuple[str, list[str]]]:
    for name, values in found.items():
        if code[name].discrete:
            yield name, [str(k) for k in values.argmax(axis=1)]
            for k, column in enumerate(values.T):
                yield f"{name}_p{k}", [f"{p:.6g}" for p in column]
        else:
            for word, column in zip(("mean", "deviation"), values.T, strict=True):
                yield f"{name}_{word}", [f"{v:.6g}" for v in column]


def _npz(found: dict[str, np.ndarray], data: Dataset) -> bytes:
    buffer = io.BytesIO()
    named = {} if data.names is None else {"names": np.array(data.names)}
    np.savez_compressed(buffer, allow_pickle=False, **named, **found)
    return buffer.getvalue()
