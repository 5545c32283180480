"""Arrays shared with other libraries: DLPack and `__array__`, and what a notebook shows."""

from __future__ import annotations

import numpy as np
import pytest
from witnesses import gpu_present, witness

import minigrad as mg
from kernels import device as devices

DTYPES = [np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_]


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_shares_the_memory_both_ways(dtype):
    values = np.arange(6).reshape(2, 3).astype(dtype)
    tensor = mg.from_dlpack(values)
    assert isinstance(tensor, mg.Tensor) and tensor.dtype == dtype
    back = np.from_dlpack(tensor)
    values[0, 0] = 1
    assert tensor[0, 0].item() == back[0, 0] == values[0, 0]
    assert np.shares_memory(back, values)
    np.testing.assert_array_equal(back, values)


def test_strides_are_kept():
    values = np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)[::2]
    assert np.shares_memory(np.from_dlpack(mg.from_dlpack(values)), values)
    np.testing.assert_array_equal(np.from_dlpack(mg.from_dlpack(values)), values)


@pytest.mark.peers
@pytest.mark.parametrize("dtype", DTYPES)
def test_pytorch_shares_the_memory_both_ways(dtype):
    torch = witness("torch")
    ours = mg.tensor(np.arange(6).reshape(2, 3).astype(dtype))
    theirs = torch.from_dlpack(ours)
    ours.data[1, 2] = 0
    assert theirs[1, 2].item() == 0
    theirs[0, 1] = 0
    assert ours[0, 1].item() == 0
    back = mg.from_dlpack(theirs.T)
    assert back.shape == (3, 2) and np.shares_memory(back.numpy(), ours.numpy())


@pytest.mark.peers
def test_pytorchs_own_refusal_is_passed_on():
    torch = witness("torch")
    with pytest.raises(BufferError, match="gradient"):
        mg.from_dlpack(torch.ones(2, requires_grad=True))


def test_a_tensor_that_requires_a_gradient_refuses():
    x = mg.ones(3, requires_grad=True)
    for y in (x, x * 2):
        for take in (np.from_dlpack, np.asarray, mg.from_dlpack):
            with pytest.raises(mg.GradientError, match=r"detach\(\)"):
                take(y)
        np.testing.assert_array_equal(np.from_dlpack(y.detach()), y.detach().numpy())


def test_array_copies_only_when_it_must():
    x = mg.tensor([[1.0, 2.0]])
    assert np.shares_memory(np.asarray(x), x.data)
    assert not np.shares_memory(np.array(x), x.data)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="copy"):
        np.array(x, dtype=np.float64, copy=False)
    np.testing.assert_array_equal(np.add(np.asarray(x), 1), [[2, 3]])


@pytest.mark.skipif(gpu_present(), reason="a device that is there is no error")
def test_memory_of_a_device_that_is_not_there():
    class Elsewhere:
        def __init__(self, kind: int) -> None:
            self.kind = kind

        def __dlpack_device__(self) -> tuple[int, int]:
            return self.kind, 0

    with pytest.raises(devices.DeviceError, match="DLPack device 8"):
        mg.from_dlpack(Elsewhere(8))
    with pytest.raises(devices.DeviceError, match="cpu"):
        mg.from_dlpack(Elsewhere(2))


def test_a_device_array_is_shared_where_it_lies(cuda):
    crossings = dict(devices.transfers)
    ours = devices.module(cuda).arange(4)
    tensor = mg.from_dlpack(ours)
    assert tensor.device == "cuda"
    again = mg.from_dlpack(tensor)
    again.data[0] = 7
    assert devices.transfers == crossings
    assert ours[0].item() == tensor[0].item() == 7
    assert tensor.__dlpack_device__()[0] == 2


def test_a_notebook_shows_values_and_where_the_gradient_goes():
    x = mg.tensor([[1.0, -2.0]], requires_grad=True)
    shown = (x * 2)._repr_html_()
    assert "[[ 2., -4.]]" in shown
    assert "shape (1, 2), float32, cpu, from mul" in shown
    assert "requires a gradient" in x._repr_html_()
    assert len(mg.zeros(1000, 1000)._repr_html_()) < 1000
