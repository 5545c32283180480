"""Shared fixtures: the devices that the engine's tests run on.

**To run a test on both devices, take the fixture `device`** and put the data there::

    def test_exp(device):
        x = mg.tensor(np.ones(3), device=device)    # or raw: kernels.device.to_device(array, device)
        ...
        np.testing.assert_allclose(y.to("cpu").numpy(), …)

It runs once on `"cpu"` and once on `"cuda"`: a real GPU where one is, else the strict stand-in for CuPy in
`tests/standin`, which is then `cupy` until the test's module ends. `crossings` gives the stand-in's own
counters of copies between host and device and `forbid_implicit()`, and skips on a real GPU.

In tests/minigrad most files run on both without a word (conftest.py there says which). Any other test never
sees the stand-in: on a machine without a GPU `device.module("cuda")` raises there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

# Tests that run side by side share the cores: a thread that waits must not spin.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# The folders tests/kernels, tests/minigrad, tests/infogan must not be found where the packages are meant.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import standin
from witnesses import gpu_present

from kernels import device as devices


@contextmanager
def _cuda_installed() -> Iterator[None]:
    if gpu_present():
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "_cupy", None)
        for name in [n for n in sys.modules if n.split(".")[0] in ("cupy", "cupyx")]:
            patch.delitem(sys.modules, name)
        for name, module in standin.modules().items():
            patch.setitem(sys.modules, name, module)
        yield


@pytest.fixture(scope="module", params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each device's name in turn; `"cuda"` is the stand-in where no GPU is."""
    if request.param == "cuda":
        request.getfixturevalue("cuda")
    yield request.param


@pytest.fixture(scope="module")
def cuda() -> Iterator[str]:
    """`"cuda"`, on a GPU or on the stand-in, for tests that make sense only there."""
    with _cuda_installed():
        yield "cuda"


@pytest.fixture
def crossings(cuda: str) -> ModuleType:
    """The stand-in's `counts` and `forbid_implicit`."""
    if gpu_present():
        pytest.skip("a real device does not count")
    return standin.cupy._crossings
