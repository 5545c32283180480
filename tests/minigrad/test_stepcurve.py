"""Error over the step: a V for a right rule, a flat line for a wrong one, and what `--op` shows of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minigrad as mg
from minigrad import __main__ as program
from minigrad import check_vjp, gradcheck, gradgradcheck, stepcurve
from minigrad.stepcurve import StepCurve, step_curve


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _x(dtype: str = "float64") -> mg.Tensor:
    return mg.Tensor(np.linspace(-1.5, 1.5, 6).astype(dtype), requires_grad=True)


def _slope(curve: StepCurve, high: float, low: float) -> float:
    """d log error / d log h between two steps."""
    points = [(h, e) for h, e in zip(curve.steps, curve.errors, strict=True) if e and low <= h <= high]
    return float(np.polyfit(*np.log(np.array(points)).T, 1)[0])


def _program(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        program.run(["gradcheck", *arguments])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize("checker", [gradcheck, gradgradcheck])
def test_truncation_falls_with_the_square_and_rounding_rises(checker: object) -> None:
    curve = step_curve(checker, (mg.tanh, _x()))  # type: ignore[arg-type]
    assert 1.8 < _slope(curve, 3e-2, 1e-4) < 2.2
    assert -1.3 < _slope(curve, 1e-7, 1e-13) < -0.7
    assert curve.valley is not None
    assert 1e-7 < curve.valley[0] < 1e-4 and curve.valley[1] < 1e-8
    assert (curve.verdict, curve.chosen) == ("ok", [1e-6])


def test_the_float32_valley_is_shallow_and_the_checker_finds_it() -> None:
    curve = step_curve(gradcheck, (mg.tanh, _x("float32")))
    assert curve.valley is not None
    assert 1e-3 < curve.valley[0] < 1e-1 and 1e-6 < curve.valley[1] < 1e-3
    (chosen,) = curve.chosen
    assert curve.errors[curve.steps.index(chosen)] < 5 * curve.valley[1]  # type: ignore[operator]


def test_a_product_has_no_truncation() -> None:
    curve = step_curve(gradcheck, (mg.mul, (_x(), _x())))
    assert curve.errors[0] is not None and curve.errors[0] < 1e-14
    assert _slope(curve, 1e-3, 1e-12) < -0.7


@pytest.mark.parametrize("fast", [False, True])
def test_a_wrong_rule_is_a_flat_line_at_its_error(fast: bool) -> None:
    with mg.override_vjp("tanh", lambda g, out: g * 1.01 * (1 - out * out)):
        curve = step_curve(gradcheck, (mg.tanh, _x()), fast_mode=fast)
    assert curve.verdict == "WRONG" and "1.01 times" in curve.detail
    flat = [e for h, e in zip(curve.steps, curve.errors, strict=True) if 1e-10 < h < 1e-2]
    np.testing.assert_allclose(flat, 0.01, rtol=0.02)


def test_anybodys_pair_and_the_worst_of_several() -> None:
    x = np.linspace(0.5, 2, 4)
    right, wrong = (lambda g, x: g / x), (lambda g, x: g / x * 1.1)
    one = step_curve(check_vjp, (np.log, right, x))
    both = step_curve(check_vjp, (np.log, wrong, x), (np.log, right, x))
    assert one.verdict == "ok" and both.verdict == "WRONG"
    assert both.errors[both.steps.index(1e-6)] == pytest.approx(0.1, rel=1e-3)


def test_a_step_out_of_the_domain_has_no_error() -> None:
    curve = step_curve(gradcheck, (mg.log, mg.Tensor(np.array([0.05]), requires_grad=True)))
    assert curve.errors[curve.steps.index(1.0)] is None
    assert curve.errors[curve.steps.index(0.01)] is not None


def test_a_gradient_of_the_wrong_shape_has_no_curve(tmp_path: Path) -> None:
    curve = step_curve(check_vjp, (np.exp, lambda g, x: g[:2], np.ones(3)))
    assert curve.verdict == "WRONG" and curve.valley is None and curve.steps == []
    with pytest.raises(ValueError, match="no curve to draw"):
        stepcurve.draw({"exp": curve}, tmp_path / "none.png")
    assert "WRONG" in stepcurve.text({"exp": curve})


def test_one_rule_is_zoomed_into(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _program(capsys, "--op", "tanh")
    assert status == 0
    for name in ("float64 first", "float64 second", "float32 first", "float32 second"):
        assert name in out
    assert "1.0e-06" in out and "*" in out and "no step brings" not in out
    assert out.endswith("picture: gradcheck-tanh.png\n")
    with Image.open("gradcheck-tanh.png") as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73), (0xCC, 0x79, 0xA7)):
        assert (np.abs(pixels.astype(int) - colour).max(axis=1) < 8).sum() > 50, "each curve is there"


def test_a_broken_rule_is_called_wrong_at_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    with mg.override_vjp("tanh", lambda g, out: g * (1.01 - out * out)):
        status, out, _ = _program(capsys, "--op", "tanh", "--plot", "broken.png")
    assert status == 1 and Path("broken.png").stat().st_size > 10_000
    assert "no step brings the error below" in out and out.count("FAILED") == 1


def test_json_holds_the_numbers_and_draws_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    _, out, _ = _program(capsys, "--op", "log", "--json")
    (row,) = json.loads(out, parse_constant=refuse)
    curve = row["curves"]["float64 first"]
    assert len(curve["steps"]) == len(curve["errors"]) > 20
    assert curve["chosen"] == [1e-6] and curve["valley"][1] == min(e for e in curve["errors"] if e is not None)
    assert row["plot"] is None and not list(Path().iterdir())
    _, out, _ = _program(capsys, "--op", "exp", "--json", "--plot", "exp.png")
    assert json.loads(out)[0]["plot"] == "exp.png" and Path("exp.png").is_file()


MINE = """
import numpy as np
import minigrad as mg

