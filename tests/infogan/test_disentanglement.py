"""Metrics of disentanglement where their value is known: the factors themselves, mixtures, constants, noise."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from made_runs import make_run

from infogan import cli, evaluation
from infogan.data import sprites
from infogan.evaluation.disentanglement import METRICS, scores

RNG = np.random.default_rng(5)
N = 3000
BINARY = RNG.integers(0, 2, (N, 4))
FIVE = RNG.integers(0, 5, (N, 3))
NOISE = RNG.normal(size=(N, 4))


def test_factors_as_codes_in_any_order_scale_and_sign_score_one():
    codes = np.stack([-3.0 * BINARY[:, 2], 1e4 * BINARY[:, 0] + 7, BINARY[:, 3], 1e-3 * BINARY[:, 1]], axis=1)
    found = scores(codes, BINARY)
    assert list(found) == list(METRICS)
    assert found == pytest.approx(dict.fromkeys(METRICS, 1.0), abs=2e-3)
    assert scores(codes, 10.5 * BINARY - 3) == found  # a factor's values are names


def test_idle_codes_beside_the_right_ones_cost_nothing():
    found = scores(np.hstack([BINARY, np.full((N, 2), 0.25)]), BINARY)
    assert found == pytest.approx(dict.fromkeys(METRICS, 1.0), abs=2e-3)


def test_constant_codes_score_nothing():
    assert scores(np.full((N, 3), 0.1), FIVE) == dict.fromkeys(METRICS, 0.0)


def test_noise_scores_chance():
    """1/k for what names the factor held, 0 for the rest; modularity has no such value and is near what k allows."""
    found = scores(NOISE, FIVE)
    assert found["factor_vae"] == pytest.approx(1 / 3, abs=0.06)
    assert found["beta_vae"] == pytest.approx(1 / 3, abs=0.06)
    for metric in ("mig", "sap", "disentanglement", "completeness", "informativeness"):
        assert found[metric] == pytest.approx(0, abs=0.02), metric
    assert found["explicitness"] == pytest.approx(0, abs=0.04)
    accuracy = evaluation.dci(NOISE, FIVE, unordered=(0, 1, 2))["informativeness"]
    assert accuracy == pytest.approx(1 / 5, abs=0.03)


def test_a_quarter_turn_of_two_codes_is_told_by_both():
    """c = (u + v, u − v)/√2 of two even factors: every score of one code per factor falls, what is known does not."""
    factors = RNG.integers(0, 8, (N, 2))
    turned = (factors - 3.5) @ np.array([[1, 1], [1, -1]]) / math.sqrt(2)
    found = scores(turned, factors)
    assert found["sap"] == pytest.approx(0, abs=0.05)  # each correlates with each at √½
    assert found["mig"] == pytest.approx(0, abs=0.05)
    assert found["modularity"] == pytest.approx(0, abs=0.05)
    assert found["disentanglement"] < 0.1 and found["completeness"] < 0.1
    assert found["informativeness"] > 0.95
    assert found["factor_vae"] < 0.65


def test_one_code_for_two_factors_is_no_disentanglement_and_two_codes_for_one_no_completeness():
    both = BINARY[:, :1] + 2 * BINARY[:, 1:2]
    shared = scores(both, BINARY[:, :2])
    assert shared["modularity"] == pytest.approx(0, abs=2e-3)
    assert shared["disentanglement"] == pytest.approx(0, abs=0.02)
    assert shared["mig"] == pytest.approx(1)  # each factor has its code: the gap asks no more
    assert shared["factor_vae"] == pytest.approx(0.5, abs=0.05)
    twice = np.hstack([FIVE[:, :1], -FIVE[:, :1], FIVE[:, 1:]])
    assert evaluation.mig(twice, FIVE) == pytest.approx(2 / 3, abs=0.01)
    assert evaluation.sap(twice, FIVE) == pytest.approx(2 / 3, abs=0.01)
    assert evaluation.modularity(twice, FIVE) == pytest.approx(1, abs=0.01)
    found = evaluation.dci(twice, FIVE)
    assert found["disentanglement"] == pytest.approx(1, abs=0.01)
    assert 0.6 < found["completeness"] < 1 - 1e-6


def test_sap_of_an_unordered_factor_is_one_less_chance():
    """Thresholds on one code name five classes; the next code names one in five."""
    assert evaluation.sap(FIVE, FIVE, unordered=(0, 1, 2)) == pytest.approx(1 - 1 / 5, abs=0.03)
    assert evaluation.sap(FIVE[:, :1], FIVE[:, :1], unordered=(0,)) == pytest.approx(1 - 1 / 5)
    shuffled = np.array([3, 0, 4, 1, 2])[FIVE]
    assert evaluation.sap(shuffled, FIVE, unordered=(0, 1, 2)) == pytest.approx(1 - 1 / 5, abs=0.03)
    assert evaluation.sap(shuffled, FIVE) < 0.5


def test_a_finely_valued_factor_is_told_up_to_twenty_intervals():
    """40 even values in 20 intervals: ln 20 of ln 40 nats; I(c; v) by hand."""
    factor = np.repeat(np.arange(40), 50)[:, None]
    assert evaluation.mig(factor, factor) == pytest.approx(math.log(20) / math.log(40), rel=1e-9)


def test_explicitness_of_a_middle_value_is_not_linear():
    """Of three values on a line two are half-spaces (area 1) and the middle one is told no better than by chance."""
    three = RNG.integers(0, 3, (N, 1))
    assert evaluation.explicitness(three, three) == pytest.approx(2 / 3, abs=0.05)
    assert evaluation.explicitness(np.eye(3)[three[:, 0]], three) == pytest.approx(1)


def test_scores_are_the_same_every_time_and_need_not_many_rows():
    assert scores(NOISE, FIVE, seed=3) == scores(NOISE, FIVE, seed=3)
    assert evaluation.factor_vae(NOISE, FIVE, seed=3) != evaluation.factor_vae(NOISE, FIVE, seed=4)
    few = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0, 0], [1, 1], [0, 1], [1, 0]])
    assert all(0 <= value <= 1 for value in scores(few, few).values())


@pytest.mark.parametrize(
    ("codes", "factors", "words"),
    [
        (NOISE[:10], FIVE, "equally many"),
        (NOISE[:, 0], FIVE, r"codes has shape \(3000,\)"),
        (np.where(np.arange(N)[:, None] == 7, np.nan, NOISE), FIVE, "not finite, first in row 7"),
        (NOISE, np.hstack([FIVE, np.ones((N, 1))]), "column 3 of factors has one value"),
        (NOISE, np.hstack([NOISE[:, :1], FIVE]), "no two rows share a value of column 0"),
        (NOISE, FIVE.astype(str), "of numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_an_error(codes, factors, words):
    with pytest.raises(ValueError, match=words):
        scores(codes, factors)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A file of a few hundred sprites of three factors' values at most a few, with noise for codes."""
    factors = np.random.default_rng(1).integers(0, [3, 2, 1, 4, 4], (500, 5)) * [1, 5, 0, 8, 8]
    path = tmp_path_factory.mktemp("metrics") / "codes.npz"
    images = sprites.render(factors, 28)
    np.savez(path, images=images, codes=NOISE[:500], factors=factors[:, [0, 1, 3, 4]])
    return path


