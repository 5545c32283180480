"""Sprites: what a factor does to a picture, the same draw every time, and the way in by --data and as a file."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from infogan import cli
from infogan.data import load, sprites
from infogan.errors import InputError


def one(shape: int, scale: int = 5, orientation: int = 0, x: int = 16, y: int = 16, side: int = 64) -> np.ndarray:
    """A single sprite, float64 in [0, 1]."""
    return sprites.render(np.array([[shape, scale, orientation, x, y]]), side)[0] / 255


@pytest.mark.parametrize("shape", range(3))
def test_size_and_place_are_what_the_factors_say(shape):
    """The area grows by 4 = (1.0/0.5)² over the scales, and the centre of mass moves by half the side."""
    assert one(shape, scale=5).sum() / one(shape, scale=0).sum() == pytest.approx(4, rel=0.06)
    centre = lambda picture: np.array([(np.indices(picture.shape)[i] * picture).sum() / picture.sum() for i in (0, 1)])
    near, across, down = (centre(one(shape, x=x, y=y)) for x, y in ((0, 0), (31, 0), (0, 31)))
    assert across - near == pytest.approx([0, 32], abs=0.1)
    assert down - near == pytest.approx([32, 0], abs=0.1)


@pytest.mark.parametrize("side", [16, 28, 64])
def test_no_sprite_is_cut_off_at_any_edge(side):
    largest = np.array(list(itertools.product(range(3), [5], range(40), [0, 31], [0, 31])))
    middle = largest.copy()
    middle[:, 3:] = 16
    ink = sprites.render(largest, side).sum(axis=(1, 2), dtype=float)
    np.testing.assert_allclose(ink, sprites.render(middle, side).sum(axis=(1, 2), dtype=float), rtol=0.12)
    assert ink.reshape(3, -1).mean(axis=1) == pytest.approx(
        255 * side**2 * 0.24**2 * np.array([2, np.pi / 2, 3.662 / 1.3**2]), rel=0.02
    )  # (r√2)², π r²/2, and the heart's own area (by quadrature) in units of its frame


def test_symmetries_are_those_of_the_shapes():
    """A quarter turn (10 of 40 steps) leaves a square alone, half a turn an ellipse, and nothing a heart."""
    for shape, period in ((0, 10), (1, 20)):
        np.testing.assert_allclose(one(shape, orientation=3), one(shape, orientation=3 + period), atol=0.34)
        assert abs(one(shape, orientation=3) - one(shape, orientation=3 + period // 2)).max() > 0.5
    turned = [one(2, orientation=k) for k in range(40)]
    assert all(abs(a - b).max() > 0.5 for a, b in itertools.combinations(turned, 2))
    assert one(2)[:32].sum() > one(2)[32:].sum()  # its lobes are above, its point below


def test_a_draw_is_even_and_the_same_every_time():
    drawn = sprites.draw(3000, seed=4, side=16)
    assert drawn.images.shape == (3000, 16, 16) and drawn.images.dtype == np.uint8
    for column, values in zip(drawn.factors.T, sprites.FACTORS.values(), strict=True):
        counts = np.bincount(column, minlength=values)
        assert len(counts) == values and abs(counts - 3000 / values).max() < 5 * (3000 / values) ** 0.5
    assert abs(np.corrcoef(drawn.factors.T) - np.eye(5)).max() < 0.1
    again, other = sprites.draw(3000, seed=4, side=16), sprites.draw(3000, seed=5, side=16)
    assert (again.images == drawn.images).all() and (other.factors != drawn.factors).any()
    assert (sprites.draw(10, seed=4, side=64).factors == sprites.draw(10, seed=4, side=16).factors).all()


def test_data_sprites_are_split_and_their_factors_go_with_them():
    parts = {split: load("sprites:16", split=split) for split in ("train", "held_out")}
    assert {split: part.images.shape for split, part in parts.items()} == {
        "train": (16_000, 1, 16, 16),
        "held_out": (4_000, 1, 16, 16),
    }
    factors = sprites.factors_of("sprites:16", "held_out")
    np.testing.assert_array_equal(sprites.render(factors, 16)[:, None] / np.float32(255), parts["held_out"].images)
    np.testing.assert_array_equal(factors[:, 0], parts["held_out"].labels)
    assert len(parts["train"].sha256) == 64


@pytest.mark.parametrize("spec", ["sprites:", "sprites:big", "sprites:17", "sprites:4", "sprites:512", "sprites:99999"])
def test_another_size_is_one_line(spec, capsys):
    assert cli.main(["data", "info", spec]) == 2
    assert "sprites" in capsys.readouterr().err


def test_no_pictures_are_an_error():
    with pytest.raises(InputError, match="at least 1"):
        sprites.draw(0)


def test_the_command_writes_a_file_that_is_data(tmp_path, capsys):
    path = tmp_path / "some.npz"
    assert cli.main(["data", "sprites", str(path), "-n", "50", "--seed", "3", "--side", "16"]) == 0
    assert "infogan train --data" in capsys.readouterr().out
    with np.load(path, allow_pickle=False) as file:
        drawn = sprites.draw(50, seed=3, side=16)
        np.testing.assert_array_equal(file["images"], drawn.images)
        np.testing.assert_array_equal(file["factors"], drawn.factors)
    assert load(str(path)).images.shape == (40, 1, 16, 16)
    assert cli.main(["data", "sprites", str(path), "-n", "50"]) == 2
    assert "already there" in capsys.readouterr().err
