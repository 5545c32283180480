"""Every rule on device arrays: what the CPU gives, on the device, with nothing read by the host on the way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from kernels import device as devices
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.tape import TABLE

RULES = sorted(
    name for name, rule in TABLE.items() if rule.samples is not None and rule.__module__.startswith("minigrad.")
)


def put(value: Any, device: str) -> Any:
    """Floating arrays as tensors that require a gradient, others as tensors; numbers and indices as they are."""
    if not devices.is_array(value):
        return value
    return mg.Tensor(devices.to_device(value, device), requires_grad=value.dtype.kind == "f")


def derivatives(call: Callable[[], Any], inputs: list[Any]) -> list[Any]:
    """Results, first derivatives and derivatives of these, along fixed cotangents."""
    results = call()
    results = list(results) if isinstance(results, tuple) else [results]
    targets = [x for x in inputs if isinstance(x, mg.Tensor) and x.requires_grad]
    found, current = list(results), [y for y in results if y.requires_grad]
    for _ in range(2):
        if not current or not targets:
            break
        r = np.random.default_rng(7)
        vs = [mg.Tensor(devices.to_device(r.normal(size=y.shape), y.device)) for y in current]
        gs = mg.grad(current, targets, vs, create_graph=True, allow_unused=True)
        found += gs
        current = [g for g in gs if g is not None and g.requires_grad]
    return found


def agree(found: list[Any], expected: list[Any], device: str) -> None:
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert (a.device, a.dtype, a.shape) == (device, b.dtype, b.shape)
            np.testing.assert_allclose(devices.to_host(a.data), devices.to_host(b.data), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [n for n in RULES if n != "transfer"])
def test_a_rule_and_its_derivatives_stay_on_the_device(cuda, crossings, name):
    rule = TABLE[name]
    assert rule.samples is not None
    for args, kwargs in rule.samples(np.random.default_rng(0)):
        call = partial(rule, **kwargs)
        here, there = ([put(a, where) for a in args] for where in ("cpu", cuda))
        expected = derivatives(partial(call, *here), here)
        seen, counted = dict(crossings.counts), dict(devices.transfers)
        with crossings.forbid_implicit():
            found = derivatives(partial(call, *there), there)
        assert crossings.counts["to_host"] == seen["to_host"]
        assert (
            crossings.counts["to_device"] - seen["to_device"] == devices.transfers["to_device"] - counted["to_device"]
        )
        agree(found, expected, cuda)


def test_there_are_rules_to_try():
    assert {"add", "matmul", "conv2d", "batch_norm", "getitem", "logsumexp"} <= set(RULES)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": lambda t: F.gelu(t(3, 4)),
    "var": lambda t: t(3, 4).var(1),
    "prod": lambda t: t(3, 4).prod(0),
    "cumsum": lambda t: t(3, 4).cumsum(1),
    "stack": lambda t: F.stack([t(3), t(3)], 1),
    "split": lambda t: t(3, 4).split(3, 1)[1],
    "getitem of a tensor": lambda t: t(3, 4)[mg.tensor([2, 0, 2]).to(t.device)],
    "getitem of a list": lambda t: t(3, 4)[[2, 0, 2], 1],
    "gather": lambda t: t(3, 4).gather(1, mg.tensor([[0, 0], [3, 1], [2, 2]]).to(t.device)),
    "where of numbers": lambda t: F.where(t(3, 4) > 0, 1.0, 0.0) * t(3, 4),
    "einsum": lambda t: F.einsum("ij,kj->ik", t(3, 4), t(2, 4)),
    "linear": lambda t: F.linear(t(3, 4), t(2, 4), t(2)),
    "max_pool2d": lambda t: F.max_pool2d(t(2, 3, 6, 6), 2),
    "avg_pool2d": lambda t: F.avg_pool2d(t(2, 3, 6, 6), 3, stride=1),
    "conv_transpose2d": lambda t: F.conv_transpose2d(t(2, 3, 4, 4), t(3, 2, 4, 4), t(2), stride=2, padding=1),
    "binary_cross_entropy_with_logits": lambda t: F.binary_cross_entropy_with_logits(t(3), t(3).sigmoid()),
    "gaussian_nll_loss": lambda t: F.gaussian_nll_loss(t(3), t(3), t(3).exp()),
    "mse_loss": lambda t: F.mse_loss(t(3), t(3)),
}


READ = {"gaussian_nll_loss": 1}
"""What a function reads on the host to refuse it: here, whether a variance is negative."""


class Leaves:
    """Draws leaves of a shape on a device and keeps them."""

    def __init__(self, device: str) -> None:
        self.device, self.draw, self.made = device, np.random.default_rng(3), list[mg.Tensor]()

    def __call__(self, *shape: int) -> mg.Tensor:
        self.made.append(put(self.draw.normal(size=shape), self.device))
        return self.made[-1]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_made_of_rules_do_too(cuda, crossings, name):
    here, there = Leaves("cpu"), Leaves(cuda)
    expected = derivatives(lambda: FUNCTIONS[name](here), here.made)
    read = crossings.counts["to_host"]
    with crossings.forbid_implicit():
        found = derivatives(lambda: FUNCTIONS[name](there), there.made)
    assert crossings.counts["to_host"] - read == READ.get(name, 0)
    agree(found, expected, cuda)


def test_modules_move_and_train_there_as_here(cuda, crossings):
    def net() -> nn.Module:
        mg.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 3, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(3, activation="leaky_relu"),
            nn.Flatten(), nn.Linear(48, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2),
        )  # fmt: skip

    x = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    states = []
    for device in ("cpu", cuda):
        module = net().to(device)
        optimiser = mg.optim.Adam(module.parameters(), lr=0.01)
        batch = mg.tensor(x, device=device)
        with crossings.forbid_implicit():
            for _ in range(3):
                optimiser.zero_grad()
                (module(batch) ** 2).mean().backward()
                optimiser.step()
        assert {p.device for p in module.parameters()} == {device}
        states.append({k: devices.to_host(v.data) for k, v in module.state_dict().items()})
    for key, value in states[0].items():
        np.testing.assert_allclose(states[1][key], value, rtol=2e-4, atol=2e-5, err_msg=key)


def test_drawn_numbers_are_the_hosts(cuda):
    mg.manual_seed(5)
    here = mg.randn(3, 4)
    mg.manual_seed(5)
    np.testing.assert_array_equal(devices.to_host(mg.randn(3, 4, device=cuda).data), here.data)


def test_gradcheck_runs_there(cuda):
    x = put(np.random.default_rng(0).normal(size=(3, 4)), cuda)
    assert mg.gradcheck(lambda x: (x @ x.T).tanh(), [x])
    assert mg.gradgradcheck(lambda x: x.softmax(1), [x])
