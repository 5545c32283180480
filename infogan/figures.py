"""Pictures of pictures, and curves of a run, as PNG files. No state of matplotlib's is touched."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from infogan import config, record
from infogan.codes import Categorical, Code, Normal, Uniform, Variable
from infogan.errors import InputError
from infogan.run import Run
from minigrad import serialize

ROWS = 10
STEPS = 9
"""Rows of a traversal, and columns of a continuous code: from −2 to 2 in halves for Unif(−1, 1)."""

_GAP = 2
_CELL = 0.52
INK, FAINT = "#1a1a1a", "#8c8c8c"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by any eye."""


def page(wide: float, tall: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """An empty figure of so many inches, with a canvas of its own."""
    figure = Figure(figsize=(wide, tall), dpi=150, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def bytes_of(images: np.ndarray) -> np.ndarray:
    """Pictures (N, C, H, W) in [0, 1] as bytes (N, H, W, C)."""
    return np.rint(255 * np.clip(images.transpose(0, 2, 3, 1), 0, 1)).astype(np.uint8)


def tile(images: np.ndarray, columns: int, background: float = 1.0) -> np.ndarray:
    """Pictures (N, C, H, W) in rows of `columns`, two pixels apart: (height, width, C) in [0, 1]."""
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    tall, wide = height + _GAP, width + _GAP
    cells = np.full((rows * columns, tall, wide, channels), background, dtype=np.float32)
    cells[:count, :height, :width] = images.transpose(0, 2, 3, 1)
    sheet = cells.reshape(rows, columns, tall, wide, channels).transpose(0, 2, 1, 3, 4)
    return sheet.reshape(rows * tall, columns * wide, channels)[:-_GAP, :-_GAP]


def sample_grid(images: np.ndarray, path: str | Path, columns: int = 10) -> Path:
    """Write pictures (N, C, H, W) in [0, 1] as one PNG in rows of `columns`, small ones enlarged."""
    sheet = np.rint(255 * np.clip(tile(images, min(columns, len(images))), 0, 1)).astype(np.uint8)
    enlarge = max(1, 56 // images.shape[2])
    _write_picture(sheet.repeat(enlarge, axis=0).repeat(enlarge, axis=1), Path(path))
    return Path(path)


def write_images(images: np.ndarray, out: str | Path) -> list[Path]:
    """Write pictures (N, C, H, W) in [0, 1] as `out` says, and return what was written.

    `*.png`: one grid; `*.npz`: an array `images`, float32; else a folder with a PNG a picture.
    """
    out = Path(out)
    try:
        if out.suffix.lower() == ".png":
            return [sample_grid(images, out)]
        if out.suffix.lower() == ".npz":
            buffer = io.BytesIO()
            np.savez_compressed(buffer, images=images.astype(np.float32))
            serialize.write_atomically(out, buffer.getvalue())
            return [out]
        out.mkdir(parents=True, exist_ok=True)
        pixels = bytes_of(images)
        paths = [out / f"{number:05d}.png" for number in range(len(images))]
        for picture, path in zip(pixels, paths, strict=True):
            _write_picture(picture, path)
        return paths
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror or error})") from None


def png(pixels: np.ndarray) -> bytes:
    """The PNG file of one picture, bytes (H, W, C)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _write_picture(pixels: np.ndarray, path: Path) -> None:
    serialize.write_atomically(path, png(pixels))


def traversal(run: Run, code: str | None = None) -> list[Path]:
    """The paper's Figure 1 for one code, or for each: a column a value of the code, a row a noise.

    Within a row noise and all other codes stand still. While a continuous code moves, the first categorical
    one goes through its categories from row to row. Uniform codes are taken to twice their range, as in the
    paper (−2 to 2), normal ones to two deviations; values the code never takes in training are printed grey.
    Of a code whose categories have codes of their own, the `tree_figure` too.
    Writes `figures/traverse-c1.png` and so on; raises `InputError` for an unknown code.
    """
    names = run.code.names if code is None else [run.code.names[run.code.index(code)]]
    folder = run.folder / record.FIGURES
    drawings = {f"traverse-{name}": traversal_figure(run, name) for name in names}
    drawings |= {f"tree-{name}": tree_figure(run, name) for name in names if run.code.own(name)}
    return [_write_figure(figure, folder / f"{name}.png") for name, figure in drawings.items()]


def traversal_figure(run: Run, name: str) -> Figure:
    """What `traversal` writes for the code `name`."""
    variable, values = run.code[name], sweep_values(run.code[name])
    images, held = swept(run, name, values, ROWS, "traverse")
    rows = [f"noise {i + 1}{also}" for i, also in enumerate(held)]
    return _traversal_figure(images, name, variable, values, rows)


def swept(run: Run, name: str, values: np.ndarray, rows: int, purpose: str) -> tuple[np.ndarray, list[str]]:
    """Pictures of the code `name` at `values`, row by row: (rows · values, C, H, W); and what else a row holds.

    A row is a noise. Rows also go through the first categorical code, if that is not the one that moves, or that
    whose categories have `name` of their own.
    """
    z, c = run.latents(rows, purpose)
    held = [""] * rows
    other = run.code.parent(name) or run.code.first_categorical
    if other is not None and other != name:
        categories = np.arange(rows) % run.code[other].width
        c = run.fix(c, other, categories)
        held = [f", {other} = {k}" for k in categories]
    columns = len(values)
    images = run.G(z.repeat(columns, axis=0), run.fix(c.repeat(columns, axis=0), name, np.tile(values, rows)))
    return images, held


def sweep_values(variable: Variable) -> np.ndarray:
    """The values a traversal of `variable` shows."""
    if isinstance(variable, Categorical):
        return np.arange(variable.width, dtype=np.float64)
    low, high = variable.sweep
    if isinstance(variable, Uniform):
        low, high = low - (high - low) / 2, high + (high - low) / 2
    return np.linspace(low, high, STEPS)


def _traversal_figure(
    images: np.ndarray, name: str, variable: Variable, values: np.ndarray, rows: Sequence[str]
) -> Figure:
    columns = len(values)
    # inches: a cell for each picture, room for the rows' names on the left and three lines of text above
    wide, tall = columns * _CELL, len(rows) * _CELL
    left = 0.3 + 0.07 * max(map(len, rows))
    figure = page(wide + left + 0.15, tall + 0.95, layout=None)
    total_wide, total_tall = figure.get_size_inches()
    axes = figure.add_axes((left / total_wide, 0.15 / total_tall, wide / total_wide, tall / total_tall))
    draw_swept(axes, images, variable, values, labelsize=9)
    side = images.shape[2] + _GAP
    axes.set_yticks(np.arange(len(rows)) * side + (side - _GAP) / 2, rows)
    what = "category" if variable.discrete else "value"
    title = f"{name} moves: a column a {what} of {name}, a row a noise"
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=8)
    axes.set_xlabel(_axis_text(name, variable), fontsize=9, color=FAINT, loc="left", labelpad=4)
    axes.xaxis.set_label_position("top")
    return figure


def tree_figure(run: Run, name: str) -> Figure:
    """The categories of the code `name` as branches, and on each the codes that it has of its own, moving.

    One noise and one draw of all other codes throughout. A category's picture has its own codes at the middle of
    their ranges; each of them moves by itself along a row, as far as in `traversal`.
    """
    own, k = run.code.own(name), run.code[name].width
    z, c = run.latents(1, "tree")
    z, c = z.repeat(k, axis=0), run.fix(c.repeat(k, axis=0), name, np.arange(k))
    moving = {child: _continuous(run, child) for child in own}
    for child, variable in moving.items():
        c = run.fix(c, child, float(np.mean(variable.sweep)))
    values = {child: sweep_values(variable) for child, variable in moving.items()}
    sweeps = [
        run.G(z.repeat(STEPS, axis=0), run.fix(c.repeat(STEPS, axis=0), child, np.tile(v, k)))
        for child, v in values.items()
    ]
    shape = sweeps[0].shape[1:]
    branches = np.stack([sweep.reshape(k, STEPS, *shape) for sweep in sweeps], axis=1)
    return _tree_figure(name, run.G(z, c), branches, moving, values)


def _continuous(run: Run, name: str) -> Uniform | Normal:
    variable = run.code[name]
    assert not isinstance(variable, Categorical)
    return variable


def _tree_figure(
    name: str,
    middles: np.ndarray,
    branches: np.ndarray,
    moving: Mapping[str, Uniform | Normal],
    values: Mapping[str, np.ndarray],
) -> Figure:
    """A branch a picture of `middles` (K, C, H, W), with the rows of `branches` (K, codes, STEPS, C, H, W)."""
    k, codes = branches.shape[:2]
    # inches: root, trunk, a category's picture, its fork, the names of its codes, their rows
    root, trunk, node, fork, rows = 0.3, 0.55, 1.2, 1.2 + _CELL + 0.2, 1.2 + _CELL + 0.65
    above, apart = 0.95, 0.14
    block = codes * _CELL + apart
    wide, tall = rows + STEPS * _CELL + 0.15, above + k * block + 0.1
    figure = page(wide, tall, layout=None)
    sheet = figure.add_axes((0, 0, 1, 1))
    sheet.set(xlim=(0, wide), ylim=(tall, 0))
    sheet.set_axis_off()

    def place(pictures: np.ndarray, columns: int, left: float, top: float) -> None:
        across, down = columns * _CELL, len(pictures) // columns * _CELL
        axes = figure.add_axes((left / wide, 1 - (top + down) / tall, across / wide, down / tall))
        axes.imshow(tile(pictures, columns).squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_axis_off()

    def line(*points: tuple[float, float]) -> None:
        sheet.plot(*zip(*points, strict=True), color=FAINT, lw=1, solid_capstyle="round")

    centres = [above + j * block + codes * _CELL / 2 for j in range(k)]
    middle = (centres[0] + centres[-1]) / 2
    sheet.plot([root], [middle], "o", color=INK, ms=5)
    sheet.text(root, middle - 0.12, name, ha="center", va="bottom", fontsize=10, color=INK)
    line((root, middle), (trunk, middle))
    line((trunk, centres[0]), (trunk, centres[-1]))
    for j, centre in enumerate(centres):
        line((trunk, centre), (node, centre))
        sheet.text(trunk + 0.08, centre - 0.04, f"{name} = {j}", va="bottom", fontsize=9, color=INK)
        place(middles[j : j + 1], 1, node, centre - _CELL / 2)
        line((node + _CELL, centre), (fork, centre))
        for i, child in enumerate(moving):
            y = above + j * block + (i + 0.5) * _CELL
            line((fork, centre), (fork, y), (fork + 0.1, y))
            sheet.text(fork + 0.14, y, child, va="center", fontsize=9, color=INK)
        place(branches[j].reshape(-1, *branches.shape[3:]), STEPS, rows, above + j * block)
    kinds = {variable.spec: (variable, values[child]) for child, variable in moving.items()}
    if len(kinds) == 1:  # one scale over all rows
        ((variable, shown),) = kinds.values()
        for i, value in enumerate(shown):
            colour = FAINT if _outside(variable, value) else INK
            text = f"{value:g}".replace("-", "−")
            sheet.text(rows + (i + 0.5) * _CELL, above - 0.06, text, ha="center", fontsize=9, color=colour)
        sheet.text(0.15, 0.55, _axis_text(", ".join(moving), variable), fontsize=9, color=FAINT)
    title = f"{name} and the codes that each of its categories has of its own: a row a code, one noise"
    sheet.text(0.15, 0.32, title, fontsize=11, color=INK)
    return figure


def draw_swept(axes: Axes, images: np.ndarray, variable: Variable, values: np.ndarray, *, labelsize: float) -> None:
    """The pictures of `swept` with the values above their columns, grey where training never had them."""
    columns, side = len(values), images.shape[3] + _GAP
    axes.imshow(tile(images, columns).squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.xaxis.tick_top()
    axes.set_xticks(np.arange(columns) * side + (side - _GAP) / 2, [f"{v:g}".replace("-", "−") for v in values])
    axes.set_yticks([])
    axes.tick_params(length=0, labelsize=labelsize, labelcolor=INK)
    for label, value in zip(axes.get_xticklabels(), values, strict=True):
        label.set_color(FAINT if _outside(variable, value) else INK)
    for edge in axes.spines.values():
        edge.set_visible(False)


def _axis_text(name: str, variable: Variable) -> str:
    if isinstance(variable, Uniform):
        return f"{name} (grey: beyond the {variable.low:g} to {variable.high:g} of training)".replace("-", "−")
    return name


def _outside(variable: Variable, value: float) -> bool:
    return isinstance(variable, Uniform) and not variable.low <= value <= variable.high


def curves(run_dir: str | Path) -> list[Path]:
    """Losses and each code's bound over the updates of a run: `figures/losses.png`, `figures/bounds.png`.

    H(c) is drawn for categorical codes alone: it is the ceiling of their bound and of no other. For a
    continuous code two lines tell the bound with σ fitted from that with the σ of the objective. Raises
    `InputError` where the run has no metrics yet.
    """
    folder = Path(run_dir) / record.FIGURES
    return [_write_figure(figure, folder / f"{name}.png") for name, figure in curve_figures(run_dir).items()]


def curve_figures(run_dir: str | Path) -> dict[str, Figure]:
    """What `curves` writes, as `losses` and `bounds`."""
    settings, _ = config.read(run_dir)
    lines = record.read(run_dir)
    if not lines:
        raise InputError(f"{run_dir}: metrics.jsonl has no lines yet; train for a few updates first")
    step = np.array([line["step"] for line in lines])
    losses = {key: np.array([line[key] for line in lines]) for key in ("loss_d", "loss_g")}
    both = {
        kind: {name: np.array([line[kind].get(name, np.nan) for line in lines]) for name in settings.code.names}
        for kind in ("bound", "bound_trained")
    }
    return {"losses": _losses_figure(step, losses), "bounds": _bounds_figure(step, both, settings.code)}


def _losses_figure(step: np.ndarray, losses: dict[str, np.ndarray]) -> Figure:
    figure = page(7, 3.6)
    axes = figure.subplots()
    axes.plot(step, losses["loss_d"], color=COLOURS[0], lw=1.2, label="D: −V(D, G)")
    axes.plot(step, losses["loss_g"], color=COLOURS[1], lw=1.2, label="G: −E log D(G(z, c))")
    for value, colour in ((2 * np.log(2), COLOURS[0]), (np.log(2), COLOURS[1])):
        axes.axhline(value, color=colour, lw=0.8, ls=":")
    axes.plot([], [], color=FAINT, lw=0.8, ls=":", label="where D cannot tell (D = ½)")
    dress(axes, "Losses of the game", "nats")
    return figure


def _bounds_figure(step: np.ndarray, both: dict[str, dict[str, np.ndarray]], code: Code) -> Figure:
    groups = [[n for n in code.names if code[n].discrete is kind] for kind in (True, False)]
    shown = [group for group in groups if group]
    figure = page(7, 3.3 * len(shown))
    for axes, names in zip(np.atleast_1d(figure.subplots(len(shown), 1)), shown, strict=True):
        draw = _draw_categorical if code[names[0]].discrete else _draw_continuous
        draw(axes, step, both, code, names)
    return figure


def _draw_categorical(
    axes: Axes, step: np.ndarray, both: dict[str, dict[str, np.ndarray]], code: Code, names: Sequence[str]
) -> None:
    for name, colour in _coloured(names):
        axes.plot(step, both["bound"][name], color=colour, lw=1.3, label=f"bound of {name}")
    sharers: dict[str, list[str]] = {}
    for name in names:
        sharers.setdefault(code[name].spec, []).append(name)
    for sharing in sharers.values():
        variable = code[sharing[0]]
        assert isinstance(variable, Categorical)
        even = f"ln {variable.width} = " if len(set(variable.p)) == 1 else ""
        text = f"H({', '.join(sharing)}) = {even}{variable.entropy:.3f}"
        axes.axhline(variable.entropy, color=INK, lw=0.9, ls="--", label=text)
    axes.set_ylim(bottom=min(0.0, *(float(both["bound"][n].min()) for n in names)))
    dress(axes, "Information between categorical codes and pictures, from below", "nats")


def _draw_continuous(
    axes: Axes, step: np.ndarray, both: dict[str, dict[str, np.ndarray]], code: Code, names: Sequence[str]
) -> None:
    for name, colour in _coloured(names):
        axes.plot(step, both["bound"][name], color=colour, lw=1.3, label=f"bound of {name}, σ fitted")
        variable = code[name]
        assert not isinstance(variable, Categorical)
        limit = f"{variable.limit:.3f}".replace("-", "−")
        trained = f"{name} as trained (never above {limit})"
        axes.plot(step, both["bound_trained"][name], color=colour, lw=0.9, ls=(0, (1, 1)), label=trained)
    dress(axes, "Continuous codes: their entropy is no ceiling", "nats")


def _coloured(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, COLOURS[i % len(COLOURS)]) for i, name in enumerate(names)]


def dress(axes: Axes, title: str, unit: str) -> None:
    """The look of every diagram over updates: title, unit, a faint grid, and a legend of its lines."""
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel("updates", fontsize=9, color=INK)
    axes.set_ylabel(unit, fontsize=9, color=INK)
    axes.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    axes.grid(True, color="#e6e6e6", lw=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.set_xlim(left=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    handles, _ = axes.get_legend_handles_labels()
    if 0 < len(handles) <= 12:  # more than a dozen lines: the names would cover the curves
        axes.legend(fontsize=8, edgecolor="none", framealpha=0.8, loc="best")


def drawn(figure: Figure, kind: Literal["png", "svg"] = "png") -> bytes:
    """`figure` as a file of that kind; in SVG letters are outlines, so that it needs no font."""
    buffer = io.BytesIO()
    # matplotlib would write the date into SVG: one run, one file
    figure.savefig(buffer, format=kind, facecolor="white", metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def data_url(content: bytes, kind: str) -> str:
    """A picture's file as an address that holds it: `kind` is `png` or `svg+xml`."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _write_figure(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    serialize.write_atomically(path, drawn(figure))
    return path
