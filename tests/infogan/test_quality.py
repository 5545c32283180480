"""Picture quality on sets whose figures are known, and the classifier that features and classes come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_runs
from scipy.linalg import sqrtm

import infogan
from infogan.evaluation import classifier, quality
from infogan.evaluation.classifier import Recipe


def normal(n: int, mean: np.ndarray, root: np.ndarray, seed: int = 0) -> np.ndarray:
    """`n` rows whose sample mean is `mean` and whose sample covariance is `root`ᵀ`root`, to rounding."""
    x = np.random.default_rng(seed).standard_normal((n, len(mean)))
    x -= x.mean(axis=0)
    return np.linalg.solve(np.linalg.cholesky(np.cov(x.T)), x.T).T @ root + mean


def test_a_set_has_no_distance_from_itself():
    x = np.random.default_rng(0).standard_normal((500, 12))
    assert quality.frechet(x, x) == pytest.approx(0, abs=1e-11)
    flat = x * (np.arange(12) < 3)  # nine features that do not vary
    assert quality.frechet(flat, flat) == pytest.approx(0, abs=1e-11)
    assert quality.frechet(x, x[::-1]) == pytest.approx(0, abs=1e-11)


def test_a_shifted_gaussian_is_as_far_as_its_shift():
    a = np.random.default_rng(0).standard_normal((300, 3))
    assert quality.frechet(a, a + np.array([3.0, 0, 4])) == pytest.approx(25)


def test_a_scaled_gaussian_differs_by_the_squares_of_its_deviations():
    # deviations (1, 2) against (3, 5): (3 − 1)² + (5 − 2)²
    a = normal(200, np.zeros(2), np.diag([1.0, 2]))
    b = normal(300, np.zeros(2), np.diag([3.0, 5]), seed=1)
    assert quality.frechet(a, b) == pytest.approx(13)
    assert quality.frechet(b, a) == pytest.approx(13)


def test_gaussians_that_lie_across_each_other():
    # against the formula with SciPy's root of a matrix, on covariances that do not commute
    rng = np.random.default_rng(3)
    roots = rng.standard_normal((2, 5, 5))
    means = rng.standard_normal((2, 5))
    first, second = (root.T @ root for root in roots)
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real)
    a, b = normal(100, means[0], roots[0]), normal(50, means[1], roots[1], seed=1)
    assert quality.frechet(a, b) == pytest.approx(expected)
    assert quality.frechet(b, a) == pytest.approx(expected)


def test_features_of_disjoint_directions():
    # S S' = 0: the distance is tr S + tr S'
    a, b = np.zeros((100, 4)), np.zeros((100, 4))
    a[:, :2] = normal(100, np.zeros(2), np.diag([1.0, 2]))
    b[:, 2:] = normal(100, np.zeros(2), np.diag([3.0, 1]))
    assert quality.frechet(a, b) == pytest.approx(15)


def test_two_sets_of_one_kind_come_closer_as_they_grow():
    rng = np.random.default_rng(0)
    small, large = (quality.frechet(*rng.standard_normal((2, n, 8))) for n in (100, 10_000))
    assert 0 < large < small / 20


@pytest.mark.parametrize("shape", [(1, 4), (10,)])
def test_too_few_features_are_an_error(shape):
    with pytest.raises(ValueError, match="N of 2 or more"):
        quality.frechet(np.zeros(shape), np.zeros((5, 4)))


def test_the_datas_own_mixture_is_covered():
    labels = np.repeat([0, 1, 2], [10, 30, 60])
    assert quality.coverage(labels[::-1], labels) == {
        "classes": 3,
        "present": 3,
        "missing": [],
        "kl": pytest.approx(0, abs=1e-15),
    }


def test_a_missing_class_and_one_that_all_but_is():
    labels = np.repeat(np.arange(10), 100)
    readings = np.concatenate([np.repeat(np.arange(8), 500), [8] * 4])  # 4 of 4,004: less than 1 % of a tenth
    found = quality.coverage(readings, labels)
    assert (found["classes"], found["present"], found["missing"]) == (10, 8, [8, 9])
    q = np.array([500 / 4004] * 8 + [4 / 4004])
    assert found["kl"] == pytest.approx((q * np.log(10 * q)).sum())


def test_one_class_alone_is_as_far_as_the_logarithm_of_their_number():
    found = quality.coverage(np.full(50, 7), np.arange(10))
    assert found["kl"] == pytest.approx(np.log(10)) and found["present"] == 1
    assert found["missing"] == [0, 1, 2, 3, 4, 5, 6, 8, 9]


def test_readings_drawn_from_the_data_differ_by_their_number_alone():
    rng = np.random.default_rng(0)
    found = [quality.coverage(rng.integers(0, 10, 1000), np.arange(10))["kl"] for _ in range(200)]
    assert np.mean(found) == pytest.approx(9 / 2000, rel=0.1)


def test_a_class_that_the_data_do_not_have_is_an_error():
    with pytest.raises(ValueError, match="do not have"):
        quality.coverage(np.array([3]), np.array([0, 1]))


def test_readings_are_summed_up():
    readings = np.array([[3, 3, 3, 5], [3, 3, 0, 3], [7, 7, 7, 7]])
    assert quality.distinct(readings) == {"distinct_digits": 2, "classes": [3, 3, 7], "purity": [0.75, 0.75, 1.0]}


# --- the classifier

SHORT = Recipe(epochs=0, least_updates=20, batch_size=16)


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    """Forty 8×8 pictures of a bar on the left (class 5), in the middle (7) and on the right (90)."""
    with np.load(small_runs.write_pictures(tmp_path_factory.mktemp("bars"))) as file:
        return file["images"][:, None], np.array([5, 7, 90])[file["labels"]]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch):
    """From its call on, training is an error."""
    return lambda: monkeypatch.setattr(classifier, "_train", lambda *_: pytest.fail("trained again"))


def one_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_classes_are_learnt_and_named(bars, tmp_path, said):
    images, labels = bars
    taught = classifier.obtain(images[:30], labels[:30], SHORT, tmp_path, said.append)
    assert taught.accuracy(images[30:], labels[30:]) == 1 and taught.learnt_from == 30
    assert set(taught(images)) == {5, 7, 90}
    assert taught.features(images).shape == (40, classifier.FEATURES)
    assert len(said) == 1 and "3 classes from 30 labelled pictures" in said[0]


def test_it_is_trained_once_and_the_kept_one_is_the_same(bars, tmp_path, said, never):
    first = classifier.obtain(*bars, SHORT, tmp_path / "a" / "b", said.append)
    again = classifier.obtain(*bars, SHORT, tmp_path / "c", said.append)
    never()
    kept = classifier.obtain(*bars, SHORT, tmp_path / "a" / "b", said.append)
    assert len(said) == 2
    for other in (again, kept):
        np.testing.assert_array_equal(other.features(bars[0]), first.features(bars[0]))


@pytest.mark.parametrize("change", ["labels", "images", "recipe"])
def test_other_data_or_another_recipe_is_another_classifier(bars, tmp_path, said, change):
    images, labels = bars
    classifier.obtain(images, labels, SHORT, tmp_path, said.append)
    recipe = Recipe(epochs=0, least_updates=21, batch_size=16) if change == "recipe" else SHORT
    images = images * np.float32(0.5) if change == "images" else images
    labels = labels[::-1].copy() if change == "labels" else labels
    classifier.obtain(images, labels, recipe, tmp_path, said.append)
    assert len(said) == len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty", "other weights", "a folder"])
def test_a_damaged_file_is_trained_anew_with_a_line(bars, tmp_path, said, damage):
    first = classifier.obtain(*bars, SHORT, tmp_path, said.append)
    path = one_file(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "one bit":
        content[-100] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other weights":
        infogan.checkpoints.write(path, {"classifier": {"0.weight": np.zeros(3)}}, {"step": 1})
    else:
        path.unlink()
        path.mkdir()
    anew = classifier.obtain(*bars, SHORT, tmp_path, said.append)
    assert path.name in said[1] or "does not fit" in said[1]
    assert said[1].endswith("trained anew")
    np.testing.assert_array_equal(anew.features(bars[0]), first.features(bars[0]))
    if damage != "a folder":
        assert path.read_bytes()[: len(content)] and len(said) == 3


def test_a_folder_that_cannot_be_written_is_done_without(bars, tmp_path, said):
    (tmp_path / "file").write_text("")
    taught = classifier.obtain(*bars, SHORT, tmp_path / "file" / "folder", said.append)
    assert taught.accuracy(*bars) == 1
    assert "cannot be written" in said[-1] and "not kept" in said[-1]


def test_larger_sets_are_learnt_from_for_longer():
    assert Recipe(epochs=6, least_updates=600, batch_size=128).updates(4_000) == 600
    assert Recipe(epochs=6, least_updates=600, batch_size=128).updates(50_000) == 2344


@pytest.mark.slow
def test_the_classifier_of_the_digits_that_ship_is_good(tmp_path):
    training, held = infogan.data.load("mnist-5k"), infogan.data.load("mnist-5k", split="held_out")
    assert training.labels is not None and held.labels is not None
    taught = classifier.obtain(training.images, training.labels, folder=tmp_path)
    assert taught.accuracy(held.images, held.labels) > 0.97
