"""The roofline (Williams, Waterman and Patterson 2009): what a kernel reaches against what its intensity allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kernels.bench.results import Results
from kernels.registry import KernelError


def draw(results: Results, path: str | Path) -> None:
    """Write a PNG with a roof for each measured ceiling and a mark for each line.

    Raises `KernelError` where nothing was timed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    timed = [x for x in results.lines if x.rounds and not x.fault and x.flops]
    if not timed:
        raise KernelError(f"{path}: nothing was timed, so there is no roofline to draw")
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    intensity = [x.flops / x.bytes for x in timed]
    span = np.geomspace(min(intensity) / 4, max(intensity) * 4, 200)
    for c in results.ceilings:
        roof = np.minimum(c.flops_per_second, span * c.bytes_per_second) / 1e9
        axes.plot(span, roof, color="0.35", lw=1.5 if c.threads == max(x.threads for x in results.ceilings) else 0.8)
        axes.annotate(
            f"{c.device}, {c.threads} thread{'s'[: c.threads > 1]}",
            (span[-1], roof[-1]), ha="right", va="bottom", fontsize=8, color="0.35",
        )  # fmt: skip
    for name in dict.fromkeys(x.name for x in timed):
        mine = [x for x in timed if x.name == name]
        marker = "o" if mine[0].kind == "kernel" else "x"
        rates = [x.flops / x.median / 1e9 for x in mine]
        axes.scatter([x.flops / x.bytes for x in mine], rates, marker=marker, s=36, label=name)
    axes.set(xscale="log", yscale="log", xlabel="FLOP per byte (each operand once)", ylabel="GFLOP/s")
    axes.set_title(results.machine["device"] if results.machine["device"] != "none" else results.machine["processor"])
    axes.grid(True, which="major", color="0.9")
    axes.legend(frameon=False)
    try:
        figure.savefig(path, format="png", dpi=150)
    except OSError as error:
        raise KernelError(f"{path}: cannot be written: {error.strerror}") from None
