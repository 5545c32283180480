"""The paper's networks: every layer's shape, the initial weights, and the fields that change them."""

from __future__ import annotations

import numpy as np
import pytest
import small_runs

import minigrad as mg
from infogan import config, networks
from minigrad import nn

PAPER = {
    "G.0.weight": (1024, 74),
    "G.2.weight": (6272, 1024),
    "G.5.weight": (128, 64, 4, 4),
    "G.7.weight": (64, 1, 4, 4),
    "trunk.0.weight": (64, 1, 4, 4),
    "trunk.1.weight": (128, 64, 4, 4),
    "trunk.4.weight": (1024, 6272),
    "D_head.weight": (1, 1024),
    "Q_head.0.weight": (128, 1024),
    "Q_head.2.weight": (12, 128),
}


@pytest.fixture(scope="module")
def paper() -> networks.Networks:
    return networks.build(config.make({"preset": "mnist"}))


def test_shapes_are_the_papers(paper):
    weights = {n: p.shape for n, p in paper.named_parameters() if n.endswith("weight") and p.ndim > 1}
    assert weights == PAPER
    normed = [n for n, m in paper.named_modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert normed == ["G.1", "G.3", "G.6", "trunk.2", "trunk.5", "Q_head.1"]


def test_outputs(paper):
    rng = np.random.default_rng(0)
    z, c = mg.Tensor(rng.uniform(-1, 1, (3, 62)).astype("f4")), mg.Tensor(np.zeros((3, 12), "f4"))
    x = paper.generate(z, c).detach()
    assert x.shape == (3, 1, 28, 28)
    assert x.dtype == np.float32
    assert 0 < x.numpy().min() < x.numpy().max() < 1
    assert paper.D(x).shape == (3,)
    assert paper.Q(x).shape == (3, 12)


def test_initial_weights_are_the_papers(paper):
    values = {name: p.detach().numpy() for name, p in paper.named_parameters()}
    for name, value in values.items():
        if name.endswith("bias"):
            assert not value.any(), name
        elif value.ndim == 1:
            assert abs(value.mean() - 1) < 0.02, name
            assert value.std() == pytest.approx(0.02, rel=0.35), name
        else:
            assert abs(value.mean()) < 0.02 * 4 / np.sqrt(value.size), name
    # a normal law cut at two deviations has .8796 of its deviation
    assert values["trunk.1.weight"].std() == pytest.approx(0.02 * 0.8796, rel=0.01)
    assert abs(values["trunk.1.weight"]).max() <= 0.04
    for whole in ("G.0.weight", "G.2.weight", "G.5.weight", "trunk.4.weight", "Q_head.0.weight"):
        assert values[whole].std() == pytest.approx(0.02, rel=0.01), whole
        assert abs(values[whole]).max() > 0.06, whole


def test_the_seed_alone_decides_the_weights():
    mg.manual_seed(5)
    first = networks.build(small_runs.make_config(seed=3)).state_dict()
    mg.manual_seed(6)
    again = networks.build(small_runs.make_config(seed=3)).state_dict()
    other = networks.build(small_runs.make_config(seed=4)).state_dict()
    assert all((first[k].numpy() == again[k].numpy()).all() for k in first)
    assert (first["G.0.weight"].numpy() != other["G.0.weight"].numpy()).any()


def test_the_leaky_slope_is_a_field():
    nets = networks.build(small_runs.make_config(leaky_slope=0.25, trunk_channels=(1, 1)))
    conv = nets.trunk[0]
    with mg.no_grad():
        conv.weight.copy_(mg.Tensor(np.zeros(conv.weight.shape, "f4")))
        conv.bias.copy_(mg.Tensor(np.full(conv.bias.shape, -1.0, "f4")))
        assert (conv(mg.Tensor(np.zeros((1, 1, 8, 8), "f4"))).numpy() == -0.25).all()


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (32, 3)])
def test_other_pictures_than_mnists(size, channels):
    nets = networks.build(small_runs.make_config(image_size=size, channels=channels))
    rng = np.random.default_rng(0)
    x = nets.generate(mg.Tensor(rng.normal(size=(4, 5)).astype("f4")), mg.Tensor(np.zeros((4, 4), "f4")))
    assert x.shape == (4, channels, size, size)
    assert nets.Q(x).shape == (4, 4)


def test_a_learned_deviation_adds_a_column_for_each_continuous_code():
    settings = small_runs.make_config(sigma="learned", codes="cat:3,2xuniform")
    nets = networks.build(settings)
    assert nets.Q(mg.Tensor(np.zeros((2, 1, 8, 8), "f4"))).shape == (2, 3 + 2 * 2)


def test_each_player_has_its_own_parameters(paper):
    generator, discriminator = paper.of_generator(), paper.of_discriminator()
    names = {id(p): name for name, p in paper.named_parameters()}
    assert {names[id(p)].split(".")[0] for p in generator} == {"G"}
    assert {names[id(p)].split(".")[0] for p in discriminator} == {"trunk", "D_head", "Q_head"}
    assert len(generator) + len(discriminator) == len(names)
