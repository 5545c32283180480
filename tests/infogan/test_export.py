"""`infogan export`: what is written is read by onnxruntime and by PyTorch, and shows the same pictures."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from made_runs import make_run
from small_runs import begin, write_pictures
from witnesses import witness

import infogan
from infogan import checkpoints, cli
from infogan.errors import InfoganError, InputError
from infogan.export import write_onnx
from infogan.training import train
from minigrad import nn


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose weights and running statistics have moved."""
    folder = tmp_path_factory.mktemp("export")
    train(begin(write_pictures(folder), folder / "run"), folder / "run", progress=False)
    return folder / "run"


def latents(run: infogan.run.Run, n: int = 33) -> tuple[np.ndarray, np.ndarray]:
    return run.latents(n, "a test", 5)


def modules(folder: Path) -> ModuleType:
    """The file `networks.py`, imported as a user would."""
    spec = importlib.util.spec_from_file_location("networks", folder / "networks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- ONNX


def test_onnx_gives_the_same_pictures_and_readings(trained, tmp_path, capsys):
    witness("onnx")
    runtime = witness("onnxruntime")
    assert cli.main(["export", str(trained), "--format", "onnx", "--out", str(tmp_path / "out")]) == 0
    assert "checked in onnxruntime" in capsys.readouterr().out
    run = infogan.load(trained)
    G = runtime.InferenceSession(tmp_path / "out" / "G.onnx")
    DQ = runtime.InferenceSession(tmp_path / "out" / "DQ.onnx")
    for n in (1, 33):  # N is free
        z, c = latents(run, n)
        (images,) = G.run(["images"], {"z": z, "c": c})
        np.testing.assert_allclose(images, run.G(z, c), atol=1e-5)
        logits, parameters = DQ.run(["logits", "parameters"], {"images": images})
        assert logits.shape == (n,)
        np.testing.assert_allclose(logits, run.D(images), atol=1e-5)
        np.testing.assert_allclose(parameters, run.Q(images), atol=1e-5)
    notes = DQ.get_modelmeta().custom_metadata_map
    assert json.loads(notes["codes"])["c2"] == {"code": "uniform", "input": [3, 4], "parameters": [3, 4]}
    assert notes["updates"] == "12"


@pytest.mark.parametrize("network", ["mnist", "sized"])
def test_onnx_of_colour_in_either_range(tmp_path, network):
    witness("onnxruntime")
    shape = {"channels": 3, "image_size": 16, "network": network}
    folder = make_run(tmp_path / "run", codes="cat:4,normal", sigma="learned", **shape)
    paths, off = write_onnx(infogan.load(folder), tmp_path / "deep" / "out")
    assert off < 1e-5
    assert [path.name for path in paths] == ["G.onnx", "DQ.onnx"]


def test_onnx_has_every_layer(tmp_path):
    """Layers that the paper's networks do not use, and settings that are not theirs."""
    witness("onnxruntime")
    run = infogan.load(make_run(tmp_path / "run", codes="cat:3", channels=1, image_size=8))
    run.networks.trunk = nn.Sequential(
        nn.Conv2d(1, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), bias=False, activation="relu"),
        nn.Sequential(nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 6, 3, groups=2), nn.LeakyReLU(0.3)),
        nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1, groups=2, activation=("leaky_relu", 0.2)),
        nn.BatchNorm2d(4, eps=1e-2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(4 * 4 * 8, 12, bias=False),
    ).eval()
    rng = np.random.default_rng(0)
    for name, value in run.networks.state_dict().items():  # large enough for every setting to be seen in the result
        if not name.startswith("G.") and value.dtype == np.float32:
            value.copy_(rng.uniform(0.1, 0.6, value.shape))
    _, off = write_onnx(run, tmp_path / "out")
    assert off < 1e-5


