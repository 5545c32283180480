"""c1 as a classifier over settings and seeds: on runs of known networks, and through the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import SMALL, make_run

from infogan import cli, config
from infogan import data as data_sets
from infogan.errors import InputError
from infogan.experiments import classifier
from infogan.experiments.common import Plan
from infogan.run import load


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("runs")
    runs = {row: {seed: make_run(folder / f"{row}-{seed}", seed=seed) for seed in (0, 1)} for row in classifier.MEDIAN}
    return classifier.measure(runs, "mnist-5k", "held_out")


def test_every_run_has_its_errors_and_every_row_their_spread(found):
    assert {row: list(seeds) for row, seeds in found["rows"].items()} == {r: ["0", "1"] for r in classifier.MEDIAN}
    for row, seeds in found["rows"].items():
        errors = [run["one_to_one"] for run in seeds.values()]
        assert found["spread"][row]["one_to_one"]["worst"] == max(errors)
        assert found["spread"][row]["one_to_one"]["median"] == pytest.approx(np.median(errors))
        for run in seeds.values():
            assert 0.5 < run["majority"] <= run["one_to_one"] < 0.95, "untrained networks know nothing"
            assert -1e-9 < run["information"] < np.log(10)
            assert run["updates"] == 7
    assert found["pictures"] == 1000
    assert found["updates"] == 4 * 7


def test_an_error_is_the_share_read_wrongly(tmp_path):
    """Counted again from the categories themselves, each standing for a class of its own or its commonest one."""
    from itertools import permutations

    run = load(make_run(tmp_path / "run", codes="cat:4"))
    shown = data_sets.load("mnist-5k", split="held_out")
    few = np.flatnonzero(shown.labels < 4)
    shown = data_sets.Dataset(shown.images[few], shown.labels[few], "four", "", "held_out")
    read = run.encode(shown.images)["c1"].argmax(axis=1)
    hits = max(sum(np.array(order)[read] == shown.labels) for order in permutations(range(4)))
    commonest = sum(np.bincount(shown.labels[read == k]).max() for k in set(read.tolist()))
    errors = classifier.of_run(run, data_sets.load("mnist-5k").images, shown)
    assert errors["one_to_one"] == pytest.approx(1 - hits / len(few))
    assert errors["majority"] == pytest.approx(1 - commonest / len(few))
    assert errors["one_to_one_re_estimated"] != errors["one_to_one"]


def test_goals_are_met_by_medians_and_the_worst_seed(found):
    def goal(paper: float, robust: float, worst: float) -> bool:
        errors = {"paper": {"median": paper, "worst": 1.0}, "mnist-robust": {"median": robust, "worst": worst}}
        return classifier._goal({row: {"one_to_one": e} for row, e in errors.items()})["met"]

    assert goal(0.05, 0.015, 0.03)
    assert not goal(0.051, 0.01, 0.02)
    assert not goal(0.04, 0.016, 0.02)
    assert not goal(0.04, 0.01, 0.031)
    assert found["goal"]["met"] is False


def test_the_table_has_goals_beside_figures_and_every_seed(found):
    text = classifier.table(found)
    for part in (
        "≤ 5.00",
        "≤ 1.50, worst ≤ 3.00",
        "paper, seed 0",
        "mnist-robust, seed 1",
        "held_out",
        "1,000 pictures",
    ):
        assert part in text


def test_the_figure_is_drawn(found, tmp_path):
    classifier.figure(found).savefig(tmp_path / "classifier.png")
    assert (tmp_path / "classifier.png").stat().st_size > 10_000


def test_every_row_of_the_ablation_takes_back_one_change_at_equal_updates():
    rows = classifier.rows(Plan("classifier"), ablation=True)
    whole = config.make(rows["mnist-robust"]).model_dump()
    total = whole["steps"] + whole["head_start"]
    for name, row in rows.items():
        if name in ("paper", "mnist-robust"):
            continue
        made = config.make(row).model_dump()
        assert made["steps"] + made["head_start"] == total, name
        if name != classifier.PAPER_AS_LONG:
            differs = {field for field in whole if made[field] != whole[field]}
            assert len(differs - {"steps"}) == 1, name
    paper = config.make({k: v for k, v in rows[classifier.PAPER_AS_LONG].items() if k != "steps"})
    assert paper == config.make({"preset": "mnist"})


def test_rows_are_chosen_by_name():
    only = [classifier.PAPER_AS_LONG, "without invariance"]
    rows = classifier.rows(Plan("classifier"), ablation=True, only=only)
    every = classifier.rows(Plan("classifier"), ablation=True)
    assert rows == {name: every[name] for name in every if name in only}
    with pytest.raises(InputError, match=r"--row 'nothing': the rows are 'paper', 'mnist-robust'$"):
        classifier.rows(Plan("classifier"), only=["nothing"])


def test_a_preset_asked_for_is_the_papers_rows():
    rows = classifier.rows(Plan("classifier", fields={"preset": "mnist", "batch_size": 64}), ablation=True)
    presets = {name: row["preset"] for name, row in rows.items()}
    assert presets.pop("paper") == presets.pop(classifier.PAPER_AS_LONG) == "mnist"
    assert set(presets.values()) == {"mnist-robust"} and {row["batch_size"] for row in rows.values()} == {64}


def test_data_without_labels_are_an_error_before_anything_is_trained(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", images=np.zeros((60, 28, 28), np.float32))
    given = ["--data", str(tmp_path / "a.npz"), "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert cli.main(["experiment", "classifier", *given]) == 2
    assert "no labels" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_run_without_categories_is_an_error(tmp_path):
    with pytest.raises(InputError, match="categorical"):
        classifier.measure({"paper": {0: make_run(tmp_path / "run", codes="uniform")}}, "mnist-5k", "held_out")


def test_the_command_trains_all_rows_measures_and_writes(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = {**SMALL, "batch_size": 8, "invariance_batch": 8, "head_start": 2}
    fields = [f"--set={name}={str(value).strip('()')}" for name, value in small.items() if name != "head_start"]
    given = ["experiment", "classifier", "--seeds", "3", "--steps", "2", "--robust-steps", "1", "--jobs", "2"]
    monkeypatch.setitem(config.PRESETS["mnist-robust"], "head_start", 2)
    assert cli.main([*given, *fields]) == 0
    out = capsys.readouterr().out
    assert "mnist-robust, seed 3" in out and "Missed" in out and "infogan traverse" in out
    folder = tmp_path / "runs" / "experiments"
    assert {p.name for p in (folder / "classifier").iterdir()} == {"result.json", "table.md", "classifier.png"}
    assert "--robust-steps 1" in json.loads((folder / "classifier" / "result.json").read_text())["command"]
    assert json.loads((folder / "infogan" / "seed-3" / "config.json").read_text())["invariance"] == 0
    robust = json.loads((folder / "mnist-robust" / "seed-3" / "config.json").read_text())
    assert (robust["steps"], robust["invariance"]) == (1, 3.0)
