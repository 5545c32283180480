"""One update and many: who moves, who stands still, and the same numbers as PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import small_runs

import minigrad as mg
from infogan import config, networks, objective, training
from infogan.draws import Order, draw_noise
from infogan.update import Moved, Noise, NotFinite, Optimisers, update
from minigrad import nn, optim


class Bench:
    """Small networks in float64 with what an update needs, and a look at what it changed."""

    def __init__(self, **changes):
        self.config = small_runs.make_config(**changes)
        self.code = self.config.code
        self.nets = networks.build(self.config).to(np.float64).train()
        self.optimisers = Optimisers(
            d=optim.Adam(self.nets.of_discriminator(), 2e-3, (0.5, 0.999)),
            g=optim.Adam(self.nets.of_generator(), 1e-2, (0.5, 0.999)),
        )
        self.real = np.random.default_rng(0).uniform(0, 1, (4, 1, 8, 8))

    def noise(self, purpose: str, step: int = 1) -> Noise:
        z, c = draw_noise(self.config, self.code, purpose, step, 4)
        return Noise(mg.Tensor(z.astype(np.float64)), mg.Tensor(c.astype(np.float64)))

    def update(self, *, real=None, d=None, g=None, weights=None, **settings):
        return update(
            self.nets, self.optimisers, self.code, weights or self.config.weights,
            mg.Tensor(self.real if real is None else real),
            d or self.noise("noise of D"), g or self.noise("noise of G"), **settings,
        )  # fmt: skip

    def values(self, *parts: str) -> dict[str, np.ndarray]:
        return {
            name: value.numpy().copy() for name, value in self.nets.state_dict().items() if name.split(".")[0] in parts
        }


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return all((first[key] == second[key]).all() for key in first)


def test_every_weight_moves():
    bench = Bench()
    before = bench.values("G", "trunk", "D_head", "Q_head")
    bench.update()
    after = bench.values("G", "trunk", "D_head", "Q_head")
    assert [k for k in before if (before[k] == after[k]).all()] == []


def test_d_and_q_do_not_see_the_noise_of_the_g_step():
    """Weights and running statistics of trunk and heads are those of the D step: G's step leaves them alone."""
    benches = [Bench(), Bench()]
    benches[0].update(g=benches[0].noise("noise of G", 1))
    benches[1].update(g=benches[1].noise("noise of G", 2))
    first, second = (b.values("trunk", "D_head", "Q_head") for b in benches)
    assert same(first, second)
    assert not same(benches[0].values("G"), benches[1].values("G"))


def test_the_g_step_computes_no_gradient_for_d_and_q():
    bench = Bench()
    seen: list[dict[str, bool]] = []
    step = bench.optimisers.g.step

    def watched() -> None:
        seen.append({n: p.requires_grad for n, p in bench.nets.named_parameters()})
        step()

    for p in bench.nets.of_discriminator():
        p.grad = None
    bench.optimisers.g.step = watched
    bench.optimisers.d.step = lambda: bench.optimisers.d.zero_grad()
    bench.update()
    assert all(p.grad is None for p in bench.nets.of_discriminator())
    assert all(p.grad is not None for p in bench.nets.of_generator())
    assert all(seen[0].values()), "everything can be trained again after the step"


def test_running_statistics_of_the_trunk_mix_real_and_generated_and_q_sees_generated_only():
    bench = Bench()
    noise = bench.noise("noise of D")
    nets = bench.nets
    with mg.no_grad(), nn.utils.frozen_statistics(nets):
        fake = nets.generate(*noise)
        before_norm = [nets.trunk[1](nets.trunk[0](x)) for x in (mg.Tensor(bench.real), fake)]
        reading = nets.Q_head[0](nets.trunk(fake)).numpy()
    real, generated = (x.numpy().mean(axis=(0, 2, 3)) for x in before_norm)
    bench.update(d=noise)
    trunk, q = bench.nets.trunk[2], bench.nets.Q_head[1]
    np.testing.assert_allclose(trunk.running_mean.numpy(), 0.9 * 0.1 * real + 0.1 * generated, atol=1e-12)
    np.testing.assert_allclose(q.running_mean.numpy(), 0.1 * reading.mean(axis=0), atol=1e-12)
    assert (trunk.num_batches_tracked.item(), q.num_batches_tracked.item()) == (2, 1)


