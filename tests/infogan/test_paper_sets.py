"""The paper's other data sets: their networks layer by layer, their files, and the way from a name to a run."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import small_runs
from own_pictures import write_folder
from PIL import Image
from scipy.io import savemat
from test_data import one_line, write_idx

import infogan
import minigrad as mg
from infogan import config, data, networks
from infogan.cli import main
from infogan.data import known
from infogan.errors import InputError
from infogan.workers import is_trained

# --- the tables


CELEBA = {
    "G.0.weight": (1792,),
    "G.3.weight": (448, 256, 4, 4),
    "G.5.weight": (256, 128, 4, 4),
    "G.7.weight": (128, 64, 4, 4),
    "G.9.weight": (64, 3, 4, 4),
    "trunk.1.weight": (64, 3, 4, 4),
    "trunk.2.weight": (128, 64, 4, 4),
    "trunk.4.weight": (256, 128, 4, 4),
    "D_head.weight": (1, 4096),
    "Q_head.0.weight": (128, 4096),
}
FACES = {
    "G.0.weight": (1024,),
    "G.2.weight": (8192, 1024),
    "G.5.weight": (128, 64, 4, 4),
    "G.7.weight": (64, 1, 4, 4),
    "trunk.0.weight": (64, 1, 4, 4),
    "trunk.1.weight": (128, 64, 4, 4),
    "trunk.4.weight": (1024, 8192),
    "D_head.weight": (1, 1024),
    "Q_head.0.weight": (128, 1024),
}
CHAIRS = {
    "G.0.weight": (1024,),
    "G.2.weight": (16384, 1024),
    "G.5.weight": (256, 256, 4, 4),
    "G.7.weight": (256, 256, 4, 4),
    "G.9.weight": (256, 128, 4, 4),
    "G.11.weight": (128, 64, 4, 4),
    "G.13.weight": (64, 1, 4, 4),
    "trunk.0.weight": (64, 1, 4, 4),
    "trunk.1.weight": (128, 64, 4, 4),
    "trunk.3.weight": (256, 128, 4, 4),
    "trunk.5.weight": (256, 256, 4, 4),
    "trunk.7.weight": (256, 256, 4, 4),
    "trunk.10.weight": (1024, 16384),
    "D_head.weight": (1, 1024),
    "Q_head.0.weight": (128, 1024),
}
NORMED = {
    "celeba": ["G.1", "G.4", "trunk.3", "trunk.5", "Q_head.1"],
    "faces": ["G.1", "G.3", "G.6", "trunk.2", "trunk.5", "Q_head.1"],
    "chairs": ["G.1", "G.3", "G.6", "G.8", "G.10", "G.12", *(f"trunk.{n}" for n in (2, 4, 6, 8, 11)), "Q_head.1"],
}


@pytest.mark.parametrize(
    ("preset", "table", "normed", "inputs", "outputs", "picture"),
    [
        ("svhn", CELEBA, "celeba", 124 + 44, 44, (3, 32, 32)),
        ("celeba", CELEBA, "celeba", 128 + 100, 100, (3, 32, 32)),
        ("faces", FACES, "faces", 128 + 5, 5, (1, 32, 32)),
        ("chairs", CHAIRS, "chairs", 128 + 61, 61, (1, 64, 64)),
    ],
)
def test_layers_are_the_papers(preset, table, normed, inputs, outputs, picture):
    settings = config.make({"preset": preset})
    nets = networks.build(settings)
    weights = {n: p.shape for n, p in nets.named_parameters() if n.endswith("weight") and p.ndim > 1}
    first, last = table["G.0.weight"], {k: v for k, v in table.items() if k != "G.0.weight"}
    assert weights == {"G.0.weight": (*first, inputs), **last, "Q_head.2.weight": (outputs, 128)}
    assert [n for n, m in nets.named_modules() if isinstance(m, mg.nn.BatchNorm1d | mg.nn.BatchNorm2d)] == NORMED[
        normed
    ]
    rng = np.random.default_rng(0)
    z, c = (mg.Tensor(rng.normal(size=(2, n)).astype("f4")) for n in (settings.noise, settings.code.width))
    x = nets.generate(z, c).detach()
    assert x.shape == (2, *picture) and 0 < x.numpy().min() < x.numpy().max() < 1
    assert nets.D(x).shape == (2,) and nets.Q(x).shape == (2, outputs)


def test_rates_and_weights_are_the_tables():
    made = {name: config.make({"preset": name}) for name in ("svhn", "celeba", "faces", "chairs", "fashion-mnist")}
    rates = {name: (c.learning_rate_d, c.learning_rate_g) for name, c in made.items()}
    assert rates.pop("faces") == (2e-4, 5e-4) and set(rates.values()) == {(2e-4, 1e-3)}
    assert set(made["faces"].weights) == {0.2} and made["chairs"].weights == [1, 1, 1, 10]
    digits = config.make({"preset": "mnist"}).model_dump(exclude={"preset"})
    assert made["fashion-mnist"].model_dump(exclude={"preset"}) == digits


@pytest.mark.parametrize(("network", "size", "unit"), [("celeba", 24, 16), ("chairs", 28, 8)])
def test_a_side_that_cannot_be_halved_so_often_is_one_line(network, size, unit):
    one_line(lambda: small_runs.make_config(network=network, image_size=size), network, f"multiple of {unit}")
    one_line(lambda: config.make({"preset": "chairs", "image_size": 32}), "preset chairs has image_size 64")


# --- SVHN's files


def digits(count: int = 30, side: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """X (H, W, 3, N) and y (N, 1), 1 to 10."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (side, side, 3, count), np.uint8), (np.arange(count, dtype=np.uint8) % 10 + 1)[:, None]


