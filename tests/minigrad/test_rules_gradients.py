"""Every rule's derivatives, and proof that the checker sees a wrong one. Generated from the table of rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import gradcheck, gradgradcheck, sweep
from minigrad.gradcheck import has_product, sample_calls
from minigrad.tape import TABLE

ENGINE = {name: rule for name, rule in TABLE.items() if rule.__module__.startswith("minigrad")}
DIFFERENTIABLE = sorted(
    name for name, rule in ENGINE.items() if any(has_product(rule, i) for i in range(max(1, len(rule.arrays))))
)


def _samples(name: str) -> list[tuple[Any, tuple[Any, ...]]]:
    return list(sample_calls(ENGINE[name]))


def _arguments() -> list[tuple[str, int]]:
    """(rule, argument) for every argument that has a product."""
    return [
        (name, i)
        for name in DIFFERENTIABLE
        if ENGINE[name].samples is not None
        for i in range(max(len(inputs) for _, inputs in _samples(name)))
        if has_product(ENGINE[name], i)
    ]


def _checked_at(name: str, argument: int) -> list[tuple[Any, tuple[Any, ...]]]:
    """The samples in which `argument` is a tensor that requires a gradient."""
    return [
        (call, inputs)
        for call, inputs in _samples(name)
        if argument < len(inputs) and getattr(inputs[argument], "requires_grad", False)
    ]


def test_the_table_is_the_engines() -> None:
    assert len(DIFFERENTIABLE) > 45
    assert {"add", "conv2d", "conv2d_grad_input", "conv2d_grad_weight", "batch_norm"} <= set(DIFFERENTIABLE)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_rule_has_samples_for_every_argument(name: str) -> None:
    assert ENGINE[name].samples is not None, f"rule {name} has no samples: give @primitive(samples=...)"
    arguments = [i for rule, i in _arguments() if rule == name]
    assert arguments
    for i in arguments:
        assert _checked_at(name, i), f"no sample of rule {name} differentiates argument {i}"


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_first_derivatives(name: str) -> None:
    for call, inputs in _samples(name):
        assert gradcheck(call, inputs, kinks="raise").entries > 0


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_second_derivatives(name: str) -> None:
    for call, inputs in _samples(name):
        assert gradgradcheck(call, inputs, kinks="raise").entries > 0


@pytest.mark.parametrize("change", [1.01, -1.0], ids=["factor", "sign"])
@pytest.mark.parametrize(("name", "argument"), _arguments())
def test_a_wrong_product_is_seen(name: str, argument: int, change: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever gives the product (its function, a joint one, the plain definition), it is changed where it arrives."""
    right, changed, failed = sweep._products, [], 0

    def wrong(node: Any, gs: list[Any], needs: list[bool]) -> list[Any]:
        products = list(right(node, gs, needs))
        if node.rule is ENGINE[name] and products[argument] is not None and products[argument].data.any():
            changed.append(name)
            products[argument] = products[argument] * change
        return products

    monkeypatch.setattr(sweep, "_products", wrong)
    for call, inputs in _checked_at(name, argument):
        changed.clear()
        report = gradcheck(call, inputs, raise_exception=False, kinks="ignore")
        if not changed:  # maximum(a, b) where a < b everywhere: a product that is zero cannot be scaled
            continue
        failed += 1
        assert [f.input.split()[1] for f in report.failures] == [str(argument)], f"{name}: {report}"
        assert ("wrong sign" if change < 0 else "1.01 times") in str(report)
    assert failed, f"no sample of {name} has a gradient for argument {argument}"


@pytest.mark.parametrize(
    ("name", "argument"), [(name, i) for name, i in _arguments() if ENGINE[name].vjps and not ENGINE[name].variadic]
)
def test_an_overridden_product_is_seen(name: str, argument: int) -> None:
    """The same through the public door: the rule's own function, its result doubled."""
    rule = ENGINE[name]
    scope: dict[str, Any] = {"right": rule.vjps[argument]}
    wanted = ", ".join(mg.tape.names_of(rule.vjps[argument]))
    exec(f"def wrong({wanted}): return right({wanted}) * 2.0", scope)  # a product's parameter names say what it needs
    products = [scope["wrong"] if i == argument else f for i, f in enumerate(rule.vjps)]
    with mg.override_vjp(name, *products):
        reports = [
            gradcheck(call, inputs, raise_exception=False, kinks="ignore")
            for call, inputs in _checked_at(name, argument)
        ]
    assert not all(reports)
    assert all(gradcheck(call, inputs, fast_mode=True) for call, inputs in _checked_at(name, argument))


def _first(g: Any, shape: tuple[int, ...]) -> Any:
    """Un-broadcasting that forgets to sum: the right shape, the wrong numbers."""
    data = g.data[(0,) * (g.ndim - len(shape))]
    for axis, n in enumerate(shape):
        if n == 1 and data.shape[axis] != 1:
            data = data.take([0], axis)
    return mg.Tensor(np.ascontiguousarray(data))


def _broadcasting() -> dict[str, list[int]]:
    """rule -> the samples in which a product of it is summed back to its argument's shape."""
    found: dict[str, list[int]] = {}
    with pytest.MonkeyPatch.context() as patch:
        seen: list[str] = []
        right = sweep.unbroadcast

        def noted(g: Any, shape: tuple[int, ...]) -> Any:
            seen.append("")
            return right(g, shape)

        patch.setattr(sweep, "unbroadcast", noted)
        for name in DIFFERENTIABLE:
            for k, (call, inputs) in enumerate(_samples(name) if ENGINE[name].samples else []):
                seen.clear()
                results = call(*inputs)
                results = [y for y in (results if isinstance(results, tuple) else (results,)) if y.requires_grad]
                wanted = [x for x in inputs if getattr(x, "requires_grad", False)]
                mg.grad(results, wanted, [mg.Tensor(np.ones(y.shape)) for y in results])
                if seen:
                    found.setdefault(name, []).append(k)
    return found


BROADCASTING = _broadcasting()


def test_the_broadcasting_rules_are_among_them() -> None:
    assert {"add", "sub", "mul", "div", "pow", "where", "maximum", "minimum", "matmul"} <= set(BROADCASTING)


@pytest.mark.parametrize("name", sorted(BROADCASTING))
def test_dropped_unbroadcasting_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [_samples(name)[k] for k in BROADCASTING[name]]
    monkeypatch.setattr(sweep, "unbroadcast", lambda g, shape: g)
    for call, inputs in samples:
        report = gradcheck(call, inputs, raise_exception=False, kinks="ignore")
        assert "has shape" in str(report.failures[0])
    monkeypatch.setattr(sweep, "unbroadcast", _first)
    assert not all(gradcheck(call, inputs, raise_exception=False, kinks="ignore") for call, inputs in samples)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_in_float32(name: str) -> None:
    """With step and tolerance measured: no false alarm, and no tolerance that would hide an error of 1 %."""
    for call, inputs in sample_calls(ENGINE[name], dtype="float32"):
        report = gradcheck(call, inputs, kinks="raise")
        assert all(used.dtype == "float32" and used.atol < 2e-3 for used in report.tolerances.values())
