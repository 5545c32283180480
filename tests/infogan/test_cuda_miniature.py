"""A miniature InfoGAN that launches every CUDA kernel trains in the simulator as it does on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import simulated

import kernels

HERE = Path(__file__).resolve().parent


@pytest.fixture(
    scope="module", params=["numba", pytest.param("numba-cuda", marks=[pytest.mark.peers, pytest.mark.slow])]
)
def report(request):
    return json.loads(simulated.run([str(HERE / "simulate_miniature.py")], request.param))


def test_gives_the_losses_of_the_cpu(report):
    """The first update to the last bits; the later ones to a tenth of what learning changes.

    Of two pictures batch-norm leaves ±1, so that many gradients are rounding alone, and Adam makes whole steps
    of them: two right implementations on the CPU part by as much (2e-4).
    """
    cpu, cuda, idle = (np.array(report[run]["losses"]) for run in ("cpu", "cuda", "idle"))
    np.testing.assert_allclose(cuda[0], cpu[0], rtol=2e-6, atol=1e-6)
    learnt = np.abs(cpu - idle)[1:]
    assert (learnt > 1e-3).all()
    assert (np.abs(cuda - cpu)[1:] < learnt / 10).all(), np.abs(cuda - cpu)[1:] / learnt


def test_pictures_in_evaluation_mode(report):
    np.testing.assert_allclose(report["cuda"]["samples"], report["cpu"]["samples"], atol=5e-4)


def test_every_kernel_was_launched_and_served_every_call(report):
    from kernels.cuda.inspect import own_kernels

    names = {k.name for k in own_kernels()}
    for large, small in (("64x64", "16x8"), ("16x64", "4x4")):
        names = {n.replace(large, small) for n in names}
    assert set(report["launches"]) == names
    assert set(report["served"]) == set(kernels.OPERATIONS) - {"matmul"}
    assert min(report["served"].values()) > 0


def test_training_on_cuda_without_a_device_is_one_line(tmp_path):
    from witnesses import gpu_present

    if gpu_present():
        pytest.skip("there is a device")
    command = [
        sys.executable,
        "-m",
        "infogan.cli",
        "train",
        "--device",
        "cuda",
        "--steps",
        "1",
        "--out",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "device" in line and "--device cpu" in line
    assert not (tmp_path / "run").exists()
