"""PTX of every CUDA kernel for every capability: no spill, and an inner loop worth its reads. No device needed."""

from __future__ import annotations

import json

import pytest
import simulated
from click.testing import CliRunner

from kernels import KernelError
from kernels.cuda.inspect import CAPABILITIES, Dropped, NoCompiler, inner_loop, inspect, inspect_command, own_kernels
from kernels.cuda.occupancy import blocks_per_core, occupancy


def _or_skip(error):
    """Without a compiler there is nothing to see, unless it has been promised."""
    if simulated.REQUIRED:
        pytest.fail(f"the CUDA compilers are required here: {error}")
    pytest.skip(str(error))


@pytest.mark.peers
@pytest.mark.parametrize(
    "cc",
    [pytest.param(c, id=f"{c[0]}.{c[1]}", marks=[] if c == (8, 0) else [pytest.mark.slow]) for c in CAPABILITIES],
)
def test_no_spill_and_a_dense_inner_loop(cc):
    found = []
    for kernel in own_kernels():
        try:
            found.append(inspect(kernel, cc))
        except NoCompiler as error:
            _or_skip(error)
    assert len(found) == 15
    for f in found:
        assert f.spill_stores == f.spill_loads == f.stack == 0, f
        assert 16 <= f.registers <= 128 and f.shared <= 48 << 10, f
        assert f.blocks_per_core >= 4 and f.occupancy >= 0.25, f
    convs = [f for f in found if f.kernel.startswith("conv2d") and "reduce" not in f.kernel]
    assert len(convs) == 6
    for f in convs:
        assert f.inner_fma >= 16 and f.inner_shared_loads and f.fma_per_load >= 2, f


@pytest.mark.peers
def test_a_spill_is_seen():
    """The same kernel with half the registers it wants."""
    import dataclasses

    kernel = dataclasses.replace(next(iter(own_kernels())), max_registers=48)
    try:
        found = inspect(kernel, (8, 0))
    except NoCompiler as error:
        _or_skip(error)
    assert found.registers <= 48 and found.spill_stores > 0 and found.spill_loads > 0


@pytest.mark.peers
def test_the_command_reports_and_fails_on_a_spill(tmp_path):
    file = tmp_path / "greedy.py"
    file.write_text(
        "import kernels\n"
        "from kernels.cuda import Kernel, conv_bodies, tiles\n"
        "body = conv_bodies.gather(tiles.WIDE, False)\n"
        "KERNELS = {'float32': Kernel('greedy', body, conv_bodies.GATHER_TYPES, 128, max_registers=40)}\n"
        "@kernels.register('conv2d', name='greedy', device='cuda')\n"
        "def conv2d(x, w, b=None, **settings):\n"
        "    raise NotImplementedError\n"
    )
    options = ["--kernel-file", str(file), "--cc", "8.0", "--json", "--ptx", str(tmp_path / "ptx")]
    run = CliRunner().invoke(inspect_command, options)
    if isinstance(run.exception, NoCompiler):
        _or_skip(run.exception)
    assert run.exit_code == 1, run.output
    (row,) = json.loads(run.output)
    assert row["kernel"] == "greedy" and row["cc"] == "8.0" and row["spill_stores"] > 0
    assert ".target sm_80" in (tmp_path / "ptx" / "greedy.sm_80.ptx").read_text()


@pytest.mark.peers
def test_the_command_prints_a_line_a_kernel():
    run = CliRunner().invoke(inspect_command, ["adam_step", "--cc", "8.0"])
    if isinstance(run.exception, NoCompiler):
        _or_skip(run.exception)
    head, line = run.output.splitlines()
    assert head.split()[:4] == ["kernel", "cc", "threads", "registers"]
    assert line.split()[:3] == ["adam_step", "8.0", "256"] and line.split()[5:9] == ["0", "0", "8", "100%"]


@pytest.mark.parametrize("arguments", [["nothing"], ["--cc", "1.0"], ["--kernel-file", "/no/such.py"]])
def test_bad_usage_is_one_line(arguments):
    run = CliRunner().invoke(inspect_command, arguments)
    assert isinstance(run.exception, KernelError) and "\n" not in str(run.exception)


def test_no_ptxas_is_said(monkeypatch):
    from kernels.cuda import inspect as room

    monkeypatch.setattr(room, "_assemblers", lambda: ())
    with pytest.raises(NoCompiler, match=r"ptxas is not there: install numba-cuda\[cu12\]"):
        room.assemble("", (8, 0))
    assert issubclass(Dropped, NoCompiler)


def test_the_inner_loop_is_the_stretch_with_the_most_multiply_adds():
    ptx = """
$L__BB0_1:
 ld.shared.f32 %f1, [a]; fma.rn.f32 %f2, %f1, %f1, %f2;
 @%p1 bra $L__BB0_3;
$L__BB0_2:
 ld.shared.v4.f32 {%f1, %f2, %f3, %f4}, [a];
 ld.shared.f32 %f5, [b];
 fma.rn.f32 %f6, %f1, %f5, %f6; fma.rn.f32 %f7, %f2, %f5, %f7; fma.rn.f32 %f8, %f3, %f5, %f8;
 bra.uni $L__BB0_2;
$L__BB0_3:
 ld.global.f32 %f1, [a]; fma.rn.f64 %d1, %d2, %d3, %d4;
"""
    assert inner_loop(ptx) == (3, 2)


# Worked through by hand from the programming guide's figures.
@pytest.mark.parametrize(
    ("cc", "threads", "registers", "shared", "blocks", "share"),
    [
        ((8, 0), 256, 32, 0, 8, 1.0),  # 2,048 threads, and all 65,536 registers
        ((8, 0), 256, 33, 0, 6, 0.75),  # 1,280 registers a warp: 51 warps, 48 in fours
        ((7, 5), 256, 64, 0, 4, 1.0),  # 1,024 threads a core
        ((7, 0), 128, 128, 0, 4, 0.25),  # 4,096 registers a warp: 16 warps
        ((9, 0), 64, 16, 48 << 10, 4, 0.125),  # 49 of 228 KiB with what the system takes
        ((7, 0), 64, 16, 48 << 10, 2, 0.0625),  # 48 of 96 KiB
        ((7, 5), 32, 16, 0, 16, 0.5),  # 16 blocks at most
        ((8, 0), 1024, 255, 0, 0, 0.0),  # does not fit at all
    ],
)
def test_occupancy(cc, threads, registers, shared, blocks, share):
    assert blocks_per_core(cc, threads, registers, shared) == blocks
    assert occupancy(cc, threads, registers, shared) == share
