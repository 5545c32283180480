"""The objective against the equations of the paper, computed another way."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minigrad as mg
from infogan import objective
from infogan.codes import Code


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_value_is_equation_1():
    real, fake = np.random.default_rng(0).normal(0, 2, (2, 11))
    expected = np.log(sigmoid(real)).mean() + np.log(1 - sigmoid(fake)).mean()
    assert objective.value(mg.Tensor(real), mg.Tensor(fake)).item() == pytest.approx(expected, rel=1e-12)


def test_value_where_d_cannot_tell_and_where_it_is_certain():
    zero, far = mg.Tensor(np.zeros(3)), mg.Tensor(np.full(3, 1000.0))
    assert objective.value(zero, zero).item() == pytest.approx(-2 * math.log(2))
    assert objective.value(far, -far).item() == 0
    assert objective.value(-far, far).item() == -2000


def test_generators_loss_does_not_saturate_where_d_wins():
    fake = mg.tensor(np.full(4, -50.0), requires_grad=True)
    objective.adversarial_loss(fake).backward()
    np.testing.assert_allclose(fake.grad.numpy(), -1 / 4)
    assert objective.adversarial_loss(mg.Tensor(np.zeros(4))).item() == pytest.approx(math.log(2))


def test_information_is_equation_5_and_equals_the_mutual_information_for_the_true_posterior():
    """A noisy channel c -> x over three symbols, its joint law laid out exactly in 1,000 rows."""
    code = Code.parse("cat:3:0.5/0.3/0.2")
    prior = np.array([0.5, 0.3, 0.2])
    channel = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.0, 0.5, 0.5]])
    joint = prior[:, None] * channel
    c_values, x_values = np.divmod(np.repeat(np.arange(9), np.rint(1000 * joint.ravel()).astype(int)), 3)
    posterior = joint / joint.sum(axis=0)
    logits = np.log(np.maximum(posterior, 1e-300)).T[x_values]
    (term,) = objective.information(code, mg.Tensor(logits), mg.Tensor(np.eye(3)[c_values]))
    with np.errstate(divide="ignore", invalid="ignore"):
        each = joint * np.log(joint / (prior[:, None] * joint.sum(axis=0)))
    assert term.item() == pytest.approx(np.nansum(each), rel=1e-9)
    worse = objective.information(code, mg.Tensor(0.5 * logits), mg.Tensor(np.eye(3)[c_values]))
    assert worse[0].item() < term.item()


def test_information_of_a_code_that_g_ignores_is_not_above_zero():
    code = Code.parse("cat:10,uniform")
    rng = np.random.default_rng(1)
    c = mg.Tensor(code.sample(rng, 4000).astype(np.float64))
    blind = np.zeros((4000, code.parameters))
    terms = [t.item() for t in objective.information(code, mg.Tensor(blind), c)]
    assert terms[0] == pytest.approx(0, abs=1e-9)
    assert terms[1] < -0.35


def by_hand(q: np.ndarray, q_moved: np.ndarray) -> float:
    """The mutual information of the symmetrised joint law, summed entry by entry."""
    P = np.mean([np.outer(a, b) for a, b in zip(q, q_moved, strict=True)], axis=0)
    P = (P + P.T) / 2
    return sum(P[i, j] * math.log(P[i, j] / (P[i].sum() * P[:, j].sum())) for i, j in np.ndindex(P.shape))


def test_invariance_is_the_information_between_two_readings():
    code = Code.parse("cat:3,uniform,cat:4")
    readings = np.random.default_rng(2).normal(0, 2, (14, code.parameters))
    q = [np.exp(readings[:, s]) / np.exp(readings[:, s]).sum(axis=1, keepdims=True) for s in (slice(0, 3), slice(4, 8))]
    found = [term.item() for term in objective.invariance(code, mg.Tensor(readings))]
    assert found == pytest.approx([by_hand(p[:7], p[7:]) for p in q], rel=1e-12)
    assert mg.gradcheck(lambda x: sum(objective.invariance(code, x)), mg.tensor(readings, requires_grad=True))


def test_invariance_at_its_ends():
    """log K for sure and even readings that agree; nothing where one category takes all or copies disagree."""
    code = Code.parse("cat:5")
    sure = np.float32(1000) * np.eye(5, dtype=np.float32)[np.arange(20) % 5]
    found = lambda *halves: objective.invariance(code, mg.Tensor(np.concatenate(halves)))[0].item()
    assert found(sure, sure) == pytest.approx(math.log(5), rel=1e-6)
    assert found(sure[:1].repeat(20, axis=0), sure[:1].repeat(20, axis=0)) == pytest.approx(0, abs=1e-6)
    every = np.indices((5, 5)).reshape(2, -1)
    assert found(*(np.float32(1000) * np.eye(5, dtype=np.float32)[e] for e in every)) == pytest.approx(0, abs=1e-6)
    logits = mg.tensor(np.concatenate([sure, sure]), requires_grad=True)
    objective.invariance(code, logits)[0].backward()
    assert np.isfinite(logits.grad.numpy()).all()


def test_each_variable_has_its_own_weight():
    terms = [mg.tensor(np.array(float(i)), requires_grad=True) for i in (1, 2, 3)]
    total = objective.weighted(terms, [0.5, 2.0, 10.0])
    assert total.item() == 34.5
    assert [g.item() for g in mg.grad(total, terms)] == [0.5, 2.0, 10.0]


def test_both_players_gain_by_information():
    V, adversarial, information = (mg.Tensor(np.array(x)) for x in (-1.0, 0.6, 0.25))
    assert objective.discriminator_loss(V, information).item() == 0.75
    assert objective.generator_loss(adversarial, information).item() == pytest.approx(0.35)
