"""What `kernels.cuda` hands to Numba, with a recorder in its place; and how problems are cut up."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernels
from kernels import device
from kernels.registry import Spec, choose


class Recorder:
    """`numba.cuda`, as far as a launch needs it."""

    def __init__(self):
        self.wrapped, self.launched, self.options = [], [], None

    def jit(self, signature, **options):
        self.options = {"signature": signature, **options}
        recorder = self

        class Compiled:
            def __getitem__(self, configuration):
                return lambda *args: recorder.launched.append((configuration, args))

        return lambda body: Compiled()

    def external_stream(self, pointer):
        return ("stream", pointer)

    def as_cuda_array(self, x, sync=True):
        self.wrapped.append((x, sync))
        return ("memory of", x.__cuda_array_interface__["data"][0])


@pytest.fixture
def recorder(cuda, monkeypatch):
    import kernels.cuda as room

    found = Recorder()
    monkeypatch.setattr(room, "_numba_cuda", lambda: found)
    return found


def test_launches_on_the_current_stream_and_waits_for_none(recorder):
    from kernels.cuda import Kernel, launch

    cupy = device.module("cuda")
    kernel = Kernel("probe", print, "void(float32[::1], int32)", 96, max_registers=40)
    x = cupy.zeros(5, np.float32)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        launch(kernel, (3, 2), x, 7)
    launch(kernel, 4, x, 8)
    first, second = recorder.launched
    assert first == (((3, 2), 96, ("stream", stream.ptr)), (("memory of", x.data.ptr), 7))
    assert second[0] == (4, 96, ("stream", cupy.cuda.get_current_stream().ptr)) and second[0][2] != first[0][2]
    assert all(sync is False and given is x for given, sync in recorder.wrapped)
    assert recorder.options == {"signature": "void(float32[::1], int32)", "max_registers": 40}


def test_an_empty_grid_is_no_launch(recorder):
    from kernels.cuda import Kernel, launch

    launch(Kernel("probe", print, "void()", 32), (0, 4))
    assert recorder.launched == []


def test_contiguous_arrays_are_handed_over_and_others_copied_on_the_device(cuda):
    from kernels.cuda import flat

    x = device.to_device(np.arange(12, dtype=np.float32).reshape(3, 4), "cuda")
    assert flat(x).data.ptr == x.data.ptr
    assert device.to_host(flat(x.T)).tolist() == np.arange(12).reshape(3, 4).T.ravel().tolist()
    assert flat(x[::2].reshape(-1)[::2]).flags.c_contiguous


def test_importing_the_package_imports_no_numba():
    code = "import kernels, kernels.cuda, kernels.cuda.inspect, sys; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def _spec(op, dtype="float32", **shapes):
    return Spec(op, "cuda", np.dtype(dtype), shapes, {"stride": (1, 1), "padding": (0, 0)})


def test_asked_for_by_name_and_within_its_limits():
    small = {"x": (2, 3, 9, 9), "w": (4, 3, 3, 3)}
    assert choose(_spec("conv2d", **small)).name == "blas"
    with kernels.use("cuda"):
        assert choose(_spec("conv2d", **small)).name == "cuda"
        with pytest.raises(kernels.KernelError, match="takes float32, not float64"):
            choose(_spec("conv2d", "float64", **small))
        with pytest.raises(kernels.KernelError, match="turns this down"):  # the output has 2^30 entries
            choose(_spec("conv2d", x=(1, 1, 1 << 14, 1 << 14), w=(4, 1, 1, 1)))
        with pytest.raises(kernels.KernelError, match="turns this down"):
            choose(_spec("adam_step", p=(1 << 30,)))
        assert choose(_spec("matmul", a=(3, 4), b=(4, 5))).name == "blas"


@given(st.integers(1, 1 << 24), st.integers(1, 1 << 26), st.integers(1, 4096), st.booleans())
def test_chunks_of_a_weight_gradient_cover_every_term_once(size, terms, blocks, wide):
    from kernels.cuda import conv, tiles

    tile = tiles.WIDE if wide else tiles.FLAT
    count, chunk = conv._chunks(size, terms, tile, blocks)
    assert (count - 1) * chunk < terms <= count * chunk
    assert chunk % tile.k == 0 and count * size <= max(size, conv.PARTIAL)


@given(st.integers(1, 200), st.integers(1, 7000), st.integers(1, 800))
def test_batch_norm_is_cut_into_few_chunks_that_cover_it(n, c, l):
    from kernels.cuda import normalise

    cut = normalise._cut(np.broadcast_to(np.float32(0), (n, c, l)))
    assert (cut.chunks - 1) * cut.chunk < n * l <= cut.chunks * cut.chunk
    assert cut.chunks <= normalise.MOST_CHUNKS and cut.width in (1, normalise.LANES)
    assert (cut.over_elements[0] - 1) * cut.width < c <= cut.over_elements[0] * cut.width


def test_tiles_fit_their_blocks():
    from kernels.cuda import tiles

    for tile in (tiles.WIDE, tiles.FLAT):
        assert tile.tm >= 4 and tile.tn >= 4
        assert tile.threads % tile.n == 0 == tile.threads % tile.k and tile.threads % 32 == 0
        assert tile.m * tile.k % tile.threads == 0 == tile.n * tile.k % tile.threads
    assert tiles.fitting(3) is tiles.FLAT and tiles.fitting(128) is tiles.WIDE
