"""Data sets: real digits at once, or the user's own files, read with distrust."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from infogan.data import folder, idx, known, mnist5k, npz, sprites, svhn
from infogan.data.dataset import Dataset, Frame, Split, check_split
from infogan.errors import InputError

__all__ = ["Dataset", "Frame", "Split", "has_test", "is_name", "load"]


def load(spec: str, *, split: str = "train", frame: Frame = Frame()) -> Dataset:
    """The pictures that `spec` names, as float32 (N, C, H, W) in [0, 1].

    `spec` is `"mnist-5k"`, `"sprites"` or `"sprites:SIDE"`, a name in `known.SETS`, a folder of IDX files with MNIST's
    names (raw or gzip) or of SVHN's, an `.npz` with `images` and optional `labels`, an SVHN `.mat`, a folder of
    pictures (subfolders are labels), or one picture's file; pictures' files are brought to `frame`. `split` is
    `"train"`, `"held_out"` (one picture in five, at most 10,000, a fixed and class-balanced choice that `"train"`
    leaves out) `"test"` (a folder's files of test pictures) or `"all"` (train and held-out pictures in the order of
    the files).
    Raises `InputError`, in one line, where the files are not as they should be.
    """
    part = check_split(split)
    if spec == mnist5k.NAME:
        return mnist5k.read_mnist_5k(part)
    if sprites.is_sprites(spec):
        return sprites.read_sprites(spec, part)
    if spec in known.SETS:
        own = known.SETS[spec].frame
        framed = Frame(frame.size or own.size, frame.channels or own.channels, frame.fit)
        return replace(_read(_of_name(spec), part, framed), name=spec)
    return _read(_path(spec), part, frame)


def is_name(spec: str) -> bool:
    """Whether `spec` is a data set's name rather than a path."""
    return spec == mnist5k.NAME or sprites.is_sprites(spec) or spec in known.SETS


def has_test(spec: str) -> bool:
    """Whether the data that `spec` names come with test pictures of their own."""
    if is_name(spec) and spec not in known.SETS:
        return False
    path = _of_name(spec) if spec in known.SETS else _path(spec)
    return idx.holds_idx(path, "t10k") or svhn.holds_svhn(path, "test")


def _read(path: Path, part: Split, frame: Frame) -> Dataset:
    if path.is_dir():
        return _read_folder(path, part, frame)
    if path.is_file() and path.suffix == ".npz":
        return npz.read_npz(path, part)
    if path.is_file() and path.suffix == ".mat":
        return svhn.read_mat(path, part)
    if path.is_file() and folder.is_picture(path):
        return folder.read_one(path, part, frame)
    wrong = "is of no known kind" if path.exists() else "does not exist"
    raise InputError(
        f"data {str(path)!r} {wrong}: use 'mnist-5k' or another name (infogan data list), a folder of IDX files or "
        "pictures, or an .npz"
    )


def _read_folder(path: Path, part: Split, frame: Frame) -> Dataset:
    if any(svhn.holds_svhn(path, of) for of in ("train", "test")):
        return svhn.read_folder(path, part)
    if not any(idx.holds_idx(path, of) for of in ("train", "t10k")) and folder.holds_pictures(path):
        return folder.read_folder(path, part, frame)
    return idx.read_folder(path, part)


def _of_name(name: str) -> Path:
    """Where a known set lies: its folder, or an `.npz` of its name in there."""
    path = known.folder_of(name)
    return archive if (archive := path / f"{name}.npz").is_file() else path


def _path(spec: str) -> Path:
    path = Path(spec).expanduser()
    try:
        path.exists()
    except OSError as error:  # such as a name too long
        raise InputError(f"data {spec!r} is no path ({error.strerror})") from None
    return path
