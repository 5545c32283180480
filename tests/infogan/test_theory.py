"""The theory by numbers: exact values against closed forms, the bound below them, the lemma and its misprint."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

import minigrad as mg
from infogan import objective, theory
from infogan.codes import Normal, Uniform

CELLS = theory.Cells((0.4, 0.3, 0.2, 0.1), ((0, 1, 2, 3), (0, 2, 2, 4), (1, 1, 3, 4)))
MIXTURE = theory.Mixture((0.5, 0.3, 0.2), (-1.5, 0.0, 1.5), 0.6)
UNIFORM = theory.Line(Uniform(sigma=None), 0.3)
NORMAL = theory.Line(Normal(sigma=None), 0.5)
TOYS = {"cells": CELLS, "mixture": MIXTURE, "uniform": UNIFORM, "normal": NORMAL}


def every_toy(function):
    return pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS)(function)


def readings(toy: theory.Toy) -> dict[str, theory.Reading]:
    return {
        "truth": toy.log_posterior,
        "prior": theory.prior(toy),
        "unsure": theory.tempered(toy, 0.5),
        "too sure": theory.tempered(toy, 3.0),
    }


# --- the toys are what they say


@every_toy
def test_table_is_a_distribution_with_the_prior_as_its_margin(toy):
    table = toy.table()
    assert table.mass.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(table.mass.sum(axis=1), np.exp(toy.log_prior(table.c)) * table.cell, rtol=1e-9)


@every_toy
def test_table_is_the_law_of_what_the_generator_makes(toy):
    """Means of c, x, x² and cx by the table and over draws."""
    c, x = toy.sample(np.random.default_rng(0), 40_000)
    table = toy.table()
    for of in (lambda c, x: c, lambda c, x: x, lambda c, x: x * x, lambda c, x: c * x):
        exact = (table.mass * of(table.c[:, None], table.x)).sum()
        mean, error = theory.estimate(of(c, x).astype(np.float64))
        assert abs(mean - exact) < 4 * error


@every_toy
def test_posterior_is_one_thing_by_table_and_by_bayes(toy):
    table = toy.table()
    with np.errstate(invalid="ignore"):
        by_bayes = np.exp(table.read(toy.log_posterior))
    seen = table.mass.sum(axis=0) > 1e-12
    np.testing.assert_allclose(by_bayes[:, seen], table.posterior[:, seen], rtol=1e-6, atol=1e-12)


def test_evidence_of_a_uniform_code_is_a_difference_of_error_functions():
    x = np.linspace(-2, 2, 9)
    ends = [[math.erf((v + end) / (0.3 * math.sqrt(2))) for end in (1, -1)] for v in x]
    np.testing.assert_allclose(np.exp(UNIFORM.log_evidence(x)), [(a - b) / 4 for a, b in ends], rtol=1e-9)


# --- information


def test_information_of_a_small_table_by_hand():
    """c in two, x in two, agreeing with probability 3/4: ln 2 − H(1/4)."""
    toy = theory.Cells((0.5, 0.5), ((0, 1), (0, 1), (0, 1), (1, 0)))
    expected = math.log(2) + 0.25 * math.log(0.25) + 0.75 * math.log(0.75)
    assert theory.exact_information(toy.table()) == pytest.approx(expected, rel=1e-12)


def test_information_at_its_ends():
    tells_all = theory.Cells((0.2, 0.3, 0.5), ((2, 0, 1),))
    assert theory.exact_information(tells_all.table()) == pytest.approx(tells_all.variable.entropy)
    ignored = theory.Cells((0.2, 0.8), ((0, 0), (1, 1)))
    assert theory.exact_information(ignored.table()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("deviation", [0.05, 0.5, 3.0])
def test_information_of_a_normal_code_is_the_closed_form(deviation):
    table = theory.Line(Normal(), deviation).table()
    assert theory.exact_information(table) == pytest.approx(0.5 * math.log(1 + deviation**-2), rel=1e-9)


def test_information_of_a_continuous_code_passes_its_entropy():
    """H(c) = ln 2 of Unif(−1, 1) is a ceiling for no bound."""
    assert theory.exact_information(theory.Line(Uniform(), 0.1).table()) > 1.5 > math.log(2)


def test_entropy():
    assert theory.entropy(np.full(10, 0.1)) == pytest.approx(math.log(10))
    assert theory.entropy(np.array([0.0, 1.0])) == 0


# --- the bound


@every_toy
def test_bound_is_below_information_by_the_expected_divergence(toy):
    information = theory.exact_information(toy.table())
    for name, reading in readings(toy).items():
        bound, divergence = theory.exact_bound(toy, reading), theory.expected_kl(toy, reading)
        assert information - bound == pytest.approx(divergence, abs=1e-9), name
        assert divergence > 0.003 or name == "truth"


@every_toy
def test_bound_of_the_true_posterior_is_the_information(toy):
    information = theory.exact_information(toy.table())
    assert theory.exact_bound(toy, toy.log_posterior) == pytest.approx(information, abs=1e-9)
    assert theory.expected_kl(toy, toy.log_posterior) == pytest.approx(0, abs=1e-9)


@every_toy
def test_bound_of_a_reader_that_does_not_look_is_nothing(toy):
    assert theory.exact_bound(toy, theory.prior(toy)) == pytest.approx(0, abs=1e-9)


@every_toy
def test_sampled_bound_is_the_exact_one_and_not_above_information(toy):
    information = theory.exact_information(toy.table())
    for number, reading in enumerate(readings(toy).values()):
        mean, error = theory.sampled_bound(toy, reading, np.random.default_rng(number), 10_000)
        assert abs(mean - theory.exact_bound(toy, reading)) < 4 * error + 1e-9
        assert mean < information + 4 * error + 1e-9


@every_toy
def test_readings_are_densities(toy):
    """A Q that summed to more than 1 would pass the information."""
    table = toy.table()
    seen = table.mass.sum(axis=0) > 1e-12
    for reading in readings(toy).values():
        with np.errstate(invalid="ignore"):
            total = (np.exp(table.read(reading)) * table.cell[:, None]).sum(axis=0)
        np.testing.assert_allclose(total[seen], 1, rtol=1e-6)


def test_posterior_of_another_generator_is_a_wrong_reading():
    other = theory.Mixture(MIXTURE.p, MIXTURE.means[::-1], MIXTURE.deviation)
    assert theory.exact_bound(MIXTURE, other.log_posterior) < -1
    assert theory.expected_kl(MIXTURE, other.log_posterior) == pytest.approx(
        theory.exact_information(MIXTURE.table()) - theory.exact_bound(MIXTURE, other.log_posterior)
    )


def test_gaussian_readings_of_continuous_codes():
    """With σ = 1 the bound never passes H(c) − ½ ln 2π; for a normal code σ² = 1 / (1 + 1/deviation²) is the truth."""
    best = theory.gaussian(NORMAL, math.sqrt(1 / (1 + 4)))
    assert theory.exact_bound(NORMAL, best) == pytest.approx(theory.exact_information(NORMAL.table()), abs=1e-9)
    fixed = theory.exact_bound(UNIFORM, theory.gaussian(UNIFORM, 1.0))
    assert fixed < math.log(2) - 0.5 * math.log(2 * math.pi) == pytest.approx(-0.226, abs=5e-4)


@pytest.mark.parametrize("toy", [CELLS, MIXTURE], ids=["cells", "mixture"])
def test_objective_computes_this_bound(toy):
    """The training's own L_I, from Q's logits, on the draws that `sampled_bound` takes."""
    c, x = toy.sample(np.random.default_rng(3), 500)
    reading = theory.tempered(toy, 0.7)
    logits = np.stack([reading(np.full(500, k), x) for k in range(len(toy.p))], axis=1)
    logits = np.maximum(logits, -1e4)  # a logit of −∞ times an unchosen 0 is no number
    (term,) = objective.information(toy.code, mg.Tensor(logits), mg.Tensor(toy.rows(c).astype(np.float64)))
    sampled = theory.sampled_bound(toy, reading, np.random.default_rng(3), 500)
    assert term.item() == pytest.approx(sampled.mean, rel=1e-9)


@pytest.mark.parametrize("name, left", [("cells", 0.02), ("mixture", 0.005), ("normal", 0.02)])
def test_training_closes_the_gap_where_q_can_say_the_truth(name, left):
    learner = theory.Learner(TOYS[name], batch_size=256)
    begun = theory.expected_kl(TOYS[name], learner.log_q)
    for _ in range(400):
        learner.advance()
    ended = theory.expected_kl(TOYS[name], learner.log_q)
    assert begun > 0.5 and 0 <= ended < left


def test_training_cannot_close_the_gap_where_q_cannot_say_the_truth():
    learner = theory.Learner(UNIFORM, batch_size=256)
    for _ in range(200):
        learner.advance()
    assert 0.1 < theory.expected_kl(UNIFORM, learner.log_q) < 0.2


def test_training_is_repeatable_and_its_steps_are_bounds():
    first, again, other = theory.Learner(MIXTURE), theory.Learner(MIXTURE), theory.Learner(MIXTURE, seed=1)
    steps = [first.advance() for _ in range(20)]
    assert steps == [again.advance() for _ in range(20)] != [other.advance() for _ in range(20)]
    information = theory.exact_information(MIXTURE.table())
    assert theory.exact_bound(MIXTURE, first.log_q) < information


# --- the lemma


def tables(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(4)
    shapes = rng.integers(2, 6, (count, 2)).tolist()
    return [(rng.dirichlet(np.ones(a * b)).reshape(a, b), rng.normal(size=(a, b))) for a, b in shapes]


def test_lemma_holds_on_any_table_and_its_misprint_on_none():
    """Fails if x' is drawn as the misprint has it."""
    for joint, f in tables(100):
        assert theory.lemma_right(joint, f) == pytest.approx(theory.lemma_left(joint, f), abs=1e-12)
        assert abs(theory.lemma_misprinted(joint, f) - theory.lemma_left(joint, f)) > 1e-6


