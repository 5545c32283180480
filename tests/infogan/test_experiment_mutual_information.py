"""What a picture tells of its code: made generators whose answer is known, and the command on tiny runs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_runs

import minigrad as mg
from infogan import cli, networks
from infogan.errors import InputError, Interrupted
from infogan.experiments import common
from infogan.experiments import mutual_information as information
from infogan.experiments.common import Plan
from infogan.experiments.mutual_information import Lessons
from infogan.experiments.panels import four_panels
from infogan.run import Run
from infogan.workers import trained

STEPS = 10
NAMES = {"result.json", "table.md", "mutual-information.png", "panels.png"}


SHORT = Lessons(span=4, most=8, draws=300)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(information, "LESSONS", SHORT)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Two seeds of both kinds, trained for ten updates."""
    folder = tmp_path_factory.mktemp("information")
    pictures = small_runs.write_pictures(folder)
    fields = {k: v for k, v in small_runs.FIELDS.items() if k != "steps"}
    fields = {k: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for k, v in fields.items()}
    plan = Plan("mutual-information", str(pictures), [0, 1], STEPS, folder / "runs", folder / "out", None, fields)
    for kind in ("infogan", "gan"):
        for seed in plan.seeds:
            folder = plan.runs / kind / f"seed-{seed}"
            trained(plan.settings(kind, seed), folder, progress=False, say=lambda line: None)
    return plan


def told(plan: Plan, out: Path) -> list[str]:
    """The command of `plan`."""
    found = ["experiment", plan.name, "--data", plan.data, "--seeds", "0-1", "--steps", str(STEPS)]
    found += ["--runs", str(plan.runs), "--out", str(out)]
    return [*found, *(word for field, value in plan.fields.items() for word in ("--set", f"{field}={value}"))]


def test_the_experiment_from_the_command(plan, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(told(plan, out)) == 0
    said = capsys.readouterr()
    assert "regular GAN, own Q" in said.out and "Goal: InfoGAN's bound of c1 passes 1.074 of 1.099 nats" in said.out
    assert "readings" in said.err
    assert {path.name for path in out.iterdir()} == NAMES
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in NAMES if name.endswith("png"))
    found = json.loads((out / "result.json").read_text())
    for kind in ("infogan", "gan"):
        assert {seed: list(curve) for seed, curve in found["curves"][kind].items()} == {
            key: ["2", "4", "6", "8", "10"] for key in "01"
        }
    readers = [reader for seed in found["readers"].values() for reader in seed.values()]
    assert len(readers) == 10
    for reader in readers:
        assert reader["updates"] in (4, 8)
        assert all(reader["bound"][name] >= reader["start"][name] for name in ("c1", "c2"))
    assert found["updates"] == 4 * STEPS + sum(reader["updates"] for reader in readers)
    assert found["goal"]["met"] is False, "ten updates teach nothing"
    assert found["command"].startswith("infogan experiment mutual-information --data")
    assert found["seeds"] == [0, 1] and found["versions"]["numpy"] and found["machine"]["processor"]
    table = (out / "table.md").read_text()
    assert "| seed 1 " in table and "Missed" in table and found["command"] in table


def test_a_regular_gan_beside_some_of_the_seeds(plan, tmp_path, capsys):
    assert cli.main([*told(plan, tmp_path), "--gan", "1", "--jobs", "1"]) == 0
    found = json.loads((tmp_path / "result.json").read_text())
    assert list(found["readers"]) == list(found["curves"]["gan"]) == ["1"]
    assert list(found["curves"]["infogan"]) == ["0", "1"]
    assert "--gan 1" in found["command"]
    without, beside = (tmp_path / "table.md").read_text().splitlines()[2:4]
    assert without.startswith("| seed 0") and without.endswith("– |") and not beside.endswith("– |")
    (axes,) = information.figure(found).axes
    labels = axes.get_legend_handles_labels()[1]
    assert "regular GAN, read by a Q of its own, 1 seed" in labels and "InfoGAN, 2 seeds" in labels
    assert cli.main([*told(plan, tmp_path), "--gan", "1-2"]) == 2
    assert "--gan 2: not among the seeds 0, 1" in capsys.readouterr().err


