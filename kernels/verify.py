"""Hold an implementation against the definition, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernels import device
from kernels.cases import Case, cases
from kernels.registry import Implementation, KernelError, Spec, implementations
from kernels.tolerance import Expected, allowed, expected

IN_PLACE = {"adam_step": ("p", "m", "v")}


@dataclass
class Report:
    """What came out: cases passed, cases outside the implementation's limits, and the failures."""

    op: str
    name: str
    passed: int = 0
    skipped: int = 0
    worst: float = 0.0
    """The largest error found, as a share of what is allowed."""
    failures: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether something was checked and nothing failed."""
        return self.passed > 0 and not self.failures

    def __str__(self) -> str:
        if self.failures:
            head = f"{self.op} {self.name}: FAILED {len(self.failures)} of {self.passed + len(self.failures)}"
            return "\n  ".join([head, *self.failures[:3]])
        if not self.passed:
            return (
                f"{self.op} {self.name}: FAILED: nothing was checked, all {self.skipped} cases are outside its limits"
            )
        skipped = f", {self.skipped} outside its limits" if self.skipped else ""
        return f"{self.op} {self.name}: ok, {self.passed} cases{skipped}, largest error {self.worst:.0%} of the allowed"


def _describe(case: Case) -> str:
    shapes = ", ".join(f"{n} {'None' if a is None else a.shape}" for n, a in case.arrays.items())
    settings = ", ".join(f"{k}={v}" for k, v in case.settings.items())
    return f"{shapes}; {settings}; {case.label}" if settings else f"{shapes}; {case.label}"


def spec_of(op: str, case: Case, dtype: str, where: str) -> Spec:
    """What `case` asks of an implementation."""
    shapes = {n: a.shape for n, a in case.arrays.items() if a is not None}
    settings = dict(case.settings)
    for argument, name in (("input_shape", "x"), ("weight_shape", "w")):
        if argument in settings:
            shapes[name] = settings.pop(argument)
    return Spec(op, where, np.dtype(dtype), shapes, settings)


def compare(
    wanted: Expected, got: Any, dtype: np.dtype, rtol: float | None = None, atol: float | None = None
) -> tuple[str, float]:
    """A line about the worst entry if it is not within what is allowed, and the error's share of that."""
    if not device.is_array(got):
        return f"{wanted.name} is {type(got).__name__}, not an array", np.inf
    got = device.to_host(got)
    if got.shape != wanted.value.shape or got.dtype != dtype:
        return f"{wanted.name} is {got.shape} {got.dtype}, not {wanted.value.shape} {dtype}", np.inf
    if not got.size:
        return "", 0.0
    limit = allowed(wanted, dtype, rtol=rtol, atol=atol)
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(np.float64) - wanted.value)
        share = np.where(error <= limit, error / np.maximum(limit, 1e-300), np.inf)
        badness = np.nan_to_num(np.where(error <= limit, 0, error - limit), nan=np.inf)
    wrong = np.isinf(share)
    if not wrong.any():
        return "", float(share.max())
    at = tuple(int(i) for i in np.unravel_index(np.argmax(badness), got.shape))
    return (
        f"{wanted.name}{list(at)} of shape {got.shape} is {got[at]!r}, expected {wanted.value[at]:.9g} "
        f"within {limit[at]:.2g}; {int(wrong.sum())} of {got.size} entries are wrong",
        np.inf,
    )


def check_case(
    implementation: Implementation,
    case: Case,
    *,
    rtol: float | None = None,
    atol: float | None = None,
) -> tuple[list[str], float]:
    """The failures of one call (none: it passed) and its largest error as a share of the allowed.

    An operation that works in place changes the arrays of `case`.
    """
    op = implementation.op
    in_place = IN_PLACE.get(op, ())
    wanted = expected(op, case)
    before = {n: None if a is None else a.copy() for n, a in case.arrays.items()}
    arrays = {n: None if a is None else device.to_device(a, implementation.device) for n, a in case.arrays.items()}
    try:
        results = implementation.function()(*arrays.values(), **case.settings)
    except Exception as error:
        return [f"raised {type(error).__name__}: {error}"], np.inf
    if in_place:
        results = tuple(arrays[n] for n in in_place)
    elif not isinstance(results, tuple):
        results = (results,)
    if len(results) != len(wanted):
        return [f"returned {len(results)} results, not {len(wanted)}"], np.inf
    dtype = next(a.dtype for a in case.arrays.values() if a is not None)
    entries = [compare(w, r, dtype, rtol, atol) for w, r in zip(wanted, results, strict=True)]
    lines = [line for line, _ in entries if line]
    for name, old in before.items():
        if old is not None and name not in in_place and not np.array_equal(device.to_host(arrays[name]), old):
            lines.append(f"the argument {name} was written to")
    return lines, max(share for _, share in entries)


def verify(implementation: Implementation, *, rtol: float | None = None, atol: float | None = None) -> Report:
    """Check an implementation on the whole sweep in each of its dtypes."""
    report = Report(implementation.op, implementation.name)
    if (module := implementation.missing()) is not None:
        raise KernelError(f"{implementation.op} {implementation.name}: needs {module}, which is not installed")
    for dtype in implementation.dtypes or ("float32", "float64"):
        for case in cases(implementation.op, dtype):
            spec = spec_of(implementation.op, case, dtype, implementation.device)
            if implementation.objection(spec) is not None:
                report.skipped += 1
                continue
            lines, share = check_case(implementation, case, rtol=rtol, atol=atol)
            if lines:
                report.failures += [f"{dtype} {_describe(case)}: {line}" for line in lines]
            else:
                report.passed += 1
                report.worst = max(report.worst, share)
    return report


def find(op: str, name: str | None = None) -> list[Implementation]:
    """The implementations of `op` that can run here, or the one called `name`."""
    found = [i for i in implementations(op) if name is None or i.name == name]
    if not found:
        names = ", ".join(dict.fromkeys(i.name for i in implementations(op)))
        raise KernelError(f"{op} has no kernel {name!r}: there are {names}")
    return [i for i in found if device.is_available(i.device) and (name is not None or i.missing() is None)]