def test_the_command_prints_floor_and_ceiling(drawn, capsys):
    assert cli.main(["metrics", str(drawn), "--unordered", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] == 500 and found["unordered"] == [0]
    rows = found["rows"]
    assert list(rows) == ["codes", "random encoder", "supervised encoder", "the factors themselves"]
    assert rows["the factors themselves"]["factor_vae"] == 1 and rows["codes"]["factor_vae"] < 0.45
    assert rows["supervised encoder"]["factor_vae"] > 0.9 > rows["random encoder"]["factor_vae"]
    assert rows["supervised encoder"]["disentanglement"] > rows["random encoder"]["disentanglement"] + 0.3
    assert rows["supervised encoder"]["informativeness"] > 0.8


def test_the_command_measures_a_run_or_codes_alone(drawn, tmp_path, capsys):
    run = make_run(tmp_path / "run", codes="cat:3,uniform")
    assert cli.main(["metrics", str(drawn), "--run", str(run)]) == 0
    out = capsys.readouterr().out
    assert "500 rows, 2 codes, 4 factors" in out and "random encoder" in out and "FactorVAE" in out
    np.savez(tmp_path / "bare.npz", codes=BINARY[:400, 0], factors=BINARY[:400, 0])
    assert cli.main(["metrics", str(tmp_path / "bare.npz")]) == 0
    out = capsys.readouterr().out
    assert "random encoder" not in out and "images in the file" in out and "the factors themselves" in out


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ({"codes": NOISE}, [], "has no array 'factors' but codes; write numpy.savez(path, factors=..., codes=...)"),
        ({"codes": NOISE[:5], "factors": FIVE}, [], "equally many"),
        ({"codes": NOISE, "factors": FIVE}, ["--unordered", "3"], "0 to 2"),
        ({"codes": NOISE, "factors": FIVE, "images": np.zeros((3, 8, 8))}, [], "images has 3 rows"),
        ({"codes": NOISE, "factors": FIVE}, ["--run", "nowhere"], "has no array 'images'"),
    ],
)
def test_a_wrong_file_is_one_line(content, options, words, tmp_path, capsys):
    np.savez(tmp_path / "a.npz", **content)
    assert cli.main(["metrics", str(tmp_path / "a.npz"), *options]) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_no_file_and_no_archive_are_one_line(tmp_path, capsys):
    (tmp_path / "b.npz").write_bytes(b"nothing of the kind")
    for name in ("a.npz", "b.npz"):
        assert cli.main(["metrics", str(tmp_path / name)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
