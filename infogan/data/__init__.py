"""Data sets: real digits at once, or the user's own files, read with distrust."""

from __future__ import annotations

from pathlib import Path

from infogan.data import folder, idx, mnist5k, npz
from infogan.data.dataset import Dataset, Frame, Split, check_split
from infogan.errors import InputError

__all__ = ["Dataset", "Frame", "Split", "has_test", "load"]


def load(spec: str, *, split: str = "train", frame: Frame = Frame()) -> Dataset:
    """The pictures that `spec` names, as float32 (N, C, H, W) in [0, 1].

    `spec` is `"mnist-5k"`, a folder of IDX files with MNIST's names (raw or gzip), an `.npz` with `images` and
    optional `labels`, a folder of pictures (subfolders are labels), or one picture's file; pictures' files are
    brought to `frame`. `split` is `"train"`, `"held_out"` (one picture in five, at most 10,000, a fixed and
    class-balanced choice that `"train"` leaves out), `"test"` (a folder's `t10k-*` files) or `"all"` (train and
    held-out pictures in the order of the files).
    Raises `InputError`, in one line, where the files are not as they should be.
    """
    part = check_split(split)
    if spec == mnist5k.NAME:
        return mnist5k.read_mnist_5k(part)
    path = _path(spec)
    if path.is_dir():
        if not _holds_idx(path) and folder.holds_pictures(path):
            return folder.read_folder(path, part, frame)
        return idx.read_folder(path, part)
    if path.is_file() and path.suffix == ".npz":
        return npz.read_npz(path, part)
    if path.is_file() and folder.is_picture(path):
        return folder.read_one(path, part, frame)
    wrong = "is of no known kind" if path.exists() else "does not exist"
    raise InputError(f"data {spec!r} {wrong}: use 'mnist-5k', a folder of IDX files or pictures, or an .npz")


def has_test(spec: str) -> bool:
    """Whether the data that `spec` names come with test pictures of their own."""
    return spec != mnist5k.NAME and idx.holds_idx(_path(spec), "t10k")


def _holds_idx(path: Path) -> bool:
    return any(idx.holds_idx(path, part) for part in ("train", "t10k"))


def _path(spec: str) -> Path:
    path = Path(spec).expanduser()
    try:
        path.exists()
    except OSError as error:  # such as a name too long
        raise InputError(f"data {spec!r} is no path ({error.strerror})") from None
    return path
