"""Collapse is noticed, said once, recorded, and told with what to try; an ordinary run hears nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import small_runs

from infogan import config, record, start, training
from infogan.codes import Code
from infogan.watch import SETTLED, WINDOW, Watch, confused

EVERY = 10


def healthy(step: int, **changes) -> dict:
    """A row of an ordinary run of the paper's network."""
    bound = {"c1": 2.25, "c2": 0.9, "c3": 0.7}
    row = {
        "step": step, "loss_d": 0.9, "loss_g": 1.3, "spread": 0.2, "bound": bound,
        "residual": {"c2": 0.2, "c3": 0.25}, "confused": {"c1": [2, 5, 0.04]},
    }  # fmt: skip
    return {**row, **changes}


def said(fields: dict | None = None, *, steps: int = 1500, **changes) -> list[tuple[int, str]]:
    """What is said, and when, of a run whose every row has these `changes`; a change may be a function of the step."""
    watch, found = Watch(config.make(fields or {})), []
    for step in range(EVERY, steps + 1, EVERY):
        now = {key: value(step) if callable(value) else value for key, value in changes.items()}
        found += [(step, text) for text in watch.see(healthy(step, **now))]
    return found


def test_nothing_is_said_of_a_healthy_run():
    assert said() == []


COLLAPSES = [
    ({"loss_d": 0.02, "loss_g": 6.0}, ["D wins outright", "0.020", "learning_rate_d (now 0.0002)", "learning_rate_g"]),
    ({"loss_d": 3.5, "loss_g": 0.03}, ["fooled", "higher learning_rate_d", "lower learning_rate_g (now 0.001)"]),
    ({"loss_d": 2 * math.log(2), "loss_g": math.log(2)}, ["1/2 of every picture", "learning_rate_d", "batch_size"]),
    ({"spread": 0.002}, ["one picture whatever its input", "0.0020", "seed"]),
    ({"bound": {"c1": 0.05, "c2": 0.9, "c3": 0.7}}, ["c1 is ignored", "2.303", "lambda_categorical (now 1)"]),
    ({"residual": {"c2": 0.2, "c3": 0.57}}, ["c3 is ignored", "0.577", "lambda_continuous (now 1)"]),
    ({"confused": {"c1": [3, 7, 0.47]}}, ["c1: categories 3 and 7", "47%", "seed", "codes"]),
]


@pytest.mark.parametrize(("changes", "words"), COLLAPSES)
def test_each_collapse_is_said_once_with_what_to_try(changes, words):
    ((step, text),) = said(**changes)
    assert step == SETTLED
    for word in words:
        assert word in text
    assert "\n" not in text


@pytest.mark.parametrize(("changes", "words"), COLLAPSES)
def test_a_collapse_is_noticed_within_a_window_and_said_again_only_in_a_new_episode(changes, words):
    good = healthy(0)
    found = said(
        steps=4000,
        **{k: lambda s, k=k, v=v: v if 1000 < s <= 2000 or s > 3000 else good[k] for k, v in changes.items()},
    )
    first, second = (step for step, _ in found)
    assert 1000 < first <= 1000 + WINDOW
    assert 3000 < second <= 3000 + WINDOW


def test_a_short_spell_or_a_slow_start_is_no_collapse():
    good = healthy(0)
    for changes, _ in COLLAPSES:
        for low, high in ((0, SETTLED - WINDOW), (800, 800 + EVERY)):
            within = lambda s, low=low, high=high: low < s <= high
            spell = {k: lambda s, k=k, v=v, w=within: v if w(s) else good[k] for k, v in changes.items()}
            assert said(**spell) == [], (changes, low)


