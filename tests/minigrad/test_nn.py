"""Modules: registration, names, order, modes, state, initialisation, and the helpers of nn.utils."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F


def small_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 3, 4, stride=2, padding=1),
        nn.BatchNorm2d(3, activation="leaky_relu"),
        nn.Flatten(),
        nn.Linear(3 * 4 * 4, 2, bias=False),
    )


def test_importing_minigrad_loads_numpy_alone():
    code = "import sys, minigrad; print([m for m in ('numba', 'scipy', 'cupy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_gradient_needs_numpy_alone():
    code = (
        "import sys, numpy as np, minigrad as mg; x = mg.tensor(np.ones(3), requires_grad=True);"
        "(x * x).sum().backward();"
        "print([m for m in ('numba', 'scipy', 'cupy', 'torch') if m in sys.modules], x.grad.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] [2.0, 2.0, 2.0]"


# -- registration and order ------------------------------------------------------------------------------


def test_names_come_in_order_of_registration_own_before_children():
    names = [name for name, _ in small_net().named_parameters()]
    assert names == ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight"]
    assert list(small_net().state_dict()) == [
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
        "1.num_batches_tracked", "3.weight",
    ]  # fmt: skip


def test_a_shared_parameter_is_walked_once_but_stored_under_both_names():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    both = nn.Sequential(first, second)
    assert [name for name, _ in both.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert "1.weight" in both.state_dict()


def test_assigning_replaces_and_deleting_removes():
    layer = nn.Linear(2, 3)
    layer.weight = nn.Parameter(np.ones((3, 2), np.float32))
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    del layer.weight
    assert not hasattr(layer, "weight")


def test_a_registered_name_refuses_another_kind():
    with pytest.raises(TypeError, match=r"Linear\.weight is registered"):
        nn.Linear(2, 2).weight = np.ones((2, 2))


def test_attributes_before_init_and_unknown_attributes_are_clear_errors():
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match="super"):
        Forgetful()
    with pytest.raises(AttributeError, match="no attribute 'wieght'"):
        nn.Linear(1, 1).wieght  # noqa: B018


def test_parameters_require_gradients_and_integers_are_refused():
    assert all(p.requires_grad for p in small_net().parameters())
    with pytest.raises(TypeError, match="floating"):
        nn.Parameter(np.arange(3))


def test_repr_is_a_tree():
    net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Dropout(0.1)))
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Dropout(p=0.1)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.Conv2d(1, 3, 4, stride=2, padding=1, bias=False)) == (
        "Conv2d(1, 3, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), bias=False)"
    )


def test_sequential_takes_a_dict_indexes_and_slices():
    net = nn.Sequential({"a": nn.Linear(2, 3), "b": nn.ReLU()})
    assert [n for n, _ in net.named_children()] == ["a", "b"]
    assert isinstance(net[1], nn.ReLU) and len(net[:1]) == 1
    with pytest.raises(TypeError, match="not a Module"):
        nn.Sequential(np.tanh)


# -- state ------------------------------------------------------------------------------------------------


def test_state_travels_from_one_net_to_another_and_is_copied():
    source, target = small_net(), small_net()
    source(mg.randn(5, 1, 8, 8))
    target.load_state_dict(source.state_dict())
    for name, value in source.state_dict().items():
        assert np.array_equal(value.detach().numpy(), target.state_dict()[name].detach().numpy()), name
    with mg.no_grad():
        source[3].weight.copy_(mg.zeros(2, 48))
    assert np.any(target[3].weight.detach().numpy() != 0)


def test_state_that_does_not_fit_lists_every_misfit_and_writes_nothing():
    net = small_net()
    before = {name: value.detach().numpy().copy() for name, value in net.state_dict().items()}
    state = {name: np.full(value.shape, 7.0) for name, value in before.items()}
    state["extra"] = np.zeros(1)
    state["0.bias"] = np.zeros(4)
    del state["3.weight"]
    with pytest.raises(ValueError, match=r"0\.bias has shape \(4,\).*missing: 3\.weight.*unexpected: extra"):
        net.load_state_dict(state)
    assert all(np.array_equal(v.detach().numpy(), before[name]) for name, v in net.state_dict().items())


def test_loading_loosely_reports_what_did_not_fit():
    net = small_net()
    keys = net.load_state_dict({"0.bias": np.ones(3), "extra": np.zeros(1)}, strict=False)
    assert keys.unexpected_keys == ["extra"] and "0.weight" in keys.missing_keys
    assert net[0].bias.tolist() == [1, 1, 1]


def test_to_casts_floats_gradients_included_and_leaves_integers():
    net = small_net()
    net(mg.randn(5, 1, 8, 8)).sum().backward()
    parameters = list(net.parameters())
    net.to("float64")
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))
    assert all(p.dtype == np.float64 and p.grad.dtype == np.float64 for p in net.parameters())
    assert net[1].running_mean.dtype == np.float64 and net[1].num_batches_tracked.dtype == np.int64
    assert net(mg.randn(5, 1, 8, 8).to("float64")).dtype == np.float64


def test_modes_reach_every_module_and_apply_visits_children_first():
    net = nn.Sequential(nn.Sequential(nn.Dropout()), nn.BatchNorm1d(2))
    assert not any(m.training for m in net.eval().modules())
    assert all(m.training for m in net.train().modules())
    visited: list[str] = []
    net.apply(lambda m: visited.append(type(m).__name__))
    assert visited == ["Dropout", "Sequential", "BatchNorm1d", "Sequential"]


def test_zero_grad_and_requires_grad():
    net = small_net()
    net(mg.randn(5, 1, 8, 8)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(mg.randn(5, 1, 8, 8)).requires_grad


# -- layers -----------------------------------------------------------------------------------------------


def test_batch_norm_moves_its_statistics_only_when_training():
    norm = nn.BatchNorm1d(2, momentum=0.25)
    x = np.array([[1.0, 10.0], [3.0, 30.0], [8.0, 50.0]], np.float32)
    norm(mg.tensor(x))
    assert np.allclose(norm.running_mean.detach().numpy(), 0.25 * x.mean(0))
    assert np.allclose(norm.running_var.detach().numpy(), 0.75 + 0.25 * x.var(0, ddof=1))
    assert norm.num_batches_tracked.item() == 1
    before = norm.running_mean.detach().numpy().copy()
    norm.eval()
    out = norm(mg.tensor(x))
    assert np.array_equal(norm.running_mean.detach().numpy(), before) and norm.num_batches_tracked.item() == 1
    expected = (x - before) / np.sqrt(norm.running_var.detach().numpy() + 1e-5)
    assert np.allclose(out.detach().numpy(), expected, rtol=1e-5)


def test_frozen_statistics_normalise_by_the_batch_and_learn_nothing():
    net = small_net()
    x = mg.randn(5, 1, 8, 8)
    state = {name: value.detach().numpy().copy() for name, value in net.state_dict().items()}
    with nn.utils.frozen_statistics(net):
        frozen = net(x).detach().numpy()
        with nn.utils.frozen_statistics(net):
            net(x)
        assert net[1].frozen
    assert all(np.array_equal(v.detach().numpy(), state[name]) for name, v in net.state_dict().items())
    assert np.array_equal(net(x).detach().numpy(), frozen)
    assert net[1].num_batches_tracked.item() == 1


def test_frozen_statistics_end_with_an_error_inside():
    net = small_net()
    with pytest.raises(KeyError), nn.utils.frozen_statistics(net):
        raise KeyError
    assert not net[1].frozen


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", ("leaky_relu", 0.1)])
def test_batch_norm_with_activation_is_the_two_in_a_row(activation):
    slope = {"relu": 0.0, "leaky_relu": 0.01}.get(activation, 0.1)
    fused, plain = (nn.BatchNorm2d(3, activation=a).to("float64") for a in (activation, None))
    x = mg.tensor(np.random.default_rng(0).normal(size=(4, 3, 5, 5)))
    for mode in (True, False):
        expected = F.leaky_relu(plain.train(mode)(x), slope)
        assert np.allclose(fused.train(mode)(x).detach().numpy(), expected.detach().numpy(), atol=1e-12)


def test_batch_norm_names_a_wrong_input():
    with pytest.raises(ValueError, match=r"BatchNorm2d\(3\).*3 channels.*\(2, 4, 5, 5\)"):
        nn.BatchNorm2d(3)(mg.zeros(2, 4, 5, 5))
    with pytest.raises(ValueError, match="2 or 3 axes"):
        nn.BatchNorm1d(3)(mg.zeros(2, 3, 4, 4))


def test_batch_norm_without_affine_or_tracking():
    norm = nn.BatchNorm1d(2, affine=False, track_running_stats=False)
    assert norm.state_dict() == {}
    out = norm.eval()(mg.tensor(np.array([[1.0, 2.0], [3.0, 6.0]])))
    assert np.allclose(out.detach().numpy(), [[-1, -1], [1, 1]], atol=1e-4)


def test_dropout_keeps_the_mean_and_is_silent_in_evaluation():
    mg.manual_seed(0)
    layer = nn.Dropout(0.25)
    out = layer(mg.ones(100, 100)).detach().numpy()
    assert np.allclose(np.unique(out), [0.0, 4.0 / 3.0])
    assert abs(float(np.mean(out == 0)) - 0.25) < 0.02
    assert np.array_equal(layer.eval()(mg.ones(3)).detach().numpy(), np.ones(3))
    with pytest.raises(ValueError, match="probability"):
        nn.Dropout(1.5)


def test_flatten_and_unflatten_are_inverse():
    x = mg.randn(2, 3, 4, 5)
    flat = nn.Flatten()(x)
    assert flat.shape == (2, 60)
    assert np.array_equal(nn.Unflatten(1, (3, 4, 5))(flat).detach().numpy(), x.detach().numpy())
    assert nn.Flatten(2, 3)(x).shape == (2, 3, 20)
    assert nn.Unflatten(-1, (5, 1))(x).shape == (2, 3, 4, 5, 1)


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="groups=2 must divide in_channels=3"):
        nn.Conv2d(3, 4, 3, groups=2)


# -- initialisers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [lambda: nn.Linear(400, 50), lambda: nn.Conv2d(16, 40, 5), lambda: nn.ConvTranspose2d(40, 16, 5)],
)
def test_default_weights_are_uniform_within_one_over_root_fan_in(make):
    mg.manual_seed(1)
    layer = make()
    bound = 1.0 / math.sqrt(400)
    for value in layer.weight.detach().numpy(), layer.bias.detach().numpy():
        assert np.abs(value).max() <= bound
        assert np.abs(value).max() > 0.7 * bound
    assert abs(layer.weight.detach().numpy().std() - bound / math.sqrt(3)) < 0.02 * bound


def test_the_same_seed_makes_the_same_weights():
    mg.manual_seed(3)
    first = small_net().state_dict()
    mg.manual_seed(3)
    second = small_net().state_dict()
    assert all(np.array_equal(v.detach().numpy(), second[name].detach().numpy()) for name, v in first.items())


@pytest.mark.parametrize(
    ("fill", "mean", "std"),
    [
        (lambda t, g: nn.init.normal_(t, 2.0, 0.5, generator=g), 2.0, 0.5),
        (lambda t, g: nn.init.uniform_(t, -1.0, 3.0, generator=g), 1.0, 4.0 / math.sqrt(12)),
        (lambda t, g: nn.init.trunc_normal_(t, 0.0, 0.02, generator=g), 0.0, 0.02),
        (lambda t, g: nn.init.trunc_normal_(t, 0.0, 1.0, -1.0, 1.0, generator=g), 0.0, 0.53956),
        (lambda t, g: nn.init.xavier_uniform_(t, generator=g), 0.0, math.sqrt(2 / 500)),
        (lambda t, g: nn.init.xavier_normal_(t, 2.0, generator=g), 0.0, 2 * math.sqrt(2 / 500)),
        (lambda t, g: nn.init.kaiming_uniform_(t, generator=g), 0.0, math.sqrt(2 / 300)),
        (lambda t, g: nn.init.kaiming_normal_(t, mode="fan_out", generator=g), 0.0, math.sqrt(2 / 200)),
        (
            lambda t, g: nn.init.kaiming_normal_(t, nonlinearity="linear", generator=g),
            0.0,
            math.sqrt(1 / 300),
        ),
    ],
)
def test_initialisers_have_their_mean_and_deviation(fill, mean, std):
    tensor = mg.zeros(200, 300)
    assert fill(tensor, np.random.default_rng(0)) is tensor
    values = tensor.detach().numpy()
    assert abs(values.mean() - mean) < 5 * std / math.sqrt(values.size)
    assert abs(values.std() / std - 1) < 0.01
    again = fill(mg.zeros(200, 300), np.random.default_rng(0)).detach().numpy()
    assert np.array_equal(values, again)


def test_constants_and_truncation_bounds():
    assert nn.init.zeros_(mg.ones(3)).tolist() == [0, 0, 0]
    assert nn.init.ones_(mg.zeros(2)).tolist() == [1, 1]
    assert nn.init.constant_(mg.zeros(2), 2.5).tolist() == [2.5, 2.5]
    values = nn.init.trunc_normal_(mg.zeros(10_000), 0.0, 1.0, -0.5, 0.25).detach().numpy()
    assert values.min() >= -0.5 and values.max() <= 0.25
    with pytest.raises(ValueError, match="widen it"):
        nn.init.trunc_normal_(mg.zeros(3), 0.0, 0.02, 1.0, 2.0)


def test_initialisers_name_what_they_cannot_do():
    with pytest.raises(ValueError, match="two axes"):
        nn.init.xavier_normal_(mg.zeros(3))
    with pytest.raises(ValueError, match="fan_in"):
        nn.init.kaiming_normal_(mg.zeros(3, 3), mode="fan")
    with pytest.raises(ValueError, match="unknown nonlinearity 'swish'"):
        nn.init.calculate_gain("swish")


def test_initialisers_write_views_and_parameters_in_place():
    layer = nn.Linear(3, 2)
    data = layer.weight.data
    nn.init.normal_(layer.weight)
    assert layer.weight.data is data and layer.weight.requires_grad


# -- utilities --------------------------------------------------------------------------------------------


def test_clipping_scales_all_gradients_by_one_factor():
    a, b = nn.Parameter(np.zeros(2)), nn.Parameter(np.zeros((1, 2), np.float32))
    a.grad, b.grad = mg.tensor(np.array([3.0, 0.0])), mg.tensor(np.array([[0.0, 4.0]], np.float32))
    held = a.grad.data
    total = nn.utils.clip_grad_norm_([a, b, nn.Parameter(np.zeros(3))], 1.0)
    assert np.isclose(total.item(), 5.0)
    assert np.allclose(a.grad.detach().numpy(), [0.6, 0.0]) and np.allclose(b.grad.detach().numpy(), [[0.0, 0.8]])
    assert (a.grad.dtype, b.grad.dtype) == (np.float64, np.float32)
    assert held.tolist() == [3.0, 0.0]


def test_clipping_leaves_small_gradients_and_can_refuse_infinite_ones():
    p = nn.Parameter(np.zeros(2))
    p.grad = mg.tensor(np.array([0.3, 0.4]))
    nn.utils.clip_grad_norm_(p, 1.0)
    assert p.grad.tolist() == [0.3, 0.4]
    assert nn.utils.clip_grad_norm_(p, 10.0, norm_type=math.inf).item() == 0.4
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0.0
    p.grad = mg.tensor(np.array([np.inf, 0.0]))
    with pytest.raises(ValueError, match="norm of order 2"):
        nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)


def test_spectral_norm_brings_the_largest_singular_value_to_one():
    mg.manual_seed(0)
    layer = nn.utils.spectral_norm(nn.Linear(6, 4).to("float64"), n_power_iterations=50)
    x = mg.tensor(np.random.default_rng(0).normal(size=(3, 6)))
    layer(x)
    assert np.isclose(np.linalg.svd(layer.weight.detach().numpy(), compute_uv=False)[0], 1.0)
    assert list(layer.state_dict()) == ["bias", "weight_orig", "weight_u", "weight_v"]
    assert [n for n, _ in layer.named_parameters()] == ["bias", "weight_orig"]


def test_spectral_norm_is_differentiated_through_and_still_in_evaluation():
    mg.manual_seed(0)
    layer = nn.utils.spectral_norm(nn.ConvTranspose2d(2, 3, 3).to("float64"))
    x = mg.tensor(np.random.default_rng(0).normal(size=(1, 2, 4, 4)))
    loss = (layer(x) ** 2).sum() + (layer(x) ** 3).sum()
    loss.backward()
    # w/σ(w) does not change with the scale of w, so the gradient is orthogonal to w.
    weight, gradient = layer.weight_orig.detach().numpy(), layer.weight_orig.grad.detach().numpy()
    assert np.any(gradient != 0)
    before = layer.weight_u.detach().numpy().copy()
    layer.eval()(x)
    assert np.array_equal(layer.weight_u.detach().numpy(), before)
    layer.zero_grad()
    layer(x).sum().backward()
    gradient = layer.weight_orig.grad.detach().numpy()
    assert abs((weight * gradient).sum()) < 1e-9 * np.abs(weight * gradient).sum()


def test_spectral_norm_refuses_what_is_not_there():
    with pytest.raises(ValueError, match="no parameter 'wieght'"):
        nn.utils.spectral_norm(nn.Linear(2, 2), "wieght")
    layer = nn.utils.spectral_norm(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="no parameter 'weight'"):
        nn.utils.spectral_norm(layer)
