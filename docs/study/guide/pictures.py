"""Figures with a number, a caption and a text for those who cannot see them. No state of matplotlib's is touched."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import Any

import marimo as mo
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c8c8c"  # told apart by any eye
SEVERAL = (BLUE, ORANGE, GREEN, PURPLE, "#e69f00", "#56b4e9", "#1a1a1a", "#f0e442")

_WITHIN = "max-width:100%;max-height:470px"
"""A cell's output is 610 pixels high and scrolls beyond: a picture fits in with its caption."""


def panels(rows: int, columns: int, width: float = 8.0, height: float = 3.0, **options: Any) -> tuple[Figure, Any]:
    """A figure of `width` × `height` inches and its axes, as `plt.subplots` gives them."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, **options)


def framed(picture: Figure | str, number: str, caption: str) -> mo.Html:
    """A figure, or an SVG text, with "Figure `number`" and its caption below."""
    if isinstance(picture, Figure):
        buffer = io.BytesIO()
        picture.savefig(buffer, format="png", dpi=130)
        data = base64.b64encode(buffer.getvalue()).decode()
        inches = picture.get_size_inches()[0]
        body = f'<img alt="{escape(caption)}" style="width:{inches * 96:.0f}px;max-width:100%" '
        body += f'src="data:image/png;base64,{data}">'
    else:
        drawn = picture[picture.find("<svg") :].replace("<svg", f'<svg style="{_WITHIN}"', 1)
        body = f'<div role="img" aria-label="{escape(caption)}">{drawn}</div>'
    below = f'<figcaption style="font-size:0.9em"><b>Figure {escape(number)}.</b> {escape(caption)}</figcaption>'
    return mo.Html(f'<figure style="margin:1em 0;text-align:center">{body}{below}</figure>')


def printed(text: object) -> mo.Html:
    """What a program prints, long lines broken."""
    return mo.Html(f'<pre style="white-space:pre-wrap;font-size:0.9em">{escape(str(text))}</pre>')


def matrix(axes: Axes, values: np.ndarray, title: str, *, numbers: bool = False, limit: float | None = None) -> None:
    """A matrix as coloured cells, blue below zero and red above, its numbers written where there is room."""
    values = np.asarray(values, dtype=np.float64)
    largest = limit or float(np.max(np.abs(values), initial=0.0)) or 1.0
    axes.imshow(values, cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    if numbers:
        for (i, j), v in np.ndenumerate(values):
            colour = "white" if abs(v) > 0.6 * largest else "black"
            axes.text(j, i, f"{v:.2g}", ha="center", va="center", fontsize=8, color=colour)


def grid(images: np.ndarray, columns: int, number: str, caption: str, *, size: int = 40) -> mo.Html:
    """Grey pictures (N, 1, H, W) in [0, 1] in rows of `columns`, `size` points wide each."""
    rows = -(-len(images) // columns)
    n, _, h, w = images.shape
    sheet = np.ones((rows * columns, h + 2, w + 2))
    sheet[:n, 1:-1, 1:-1] = np.clip(images[:, 0], 0, 1)
    sheet = sheet.reshape(rows, columns, h + 2, w + 2).transpose(0, 2, 1, 3).reshape(rows * (h + 2), -1)
    figure = Figure(figsize=(columns * size / 72, rows * size / 72))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.axis("off")
    return framed(figure, number, caption)
