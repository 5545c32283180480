"""Every CUDA kernel against the definition, thread by thread in Numba's simulator, with and without numba-cuda."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import simulated

import kernels

HERE = Path(__file__).resolve().parent
OPERATIONS = [op for op in kernels.OPERATIONS if op != "matmul"]
FLAVOURS = ["numba", pytest.param("numba-cuda", marks=pytest.mark.peers)]


@pytest.fixture(scope="module", params=FLAVOURS)
def report(request):
    return json.loads(simulated.run([str(HERE / "simulate_sweep.py")], request.param))


@pytest.mark.parametrize("op", OPERATIONS)
def test_equals_the_definition(report, op):
    found = report["sweep"][op]
    assert found["failures"] == []
    assert found["checked"] >= 12
    assert 0 < found["worst"] <= 1


def test_tiles_of_the_size_a_device_gets(report):
    assert len(report["full size"]) == 6
    assert not any(report["full size"].values()), report["full size"]


def test_nothing_crosses_between_host_and_device(report):
    assert report["crossings"]["none"] is True
    assert {op: counts.get("cuda") for op, counts in report["crossings"]["served"].items()} == dict.fromkeys(
        OPERATIONS, 1
    )


def test_activations_at_the_edges_of_float(report):
    relu, leaky, none = report["edges"]
    assert relu == ["0.0", "0.0", "0.0", "0.0", "2.0", "inf", "nan"]
    assert leaky[0] == "-inf" and float(leaky[1]) == pytest.approx(-0.01) and leaky[4:] == ["2.0", "inf", "nan"]
    assert none[0] == "-inf" and none[1] == "-1.0" and none[4:] == ["2.0", "inf", "nan"]


def test_every_kernel_was_launched(report):
    from kernels.cuda.inspect import own_kernels

    small = {"64x64": "16x8", "16x64": "4x4"}
    names = {k.name for k in own_kernels()}
    for large, little in small.items():
        names |= {n.replace(large, little) for n in names}
    assert set(report["launches"]) == names


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_tests_for_a_device_pass_in_the_simulator(flavour):
    script = "import simulated, pytest, sys; simulated.prepare(); sys.exit(pytest.main(sys.argv[1:]))"
    tests = str(HERE / "test_cuda_device.py")
    early = "ignore::pytest.PytestAssertRewriteWarning"  # what is prepared has imported the kernels before pytest
    said = simulated.run(["-c", script, "-m", "gpu", "-rs", "-p", "no:cacheprovider", "-W", early, tests], flavour)
    assert " passed" in said and "skipped" not in said, said
