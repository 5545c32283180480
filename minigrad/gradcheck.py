"""Check gradients against difference quotients: of functions of tensors, of modules, of plain array functions.

The Jacobian J of a function is found twice: row by row from its backward pass, column by column from
central difference quotients. In `fast_mode` only products u^T J v with random u and v are compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernels import device
from minigrad.diagnosis import missing_unbroadcast, pattern
from minigrad.problems import ArrayProblem, FirstDerivative, Problem, TensorProblem, as_tuple, floating, like
from minigrad.quotients import Line, balanced_step, quotient, rounding
from minigrad.tape import Primitive
from minigrad.tensor import Tensor

_DIRECTIONS = 4  # random directions an input in fast mode, and probes of the step in float32
_KINKS = ("warn", "raise", "ignore")


class GradcheckError(AssertionError):
    """The gradient is wrong; the text says where, by how much and which mistake it looks like."""


class KinkWarning(UserWarning):
    """Left and right derivative differ at some entries, where only an interval could be checked."""


@dataclass
class Failure:
    """One input whose gradient is wrong: its worst entry, how many are wrong, and what it looks like."""

    input: str
    text: str

    def __str__(self) -> str:
        return f"{self.input}: {self.text}"


@dataclass
class Tolerances:
    """The numbers in force for one input: step `eps`, and |analytic - numerical| <= atol + rtol |numerical|."""

    dtype: str
    eps: float
    atol: float
    rtol: float
    measured: bool = False
    """Whether atol is what rounding costs at eps."""

    def __str__(self) -> str:
        return f"eps {self.eps:.3g}, atol {self.atol:.3g}, rtol {self.rtol:.3g} ({self.dtype})"


@dataclass
class Report:
    """What a check found. True where every entry agrees; printing it shows the values used."""

    operation: str
    tolerances: dict[str, Tolerances] = field(default_factory=dict)
    entries: int = 0
    kinks: int = 0
    worst: float = 0.0
    """Largest |analytic - numerical| of an input, relative to the largest entry of its Jacobian."""
    skipped: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.failures

    def __str__(self) -> str:
        lines = [f"gradcheck of {self.operation}: {'ok' if self else 'FAILED'}"]
        lines += [f"  {failure}" for failure in self.failures]
        lines += [f"  checked {name} with {used}" for name, used in self.tolerances.items()]
        lines.append(f"  {self.entries} entries, {self.kinks} kinks, worst relative error {self.worst:.3g}")
        lines += [f"  skipped: {what}" for what in self.skipped]
        return "\n".join(lines)


@dataclass
class _Options:
    eps: float | None
    atol: float | None
    rtol: float | None
    raise_exception: bool
    nondet_tol: float
    fast_mode: bool
    kinks: str

    def __post_init__(self) -> None:
        if self.kinks not in _KINKS:
            raise ValueError(f"gradcheck: kinks={self.kinks!r}: choose 'warn', 'raise' or 'ignore'")


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
    kinks: str = "warn",
) -> Report:
    """Compare the gradient of `func(*inputs)` with difference quotients, entry by entry.

    An entry passes if |analytic - numerical| <= atol + rtol |numerical|.

    func: a function of tensors returning a tensor or a tuple of them, or a Module; a Module's parameters
        are checked too, by name. Its buffers and the random state are put back before each call. Outputs
        that are integers or detached are skipped and listed.
    inputs: a tensor or a tuple; floating tensors that require a gradient are checked, the rest passed on.
    eps, atol, rtol: by default PyTorch's 1e-6, 1e-5, 1e-3 for float64. Where a float32 takes part, eps
        balances the measured rounding of `func` against the truncation of the quotient, and atol is ten
        times the error so found. The report holds the values used.
    raise_exception: raise `GradcheckError` at a wrong gradient; otherwise return a report that is false.
    nondet_tol: how far two runs with the same inputs may differ.
    fast_mode: compare four random products u^T J v an input instead of every entry.
    kinks: where left and right quotient disagree an entry passes if the gradient lies between them.
        Such entries are counted; "warn", "raise" or "ignore" says what happens if there are any.

    Raises `ValueError` where there is nothing to check: no input or no output that requires a gradient.
    The semantics follow `torch.autograd.gradcheck`; kinks and the float32 step are additions.
    """
    options = _Options(eps, atol, rtol, raise_exception, nondet_tol, fast_mode, kinks)
    problem = TensorProblem(func, as_tuple(inputs))
    with problem.restored():
        return _compare(problem, options)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
    kinks: str = "warn",
) -> Report:
    """Check second derivatives: `gradcheck` of (inputs, grad_outputs) -> vector-Jacobian product of `func`.

    `grad_outputs` are the cotangents at which to do so; by default drawn from a standard normal. The
    difference quotients are taken of what plain `backward()` computes and the analytic side is what
    `create_graph=True` computes, so that a fused rule is also held against its `plain` definition.
    Options as in `gradcheck`.
    """
    options = _Options(eps, atol, rtol, raise_exception, nondet_tol, fast_mode, kinks)
    inputs = as_tuple(inputs)
    outer = TensorProblem(func, inputs)
    with outer.restored():
        outputs = outer.outputs()
        if grad_outputs is None:
            draw = np.random.default_rng(0)
            cotangents = [like(draw.standard_normal(y.shape), y) for y in outputs]
        else:
            cotangents = [t.data for t in as_tuple(grad_outputs)]
        first = FirstDerivative(func, outer, inputs)
        cotangents = [Tensor(g, requires_grad=True) for g in cotangents]
        problem = TensorProblem(first, (*inputs, *cotangents), names=first.names(len(cotangents)))
        problem.name = f"the gradient of {outer.name}"
        return _compare(problem, options)


def check_vjp(
    f: Callable[..., Any],
    vjp: Callable[..., Any],
    args: Any,
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
    kinks: str = "warn",
) -> Report:
    """Check a forward and a backward function on plain arrays, whoever wrote them, against each other.

    f(*args) returns an array or a tuple of arrays. vjp(cotangent, *args) returns u^T J: a cotangent for
    each of `args` (or for each floating array among them), alone or in a tuple, `None` where there is
    none; with several outputs `cotangent` is a tuple. Floating arrays are checked, everything else is
    passed on. Options as in `gradcheck`.
    """
    options = _Options(eps, atol, rtol, raise_exception, nondet_tol, fast_mode, kinks)
    return _compare(ArrayProblem(f, vjp, args if isinstance(args, tuple | list) else (args,)), options)


def sample_calls(
    rule: Primitive, *, dtype: str = "float64", seed: int = 0
) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...]]]:
    """What `gradcheck` takes, for each sample of a rule: a function of tensors and its inputs.

    Floating arrays for which the rule has a product become tensors that require a gradient.
    """
    if rule.samples is None:
        raise ValueError(f"rule {rule.name} has no samples to check it at: give @primitive(samples=...)")
    for args, kwargs in rule.samples(np.random.default_rng(seed)):
        given = [a.astype(dtype) if device.is_array(a) and floating(a) else a for a in args]
        inputs = [
            Tensor(a, requires_grad=floating(a) and has_product(rule, i)) if device.is_array(a) else a
            for i, a in enumerate(given)
        ]

        def call(*tensors: Any, settings: dict[str, Any] = kwargs) -> Any:
            return rule(*tensors, **settings)

        call.__name__ = rule.name
        yield call, tuple(inputs)


def has_product(rule: Primitive, i: int) -> bool:
    """Whether argument `i` of `rule` has a vector-Jacobian product."""
    if rule.joint is not None or rule.plain is not None:
        return i < len(rule.arrays)
    if rule.variadic:
        return bool(rule.vjps) and rule.vjps[0] is not None
    return i < len(rule.vjps) and rule.vjps[i] is not None


def _compare(problem: Problem, options: _Options) -> Report:
    centre = [np.array(device.to_host(y)) for y in problem.value()]
    templates = problem.value()
    report = Report(problem.name, skipped=problem.skipped)
    draw = np.random.default_rng(0)
    try:
        _check_determinism(problem, centre, templates, options.nondet_tol, draw)
        rows = _cotangent_rows(centre, options.fast_mode, draw)
        analytic = [_pulled(problem, u, templates) for u in rows]
    except _Wrong as error:
        report.failures.append(Failure(error.where, str(error)))
    else:
        for k, name in enumerate(problem.names):
            used = _tolerances(problem, k, centre, options, draw)
            report.tolerances[name] = used
            table = np.array([row[k] for row in analytic]).reshape(len(rows), problem.values[k].size)
            _check_input(problem, k, centre, rows, table, used, options.fast_mode, draw, report)
    _settle(report, options)
    return report


class _Wrong(Exception):
    """A gradient that is wrong before any number is compared."""

    def __init__(self, where: str, text: str) -> None:
        super().__init__(text)
        self.where = where


def _check_determinism(
    problem: Problem, centre: list[np.ndarray], again: list[Any], tolerance: float, draw: np.random.Generator
) -> None:
    def apart(a: list[np.ndarray], b: list[np.ndarray]) -> float:
        with np.errstate(invalid="ignore"):
            return max((float(np.nanmax(np.abs(p - q), initial=0.0)) for p, q in zip(a, b, strict=True)), default=0.0)

    gap = apart(centre, [device.to_host(y) for y in again])
    if gap > tolerance:
        raise _Wrong("forward pass", f"not deterministic: two runs differ by {gap:.3g}, nondet_tol is {tolerance:.3g}")
    u = draw.standard_normal(sum(y.size for y in centre))
    gap = apart(_pulled(problem, u, again), _pulled(problem, u, again))
    if gap > tolerance:
        raise _Wrong("backward pass", f"not deterministic: two runs differ by {gap:.3g}, nondet_tol is {tolerance:.3g}")


def _cotangent_rows(centre: list[np.ndarray], fast: bool, draw: np.random.Generator) -> np.ndarray:
    size = sum(y.size for y in centre)
    return draw.standard_normal((_DIRECTIONS, size)) if fast else np.eye(size)


def _pulled(problem: Problem, u: np.ndarray, templates: list[Any]) -> list[np.ndarray]:
    """The flat gradients of u . f, each found to have its input's shape, dtype and device."""
    ends = np.cumsum([y.size for y in templates])[:-1]
    parts = [like(part.reshape(y.shape), y) for part, y in zip(np.split(u, ends), templates, strict=True)]
    try:
        found = problem.pull(parts)
    except Exception as error:
        raise _Wrong("backward pass", f"raised {type(error).__name__}: {error}") from error
    flat = []
    for name, x, g in zip(problem.names, problem.values, found, strict=True):
        if g is None:
            flat.append(np.zeros(x.size))
            continue
        g = g if device.is_array(g) else np.asarray(g)
        if device.device_of(g) != device.device_of(x):
            raise _Wrong(name, f"the gradient is on {device.device_of(g)}, the argument on {device.device_of(x)}")
        if g.shape != x.shape:
            raise _Wrong(name, missing_unbroadcast(g.shape, x.shape))
        g = device.to_host(g)
        if g.dtype != x.dtype:
            raise _Wrong(name, f"the gradient is {g.dtype}, the argument {x.dtype}")
        flat.append(g.astype(np.float64).ravel())
    return flat


