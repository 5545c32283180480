"""The latent code: its syntax, and its numbers against SciPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import minigrad as mg
from infogan.codes import Categorical, Code, Normal, Uniform
from infogan.errors import InputError

EVERY = "cat:4,cat:3:0.5/0.25/0.25,uniform,uniform:2:5,normal,normal:-1:0.5"


def test_the_papers_code():
    code = Code.parse("cat:10,uniform,uniform")
    assert [type(v) for v in code] == [Categorical, Uniform, Uniform]
    assert code.names == ["c1", "c2", "c3"]
    assert (code.width, code.parameters) == (12, 12)
    assert code.columns == [slice(0, 10), slice(10, 11), slice(11, 12)]
    assert code.entropy == pytest.approx([math.log(10), math.log(2), math.log(2)])
    assert code["c2"].limit == pytest.approx(-0.2258, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("4xcat:10,2xuniform", "cat:10,cat:10,cat:10,cat:10,uniform,uniform"),
        (" cat:2 , normal ", "cat:2,normal"),
        ("cat:2:0.25/0.75", "cat:2:0.25/0.75"),
        ("uniform:-1:1,normal:0:1", "uniform,normal"),
        ("uniform:0.1:0.30000000000000004", "uniform:0.1:0.30000000000000004"),
        ("normal:-1:2", "normal:-1.0:2.0"),
    ],
)
def test_syntax_and_its_canonical_form(text, spec):
    code = Code.parse(text)
    assert code.spec == spec
    assert Code.parse(code.spec).variables == code.variables


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("", "cat:K"),
        ("cat", "cat:10"),
        ("cat:1", "2 or more"),
        ("cat:ten", "cat:10"),
        ("cat:3:0.5/0.5", "3"),
        ("cat:2:0.5/0.6", "sum"),
        ("cat:2:1/0", "above 0"),
        ("cat:2:nan/1", "finite"),
        ("cat:2:a/b", "finite"),
        ("uniform:1", "uniform:-1:1"),
        ("uniform:1:-1", "uniform:-1:1"),
        ("uniform:0:inf", "finite"),
        ("normal:0:0", "normal:0:1"),
        ("normal:1:2:3", "normal:0:1"),
        ("gauss", "normal[:mean:std]"),
        ("0xcat:10", "1 to"),
        ("99999xuniform", "1 to"),
        ("cat:10,,uniform", "cat:K"),
        ("cat:10;uniform", "cat:10"),
    ],
)
def test_a_wrong_code_is_one_line_that_says_what_is_right(text, right):
    with pytest.raises(InputError) as caught:
        Code.parse(text)
    assert right in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_status == 2


def test_samples_have_the_distribution_they_say():
    n = 20_000
    code = Code.parse(EVERY)
    c = code.sample(np.random.default_rng(0), n)
    assert c.shape == (n, code.width)
    assert c.dtype == np.float32
    parts = [c[:, s] for s in code.columns]
    for variable, part in zip(code.variables[:2], parts[:2], strict=True):
        assert set(np.unique(part)) == {0.0, 1.0}
        assert (part.sum(axis=1) == 1).all()
        assert stats.chisquare(part.sum(axis=0), n * np.asarray(variable.p)).pvalue > 1e-3
    for part, law in zip(
        parts[2:],
        [stats.uniform(-1, 2), stats.uniform(2, 3), stats.norm(), stats.norm(-1, 0.5)],
        strict=True,
    ):
        assert stats.kstest(part[:, 0], law.cdf).pvalue > 1e-3
    assert np.abs(np.corrcoef(np.stack([p[:, 0] for p in parts]))[~np.eye(6, dtype=bool)]).max() < 0.03


def test_entropy_is_minus_the_mean_of_log_prob():
    code = Code.parse(EVERY)
    c = code.sample(np.random.default_rng(1), 50_000)
    each = [v.log_prob(c[:, s]) for v, s in zip(code, code.columns, strict=True)]
    np.testing.assert_allclose(-np.mean(each, axis=1), code.entropy, atol=0.02)
    np.testing.assert_allclose(code.log_prob(c), np.sum(each, axis=0))
    assert code["c6"].entropy == pytest.approx(float(stats.norm(-1, 0.5).entropy()))
    assert code["c2"].entropy == pytest.approx(float(stats.entropy([0.5, 0.25, 0.25])))


def test_log_prob_outside_a_uniform_codes_range_is_minus_infinity():
    assert Uniform(2, 5).log_prob(np.array([[1.9], [3.0]])).tolist() == [-math.inf, -math.log(3)]


def test_log_q_of_a_categorical_code_takes_logits():
    rng = np.random.default_rng(2)
    logits, values = rng.normal(0, 5, (7, 4)), rng.integers(0, 4, 7)
    found = Categorical((0.25,) * 4).log_q(mg.Tensor(logits), mg.Tensor(np.eye(4)[values]))
    exact = np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))[np.arange(7), values]
    np.testing.assert_allclose(found.numpy(), exact, rtol=1e-12)


def test_log_q_of_a_continuous_code_is_a_gaussians():
    rng = np.random.default_rng(3)
    c, mean, raw = rng.normal(size=(3, 9, 1))
    fixed = Uniform().log_q(mg.Tensor(mean), mg.Tensor(c)).numpy()
    np.testing.assert_allclose(fixed, stats.norm(mean[:, 0], 1).logpdf(c[:, 0]), rtol=1e-12)
    learned = Normal(sigma=None, floor=0.2)
    sigma = 0.2 + np.log1p(np.exp(raw[:, 0]))
    parameters = np.concatenate([mean, raw], axis=1)
    found = learned.log_q(mg.Tensor(parameters), mg.Tensor(c)).numpy()
    np.testing.assert_allclose(found, stats.norm(mean[:, 0], sigma).logpdf(c[:, 0]), rtol=1e-12)
    np.testing.assert_allclose(learned.posterior(parameters), np.stack([mean[:, 0], sigma], axis=1))


def test_log_q_is_differentiable_in_parameters_and_codes():
    code = Code.parse("cat:3,uniform,normal", sigma=None)
    rng = np.random.default_rng(4)
    parameters = mg.tensor(rng.normal(size=(5, code.parameters)), requires_grad=True)
    c = mg.tensor(code.sample(rng, 5).astype(np.float64), requires_grad=True)
    assert mg.gradcheck(lambda p, c: sum(code.log_q(p, c)), (parameters, c))


def test_a_learned_deviation_has_a_floor():
    learned = Uniform(sigma=None, floor=0.1)
    parameters = mg.tensor(np.array([[0.3, -1000.0]]), requires_grad=True)
    learned.log_q(parameters, mg.Tensor(np.array([[0.5]]))).sum().backward()
    assert learned.posterior(parameters.detach().numpy())[0, 1] == 0.1
    assert parameters.grad.numpy()[0, 0] == pytest.approx(0.2 / 0.1**2)
    assert learned.limit == pytest.approx(math.log(2) + stats.norm(0, 0.1).logpdf(0))


def test_the_bound_of_a_continuous_code_fits_sigma():
    rng = np.random.default_rng(5)
    c = rng.uniform(-1, 1, (1000, 1))
    mean = c + rng.normal(0, 0.1, c.shape)
    best = max(stats.norm(mean[:, 0], s).logpdf(c[:, 0]).mean() for s in np.linspace(0.05, 0.2, 1501))
    assert Uniform().bound(mean, c) == pytest.approx(best + math.log(2), abs=1e-5)
    assert Uniform().residual(mean, c) == pytest.approx(0.1, rel=0.05)
    assert math.isfinite(Uniform().bound(c, c))


def test_the_bound_of_a_categorical_code_reaches_its_entropy_and_no_further():
    variable = Categorical((0.5, 0.25, 0.25))
    c = variable.sample(np.random.default_rng(6), 400)
    assert variable.bound(c * 1000, c) == pytest.approx(variable.entropy)
    assert variable.bound(np.zeros_like(c), c) == pytest.approx(variable.entropy - math.log(3))


def test_posterior_by_name():
    code = Code.parse("cat:3,uniform")
    found = code.posterior(np.array([[0.0, 1.0, 2.0, 0.7]]))
    np.testing.assert_allclose(found["c1"], np.exp([[0, 1, 2]]) / np.exp([0, 1, 2]).sum())
    np.testing.assert_allclose(found["c2"], [[0.7, 1.0]])


def test_holding_a_code_leaves_the_others():
    code = Code.parse("cat:3,uniform")
    c = code.sample(np.random.default_rng(7), 6)
    held = code.fix(code.fix(c, "c1", 2), "c2", -0.5)
    assert (held[:, :3] == [0, 0, 1]).all()
    assert (held[:, 3] == -0.5).all()
    assert (code.fix(c, "c1", 2)[:, 3] == c[:, 3]).all()


@pytest.mark.parametrize(("name", "value"), [("c1", 3), ("c1", -1), ("c1", 0.5), ("c2", math.nan), ("c9", 0)])
def test_a_value_no_code_can_take_is_named(name, value):
    code = Code.parse("cat:3,uniform")
    with pytest.raises(InputError, match=name):
        code.fix(code.sample(np.random.default_rng(8), 2), name, value)
