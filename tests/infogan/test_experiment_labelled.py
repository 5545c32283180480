"""c1's error for a few labels: on runs of known networks, and through the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import SMALL, make_run

from infogan import cli
from infogan import data as data_sets
from infogan.errors import InputError
from infogan.evaluation import classifier
from infogan.evaluation.classifier import Recipe
from infogan.experiments import labelled
from infogan.experiments.common import Plan
from infogan.run import load

QUICK = Recipe(epochs=0.1, least_updates=3)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "cache_folder", lambda: folder)
        yield


@pytest.fixture(scope="module")
def found(tmp_path_factory, own_cache) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("runs")
    runs = {f"labelled-{n}": {s: make_run(folder / f"{n}-{s}", seed=s, labelled=n) for s in seeds}
            for n, seeds in ((10, (0,)), (20, (0, 1)))}  # fmt: skip
    return labelled.measure(runs, "mnist-5k", "held_out", QUICK)


def test_every_run_has_its_errors_and_every_row_their_spread(found):
    assert found["pictures"] == 1000 and found["updates"] == 3 * 7
    for row, seeds in found["rows"].items():
        errors = [run["direct"] for run in seeds.values()]
        assert found["spread"][row]["direct"]["worst"] == max(errors)
        for run in seeds.values():
            assert run["labelled"] == int(row.removeprefix("labelled-"))
            assert run["one_to_one"] <= run["direct"] <= 1 and 0.3 < run["labels_alone"] < 1
    text = labelled.table(found)
    assert "20, seed 1" in text and "stand beside no unsupervised one" in text


def test_the_direct_error_is_the_share_read_as_another_class(tmp_path):
    run = load(make_run(tmp_path / "run", labelled=10))
    shown = data_sets.load("mnist-5k", split="held_out")
    wrong = np.mean(run.encode(shown.images)["c1"].argmax(axis=1) != shown.labels)
    assert labelled.of_run(run, data_sets.load("mnist-5k"), shown, QUICK)["direct"] == pytest.approx(wrong)


def test_a_run_without_labels_is_an_error(tmp_path):
    with pytest.raises(InputError, match="learnt from some"):
        labelled.measure({"labelled-0": {0: make_run(tmp_path / "run")}}, "mnist-5k", "held_out")


def test_the_figure_is_drawn(found, tmp_path):
    labelled.figure(found).savefig(tmp_path / "labelled.png")
    assert (tmp_path / "labelled.png").stat().st_size > 10_000


def test_rows_differ_in_the_number_of_labels_alone():
    rows = labelled.rows(Plan("labelled"), [10, 100])
    assert {field for field in rows[10] if rows[10][field] != rows[100][field]} == {"labelled"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--labelled", "ten"], "write numbers"),
        (["--labelled", "5"], "one a class"),
        (["--labelled", "10", "--set", "labelled=3"], "sets this itself"),
    ],
)
def test_wrong_input_is_one_line_before_anything_is_trained(given, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["experiment", "labelled", *given]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_the_command_trains_all_rows_measures_and_writes(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Recipe, "updates", lambda self, count: 3)
    fields = [f"--set={name}={str(value).strip('()')}" for name, value in {**SMALL, "batch_size": 8}.items()]
    given = ["experiment", "labelled", "--labelled", "20", "--seeds", "3", "--steps", "1", "--jobs", "1"]
    assert cli.main([*given, *fields]) == 0
    out = capsys.readouterr().out
    assert "20, seed 3" in out and "infogan traverse" in out
    folder = tmp_path / "runs" / "experiments"
    assert {p.name for p in (folder / "labelled").iterdir()} == {"result.json", "table.md", "labelled.png"}
    assert json.loads((folder / "labelled-20" / "seed-3" / "config.json").read_text())["labelled"] == 20
