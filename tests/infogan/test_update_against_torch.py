"""Ten updates of the MNIST InfoGAN against a PyTorch program of the same steps, in float64.

The PyTorch side is written from the paper's table and equations alone: it shares with ours the initial weights,
the pictures and the noise, and no code.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from witnesses import witness

import minigrad as mg
from infogan import config, data
from infogan.training import Trainer
from infogan.update import Noise, update

torch = witness("torch")
pytestmark = pytest.mark.peers

TN, TF = torch.nn, torch.nn.functional
UPDATES, BATCH, LIMIT = 10, 8, 1e-9
STILL = {"G.0.bias", "G.2.bias", "G.5.bias", "trunk.1.bias", "trunk.4.bias", "Q_head.0.bias"}
"""Biases in front of a batch-norm, which takes them off again: their gradient is 0. What floating point leaves of it
Adam divides by its own size plus 1e-8, so that rounding of 1e-14 moves such a bias by 1e-9 in ten updates."""


class Peer:
    """The paper's networks and one update of them."""

    def __init__(self) -> None:
        leaky = lambda: TN.LeakyReLU(0.1)
        self.G = TN.Sequential(
            TN.Linear(74, 1024), TN.BatchNorm1d(1024), TN.ReLU(),
            TN.Linear(1024, 7 * 7 * 128), TN.BatchNorm1d(7 * 7 * 128), TN.ReLU(), TN.Unflatten(1, (128, 7, 7)),
            TN.ConvTranspose2d(128, 64, 4, 2, 1), TN.BatchNorm2d(64), TN.ReLU(),
            TN.ConvTranspose2d(64, 1, 4, 2, 1), TN.Sigmoid(),
        ).double()  # fmt: skip
        self.trunk = TN.Sequential(
            TN.Conv2d(1, 64, 4, 2, 1), leaky(), TN.Conv2d(64, 128, 4, 2, 1), TN.BatchNorm2d(128), leaky(),
            TN.Flatten(), TN.Linear(7 * 7 * 128, 1024), TN.BatchNorm1d(1024), leaky(),
        ).double()  # fmt: skip
        self.D_head = TN.Sequential(TN.Linear(1024, 1)).double()
        self.Q_head = TN.Sequential(
            TN.Linear(1024, 128), TN.BatchNorm1d(128), leaky(), TN.Linear(128, 12)
        ).double()  # fmt: skip
        self.parts = {"G": self.G, "trunk": self.trunk, "D_head": self.D_head, "Q_head": self.Q_head}
        of_d = [p for m in (self.trunk, self.D_head, self.Q_head) for p in m.parameters()]
        self.adam_d = torch.optim.Adam(of_d, lr=2e-4, betas=(0.5, 0.999))
        self.adam_g = torch.optim.Adam(self.G.parameters(), lr=1e-3, betas=(0.5, 0.999))

    def information(self, reading, c):
        """E log Q(c|x) + H(c) of Cat(10) and of two Unif(-1, 1) under unit Gaussians, by the equations."""
        categories = -TF.cross_entropy(reading[:, :10], c[:, :10].argmax(1)) + math.log(10)
        gaussian = torch.distributions.Normal(reading[:, 10:], 1.0).log_prob(c[:, 10:]).mean(0) + math.log(2)
        return [categories, gaussian[0], gaussian[1]]

    def discriminator_step(self, real, z, c):
        fake = self.G(torch.cat([z, c], 1)).detach()
        on_real = self.D_head(self.trunk(real))
        features = self.trunk(fake)
        on_fake = self.D_head(features)
        game = TF.binary_cross_entropy_with_logits(on_real, torch.ones_like(on_real))
        game = game + TF.binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake))
        loss = game - sum(self.information(self.Q_head(features), c))
        self.adam_d.zero_grad()
        loss.backward()
        self.adam_d.step()
        return float(game.detach())

    def generator_step(self, z, c):
        still = [b for m in (self.trunk, self.D_head, self.Q_head) for b in m.buffers()]
        before = [b.clone() for b in still]
        features = self.trunk(self.G(torch.cat([z, c], 1)))
        on_fake = self.D_head(features)
        adversarial = TF.binary_cross_entropy_with_logits(on_fake, torch.ones_like(on_fake))
        terms = self.information(self.Q_head(features), c)
        self.adam_g.zero_grad()
        (adversarial - sum(terms)).backward()
        self.adam_g.step()
        with torch.no_grad():
            for now, value in zip(still, before, strict=True):
                now.copy_(value)
        return float(adversarial.detach()), [float(t.detach()) for t in terms]

    def load(self, networks) -> None:
        """Take over weights; layers without any stand elsewhere in the two lists, so by order, not by name."""
        for name, part in self.parts.items():
            given = getattr(networks, name).state_dict().values()
            part.load_state_dict({k: torch.tensor(v.numpy()) for k, v in zip(part.state_dict(), given, strict=True)})

    def state(self) -> dict[str, np.ndarray]:
        return {
            f"{name}.{k}": v.detach().numpy() for name, part in self.parts.items() for k, v in part.state_dict().items()
        }