def test_running_statistics_are_those_of_moved_pictures_alone_where_there_are_any():
    bench, images = Bench(), np.random.default_rng(3).uniform(0, 1, (12, 1, 8, 8))
    nets = bench.nets
    with mg.no_grad(), nn.utils.frozen_statistics(nets):
        before_norm = nets.trunk[1](nets.trunk[0](mg.Tensor(images))).numpy()
        reading = nets.Q_head[0](nets.trunk(mg.Tensor(images))).numpy()
    bench.update(moved=Moved(mg.Tensor(images), 1.0))
    trunk, q = nets.trunk[2], nets.Q_head[1]
    np.testing.assert_allclose(trunk.running_mean.numpy(), 0.1 * before_norm.mean(axis=(0, 2, 3)), atol=1e-12)
    np.testing.assert_allclose(q.running_mean.numpy(), 0.1 * reading.mean(axis=0), atol=1e-12)
    assert (trunk.num_batches_tracked.item(), q.num_batches_tracked.item()) == (1, 1)


def test_real_and_generated_pictures_do_not_share_batch_statistics():
    """Each generated picture is judged as if no real one existed: other real pictures, same readings of Q."""
    benches = [Bench(), Bench()]
    for bench in benches:
        bench.optimisers.d.step = lambda: None
    first = benches[0].update()
    second = benches[1].update(real=1 - benches[1].real)
    assert first.bound == second.bound
    assert first.loss_g == second.loss_g
    assert first.loss_d != second.loss_d


def test_the_information_term_trains_the_trunk_as_well_as_the_head():
    benches = [Bench(), Bench(lambda_categorical=0.0, lambda_continuous=0.0)]
    for bench in benches:
        bench.update()
    for part in ("trunk", "Q_head"):
        assert not same(benches[0].values(part), benches[1].values(part)), part


def test_the_invariance_term_trains_trunk_and_q_with_its_weight_and_nobody_else():
    """Against gradients by central differences, in float64, of weights of every part that the step moves."""
    bench, weight = Bench(), 0.7
    images = np.random.default_rng(3).uniform(0, 1, (12, 1, 8, 8))
    bench.optimisers.d.step = bench.optimisers.g.step = lambda: None
    bench.update()
    plain = {n: p.grad.numpy().copy() for n, p in bench.nets.named_parameters()}
    measured = bench.update(moved=Moved(mg.Tensor(images), weight))

    def term() -> float:
        with mg.no_grad():
            return objective.invariance(bench.code, bench.nets.Q(mg.Tensor(images)))[0].item()

    assert measured.invariance == pytest.approx((term(),), rel=1e-12)
    for name in ("trunk.0.weight", "trunk.4.weight", "Q_head.0.weight", "Q_head.2.bias"):
        p = dict(bench.nets.named_parameters())[name]
        values = p.data.reshape(-1)
        slopes = []
        for change in (1e-5, -1e-5):
            values[1] += change
            slopes.append(term() / (2 * change))
            values[1] -= change
        added = p.grad.numpy().reshape(-1)[1] - plain[name].reshape(-1)[1]
        assert added == pytest.approx(-weight * sum(slopes), rel=1e-4, abs=1e-9), name
    for name in ("D_head.weight", "G.0.weight"):
        assert (dict(bench.nets.named_parameters())[name].grad.numpy() == plain[name]).all(), name


def test_the_regular_gan_hears_nothing_of_the_codes():
    """G and the trunk move the same whatever Q's head is, while the head itself learns to read."""
    benches = [Bench(objective="gan"), Bench(objective="gan")]
    with mg.no_grad():
        for p in benches[1].nets.Q_head.parameters():
            p.copy_(p * 3.0)
    before = benches[1].values("Q_head")
    found = [bench.update(informed=False) for bench in benches]
    assert same(*(b.values("G", "trunk", "D_head") for b in benches))
    assert not same(before, benches[1].values("Q_head"))
    assert [m.info_loss for m in found] == [0.0, 0.0]
    assert found[0].bound_trained != found[1].bound_trained
    informed = Bench()
    informed.update()
    assert not same(informed.values("G"), benches[0].values("G"))
    assert not same(informed.values("trunk"), benches[0].values("trunk"))


