"""Metrics of plain arrays on cases whose value is known, and the evaluation of a tiny run."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from made_runs import make_run
from PIL import Image, ImageDraw
from scipy.stats import spearmanr

import infogan
import minigrad as mg
from infogan import evaluation
from infogan.errors import InputError
from infogan.evaluation import classifier, clustering, meaning, moments, pictures, report
from infogan.evaluation.classifier import Recipe
from infogan.evaluation.statistics import re_estimated
from infogan.run import Run

RECIPE = Recipe(epochs=0, least_updates=60)
"""A classifier good enough to see that measuring works."""

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
    effects: dict[str, dict[str, float | None]] = {
        "c2": {"slant": 2.0, "width": 1.0, "stroke": 0.1},
        "c3": {"slant": 2.2, "width": 0.1, "stroke": None},
    }
    found = meaning.assign(effects)
    assert found["c2"] == {"property": "width", "cross": pytest.approx(0.1)}
    assert found["c3"] == {"property": "slant", "cross": pytest.approx(2.0 / 2.2)}
    assert meaning.assign({"c2": effects["c2"]})["c2"] == {"property": "slant", "cross": None}


# --- a run measured as a whole


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Tiny and untrained, on the digits that ship."""
    return infogan.load(make_run(tmp_path_factory.mktemp("runs") / "run", seed=1))


@pytest.fixture(scope="module")
def found(run: Run) -> dict:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "SWEEP_NOISES", 2)
        return evaluation.evaluate(run, recipe=RECIPE)


def test_evaluation_is_written_as_returned(run, found):
    written = json.loads((run.folder / "evaluation.json").read_text())
    assert written == found
    assert found["n_images"] == 1000 and found["data"] == "mnist-5k" and found["step"] == 7
    assert found["split"].startswith("held_out: 1,000 of 5,000")
    assert found["batch_statistics"] == "running"
    assert set(found["codes"]) == {"c1", "c2", "c3"}


def test_agreement_is_that_of_q_on_held_out_digits(run, found):
    held = infogan.data.load("mnist-5k", split="held_out")
    assert held.labels is not None
    expected = clustering.scores(run.encode(held.images)["c1"].argmax(axis=1), held.labels, 10)
    assert {key: found["codes"]["c1"][key] for key in expected} == expected
    assert set(found["codes"]["c1"]["re_estimated"]) == set(expected)


def test_bounds_of_an_untrained_run(found):
    c1, c2 = found["codes"]["c1"], found["codes"]["c2"]
    assert c1["entropy"] == pytest.approx(np.log(10)) and c2["entropy"] == pytest.approx(np.log(2))
    # Q knows nothing yet: it gives all categories about 1/10
    assert abs(c1["bound"]) < 0.1 and c1["bound"] == pytest.approx(c1["bound_trained"], abs=1e-5)
    # and the mean for a uniform code: σ̂ = 1/√3, where the bound is H(c) − ½ log(2πe/3) = −0.176
    assert c2["residual"] == pytest.approx(1 / np.sqrt(3), abs=0.02)
    assert c2["bound"] == pytest.approx(np.log(2) - 0.5 * np.log(2 * np.pi * np.e / 3), abs=0.03)
    assert c2["bound_trained"] < c2["limit"] == pytest.approx(-0.226, abs=5e-4)


def test_reader_is_good_and_says_what_it_is(found):
    assert found["reader"]["accuracy"] > 0.85 and found["reader"]["learnt_from"] == 4000
    assert 1 <= found["codes"]["c1"]["distinct_digits"] <= 10
    assert len(found["codes"]["c1"]["purity"]) == 10


def test_pictures_of_an_untrained_run_are_far_from_real_ones(found):
    far, shares = found["frechet"], found["coverage"]
    assert far["pictures"] == 1000  # as many as are held out
    assert far["generated"] > 20 * far["real"] > 0
    assert shares["classes"] == 10 and shares["pictures"] == 10_000
    assert shares["present"] == 10 - len(shares["missing"])
    assert shares["kl"] > 0.1 > shares["kl_real"]