def test_flickering_about_a_threshold_is_one_episode():
    """The mean over a window goes to and fro between .06 and .12, never over .1 for a whole window."""
    assert len(said(steps=3000, loss_g=6.0, loss_d=lambda s: 0.12 if s // WINDOW % 2 else 0.06)) == 1


def test_a_code_without_weight_and_the_regular_gan_are_not_asked_for_codes():
    nothing = {"bound": {"c1": 0.0, "c2": -9.0, "c3": -9.0}, "residual": {"c2": 0.6, "c3": 0.6}}
    assert len(said(**nothing)) == 3
    assert said({"objective": "gan"}, **nothing) == []
    assert [text[:2] for _, text in said({"lambda_continuous": 0}, **nothing)] == ["c1"]
    assert said({"objective": "gan"}, loss_d=0.01, loss_g=8.0) != []


def test_where_a_player_is_out_the_codes_are_not_blamed():
    nothing = {"bound": {"c1": 0.0, "c2": -9.0, "c3": -9.0}, "residual": {"c2": 0.6, "c3": 0.6}}
    ((_, text),) = said(spread=0.0, **nothing)
    assert text.startswith("G draws one picture")


def test_a_rare_category_makes_a_small_entropy_and_no_false_alarm():
    fields = {"codes": "cat:2:0.99/0.01"}
    entropy = config.make(fields).code.entropy[0]
    row = {"residual": {}, "confused": {}}
    assert said(fields, bound={"c1": 0.8 * entropy}, **row) == []
    assert len(said(fields, bound={"c1": 0.05 * entropy}, **row)) == 1


def test_rows_further_apart_than_the_window_are_judged_one_by_one():
    watch = Watch(config.make({}))
    assert watch.see(healthy(1000)) == []
    assert len(watch.see(healthy(2000, loss_d=0.01, loss_g=7.0))) == 1
    assert watch.see(healthy(3000)) == []


def test_a_resumed_run_says_what_an_unbroken_one_says():
    changes = {"loss_d": 0.01, "loss_g": 7.0}
    rows = [healthy(s, **(changes if s > 700 else {})) for s in range(EVERY, 1500, EVERY)]
    unbroken = Watch(config.make({}))
    whole = [unbroken.see(row) for row in rows]
    for cut in (60, 75, 90, 120):
        resumed = Watch(config.make({}), json.loads(json.dumps(rows[:cut])))
        assert [resumed.see(row) for row in rows[cut:]] == whole[cut:]


def readings(counts: list[list[int]]) -> list[list[list[int]]]:
    """Two updates whose draws and readings of one code add up to `counts`."""
    k = len(counts)
    flat = [k * i + j for i in range(k) for j in range(k) for _ in range(counts[i][j])]
    return [[flat[::2]], [flat[1::2]]]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([[50, 0, 0], [0, 40, 10], [0, 20, 30]], [1, 2, 0.3]),
        ([[50, 0, 0], [0, 50, 0], [0, 48, 2]], [1, 2, 0.48]),
        ([[50, 0, 0], [0, 5, 0], [0, 5, 2]], [0, 1, 0.0]),
        ([[900, 0, 0], [30, 0, 0], [0, 0, 40]], [0, 1, 0.5]),
    ],
)
def test_the_two_categories_told_apart_worst(counts, expected):
    """By hand; categories of under ten draws say nothing, and the prior does not matter."""
    code = Code.parse("uniform,cat:3")
    found = confused(code, readings(counts))
    if counts[1][1] == 5:
        assert found == {}
    else:
        assert found == {"c2": expected}


def test_codes_of_many_categories_are_left_out():
    assert confused(Code.parse("cat:101"), [[[0, 5, 7]]]) == {}
    assert confused(Code.parse("uniform"), [[], []]) == {}


def test_readings_are_the_categories_drawn_and_read():
    code = Code.parse("cat:3,uniform,cat:2")
    c = np.array([[0, 1, 0, 0.5, 1, 0], [0, 0, 1, -0.5, 0, 1]])
    parameters = np.array([[9.0, 1, 2, 0, 0, 1], [0, 0, 1, 0, 3, 4]])
    assert [r.tolist() for r in code.readings(parameters, c)] == [[3 * 1 + 0, 3 * 2 + 2], [2 * 0 + 1, 2 * 1 + 1]]


