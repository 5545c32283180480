"""The drawn graph: complete, escaped, laid out without overlap, at any depth."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import draw, nn

_SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def _no_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout of our own, also where Graphviz is installed."""
    monkeypatch.setattr(draw.shutil, "which", lambda name: None)


def _leaf(*shape: int) -> mg.Tensor:
    return mg.Tensor(np.ones(shape, np.float32), requires_grad=True)


def _network() -> tuple[Any, Any]:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    h = net(_leaf(5, 3))
    return (h * h).sum() + (h.exp() * net[0].weight.sum()).mean(), net


def _rectangles(svg: str) -> list[tuple[float, float, float, float]]:
    found = [r.attrib for r in ElementTree.fromstring(svg).iter(f"{_SVG}rect")][1:]
    return [(float(r["x"]), float(r["y"]), float(r["width"]), float(r["height"])) for r in found]


def test_source_holds_every_operation_and_leaf() -> None:
    loss, net = _network()
    source = mg.draw_graph(loss, params=net.named_parameters()).source
    assert source.startswith("digraph {") and source.endswith("}")
    for name in ("0.weight", "0.bias", "4.weight", "leaf", "linear", "tanh", "output"):
        assert f'label="{name}\\n' in source
    assert source.count('label="0.weight\\n4×3 float32"') == 1
    assert source.count('label="tanh\\n5×4"') == 2


def test_edges_run_from_argument_to_operation() -> None:
    a, b = _leaf(2), _leaf(2)
    drawing = mg.draw_graph((a * b).sum(), params={"a": a, "b": b})
    labels = [box.label for box in drawing.boxes]
    assert sorted((labels[i], labels[j]) for i, j in drawing.edges) == [
        ("a", "mul"), ("b", "mul"), ("mul", "sum"), ("sum", "output"),
    ]  # fmt: skip


def test_boxes_do_not_overlap_and_arrows_reach_them() -> None:
    loss, net = _network()
    drawing = mg.draw_graph(loss, params=net.named_parameters())
    boxes = _rectangles(drawing.svg)
    assert len(boxes) == len(drawing.boxes)
    for k, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[:k]:
            assert x + w < x2 or x2 + w2 < x or y + h < y2 or y2 + h2 < y
    paths = ElementTree.fromstring(drawing.svg).iter(f"{_SVG}path")
    arrows = [p.attrib["d"] for p in paths if "marker-end" in p.attrib]
    assert len(arrows) == len(drawing.edges)
    for path in arrows:
        numbers = [float(n) for n in re.findall(r"-?\d+\.\d", path)]
        starts = [abs(numbers[1] - (y + h)) < 0.2 and x <= numbers[0] <= x + w for x, y, w, h in boxes]
        ends = [abs(numbers[-1] - y) < 0.2 and x <= numbers[-2] <= x + w for x, y, w, h in boxes]
        assert any(starts) and any(ends) and numbers[-1] > numbers[1]


def test_arrows_pass_between_boxes() -> None:
    """A skip connection over three layers does not run behind the boxes it passes."""
    x = _leaf(3)
    y = x.exp().tanh().sin() + x
    drawing = mg.draw_graph(y.sum())
    boxes = _rectangles(drawing.svg)
    for element in ElementTree.fromstring(drawing.svg).iter(f"{_SVG}path"):
        numbers = [float(n) for n in re.findall(r"-?\d+\.\d", element.attrib["d"])]
        for x0, y0 in list(zip(numbers[::2], numbers[1::2], strict=True))[3:-3]:
            assert not any(x < x0 < x + w and y < y0 < y + h for x, y, w, h in boxes)


def test_labels_fit_their_boxes() -> None:
    loss, net = _network()
    drawing = mg.draw_graph(loss, params=[(f"a.very.long.name.of.{n}", p) for n, p in net.named_parameters()])
    for box in drawing.boxes:
        assert box.width >= 7.2 * max(len(box.label), len(box.detail))


def test_names_are_escaped() -> None:
    a = _leaf(2)
    drawing = mg.draw_graph(a.sum(), params={'<a & "b">\\': a})
    assert "\\<a" not in drawing.source and '<a & \\"b\\">\\\\' in drawing.source
    texts = [t.text for t in ElementTree.fromstring(drawing.svg).iter(f"{_SVG}text")]
    assert '<a & "b">\\' in texts


def test_thousands_of_operations() -> None:
    x, w = _leaf(2), _leaf(2)
    h = x
    for _ in range(3000):
        h = h * w
    drawing = mg.draw_graph(h.sum())
    assert len(drawing.boxes) == 3000 + 4
    assert drawing.svg.count("<rect") == 3000 + 5
    assert drawing.source.count("->") == 3000 * 2 + 2


def test_an_argument_used_twice_is_one_arrow() -> None:
    x = _leaf(2)
    assert len(mg.draw_graph((x * x).sum()).edges) == 3


def test_a_leaf_alone_and_nothing_at_all() -> None:
    x = _leaf(1)
    assert [box.kind for box in mg.draw_graph(x).boxes] == ["parameter"]
    assert "leaf" in mg.draw_graph(x).svg
    with pytest.raises(ValueError, match="nothing was recorded behind this value"):
        mg.draw_graph(mg.tensor([1.0]))
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(ValueError, match="draw it before backward"):
        mg.draw_graph(loss)


def test_save_and_notebook(tmp_path: Path) -> None:
    drawing = mg.draw_graph(_leaf(2).sum())
    assert drawing.save(tmp_path / "g.svg").read_text(encoding="utf-8") == drawing.svg == drawing._repr_svg_()
    assert drawing.save(tmp_path / "g.dot").read_text(encoding="utf-8") == drawing.source
    with pytest.raises(ValueError, match=r"suffix must be \.svg, \.dot or \.gv"):
        drawing.save(tmp_path / "g.png")


def test_graphviz_is_used_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\ncat > /dev/null\necho '<svg>from dot</svg>'\n")
    program.chmod(0o755)
    monkeypatch.setattr(draw.shutil, "which", lambda name: str(program))
    assert mg.draw_graph(_leaf(2).sum()).svg == "<svg>from dot</svg>\n"
    program.write_text("#!/bin/sh\ncat > /dev/null\nexit 1\n")
    assert "<rect" in mg.draw_graph(_leaf(2).sum()).svg
