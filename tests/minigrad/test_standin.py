"""The stand-in for CuPy: no looser than the real one, and strict where NumPy is lenient."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import types
from typing import Any

import numpy as np
import pytest
from standin import cupy as cp
from standin import cupyx
from witnesses import REQUIRED

REAL = """
import inspect, json, re, cupy, cupyx

def parameters(f):
    try:
        signature = str(inspect.signature(f))
    except (TypeError, ValueError):
        found = re.search(r"\\((.*?)\\)( ->|$)", (f.__doc__ or "").split("\\n")[0])
        if found is None:
            return None
        signature = found.group(1)
        return [re.sub(r"^(_?[A-Za-z]\\w* )(?=\\w)", "", p.strip()) for p in signature.split(", ")]
    return [str(p.replace(annotation=p.empty)) for p in inspect.signature(f).parameters.values()]

def listing(owner):
    return {n: parameters(getattr(owner, n)) for n in dir(owner) if callable(getattr(owner, n, None))}

import cupy.lib.stride_tricks
print(json.dumps({
    "cupy": [listing(cupy), dir(cupy)], "ndarray": [listing(cupy.ndarray), dir(cupy.ndarray)],
    "cuda": [listing(cupy.cuda), dir(cupy.cuda)], "linalg": [listing(cupy.linalg), dir(cupy.linalg)],
    "cupyx": [listing(cupyx), dir(cupyx)],
    "Stream": [{}, dir(cupy.cuda.Stream)], "Event": [{}, dir(cupy.cuda.Event)],
    "Device": [{}, dir(cupy.cuda.Device)], "flags": [{}, dir(cupy._core.flags.Flags)],
    "stride_tricks": [listing(cupy.lib.stride_tricks), dir(cupy.lib.stride_tricks)],
    "ufuncs": {n: f.__doc__.split("\\n")[0] for n, f in vars(cupy).items() if isinstance(f, cupy.ufunc)},
}))
"""


@pytest.fixture(scope="module")
def real() -> dict[str, Any]:
    """Names and parameters of the CuPy installed here (it imports without a driver)."""
    run = subprocess.run([sys.executable, "-c", REAL], capture_output=True, text=True)
    if "No module named 'cupy'" in run.stderr and not REQUIRED:
        pytest.skip("CuPy is not installed")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def public(owner: Any) -> list[str]:
    names = [n for n in dir(owner) if not n.startswith("_") and n != "annotations"]
    return [n for n in names if not isinstance(getattr(owner, n), types.ModuleType)]


OWNERS = {
    "cupy": cp,
    "ndarray": cp.ndarray,
    "cuda": cp.cuda,
    "linalg": cp.linalg,
    "cupyx": cupyx,
    "Stream": cp.cuda.Stream,
    "Event": cp.cuda.Event,
    "Device": cp.cuda.Device,
    "flags": type(cp.empty(1).flags),
    "stride_tricks": cp.lib.stride_tricks,
}


@pytest.mark.peers
@pytest.mark.parametrize("where", OWNERS)
def test_exposes_only_names_of_the_real_one(real, where):
    names = public(OWNERS[where])
    assert names
    assert sorted(set(names) - set(real[where][1])) == []


@pytest.mark.peers
@pytest.mark.parametrize("where", ["cupy", "ndarray", "linalg", "cupyx", "stride_tricks"])
def test_takes_the_parameters_of_the_real_one(real, where):
    compared = 0
    for name in public(OWNERS[where]):
        f = getattr(OWNERS[where], name)
        theirs = real[where][0].get(name)
        if not isinstance(f, types.FunctionType) or theirs is None:
            continue
        ours = [str(p.replace(annotation=p.empty)) for p in inspect.signature(f).parameters.values()]
        if where == "ndarray":  # their docstrings write no marker of keyword-only parameters
            ours, theirs = ([p.split("=")[0].lstrip("*") for p in ps if p != "*"] for ps in (ours, theirs))
        assert ours == [p for p in theirs if p != "*"], f"{where}.{name}"  # a marker is no parameter
        compared += 1
    assert compared >= 2


@pytest.mark.peers
def test_ufuncs_take_the_keywords_of_the_real_ones(real):
    ours = [n for n in public(cp) if isinstance(getattr(cp, n), cp.ufunc)]
    assert set(ours) <= set(real["ufuncs"])
    for name in ours:
        f = getattr(cp, name)
        described = real["ufuncs"][name].replace("\\", "")
        assert described.endswith(", /, out=None, *, casting='same_kind', dtype=None)") and f.nout == 1, name
        for keyword in ("where", "order", "subok", "axis"):
            with pytest.raises(TypeError):
                f(*[cp.ones(2)] * f.nin, **{keyword: None})


@pytest.mark.parametrize("name", ["array2string", "random", "no_such_thing", "put_along_axis"])
def test_unknown_names_are_attribute_errors(name):
    with pytest.raises(AttributeError):
        getattr(cp, name)


@pytest.mark.parametrize(
    "mix",
    [
        lambda x, n: x + n,
        lambda x, n: n + x,
        lambda x, n: n @ x,
        lambda x, n: x == n,
        lambda x, n: np.exp(x),
        lambda x, n: np.sum(x),
        lambda x, n: np.asarray(x),
        lambda x, n: np.concatenate([n, x]),
        lambda x, n: cp.maximum(x, n),
        lambda x, n: cp.where(x > 0, x, n),
        lambda x, n: cp.stack([x, n]),
        lambda x, n: cp.matmul(x, n),
        lambda x, n: cp.einsum("i,i", x, n),
        lambda x, n: cp.sum(n),
        lambda x, n: cp.add(x, x, out=n),
        lambda x, n: x[np.array([0])],
        lambda x, n: x.__setitem__(slice(None), n),
        lambda x, n: x.__setitem__(np.array([0]), 1.0),
        lambda x, n: n.__setitem__(slice(None), x),
        lambda x, n: n.__iadd__(x),
        lambda x, n: x.__iadd__(n),
        lambda x, n: cupyx.scatter_add(n, cp.array([0]), 1.0),
        lambda x, n: cupyx.scatter_add(x, cp.array([0]), n[:1]),
    ],
)
def test_never_mixes_with_numpy(mix):
    with pytest.raises(TypeError):
        mix(cp.ones(3), np.ones(3))


def test_numbers_mix_as_weakly_as_numpys():
    x = cp.ones(3, cp.float32)
    assert (2.0 * x).dtype == (x + 1).dtype == cp.maximum(x, 0.0).dtype == np.float32
    assert (np.float64(2) * x).dtype == np.float64
    assert isinstance(np.float32(2) * x, cp.ndarray)


@pytest.mark.parametrize("result", [lambda x: x.sum(), cp.mean, lambda x: x[1, 2], lambda x: cp.exp(1.0)])
def test_scalars_are_0d_device_arrays(result):
    r = result(cp.ones((3, 4)))
    assert isinstance(r, cp.ndarray) and r.shape == ()


def test_an_element_is_a_view():
    x = cp.zeros((2, 2))
    x[1, 1][...] = 5.0
    x[..., 0, 0][...] = 2.0
    assert x.sum().item() == 7.0


NEW = {
    "operator": lambda x: x + 1,
    "function": cp.exp,
    "where": lambda x: cp.where(x > 0, x, 0),
    "clip": lambda x: cp.clip(x, 0, 1),
    "reduction": lambda x: x.sum(0),
    "scan": lambda x: x.cumsum(1),
    "join": lambda x: cp.concatenate([x, x]),
    "index": lambda x: x[cp.array([0, 1])],
}


@pytest.mark.parametrize("f", NEW.values(), ids=NEW)
def test_new_arrays_are_in_c_order(f):
    x = cp.zeros((2, 3, 4)).transpose(2, 0, 1)
    assert f(x).flags.c_contiguous
    assert cp.zeros_like(x).strides == x.astype(float).strides == x.strides  # these keep it


def test_indices_in_arrays_wrap_and_single_ones_do_not():
    x = cp.arange(3)
    assert x[cp.array([3, 4, -4])].tolist() == x.take(cp.array([3, 4, -4])).tolist() == [0, 1, 2]
    assert cp.take_along_axis(x, cp.array([5]), 0).tolist() == [2]
    x[cp.array([3])] = 7
    assert x.tolist() == [7, 1, 2]
    with pytest.raises(IndexError):
        x[3]


def test_assignment_through_repeated_indices_leaves_garbage():
    x, i = cp.zeros(4), cp.array([1, 1, 2, 5])
    x[i] = cp.ones(4)
    np.testing.assert_array_equal(np.isnan(x.get()), [False, True, False, False])
    x = cp.zeros(4)
    x[i] += 1.0
    np.testing.assert_array_equal(np.isnan(x.get()), [False, True, False, False])
    n = cp.zeros(4, int)
    n[i] = cp.ones(4, int)
    assert n.tolist() == [0, np.iinfo(int).max, 1, 0]


def test_scatter_add_counts_each_and_takes_only_cudas_types():
    x = cp.zeros((2, 3))
    cupyx.scatter_add(x, (slice(None), cp.array([0, 0, 5])), cp.ones((2, 3)))
    assert x.tolist() == [[2, 0, 1]] * 2
    with pytest.raises(TypeError):
        cupyx.scatter_add(cp.zeros(3, np.int64), cp.array([0, 0]), 1)


def test_empty_memory_is_garbage():
    assert np.isnan(cp.empty((2, 2)).get()).all() and np.isnan(cp.empty_like(cp.ones(2)).get()).all()


def test_flags_have_no_writeable():
    with pytest.raises(AttributeError):
        cp.ones(2).flags.writeable  # noqa: B018


CROSSINGS = [
    (bool, 1),
    (int, 1),
    (float, 1),
    (lambda x: x.item(), 1),
    (lambda x: x.tolist(), 1),
    (repr, 1),
    (lambda x: f"{x}", 1),
    (lambda x: x.reshape(1)[x.reshape(1) > 0], 1),
    (lambda x: cp.nonzero(x.reshape(1)), 1),
    (lambda x: cp.unique(x), 1),
    (lambda x: x + 1 > 0, 0),
    (lambda x: x.copy().fill(3), 0),
    (lambda x: cp.asarray(x), 0),
    (lambda x: len(x.reshape(1)), 0),
]


@pytest.mark.parametrize(("read", "expected"), CROSSINGS)
def test_counts_what_the_host_reads_unasked(crossings, read, expected):
    x = cp.ones(())
    before = dict(crossings.counts)
    read(x)
    assert crossings.counts["implicit"] - before["implicit"] == expected
    assert crossings.counts["to_host"] - before["to_host"] == expected
    assert crossings.counts["to_device"] == before["to_device"]
    with crossings.forbid_implicit():
        if expected:
            with pytest.raises(crossings.ImplicitTransfer):
                read(x)
        else:
            read(x)


def test_counts_what_was_asked_for(crossings):
    before = dict(crossings.counts)
    with crossings.forbid_implicit():
        x = cp.asarray(np.ones(3))
        cp.asnumpy(x)
        x.get()
        x[[0, 1]]
    counted = {k: crossings.counts[k] - before[k] for k in before}
    assert counted == {"to_device": 2, "to_host": 2, "implicit": 0}


def test_streams_are_per_context():
    null, own = cp.cuda.get_current_stream(), cp.cuda.Stream(non_blocking=True)
    with own as current:
        assert cp.cuda.get_current_stream() is own is current
        start, end = cp.cuda.Event(), cp.cuda.Event()
        start.record()
        end.record()
        end.synchronize()
        assert cp.cuda.get_elapsed_time(start, end) >= 0
    assert cp.cuda.get_current_stream() is null


def test_views_share_their_base_and_it_is_the_array_they_were_made_of():
    x = cp.zeros((2, 3))
    assert x.T.base is x[1:].base is x.T.T.base is x
    assert x.base is None and x.T[:, 0].base is x and cp.lib.stride_tricks.as_strided(x, (2,)).base is x
    made = cp.zeros((2, 3)).T
    assert made.base is not None and made[0].base is made.base


def test_the_device_interface_names_the_memory():
    x = cp.arange(6).reshape(2, 3).T
    described = x.__cuda_array_interface__
    assert described["data"] == (x.data.ptr, False) and described["strides"] == x.strides
    assert cp.ones(2).__cuda_array_interface__["strides"] is None


def test_the_device_room_uses_it(cuda):
    from kernels import device

    x = device.to_device(np.arange(3.0), "cuda")
    assert device.device_of(x) == "cuda" and device.is_array(x)
    assert device.array_module(x) is sys.modules["cupy"]
    device.add_at(x, device.asarray([0, 0], "cuda"), 1.0)
    np.testing.assert_array_equal(device.to_host(x), [2, 1, 2])
    with pytest.raises(device.DeviceError, match=r"devices 'cpu' and 'cuda'"):
        device.array_module(x, np.ones(1))