def test_the_shared_reading_is_where_the_own_reader_starts(plan, tmp_path):
    found = measured(plan, tmp_path)
    for seed, readers in found["readers"].items():
        for step, reader in readers.items():
            assert reader["start"] == found["curves"]["gan"][seed][step]


def measured(plan: Plan, out: Path, jobs: int = 1) -> dict[str, Any]:
    here = Plan(plan.name, plan.data, plan.seeds, plan.steps, plan.runs, out, jobs, plan.fields)
    return information.measure(here, common.train(here, here.seeds))


def test_an_interrupted_experiment_measures_nothing_twice(plan, tmp_path, monkeypatch):
    whole = measured(plan, tmp_path / "whole")
    real, calls = information._piece, []

    def counted(*given):
        if len(calls) == 23:
            raise KeyboardInterrupt
        calls.append(given)
        return real(*given)

    monkeypatch.setattr(information, "_piece", counted)
    with pytest.raises(Interrupted, match="what was measured is kept"):
        measured(plan, tmp_path / "cut")
    found = json.loads((tmp_path / "cut" / "result.json").read_text())
    assert sum(len(readers) for readers in found["readers"].values()) == 3
    monkeypatch.setattr(information, "_piece", lambda *given: calls.append(given) or real(*given))
    assert measured(plan, tmp_path / "cut") == whole
    assert len(calls) == 30


def test_readers_taught_otherwise_are_not_gone_on_with(plan, tmp_path, monkeypatch):
    measured(plan, tmp_path)
    monkeypatch.setattr(information, "LESSONS", replace(SHORT, most=4))
    found = measured(plan, tmp_path)
    assert {r["updates"] for readers in found["readers"].values() for r in readers.values()} == {4}


def test_several_processes_find_what_one_does(plan, tmp_path):
    assert measured(plan, tmp_path / "two", jobs=2) == measured(plan, tmp_path / "one", jobs=1)


def test_a_result_of_other_settings_is_not_written_over(plan, tmp_path):
    measured(plan, tmp_path)
    before = (tmp_path / "result.json").read_bytes()
    other = Plan(plan.name, plan.data, plan.seeds, 9, plan.runs, tmp_path, None, plan.fields)
    with pytest.raises(InputError, match="other settings"):
        common.begun(other)
    assert (tmp_path / "result.json").read_bytes() == before
    (tmp_path / "result.json").write_bytes(before[:-50])
    with pytest.raises(InputError, match="damaged"):
        measured(plan, tmp_path)


class Made(Run):
    """A run whose generator draws a bar where c1 says, or, if `mute`, wherever the noise says."""

    def __init__(self, mute: bool) -> None:
        config = small_runs.make_config(learning_rate_d=5e-3, batch_size=32)
        nets = networks.build(config).eval()
        super().__init__(Path(), config, nets, 7)

        def generate(z: mg.Tensor, c: mg.Tensor) -> mg.Tensor:
            place = ((z.numpy()[:, 0] + 1) * 1.5).astype(int) if mute else c.numpy()[:, :3].argmax(axis=1)
            images = np.zeros((len(place), 1, 8, 8), np.float32)
            for image, at in zip(images, place, strict=True):
                image[0, :, 3 * at : 3 * at + 2] = 1
            return mg.Tensor(images)

        nets.generate = generate


def test_a_reader_learns_all_that_the_pictures_tell():
    found = information.read(Made(mute=False), Lessons(5e-3, 0.9, span=80, most=2000, draws=300))
    assert found["start"]["c1"] < 0.1
    assert 0.97 * math.log(3) < found["bound"]["c1"] <= math.log(3)
    assert found["settled"] and found["updates"] % 80 == 0 and found["updates"] < 2000


def test_a_reader_finds_nothing_where_nothing_is():
    found = information.read(Made(mute=True), Lessons(5e-3, 0.9, span=80, most=2000, draws=2000))
    assert found["bound"]["c1"] < 0.01
    assert found["settled"]


def test_a_reader_that_still_learns_is_not_called_settled():
    found = information.read(Made(mute=False), Lessons(span=3, most=7, draws=300, rise=-math.inf))
    assert found["updates"] == 7 and not found["settled"]