# --- real runs, made to collapse


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return small_runs.write_pictures(tmp_path_factory.mktemp("data"), count=100)


def run(pictures: Path, folder: Path, *, before=lambda trainer: None, **changes) -> list[str]:
    """What is said of a small run, `before` being called ahead of every update; its rows hold the same."""
    heard: list[str] = []
    fields = {"steps": SETTLED, "batch_size": 16, "log_every": 10, "checkpoint_every": 10_000, "sample_every": 10_000}
    trainer = start.new_run(small_runs.settings(pictures, **{**fields, **changes}), folder, "cpu", None)
    advance = trainer.advance

    def advance_after():
        before(trainer)
        return advance()

    trainer.advance = advance_after
    training.train(trainer, folder, say=heard.append, progress=False)
    rows = [(row["step"], text) for row in record.read(folder) for text in row["notices"]]
    assert heard == [f"update {step:,}: {text}" for step, text in rows]
    return heard


def test_the_command_says_it_above_the_bar_and_goes_on(pictures, tmp_path):
    """G at a step of 10 saturates at once: one picture, whatever z and c."""
    changes = {"steps": SETTLED + 10, "batch_size": 16, "learning_rate_g": 10, "checkpoint_every": 10_000}
    done = small_runs.command(*small_runs.arguments(pictures, tmp_path / "run", **changes))
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("update ")]
    assert len(lines) == 1
    assert lines[0].startswith(f"update {SETTLED}: G draws one picture")
    assert "lower learning_rate_g (now 10)" in lines[0]
    assert "update 300:" not in done.stderr


def merge_two(trainer) -> None:
    """Categories 0 and 1 enter G by the same weights."""
    weight = trainer.networks.G[0].weight.data
    weight[:, trainer.config.noise + 1] = weight[:, trainer.config.noise]


def blind(trainer) -> None:
    """D takes everything for real."""
    trainer.networks.D_head.bias.data[...] = 10.0


FASTER = {"learning_rate_d": 1e-2, "learning_rate_g": 1e-2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "before", "expected"),
    [
        ({**FASTER, "codes": "cat:3"}, None, []),
        ({"learning_rate_d": 1e-2, "learning_rate_g": 1e-5, "generator_channels": (16, 16), "steps": 600}, None,
         ["D wins outright"]),
        ({"learning_rate_d": 1e-12, "learning_rate_g": 1e-12, "generator_channels": (16, 16)}, None,
         ["D says 1/2 of every picture"]),
        ({"learning_rate_g": 1e-2}, blind, ["D is fooled"]),
        ({**FASTER, "lambda_categorical": 1e-9}, None, ["c1 is ignored"]),
        ({**FASTER, "lambda_continuous": 1e-9}, None, ["c2 is ignored"]),
        ({**FASTER, "lambda_categorical": 0, "lambda_continuous": 0}, None, []),
        ({**FASTER, "objective": "gan"}, None, []),
        (FASTER, merge_two, ["c1: categories 0 and 1 make no distinct pictures"]),
    ],
)  # fmt: skip
def test_real_runs_made_to_collapse(pictures, tmp_path, changes, before, expected):
    heard = run(pictures, tmp_path / "run", before=before or (lambda trainer: None), **changes)
    assert len(heard) == len(expected), heard
    for text, words in zip(heard, expected, strict=True):
        assert words in text


@pytest.mark.slow
def test_an_ordinary_run_on_digits_hears_nothing(tmp_path):
    """The default settings, on networks a tenth as large."""
    changes = {
        "codes": "cat:10,uniform,uniform", "noise": 62, "batch_size": 32, "generator_dense": 128,
        "generator_channels": (32, 16), "trunk_channels": (16, 32), "trunk_dense": 128, "q_dense": 64, "steps": 400,
    }  # fmt: skip
    assert run(Path("mnist-5k"), tmp_path / "run", **changes) == []