def _line(problem: Problem, k: int, direction: np.ndarray) -> Line:
    """t -> f with input `k` moved by t times `direction`, through the host and back to its device."""
    x = problem.values[k]
    start = device.to_host(x)
    where = device.device_of(x)

    def line(t: float) -> np.ndarray:
        moved = (start + t * direction).astype(start.dtype)
        with np.errstate(all="ignore"):
            results = problem.value(k, device.asarray(moved, where))
        return np.concatenate([np.zeros(0), *(device.to_host(y).astype(np.float64).ravel() for y in results)])

    return line


def _tolerances(
    problem: Problem, k: int, centre: list[np.ndarray], options: _Options, draw: np.random.Generator
) -> Tolerances:
    """The values given, else PyTorch's for float64, else what is measured of the function."""
    x = device.to_host(problem.values[k])
    coarsest = max((a.dtype for a in (x, *centre)), key=lambda t: np.finfo(t).eps)
    rtol = 1e-3 if options.rtol is None else options.rtol
    if coarsest == np.float64 or not x.size or (options.eps is not None and options.atol is not None):
        eps = 1e-6 if options.eps is None else options.eps
        return Tolerances(str(coarsest), eps, 1e-5 if options.atol is None else options.atol, rtol)
    unit = float(np.finfo(coarsest).eps)
    size = float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) or 1.0
    u = draw.standard_normal(sum(y.size for y in centre))

    def line(direction: np.ndarray) -> Line:
        outputs = _line(problem, k, direction)
        return _projected(outputs, u) if options.fast_mode else outputs

    spread = np.where(draw.random(x.shape) < 0.5, -1.0, 1.0) * (np.abs(x) + 1e-3 * size)
    largest = max((float(np.max(np.abs(y), initial=0.0)) for y in centre), default=0.0)
    noise = float(np.max(rounding(line(spread), 16 * unit), initial=unit * max(largest / 4, unit)))
    probes = [line(_direction(x.shape, options.fast_mode, draw)) for _ in range(_DIRECTIONS)]
    widest = 2.0 ** float(np.round(np.log2(size))) / 4
    steps = widest * 0.5 ** np.arange(12) if options.eps is None else np.array([2 * options.eps, options.eps])
    eps, error = balanced_step(probes, noise, [float(h) for h in steps])
    atol = 10 * error if options.atol is None else options.atol
    return Tolerances(str(coarsest), eps, atol, rtol, measured=options.atol is None)


