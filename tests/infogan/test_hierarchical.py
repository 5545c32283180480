"""Codes on two levels: categories that have codes of their own, from their text to the bound and the pictures."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import small_runs
from made_runs import make_run

import infogan
import minigrad as mg
from infogan import checkpoints, cli, figures, objective, start, theory, training
from infogan.codes import Code
from infogan.errors import InputError
from infogan.evaluation.report import bounds, in_words, meanings
from infogan.explore.explorer import Asked, Explorer, Noise
from infogan.run import load

TEXT = "uniform,cat:3:0.5/0.25/0.25(uniform,normal:2.0:0.5),cat:2"
CODE = Code.parse(TEXT)
TOY = theory.Branches((0.5, 0.3, 0.2), (-2.0, 0.0, 1.5), (0.4, 0.0, 1.2), 0.5)

# --- the text


def test_the_text_and_where_its_columns_are():
    assert CODE.spec == TEXT and Code.parse(CODE.spec).variables == CODE.variables
    assert CODE.names == ["c1", "c2", "c3", "c4", "c5"]
    assert CODE.parents == (None, None, 1, 1, None)
    assert [s.stop - s.start for s in CODE.columns] == [1, 3, 3, 3, 2]
    assert Code.parse(TEXT, sigma=None).parameters == 2 + 3 + 3 * 2 + 3 * 2 + 2
    assert CODE.own("c2") == ["c3", "c4"] and CODE.own("c1") == [] and CODE.parent("c4") == "c2"
    assert "uniform of each category of c2" in CODE.table()


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("2xcat:3( uniform , normal ) ", "cat:3(uniform,normal),cat:3(uniform,normal)"),
        ("cat:2(3xuniform)", "cat:2(uniform,uniform,uniform)"),
    ],
)
def test_repeats(text, spec):
    assert Code.parse(text).spec == spec


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("uniform(uniform)", "only categories"),
        ("cat:3()", "is no code"),
        ("cat:3(cat:2)", "uniform or normal there"),
        ("cat:3(cat:2(uniform))", "do not match, or some within others"),
        ("cat:3(uniform", "do not match"),
        ("cat:3(uniform,normal", "do not match"),
        ("cat:3(uniform))", "do not match"),
        ("cat:3(uniform)x", "do not match"),
        ("(uniform)", "only categories"),
        ("cat:3(gauss)", "is no code"),
    ],
)
def test_a_wrong_tree_is_one_line_that_says_what_is_right(text, right):
    with pytest.raises(InputError, match=right) as caught:
        Code.parse(text)
    assert "\n" not in caught.value.message


# --- what G sees


def test_g_sees_the_own_codes_of_the_category_drawn_alone():
    c = CODE.sample(np.random.default_rng(0), 500)
    category = c[:, CODE.columns[1]].argmax(axis=1)
    for i in (2, 3):
        block = c[:, CODE.columns[i]]
        assert (block[np.eye(3, dtype=bool)[category]] != 0).all()
        assert (block[~np.eye(3, dtype=bool)[category]] == 0).all()
    assert abs(CODE.value(c, 3).mean() - 2) < 0.1 and abs(CODE.value(c, 2).std() - 1 / math.sqrt(3)) < 0.05
    assert -np.mean(CODE.log_prob(CODE.sample(np.random.default_rng(1), 50_000))) == pytest.approx(
        sum(CODE.entropy), abs=0.02
    )


def test_held_values_do_not_depend_on_the_order_they_are_named_in():
    c = CODE.sample(np.random.default_rng(2), 6)
    one = CODE.fix(CODE.fix(c, "c2", 2), "c3", 0.0)
    two = CODE.fix(CODE.fix(c, "c3", 0.0), "c2", 2)
    assert (one == two).all()
    assert (CODE.value(one, 2) == 0).all() and (CODE.value(one, 1) == [0, 0, 1]).all()
    np.testing.assert_array_equal(CODE.value(one, 3), CODE.value(c, 3), "c4 goes along to the other category")
    np.testing.assert_array_equal(one[:, CODE.columns[0]], c[:, CODE.columns[0]])


# --- what Q says


def test_each_category_has_heads_of_its_own():
    """log Q(c3|x, c2) is that of the head of the category drawn, and no other head gets a gradient."""
    rng = np.random.default_rng(3)
    c = CODE.sample(rng, 20).astype(np.float64)
    parameters = mg.tensor(rng.normal(size=(20, CODE.parameters)), requires_grad=True)
    log_q = CODE.log_q(parameters, mg.Tensor(c))[2]
    category, value = c[:, CODE.columns[1]].argmax(axis=1), CODE.value(c, 2)[:, 0]
    mean = parameters.detach().numpy()[:, CODE.outputs[2]][np.arange(20), category]
    np.testing.assert_allclose(
        log_q.detach().numpy(), -0.5 * (value - mean) ** 2 - 0.5 * math.log(2 * math.pi), rtol=1e-12
    )
    log_q.sum().backward()
    gradient = parameters.grad.numpy()
    moved = gradient[:, CODE.outputs[2]] != 0
    assert (moved == np.eye(3, dtype=bool)[category]).all()
    gradient[:, CODE.outputs[2]] = 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("sigma", [1.0, None])
def test_gradients_in_parameters_and_codes(sigma):
    code = Code.parse("cat:3(uniform,normal)", sigma=sigma)
    rng = np.random.default_rng(4)
    parameters = mg.tensor(rng.normal(size=(3, code.parameters)), requires_grad=True)
    c = mg.tensor(code.sample(rng, 3).astype(np.float64), requires_grad=True)
    assert mg.gradcheck(lambda p, c: sum(code.log_q(p, c)), (parameters, c))
    assert mg.gradgradcheck(lambda p: sum(objective.information(code, p, c.detach())), (parameters,))


def test_a_picture_is_read_by_the_heads_of_its_likeliest_category():
    code = Code.parse("cat:2(uniform)")
    found = code.posterior(np.array([[0.0, 1.0, 0.3, -0.7], [2.0, 1.0, 0.3, -0.7]]))
    assert found["c2"][:, 0].tolist() == [-0.7, 0.3]


# --- the bound


def test_the_two_terms_are_the_information_for_the_true_posterior():
    """Closed forms against every case of c1, c2 and x gone through: the chain rule holds."""
    assert TOY.bound(TOY.truth) == pytest.approx(TOY.information(), abs=1e-9)
    first, second = TOY.information()
    assert 0.5 < first < TOY.code.entropy[0] and second == pytest.approx(
        sum(p * 0.5 * math.log(1 + s**2 / 0.25) for p, s in zip(TOY.p, TOY.slopes, strict=True))
    )


def worse(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A Q unsure of the category and wrong by a tenth in every mean."""
    log_q, mean, sigma = TOY.truth(x)
    log_q = 0.5 * log_q - np.log(np.exp(0.5 * log_q).sum(axis=1, keepdims=True))
    return log_q, mean + 0.1, 1.3 * sigma


