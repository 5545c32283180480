"""`python -m minigrad gradcheck`: every rule's derivatives against difference quotients, a row a rule."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import click
from tqdm import tqdm

import kernels
from minigrad import stepcurve
from minigrad.gradcheck import Report, gradcheck, gradgradcheck, has_product, sample_calls
from minigrad.stepcurve import StepCurve
from minigrad.tape import TABLE, Primitive

DTYPES = ("float64", "float32")
_ORDERS: dict[str, Callable[..., Report]] = {"first": gradcheck, "second": gradgradcheck}


@dataclass
class Row:
    """One rule: worst relative errors over its samples (`None`: not checked), kinks, verdict, what is wrong.

    With `--op` also the error over the step, by dtype and order, and the file that shows it.
    """

    operation: str
    samples: int = 0
    first: float | None = None
    second: float | None = None
    kinks: int = 0
    verdict: str = "ok"
    detail: str = ""
    curves: dict[str, StepCurve] = field(default_factory=dict)
    plot: str | None = None


@click.group()
@click.version_option(package_name="infogan", message="minigrad %(version)s")
def main() -> None:
    """Checks of the engine."""


@main.command(name="gradcheck")
@click.option("--file", "path", metavar="FILE", help="Run this Python file and check the rules it defines.")
@click.option("--op", metavar="NAME", help="Check this rule alone, and show its error over the step.")
@click.option("--kernels", "asked", metavar="OP=NAME,…", help="Kernels to compute with: OP=NAME,… or NAME.")
@click.option("--kernel-file", metavar="FILE", help="A Python file that registers kernels; they are used.")
@click.option("--dtype", type=click.Choice(DTYPES), default="float64", show_default=True)
@click.option("--second-order", is_flag=True, help="Check second derivatives too.")
@click.option("--fast", is_flag=True, help="Random directions instead of every entry.")
@click.option("--plot", metavar="FILE.png", help="Where --op draws (gradcheck-NAME.png; with --json nowhere).")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def check(
    path: str | None, op: str | None, asked: str | None, kernel_file: str | None, dtype: str,
    second_order: bool, fast: bool, plot: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Check each rule at its samples: worst relative error of first and second derivatives, kinks, verdict.

    With --op the same check runs at many steps too, in random directions, first and second order, in float64 and
    float32: numbers and a picture of a V (truncation falls with the step, rounding rises), or of the flat line that
    a wrong rule gives.

    \b
    python -m minigrad gradcheck --second-order
    python -m minigrad gradcheck --op conv2d --plot conv2d.png
    python -m minigrad gradcheck --file my_ops.py --op my_cube

    Exit status: 0 all right, 1 a derivative is wrong or unchecked, 2 wrong usage.
    """
    _check_plot(plot, op)
    with ExitStack() as stack:
        try:
            if kernel_file is not None:
                stack.enter_context(kernels.use(**kernels.load_kernel_file(kernel_file)))
            if asked is not None:
                stack.enter_context(kernels.use(**kernels.parse_kernels(asked)))
        except kernels.KernelError as error:
            _stop(str(error))
        rules = _chosen(path, op)
        bar = tqdm(rules, desc="gradcheck", unit="rule", delay=2, leave=False, file=sys.stderr)
        rows = [check_rule(rule, dtype=dtype, second_order=second_order, fast_mode=fast) for rule in bar]
        if op is not None and rows[0].first is not None:
            rows[0].curves = zoom(rules[0])
            _plot(rows[0], plot if as_json else plot or f"gradcheck-{op}.png")
    click.echo(json.dumps([asdict(row) for row in rows], indent=1) if as_json else _told(rows))
    wrong = any(curve.verdict == "WRONG" for row in rows for curve in row.curves.values())
    sys.exit(1 if wrong or any(row.verdict != "ok" for row in rows) else 0)


def check_rule(rule: Primitive, *, dtype: str = "float64", second_order: bool = False, fast_mode: bool = False) -> Row:
    """Check one rule at all of its samples."""
    row = Row(rule.name)
    if rule.samples is None:
        row.verdict, row.detail = "no samples", "nothing was checked: give @primitive(samples=...)"
        return row
    try:
        for call, inputs in sample_calls(rule, dtype=dtype):
            row.samples += 1
            row.first = _merge(row, row.first, gradcheck, call, inputs, fast_mode)
            if second_order:
                row.second = _merge(row, row.second, gradgradcheck, call, inputs, fast_mode)
    except Exception as error:
        row.verdict, row.detail = "error", f"{type(error).__name__}: {error}"
    return row


