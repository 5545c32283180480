"""Error over the step: one check at many steps, which tells truncation, rounding and a wrong rule apart.

A central quotient is off by c h^2 (truncation) and by about eps / h (rounding of the function's values): on
logarithmic axes a V, whose valley is the best step. A wrong rule is off by the same amount at every step.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad import serialize
from minigrad.gradcheck import Report

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_EXACT = 1e-17
"""Where an error of 0 is drawn."""


@dataclass
class StepCurve:
    """Worst relative error of a check at each step, and what the check says at the steps it takes by itself.

    `errors` are as `Report.worst`, of pure central quotients: `None` where the function is not finite.
    `chosen` are the checker's own steps, one or more as its inputs ask for, and stand among `steps`.
    """

    steps: list[float] = field(default_factory=list)
    errors: list[float | None] = field(default_factory=list)
    chosen: list[float] = field(default_factory=list)
    valley: tuple[float, float] | None = None
    """The step with the smallest error, and that error."""
    unit: float = 0.0
    """eps of the coarsest dtype that takes part."""
    worst: float | None = None
    kinks: int = 0
    verdict: str = "ok"
    detail: str = ""


def step_curve(checker: Callable[..., Report], *problems: tuple[Any, ...], fast_mode: bool = False) -> StepCurve:
    """Run a check at steps from 1 down to ten times eps, in half decades, and once as it runs by itself.

    checker: `gradcheck`, `gradgradcheck` or `check_vjp`.
    problems: what it takes, a tuple each: `(mg.tanh, x)` or `(f, vjp, args)`. The worst of them counts.
    fast_mode: random directions instead of every entry, as in `gradcheck`.

    At an infinite `atol` the checker doubts no quotient: each error is that of the step alone.
    """
    reports = [checker(*p, raise_exception=False, fast_mode=fast_mode, kinks="ignore") for p in problems]
    used = [tolerances for report in reports for tolerances in report.tolerances.values()]
    curve = StepCurve(worst=max(r.worst for r in reports), kinks=sum(r.kinks for r in reports))
    if wrong := [report for report in reports if not report]:
        curve.verdict, curve.detail = "WRONG", str(wrong[0])
    if not used:
        return curve
    curve.unit = max(float(np.finfo(tolerances.dtype).eps) for tolerances in used)
    curve.chosen = sorted({tolerances.eps for tolerances in used}, reverse=True)
    grid = {float(f"{10 ** (-k / 2):.4g}") for k in range(int(-2 * np.log10(10 * curve.unit)) + 1)}
    curve.steps = sorted(grid | set(curve.chosen), reverse=True)
    curve.errors = [_error(checker, problems, h, fast_mode) for h in curve.steps]
    finite = [(error, h) for h, error in zip(curve.steps, curve.errors, strict=True) if error is not None]
    curve.valley = min(finite)[::-1] if finite else None
    return curve


def _error(
    checker: Callable[..., Report], problems: tuple[tuple[Any, ...], ...], step: float, fast_mode: bool
) -> float | None:
    worst = 0.0
    with np.errstate(all="ignore"):  # a step may leave the function's domain
        for p in problems:
            report = checker(*p, eps=step, atol=np.inf, raise_exception=False, fast_mode=fast_mode, kinks="ignore")
            if not report:
                return None
            worst = max(worst, report.worst)
    return worst


def text(curves: Mapping[str, StepCurve]) -> str:
    """The curves as two tables: a row a curve, then a row a step."""
    width = max(len(name) for name in curves)
    lines = [f"{'':<{width}}{'error':>9}{'kinks':>7}  {'verdict':<9}{'own step':<20}best step"]
    for name, curve in curves.items():
        own = " ... ".join(_number(h) for h in dict.fromkeys((*curve.chosen[:1], *curve.chosen[-1:]))) or "-"
        best = f"{curve.valley[0]:.1e}, error {curve.valley[1]:.1e}" if curve.valley else "-"
        lines.append(f"{name:<{width}}{_number(curve.worst):>9}{curve.kinks:>7}  {curve.verdict:<9}{own:<20}{best}")
    columns = max(width, 9) + 2
    lines += ["", f"{'step':>8}" + "".join(f"{name:>{columns}} " for name in curves)]
    for h in sorted({h for curve in curves.values() for h in curve.steps}, reverse=True):
        lines.append((f"{h:>8.1e}" + "".join(_cell(curve, h, columns) for curve in curves.values())).rstrip())
    lines.append("* the checker's own step, < the smallest error, - not finite")
    flat = [f"{c.valley[1]:.1e} ({name})" for name, c in curves.items() if c.verdict == "WRONG" and c.valley]
    if flat:
        lines.append(f"no step brings the error below {', '.join(flat)}:")
        lines.append("truncation and rounding change with the step, the error of a wrong rule does not")
    return "\n".join(lines)


def _number(x: float | None) -> str:
    return "-" if x is None else f"{x:.1e}"


def _cell(curve: StepCurve, step: float, width: int) -> str:
    if step not in curve.steps:
        return " " * (width + 1)
    lowest = curve.valley is not None and curve.valley[0] == step
    mark = "*" if step in curve.chosen else "<" if lowest else " "
    return f"{_number(curve.errors[curve.steps.index(step)]):>{width}}{mark}"


def draw(curves: Mapping[str, StepCurve], path: str | os.PathLike[str], title: str = "") -> None:
    """Write the curves as a PNG: a circle at the checker's own steps, a triangle in the valley.

    Grey lines show h^2 and, for each dtype, eps / h: how truncation and rounding go. An error of 0 is drawn at
    1e-17. Raises `ValueError` where no curve has a point and `OSError` where `path` cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = {name: curve for name, curve in curves.items() if curve.valley}
    if not drawn:
        raise ValueError("no check got as far as a difference quotient: there is no curve to draw")
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xscale="log", yscale="log")
    for i, (name, curve) in enumerate(drawn.items()):
        errors = [np.nan if e is None else max(e, _EXACT) for e in curve.errors]
        at = dict(zip(curve.steps, errors, strict=True))
        colour = _COLOURS[i % len(_COLOURS)]
        axes.plot(curve.steps, errors, "--" if i % 2 else "-", color=colour, marker=".", ms=4, lw=1.4, label=name)
        axes.plot(curve.chosen, [at[h] for h in curve.chosen], "o", color=colour, mfc="none", ms=10)
        if curve.valley:
            axes.plot(curve.valley[0], max(curve.valley[1], _EXACT), "v", color=colour, ms=8)
    axes.plot([], [], "o", color="0.3", mfc="none", ms=10, label="the checker's own step")
    axes.plot([], [], "v", color="0.3", ms=8, label="smallest error")
    _guides(axes, sorted({curve.unit for curve in drawn.values()}))
    axes.set(xlabel="step h", ylabel="worst relative error", title=title)
    axes.grid(True, color="0.93")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    serialize.write_atomically(path, picture.getvalue())


def _guides(axes: Any, units: list[float]) -> None:
    """Grey lines h^2 and eps / h inside the frame that the curves have given."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    h = np.geomspace(left, right, 300)
    for values, label in [(h * h, "$h^2$"), *((unit / h, r"$\epsilon/h$") for unit in units)]:
        inside = (values > low) & (values < high)
        if inside.sum() > 20:
            axes.plot(h[inside], values[inside], ":", color="0.6", lw=1, zorder=0)
            at, side = (-15, "right") if values[0] < values[-1] else (14, "left")
            axes.annotate(label, (h[inside][at], values[inside][at]), color="0.4", fontsize=9, ha=side, va="bottom")
    axes.set(xlim=(left, right), ylim=(low, high))