def test_onnx_refuses_what_it_cannot_write(tmp_path):
    witness("onnx")
    run = infogan.load(make_run(tmp_path / "run", codes="cat:3"))

    class Squash(nn.Module):
        def forward(self, x):
            return x * 0.5

    run.networks.G.add_module("9", Squash())
    with pytest.raises(InputError, match=r"G\.9 is Squash.*known are Linear"):
        write_onnx(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_onnx_that_differs_is_not_written(trained, tmp_path, monkeypatch):
    witness("onnxruntime")
    run = infogan.load(trained)
    monkeypatch.setattr(run, "Q", lambda images: infogan.run.Run.Q(run, images) + 1e-3)
    with pytest.raises(InfoganError, match="differ from the run by 1"):
        write_onnx(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_the_libraries_one_line_says_so(trained, tmp_path, monkeypatch, capsys):
    witness("onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert cli.main(["export", str(trained), "--format", "onnx", "--out", str(tmp_path)]) == 0
    assert "not checked: onnxruntime" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "onnx.helper", None)
    assert cli.main(["export", str(trained), "--format", "onnx", "--out", str(tmp_path)]) == 2
    assert "pip install 'infogan[export]'" in capsys.readouterr().err


def test_a_place_that_cannot_be_written(trained, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["export", str(trained), "--format", "torch", "--out", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


# -- PyTorch


@pytest.mark.peers
@pytest.mark.parametrize("colour", [False, True])
def test_pytorch_shows_the_same_pictures(trained, tmp_path, colour):
    torch = witness("torch")
    folder = trained
    if colour:
        shape = {"channels": 3, "image_size": 16, "network": "sized"}
        folder = make_run(tmp_path / "run", codes="cat:4,normal", sigma="learned", **shape)
    assert cli.main(["export", str(folder), "--format", "torch", "--out", str(tmp_path / "out")]) == 0
    run, nets = infogan.load(folder), modules(tmp_path / "out").load()
    z, c = latents(run)
    with torch.no_grad():
        images = nets.generate(torch.from_numpy(z), torch.from_numpy(c))
        np.testing.assert_allclose(images.numpy(), run.G(z, c), atol=1e-5)
        np.testing.assert_allclose(nets.D(images).numpy(), run.D(images.numpy()), atol=1e-5)
        np.testing.assert_allclose(nets.Q(images).numpy(), run.Q(images.numpy()), atol=1e-5)
    assert list(nets.state_dict()) == list(run.networks.state_dict())


@pytest.mark.peers
def test_weights_that_pytorch_trained_come_back(trained, tmp_path):
    torch = witness("torch")
    from safetensors.torch import save_file

    cli.main(["export", str(trained), "--format", "torch", "--out", str(tmp_path)])
    nets = modules(tmp_path).load().train()
    run = infogan.load(trained)
    z, c = latents(run)
    before = run.G(z, c)
    optimiser = torch.optim.SGD(nets.parameters(), 0.5)
    for _ in range(3):  # weights and running statistics of every part move
        images = nets.generate(torch.from_numpy(z), torch.from_numpy(c))
        (nets.D(images).mean() + nets.Q(images).square().mean()).backward()
        optimiser.step()
    nets.eval()
    save_file(nets.state_dict(), tmp_path / "further.safetensors")
    again = infogan.load(trained, weights=tmp_path / "further.safetensors")
    with torch.no_grad():
        images = nets.generate(torch.from_numpy(z), torch.from_numpy(c))
        assert np.abs(images.numpy() - before).max() > 1e-3
        np.testing.assert_allclose(again.G(z, c), images.numpy(), atol=1e-5)
        np.testing.assert_allclose(again.D(images.numpy()), nets.D(images).numpy(), atol=1e-5)
        np.testing.assert_allclose(again.Q(images.numpy()), nets.Q(images).numpy(), atol=1e-5)
    tracked = again.networks.state_dict()["G.1.num_batches_tracked"].item()
    assert tracked == run.networks.state_dict()["G.1.num_batches_tracked"].item() + 3


def test_weights_that_do_not_fit_are_one_line(trained, tmp_path):
    other = make_run(tmp_path / "run", codes="cat:3")
    wrong = checkpoints.latest(other).path
    for weights in (wrong, tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match=f"weights {weights} do not fit"):
            infogan.load(trained, weights=weights)