def test_what_an_update_reports():
    bench = Bench(lambda_categorical=0.5, lambda_continuous=2.0)
    bench.optimisers.d.step = lambda: None
    nets, d, g = bench.nets, bench.noise("noise of D"), bench.noise("noise of G")
    with mg.no_grad(), nn.utils.frozen_statistics(nets):
        fake = [nets.generate(*noise) for noise in (d, g)]
        p_real, p_fake, p_g = (1 / (1 + np.exp(-nets.D(x).numpy())) for x in (mg.Tensor(bench.real), *fake))
        parameters = nets.Q(fake[1]).numpy()
        terms = [t.mean().item() for t in bench.code.log_q(mg.Tensor(parameters), g.c)]
    found = bench.update()
    assert found.loss_d == pytest.approx(-np.log(p_real).mean() - np.log(1 - p_fake).mean())
    assert found.loss_g == pytest.approx(-np.log(p_g).mean())
    trained = [term + h for term, h in zip(terms, bench.code.entropy, strict=True)]
    assert found.bound_trained == pytest.approx(trained)
    assert found.info_loss == pytest.approx(-0.5 * trained[0] - 2.0 * trained[1])
    assert found.bound == pytest.approx(bench.code.bound(parameters, g.c.numpy()))
    assert found.residual == pytest.approx(bench.code.residual(parameters, g.c.numpy()))


def test_a_loss_that_is_no_number_moves_nothing():
    bench = Bench()
    before = {k: v for k, v in bench.values("G", "trunk", "D_head", "Q_head").items() if "running" not in k}
    broken = bench.real.copy()
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(NotFinite, match="the loss of D and Q is nan"), np.errstate(all="ignore"):
        bench.update(real=broken)
    after = bench.values("G", "trunk", "D_head", "Q_head")
    assert [k for k in before if (before[k] != after[k]).any() and "tracked" not in k] == []


