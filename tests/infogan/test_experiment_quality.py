"""Picture quality over kinds and seeds, on untrained runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import SMALL, make_run

from infogan import cli
from infogan.errors import InputError
from infogan.evaluation import classifier
from infogan.evaluation.classifier import Recipe
from infogan.experiments import quality

RECIPE = Recipe(epochs=0, least_updates=5, batch_size=64)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, Path]]:
    """Two seeds of InfoGAN and one of the regular GAN."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "infogan": {seed: make_run(folder / f"infogan-{seed}", seed=seed) for seed in (0, 1)},
        "gan": {1: make_run(folder / "gan-1", seed=1, objective="gan")},
    }


@pytest.fixture(scope="module")
def found(runs) -> dict[str, Any]:
    return quality.measure(runs, recipe=RECIPE, draws=200)


def test_every_run_is_measured_beside_real_pictures(found):
    assert {kind: list(seeds) for kind, seeds in found["runs"].items()} == {"infogan": ["0", "1"], "gan": ["1"]}
    for seeds in found["runs"].values():
        for run in seeds.values():
            assert run["frechet"] > found["real"]["frechet"] > 0
            assert 0 <= run["missing"] < 10 and 0 < run["purity"] <= 1 and run["kl"] >= 0
    assert found["real"]["pictures"] == found["draws"] == 200
    assert found["reader"]["learnt_from"] == 4000


def test_kinds_and_seeds_are_put_together(found):
    zero, one = (found["runs"]["infogan"][seed]["frechet"] for seed in "01")
    assert found["spread"]["infogan"]["frechet"]["mean"] == pytest.approx((zero + one) / 2)
    assert found["spread"]["infogan"]["frechet"]["worst"] == max(zero, one)
    purities = [run["purity"] for run in found["runs"]["infogan"].values()]
    assert found["spread"]["infogan"]["purity"]["worst"] == min(purities)
    # untrained networks of one seed draw the same: information has cost nothing yet
    assert found["runs"]["infogan"]["1"] == found["runs"]["gan"]["1"]
    assert found["cost"]["mean"] == 0 and found["cost"]["deviation"] is None


def test_the_cost_is_that_of_equal_seeds(found):
    runs = {"infogan": {"0": {"frechet": 100.0}, "1": {"frechet": 5.0}}, "gan": {"1": {"frechet": 3.0}}}
    assert quality._cost(runs)["mean"] == 2.0
    assert quality._cost({"infogan": runs["infogan"]}) is None


def test_the_table_has_a_row_a_run_and_says_what_it_rests_on(found):
    text = quality.table(found)
    for part in ("InfoGAN, seed 0", "regular GAN, seed 1", "InfoGAN, mean", "real training pictures", "on 200 pictures",
                 "mnist-5k", "4,000 pictures", "What information costs: 0.00"):  # fmt: skip
        assert part in text


def test_the_figure_is_drawn(found, tmp_path):
    quality.figure(found).savefig(tmp_path / "quality.png")
    assert (tmp_path / "quality.png").stat().st_size > 10_000


def test_one_kind_and_no_categories_are_measured_too(tmp_path):
    runs = {"infogan": {0: make_run(tmp_path / "run", codes="uniform")}}
    found = quality.measure(runs, recipe=RECIPE, draws=50)
    assert found["runs"]["infogan"]["0"]["purity"] is None and found["cost"] is None
    assert "–" in quality.table(found)
    quality.figure(found)


def test_pictures_without_labels_are_an_error(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((20, 28, 28), np.float32))
    runs = {"infogan": {0: make_run(tmp_path / "run", data=str(tmp_path / "a.npz"))}}
    with pytest.raises(InputError, match="no labels"):
        quality.measure(runs)


def test_no_run_is_an_error():
    with pytest.raises(InputError, match="nothing to measure"):
        quality.measure({"infogan": {}, "gan": {}})


def test_the_command_trains_both_measures_and_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(classifier.Recipe, "updates", lambda self, count: 5)
    fields = [f"--set={name}={str(value).strip('()')}" for name, value in SMALL.items()]
    arguments = ["experiment", "quality", "--seeds", "3", "--steps", "2", *fields]
    assert cli.main([*arguments, "--set", "batch_size=8", "--jobs", "2"]) == 0
    out = capsys.readouterr().out
    assert "InfoGAN, seed 3" in out and "4 updates in all" in out and "infogan traverse" in out
    folder = tmp_path / "runs" / "experiments"
    assert {p.name for p in (folder / "quality").iterdir()} == {"result.json", "table.md", "quality.png"}
    assert (folder / "gan" / "seed-3" / "config.json").exists()