@pytest.mark.parametrize("packed", [True, False])
def test_svhn_has_its_pictures_upright_and_ten_is_zero(tmp_path, packed):
    X, y = digits()
    savemat(tmp_path / "train_32x32.mat", {"X": X, "y": y}, do_compression=packed)
    found = data.load(str(tmp_path), split="all")
    assert found.images.shape == (30, 3, 32, 32) and found.images.flags.c_contiguous
    np.testing.assert_array_equal(found.images, X.transpose(3, 2, 0, 1) / np.float32(255))
    assert found.labels is not None and found.labels.tolist() == [*range(1, 10), 0] * 3
    alone = data.load(str(tmp_path / "train_32x32.mat"), split="all")
    assert alone.sha256 == found.sha256 and (alone.images == found.images).all()
    assert (len(data.load(str(tmp_path))), len(data.load(str(tmp_path), split="held_out"))) == (24, 6)
    one_line(lambda: data.load(str(tmp_path), split="test"), "has no test_32x32.mat")
    assert not data.has_test(str(tmp_path))


def test_a_flipped_bit_in_packed_pictures_is_found_by_their_checksum(tmp_path):
    X, y = digits(5)
    savemat(tmp_path / "a.mat", {"X": X, "y": y}, do_compression=True)
    content = bytearray((tmp_path / "a.mat").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "a.mat").write_bytes(content)
    one_line(lambda: data.load(str(tmp_path / "a.mat")), "a.mat", "fetch it again")


def test_svhns_parts(tmp_path):
    for part, count in (("test", 20), ("extra", 40)):
        X, y = digits(count, 8)
        savemat(tmp_path / f"{part}_32x32.mat", {"X": X, "y": y})
    assert data.has_test(str(tmp_path)) and len(data.load(str(tmp_path), split="test")) == 20
    assert len(data.load(str(tmp_path), split="all")) == 40


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"X": digits(5)[0]}, "has no array 'y'"),
        ({"images": digits(5)[0]}, "has no array 'X'"),
        ({"X": digits(5)[0] / 255, "y": digits(5)[1]}, "type float64; right: (H, W, 3, N) of uint8"),
        ({"X": digits(5)[0][:, :, :2], "y": digits(5)[1]}, "right: (H, W, 3, N)"),
        ({"X": digits(5)[0], "y": digits(4)[1]}, "right: 5 integers"),
        ({"X": digits(5)[0], "y": digits(5)[1] - 1}, "runs from 0 to 4; right: 1 to 10"),
        ({"X": digits(5)[0], "y": np.array(list("abcde"), object)}, "'y' is no array of numbers"),
    ],
)
def test_a_mat_of_other_things_is_one_line(tmp_path, arrays, says):
    savemat(tmp_path / "a.mat", arrays)
    one_line(lambda: data.load(str(tmp_path / "a.mat")), "a.mat", says)


