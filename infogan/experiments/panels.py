"""The paper's figure: what c1 changes in InfoGAN and in a regular GAN, and what the continuous codes change."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infogan import figures
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
    page = figures.page(2 * (most * CELL + 0.5), down * (ROWS * CELL + 0.8))
    grid = page.subplots(down, 2, squeeze=False).ravel()
    for axes, letter, (run, name, what) in zip(grid, "abcd", shown, strict=False):
        _draw(axes, run, name, f"({letter}) {name} moves in {'an ' if what == 'InfoGAN' else 'a '}{what}")
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    return page


def _draw(axes: Axes, run: Run, name: str, title: str) -> None:
    values = figures.sweep_values(run.code[name])
    images, _ = figures.swept(run, name, values, ROWS, "panels")
    figures.draw_swept(axes, images, run.code[name], values, labelsize=8)
    axes.set_title(title, loc="left", fontsize=10, color=figures.INK, pad=6)