def zoom(rule: Primitive) -> dict[str, StepCurve]:
    """Error over the step at all samples of a rule, for each dtype and order; an order it does not have says why.

    In random directions, which every entry takes part in: forty steps entry by entry would take half a minute.
    """
    curves: dict[str, StepCurve] = {}
    cases = [(f"{dtype} {name}", dtype, f) for dtype in DTYPES for name, f in _ORDERS.items()]
    for name, dtype, checker in tqdm(cases, desc="step curve", delay=2, leave=False, file=sys.stderr):
        try:
            curves[name] = stepcurve.step_curve(checker, *sample_calls(rule, dtype=dtype), fast_mode=True)
        except Exception as error:
            curves[name] = StepCurve(verdict="error", detail=f"{type(error).__name__}: {error}")
    return curves


def _merge(
    row: Row, worst: float | None, checker: Callable[..., Report], call: Any, inputs: Any, fast_mode: bool
) -> float:
    report = checker(call, inputs, raise_exception=False, fast_mode=fast_mode, kinks="ignore")
    row.kinks += report.kinks
    if not report and row.verdict == "ok":
        row.verdict, row.detail = "WRONG", str(report)
    return max(report.worst, worst or 0.0)


def table(rows: Iterable[Row]) -> str:
    """The rows as text, and below them what is wrong in detail."""
    rows = list(rows)

    def number(x: float | None) -> str:
        return "-" if x is None else f"{x:.1e}"

    width = max([9, *(len(row.operation) for row in rows)])
    lines = [f"{'operation':<{width}}{'samples':>9}{'first':>10}{'second':>10}{'kinks':>7}  verdict"]
    lines += [
        f"{r.operation:<{width}}{r.samples:>9}{number(r.first):>10}{number(r.second):>10}{r.kinks:>7}  {r.verdict}"
        for r in rows
    ]
    return "\n".join([*lines, *(f"\n{row.operation}: {row.detail}" for row in rows if row.detail)])


def _told(rows: list[Row]) -> str:
    """The table, what `--op` adds to it, and where the picture is."""
    parts = [table(rows)]
    for row in rows:
        if row.curves:
            parts.append(f"{row.operation}, error over the step:\n{stepcurve.text(row.curves)}")
            parts += [f"{name}: {c.detail}" for name, c in row.curves.items() if c.detail and not row.detail]
        if row.plot:
            parts.append(f"picture: {row.plot}")
    return "\n\n".join(parts)


def _check_plot(plot: str | None, op: str | None) -> None:
    if plot is None:
        return
    if op is None:
        _stop("--plot needs --op NAME: one rule is drawn")
    if Path(plot).suffix.lower() != ".png":
        _stop(f"--plot {plot}: a PNG is written, so a name that ends in .png would be right")
    if not Path(plot).parent.is_dir():
        _stop(f"--plot {plot}: there is no folder {Path(plot).parent}")


def _plot(row: Row, path: str | None) -> None:
    if path is None or not any(curve.valley for curve in row.curves.values()):
        return
    try:
        stepcurve.draw(row.curves, path, title=f"{row.operation}: its derivative against difference quotients")
    except OSError as error:
        _stop(f"--plot {path}: cannot be written: {error.strerror}")
    row.plot = path


def _chosen(path: str | None, op: str | None) -> list[Primitive]:
    before = dict(TABLE)
    if path is not None:
        _run(path)
    rules = [r for r in TABLE.values() if any(has_product(r, i) for i in range(len(r.arrays)))]
    if op is not None:
        if op not in TABLE:
            close = get_close_matches(op, TABLE, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(sorted(TABLE))}"
            _stop(f"--op {op}: no rule is called so; {hint}")
        if TABLE[op] not in rules:
            _stop(f"--op {op}: it has no derivative, so there is nothing to check")
        return [TABLE[op]]
    if path is None:
        return rules
    found = [r for r in rules if before.get(r.name) is not r]
    if not found:
        _stop(f"{path}: no differentiable rule in it: define one with @mg.primitive and .defvjp")
    return found


def _run(path: str) -> None:
    """Execute a user's file; whatever it raises becomes one line."""
    if not Path(path).is_file():
        _stop(f"--file {path}: no such file")
    try:
        runpy.run_path(path, run_name="my_ops")
    except Exception as error:
        trace, line = error.__traceback__, None
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == path:
                line = trace.tb_lineno
            trace = trace.tb_next
        line = error.lineno if isinstance(error, SyntaxError) else line
        _stop(f"--file {path}{f', line {line}' if line else ''}: {type(error).__name__}: {error}")


def _stop(message: str) -> NoReturn:
    click.echo(f"gradcheck: {message}", err=True)
    sys.exit(2)


def run(arguments: list[str] | None = None) -> None:
    """The program; wrong usage is one line, and Ctrl-C the status 130."""
    try:
        main(arguments, prog_name="python -m minigrad", standalone_mode=False)
    except click.ClickException as error:
        _stop(error.format_message())
    except click.Abort:
        sys.exit(130)


if __name__ == "__main__":
    run()