def test_counter_example_to_the_misprint():
    joint, f = theory.together()
    assert theory.lemma_left(joint, f) == theory.lemma_right(joint, f) == 1
    assert theory.lemma_misprinted(joint, f) == 0


def test_misprint_holds_where_the_variables_are_independent():
    rng = np.random.default_rng(5)
    joint, f = np.outer(rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(4))), rng.normal(size=(3, 4))
    assert theory.lemma_misprinted(joint, f) == pytest.approx(theory.lemma_left(joint, f))


def test_lemma_by_drawing():
    for number, (joint, f) in enumerate([theory.together(), *tables(5)]):
        drawn = theory.sampled_lemma(joint, f, np.random.default_rng(number), 40_000)
        for side, exact in (
            ("left", theory.lemma_left(joint, f)),
            ("right", theory.lemma_right(joint, f)),
            ("misprinted", theory.lemma_misprinted(joint, f)),
        ):
            assert abs(drawn[side].mean - exact) < 4 * drawn[side].error + 1e-9


def test_drawing_skips_what_cannot_be():
    """y = 1 never happens, and x = 0 never with y = 2."""
    joint = np.array([[0.25, 0.0, 0.0], [0.25, 0.0, 0.5]])
    f = np.array([[1.0, np.nan, np.nan], [2.0, np.nan, 3.0]])
    drawn = theory.sampled_lemma(joint, f, np.random.default_rng(6), 2000)
    assert drawn["right"].mean == pytest.approx(2.25, abs=0.1) and math.isnan(drawn["misprinted"].mean)


def test_lemma_gives_the_bound_of_the_paper():
    """With X = c, Y = x, f = log Q: the c that made x may stand for a draw from the posterior, not from the prior."""
    table, log_q = CELLS.table(), CELLS.table().read(theory.tempered(CELLS, 0.5))
    log_q = np.where(np.isfinite(log_q), log_q, -50.0)  # Q = 0 where no z makes x from c
    entropy = CELLS.variable.entropy
    right = theory.lemma_right(table.mass, log_q) + entropy
    assert right == pytest.approx(theory.exact_bound(CELLS, theory.tempered(CELLS, 0.5)))
    assert theory.lemma_misprinted(table.mass, log_q) + entropy < -10


# --- what it needs


def test_numpy_alone_is_needed():
    """A reader's browser has no compiler, no SciPy and no pydantic."""
    program = "import sys, infogan.theory; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["numba", "scipy", "pydantic", "safetensors", "matplotlib", "sklearn", "cupy", "tqdm", "PIL"]
    done = subprocess.run([sys.executable, "-c", program, *heavy], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
