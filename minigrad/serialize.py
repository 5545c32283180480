"""Tensors in a file: safetensors, which holds arrays and text and can hold no code (never pickle)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kernels.device import Array, to_host
from minigrad.tensor import Tensor


def save(
    tensors: Mapping[str, Tensor | Array | float],
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write `tensors` (arrays and numbers too) and `metadata` (text), both by name, to a safetensors file `path`.

    The file is written beside its place, flushed to the disk and renamed: at any moment `path` is the old
    file or the new one, whole. Arrays of a device are copied to the host here.

    Raises:
        TypeError: a name or metadata is not text, or a value is not an array.
        OSError: the disk is full, the folder is missing or may not be written; the old file is intact.
    """
    from safetensors.numpy import save as encode

    arrays = {_text(name, "a tensor's name"): _host(name, value) for name, value in tensors.items()}
    notes = {_text(key, "metadata"): _text(value, "metadata") for key, value in (metadata or {}).items()}
    write_atomically(path, encode(arrays, notes or None))


def load(path: str | os.PathLike[str], device: str = "cpu") -> dict[str, Tensor]:
    """Read the tensors of a safetensors file by name, on `device`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not safetensors, is cut short, or holds a type NumPy does not have.
    """
    with _opened(path) as file:
        return {name: _tensor(path, file.get_tensor(name)).to(device) for name in file.keys()}  # noqa: SIM118


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read only the text stored beside the tensors of a safetensors file; raises what `load` does."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace the file `path` by `content`, or leave it as it was: write beside, flush, rename.

    Raises:
        OSError: as the system gives it; nothing is left behind.
    """
    place = Path(path)
    beside = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _flush_folder(place.parent)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Replace the file `path` by `content` as JSON that people can read, or leave it as it was.

    Raises:
        OSError: as `write_atomically`.
        ValueError: a number is not finite.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def _flush_folder(folder: Path) -> None:
    """Make the renaming itself durable, where the system can open a folder (Windows cannot)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _opened:
    """A safetensors file for reading, its errors put into one line that names the file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __enter__(self) -> Any:
        from safetensors import SafetensorError, safe_open

        if self.path.is_dir():
            raise ValueError(f"{self.path} is a folder; a safetensors file is expected")
        try:
            self.file = safe_open(self.path, framework="numpy")
            return self.file.__enter__()
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.path}: no such file") from None
        except SafetensorError as error:
            raise ValueError(f"{self.path} is not a whole safetensors file: {error}") from None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.file.__exit__(kind, error, trace)
        if isinstance(error, (TypeError, AttributeError)):
            raise ValueError(f"{self.path} holds a type that NumPy does not have: {error}") from None


def _host(name: str, value: Tensor | Array | float) -> np.ndarray:
    data = value.data if isinstance(value, Tensor) else value
    array = to_host(data)
    if array.dtype == object:
        raise TypeError(f"save: {name!r} is {type(value).__name__}, not an array")
    return np.asarray(array, order="C")


def _tensor(path: str | os.PathLike[str], array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "biuf":  # bfloat16 and its like, where another library has taught NumPy them
        raise ValueError(f"{path} holds a type that NumPy does not have: {array.dtype}")
    return Tensor(array)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"save: {what} must be text, got {type(value).__name__} {value!r}")
    return value