@mg.primitive(plain=lambda x: 3 * x.exp(), samples=lambda r: [((r.normal(size=3),), {})])
def thrice(x):
    return 3 * np.exp(x)

thrice.defvjp(mg.once_differentiable(lambda g, out: g * out))
"""


@pytest.fixture
def mine() -> Iterator[str]:
    """A file with a fused operation; the table of rules is left as it was."""
    Path("mine.py").write_text(MINE)
    before = dict(mg.tape.TABLE)
    yield "mine.py"
    mg.tape.TABLE.clear()
    mg.tape.TABLE.update(before)


def test_without_a_name_nothing_is_drawn(mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _program(capsys, "--file", mine)
    assert status == 0 and "step" not in out and [p.name for p in Path().iterdir()] == [mine]
    status, out, _ = _program(capsys, "--file", mine, "--op", "thrice")
    assert status == 0 and out.endswith("picture: gradcheck-thrice.png\n")


def test_a_rule_wrong_only_in_second_order_ends_with_one(mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(mine).write_text(Path(mine).read_text().replace("3 * x.exp()", "3.1 * x.exp()"))
    status, out, _ = _program(capsys, "--file", mine, "--op", "thrice")
    assert status == 1
    assert (
        re.search(r"^thrice .* ok$", out, re.M) and "float64 second: gradcheck of the gradient of thrice: FAILED" in out
    )


def test_an_order_that_a_rule_lacks_says_why(mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(mine).write_text(Path(mine).read_text().replace("plain=lambda x: 3 * x.exp(), ", ""))
    status, out, _ = _program(capsys, "--file", mine, "--op", "thrice")
    assert status == 0
    assert re.search(r"^float64 second +- +0  error", out, re.M)
    assert "float64 second: GradientError: rule thrice is differentiable once only" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--plot", "x.png"], "--plot needs --op NAME"),
        (["--op", "exp", "--plot", "x.pdf"], "a name that ends in .png would be right"),
        (["--op", "exp", "--plot", "nowhere/x.png"], "there is no folder nowhere"),
    ],
)
def test_a_wrong_plot_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _program(capsys, *arguments)
    assert status == 2 and out == ""
    assert err.count("\n") == 1 and said in err


def test_the_curve_needs_numpy_alone() -> None:
    code = (
        "import sys, minigrad.stepcurve\n"
        "print([m for m in ('matplotlib', 'numba', 'scipy', 'PIL', 'click') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