@pytest.mark.parametrize("reading", [TOY.truth, worse], ids=["truth", "worse"])
def test_the_objective_estimates_the_enumerated_bound(reading):
    """Fails if the head of another category is read, or a term left out."""
    c, x = TOY.sample(np.random.default_rng(5), 40_000)
    parameters = mg.Tensor(TOY.parameters(reading, x))
    terms = objective.information(TOY.code, parameters, mg.Tensor(c))
    for term, log_q, exact in zip(terms, TOY.code.log_q(parameters, mg.Tensor(c)), TOY.bound(reading), strict=True):
        _, error = theory.estimate(log_q.numpy())
        assert abs(term.item() - exact) < 4 * error < 0.03


def test_a_worse_reading_has_less_in_both_terms():
    for less, information in zip(TOY.bound(worse), TOY.information(), strict=True):
        assert less < information - 0.01


def test_heads_of_the_category_read_in_place_of_the_one_drawn_are_no_bound_on_the_chain_rule():
    """What the lemma asks for is the c1 that made x: with the likeliest one the second term is another number."""
    c, x = TOY.sample(np.random.default_rng(6), 20_000)
    parameters = TOY.parameters(TOY.truth, x)
    likeliest = np.eye(3)[parameters[:, :3].argmax(axis=1)]
    swapped = TOY.code.put(c, 0, likeliest)
    right, wrong = (TOY.code.log_q(mg.Tensor(parameters), mg.Tensor(rows))[1].numpy().mean() for rows in (c, swapped))
    assert abs(wrong - right) > 0.1


# --- a run


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return small_runs.write_pictures(tmp_path_factory.mktemp("pictures"))


SETTINGS = {"codes": "cat:3(uniform,normal),uniform", "invariance": 1.0, "invariance_batch": 5, "sigma": "learned"}


def finish(trainer, run_dir) -> None:
    training.train(trainer, run_dir, progress=False, say=lambda line: None)