def test_an_epoch_shows_every_picture_once_in_an_order_of_its_own():
    order = Order(seed=3, count=10, batch_size=4)
    seen = np.concatenate([order.batch(step) for step in range(1, 6)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert (seen[:10] != seen[10:]).any()
    assert (Order(3, 10, 4).batch(3) == order.batch(3)).all(), "a batch depends on its step alone"
    assert (Order(4, 10, 4).batch(1) != order.batch(1)).any()


def test_noise_is_fresh_for_every_step_and_player():
    settings = small_runs.make_config(noise=50)
    draws = [
        draw_noise(settings, settings.code, purpose, step, 100)
        for purpose, step in [("noise of D", 1), ("noise of G", 1), ("noise of D", 2)]
    ]
    for z, c in draws:
        assert z.dtype == c.dtype == np.float32
        assert -1 <= z.min() < -0.99 < 0.99 < z.max() <= 1
    z = np.stack([z.ravel() for z, _ in draws])
    assert abs(np.corrcoef(z)[~np.eye(3, dtype=bool)]).max() < 0.06


def test_a_run_draws_its_noise_anew_for_every_update(tmp_path, monkeypatch):
    trainer = small_runs.begin(small_runs.write_pictures(tmp_path), tmp_path / "run")
    seen: list[np.ndarray] = []
    real = training.update

    def watched(nets, optimisers, code, weights, pictures, d, g, **settings):
        seen.extend([d.z.numpy(), d.c.numpy(), g.z.numpy(), g.c.numpy(), pictures.numpy()])
        return real(nets, optimisers, code, weights, pictures, d, g, **settings)

    monkeypatch.setattr(training, "update", watched)
    for _ in range(3):
        trainer.advance()
    assert len({a.tobytes() for a in seen}) == 15
    assert sorted(a.shape for a in seen[:5]) == [(4, 1, 8, 8), (4, 4), (4, 4), (4, 5), (4, 5)]


def test_infogan_finds_the_information_that_a_regular_gan_leaves(tmp_path):
    """The first claim of the paper, in small: the bound of c1 quickly nears H(c1) = ln 3, but not without L_I."""
    pictures = small_runs.write_pictures(tmp_path)
    wide = {"trunk_dense": 32, "trunk_channels": (8, 8), "generator_channels": (8, 8), "generator_dense": 32}
    reached = {}
    for kind in ("infogan", "gan"):
        trainer = small_runs.begin(
            pictures, tmp_path / kind, objective=kind, batch_size=16, codes="cat:3",
            learning_rate_d=5e-3, learning_rate_g=1e-2, **wide,
        )  # fmt: skip
        reached[kind] = np.mean([trainer.advance().bound[0] for _ in range(100)][80:])
    assert reached["infogan"] > 0.8 * np.log(3)
    assert reached["gan"] < 0.4 * np.log(3)


def test_samples_hold_the_noise_of_a_row_and_the_category_of_a_column(tmp_path):
    trainer = small_runs.begin(small_runs.write_pictures(tmp_path), tmp_path / "run")
    trainer.advance()
    before = {k: v.numpy().copy() for k, v in trainer.networks.state_dict().items()}
    images, columns = trainer.samples()
    assert columns == 3
    assert images.shape == (30, 1, 8, 8)
    assert (trainer.samples()[0] == images).all()
    assert len({image.tobytes() for image in images}) == 30
    after = trainer.networks.state_dict()
    assert all((before[k] == after[k].numpy()).all() for k in before), "drawing samples trains nothing"
    assert trainer.networks.training


def test_a_run_writes_what_it_says(tmp_path):
    import json

    run_dir = tmp_path / "run"
    trainer = small_runs.begin(small_runs.write_pictures(tmp_path), run_dir, steps=7, checkpoint_every=1)
    training.train(trainer, run_dir, progress=False)
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 6, 7]
    assert [row["images"] for row in rows] == [8, 16, 24, 28]
    row = rows[-1]
    assert row["entropy"] == {"c1": pytest.approx(np.log(3)), "c2": pytest.approx(np.log(2))}
    assert row["L_I"] == pytest.approx(sum(row["bound_trained"].values()))
    assert row["info_loss"] == pytest.approx(-row["L_I"])
    assert list(row["residual"]) == ["c2"]
    assert row["bound"]["c2"] == pytest.approx(np.log(2) - 0.5 * np.log(2 * np.pi * np.e * row["residual"]["c2"] ** 2))
    assert [p.name for p in sorted((run_dir / "checkpoints").iterdir())] == [
        "latest", "step-00000005.safetensors", "step-00000006.safetensors", "step-00000007.safetensors",
    ]  # fmt: skip
    assert (run_dir / "checkpoints" / "latest").read_text() == "step-00000007.safetensors\n"
    assert (run_dir / "figures" / "samples-00000007.png").exists()
    written, environment = config.read(run_dir)
    assert written == trainer.config
    assert environment["data"]["count"] == 32
    assert environment["kernels"]["conv2d"]
    assert "numpy" in environment["versions"]


def test_lines_are_means_over_the_updates_between(tmp_path):
    trainer = small_runs.begin(small_runs.write_pictures(tmp_path), tmp_path / "run", steps=4)
    other = small_runs.begin(tmp_path / "pictures.npz", tmp_path / "other", steps=4)
    training.train(trainer, tmp_path / "run", progress=False)
    measured = [other.advance() for _ in range(4)]
    from infogan import record

    for row, pair in zip(record.read(tmp_path / "run"), (measured[:2], measured[2:]), strict=True):
        assert row["loss_d"] == pytest.approx(np.mean([m.loss_d for m in pair]), rel=1e-12)
        assert row["bound"]["c1"] == pytest.approx(np.mean([m.bound[0] for m in pair]), rel=1e-12)