def test_what_reads_is_the_average_of_the_weights():
    last, whole = (information.read(Made(mute=False), Lessons(5e-3, d, span=1, most=1, draws=300)) for d in (0, 0.999))
    assert last["start"] == whole["start"]
    assert last["bound"]["c1"] - last["start"]["c1"] > 10 * (whole["bound"]["c1"] - whole["start"]["c1"]) > 0


def test_reading_leaves_the_generator_alone(plan):
    from infogan.run import load

    run = load(plan.runs / "gan" / "seed-0", 4)
    before = {k: v.numpy().copy() for k, v in run.networks.state_dict().items()}
    information.read(run)
    after = run.networks.state_dict()
    moved = {k.split(".")[0] for k in before if not np.array_equal(before[k], after[k].numpy())}
    assert moved == {"trunk", "Q_head"}


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ({100: 1.0, 200: 2.3, 300: 2.26}, {"first": 200, "stays": True, "lowest": 2.26}),
        ({100: 2.25, 200: 2.2, 1000: 2.3}, {"first": 100, "stays": False, "lowest": 2.2}),
        ({100: 1.0}, {"first": None, "stays": False, "lowest": None}),
    ],
)
def test_when_a_curve_passes(curve, expected):
    assert information.passing(curve, 2.25) == expected


def test_the_goal_is_that_of_the_paper_for_ten_categories():
    assert information.PASS * math.log(10) == pytest.approx(2.25)


def test_where_experiments_look():
    assert common.milestones(5000)[:11] == (*range(100, 1001, 100), 1500)
    assert common.milestones(5000)[-2:] == (4500, 5000) and common.fifths(5000) == [1000, 2000, 3000, 4000, 5000]
    assert common.milestones(2500) == (*range(100, 1001, 100), 1500, 2000, 2500)
    assert common.fifths(3) == [1, 2, 3]
    assert set(common.fifths(1234)) <= set(common.milestones(1234))


def test_the_figure_shows_means_bands_and_the_ceiling(plan, tmp_path):
    found = measured(plan, tmp_path)
    (axes,) = information.figure(found).axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    curves = found["curves"]["infogan"].values()
    mean = [np.mean([curve[step]["c1"] for curve in curves]) for step in ("2", "4", "6", "8", "10")]
    np.testing.assert_allclose(lines["InfoGAN, 2 seeds"].get_ydata(), mean)
    assert "H(c1) = ln 3 = 1.099" in lines
    assert len(axes.collections) == 3
    assert axes.get_ylabel() == "bound, nats" and axes.get_xlabel() == "updates"


def test_a_goal_needs_every_seed(plan, tmp_path):
    found = measured(plan, tmp_path)
    runs = common.train(plan, plan.seeds)
    full = {"2": {"c1": 1.08, "c2": 0.0}, "10": {"c1": 1.09, "c2": 0.0}}
    reached = {**found, "curves": {**found["curves"], "infogan": {"0": full, "1": full}}}
    assert information._conclusions(plan, runs, reached)["goal"]["met"]
    reached["curves"]["infogan"] = {"0": full, "1": {**full, "10": {"c1": 1.0, "c2": 0.0}}}
    assert not information._conclusions(plan, runs, reached)["goal"]["met"]


def test_panels_of_the_paper():
    ours, theirs = Made(mute=False), Made(mute=True)
    figure = four_panels(ours, theirs)
    titles = [axes.get_title("left") for axes in figure.axes if axes.images]
    assert titles == ["(a) c1 moves in an InfoGAN", "(b) c1 moves in a regular GAN", "(c) c2 moves in an InfoGAN"]
    ticks = [label.get_text() for label in figure.axes[2].get_xticklabels()]
    assert (ticks[0], ticks[-1], len(ticks)) == ("−2", "2", 9)
    sheet = figure.axes[0].images[0].get_array()
    assert sheet.shape == (5 * 10 - 2, 3 * 10 - 2)
    for column in range(3):  # the bar stands where c1 says, in every row
        assert sheet[:8, column * 10 : column * 10 + 8].argmax(axis=1).tolist() == [3 * column] * 8