def _direction(shape: tuple[int, ...], fast: bool, draw: np.random.Generator) -> np.ndarray:
    if fast:
        v = draw.standard_normal(shape)
        return v / max(float(np.sqrt(np.sum(v * v))), 1e-30)
    return _unit(shape, int(draw.integers(int(np.prod(shape)))))


def _unit(shape: tuple[int, ...], i: int) -> np.ndarray:
    e = np.zeros(shape)
    e.reshape(-1)[i] = 1.0
    return e


def _check_input(
    problem: Problem,
    k: int,
    centre: list[np.ndarray],
    rows: np.ndarray,
    table: np.ndarray,
    used: Tolerances,
    fast: bool,
    draw: np.random.Generator,
    report: Report,
) -> None:
    """Compare input `k`: every column of the Jacobian, or in fast mode one random direction a row."""
    shape = problem.values[k].shape
    flat = np.concatenate([np.zeros(0), *(y.astype(np.float64).ravel() for y in centre)])
    if fast:
        directions = [_direction(shape, True, draw) for _ in rows] if table.size else []
        lines = [_projected(_line(problem, k, v), u) for u, v in zip(rows, directions, strict=False)]
        starts = [np.array([u @ flat]) for u in rows]
        analytic = np.array([[a @ v.ravel()] for a, v in zip(table, directions, strict=False)]).reshape(1, -1)
    else:
        lines = [_line(problem, k, _unit(shape, i)) for i in range(table.shape[1])]
        starts = [flat] * len(lines)
        analytic = table
    if not analytic.size:
        return
    found = [
        quotient(line, y, used.eps, used.atol, used.rtol, used.measured) for line, y in zip(lines, starts, strict=False)
    ]
    numerical = np.stack([q.value for q in found], axis=1)
    low, high = np.stack([q.low for q in found], axis=1), np.stack([q.high for q in found], axis=1)
    blur = np.stack([q.blur for q in found], axis=1)
    allowed = used.atol * blur + used.rtol * np.abs(numerical)
    nearest = np.clip(analytic, low, high)
    error = np.abs(analytic - nearest)
    report.entries += analytic.size
    report.kinks += int(sum(q.kink.sum() for q in found))
    scale = float(np.max(np.abs(numerical), initial=0.0)) or 1.0
    report.worst = max(report.worst, float(np.max(error)) / scale)
    wrong = ~(error <= allowed)
    if wrong.any():
        report.failures.append(_describe(problem, k, analytic, numerical, error, allowed, wrong, centre, fast))


