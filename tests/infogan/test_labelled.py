"""A few labels that tie c1 to classes: which, what they add to the objective, and what a run makes of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import small_runs

import infogan
import minigrad as mg
from infogan import checkpoints, cli, networks, objective, start, training
from infogan.codes import Code
from infogan.data import Dataset
from infogan.errors import InputError
from infogan.evaluation.statistics import re_estimated
from infogan.headstart import HeadStart
from infogan.labelled import choose, in_class_order

CODE = Code.parse("uniform,cat:3")


def dataset(labels: np.ndarray | None, count: int = 30) -> Dataset:
    return Dataset(np.zeros((count, 1, 8, 8), np.float32), labels, "made", "", "train")


@pytest.fixture
def pictures(tmp_path):
    return small_runs.write_pictures(tmp_path)


def finish(trainer, run_dir) -> None:
    training.train(trainer, run_dir, progress=False, say=lambda line: None)


# --- which pictures


def test_the_choice_is_even_and_the_seeds_alone():
    labels = np.random.default_rng(0).integers(0, 3, 30)
    for n, counts in ((3, {1}), (9, {3}), (10, {3, 4})):
        chosen = choose(dataset(labels), CODE, n, seed=4)
        assert len(set(chosen.places.tolist())) == n
        assert (chosen.classes == labels[chosen.places]).all()
        assert set(np.bincount(chosen.classes, minlength=3).tolist()) == counts
    again, other = (choose(dataset(labels), CODE, 10, seed) for seed in (4, 5))
    assert again.sha256 == chosen.sha256 != other.sha256
    assert set(choose(dataset(labels), CODE, 9, 4).places) < set(chosen.places), "more labels are others added"


def test_a_rare_class_gives_all_it_has():
    labels = np.array([0] * 27 + [1] * 2 + [2])
    assert np.bincount(choose(dataset(labels), CODE, 12, 0).classes).tolist() == [9, 2, 1]


def test_categories_take_the_numbers_of_the_classes_they_read():
    group = np.array([0, 2, 1, 0])
    fine = np.eye(4)[[0, 3, 1, 2, 2]]
    found = in_class_order(group, fine, np.array([2, 2, 0, 1, 0]), 3)
    assert found.tolist() == [2, 0, 1, 2]


@pytest.mark.parametrize(
    ("labels", "n", "words"),
    [
        (None, 3, "no labels"),
        (np.arange(30) % 3, 2, "3 .one a class. to 30"),
        (np.arange(30) % 3, 31, "3 .one a class. to 30"),
        (np.arange(30) % 4, 8, "write cat:4"),
    ],
)
def test_what_cannot_be_chosen_is_said(labels, n, words):
    with pytest.raises(InputError, match=words):
        choose(dataset(labels), CODE, n, 0)


@pytest.mark.parametrize("changes", [{"codes": "uniform"}, {"objective": "gan"}])
def test_a_run_without_categories_or_without_information_has_no_use_for_labels(changes):
    with pytest.raises(InputError, match="labelled is for objective infogan and a code with a categorical"):
        small_runs.make_config(labelled=3, **changes)


# --- the term


def test_supervision_is_the_entropy_less_the_cross_entropy():
    rng = np.random.default_rng(1)
    logits, classes = rng.normal(0, 2, (9, CODE.parameters)), rng.integers(0, 3, 9)
    q = np.exp(logits[:, 1:]) / np.exp(logits[:, 1:]).sum(axis=1, keepdims=True)
    expected = np.log(q[np.arange(9), classes]).mean() + math.log(3)
    c = mg.Tensor(np.eye(3)[classes])
    assert objective.supervision(CODE, mg.Tensor(logits), c).item() == pytest.approx(expected, rel=1e-12)
    assert mg.gradcheck(lambda x: objective.supervision(CODE, x, c), mg.tensor(logits, requires_grad=True))
    sure = np.concatenate([logits[:, :1], 1000 * np.eye(3)[classes]], axis=1)
    assert objective.supervision(CODE, mg.Tensor(sure), c).item() == pytest.approx(math.log(3))


# --- a run


def test_category_k_is_class_k_with_no_matching(tmp_path):
    """Two labels a class; the same run without them finds other numbers for its categories.

    Read under re-estimated statistics: with steps so large the running ones lag behind the weights.
    """
    settings = {"trunk_dense": 64, "trunk_channels": (8, 8), "learning_rate_d": 1e-3, "batch_size": 32, "steps": 160}
    images, labels = np.random.default_rng(0).uniform(0, 0.05, (120, 8, 8)).astype(np.float32), np.arange(120) % 3
    for image, label in zip(images, labels, strict=True):
        image[:, 3 * label : 3 * label + 2] += 0.9
    np.savez(pictures := tmp_path / "pictures.npz", images=images, labels=labels)
    right = {}
    for n in (0, 6):
        finish(small_runs.begin(pictures, tmp_path / str(n), labelled=n, seed=2, **settings), tmp_path / str(n))
        run = infogan.load(tmp_path / str(n))
        with re_estimated(run, images[:, None]):
            right[n] = np.mean(run.encode(images)["c1"].argmax(axis=1) == labels)
    assert right[6] > 0.95 and right[0] < 0.8
    found = [json.loads(text) for text in (tmp_path / "6" / "metrics.jsonl").read_text().splitlines()]
    assert abs(found[0]["supervision"]) < 0.05 and 0.1 < found[-1]["supervision"] <= math.log(3)
    assert "supervision" not in (tmp_path / "0" / "metrics.jsonl").read_text()


def test_labels_of_other_pictures_are_not_looked_at(pictures, tmp_path):
    a, b = (small_runs.begin(pictures, tmp_path / name, labelled=4) for name in "ab")
    b.data = replace(b.data, labels=None)
    for trainer in (a, b):
        for _ in range(3):
            trainer.advance()
    first, second = (t.networks.state_dict() for t in (a, b))
    assert all((first[key].numpy() == second[key].numpy()).all() for key in first)


def test_labels_are_learnt_from_moved_copies_another_one_each_time(pictures, tmp_path):
    trainer = small_runs.begin(pictures, tmp_path / "run", labelled=4)
    own = trainer.data.images[trainer.labelled.places]
    copies = []
    for step in (1, 2):
        batch = trainer._labelled(step, trainer._tensor(trainer.data.images[:4]))
        for image, c in zip(batch.images.numpy(), batch.c.numpy(), strict=False):
            apart = ((own - image) ** 2).mean(axis=(1, 2, 3))
            assert 0 < apart.min() < 0.1
            assert trainer.labelled.classes[apart.argmin()] == c.argmax()
            copies.append(image)
    assert len(copies) == 8 and len(np.unique(np.array(copies), axis=0)) == 8


def test_a_run_that_is_stopped_ends_with_the_same_bits(pictures, tmp_path):
    settings = {"labelled": 5, "invariance": 1.0, "invariance_batch": 5, "head_start": 2, "head_start_categories": 4}
    for name, first in (("whole", 7), ("in two", 4)):
        finish(small_runs.begin(pictures, tmp_path / name, steps=first, **settings), tmp_path / name)
    finish(start.resumed_run({"steps": 7}, tmp_path / "in two", "cpu", None, lambda line: None), tmp_path / "in two")
    whole, two = (checkpoints.latest(tmp_path / name).tensors for name in ("whole", "in two"))
    assert all((whole[key] == two[key]).all() for key in whole)


def test_other_labels_are_another_run(pictures, tmp_path):
    trainer = small_runs.begin(pictures, tmp_path / "run", labelled=4, steps=3)
    finish(trainer, tmp_path / "run")
    other = training.Trainer(trainer.config, replace(trainer.data, labels=(trainer.data.labels + 1) % 3))
    with pytest.raises(InputError, match=r"labels .* are not those the run was trained with"):
        other.restore(checkpoints.latest(tmp_path / "run"))


def test_a_head_start_numbers_its_categories_by_the_labels(monkeypatch):
    """The same head start with labels of permuted classes: the categories are permuted alike."""
    settings = small_runs.make_config(head_start=3, head_start_categories=5, invariance_batch=16, labelled=12)
    images, labels = np.random.default_rng(0).uniform(0, 1, (60, 1, 8, 8)).astype(np.float32), np.arange(60) % 3
    groups = []
    for classes in (labels, (labels + 1) % 3):
        chosen = choose(Dataset(images, labels, "made", "", "train"), settings.code, 12, 0)
        begun = HeadStart(settings, networks.build(settings).train(), images, "cpu",
                          replace(chosen, classes=classes[chosen.places]))  # fmt: skip
        for step in (1, 2, 3):
            begun.advance(step)
        taught = []
        monkeypatch.setattr(HeadStart, "_teach", lambda self, columns, features, q, into=taught: into.append(q))
        begun.finish()
        groups.append(taught[0])
    np.testing.assert_allclose(np.roll(groups[0], 1, axis=1), groups[1], rtol=1e-6)


def test_the_command_and_what_evaluate_says(pictures, tmp_path, capsys):
    given = [*small_runs.arguments(pictures, tmp_path / "run", steps=2), "--labelled", "6"]
    assert cli.main(given) == 0
    assert cli.main(["evaluate", str(tmp_path / "run")]) == 0
    assert "with no matching (category k is class k)" in capsys.readouterr().out
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())["codes"]["c1"]
    assert found["accuracy"] <= found["accuracy_hungarian"] and "accuracy" in found["re_estimated"]


def test_pictures_without_labels_are_an_error_before_anything_is_written(tmp_path, capsys):
    np.savez(tmp_path / "bare.npz", images=np.zeros((40, 8, 8), np.float32))
    assert cli.main([*small_runs.arguments(tmp_path / "bare.npz", tmp_path / "run"), "--labelled", "6"]) == 2
    assert "has no labels" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
