"""Draw a computation graph: as DOT text for Graphviz, and as SVG laid out here."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from html import escape
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from minigrad.tape import Node, Variable

_CHARACTER = 7.3  # width of a character of 12-point monospace, in SVG units
_HEIGHT = 38
_GAP = 24
_LAYER = 84
_MARGIN = 16
_THREAD = 4  # room an arrow takes where it passes a layer
_LONGEST = 40  # layers; a longer arrow is drawn straight: its places in between would be too many
_PASSES = 6
_Point = tuple[float, float]
_STYLE = {
    "operation": ("#eef2f7", "#51647d"),
    "parameter": ("#e5f4e8", "#3a7d4a"),
    "output": ("#fdf0dc", "#b07a1e"),
}


@dataclass
class _Box:
    kind: str
    """"operation", "parameter" (a leaf that wants a gradient) or "output"."""
    label: str
    detail: str

    @property
    def width(self) -> float:
        return max(len(self.label), len(self.detail)) * _CHARACTER + 20


@dataclass
class Drawing:
    """A drawn graph. In a notebook it shows itself."""

    boxes: list[_Box]
    edges: list[tuple[int, int]]
    _svg: str = field(default="", repr=False)

    @property
    def source(self) -> str:
        """The graph in Graphviz's DOT language."""
        lines = [
            "digraph {",
            '  node [shape=box, style="rounded,filled", fontname="monospace", fontsize=12];',
        ]
        for i, box in enumerate(self.boxes):
            fill, stroke = _STYLE[box.kind]
            text = "\\n".join(_dot_escape(t) for t in (box.label, box.detail) if t)
            lines.append(f'  n{i} [label="{text}", fillcolor="{fill}", color="{stroke}"];')
        lines += [f"  n{a} -> n{b};" for a, b in self.edges]
        return "\n".join([*lines, "}"])

    @property
    def svg(self) -> str:
        """The picture: from Graphviz where its `dot` is installed, else laid out by igraph and drawn here."""
        if not self._svg:
            self._svg = _graphviz(self.source) or _draw(self.boxes, self.edges)
        return self._svg

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> Path:
        """Write the picture (`.svg`) or its source (`.dot`, `.gv`) to `path`.

        Raises `ValueError` for another suffix.
        """
        path = Path(path)
        if path.suffix not in (".svg", ".dot", ".gv"):
            raise ValueError(f"draw_graph: cannot save {path.name}: the suffix must be .svg, .dot or .gv")
        path.write_text(self.svg if path.suffix == ".svg" else self.source, encoding="utf-8")
        return path


def draw_graph(loss: Any, *, params: Any = None) -> Drawing:
    """The graph behind `loss`: its operations, and the leaves whose gradient it gives.

    loss: a recorded tensor whose graph has not been freed.
    params: names for leaves: a dict name -> tensor, or an iterable of pairs as `named_parameters()` gives.

    Raises `ValueError` where there is no graph.
    """
    if not isinstance(loss, Variable) or (loss.node is None and not loss.requires_grad):
        raise ValueError(
            "draw_graph: nothing was recorded behind this value: it needs a tensor that requires a gradient"
        )
    pairs = params.items() if isinstance(params, dict) else (params or ())
    names = {id(p): name for name, p in pairs}
    boxes = [_Box("output", "output", _describe(loss))]
    edges: list[tuple[int, int]] = []
    if loss.node is None:
        boxes[0] = _leaf(loss, names)
        return Drawing(boxes, edges)
    number: dict[int, int] = {}
    todo: list[Node] = []

    def place(source: Node | Variable) -> int:
        if id(source) not in number:
            number[id(source)] = len(boxes)
            if isinstance(source, Node):
                todo.append(source)
                boxes.append(_Box("operation", source.name, _result(source)))
            else:
                boxes.append(_leaf(source, names))
        return number[id(source)]

    edges.append((place(loss.node), 0))
    while todo:
        node = todo.pop()
        if node.saved is None:
            raise ValueError(f"draw_graph: the graph behind {node.name} was freed: draw it before backward()")
        for edge in node.edges:
            if edge is not None:
                edges.append((place(edge if isinstance(edge, Variable) else edge[0]), number[id(node)]))
    return Drawing(boxes, list(dict.fromkeys(edges)))


def _leaf(leaf: Variable, names: dict[int, str]) -> _Box:
    return _Box("parameter", names.get(id(leaf), "leaf"), _describe(leaf))


def _describe(x: Variable) -> str:
    return f"{_shape(x.data.shape)} {x.data.dtype}"


def _result(node: Node) -> str:
    return ", ".join(_shape(shape) for shape, *_ in node.outs)


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) if shape else "scalar"