def test_a_mat_that_claims_more_than_it_holds_takes_no_memory(tmp_path):
    X, y = digits(5, 8)
    savemat(tmp_path / "a.mat", {"X": X, "y": y})
    content = bytearray((tmp_path / "a.mat").read_bytes())
    at = content.index(np.array([8, 8, 3, 5], "<i4").tobytes())
    content[at : at + 16] = np.array([1 << 14, 1 << 14, 3, 5], "<i4").tobytes()
    (tmp_path / "a.mat").write_bytes(content)
    tracemalloc.start()
    one_line(lambda: data.load(str(tmp_path / "a.mat")), "more than the file can hold")
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()
    (tmp_path / "a.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(400))
    one_line(lambda: data.load(str(tmp_path / "a.mat")), "-v7")
    for content in (b"", b"MATLAB", bytes(500)):
        (tmp_path / "a.mat").write_bytes(content)
        one_line(lambda: data.load(str(tmp_path / "a.mat")), "no file of SVHN's")


# --- from a name to a run


def write_svhn(folder: Path) -> None:
    X, y = digits()
    for part in ("train", "test"):
        savemat(folder / f"{part}_32x32.mat", {"X": X, "y": y}, do_compression=True)


def write_celeba(folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / "img_align_celeba").mkdir()
    for number in range(1, 13):
        face = Image.new("RGB", (178, 218), tuple(rng.integers(0, 256, 3).tolist()))
        face.paste((0, 0, 0), (0, 0, 178, 20))  # the middle square begins here
        face.save(folder / "img_align_celeba" / f"{number:06d}.jpg", quality=95)


def write_faces(folder: Path) -> None:
    np.savez(folder / "faces.npz", images=np.random.default_rng(0).random((12, 32, 32)))


def write_chairs(folder: Path) -> None:
    write_folder(folder / "rendered_chairs", 12, size=100, colour=True)


def write_clothes(folder: Path) -> None:
    write_idx(folder / "train-images-idx3-ubyte", np.random.default_rng(0).integers(0, 256, (30, 28, 28), np.uint8))


SMALL = {
    field: value
    for field, value in small_runs.FIELDS.items()
    if field not in ("codes", "noise", "steps") and not field.endswith("every")
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(known, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(known, "is_here", lambda name: known.place(name).is_dir())  # whichever files the test wrote
    return tmp_path / "cache"


def train(name: str, out: Path, *more: str) -> int:
    words = ["train", "--data", name, "--out", str(out), "--steps", "1", *more]
    for field, value in SMALL.items():
        words += ["--set", f"{field}={','.join(map(str, value)) if isinstance(value, tuple) else value}"]
    return main(words)


WRITERS = {
    "svhn": write_svhn,
    "celeba": write_celeba,
    "faces": write_faces,
    "chairs": write_chairs,
    "fashion-mnist": write_clothes,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_set_that_is_here_is_trained_on_as_the_paper_has_it(cache, tmp_path, name):
    (cache / name).mkdir(parents=True)
    WRITERS[name](cache / name)
    assert train(name, tmp_path / "run") == 0
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    own = config.make({"preset": name}).model_dump(mode="json")
    assert settings["data"] == name and {field: settings[field] for field in (*config.PRESETS[name], "preset")} == {
        field: own[field] for field in (*config.PRESETS[name], "preset")
    }
    assert is_trained({"data": name, "steps": 1, **SMALL}, tmp_path / "run"), "the same settings are the same run"
    run = infogan.load(tmp_path / "run")
    assert run.generate(n=2).shape == (2, own["channels"], own["image_size"], own["image_size"])
    assert main(["export", str(tmp_path / "run"), "--format", "onnx", "--out", str(tmp_path / "onnx")]) == 0
    assert main(["export", str(tmp_path / "run"), "--format", "torch", "--out", str(tmp_path / "torch")]) == 0


def test_a_preset_is_known_by_its_fields(cache, tmp_path):
    (cache / "fashion-mnist").mkdir(parents=True)
    write_clothes(cache / "fashion-mnist")
    assert train("fashion-mnist", tmp_path / "run") == 0
    settings = {"data": "fashion-mnist", "steps": 1, **SMALL}
    assert is_trained({**settings, "preset": "mnist"}, tmp_path / "run")
    with pytest.raises(InputError, match=r"holds a run with invariance 0\.0, not 3\.0"):
        is_trained({**settings, "preset": "mnist-robust"}, tmp_path / "run")


def test_what_is_asked_for_goes_before_the_names_own(cache, tmp_path):
    (cache / "celeba").mkdir(parents=True)
    write_celeba(cache / "celeba")
    assert train("celeba", tmp_path / "larger", "--image-size", "16", "--codes", "cat:3") == 0
    settings = json.loads((tmp_path / "larger" / "config.json").read_text())
    assert (settings["preset"], settings["network"], settings["codes"]) == ("auto", "sized", "cat:3")
    assert train("celeba", tmp_path / "coded", "--codes", "cat:3") == 0
    settings = json.loads((tmp_path / "coded" / "config.json").read_text())
    assert (settings["preset"], settings["codes"], settings["noise"]) == ("celeba", "cat:3", 128)


def test_celebas_pictures_are_its_middle_squares(cache):
    (cache / "celeba").mkdir(parents=True)
    write_celeba(cache / "celeba")
    images = data.load("celeba", split="all").images
    assert images.shape == (12, 3, 32, 32)
    flat = images.std(axis=(2, 3))
    assert flat.max() < 0.01, "the bar above the middle square is cut off"


def test_a_name_whose_files_are_not_here_says_how_to_get_them(cache):
    one_line(lambda: data.load("chairs"), "not here", "rendered_chairs.tar", str(cache / "chairs"))
