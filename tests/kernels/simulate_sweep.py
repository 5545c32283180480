"""Prints, as JSON, how the CUDA kernels fare against the definition in Numba's simulator."""

from __future__ import annotations

import json
import sys
import warnings

import simulated

simulated.prepare()

import numpy as np  # noqa: E402
import standin  # noqa: E402

import kernels  # noqa: E402
from kernels import device  # noqa: E402
from kernels.cases import Case, cases  # noqa: E402
from kernels.cuda import launches  # noqa: E402
from kernels.verify import check_case, find  # noqa: E402

LARGEST = 3000
"""More entries in an array than this take the simulator too long."""


def sweep(op: str) -> dict:
    implementation = find(op, "cuda")[0]
    failures, worst, checked = [], 0.0, 0
    for case in cases(op, "float32"):
        if max(a.size for a in case.arrays.values() if a is not None) > LARGEST:
            continue
        lines, share = check_case(implementation, case)
        failures += [f"{case.label} {dict(case.settings)}: {line}" for line in lines]
        worst, checked = max(worst, share), checked + 1
    return {"checked": checked, "failures": failures, "worst": worst}


def convolution_cases(inputs: int, outputs: int):
    """One odd problem for the three kernels of a convolution."""
    random = np.random.default_rng(1)
    x, w, gy = (
        random.normal(size=s).astype(np.float32)
        for s in ((2, inputs, 7, 9), (outputs, inputs, 3, 2), (2, outputs, 5, 5))
    )
    settings = {"stride": (2, 2), "padding": (2, 1)}
    yield "conv2d", Case("", {"x": x, "w": w, "b": w[:, 0, 0, 0].copy()}, settings | {"activation": "leaky_relu"})
    yield "conv2d_grad_input", Case("", {"gy": gy, "w": w}, settings | {"input_shape": x.shape})
    yield "conv2d_grad_weight", Case("", {"gy": gy, "x": x}, settings | {"weight_shape": w.shape})


def full_size_tiles() -> dict:
    """The tiles as they are on a device: blocks of 128 and of 64 threads."""
    found = {}
    for channels in ((17, 18), (5, 3)):
        for op, case in convolution_cases(*channels):
            lines, _ = check_case(find(op, "cuda")[0], case)
            found[f"{op} {channels}"] = lines
    return found


def crossings() -> dict:
    """Copies between host and device while every operation runs once, and who served them."""
    arrays = [
        (op, next(c for c in cases(op, "float32") if "NHWC" in c.label)) for op in kernels.OPERATIONS if op != "matmul"
    ]
    moved = [
        (op, [None if a is None else device.to_device(a, "cuda") for a in case.arrays.values()], case.settings)
        for op, case in arrays
    ]
    before = dict(device.transfers), dict(standin.cupy._crossings.counts)
    with kernels.use("cuda"), standin.cupy._crossings.forbid_implicit():
        for op, given, settings in moved:
            getattr(kernels, op)(*given, **settings)
    after = dict(device.transfers), dict(standin.cupy._crossings.counts)
    return {"none": before == after, "served": kernels.served()}


def edges() -> list:
    """y of a 1x1 convolution of infinities, zeros and NaN, by activation."""
    values = np.array([-np.inf, -1.0, -0.0, 0.0, 2.0, np.inf, np.nan], np.float32).reshape(1, 1, 1, -1)
    x, one = device.to_device(values, "cuda"), device.to_device(np.ones((1, 1, 1, 1), np.float32), "cuda")
    found = []
    with kernels.use("cuda"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the simulator's NumPy tells of every NaN
        for activation in ("relu", "leaky_relu", None):
            y = kernels.conv2d(x, one, stride=1, padding=0, activation=activation)
            found.append([repr(float(v)) for v in device.to_host(y).ravel()])
    return found


def main() -> None:
    warnings.simplefilter("error")
    with simulated.small_blocks():
        report = {"sweep": {op: sweep(op) for op in kernels.OPERATIONS if op != "matmul"}}
        report |= {"crossings": crossings(), "edges": edges()}
    report |= {"full size": full_size_tiles(), "launches": launches}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
