"""Every reader of the project, put to damaged files in a process that may take little memory and little time.

    python tests/fuzz/readers.py NAME --count 200 --seed 0

prints, as JSON, how many files were tried and refused, and each that was answered by anything but one line.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mutations import damaged, with_header

sys.path.insert(0, str(Path(__file__).parents[1] / "infogan"))

import made_runs
from PIL import Image
from scipy.io import savemat

import infogan
import minigrad as mg
from infogan import checkpoints, config, data, figures
from infogan.errors import InputError
from infogan.evaluation import written
from infogan.experiments import common
from infogan.explore import pictures
from infogan.explore.explorer import Explorer
from infogan.report import page
from infogan.report.facts import STAGES, Facts, command
from infogan.run import parse_codes
from kernels.bench import compare, results
from kernels.registry import KernelError

MEMORY = 512 << 20
"""Bytes of address space that reading a file of a few kilobytes may add."""
SECONDS = 10

REFUSALS = (InputError, KernelError)


@dataclass(frozen=True)
class Reader:
    """`make` writes valid files into an empty folder and tells the one to damage; `read` reads them."""

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    damage: Callable[[bytes, np.random.Generator], bytes] = damaged
    refusals: tuple[type[Exception], ...] = REFUSALS


def images(count: int = 12, side: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side), np.uint8)


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


packed = partial(gzip.compress, mtime=0)
"""The same bytes at any time of day."""


def idx_folder(damage: str, pack: Callable[[bytes], bytes] = bytes, end: str = "") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / f"train-images-idx3-ubyte{end}").write_bytes(pack(idx(images())))
        (folder / f"train-labels-idx1-ubyte{end}").write_bytes(pack(idx(np.arange(12, dtype=np.uint8) % 3)))
        return folder / f"train-{damage}-ubyte{end}"

    return make


def npz(save: Callable[..., None]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        save(folder / "a.npz", images=images(), labels=np.arange(12) % 3)
        return folder / "a.npz"

    return make


def svhn(packed: bool) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        X = np.random.default_rng(0).integers(0, 256, (8, 8, 3, 12), np.uint8)
        savemat(folder / "train_32x32.mat", {"X": X, "y": np.arange(12)[:, None] % 10 + 1}, do_compression=packed)
        return folder / "train_32x32.mat"

    return make


def picture_folder(form: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        for number, image in enumerate(images(6, 24)):
            (folder / str(number % 2)).mkdir(exist_ok=True)
            Image.fromarray(image).save(folder / str(number % 2) / f"{number}.{form}")
        return folder / "0" / f"0.{form}"

    return make


def run_folder(damage: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        made_runs.make_run(folder / "run")
        made_runs.write_metrics(folder / "run", [made_runs.line(step) for step in (1, 2, 3)])
        categorical = {"accuracy_hungarian": 0.5, "accuracy_majority": 0.5, "distinct_digits": 2, "classes": [1, 7]}
        continuous = {"residual": 0.2, "property": "slant", "slant": {"rho": 0.9, "effect": 1.2}}
        codes = {"c1": categorical | {"purity": [0.5, 0.9]}, "c2": continuous, "c3": continuous}
        measured = {"step": 7, "codes": {name: {"bound": 1.0, "entropy": 2.3, **code} for name, code in codes.items()},
                    "frechet": {"generated": 9.0, "real": 1.0}}  # fmt: skip
        (folder / "run" / "evaluation.json").write_text(json.dumps(measured))
        return folder / "run" / damage

    return make


def picture(form: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        Image.fromarray(images(1, 24)[0]).save(folder / f"a.{form}")
        return folder / f"a.{form}"

    return make


def weights(folder: Path) -> Path:
    mg.save({"a": mg.arange(12.0), "b": mg.zeros(2, 3)}, folder / "a.safetensors", {"note": "made"})
    return folder / "a.safetensors"


def experiment_result(folder: Path) -> Path:
    return common.write(_plan(folder), {"curves": {}})


def bench_result(folder: Path) -> Path:
    line = results.Line(
        **{"name": "mine", "kind": "kernel", "op": "matmul", "which": "forward", "shape": "5x7x4", "dtype": "float32"},
        **{"threads": 1, "device": "cpu", "layout": "nhwc", "cache": "hot", "flops": 1000, "bytes": 10},
        **{"first_call": 1.0, "rounds": [[0.1, 0.2], [0.1, 0.3]]},
    )
    ceiling = {"device": "cpu", "threads": 1, "dtype": "float32", "flops_per_second": 1e6, "bytes_per_second": 1e9}
    machine = {"processor": "here", "cores": 2, "device": "none"}
    made = results.Results(machine=machine, ceilings=[results.Ceiling(**ceiling, rates={"a": 1e6})], lines=[line])
    results.write(made, folder / "a.json")
    return folder / "a.json"


def compared(path: Path) -> Any:
    read = results.read(path)
    return compare.compare(read, read)


def text(content: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "a.txt").write_text(content)
        return folder / "a.txt"

    return make


def _plan(folder: Path) -> common.Plan:
    return common.Plan("codes", out=folder)


def _words(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")


def _settings(path: Path) -> dict[str, str]:
    return dict(field.partition("=")[::2] for field in _words(path).split())


def _read_run(path: Path) -> Any:
    run = infogan.load(path.parent if path.name != checkpoints.name(7) else path.parents[1])
    return command(*config.read(run.folder))


def _read_curves(path: Path) -> Any:
    return figures.curve_figures(path.parent), Explorer(infogan.load(path.parent)).curves()


def _report(path: Path) -> Any:
    measured = written.read(path.parent)
    return page.render([Facts(infogan.load(path.parent), {}, measured, missing=dict.fromkeys(STAGES, "left out"))])


RUN = run_folder("config.json")
TENSORS = run_folder(f"checkpoints/{checkpoints.name(7)}")

READERS = {
    "idx": Reader(idx_folder("images-idx3"), lambda path: data.load(str(path.parent))),
    "idx labels": Reader(idx_folder("labels-idx1"), lambda path: data.load(str(path.parent))),
    "idx.gz": Reader(idx_folder("images-idx3", packed, ".gz"), lambda path: data.load(str(path.parent))),
    "npz": Reader(npz(np.savez), lambda path: data.load(str(path))),
    "npz packed": Reader(npz(np.savez_compressed), lambda path: data.load(str(path))),
    "svhn": Reader(svhn(False), lambda path: data.load(str(path.parent))),
    "svhn packed": Reader(svhn(True), lambda path: data.load(str(path.parent))),
    **{f"folder of {form}": Reader(picture_folder(form), lambda path: data.load(str(path.parents[1])))
       for form in ("png", "jpg", "tiff", "ppm")},
    "config.json": Reader(RUN, _read_run, refusals=(*REFUSALS, MemoryError)),  # the command says that in one line
    "checkpoint": Reader(TENSORS, _read_run),
    "checkpoint header": Reader(TENSORS, _read_run, with_header),
    "metrics.jsonl": Reader(run_folder("metrics.jsonl"), _read_curves),
    "evaluation.json": Reader(run_folder("evaluation.json"), _report),
    "weights": Reader(weights, mg.load, refusals=(ValueError,)),
    "weights header": Reader(weights, mg.load, with_header, (ValueError,)),
    "result.json": Reader(experiment_result, lambda path: common.begun(_plan(path.parent))),
    "bench.json": Reader(bench_result, compared),
    "codes": Reader(text("cat:10,2xuniform:-1:1,normal"), lambda path: config.make({"codes": _words(path)})),
    "--set": Reader(text("steps=3 batch_size=8 codes=cat:3 learning_rate_d=0.1 generator_channels=8,4 noise=5"),
                    lambda path: config.make(_settings(path))),
    "generate --set": Reader(text("c1=3,c2=-0.5"), lambda path: parse_codes(_words(path))),
    **{form: Reader(picture(form), lambda path: pictures.take(path.read_bytes(), 1, 28))
       for form in ("png", "jpeg", "gif", "bmp", "webp")},
}  # fmt: skip


class Hang(BaseException):
    """A file took longer than `SECONDS`."""


def _hang(*_: Any) -> None:
    raise Hang


def put_to(reader: Reader, folder: Path, count: int, seed: int) -> dict[str, Any]:
    """`count` damaged files read one after the other; every answer that is neither a value nor one line."""
    target = reader.make(folder)
    content = target.read_bytes()
    reader.read(target)
    found: dict[str, Any] = {"tried": 0, "refused": 0, "wrong": []}
    for number in range(count):
        target.write_bytes(reader.damage(content, np.random.default_rng([seed, number])))
        found["tried"] += 1
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            reader.read(target)
        except reader.refusals as error:
            found["refused"] += 1
            if "\n" in str(error) or len(str(error)) > 2000:
                found["wrong"].append({"number": number, "error": f"no short line: {str(error)[:300]}"})
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            where = traceback.extract_tb(error.__traceback__)[-1]
            told = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
            found["wrong"].append({"number": number, "error": told[:300]})
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return found


def limit_memory() -> None:
    """Give this process `MEMORY` more address space than it has now, and no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help=", ".join(READERS))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("error")
    signal.signal(signal.SIGALRM, _hang)
    told = sys.stderr
    limit_memory()
    found = {}
    for name in given.names or READERS:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            sys.stderr = io.StringIO()  # lines on damaged checkpoints
            try:
                found[name] = put_to(READERS[name], Path(folder), given.count, given.seed)
            finally:
                sys.stderr = told
        found[name]["seconds"] = round(time.perf_counter() - began, 2)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
