"""Figures: what is in the files, not only that they are there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from made_runs import line, make_run, write_metrics
from PIL import Image

import infogan
from infogan import figures
from infogan.codes import Code
from infogan.errors import InputError


def pictures(count: int, channels: int = 1, size: int = 28) -> np.ndarray:
    """Flat pictures, each of its own brightness."""
    levels = np.arange(count, dtype=np.float32) / 255
    return np.broadcast_to(levels[:, None, None, None], (count, channels, size, size)).copy()


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def test_an_svg_holds_no_date():
    content = figures.drawn(figures.page(1, 1), "svg")
    assert content.startswith(b"<?xml") and b"dc:date" not in content


def test_grid_puts_pictures_in_rows(tmp_path):
    grid = opened(figures.sample_grid(pictures(7), tmp_path / "a.png", columns=3))
    assert grid.shape == (2 * (3 * 30 - 2), 2 * (3 * 30 - 2))  # small pictures are doubled
    for number in range(7):
        row, column = divmod(number, 3)
        cell = grid[60 * row : 60 * row + 56, 60 * column : 60 * column + 56]
        np.testing.assert_array_equal(cell, number)
    np.testing.assert_array_equal(grid[56:60], 255)
    np.testing.assert_array_equal(grid[:, 56:60], 255)
    np.testing.assert_array_equal(grid[120:, 60:], 255)


def test_grid_in_colour_and_of_one_picture(tmp_path):
    image = np.zeros((1, 3, 64, 64), np.float32)
    image[0, 1] = 1
    grid = opened(figures.sample_grid(image, tmp_path / "a.png"))
    np.testing.assert_array_equal(grid, np.broadcast_to([0, 255, 0], (64, 64, 3)))


def test_images_are_written_as_the_name_says(tmp_path):
    images = pictures(3)
    assert figures.write_images(images, tmp_path / "g.png") == [tmp_path / "g.png"]
    assert figures.write_images(images, tmp_path / "a.npz") == [tmp_path / "a.npz"]
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["images"], images)
    written = figures.write_images(images, tmp_path / "deep" / "folder")
    assert [path.name for path in written] == ["00000.png", "00001.png", "00002.png"]
    np.testing.assert_array_equal(opened(written[2]), np.full((28, 28), 2))


def test_images_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "none" / "g.png", tmp_path / "file", tmp_path / "file" / "a.npz"):
        with pytest.raises(InputError, match="cannot be written"):
            figures.write_images(pictures(2), out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_sweeps_of_each_kind_of_code():
    code = Code.parse("cat:3,uniform,uniform:0:1,normal:1:2")
    np.testing.assert_array_equal(figures.sweep_values(code[0]), [0, 1, 2])
    np.testing.assert_array_equal(figures.sweep_values(code[1]), np.linspace(-2, 2, 9))  # as the paper
    np.testing.assert_array_equal(figures.sweep_values(code[2]), np.linspace(-0.5, 1.5, 9))
    np.testing.assert_array_equal(figures.sweep_values(code[3]), np.linspace(-3, 5, 9))


@pytest.fixture
def run(tmp_path: Path) -> infogan.run.Run:
    return infogan.load(make_run(tmp_path / "run", codes="cat:4,uniform"))


def seen_by_G(run, monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray]]:
    seen, original = [], run.G

    def watched(z: np.ndarray, c: np.ndarray) -> np.ndarray:
        seen.append((z, c))
        return original(z, c)

    monkeypatch.setattr(run, "G", watched)
    return seen


def test_traversal_moves_one_code_and_nothing_else(run, monkeypatch):
    seen = seen_by_G(run, monkeypatch)
    paths = figures.traversal(run)
    assert [p.name for p in paths] == ["traverse-c1.png", "traverse-c2.png"]
    assert all(p.parent == run.folder / "figures" for p in paths)
    (z1, c1), (z2, c2) = ((z.reshape(10, -1, 5), c.reshape(10, -1, 5)) for z, c in seen)
    for z in (z1, z2):  # a row is one noise, and rows differ
        np.testing.assert_array_equal(z, z[:, :1].repeat(z.shape[1], axis=1))
        assert len(np.unique(z[:, 0], axis=0)) == 10
    np.testing.assert_array_equal(c1[..., :4], np.broadcast_to(np.eye(4), (10, 4, 4)))
    np.testing.assert_array_equal(c1[..., 4], c1[:, :1, 4].repeat(4, axis=1))
    np.testing.assert_allclose(c2[..., 4], np.broadcast_to(np.linspace(-2, 2, 9), (10, 9)), rtol=1e-6)
    np.testing.assert_array_equal(c2[..., :4], np.eye(4)[np.arange(10) % 4][:, None].repeat(9, axis=1))


def test_traversal_figure_is_labelled(run):
    variable = run.code["c2"]
    values = figures.sweep_values(variable)
    images = run.generate(18)
    figure = figures._traversal_figure(images, "c2", variable, values, ["noise 1", "noise 2"])
    (axes,) = figure.axes
    assert "c2" in axes.get_title(loc="left")
    assert [t.get_text() for t in axes.get_xticklabels()][:3] == ["−2", "−1.5", "−1"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["noise 1", "noise 2"]
    colours = [t.get_color() for t in axes.get_xticklabels()]
    assert [colour == figures.FAINT for colour in colours] == [True] * 2 + [False] * 5 + [True] * 2
    np.testing.assert_array_equal(axes.images[0].get_array(), figures.tile(images, 9)[..., 0])


def test_traversal_of_one_code_or_an_unknown_one(run):
    assert [p.name for p in figures.traversal(run, "c2")] == ["traverse-c2.png"]
    with pytest.raises(InputError, match=r"c7.*c1, c2"):
        figures.traversal(run, "c7")


@pytest.mark.parametrize("codes", ["uniform", "cat:2", "3xcat:12,normal"])
def test_traversal_of_other_codes_and_colours(tmp_path, codes):
    run = infogan.load(make_run(tmp_path / "run", codes=codes, channels=3, image_size=16))
    for path in figures.traversal(run):
        assert opened(path).std() > 0


def test_curves_of_a_run(run):
    write_metrics(run.folder, [line(step) for step in range(1, 100, 7)])
    paths = figures.curves(run.folder)
    assert [p.name for p in paths] == ["losses.png", "bounds.png"]
    assert all(opened(p).std() > 0 for p in paths)


def test_entropy_is_drawn_for_categorical_codes_alone():
    code = Code.parse("cat:4,uniform")
    bound = {"c1": np.array([0.1, 1.0]), "c2": np.array([-0.4, 0.2])}
    figure = figures._bounds_figure(np.array([1, 2]), {"bound": bound, "bound_trained": bound}, code)
    categorical, continuous = figure.axes
    level = [drawn for drawn in categorical.lines if drawn.get_linestyle() == "--"]
    np.testing.assert_allclose(np.asarray(level[0].get_ydata()), np.log(4))
    for drawn in continuous.lines:
        np.testing.assert_array_equal(drawn.get_ydata(), bound["c2"])


def test_curves_need_metrics(run):
    with pytest.raises(InputError, match="no lines yet"):
        figures.curves(run.folder)


def test_no_global_state_of_matplotlib(run):
    before = dict(matplotlib.rcParams)
    figures.traversal(run, "c1")
    assert dict(matplotlib.rcParams) == before
    imported = "import infogan.figures, sys; print('matplotlib.pyplot' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", imported], text=True) == "False\n"
