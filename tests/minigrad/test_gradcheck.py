"""The checker itself: what it accepts, what it refuses, and what it says about a wrong gradient."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from kernels.device import asarray, to_host
from minigrad import __main__ as program
from minigrad import check_vjp, diagnosis, gradcheck, gradgradcheck, nn, quotients, random
from minigrad.gradcheck import GradcheckError, KinkWarning

F = nn.functional
_HALVES = [0.5**k for k in range(14)]


def _normal(*shape: int, seed: int = 0, dtype: str = "float64") -> mg.Tensor:
    return mg.Tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype), requires_grad=True)


def _pair(change: Any) -> tuple[Any, Any]:
    """x -> x * x row by row, and its product with `change` applied."""
    return (lambda x: x * x), (lambda g, x: change(2 * g * x))


# ---- what passes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_several_inputs_and_outputs(fast: bool, dtype: str, device: str) -> None:
    def func(a: Any, b: Any, c: Any) -> tuple[Any, Any]:
        return (a @ b).tanh(), (a * c).sum()

    inputs = [_normal(3, 4, dtype=dtype), _normal(4, 2, seed=1, dtype=dtype), _normal(4, seed=2, dtype=dtype)]
    inputs = [mg.Tensor(asarray(x.data, device), requires_grad=k != 2) for k, x in enumerate(inputs)]
    report = gradcheck(func, inputs, fast_mode=fast)
    assert report.entries == (8 if fast else 7 * (12 + 8))
    assert report.skipped == ["input 2 (c) (detached)"]
    assert {used.dtype for used in report.tolerances.values()} == {dtype}
    assert gradgradcheck(func, inputs, fast_mode=fast)


def test_float64_uses_pytorchs_numbers_and_prints_them() -> None:
    report = gradcheck(mg.exp, _normal(3))
    (used,) = report.tolerances.values()
    assert (used.eps, used.atol, used.rtol) == (1e-6, 1e-5, 1e-3)
    assert "eps 1e-06, atol 1e-05, rtol 0.001 (float64)" in str(report)


def test_numbers_given_are_numbers_used() -> None:
    (used,) = gradcheck(mg.exp, _normal(3, dtype="float32"), eps=1e-2, atol=1e-2, rtol=1e-2).tolerances.values()
    assert (used.eps, used.atol, used.rtol) == (1e-2, 1e-2, 1e-2)


def test_float32_tolerance_follows_the_rounding_of_func() -> None:
    """The same function with an offset that costs it three digits: a wider step, a wider tolerance."""
    (plain,) = gradcheck(mg.sin, _normal(5, dtype="float32")).tolerances.values()
    (noisy,) = gradcheck(lambda x: (x.sin() + 4096.0) - 4096.0, _normal(5, dtype="float32")).tolerances.values()
    assert plain.eps > 1e-3 and plain.atol < 5e-4
    assert noisy.atol > 5 * plain.atol


@pytest.mark.parametrize("fast", [False, True])
def test_float32_sees_one_per_cent(fast: bool) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    right = check_vjp(np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2), x, fast_mode=fast)
    assert right
    wrong = check_vjp(
        np.tanh, lambda g, x: g * np.float32(1.01) * (1 - np.tanh(x) ** 2), x, fast_mode=fast, raise_exception=False
    )
    assert "1.01 times" in str(wrong)


def test_rounding_is_measured() -> None:
    draw = np.random.default_rng(0)
    measured = quotients.rounding(lambda t: np.sin(1 + t) + 1e-5 * draw.standard_normal(200), 1e-3)
    assert 0.5e-5 < np.median(measured) < 2e-5
    assert np.max(quotients.rounding(lambda t: np.array([np.sin(1 + t)]), 1e-3)) < 1e-12
    coarse = quotients.rounding(lambda t: np.round(np.array([1 + t, 2.0]), 2), 1e-4)
    assert 1e-3 < coarse[0] < 5e-3 and coarse[1] == 0


def test_the_step_balances_rounding_and_truncation() -> None:
    """For sin with rounding s the best h is about (3 s)^(1/3)."""
    for sigma in (1e-7, 1e-4):
        h, error = quotients.balanced_step([lambda t: np.array([np.sin(0.3 + t)])], sigma, _HALVES)
        best = (3 * sigma) ** (1 / 3)
        assert best / 3 < h < best * 3
        assert error < 3 * sigma / best


def test_a_step_out_of_the_domain_is_passed_over() -> None:
    with np.errstate(invalid="ignore"):
        h, _ = quotients.balanced_step([lambda t: np.array([np.log(1e-2 + t)])], 1e-9, _HALVES)
    assert h < 1e-2 / 2


def test_integer_and_detached_outputs_are_listed() -> None:
    report = gradcheck(lambda x: (x * 2, x.argmax(-1), (x * 3).detach()), _normal(2, 3))
    assert report.skipped == ["output 1 (of dtype int64)", "output 2 (detached)"]


def test_the_same_tensor_twice_is_two_arguments() -> None:
    x = _normal(3)
    assert gradcheck(lambda a, b: a * a * b, (x, x)).entries == 18


def test_inputs_and_callers_graph_are_left_alone() -> None:
    x = _normal(3)
    y = x * 2
    before = y.data.copy()
    assert gradcheck(mg.exp, y)
    assert x.grad is None and y.grad is None
    np.testing.assert_array_equal(to_host(y.data), to_host(before))


def test_strided_empty_and_scalar_inputs() -> None:
    data = np.random.default_rng(0).normal(size=(4, 6))
    assert gradcheck(lambda x: x.exp(), mg.Tensor(data.T[::2], requires_grad=True))
    assert gradcheck(lambda x: x.exp().sum(), mg.Tensor(np.array(0.3), requires_grad=True)).entries == 1
    assert gradcheck(lambda x: x.exp(), mg.Tensor(np.zeros((0, 3)), requires_grad=True)).entries == 0


def test_gradgradcheck_at_given_cotangents() -> None:
    assert gradgradcheck(lambda x: x**3, _normal(3), mg.Tensor(np.array([1.0, -2.0, 0.5])))


# ---- modules ------------------------------------------------------------------------------------------------


def _network() -> nn.Module:
    mg.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Tanh())
    for p in net.parameters():
        p.data = p.data.astype(np.float64)
    return net


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_modules_parameters_are_checked_by_name(check: Any) -> None:
    net = _network()
    held = {name: (b, b.data, b.data.copy()) for name, b in net.named_buffers()}
    parameters = {name: p.data for name, p in net.named_parameters()}
    state = random.get_state()
    report = check(net, _normal(6, 3))
    assert {"parameter 0.weight", "parameter 0.bias", "parameter 1.weight"} <= set(report.tolerances)
    assert random.get_state() == state
    for name, b in net.named_buffers():
        assert b is held[name][0] and b.data is held[name][1]
        np.testing.assert_array_equal(to_host(b.data), to_host(held[name][2]))
    assert all(p.data is parameters[name] for name, p in net.named_parameters())


def test_a_wrong_parameter_gradient_is_named() -> None:
    net = nn.Linear(3, 2)
    for p in net.parameters():
        p.data = p.data.astype(np.float64)
    right = mg.tape.TABLE["linear"].vjps

    scope: dict[str, Any] = {"right": right[1]}
    names = ", ".join(mg.tape.names_of(right[1]))
    exec(f"def wrong({names}): return -right({names})", scope)
    with mg.override_vjp("linear", right[0], scope["wrong"], right[2]), pytest.raises(GradcheckError) as error:
        gradcheck(net, _normal(5, 3))
    assert "parameter weight: entry" in str(error.value) and "wrong sign" in str(error.value)


# ---- kinks --------------------------------------------------------------------------------------------------


def test_kinks_are_counted_and_announced() -> None:
    x = mg.Tensor(np.array([-1.0, 0.0, 2.0]), requires_grad=True)
    with pytest.warns(KinkWarning, match="1 of 9 entries are kinks"):
        report = gradcheck(F.relu, x)
    assert report and report.kinks == 1
    assert gradcheck(F.relu, x, kinks="ignore").kinks == 1
    with pytest.raises(GradcheckError, match="1 of 9 entries are kinks"):
        gradcheck(F.relu, x, kinks="raise")


def test_at_a_kink_the_gradient_must_lie_between() -> None:
    x = np.array([0.0])
    for slope, right in ((0.0, True), (0.4, True), (1.0, True), (1.2, False), (-0.2, False)):

        def vjp(g: Any, x: Any, slope: float = slope) -> Any:
            return g * slope

        assert bool(check_vjp(lambda x: np.maximum(x, 0), vjp, x, raise_exception=False, kinks="ignore")) is right


def test_curvature_is_no_kink() -> None:
    assert gradcheck(lambda x: (x * 300).sin(), _normal(6), rtol=1e-3).kinks == 0


def test_a_kink_beside_the_point_is_stepped_over() -> None:
    x = mg.Tensor(np.array([0.7e-6]), requires_grad=True)
    report = gradcheck(F.relu, x)
    assert report.kinks == 0 and report.worst < 1e-6


def test_a_kink_within_a_wide_step_is_never_taken_for_curvature() -> None:
    """Slope 0.2 at x, 1 from a distance on: whatever the distance, 0.2 is what is found, or lies between."""
    step = 0.125
    for distance in np.linspace(0, 1.1, 45) * step:

        def line(t: float, distance: float = distance) -> np.ndarray:
            return np.array([0.2 * t + 0.8 * max(t - distance, 0)])

        q = quotients.quotient(line, np.zeros(1), step, 1e-5, 1e-3, True)
        assert q.low[0] - 2e-4 * q.blur[0] <= 0.2 <= q.high[0] + 2e-4 * q.blur[0], distance
        if distance > step / 3:
            assert not q.kink[0] and abs(q.value[0] - 0.2) < 1e-9


# ---- what fails, and what is said ----------------------------------------------------------------------------

_X = np.random.default_rng(3).normal(size=(2, 3, 5, 4))


def _border(g: np.ndarray) -> np.ndarray:
    g = g.copy()
    g[..., 0, :] = 0
    g[..., -1] *= 2
    return g


def _channel(g: np.ndarray) -> np.ndarray:
    g = g.copy()
    g[:, 1] *= 1.5
    return g


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda g: -g, "pattern: wrong sign"),
        (lambda g: g / 128, "0.007812 times the right one"),
        (lambda g: 0 * g, "zero everywhere"),
        (_border, "border only"),
        (_channel, "one channel only: all wrong entries have index 1 of axis 1 (of 3)"),
        (lambda g: g + 1, "no known pattern"),
        (lambda g: g * np.nan, "NaN or infinity"),
        (lambda g: g[0], "gradient has shape (3, 5, 4), the argument (2, 3, 5, 4)"),
        (lambda g: np.stack([g, g]), "not un-broadcast"),
        (lambda g: g.T, "transposed"),
        (lambda g: g.astype(np.float32), "the gradient is float32, the argument float64"),
    ],
)
def test_the_pattern_is_named(change: Any, said: str) -> None:
    f, vjp = _pair(change)
    with pytest.raises(GradcheckError, match=re.escape(said)):
        check_vjp(f, vjp, _X)


def test_transposed() -> None:
    x = np.random.default_rng(0).normal(size=(3, 3))
    with pytest.raises(GradcheckError, match="transposed: the last two axes"):
        check_vjp(lambda x: np.exp(x), lambda g, x: (g * np.exp(x)).T, x)


def test_the_text_shows_place_numbers_and_count() -> None:
    def f(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a * b

    def vjp(g: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wrong = g * a
        wrong[1] += 0.5 * g[1]
        return g * b, wrong

    with pytest.raises(GradcheckError) as error:
        check_vjp(f, vjp, (np.array([1.0, 2, 3]), np.array([4.0, 5, 6])))
    assert "gradcheck of f: FAILED" in str(error.value)
    assert (
        "input 1 (b): entry [1], output 0 entry [1]: analytic 2.5, numerical 2, error 0.5 (allowed 0.00201); "
        "1 of 9 entries wrong; pattern: all wrong entries have index 1 of axis 0 (of 3)"
    ) in str(error.value)
    assert "eps 1e-06" in str(error.value)


def test_fast_mode_says_which_direction() -> None:
    f, vjp = _pair(lambda g: -g)
    report = check_vjp(f, vjp, _X, fast_mode=True, raise_exception=False)
    assert not report and "random direction" in str(report)
    assert "4 of 4 directions wrong; pattern: wrong sign" in str(report)


def test_check_vjp_with_several_outputs_and_settings() -> None:
    def f(x: np.ndarray, index: np.ndarray, power: int) -> tuple[np.ndarray, np.ndarray]:
        return x[index], x**power

    def vjp(gs: tuple, x: np.ndarray, index: np.ndarray, power: int) -> np.ndarray:
        gx = power * x ** (power - 1) * gs[1]
        np.add.at(gx, index, gs[0])
        return gx

    args = (np.array([1.0, 2, 3]), np.array([2, 0, 2]), 3)
    report = check_vjp(f, vjp, args)
    assert report.entries == 18 and report.skipped == ["input 1 (index) (of dtype int64)"]
    assert check_vjp(f, lambda *a: (vjp(*a), None, None), args)
    assert "2 cotangents" in str(check_vjp(f, lambda *a: (vjp(*a), None), args, raise_exception=False))


def test_nondeterminism_is_seen_and_allowed_by_choice() -> None:
    draw = np.random.default_rng(0)

    def shaky(x: np.ndarray) -> np.ndarray:
        return x + 1e-9 * draw.standard_normal(x.shape)

    with pytest.raises(GradcheckError, match="forward pass: not deterministic"):
        check_vjp(shaky, lambda g, x: g, np.ones(3))
    assert check_vjp(shaky, lambda g, x: g, np.ones(3), nondet_tol=1e-7, atol=1e-2)
    with pytest.raises(GradcheckError, match="backward pass: not deterministic"):
        check_vjp(lambda x: x + 0, lambda g, x: g + 1e-9 * draw.standard_normal(x.shape), np.ones(3))


def test_an_error_in_the_backward_pass_is_a_failure() -> None:
    def vjp(g: np.ndarray, x: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("nothing there")

    with pytest.raises(GradcheckError, match="backward pass: raised ZeroDivisionError: nothing there"):
        check_vjp(np.exp, vjp, np.ones(3))


def test_nothing_to_check_is_an_error() -> None:
    with pytest.raises(ValueError, match="no input requires a gradient"):
        gradcheck(mg.exp, mg.tensor([1.0]))
    with pytest.raises(ValueError, match=r"no output of .* requires a gradient"):
        gradcheck(lambda x: x.detach(), _normal(2))
    with pytest.raises(ValueError, match="no argument is a floating array"):
        check_vjp(lambda x: x, lambda g, x: g, np.array([1]))
    with pytest.raises(ValueError, match="choose 'warn', 'raise' or 'ignore'"):
        gradcheck(mg.exp, _normal(2), kinks="maybe")


def test_unbroadcast_shapes_are_told_from_others() -> None:
    assert "not un-broadcast" in diagnosis.missing_unbroadcast((3, 4), (4,))
    assert "not un-broadcast" in diagnosis.missing_unbroadcast((3, 4), (3, 1))
    assert "transposed" in diagnosis.missing_unbroadcast((4, 3), (3, 4))
    assert diagnosis.missing_unbroadcast((2,), (3,)) == "the gradient has shape (2,), the argument (3,)"


# ---- the program -------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `--op` may leave its picture."""
    monkeypatch.chdir(tmp_path)