def _projected(line: Line, u: np.ndarray) -> Line:
    return lambda t: np.array([u @ line(t)])


def _describe(
    problem: Problem,
    k: int,
    analytic: np.ndarray,
    numerical: np.ndarray,
    error: np.ndarray,
    allowed: np.ndarray,
    wrong: np.ndarray,
    centre: list[np.ndarray],
    fast: bool,
) -> Failure:
    excess = np.where(wrong, np.nan_to_num(error / allowed, nan=np.inf), -1.0)
    row, column = np.unravel_index(int(np.argmax(excess)), wrong.shape)
    shape = problem.values[k].shape
    if fast:
        where = f"random direction {column}"
    else:
        at, output = int(row), 0
        while at >= centre[output].size:
            at, output = at - centre[output].size, output + 1
        index = [int(i) for i in np.unravel_index(column, shape)]
        target = [int(i) for i in np.unravel_index(at, centre[output].shape)]
        where = f"entry {index}, output {output} entry {target}"
    found = pattern(analytic, numerical, None if fast else wrong, shape)
    return Failure(
        problem.names[k],
        f"{where}: analytic {analytic[row, column]:.9g}, numerical {numerical[row, column]:.9g}, "
        f"error {error[row, column]:.3g} (allowed {allowed[row, column]:.3g}); "
        f"{int(wrong.sum())} of {wrong.size} {'directions' if fast else 'entries'} wrong; pattern: {found}",
    )


def _settle(report: Report, options: _Options) -> None:
    if report.kinks and options.kinks == "raise":
        report.failures.append(Failure("kinks", f"{report.kinks} of {report.entries} entries are kinks"))
    if report.failures and options.raise_exception:
        raise GradcheckError(str(report))
    if report.kinks and options.kinks == "warn":
        warnings.warn(
            f"gradcheck of {report.operation}: {report.kinks} of {report.entries} entries are kinks, where only "
            "the interval between left and right derivative was checked",
            KinkWarning,
            stacklevel=3,
        )
