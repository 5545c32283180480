"""A run opened from its folder: arrays in, arrays out, and one line for whatever cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_runs import line, make_run, write_metrics

import infogan
from infogan import checkpoints, config, networks
from infogan.errors import InputError
from infogan.run import Run, parse_codes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "tiny", codes="cat:4,uniform,normal:1:2")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return infogan.load(folder)


def one_line(call, *parts: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    for part in parts:
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_generate_gives_pictures(run):
    images = run.generate(n=6, c1=3, c2=-0.5)
    assert images.shape == (6, 1, 28, 28) and images.dtype == np.float32
    assert images.min() > 0 and images.max() < 1
    assert run.generate().shape == (64, 1, 28, 28)


def test_seed_decides_noise_and_codes_alone_differ(run):
    np.testing.assert_array_equal(run.generate(4, seed=3), run.generate(4, seed=3))
    assert not np.array_equal(run.generate(4, seed=3), run.generate(4, seed=4))
    z, c = run.latents(4, "generate", 3)
    np.testing.assert_array_equal(run.generate(4, seed=3), run.G(z, c))
    np.testing.assert_array_equal(run.generate(4, seed=3, c3=0.25), run.G(z, run.fix(c, "c3", 0.25)))


def test_codes_reach_their_columns(run):
    c = run.latents(3, "generate", 0)[1]
    fixed = run.fix(run.fix(c, "c1", [2, 0, 3]), "c3", 1.5)
    np.testing.assert_array_equal(fixed[:, :4], np.eye(4)[[2, 0, 3]])
    np.testing.assert_array_equal(fixed[:, 5], 1.5)
    np.testing.assert_array_equal(fixed[:, 4], c[:, 4])


def test_generation_does_not_depend_on_what_else_is_in_the_batch(run, monkeypatch):
    # evaluation mode: batch-norm by running statistics
    z, c = run.latents(5, "generate", 0)
    whole = run.G(z, c)
    np.testing.assert_allclose(run.G(z[:1], c[:1]), whole[:1], atol=1e-6)
    monkeypatch.setattr("infogan.run.BATCH", 2)
    np.testing.assert_allclose(run.G(z, c), whole, atol=1e-6)


def test_encode_reads_each_code(run):
    read = run.encode(run.generate(9))
    assert {name: array.shape for name, array in read.items()} == {"c1": (9, 4), "c2": (9, 2), "c3": (9, 2)}
    np.testing.assert_allclose(read["c1"].sum(axis=1), 1)
    np.testing.assert_array_equal(read["c2"][:, 1], 1)  # the deviation, fixed
    assert run.D(run.generate(3)).shape == (3,)


def test_bytes_and_grey_pictures_without_a_channel(run):
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(run.Q(images), run.Q(images[:, None].astype(np.float32) / np.float32(255)))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (np.zeros((2, 1, 32, 32)), "takes (N, 1, 28, 28)"),
        (np.zeros((2, 3, 28, 28)), "takes (N, 1, 28, 28)"),
        (np.zeros((0, 1, 28, 28)), "takes (N, 1, 28, 28)"),
        (np.full((1, 28, 28), np.nan), "outside [0, 1]"),
        (np.full((1, 28, 28), 200.0), "outside [0, 1]"),
        (np.zeros((1, 28, 28), np.int64), "int64"),
    ],
)
def test_pictures_that_do_not_fit(run, images, says):
    one_line(lambda: run.encode(images), says)


def test_codes_that_do_not_fit(run):
    one_line(lambda: run.generate(2, c9=1), "c9", "c1, c2, c3")
    one_line(lambda: run.generate(2, c1=4), "c1", "0 to 3")
    one_line(lambda: run.generate(2, c1=1.5), "c1", "0 to 3")
    one_line(lambda: run.generate(2, c2=np.inf), "c2", "finite")
    one_line(lambda: run.generate(2, c2=[1, 2, 3]), "c2", "2 numbers")
    one_line(lambda: run.generate(2, c2="wide"), "c2")
    one_line(lambda: run.generate(0), "at least one")
    one_line(lambda: run.generate(2, seed=-1), "seed")


def test_settings_of_codes_are_parsed():
    assert parse_codes("c1=3,c2=-0.5") == {"c1": 3.0, "c2": -0.5}
    assert parse_codes(" c10 = 1e-1 ") == {"c10": 0.1}
    for text in ("", "c1", "c1=", "c1=x", "c1=3,", "3=c1", "n=3", "c1=3;c2=1"):
        one_line(lambda text=text: parse_codes(text), "c1=3,c2=-0.5")


def test_loaded_weights_are_the_saved_ones(folder, run):
    saved = checkpoints.latest(folder).part("networks")
    assert run.step == 7 and run.config == config.read(folder)[0]
    assert {k for k, _ in run.networks.named_parameters()} <= set(saved)
    for name, value in run.networks.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), saved[name])
    assert not any(module.training for module in run.networks.modules())


def test_folders_that_hold_no_run(tmp_path):
    one_line(lambda: infogan.load(tmp_path / "nowhere"), "holds no run", "config.json")
    (tmp_path / "empty").mkdir()
    one_line(lambda: infogan.load(tmp_path / "empty"), "holds no run")
    folder = make_run(tmp_path / "bare")
    for file in (folder / "checkpoints").iterdir():
        file.unlink()
    one_line(lambda: infogan.load(folder), "holds no checkpoint")


def test_configuration_of_other_networks(tmp_path):
    folder = make_run(tmp_path / "run")
    path = folder / config.FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "q_dense": 9}))
    one_line(lambda: infogan.load(folder), "does not fit", "Q_head")


def test_metrics_are_the_lines_of_the_file(tmp_path):
    folder = make_run(tmp_path / "run")
    assert infogan.load(folder).metrics == []
    write_metrics(folder, [line(10), line(20)], end='{"step": 3')
    assert infogan.load(folder).metrics == [line(10), line(20)]
    write_metrics(folder, [line(10)], end="not json\n")
    one_line(lambda: infogan.load(folder).metrics, "metrics.jsonl, line 2: is damaged")
    write_metrics(folder, [line(10, bound={"c1": "high"})])
    one_line(lambda: infogan.load(folder).metrics, "metrics.jsonl, line 1: is damaged")


def test_networks_build_is_what_a_checkpoint_holds(folder):
    settings, _ = config.read(folder)
    assert set(networks.build(settings).state_dict()) == set(checkpoints.latest(folder).part("networks"))