def test_a_run_that_is_stopped_ends_with_the_same_bits(pictures, tmp_path):
    for name, first in (("whole", 6), ("in two", 4)):
        finish(small_runs.begin(pictures, tmp_path / name, steps=first, **SETTINGS), tmp_path / name)
    finish(start.resumed_run({"steps": 6}, tmp_path / "in two", "cpu", None, lambda line: None), tmp_path / "in two")
    whole, two = (checkpoints.latest(tmp_path / name).tensors for name in ("whole", "in two"))
    assert all((whole[key] == two[key]).all() for key in whole)
    lines = [json.loads(text) for text in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert list(lines[-1]["bound"]) == ["c1", "c2", "c3", "c4"] and list(lines[-1]["residual"]) == ["c2", "c3", "c4"]
    assert lines[-1]["L_I"] == pytest.approx(sum(lines[-1]["bound_trained"].values()))


def test_every_command_takes_such_a_run(pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(small_runs.arguments(pictures, tmp_path / "run", steps=3, **SETTINGS)) == 0
    for given in (
        ["generate", "run", "-n", "4", "--set", "c2=0.5,c1=2", "--out", "some.npz"],
        ["traverse", "run"],
        ["evaluate", "run"],
        ["encode", "run", str(pictures), "--out", "codes.csv"],
        ["report", "run"],
        ["export", "run", "--format", "torch", "--out", "out"],
    ):
        assert cli.main(given) == 0, (given, capsys.readouterr().err)
    names = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert {"tree-c1.png", *(f"traverse-c{i}.png" for i in range(1, 5))} <= names
    assert (tmp_path / "codes.csv").read_text().startswith(("picture,c1,", "file,c1,"))
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())["codes"]
    assert len(found["c2"]["residual_by_category"]) == 3 and "residual_by_category" not in found["c4"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "of each category of c1" in page and "A tree: each category of c1 is a branch" in page


def test_pictures_asked_for_in_any_order_are_one(tmp_path):
    run = load(make_run(tmp_path / "run", codes="cat:3(uniform)"))
    assert (run.generate(3, c1=2, c2=0.5) == run.generate(3, c2=0.5, c1=2)).all()
    explorer = Explorer(run)
    noise = Noise(seed=4)
    one, two = (explorer.picture(Asked(codes=codes, noise=noise)) for codes in
                ({"c1": 2, "c2": 0.5}, {"c2": 0.5, "c1": 2}))  # fmt: skip
    assert one == two
    image = run.generate(1, seed=4, c1=2, c2=0.5)
    assert one["reading"]["c2"] == run.encode(image)["c2"][0].tolist()


def test_what_an_own_code_means_is_told_category_by_category(tmp_path):
    """A generator that slants by c2 in one category and widens by it in the other."""
    run = load(make_run(tmp_path / "run", codes="cat:2(uniform)"))
    rows, columns = np.indices((28, 28)) - 13.5

    def generate(z, c):
        first, value = run.code.value(c, 0), run.code.value(c, 1)[:, 0, None, None]
        slanted, wide = first[:, 0, None, None] * value, first[:, 1, None, None] * value
        return np.exp(-(((columns + 0.6 * slanted * rows) / (3 + wide)) ** 2 + (rows / 7) ** 2))[:, None]

    run.G = generate
    rng = np.random.default_rng(0)
    shown = infogan.data.Dataset(generate(None, run.code.sample(rng, 60)), np.arange(60) % 2, "made", "", "held_out")
    found = meanings(run, shown, [])["c2"]["by_category"]
    assert [found[k]["property"] for k in "01"] == ["slant", "width"]
    assert found["0"]["slant"]["rho"] > 0.99 and found["1"]["width"]["rho"] > 0.99
    codes = bounds(run, 200)
    codes["c2"] |= {"by_category": found}
    told = in_words({"codes": codes})
    assert "slant in 0 (rho 1.00 to 1.00)" in told and "width in 1" in told


def test_the_tree_holds_every_category_with_its_own_codes_moving(tmp_path):
    run = load(make_run(tmp_path / "run", codes="cat:3(uniform,uniform),uniform"))
    figure = figures.tree_figure(run, "c1")
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == 3 + 3
    blocks = [axes.images[0].get_array().shape for axes in pictures]
    side = 28 + 2
    assert blocks.count((28, 28)) == 3 and blocks.count((2 * side - 2, 9 * side - 2)) == 3
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"c1 = 0", "c1 = 2", "c2", "c3", "−2", "2"} <= texts
