"""The page on what codes mean in real pictures: a figure a code and one table, in a single HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from infogan import figures, record
from infogan.codes import Categorical
from infogan.errors import InputError
from infogan.evaluation import properties
from infogan.evaluation.association import NAMES
from infogan.evaluation.real import Meanings, goes_with, value
from infogan.report.html import fill
from minigrad import serialize

FILE = "meanings.html"
MOST_SURE, LEAST_SURE = 9, 3
"""Columns of a categorical code's figure."""
COLUMNS, ROWS = 11, 5
"""Places along a continuous code, and pictures at each."""
MOST_CATEGORIES = 20
"""Categories in a figure, those with the largest shares; the JSON file has all."""

_CELL = 0.52
_LEFT = 1.25
"""Inches of a picture, and of the names beside them."""


def write(meanings: Meanings) -> list[Path]:
    """Write `figures/real-c1.png` and so on, and `meanings.html` with all of them inside; what was written."""
    folder = meanings.run.folder
    drawn = {name: figures.drawn(figure_of(meanings, name)) for name in meanings.codes}
    content = {folder / record.FIGURES / f"real-{name}.png": picture for name, picture in drawn.items()}
    content[folder / FILE] = render(meanings, drawn).encode()
    try:
        (folder / record.FIGURES).mkdir(exist_ok=True)
        for path, held in content.items():
            serialize.write_atomically(path, held)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror or error})") from None
    return list(content)


def figure_of(meanings: Meanings, name: str) -> Figure:
    """Real pictures in the order that the code `name` gives them."""
    if meanings.run.code[name].discrete:
        return _of_categories(meanings, name)
    return _of_means(meanings, name)


def _of_categories(meanings: Meanings, name: str) -> Figure:
    """A row a category: the pictures Q is surest of, a gap, and those it is least sure of."""
    shares = meanings.shares(name)
    kept = sorted(np.argsort(-shares, kind="stable")[:MOST_CATEGORIES].tolist())
    columns = MOST_SURE + 1 + LEAST_SURE
    sheet = _blank(meanings, len(kept) * columns).reshape(len(kept), columns, *meanings.data.images.shape[1:])
    for row, k in enumerate(kept):
        order = meanings.by_certainty(name, k)
        surest, others = order[:MOST_SURE], order[MOST_SURE:][::-1][:LEAST_SURE]
        sheet[row, : len(surest)] = meanings.data.images[surest]
        sheet[row, MOST_SURE + 1 : MOST_SURE + 1 + len(others)] = meanings.data.images[others]
    rows = [f"{k}: {shares[k]:.1%}" for k in kept]
    ticks = {(MOST_SURE - 1) / 2: "surest", MOST_SURE + 1 + (LEAST_SURE - 1) / 2: "least sure"}
    title = f"{name} in real pictures: a row a category, with its share"
    return _sheet(sheet.reshape(-1, *sheet.shape[2:]), columns, rows, ticks, title)


def _of_means(meanings: Meanings, name: str) -> Figure:
    """Columns at even steps through all pictures in the order of Q's mean: the first has the lowest, the last the
    highest."""
    order = meanings.by_mean(name)
    rows = max(1, min(ROWS, len(order) // COLUMNS))
    starts = np.linspace(0, max(len(order) - rows, 0), COLUMNS).round().astype(int)
    places = np.stack([order[at : at + rows] for at in starts], axis=1)
    mean = meanings.read[name][:, 0]
    ticks = {float(k): f"{mean[places[:, k]].mean():.2f}".replace("-", "−") for k in range(COLUMNS)}
    title = f"{name} in real pictures: from Q's smallest mean to its largest"
    return _sheet(meanings.data.images[places.reshape(-1)], COLUMNS, [""] * rows, ticks, title)


def _blank(meanings: Meanings, count: int) -> np.ndarray:
    return np.ones((count, *meanings.data.images.shape[1:]), dtype=np.float32)


def _sheet(images: np.ndarray, columns: int, rows: Sequence[str], ticks: dict[float, str], title: str) -> Figure:
    left = _LEFT if any(rows) else 0.15
    wide, tall = columns * _CELL, len(rows) * _CELL
    figure = figures.page(wide + left + 0.15, tall + 0.7, layout=None)
    total_wide, total_tall = figure.get_size_inches()
    axes = figure.add_axes((left / total_wide, 0.1 / total_tall, wide / total_wide, tall / total_tall))
    axes.imshow(figures.tile(images, columns).squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    side = images.shape[3] + 2
    axes.xaxis.tick_top()
    axes.set_xticks([k * side + side / 2 - 1 for k in ticks], list(ticks.values()))
    axes.set_yticks(np.arange(len(rows)) * side + side / 2 - 1, rows)
    axes.tick_params(length=0, labelsize=9, labelcolor=figures.INK)
    axes.set_title(title, loc="left", fontsize=11, color=figures.INK, pad=8)
    for edge in axes.spines.values():
        edge.set_visible(False)
    return figure


def render(meanings: Meanings, drawn: dict[str, bytes]) -> str:
    """The page as HTML. Whatever comes from files is escaped."""
    return fill(
        "meanings.html",
        title=meanings.run.folder.resolve().name,
        run=meanings.run,
        data=meanings.data,
        codes=[_about(meanings, name, drawn[name]) for name in meanings.codes],
        names=meanings.codes,
        table=list(_table(meanings)),
        measures=[NAMES[kind] for kind in NAMES if kind in _kinds(meanings)],
    )


def _about(meanings: Meanings, name: str, picture: bytes) -> dict[str, Any]:
    variable = meanings.run.code[name]
    shares = meanings.shares(name) if isinstance(variable, Categorical) else None
    alt = f"Real pictures in the order that Q's reading of {name} gives them."
    if shares is not None:
        alt = "A row of real pictures a category; shares: " + ", ".join(f"{k} {s:.1%}" for k, s in enumerate(shares))
    return {
        "name": name,
        "kind": variable.spec,
        "src": figures.data_url(picture, "png"),
        "alt": alt,
        "says": goes_with(meanings, name),
        "left_out": 0 if shares is None else max(0, len(shares) - MOST_CATEGORIES),
    }


def _table(meanings: Meanings) -> list[dict[str, Any]]:
    """A row for each thing known of the pictures, a cell a code."""
    measured = properties.meanings(meanings.data.images.shape[1])
    rows = []
    for what in meanings.known:
        cells = []
        for name in meanings.codes:
            a = meanings.found[name][what]
            if a is None:
                cells.append({"text": "–", "title": "one of the two does not vary", "weight": 0.0, "strong": False})
                continue
            title = f"{NAMES[a.kind]}; shuffled pictures: {a.chance:.2f}; {a.pictures:,} pictures"
            cells.append({"text": value(a), "title": title, "weight": abs(a.value), "strong": a.beyond_chance})
        rows.append({"what": what, "note": measured.get(what, "known, not measured"), "cells": cells})
    return rows


def _kinds(meanings: Meanings) -> set[str]:
    return {a.kind for found in meanings.found.values() for a in found.values() if a is not None}
