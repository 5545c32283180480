"""Files: what is written comes back to the bit, whole or not at all, and wrong files are named."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, serialize

ARRAYS = {
    "f32": np.array([[1.5, -0.0], [np.inf, np.nan]], np.float32),
    "f64": np.linspace(0, 1, 7),
    "f16": np.arange(3, dtype=np.float16),
    "i64": np.arange(-2, 3),
    "u8": np.arange(5, dtype=np.uint8),
    "bool": np.array([True, False]),
    "scalar": np.array(3.25),
    "empty": np.zeros((0, 4), np.float32),
    "transposed": np.arange(12.0).reshape(3, 4).T,
    "strided": np.arange(20)[::3],
}


def test_every_array_comes_back_to_the_bit(tmp_path):
    file = tmp_path / "a.safetensors"
    mg.save(ARRAYS, file, metadata={"step": "7", "ä": "ö"})
    back = mg.load(file)
    assert set(back) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert back[name].dtype == array.dtype and back[name].shape == array.shape, name
        assert back[name].detach().numpy().tobytes() == array.tobytes(), name
    assert serialize.load_metadata(file) == {"step": "7", "ä": "ö"}
    mg.save({}, file)
    assert mg.load(file) == {} and serialize.load_metadata(file) == {}


def test_a_module_goes_through_a_file(tmp_path):
    source, target = (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)) for _ in range(2))
    source(mg.randn(4, 3))
    mg.save(source.state_dict(), tmp_path / "net.safetensors")
    target.load_state_dict(mg.load(tmp_path / "net.safetensors"))
    x = mg.randn(5, 3)
    assert np.array_equal(source.eval()(x).detach().numpy(), target.eval()(x).detach().numpy())


def test_loaded_tensors_can_be_written_to(tmp_path):
    mg.save({"x": np.zeros(3)}, tmp_path / "x")
    x = mg.load(tmp_path / "x")["x"]
    x.copy_(mg.ones(3))
    assert x.tolist() == [1, 1, 1]


@pytest.mark.parametrize("broken", ["write", "replace", "fsync"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken):
    file = tmp_path / "a.safetensors"
    mg.save({"x": np.ones(3)}, file)
    before = file.read_bytes()

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    if broken == "write":
        import safetensors.numpy

        monkeypatch.setattr(safetensors.numpy, "save", fail)
    else:
        monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="No space"):
        mg.save({"x": np.zeros(3)}, file)
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_new_file_is_complete_before_it_takes_its_place(tmp_path, monkeypatch):
    file = tmp_path / "a.safetensors"
    seen = {}

    def replace(source, target, real=os.replace):
        seen["beside"], seen["folder"] = mg.load(source)["x"].tolist(), os.path.dirname(source)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    mg.save({"x": np.arange(3.0)}, file)
    assert seen == {"beside": [0.0, 1.0, 2.0], "folder": str(tmp_path)}


def test_wrong_files_are_named_in_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.safetensors"):
        mg.load(tmp_path / "missing.safetensors")
    with pytest.raises(ValueError, match="is a folder"):
        mg.load(tmp_path)
    whole = tmp_path / "whole"
    mg.save({"x": np.ones(1000)}, whole)
    contents = {
        "empty": b"",
        "text": b"not tensors at all, but longer than a header",
        "pickle": pickle.dumps({"x": 1}),
        "cut": whole.read_bytes()[:-8],
        "longer": whole.read_bytes() + b"x",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is not a whole safetensors file") as caught:
            mg.load(tmp_path / name)
        assert "\n" not in str(caught.value)
        with pytest.raises(ValueError, match="not a whole"):
            serialize.load_metadata(tmp_path / name)


def test_a_type_without_a_numpy_counterpart_is_named(tmp_path):
    header = b'{"x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    header += b" " * (-len(header) % 8)
    (tmp_path / "bf16").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(ValueError, match="bf16 holds a type that NumPy does not have"):
        mg.load(tmp_path / "bf16")


def test_what_is_no_array_or_no_text_is_refused(tmp_path):
    with pytest.raises(TypeError, match="'x' is object, not an array"):
        mg.save({"x": object()}, tmp_path / "a")
    with pytest.raises(TypeError, match="metadata must be text, got int 3"):
        mg.save({"x": np.ones(1)}, tmp_path / "a", metadata={"step": 3})
    with pytest.raises(TypeError, match="name must be text"):
        mg.save({3: np.ones(1)}, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        mg.save({"x": np.ones(1)}, tmp_path / "no" / "a")
