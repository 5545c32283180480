"""What the codes mean, over seeds: made runs, runs that draw what their codes say, and the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import SMALL, make_run

from infogan import cli
from infogan.errors import InputError
from infogan.evaluation import classifier, pictures, report
from infogan.evaluation.classifier import Recipe
from infogan.experiments import codes, common
from infogan.run import Run
from infogan.workers import trained

RECIPE = Recipe(epochs=0, least_updates=5, batch_size=64)


@pytest.fixture(autouse=True)
def _few_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "SWEEP_NOISES", 2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny and untrained, on the digits that ship."""
    return make_run(tmp_path_factory.mktemp("runs") / "run")


def bars(run: Run, z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Two parallel bars: c2 shears them and c3 parts them, but not in category 0, which is one bar."""
    y, x = np.mgrid[-14:14, -14:14].astype(np.float32)
    shear, apart = 0.5 * c[:, 10, None, None], (4 + 2 * c[:, 11] * (1 - c[:, 0]) - 4 * c[:, 0])[:, None, None]
    across = np.abs(x - z[:, 0, None, None] - shear * y)
    return (np.clip(2 - np.abs(across - apart), 0, 1) * (np.abs(y) < 9))[:, None].astype(np.float32)


def meaning(prop: str, rho: float | None, effect: float, cross: float | None) -> dict[str, Any]:
    """A code that stands for `prop`, as `evaluation.report.meanings` tells it."""
    others = {p: {"rho": 0.1, "effect": 0.2, "sweeps": 9} for p in ("slant", "width", "stroke")}
    return {**others, prop: {"rho": rho, "effect": effect, "sweeps": 9}, "property": prop, "cross": cross}


Seeds = list[dict[str, dict[str, Any]]]
GOOD = {"c2": meaning("slant", 0.95, 2.0, 0.1), "c3": meaning("stroke", 0.92, 1.5, 0.2)}


@pytest.fixture
def measure(run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`codes.measure` of seeds whose meaning is given."""

    def measured(seeds: Seeds) -> dict[str, Any]:
        given = iter(seeds)
        monkeypatch.setattr(codes, "drawn_as_one", lambda *_: [])
        monkeypatch.setattr(pictures, "of_categories", lambda *_: {})
        monkeypatch.setattr(codes, "meanings", lambda *_: next(given))
        return codes.measure(dict.fromkeys(range(len(seeds)), run), recipe=RECIPE)

    yield measured


def test_codes_that_draw_what_they_say(run, monkeypatch):
    monkeypatch.setattr(Run, "G", bars)
    monkeypatch.setattr(codes, "drawn_as_one", lambda *_: [0])
    found = codes.measure({7: run}, recipe=RECIPE)
    seed = found["runs"]["7"]
    assert seed["roles"] == {"slant": "c2", "width or stroke": "c3"} and seed["drawn_as_one"] == [0]
    assert seed["codes"]["c2"]["slant"]["sweeps"] == 20 and seed["codes"]["c3"]["width"]["sweeps"] == 18
    assert found["mean"]["slant"]["rho"]["mean"] > 0.999 and found["mean"]["slant"]["seeds"] == 1
    assert found["goal"] is None  # of one seed there is no mean of five
    text = codes.table(found)
    for part in (
        "seed 7, c2",
        "mean, 1 of 1 seeds",
        "≥ 0.90",
        "Categories drawn as 1 are left out of width: seed 7: 0.",
    ):
        assert part in text
    json.dumps(found, allow_nan=False)


def test_goal_is_met_on_the_mean_of_five_seeds(measure):
    weak = {"c2": meaning("width", 0.85, 0.9, 0.5), "c3": meaning("slant", 0.88, 1.1, 0.0)}
    found = measure([GOOD, GOOD, GOOD, GOOD, weak])
    assert found["goal"]["met"]
    assert found["mean"]["slant"]["rho"]["mean"] == pytest.approx((4 * 0.95 + 0.88) / 5)
    assert found["mean"]["width or stroke"]["effect"]["mean"] == pytest.approx((4 * 1.5 + 0.9) / 5)
    assert found["mean"]["width or stroke"]["cross"]["worst"] == 0.5
    assert found["mean"]["width or stroke"]["rho"]["worst"] == 0.85


@pytest.mark.parametrize(
    "spoilt",
    [
        {"c2": meaning("slant", 0.5, 2.0, 0.1), "c3": GOOD["c3"]},
        {"c2": GOOD["c2"], "c3": meaning("stroke", 0.92, -3.0, 0.2)},
        {"c2": GOOD["c2"], "c3": meaning("stroke", 0.92, 1.5, 3.0)},
        {"c2": meaning("width", 0.95, 2.0, 0.1), "c3": GOOD["c3"]},
        {"c2": meaning("slant", None, 0.0, None), "c3": GOOD["c3"]},
    ],
    ids=["rho", "effect", "cross", "no slant", "slant that nothing shows"],
)
def test_goal_is_missed_by_one_bad_seed(measure, spoilt):
    found = measure([GOOD, GOOD, spoilt, GOOD, GOOD])
    assert found["goal"]["met"] is False
    assert "seed 2, c2" in codes.table(found)


def test_seeds_without_a_role_are_counted(measure):
    found = measure([GOOD, {"c2": meaning("width", 0.95, 2.0, 0.1), "c3": GOOD["c3"]}])
    assert found["mean"]["slant"]["seeds"] == 1 and "mean, 1 of 2 seeds" in codes.table(found)


def test_one_continuous_code_is_measured_without_a_goal(measure):
    found = measure([{"c2": meaning("slant", 0.95, 2.0, None)}] * 5)
    assert found["goal"] is None and "cross" not in found["mean"]["slant"]
    assert "mean, 5 of 5 seeds" in codes.table(found) and "mean, 0 of 5 seeds" in codes.table(found)


def one_after_another(runs: dict[Path, Any], *, jobs: int | None) -> dict[Path, None]:
    """`workers.train_all` without the seconds that each new process takes."""
    for folder, settings in runs.items():
        trained(settings, folder, progress=False, say=lambda line: None)
    return dict.fromkeys(runs)


def arguments(*more: str) -> list[str]:
    fields = [f"--set={name}={str(value).strip('()')}" for name, value in SMALL.items()]
    return ["experiment", "codes", "--steps", "2", *fields, "--set", "batch_size=8", "--jobs", "1", *more]


def test_the_command_trains_measures_and_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(classifier.Recipe, "updates", lambda self, count: 5)
    monkeypatch.setattr(common, "train_all", one_after_another)
    assert cli.main(arguments("--seeds", "3,5")) == 0
    out = capsys.readouterr().out
    for part in ("seed 3, c2", "seed 5, c3", "6 updates in all", "left out of width", "infogan traverse"):
        assert part in out
    folder = tmp_path / "runs" / "experiments"
    assert {p.name for p in (folder / "codes").iterdir()} == {"result.json", "table.md", "codes.png"}
    # a regular GAN is drawn beside the first seed alone
    assert {p.parent.relative_to(folder) for p in folder.glob("*/*/config.json")} == {
        Path("infogan/seed-3"), Path("infogan/seed-5"), Path("gan/seed-3")}  # fmt: skip
    found = json.loads((folder / "codes" / "result.json").read_text())
    assert found["experiment"] == "codes" and found["updates"] == 6 and found["settings"]["steps"] == 2
    assert found["seeds"] == [3, 5] and set(found["runs"]) == {"3", "5"}


@pytest.mark.parametrize(
    "given, says",
    [
        (["--set", "codes=cat:10"], "none of them is continuous"),
        (["--data", "nowhere"], "nowhere"),
        (["--seeds", "4-1"], "write 0-4"),
        (["--steps", "0"], "0 is not in the range"),
        (["--set", "seed=3"], "the experiment sets this itself"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_trained(tmp_path, monkeypatch, capsys, given, says):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments(*given)) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_pictures_that_are_no_digits_are_one_line(tmp_path, monkeypatch, capsys, run):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "a.npz", images=np.zeros((40, 28, 28), np.float32), labels=np.arange(40) % 3)
    assert cli.main(arguments("--data", str(tmp_path / "a.npz"))) == 2
    assert "digits of ten classes" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    with pytest.raises(InputError, match="digits of ten classes"):
        codes.measure({0: run}, str(tmp_path / "a.npz"), RECIPE)