def _dot_escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _graphviz(source: str) -> str:
    """The SVG that Graphviz makes of `source`, or "" where it is not installed or fails."""
    program = shutil.which("dot")
    if program is None:
        return ""
    done = subprocess.run([program, "-Tsvg"], input=source, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


# ---- layout -----------------------------------------------------------------------------------------------


def _depths(count: int, edges: list[tuple[int, int]]) -> list[int]:
    """Longest way from each box to the output, box 0: every arrow then points to a smaller depth."""
    sources: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for a, b in edges:
        sources[b].append(a)
        waiting[a] += 1
    depth, ready = [0] * count, [0]
    while ready:
        b = ready.pop()
        for a in sources[b]:
            depth[a] = max(depth[a], depth[b] + 1)
            waiting[a] -= 1
            if not waiting[a]:
                ready.append(a)
    return depth


def _spread(wished: list[float], widths: list[float]) -> list[float]:
    """Places nearest to those `wished`, in this order and without overlap: isotonic regression by pooling."""
    ends = list(accumulate(w + _GAP for w in widths))
    offsets = [end - (w + _GAP) / 2 for end, w in zip(ends, widths, strict=True)]
    pools: list[list[float]] = []
    for wish, offset in zip(wished, offsets, strict=True):
        pools.append([wish - offset, 1.0])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            mean, n = pools.pop()
            pools[-1] = [(pools[-1][0] * pools[-1][1] + mean * n) / (pools[-1][1] + n), pools[-1][1] + n]
    flat = [mean for mean, n in pools for _ in range(int(n))]
    return [place + offset for place, offset in zip(flat, offsets, strict=True)]


def _layout(boxes: list[_Box], edges: list[tuple[int, int]]) -> tuple[list[_Point], list[list[_Point]]]:
    """Centres of the boxes and the points each arrow passes.

    An arrow across several layers gets a place in each, so that it runs between boxes, not behind them.
    igraph orders every layer (Sugiyama's method); how far apart is settled here, by the widths.
    """
    try:
        import igraph
    except ImportError:
        raise ImportError("drawing needs Graphviz's dot or the package igraph: pip install igraph") from None

    depth = _depths(len(boxes), edges)
    widths = [box.width for box in boxes]
    chains = []
    for a, b in edges:
        between = range(depth[a] - 1, depth[b], -1) if depth[a] - depth[b] <= _LONGEST else ()
        chains.append([a, *range(len(widths), len(widths) + len(between)), b])
        depth.extend(between)
        widths.extend([_THREAD] * len(between))
    links = [link for chain in chains for link in pairwise(chain) if depth[link[0]] == depth[link[1]] + 1]
    top = max(depth)
    graph = igraph.Graph(n=len(depth), edges=links, directed=True)
    rough = graph.layout_sugiyama(layers=[top - d for d in depth], maxiter=24)
    x = [float(point[0]) for point in rough.coords[: len(depth)]]
    rows: list[list[int]] = [[] for _ in range(top + 1)]
    for i in sorted(range(len(depth)), key=x.__getitem__):
        rows[top - depth[i]].append(i)
    above: list[list[int]] = [[] for _ in depth]
    below: list[list[int]] = [[] for _ in depth]
    for a, b in links:
        above[b].append(a)
        below[a].append(b)
    for near, order in [(above, rows), (below, rows[::-1])] * _PASSES:
        for row in order:
            wished = [sum(x[j] for j in near[i]) / len(near[i]) if near[i] else x[i] for i in row]
            for i, place in zip(row, _spread(wished, [widths[i] for i in row]), strict=True):
                x[i] = place
    y = [(top - d) * _LAYER for d in depth]
    half = _HEIGHT / 2
    routes = []
    for chain in chains:
        inner = [point for i in chain[1:-1] for point in ((x[i], y[i] - half), (x[i], y[i] + half))]
        routes.append([(x[chain[0]], y[chain[0]] + half), *inner, (x[chain[-1]], y[chain[-1]] - half)])
    return [(x[i], float(y[i])) for i in range(len(boxes))], routes


def _draw(boxes: list[_Box], edges: list[tuple[int, int]]) -> str:
    centres, routes = _layout(boxes, edges)
    sides = [x + s * box.width / 2 for box, (x, _) in zip(boxes, centres, strict=True) for s in (-1, 1)]
    sides += [x for route in routes for x, _ in route]
    left, top = min(sides) - _MARGIN, -_HEIGHT / 2 - _MARGIN
    width = max(sides) + _MARGIN - left
    height = max(y for _, y in centres) + _HEIGHT / 2 + _MARGIN - top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}" font-family="monospace" font-size="12">',
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="white"/>',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#444"/></marker></defs>',
        '<g fill="none" stroke="#444" stroke-width="1.2">',
        *(f'<path d="{_curve(route)}" marker-end="url(#head)"/>' for route in routes),
        "</g>",
        *(_box_svg(box, x, y) for box, (x, y) in zip(boxes, centres, strict=True)),
        "</svg>",
    ]
    return "\n".join(parts)


def _box_svg(box: _Box, x: float, y: float) -> str:
    fill, stroke = _STYLE[box.kind]
    return (
        f'<rect x="{x - box.width / 2:.1f}" y="{y - _HEIGHT / 2}" width="{box.width:.1f}" height="{_HEIGHT}" '
        f'rx="6" fill="{fill}" stroke="{stroke}"/>'
        f'<text x="{x:.1f}" y="{y - 3:.1f}" text-anchor="middle" font-weight="bold">{escape(box.label)}</text>'
        f'<text x="{x:.1f}" y="{y + 12:.1f}" text-anchor="middle" fill="#555">{escape(box.detail)}</text>'
    )


def _curve(points: list[tuple[float, float]]) -> str:
    """A smooth path downwards through `points`: leaves and enters each vertically."""
    text = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        text += f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    return text
