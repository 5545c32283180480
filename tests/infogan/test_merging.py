"""Merging categories by information: made joint laws whose best partition is known."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from infogan import merging


def law(kinds: list[int], within: float, across: float) -> np.ndarray:
    """Categories of one kind are taken for each other with weight `within`, others with `across`, itself with 1."""
    same = np.equal.outer(kinds, kinds)
    P = np.where(np.eye(len(kinds), dtype=bool), 1.0, np.where(same, within, across))
    return P / P.sum()


def partition(group: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(group == g).tolist()) for g in group}


def test_information_of_two_readings():
    q = np.eye(4)[np.arange(8) % 4]
    assert merging.information(merging.joint(q, q)) == pytest.approx(math.log(4))
    assert merging.information(merging.joint(q, np.full((8, 4), 0.25))) == pytest.approx(0, abs=1e-12)
    uneven = merging.joint(np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([[0.8, 0.2], [0.1, 0.9]]))
    np.testing.assert_allclose(uneven, uneven.T)
    assert uneven.sum() == pytest.approx(1)
    p = uneven.sum(axis=0)
    expected = sum(uneven[i, j] * math.log(uneven[i, j] / (p[i] * p[j])) for i, j in product(range(2), repeat=2))
    assert merging.information(uneven) == pytest.approx(expected)


def test_categories_taken_for_each_other_are_merged():
    kinds = [2, 0, 1, 0, 2, 3, 1, 3]
    group = merging.merge(law(kinds, within=0.3, across=0.02), 4)
    assert partition(group) == partition(np.array(kinds))
    assert sorted(set(group.tolist())) == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(4))
def test_no_other_partition_of_a_small_law_is_worth_more(seed):
    rng = np.random.default_rng(seed)
    P = rng.uniform(0, 1, (6, 6)) ** 3 + 2 * np.diag(rng.uniform(0.2, 1, 6))
    P = (P + P.T) / (2 * P.sum())
    found = merging.worth(merging.merged(P, merging.merge(P, 3), 3))
    groups = (np.array(g) for g in product(range(3), repeat=6) if len(set(g)) == 3)
    assert found == pytest.approx(max(merging.worth(merging.merged(P, g, 3)) for g in groups), rel=0.02)


def test_nothing_to_merge_changes_nothing():
    assert sorted(merging.merge(law([0, 1, 2], 0, 0.1), 3).tolist()) == [0, 1, 2]


def test_of_two_unions_that_keep_nearly_as_much_the_more_even_is_made():
    """The last category is taken for the first a little more often than for the second, but the first is larger."""
    P = np.diag([0.45, 0.35, 0.1]) + np.array([[0, 0, 0.03], [0, 0, 0.02], [0.03, 0.02, 0]])
    P /= P.sum()
    uneven, even = (merging.merged(P, np.array(group), 2) for group in ([0, 1, 0], [0, 1, 1]))
    assert merging.information(uneven) > merging.information(even)
    assert partition(merging.merge(P, 2)) == partition(np.array([0, 1, 1]))


def test_worth_is_information_and_evenness():
    P = np.diag([0.5, 0.25, 0.25])
    entropy = 0.5 * math.log(2) + 0.5 * math.log(4)
    assert merging.worth(P) == pytest.approx((1 + merging.EVENNESS) * entropy)
