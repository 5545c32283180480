"""Results as text: a block a problem, a line a contestant."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from kernels.bench import machine
from kernels.bench.results import Ceiling, Line, Results

HEAD = f"  {'':24} {'median':>10} {'spread':>8} {'GFLOP/s':>9} {'GB/s':>7} {'ceiling':>8} {'best':>7}"
LEGEND = """median     of all timed calls; spread: half the distance of their quartiles
GFLOP/s    by definition 2·N·O·OH·OW·C·KH·KW, 2·M·K·N; GB/s: each operand and result of each call once
ceiling    the least time that the measured product and stream rates allow, as a share of the median
best       the median over the best one's; layout copies stand apart"""


def duration(seconds: float) -> str:
    """With the unit that fits."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1 or unit == "µs":
            return f"{seconds * scale:.3g} {unit}"
    raise AssertionError


def header(results: Results) -> Iterator[str]:
    """Machine and ceilings."""
    yield from machine.lines(results.machine)
    for c in results.ceilings:
        yield from ceiling(c)


def ceiling(c: Ceiling) -> Iterator[str]:
    """A ceiling, with the rate of each library's product."""
    rates = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in c.rates.items())
    yield (
        f"ceiling    {c.device}, {c.threads} thread{'s'[: c.threads > 1]}, {c.dtype}: "
        f"{c.flops_per_second / 1e9:.0f} GFLOP/s, {c.bytes_per_second / 1e9:.1f} GB/s (products: {rates} GFLOP/s)"
    )


def body(results: Results) -> Iterator[str]:
    """The blocks, and the first calls apart."""
    for problem, group in groupby(results.lines, key=lambda line: line.problem):
        op, shape, which, dtype, threads, device, layout, cache = problem
        memory = f", {layout.upper()} memory" if op != "matmul" and shape.split(":")[0].count("x") == 3 else ""
        yield ""
        yield f"{op} {shape} {which}, {dtype}, {device}, {threads} thread{'s'[: threads > 1]}{memory}, {cache} cache"
        yield HEAD
        lines = list(group)
        best = min((x.median for x in lines if x.rounds and x.kind != "layout" and not x.fault), default=None)
        for line in lines:
            yield _line(results, line, best)
    yield from _first_calls(results)


def _line(results: Results, line: Line, best: float | None) -> str:
    name = line.name if line.kind != "layout" else "(layout copy)"
    if line.fault:
        return f"  {name:24} {line.fault}"
    seconds = line.median
    gflops = f"{line.flops / seconds / 1e9:9.1f}" if line.flops else " " * 9
    share = results.share(line) if line.kind != "layout" else None
    ratio = f"{seconds / best:7.2f}" if best and line.kind != "layout" else " " * 7
    text = (
        f"  {name:24} {duration(seconds):>10} {line.spread:8.1%} {gflops} {line.bytes / seconds / 1e9:7.1f} "
        f"{'' if share is None else f'{share:.0%}':>8} {ratio}"
    )
    return f"{text}  {line.note}".rstrip()


def _first_calls(results: Results) -> Iterator[str]:
    slowest: dict[str, float] = {}
    for line in results.lines:
        if line.kind != "layout" and line.rounds:
            slowest[line.name] = max(slowest.get(line.name, 0), line.first_call)
    if slowest:
        yield ""
        said = ", ".join(f"{name} {duration(seconds)}" for name, seconds in slowest.items())
        yield f"slowest first call, compiling or loading included and not in any median: {said}"
