"""The contrastive term of InfoGAN-CR: its value, its pairs, whom it trains; and the experiment on sprites."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import small_runs
from made_runs import SMALL, make_run
from test_resume import finish, lines, resume, stop_at, tensors
from test_training import Bench

import minigrad as mg
from infogan import cli, objective
from infogan.draws import draw_noise, draw_pairs
from infogan.errors import InputError
from infogan.evaluation.disentanglement import METRICS
from infogan.experiments import disentanglement
from infogan.experiments.common import Plan
from infogan.update import Noise, Pairs

CODES = "cat:3,uniform,uniform"


def test_contrast_is_information_on_the_shared_variable():
    logits = np.random.default_rng(0).normal(0, 2, (9, 4))
    held = np.arange(9) % 4
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = objective.contrast(mg.Tensor(logits), mg.Tensor(held)).item()
    assert found == pytest.approx(np.log(4 * p[np.arange(9), held]).mean(), rel=1e-12)
    assert objective.contrast(mg.Tensor(np.zeros((5, 3))), mg.Tensor(np.zeros(5, int))).item() == pytest.approx(0)
    sure = mg.Tensor(1000 * np.eye(3))
    assert objective.contrast(sure, mg.Tensor(np.arange(3))).item() == pytest.approx(math.log(3))


def test_pairs_share_one_variable_and_nothing_else():
    config = small_runs.make_config(codes=CODES, contrastive=1.0, contrastive_batch=90)
    z, c, held = draw_pairs(config, config.code, 4)
    assert z.shape == (180, 5) and c.shape == (180, 5) and held.shape == (90,)
    assert not (z[:90] == z[90:]).any()
    for k, columns in enumerate(config.code.columns):
        equal = (c[:90, columns] == c[90:, columns]).all(axis=1)
        assert equal[held == k].all() and (held == k).sum() > 15
        others = equal[held != k]
        assert others.mean() < 0.6 if k == 0 else not others.any()  # three categories meet by chance
    again = draw_pairs(config, config.code, 4)
    assert all((a == b).all() for a, b in zip((z, c, held), again, strict=True))
    assert (draw_noise(config, config.code, "noise of G", 4, 90)[0] != z[:90]).any()


def pairs(bench: Bench, weight: float) -> Pairs:
    z, c, held = draw_pairs(bench.config, bench.code, 1)
    return Pairs(Noise(mg.Tensor(z.astype(float)), mg.Tensor(c.astype(float))), mg.Tensor(held), weight)


def test_the_term_trains_g_and_h_with_its_weight_and_nobody_else():
    """Against gradients by central differences, in float64, of weights of every part that the step moves."""
    weight = 0.7
    bench = Bench(codes=CODES, contrastive=weight, contrastive_batch=12)
    bench.optimisers.d.step = bench.optimisers.g.step = lambda: None
    bench.update()
    parameters = dict(bench.nets.named_parameters())
    plain = {n: None if p.grad is None else p.grad.numpy().copy() for n, p in parameters.items()}
    assert all(plain[n] is None for n in plain if n.startswith("H."))
    batch = pairs(bench, weight)
    measured = bench.update(pairs=batch)

    def term() -> float:
        with mg.no_grad():
            x = bench.nets.generate(*batch.noise)
            return objective.contrast(bench.nets.compare(x[:12], x[12:]), batch.held).item()

    assert measured.contrast == pytest.approx(term(), rel=1e-12)
    for name in ("G.0.weight", "G.5.weight", "H.0.weight", "H.4.weight", "H.6.bias"):
        values = parameters[name].data.reshape(-1)
        slopes = []
        for change in (1e-5, -1e-5):
            values[1] += change
            slopes.append(term() / (2 * change))
            values[1] -= change
        before = 0.0 if plain[name] is None else plain[name].reshape(-1)[1]
        added = parameters[name].grad.numpy().reshape(-1)[1] - before
        assert added == pytest.approx(-weight * sum(slopes), rel=1e-4, abs=1e-9), name
    for name in ("D_head.weight", "Q_head.0.weight", "trunk.0.weight"):
        assert (parameters[name].grad.numpy() == plain[name]).all(), name


def test_h_changes_no_other_weight_at_the_start():
    plain, with_h = Bench(codes=CODES), Bench(codes=CODES, contrastive=1.0)
    parts = ("G", "trunk", "D_head", "Q_head")
    assert all((v == with_h.values(*parts)[k]).all() for k, v in plain.values(*parts).items())
    assert plain.values("H") == {} and len(with_h.values("H")) > 0


def test_a_run_with_the_term_from_an_update_on_ends_the_same_when_stopped(tmp_path):
    pictures = small_runs.write_pictures(tmp_path)
    settings = {"codes": CODES, "contrastive": 2.0, "contrastive_from": 5, "contrastive_batch": 6}
    finish(small_runs.begin(pictures, tmp_path / "whole", **settings), tmp_path / "whole")
    stop_at(small_runs.begin(pictures, tmp_path / "run", **settings), tmp_path / "run", 7)
    finish(resume(tmp_path / "run"), tmp_path / "run")
    assert tensors(tmp_path / "run") == tensors(tmp_path / "whole")
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    shown = [row.get("contrast") for row in lines(tmp_path / "run")]
    assert shown[:2] == [None, None] and all(value <= math.log(3) for value in shown[2:])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"objective": "gan", "codes": CODES}, "no use for it"),
        ({"codes": "uniform"}, "two codes or more"),
    ],
)
def test_settings_that_do_not_fit_are_an_error(fields, words):
    with pytest.raises(InputError, match=words):
        small_runs.make_config(contrastive=1.0, **fields)


def test_the_experiment_trains_both_measures_and_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(disentanglement.sprites, "COUNT", 1500)
    disentanglement.sprites._drawn.cache_clear()
    fields = [f"--set={name}={str(value).strip('()')}" for name, value in SMALL.items() if name != "noise"]
    command = ["experiment", "disentanglement", "--seeds", "3", "--steps", "4", "--jobs", "1", *fields]
    try:
        assert cli.main([*command, "--set", "contrastive_batch=8"]) == 0
    finally:
        disentanglement.sprites._drawn.cache_clear()
    out = capsys.readouterr().out
    for words in ("InfoGAN, seed 3", "InfoGAN-CR, mean", "random encoder (floor)", "the factors themselves (ceiling)",
                  "8 updates in all", "300 sprites"):  # fmt: skip
        assert words in out, words
    folder = tmp_path / "runs" / "experiments"
    assert {p.name for p in (folder / "disentanglement").iterdir()} == {
        *("result.json", "table.md", "disentanglement.png")
    }
    found = json.loads((folder / "disentanglement" / "result.json").read_text())
    assert found["ceiling"]["the factors themselves"]["factor_vae"] == 1
    assert found["runs"]["sprites-cr"]["3"]["factor_vae"] <= 0.6  # after four updates
    settings = [json.loads((folder / k / "seed-3" / "config.json").read_text()) for k in disentanglement.KINDS]
    assert [(s["contrastive"], s["contrastive_from"], s["codes"]) for s in settings] == [
        (0.0, 0, ",".join(["uniform"] * 5)),
        (2.0, 3, ",".join(["uniform"] * 5)),
    ]


def test_a_kind_is_scored_by_its_seeds(tmp_path):
    disentanglement.sprites._drawn.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disentanglement.sprites, "COUNT", 500)
        tell = lambda codes, factors, **_: dict.fromkeys(METRICS, float(codes[:, 0].mean()))  # the real ones: above
        patch.setattr(disentanglement.compared, "scores", tell)
        runs = {
            "sprites-plain": {s: make_run(tmp_path / f"a{s}", codes="5xuniform", seed=s) for s in (0, 1)},
            "sprites-cr": {0: make_run(tmp_path / "b", codes="5xuniform", seed=0, contrastive=2.0)},
        }
        found = disentanglement.measure(runs, "sprites")
        disentanglement.sprites._drawn.cache_clear()
    first, second = (found["runs"]["sprites-plain"][s]["mig"] for s in "01")
    assert first != second and found["spread"]["sprites-plain"]["mig"]["mean"] == pytest.approx((first + second) / 2)
    assert found["runs"]["sprites-cr"]["0"] == found["runs"]["sprites-plain"]["0"]  # H is no part of what is measured
    disentanglement.figure(found).savefig(tmp_path / "figure.png")
    assert "–" in disentanglement.table(found)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data": "mnist-5k"}, "write sprites"),
        ({"fields": {"contrastive": "1"}}, "sets this itself"),
        ({"fields": {"contrastive_from": "1"}}, "sets this itself"),
    ],
)
def test_a_plan_that_does_not_fit_is_an_error(given, words, tmp_path):
    with pytest.raises(InputError, match=words):
        disentanglement.train(Plan("disentanglement", **{"data": "sprites", "runs": tmp_path, **given}))
