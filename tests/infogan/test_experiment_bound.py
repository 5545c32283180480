"""The theory by numbers through its command: what it prints and writes, and that a false figure fails it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from infogan import cli, theory
from infogan.errors import InfoganError
from infogan.experiments import bound


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return bound.measure(seed=1, draws=4000, updates=20)


def holds(found: dict[str, Any]) -> dict[str, bool]:
    return {check["what"]: check["holds"] for check in found["checks"]}


def test_everything_the_theory_demands_holds(found):
    assert len(found["checks"]) >= 9 and all(holds(found).values())


def test_bounds_stand_below_the_information(found):
    assert set(found["toys"]) == {"cells", "mixture", "uniform", "normal"}
    for toy in found["toys"].values():
        assert toy["readings"]["the true posterior"]["bound"] == pytest.approx(toy["information"], abs=1e-9)
        for reading in toy["readings"].values():
            assert reading["bound"] <= toy["information"] + 1e-9
            assert reading["gap"] == pytest.approx(reading["kl"], abs=1e-9)
        steps = [line["step"] for line in toy["training"]]
        assert steps[0] == 0 and steps[-1] == 20 and steps == sorted(set(steps))
        assert toy["training"][-1]["bound"] > toy["training"][0]["bound"]


def test_a_trained_q_is_not_held_to_the_truth_before_enough_updates(found):
    assert not any("after training" in what for what in holds(found))


@pytest.mark.slow
def test_every_default_check_holds():
    whole = holds(bound.measure())
    assert whole["I − L_I left after training, where Q can say the truth"] and all(whole.values())


def test_the_command_prints_and_writes(tmp_path, capsys):
    assert cli.main(["experiment", "bound", "--updates", "5", "--draws", "1000", "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    for part in ("Q the true posterior", "misprint", "what the theory demands", "20 updates in all"):
        assert part in out or part in (tmp_path / "out" / "table.md").read_text()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"result.json", "table.md", "bound.png"}
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert written["experiment"] == "bound" and "--draws 1000" in written["command"] and written["machine"]
    assert written["lemma"]["cases"]["X = Y = ±1 together, f = xy"]["misprinted"]["exact"] == 0
    # a Markdown cell ends at a bar: none may stand in a name
    header, *rows = (tmp_path / "out" / "table.md").read_text().split("\n\n")[0].splitlines()
    assert all(row.count("|") == header.count("|") for row in rows)


def test_it_is_repeatable(found):
    again = bound.measure(seed=1, draws=4000, updates=20)
    assert again == found != bound.measure(seed=2, draws=4000, updates=20)


MISTAKES = {
    "the misprint in place of the lemma": ("lemma_right", theory.lemma_misprinted, "lemma: difference"),
    "the lemma in place of the misprint": ("lemma_misprinted", theory.lemma_right, "misprint: off by"),
    "a divergence that is not one": ("expected_kl", lambda toy, q: 0.5, "difference of I − L_I and E KL"),
    "information too low": ("exact_information", lambda table: 0.1, "exact L_I above I"),
    "draws that miss their mean": (
        "sampled_bound", lambda toy, q, rng, n: theory.Estimate(9.0, 0.01), "sampled L_I above I"),
}  # fmt: skip


@pytest.mark.parametrize("name, wrong, check", MISTAKES.values(), ids=MISTAKES)
def test_a_false_figure_is_an_error_that_names_it(monkeypatch, name, wrong, check):
    monkeypatch.setattr(theory, name, wrong)
    with pytest.raises(InfoganError, match="checks failed") as error:
        bound.demand(bound.measure(draws=1000, updates=1))
    assert check in error.value.message


def test_a_false_figure_fails_the_command_with_everything_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(theory, "lemma_right", theory.lemma_misprinted)
    assert cli.main(["experiment", "bound", "--updates", "1", "--draws", "1000", "--out", str(tmp_path)]) == 1
    assert "lemma: difference of its sides" in capsys.readouterr().err
    assert not all(holds(json.loads((tmp_path / "result.json").read_text())).values())


def test_the_misprint_drawn_in_place_of_the_lemma_fails_too(monkeypatch):
    drawn = theory.sampled_lemma

    def misdrawn(joint: np.ndarray, f: np.ndarray, rng: np.random.Generator, n: int) -> dict[str, theory.Estimate]:
        sides = drawn(joint, f, rng, n)
        return {**sides, "right": sides["misprinted"]}

    monkeypatch.setattr(theory, "sampled_lemma", misdrawn)
    assert not holds(bound.measure(draws=1000, updates=1))["lemma: sampled sides off the exact ones, standard errors"]


@pytest.mark.parametrize(
    "given, says",
    [
        (["--draws", "10"], "--draws"),
        (["--updates", "0"], "--updates"),
        (["--seed", "-1"], "--seed"),
        (["--seed", "x"], "x"),
    ],
)
def test_bad_input_is_one_line(capsys, given, says):
    assert cli.main(["experiment", "bound", *given]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_a_folder_that_is_a_file_is_one_line(tmp_path, capsys):
    (tmp_path / "out").write_text("kept")
    assert cli.main(["experiment", "bound", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and (tmp_path / "out").read_text() == "kept"
