"""Moved copies: small movements, each its own, with what a picture shows kept."""

from __future__ import annotations

import numpy as np

from infogan.moved import ROTATION, SCALE, SHEAR, SHIFT, moved
from minigrad import random

SIZE = 29


def bars(count: int, channels: int = 1) -> np.ndarray:
    """An upright bar in the middle of each picture."""
    images = np.zeros((count, channels, SIZE, SIZE), np.float32)
    images[:, :, 6:23, 13:16] = 1
    return images


def axis(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (row, column) of the ink, and its lean in radians from the upright."""
    rows, columns = np.indices(image.shape)
    weight = image / image.sum()
    centre = np.array([(weight * rows).sum(), (weight * columns).sum()])
    covariance = (weight * (rows - centre[0]) * (columns - centre[1])).sum()
    return centre, np.arctan2(covariance, (weight * (rows - centre[0]) ** 2).sum())


def test_movements_stay_in_their_ranges_and_fill_them():
    copies = moved(bars(400), random.stream(0, "test"))[:, 0]
    centres, leans = zip(*(axis(copy) for copy in copies), strict=True)
    shifts = np.abs(np.array(centres) - (SIZE - 1) / 2)
    far = SHIFT * SIZE * (1 + SCALE) * (1 + SHEAR) / (1 - SCALE)  # a shift is seen through slant and scale
    assert shifts.max() < far * np.sqrt(2)
    assert shifts.max() > 0.7 * SHIFT * SIZE
    most = ROTATION + np.arctan(SHEAR * (1 + SCALE) / (1 - SCALE))
    assert 0.6 * most < np.abs(leans).max() < most
    assert abs(np.mean(leans)) < 0.03
    ink = copies.sum(axis=(1, 2)) / bars(1).sum()
    assert (1 / ink > (1 - SCALE) ** 2 * 0.9).all()
    assert (1 / ink < (1 + SCALE) ** 2 * 1.1).all()


def test_copies_differ_from_each_other_and_the_stream_alone_decides():
    images = bars(3)
    first, again = (moved(images, random.stream(5, "test", 1)) for _ in range(2))
    other = moved(images, random.stream(5, "test", 2))
    assert (first == again).all()
    assert (first != other).any()
    assert (first[0] != first[1]).any()
    assert (images == bars(3)).all()


def test_shape_type_and_range_are_kept_and_channels_move_together():
    images = np.random.default_rng(0).uniform(0, 1, (5, 1, 8, 12)).astype(np.float32).repeat(3, axis=1)
    copies = moved(images, random.stream(0, "test"))
    assert (copies.shape, copies.dtype) == (images.shape, np.float32)
    assert copies.min() >= 0
    assert copies.max() <= 1
    assert (copies[:, :1] == copies).all()


def test_a_plain_picture_stays_plain_to_its_edges():
    copies = moved(np.full((20, 1, 8, 8), 0.6, np.float32), random.stream(0, "test"))
    np.testing.assert_allclose(copies, 0.6, rtol=1e-6)