def test_real_pictures_from_the_generator_have_the_quality_of_real_ones(run, found, monkeypatch):
    """The figures of a perfect generator: one that gives out the training pictures themselves."""
    training, held = infogan.data.load("mnist-5k"), infogan.data.load("mnist-5k", split="held_out")
    assert training.labels is not None
    reader = classifier.obtain(training.images, training.labels, RECIPE)
    monkeypatch.setattr(run, "G", lambda z, c: training.images[np.arange(len(z)) % 4000])
    perfect = pictures.Real(reader, training, held, 2000).beside(run)
    assert perfect["frechet"]["generated"] == pytest.approx(perfect["frechet"]["real"], rel=0.25)
    assert perfect["frechet"]["real"] == found["frechet"]["real"]
    assert perfect["coverage"]["present"] == 10 and perfect["coverage"]["kl"] < 0.02
    monkeypatch.setattr(
        run, "G", lambda z, c: np.resize(training.images[training.labels != 4], (*z.shape[:1], 1, 28, 28))
    )
    without = pictures.Real(reader, training, held, 2000).beside(run)
    assert without["frechet"]["generated"] > 1.3 * perfect["frechet"]["generated"]
    assert without["coverage"]["kl"] > perfect["coverage"]["kl"] + 0.05


def test_words_name_every_code(found):
    words = evaluation.in_words(found)
    for part in (
        "c1 (cat:10)",
        "one-to-one",
        "by majority",
        "distinct digits",
        "Fréchet",
        "c3 (uniform)",
        "1,000 labelled",
    ):
        assert part in words


def test_bound_of_a_perfect_reader_is_the_entropy(run, monkeypatch):
    """With Q telling each code exactly, the categorical bound is H(c1) and the continuous one grows as σ̂ falls."""
    monkeypatch.setattr(run, "G", lambda z, c: c)
    monkeypatch.setattr(run, "Q", lambda c: np.concatenate([40 * c[:, :10], c[:, 10:] + 0.1], axis=1))
    codes = report.bounds(run, 400)
    assert codes["c1"]["bound"] == pytest.approx(np.log(10))
    assert codes["c2"]["residual"] == pytest.approx(0.1, rel=1e-4)
    assert codes["c2"]["bound"] == pytest.approx(np.log(2) - 0.5 * np.log(2 * np.pi * np.e * 0.01), rel=1e-3)
    assert codes["c2"]["bound_trained"] == pytest.approx(codes["c2"]["limit"] - 0.005, rel=1e-4)


