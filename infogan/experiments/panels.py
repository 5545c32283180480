"""The paper's figure: what c1 changes in InfoGAN and in a regular GAN, and what the continuous codes change."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from infogan import figures
from infogan.codes import Uniform
from infogan.run import Run

ROWS = 5
CELL = 0.42
"""Inches of a picture."""


def four_panels(infogan: Run, gan: Run) -> Figure:
    """(a) the first code in InfoGAN, (b) in the regular GAN, (c) and (d) InfoGAN's first two continuous codes.

    Five rows each, a noise a row, a column a value; uniform codes go to twice their range (−2 to 2), as in the
    paper, values beyond training printed grey. While a continuous code moves, rows differ in the category, too.
    A code without two continuous variables gives fewer panels.
    """
    first = infogan.code.names[0]
    shown = [(infogan, first, "InfoGAN"), (gan, first, "regular GAN")]
    continuous = [name for name in infogan.code.names if not infogan.code[name].discrete and name != first]
    shown += [(infogan, name, "InfoGAN") for name in continuous[:2]]
    most = max(len(figures.sweep_values(run.code[name])) for run, name, _ in shown)
    down = -(-len(shown) // 2)
    page = Figure(figsize=(2 * (most * CELL + 0.5), down * (ROWS * CELL + 0.8)), dpi=150, layout="constrained")
    FigureCanvasAgg(page)
    grid = page.subplots(down, 2, squeeze=False).ravel()
    for axes, letter, (run, name, what) in zip(grid, "abcd", shown, strict=False):
        _draw(axes, run, name, f"({letter}) {name} moves in {'an ' if what == 'InfoGAN' else 'a '}{what}")
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    return page


def _draw(axes: Axes, run: Run, name: str, title: str) -> None:
    variable, values = run.code[name], figures.sweep_values(run.code[name])
    z, c = run.latents(ROWS, "panels")
    other = figures.first_categorical(run.code)
    if other is not None and other != name:
        c = run.fix(c, other, np.arange(ROWS) % run.code[other].width)
    columns = len(values)
    images = run.G(z.repeat(columns, axis=0), run.fix(c.repeat(columns, axis=0), name, np.tile(values, ROWS)))
    sheet = figures.tile(images, columns)
    axes.imshow(sheet.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    side = (sheet.shape[1] + 2) / columns  # a picture and the gap after it; the last gap is cut off
    axes.set_xticks(np.arange(columns) * side + side / 2 - 1, [f"{v:g}".replace("-", "−") for v in values])
    axes.set_yticks([])
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=8, labelcolor=figures.INK)
    for label, value in zip(axes.get_xticklabels(), values, strict=True):
        if isinstance(variable, Uniform) and not variable.low <= value <= variable.high:
            label.set_color(figures.FAINT)
    for edge in axes.spines.values():
        edge.set_visible(False)
    axes.set_title(title, loc="left", fontsize=10, color=figures.INK, pad=6)
