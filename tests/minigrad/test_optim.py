"""Optimisers, schedules and averages: formulas by hand, state that resumes to the bit, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minigrad as mg
from kernels.device import to_host
from minigrad import nn, optim
from minigrad.optim import lr_scheduler
from minigrad.tape import GradientError

MAKERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.1, betas=(0.5, 0.99), weight_decay=0.1),
    "adamw": lambda p: optim.AdamW(p, lr=0.1),
}


def parameter(seed: int = 0, shape: tuple[int, ...] = (3, 2), dtype: str = "float64") -> nn.Parameter:
    return nn.Parameter(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def descend(p: mg.Tensor, optimiser: optim.Optimizer, steps: int, start: int = 0) -> None:
    for t in range(start, start + steps):
        optimiser.zero_grad()
        ((p - t) ** 4).sum().backward()
        optimiser.step()


def test_sgd_by_hand():
    p = nn.Parameter(np.array([1.0]))
    optimiser = optim.SGD([p], lr=0.5, momentum=0.5, weight_decay=0.25)
    for expected in (1.0 - 0.5 * 3.25, -0.625 - 0.5 * (0.5 * 3.25 + 3.0 - 0.25 * 0.625)):
        p.grad = mg.tensor(np.array([3.0]))
        optimiser.step()
        assert np.isclose(p.item(), expected)


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_by_hand(decoupled):
    p, g = np.array([0.5, -2.0]), [np.array([1.0, -3.0]), np.array([0.5, 4.0])]
    tensor = nn.Parameter(p.copy())
    lr, (b1, b2), eps, decay = 0.1, (0.5, 0.9), 1e-3, 0.2
    optimiser = (optim.AdamW if decoupled else optim.Adam)([tensor], lr, (b1, b2), eps, decay)
    m = v = np.zeros(2)
    for t, gradient in enumerate(g, 1):
        tensor.grad = mg.tensor(gradient)
        optimiser.step()
        if decoupled:
            p = p * (1 - lr * decay)
        else:
            gradient = gradient + decay * p
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
        p = p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        assert np.allclose(tensor.detach().numpy(), p, rtol=1e-14)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_steps_write_in_place_and_say_so(make):
    p = parameter()
    data, optimiser = p.data, make([p])
    loss = (p * p).sum()
    descend(p, optimiser, 1)
    assert p.data is data
    with pytest.raises(GradientError, match=type(optimiser).__name__):
        loss.backward()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_resumed_run_has_the_same_bits(make, dtype, tmp_path):
    whole = parameter(dtype=dtype)
    descend(whole, make([whole]), 6)
    first = parameter(dtype=dtype)
    optimiser = make([first])
    descend(first, optimiser, 3)
    file = tmp_path / "state.safetensors"
    mg.save({k: to_host(v) for k, v in optimiser.state_dict().items()} | {"p": first}, file)
    stored = mg.load(file)
    second = nn.Parameter(stored.pop("p").data)
    resumed = make([second])
    resumed.load_state_dict(stored)
    descend(second, resumed, 3, start=3)
    assert second.dtype == dtype
    assert np.array_equal(second.detach().numpy(), whole.detach().numpy())
    assert resumed.param_groups[0]["lr"] == 0.1
    assert resumed.param_groups[0].get("betas") == optimiser.param_groups[0].get("betas")


def test_loaded_state_is_a_copy():
    p = parameter()
    optimiser = optim.Adam([p])
    descend(p, optimiser, 1)
    state = optimiser.state_dict()
    other = optim.Adam([p])
    other.load_state_dict(state)
    before = state["state.0.0.exp_avg"].copy()
    descend(p, other, 1)
    assert np.array_equal(to_host(optimiser.state_dict()["state.0.0.exp_avg"]), to_host(before))
    assert optimiser.state_dict()["state.0.0.step"] == 1 and other.state_dict()["state.0.0.step"] == 2


def test_groups_have_rates_of_their_own_and_untouched_parameters_stay():
    a, b, c = (nn.Parameter(np.ones(2)) for _ in range(3))
    optimiser = optim.SGD([{"params": [a, c], "lr": 0.5}, {"params": b}], lr=0.1)
    a.grad = b.grad = mg.ones(2, dtype="float64")
    optimiser.step()
    assert (a.detach().numpy()[0], b.detach().numpy()[0], c.detach().numpy()[0]) == (0.5, 0.9, 1.0)
    assert optimiser.state_dict()["group.0.lr"] == 0.5


def test_the_gradient_is_never_written():
    for make in MAKERS.values():
        p = parameter()
        p.grad = mg.tensor(np.full((3, 2), 2.0))
        optimiser = make([p])
        for _ in range(3):
            optimiser.step()
        assert np.array_equal(p.grad.detach().numpy(), np.full((3, 2), 2.0))


def test_non_contiguous_parameters_are_moved_too():
    p, q = nn.Parameter(np.ones((4, 3)).T), nn.Parameter(np.ones((3, 4)))
    for tensor in (p, q):
        optimiser = optim.Adam([tensor], lr=0.1)
        tensor.grad = mg.tensor(np.arange(12.0).reshape(3, 4))
        optimiser.step()
    assert np.array_equal(p.detach().numpy(), q.detach().numpy())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD([]), "no parameters"),
        (lambda p: optim.SGD([p, p]), "twice"),
        (lambda p: optim.Adam([p], lr=-1.0), "lr must not be negative"),
        (lambda p: optim.Adam([p], lr=math.nan), "lr must not be negative"),
        (lambda p: optim.Adam([p], betas=(0.5, 1.0)), r"betas must lie in \[0, 1\)"),
        (lambda p: optim.SGD([p], nesterov=True), "nesterov"),
        (lambda p: optim.SGD([np.zeros(2)]), "floating-point tensors, got ndarray"),
        (lambda p: optim.EMA([p], decay=1.0), "decay"),
    ],
)
def test_wrong_settings_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make(parameter())


def test_state_of_another_optimiser_is_refused_and_changes_nothing():
    p = parameter()
    source = optim.Adam([p], lr=0.5)
    descend(p, source, 1)
    state = source.state_dict()
    target = optim.Adam([parameter(shape=(2, 3))], lr=0.1)
    with pytest.raises(ValueError, match=r"state\.0\.0\.exp_avg has shape \(3, 2\)"):
        target.load_state_dict(state)
    assert target.param_groups[0]["lr"] == 0.1 and target.state == [[{}]]
    with pytest.raises(ValueError, match=r"lacks group\.0\.dampening"):
        optim.SGD([p]).load_state_dict(state)
    with pytest.raises(ValueError, match=r"state\.0\.5\.exp_avg, which fits nothing"):
        source.load_state_dict({**state, "state.0.5.exp_avg": np.zeros(1)})


# -- schedules --------------------------------------------------------------------------------------------

SCHEDULES = {
    "step": (lambda o: lr_scheduler.StepLR(o, 3, 0.5), lambda t: 0.5 ** (t // 3)),
    "exponential": (lambda o: lr_scheduler.ExponentialLR(o, 0.9), lambda t: 0.9**t),
    "cosine": (lambda o: lr_scheduler.CosineAnnealingLR(o, 8), lambda t: (1 + math.cos(math.pi * t / 8)) / 2),
    "lambda": (lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)), lambda t: 1 / (1 + t)),
    "linear": (lambda o: lr_scheduler.LinearLR(o, 0.25, 1.0, 4), lambda t: 0.25 + 0.75 * min(t, 4) / 4),
}


@pytest.mark.parametrize(("make", "factor"), SCHEDULES.values(), ids=SCHEDULES)
def test_schedules_follow_their_formula_in_every_group(make, factor):
    optimiser = optim.SGD([{"params": parameter(), "lr": 2.0}, {"params": parameter()}], lr=1.0)
    schedule = make(optimiser)
    for t in range(12):
        assert np.allclose(schedule.get_last_lr(), [2.0 * factor(t), factor(t)], rtol=1e-14)
        schedule.step()


@pytest.mark.parametrize(("make", "factor"), SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_resumes_to_the_bit(make, factor):
    first, second = (optim.SGD([parameter()], lr=0.3) for _ in range(2))
    schedule = make(first)
    for _ in range(5):
        schedule.step()
    resumed = make(second)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    for _ in range(5):
        assert first.param_groups[0]["lr"] == second.param_groups[0]["lr"]
        schedule.step()
        resumed.step()


def test_a_schedule_refuses_another_number_of_groups():
    optimiser = optim.SGD([parameter()], lr=0.1)
    schedule = lr_scheduler.StepLR(optimiser, 2)
    with pytest.raises(ValueError, match="2 groups"):
        schedule.load_state_dict({"last_epoch": 1, "base_lrs": [0.1, 0.2]})
    with pytest.raises(ValueError, match="2 functions for 1 groups"):
        lr_scheduler.LambdaLR(optimiser, [float, float])


# -- averages ---------------------------------------------------------------------------------------------


def test_ema_follows_its_formula_and_can_stand_in():
    p = nn.Parameter(np.array([1.0]))
    ema = optim.EMA([p], decay=0.75)
    with mg.no_grad():
        p.copy_(mg.tensor(np.array([5.0])))
    ema.update()
    with ema.applied():
        assert p.item() == 2.0
    assert p.item() == 5.0
    with pytest.raises(KeyError), ema.applied():
        raise KeyError
    assert p.item() == 5.0


def test_ema_state_resumes_and_a_misfit_is_refused():
    p = parameter()
    ema, other = optim.EMA([p], 0.5), optim.EMA([parameter(1)], 0.5)
    other.load_state_dict(ema.state_dict())
    assert np.array_equal(to_host(other.shadow[0]), to_host(ema.shadow[0])) and other.shadow[0] is not ema.shadow[0]
    with pytest.raises(ValueError, match="do not fit"):
        other.load_state_dict({"shadow.0": np.zeros(2)})


def test_ema_tells_the_tape_that_it_wrote():
    p = parameter()
    ema = optim.EMA([p])
    loss = (p * p).sum()
    with ema.applied():
        pass
    with pytest.raises(GradientError, match=r"EMA\.applied"):
        loss.backward()