def _program(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        program.run(["gradcheck", *arguments])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


_GOOD = """
import numpy as np
import minigrad as mg

@mg.primitive(samples=lambda r: [((r.normal(size=3),), {})])
def my_cube(x):
    return x ** 3

my_cube.defvjp(lambda g, x: g * FACTOR * x ** 2)
"""


@pytest.fixture
def table() -> Iterator[None]:
    """Leave the table of rules as it was."""
    before = dict(mg.tape.TABLE)
    yield
    mg.tape.TABLE.clear()
    mg.tape.TABLE.update(before)


def test_one_rule_as_a_table_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _program(capsys, "--op", "tanh", "--second-order")
    assert status == 0
    assert re.search(r"^tanh +1 +\d\.\de-1\d +\d\.\de-1\d +0  ok$", out, re.M)
    status, out, _ = _program(capsys, "--op", "mul", "--json", "--dtype", "float32", "--fast")
    (row,) = json.loads(out)
    assert status == 0 and row["operation"] == "mul" and row["second"] is None and row["first"] < 1e-3


def test_a_wrong_rule_ends_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    with mg.override_vjp("tanh", lambda g, out: g * (1 + out * out)):
        status, out, _ = _program(capsys, "--op", "tanh")
    assert status == 1 and "WRONG" in out and "analytic" in out


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(("factor", "status"), [("3", 0), ("3.1", 1)])
def test_a_users_file(factor: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my_ops.py"
    path.write_text(_GOOD.replace("FACTOR", factor))
    found, out, _ = _program(capsys, "--file", str(path), "--second-order")
    assert found == status
    assert "my_cube" in out and "tanh" not in out
    assert ("1.033 times the right one" in out) is bool(status)


@pytest.mark.usefixtures("table")
def test_a_rule_without_samples_is_not_all_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my_ops.py"
    path.write_text("import minigrad as mg\n@mg.primitive\ndef twice(x): return 2 * x\ntwice.defvjp(lambda g: 2 * g)\n")
    status, out, _ = _program(capsys, "--file", str(path))
    assert status == 1 and "no samples" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--op", "tanhh"], "--op tanhh: no rule is called so; did you mean tanh"),
        (["--op", "argmax"], "no derivative"),
        (["--kernels", "conv2d=nothing"], "conv2d has no kernel 'nothing'"),
        (["--kernel-file", "missing.py"], "missing.py: no such file"),
        (["--file", "missing.py"], "--file missing.py: no such file"),
        (["--dtype", "float16"], "'float16' is not one of 'float64', 'float32'"),
        (["--seconds"], "No such option"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _program(capsys, *arguments)
    assert status == 2 and out == ""
    assert err.count("\n") == 1 and said in err


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ny = nothing\n", "my_ops.py, line 2: NameError"),
        ("def f(:\n", "my_ops.py, line 1: SyntaxError"),
        ("x = 1\n", "no differentiable rule in it"),
    ],
)
def test_a_bad_file_is_one_line(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my_ops.py"
    path.write_text(text)
    status, _, err = _program(capsys, "--file", str(path))
    assert status == 2 and err.count("\n") == 1 and said in err


def test_the_kernels_asked_for_are_used_and_left(capsys: pytest.CaptureFixture[str], everything_on: str) -> None:
    import kernels

    if everything_on == "cuda":
        pytest.skip("the definition is NumPy's")

    before = kernels.chosen()
    status, _, _ = _program(capsys, "--op", "matmul", "--kernels", "matmul=reference", "--fast")
    assert status == 0 and kernels.chosen() == before