def doubled(noise: Noise) -> Noise:
    return Noise(*(t.to("float64") for t in noise))


@pytest.fixture(scope="module")
def one_thread():
    """Two pools of threads on the same cores wait for each other; PyTorch's has one here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made(one_thread):
    """Both programs after ten updates: our trainer, the peer, and what each measured in every update."""
    trainer = Trainer(config.make({"preset": "mnist", "batch_size": BATCH, "seed": 11}), data.load("mnist-5k"))
    networks, peer = trainer.networks.to("float64"), Peer()
    with mg.no_grad():  # the batch-norm behind would magnify rounding; see STILL
        networks.trunk[1].weight.copy_(networks.trunk[1].weight * 10)
    peer.load(networks)
    start = {name: value.numpy().copy() for name, value in networks.state_dict().items()}
    ours, theirs = [], []
    for step in range(1, UPDATES + 1):
        real = mg.tensor(trainer.data.images[trainer.order.batch(step)], dtype="float64")
        noise_d, noise_g = doubled(trainer.noise("noise of D", step)), doubled(trainer.noise("noise of G", step))
        measured = update(networks, trainer.optimisers, trainer.code, trainer.config.weights, real, noise_d, noise_g)
        ours.append([measured.loss_d, measured.loss_g, *measured.bound_trained, measured.info_loss])
        loss_d = peer.discriminator_step(torch.tensor(real.numpy()), *(torch.tensor(t.numpy()) for t in noise_d))
        loss_g, terms = peer.generator_step(*(torch.tensor(t.numpy()) for t in noise_g))
        theirs.append([loss_d, loss_g, *terms, -sum(terms)])
    return trainer, peer, start, np.array(ours), np.array(theirs)


def test_losses_of_every_update_agree(made):
    _, _, _, ours, theirs = made
    assert np.isfinite(theirs).all() and len(np.unique(theirs[:, 0])) == UPDATES
    assert np.abs(ours - theirs).max() < LIMIT


def test_weights_and_running_statistics_agree(made):
    trainer, peer, start, _, _ = made
    state = trainer.networks.state_dict()
    reference = peer.state()
    assert len(state) == len(reference) == 50
    for (name, value), expected in zip(state.items(), reference.values(), strict=True):
        got = value.numpy()
        assert got.shape == expected.shape and got.dtype == expected.dtype, name
        assert np.abs(got - expected).max() < LIMIT, name
        moved = np.abs(got - start[name]).max()
        assert moved < LIMIT if name in STILL else moved > 1e-4, f"{name} has moved by {moved}"


def test_every_statistic_was_updated_as_often_as_its_network_learnt(made):
    trainer, peer, _, _, _ = made
    state = trainer.networks.state_dict()
    counts = {n: int(v.item()) for n, v in state.items() if n.endswith("num_batches_tracked")}
    assert {n.split(".")[0]: c for n, c in counts.items()} == {"G": 20, "trunk": 20, "Q_head": 10}
    assert sorted(counts.values()) == sorted(int(v) for n, v in peer.state().items() if n.endswith("tracked"))


def test_adams_moments_agree(made):
    trainer, peer, _, _, _ = made
    pairs = ((trainer.optimisers.d, peer.adam_d), (trainer.optimisers.g, peer.adam_g))
    for optimiser, adam in pairs:
        state, reference = optimiser.state_dict(), list(adam.state.values())
        assert len(reference) == len(optimiser.state[0])
        for j, expected in enumerate(reference):
            assert state[f"state.0.{j}.step"] == int(expected["step"]) == UPDATES
            for moment in ("exp_avg", "exp_avg_sq"):
                got = state[f"state.0.{j}.{moment}"]
                assert np.abs(got - expected[moment].numpy()).max() < LIMIT, f"{moment} of parameter {j}"
