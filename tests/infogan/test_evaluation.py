"""Metrics of plain arrays on cases whose value is known, and the evaluation of a tiny run."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.stats import spearmanr

from infogan.evaluation import clustering, meaning, moments

# --- categories against labels


def test_perfect_categories_under_any_names():
    labels = np.repeat(np.arange(10), 7)
    names = np.array([3, 8, 0, 1, 9, 2, 7, 4, 6, 5])
    found = clustering.scores(names[labels], labels, 10)
    assert found["accuracy_hungarian"] == found["accuracy_majority"] == 1
    assert found["nmi"] == pytest.approx(1) and found["ari"] == pytest.approx(1)
    np.testing.assert_array_equal(np.array(found["mapping"])[names], np.arange(10))


def test_two_categories_of_one_class_tell_the_matchings_apart():
    # categories 0 and 1 are both class 0, category 2 holds classes 1 and 2
    categories = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2])
    found = clustering.scores(categories, labels, 3)
    assert found["accuracy_majority"] == pytest.approx(7 / 9)
    assert found["accuracy_hungarian"] == pytest.approx(5 / 9)
    assert found["mapping"][0] == 0 and sorted(found["mapping"]) == [0, 1, 2]


def test_greedy_matching_would_be_worse():
    # greedy takes (0, 0) with 5 and is left with 0; the best is 4 + 4
    assert clustering.hungarian(np.array([[5, 4], [4, 0]])) == (8 / 13, [1, 0])


def test_more_categories_than_classes_leaves_some_over():
    categories = np.array([0, 0, 1, 1, 1, 2])
    labels = np.array([0, 0, 1, 1, 1, 1])
    found = clustering.scores(categories, labels, 4)
    assert found["mapping"] == [0, 1, None, None]
    assert found["accuracy_hungarian"] == pytest.approx(5 / 6) and found["accuracy_majority"] == 1


def test_categories_that_say_nothing():
    draw = np.random.default_rng(0)
    found = clustering.scores(draw.integers(0, 10, 20_000), draw.integers(0, 10, 20_000), 10)
    assert found["ari"] == pytest.approx(0, abs=0.002) and found["nmi"] == pytest.approx(0, abs=0.002)
    assert found["accuracy_hungarian"] == pytest.approx(0.1, abs=0.02)


# --- what pictures look like


def drawn(start: tuple[float, float], end: tuple[float, float], thickness: int) -> np.ndarray:
    """A straight stroke on 56 × 56 pixels, drawn eight times as large and averaged: soft edges."""
    big = Image.new("L", (448, 448))
    ImageDraw.Draw(big).line([(8 * start[0], 8 * start[1]), (8 * end[0], 8 * end[1])], 255, 8 * thickness)
    return np.asarray(big.resize((56, 56), Image.Resampling.BOX), dtype=np.float32)[None] / 255


def block(rows: int, columns: int) -> np.ndarray:
    picture = np.zeros((1, 40, 40))
    picture[0, 5 : 5 + rows, 5 : 5 + columns] = 1
    return picture


def sheared(picture: np.ndarray, columns_per_row: int) -> np.ndarray:
    out = np.zeros((1, 40, 200))
    for row in range(40):
        at = 100 + columns_per_row * (row - 20)
        out[0, row, at : at + 40] = picture[0, row]
    return out


def test_moments_of_a_block_are_those_of_the_formula():
    # the variance of n even pixels is (n² − 1)/12
    assert moments.width(block(20, 10)) == pytest.approx(np.sqrt((100 - 1) / (400 - 1)))
    assert moments.slant(block(20, 10)) == pytest.approx(0)


@pytest.mark.parametrize("shear", [-2, 1, 2])
def test_slant_is_the_shear_and_width_ignores_it(shear):
    upright = block(20, 10)
    assert moments.slant(sheared(upright, shear)) == pytest.approx(shear)
    assert moments.width(sheared(upright, shear)) == pytest.approx(moments.width(upright))


def test_moments_do_not_depend_on_place_or_brightness():
    draw = np.random.default_rng(1)
    picture = np.zeros((1, 30, 30))
    picture[0, 4:14, 5:12] = draw.random((10, 7))
    moved = 0.3 * np.roll(picture, (9, 11), axis=(1, 2))
    for measure in (moments.slant, moments.width):
        np.testing.assert_allclose(measure(moved), measure(picture))


@pytest.mark.parametrize("end", [(28, 48), (48, 28), (44, 44), (36, 46), (12, 44)])
@pytest.mark.parametrize("thickness", [2, 4, 6])
def test_stroke_is_the_thickness_in_any_direction(end, thickness):
    start = (56 - end[0], 56 - end[1])
    length = np.hypot(end[0] - start[0], end[1] - start[1])
    picture = drawn(start, end, thickness)
    measured, thickness = moments.stroke(picture)[0], picture.sum() / length
    # a skeleton may end half a thickness before either end of the stroke, and a path along the grid is up to
    # 8 % longer than the line it follows: 1/cos(22.5°) = 1.082
    assert thickness / 1.1 < measured < 1.02 * thickness * length / (length - thickness)


def test_stroke_of_several_pictures_is_that_of_each():
    pictures = [drawn((28, 8), (28, 48), t) for t in (2, 3, 5)] + [
        np.zeros((1, 56, 56)),
        np.ones((1, 56, 56)),
    ]
    together = moments.stroke(np.concatenate(pictures))
    np.testing.assert_array_equal(together, np.concatenate([moments.stroke(p) for p in pictures]))
    assert together[0] < together[1] < together[2] and np.isnan(together[3])


def test_an_empty_picture_has_no_properties():
    for measure in moments.PROPERTIES.values():
        assert np.isnan(measure(np.zeros((2, 8, 8)))).all()


# --- what codes mean


def test_rho_is_the_mean_of_signed_spearman_correlations():
    sweeps = np.random.default_rng(2).integers(0, 6, (30, 21)).astype(float)  # with ties
    expected = abs(np.mean([spearmanr(np.arange(21), s).statistic for s in sweeps]))
    assert meaning.rho(sweeps) == pytest.approx(expected)


def test_rho_of_known_sweeps():
    up = np.arange(5.0)
    assert meaning.rho(np.stack([up, up**3])) == pytest.approx(1)
    assert meaning.rho(np.stack([-up, -np.exp(up)])) == pytest.approx(1)
    assert meaning.rho(np.stack([up, -up])) == pytest.approx(0)
    assert meaning.rho(np.stack([up, np.zeros(5)])) == pytest.approx(0.5)


def test_effect_is_range_over_spread():
    sweeps = np.array([[0.0, 4, 2], [1, 1, 3], [0, 100, 0]])
    assert meaning.effect(sweeps, 2.0) == 2
    values = np.array([0.0, 2, 10, 14, np.nan])
    assert meaning.within_class_deviation(values, np.array([0, 0, 3, 3, 3])) == pytest.approx(np.sqrt(2.5))


def test_sweeps_without_the_property_are_left_out():
    sweeps = np.array([[0.0, 1, 2], [np.nan, 5, 0]])
    assert meaning.follow(sweeps, 1.0) == {"rho": pytest.approx(1), "effect": 2, "sweeps": 1}
    assert meaning.follow(sweeps[1:], 1.0) == {"rho": None, "effect": None, "sweeps": 0}


def test_codes_are_assigned_one_property_each():
    effects = {
        "c2": {"slant": 2.0, "width": 1.0, "stroke": 0.1},
        "c3": {"slant": 2.2, "width": 0.1, "stroke": None},
    }
    found = meaning.assign(effects)
    assert found["c2"] == {"property": "width", "cross": pytest.approx(0.1)}
    assert found["c3"] == {"property": "slant", "cross": pytest.approx(2.0 / 2.2)}
    assert meaning.assign({"c2": effects["c2"]})["c2"] == {"property": "slant", "cross": None}