def drawn_by_codes(z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Two parallel bars for each row: c2 shears them, c3 parts them, noise moves them; category 0 is one bar."""
    y, x = np.mgrid[-14:14, -14:14].astype(np.float32)
    shear, apart = 0.5 * c[:, 10, None, None], (4 + 2 * c[:, 11] * (1 - c[:, 0]) - 4 * c[:, 0])[:, None, None]
    across = np.abs(x - z[:, 0, None, None] - shear * y)
    return (np.clip(2 - np.abs(across - apart), 0, 1) * (np.abs(y) < 9))[:, None].astype(np.float32)


def test_meaning_of_codes_that_draw_what_they_say(run, monkeypatch):
    monkeypatch.setattr(run, "G", drawn_by_codes)
    monkeypatch.setattr(report, "SWEEP_NOISES", 10)
    held = infogan.data.load("mnist-5k", split="held_out")
    assert held.labels is not None
    ones = report.drawn_as_one(run, {"c1": {"classes": [1, *[8] * 9]}})
    codes = report.meanings(run, held, ones)
    assert codes["c2"]["property"] == "slant" and codes["c3"]["property"] in ("width", "stroke")
    assert codes["c2"]["slant"]["rho"] > 0.999 and codes["c3"]["width"]["rho"] > 0.999
    spread = meaning.within_class_deviation(moments.slant(held.images[:, 0]), held.labels)
    assert codes["c2"]["slant"]["effect"] == pytest.approx(1 / spread, rel=0.05)  # from −½ to ½
    assert codes["c2"]["slant"]["sweeps"] == 100 and codes["c2"]["cross"] < 0.1
    assert codes["c3"]["width"]["sweeps"] == 90 and codes["c3"]["width"]["left_out"] == [0]
    assert codes["c3"]["slant"]["effect"] < 0.1
    words = report.in_words({"codes": {"c3": {**found_of_continuous(), **codes["c3"], "property": "width"}}})
    assert "stands for width" in words and "without categories 0, drawn as 1" in words


def found_of_continuous() -> dict[str, Any]:
    """What the words of a continuous code need besides its meaning."""
    return {"kind": "uniform", "bound": 0.1, "bound_trained": -0.3, "entropy": 0.7, "residual": 0.5, "limit": -0.2}


def test_sweeps_hold_all_else_still(run, monkeypatch):
    monkeypatch.setattr(run, "G", lambda z, c: np.concatenate([z, c], axis=1)[:, None, None, :])
    rows, category = report.sweeps(run, "c3")
    assert rows.shape == (500, 21, 1, 17) and np.bincount(category).tolist() == [50] * 10
    latents = rows[:, :, 0]
    np.testing.assert_allclose(latents[..., -1], np.broadcast_to(np.linspace(-1, 1, 21), (500, 21)), rtol=1e-6)
    np.testing.assert_array_equal(latents[..., :-1], latents[:, :1, :-1].repeat(21, axis=1))
    np.testing.assert_array_equal(latents[:, 0, 5:15], np.eye(10)[category])
    assert len(np.unique(latents[:, 0, :5], axis=0)) == 50


def test_statistics_are_the_mean_of_the_batches_and_come_back(run):
    images = infogan.data.load("mnist-5k").images[:300]
    before = {k: v.numpy().copy() for k, v in run.networks.state_dict().items()}
    reading = run.Q(images)
    with re_estimated(run, images):
        state = {k: v.numpy().copy() for k, v in run.networks.state_dict().items()}
        assert not np.allclose(run.Q(images), reading)
    convolved = [run.networks.trunk[:2](mg.Tensor(images[at : at + 128])).detach().numpy() for at in (0, 128)]
    means = np.mean([batch.mean(axis=(0, 2, 3)) for batch in convolved], axis=0)
    variances = np.mean([batch.var(axis=(0, 2, 3), ddof=1) for batch in convolved], axis=0)
    np.testing.assert_allclose(state["trunk.2.running_mean"], means, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(state["trunk.2.running_var"], variances, rtol=1e-4)
    for name, value in run.networks.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
        if name.startswith(("G.", "D_head")) or name.endswith(("weight", "bias")):
            np.testing.assert_array_equal(state[name], before[name])
    np.testing.assert_array_equal(run.Q(images), reading)
    assert not any(module.training for module in run.networks.modules())


@pytest.mark.parametrize("codes", ["2xcat:3", "uniform,normal:1:2"])
def test_other_codes_and_data_without_labels(tmp_path, codes):
    images = np.random.default_rng(0).random((20, 16, 16, 3)).astype(np.float32)
    np.savez(tmp_path / "a.npz", images=images)
    settings = {"codes": codes, "channels": 3, "image_size": 16, "data": str(tmp_path / "a.npz")}
    run = infogan.load(make_run(tmp_path / "run", **settings))
    found = evaluation.evaluate(run)
    assert found["n_images"] == 4 and "reader" not in found
    assert all({"bound", "entropy"} <= set(code) for code in found["codes"].values())
    assert not any("accuracy_hungarian" in code or "slant" in code for code in found["codes"].values())
    assert "bound" in evaluation.in_words(found)


def test_labelled_data_of_other_classes(tmp_path):
    images = np.random.default_rng(0).random((40, 28, 28)).astype(np.float32)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(40) % 3)
    run = infogan.load(make_run(tmp_path / "run"))
    found = evaluation.evaluate(run, str(tmp_path / "a.npz"))
    assert "accuracy_hungarian" in found["codes"]["c1"] and "distinct_digits" not in found["codes"]["c1"]


def test_named_data_are_measured_on_their_test_part(tmp_path, run):
    for name, shape in {"images-idx3": (6, 28, 28), "labels-idx1": (6,)}.items():
        body = np.ones(shape, np.uint8).tobytes()
        head = bytes((0, 0, 8, len(shape))) + np.array(shape, ">u4").tobytes()
        for part in ("train", "t10k"):
            (tmp_path / f"{part}-{name}-ubyte").write_bytes(head + body)
    found = evaluation.evaluate(run, str(tmp_path))
    assert found["split"] == "test: all 6 test pictures" and found["data"] == str(tmp_path)


def test_data_of_another_size_is_one_line(tmp_path, run):
    np.savez(tmp_path / "a.npz", images=np.zeros((20, 16, 16)), labels=np.arange(20))
    (run.folder / "evaluation.json").write_text("kept")
    with pytest.raises(InputError, match=r"takes \(N, 1, 28, 28\)"):
        evaluation.evaluate(run, str(tmp_path / "a.npz"))
    assert (run.folder / "evaluation.json").read_text() == "kept"
