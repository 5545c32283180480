"""The engine's suite runs twice: on the CPU, and with every host array that becomes a tensor's on `cuda`.

That holds for the files in `TWICE`, whose tests know nothing of it. A test that takes `device` says itself
what lies where, and what a rule gives from device arrays is checked without this help in test_devices.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kernels import device as devices
from minigrad.tape import Variable

TWICE = {
    "test_against_torch",
    "test_gradcheck",
    "test_nn",
    "test_optim",
    "test_rules_gradients",
    "test_serialize",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__ in TWICE and "device" not in metafunc.fixturenames:
        metafunc.parametrize("everything_on", ["cpu", "cuda"], indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def everything_on(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the module's tests run; on `"cuda"` a tensor of a host array copies it there."""
    where = getattr(request, "param", "cpu")
    if where == "cuda":
        request.getfixturevalue("cuda")
        original = Variable.__init__

        def on_cuda(self: Variable, data: Any, requires_grad: bool = False) -> None:
            there = devices.to_device(data, "cuda") if isinstance(data, np.ndarray) else data
            original(self, there, requires_grad)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Variable, "__init__", on_cuda)
            before = devices.transfers["to_device"]
            yield where
            assert devices.transfers["to_device"] > before, "nothing ran on the device"
    else:
        yield where
