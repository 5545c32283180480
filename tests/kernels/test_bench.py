"""The bench: what it computes is checked before and after it is timed, and what it prints can be read back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import kernels
from kernels import blas, registry
from kernels.bench import ceiling, clock, machine, measure, oracle, problems, results, roofline, table
from kernels.bench.contestants import kernels_for
from kernels.bench.measure import Plan
from kernels.bench.problems import DIFFERENTIABLE
from kernels.bench.work import build
from kernels.registry import OPERATIONS, KernelError

CONV = "2x3x7x6:4x3x2:s2x1:p1"
SHAPES = {
    "matmul": "5x7x4",
    "adam_step": "3x4",
    **{op: CONV for op in problems.CONVOLUTIONS},
    **{op: "4x3x2x3" for op in problems.NORMS},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Short samples, and a registry that a test may add to."""
    monkeypatch.setattr(clock, "SAMPLE", 1e-6)
    monkeypatch.setattr(clock, "BUDGET", 1e-6)
    monkeypatch.setattr(measure, "WARM", 0.0)
    monkeypatch.setattr(registry, "_table", dict(registry._table))


def _problem(op, text=None):
    return problems.parse(op, text or SHAPES[op])[0]


def _lines(op, **options):
    options = {"problems": [_problem(op)], "kernels": "blas", "rounds": 2, **options}
    return {line.name: line for line in measure.run(Plan(**options))}


@pytest.mark.parametrize("op", OPERATIONS)
def test_shapes_are_read_back_from_their_text(op):
    for problem in [_problem(op), *problems.infogan(op), *problems.general(op)]:
        assert problems.parse(op, str(problem)) == [problem]


def test_a_convolution_counts_as_the_definition_says():
    problem = _problem("conv2d")
    assert problem.output == (2, 4, 4, 7)
    assert problem.flops == 2 * 2 * 4 * 4 * 7 * 3 * 3 * 2
    work = build(problem, "forward", "float32", "nhwc", np.random.default_rng(0))
    assert work.bytes == 4 * (2 * 3 * 7 * 6 + 4 * 3 * 3 * 2 + 2 * 4 * 4 * 7)
    both = build(problem, "both", "float32", "nhwc", np.random.default_rng(0))
    assert [call.op for call in both.calls] == ["conv2d", "conv2d_grad_input", "conv2d_grad_weight"]
    assert both.flops == 3 * problem.flops
    first = build(_problem("conv2d", CONV + ":first"), "both", "float32", "nhwc", np.random.default_rng(0))
    assert [call.op for call in first.calls] == ["conv2d", "conv2d_grad_weight"]


def test_drawn_shapes_are_of_the_kinds_promised():
    drawn = problems.general("conv2d")
    assert len(drawn) == 12 and drawn == problems.general("conv2d") != problems.general("conv2d", seed=1)
    for p in drawn:
        assert p.weight[2] in (1, 3, 5) and p.stride[0] in (1, 2)
        assert min(p.shape[1], p.weight[0]) >= 3 and max(p.shape[1], p.weight[0]) <= 256
        assert 7 <= p.shape[2] <= 64 and 1 <= p.shape[0] <= 256 and p.flops <= problems.MOST_FLOPS


@pytest.mark.parametrize("op", OPERATIONS)
def test_the_product_gives_the_answers_of_the_loops(op, monkeypatch):
    call = build(_problem(op), "forward", "float32", "nchw", np.random.default_rng(1)).calls[0]
    by_loops = oracle.answers(call)
    monkeypatch.setattr(oracle, "LOOPS", 0)
    for one, other in zip(by_loops, oracle.answers(call), strict=True):
        np.testing.assert_allclose(one.value, other.value, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(one.magnitude, other.magnitude, rtol=1e-10)


def test_a_product_that_differs_from_the_loops_is_not_trusted(monkeypatch):
    right = blas.matmul
    monkeypatch.setattr(blas, "matmul", lambda a, b: right(a, b) * (1 + 1e-9))
    oracle.trust.cache_clear()
    with pytest.raises(KernelError, match="the float64 product differs from the loops"):
        oracle.trust("matmul")
    oracle.trust.cache_clear()


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("which", problems.PASSES)
def test_every_pass_is_timed_round_by_round(op, which):
    if which != "forward" and op not in DIFFERENTIABLE:
        with pytest.raises(KernelError, match="no backward pass"):
            build(_problem(op), which, "float32", "nhwc", np.random.default_rng(0))
        return
    for layout in ("nhwc", "nchw"):
        lines = _lines(op, passes=[which], layout=layout)
        assert set(lines) == {"blas"} | ({"layout copy"} if op not in ("matmul", "adam_step") else set())
        for line in lines.values():
            assert line.fault == "" and len(line.rounds) == 2 and min(map(min, line.rounds)) > 0


def _register(function, op="matmul"):
    kernels.register(op, name="mine")(function)


def _stale():
    kept = []

    def matmul(a, b):
        kept.append(a @ b)
        return kept[0]

    return matmul


def _tired():
    calls = []

    def matmul(a, b):
        calls.append(1)
        return a @ b if len(calls) < 3 else np.zeros((a.shape[0], b.shape[1]), a.dtype)

    return matmul


def _scribbler():
    def matmul(a, b):
        y = a @ b
        b[...] = 0
        return y

    return matmul


def _broken(a, b):
    raise IndexError("out of luck")


@pytest.mark.parametrize(
    ("function", "says", "rounds"),
    [
        (lambda a, b: 0 * (a @ b), "wrong, so not timed", 0),
        (lambda a, b: (a @ b)[:, ::-1], "wrong, so not timed", 0),
        (lambda a, b: (a @ b).astype(np.float64), "wrong, so not timed", 0),
        (_broken, "raised IndexError: out of luck", 0),
        (_tired(), "wrong after timing, so not counted", 0),
        (_scribbler(), "wrong: it wrote to its argument b", 0),
        (_stale(), "wrong, so not timed", 1),
    ],
    ids=["zeros", "reversed", "dtype", "raises", "tired", "scribbles", "stale"],
)
def test_a_wrong_kernel_is_found_out(function, says, rounds):
    _register(function)
    lines = _lines("matmul", kernels="mine,blas")
    assert lines["mine"].fault.startswith(says)
    assert len(lines["mine"].rounds) == rounds
    assert lines["blas"].fault == "" and len(lines["blas"].rounds) == 2


def test_zeros_are_called_once_and_never_timed():
    calls = []

    def zeros(a, b):
        calls.append(1)
        return np.zeros((a.shape[0], b.shape[1]), a.dtype)

    _register(zeros)
    _lines("matmul", kernels="mine")
    assert len(calls) == 1


def test_operations_a_kernel_lacks_are_lent_and_named():
    _register(blas.conv2d, "conv2d")
    lines = _lines("conv2d", kernels="mine", passes=["both"])
    assert lines["mine"].note == "conv2d_grad_input by blas, conv2d_grad_weight by blas"


def test_one_channel_has_no_layout_to_copy():
    assert "layout copy" not in _lines("conv2d", problems=[_problem("conv2d", "2x1x6x6:3x3x3")])


def test_a_shape_outside_a_kernels_limits_is_said():
    kernels.register("matmul", name="mine", supports=lambda spec: False)(blas.matmul)
    assert "its supports() turns this down" in _lines("matmul", kernels="mine")["mine"].fault


def test_the_loops_are_not_timed_unless_named():
    assert "reference" not in [c.name for c in kernels_for("matmul", "cpu", None)]
    assert [c.name for c in kernels_for("matmul", "cpu", "matmul=reference,conv2d=blas")] == ["reference"]


def test_a_cold_call_finds_its_cache_emptied_each_time(monkeypatch):
    events = []
    watch = clock.HostClock()
    monkeypatch.setattr(watch, "flush", lambda: events.append("flush"))
    found, _ = clock.samples(watch, lambda: events.append("call"), 1.0, cold=True)
    assert len(found) == clock.FEWEST and events == ["flush", "call"] * clock.FEWEST


def test_threads_are_set_for_the_bench_alone():
    before = kernels.get_num_threads()
    with measure.thread_limit(1):
        assert kernels.get_num_threads() == 1
    assert kernels.get_num_threads() == before
    with pytest.raises(KernelError, match="--threads: threads 0"), measure.thread_limit(0):
        pass


def test_the_device_path_is_whole(cuda):
    for op in ("conv2d", "batch_norm", "matmul", "adam_step"):
        which = "both" if op in DIFFERENTIABLE else "forward"
        lines = _lines(op, device=cuda, layout="nchw", passes=[which])
        assert [line.fault for line in lines.values()] == [""] * len(lines)
    found = ceiling.measure(cuda, 1, "float32", {}, sides=(16,), elements=1000)
    assert "CuPy" in found.rates and found.bytes_per_second > 0
    clock.clock(cuda).flush()


def test_the_ceiling_is_of_right_products(monkeypatch):
    monkeypatch.setattr(ceiling, "SECONDS", 0.0)
    found = ceiling.rates("cpu", "float64", {"NumPy": lambda a, b: lambda: a @ b}, sides=(16, 32))
    assert found["NumPy"] > 0
    with pytest.raises(KernelError, match="the product of zeros is wrong"):
        ceiling.rates("cpu", "float32", {"zeros": lambda a, b: lambda: 0 * a}, sides=(16,))


def test_the_roofline_is_the_lower_of_two_roofs():
    c = results.Ceiling(
        device="cpu", threads=1, dtype="float32", flops_per_second=100.0, bytes_per_second=10.0, rates={}
    )
    assert c.least_seconds(200, 1) == 2 and c.least_seconds(1, 50) == 5


def test_known_traps_are_named():
    found = machine.traps({"OPENBLAS_CORETYPE": "Haswell", "HOME": "x"})
    assert any(line.startswith("OPENBLAS_CORETYPE=Haswell is set") for line in found)
    assert not any("HOME" in line for line in found)


def test_the_table_tells_best_copies_and_faults():
    _register(lambda a, b: 0 * (a @ b))
    lines = [*_lines("matmul", kernels="blas,mine").values(), *_lines("batch_norm").values()]
    about = {"processor": "p", "cores": 1, "device": "none", "system": "s", "versions": {}, "blas": [], "traps": []}
    text = "\n".join(table.body(results.Results(machine=about, ceilings=[], lines=lines)))
    assert "matmul 5x7x4 forward, float32, cpu" in text and "1.00" in text
    assert "mine                     wrong, so not timed" in text
    assert "(layout copy)" in text and "slowest first call" in text


def _python_m(*arguments):
    return subprocess.run([sys.executable, "-m", "kernels", *arguments], capture_output=True, text=True, timeout=120)


def test_the_command_writes_what_can_be_read_back(tmp_path):
    json, png = tmp_path / "b.json", tmp_path / "r.png"
    done = _python_m(
        "bench", "matmul", "--shapes", "5x7x4,3x3x3", "--kernels", "blas", "--rounds", "2", "--threads", "1",
        "--no-ceiling", "--pass", "both", "--json", str(json), "--roofline", str(png),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for word in ("processor", "numpy", "BLAS", "GFLOP/s", "spread"):
        assert word in done.stdout
    found = results.read(json)
    assert [line.shape for line in found.lines] == ["5x7x4", "3x3x3"]
    assert png.read_bytes().startswith(b"\x89PNG")


def test_a_wrong_kernel_file_makes_the_command_fail(tmp_path):
    path = tmp_path / "zeros.py"
    path.write_text(
        'import kernels\n@kernels.register("matmul", name="zeros")\ndef matmul(a, b):\n    return 0 * (a @ b)\n'
    )
    options = ("--shapes", "5x7x4", "--rounds", "1", "--no-ceiling", "--kernels", "zeros")
    done = _python_m("bench", "matmul", "--kernel-file", str(path), *options)
    assert done.returncode == 1 and "wrong, so not timed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bench", "matmul", "--shapes", "5x7"], "write MxKxN"),
        (["bench", "conv2d", "--shapes", "1x1x2x2:1x9x9"], "does not fit"),
        (["bench", "--shapes", "5x7x4"], "name the operation"),
        (["bench", "adam_step", "--pass", "both"], "no backward pass"),
        (["bench", "matmul", "--threads", "two"], "write numbers with commas"),
        (["bench", "matmul", "--kernels", "nobody"], "no kernel is called 'nobody'"),
        (["compare", "absent.json", "absent.json"], "absent.json: no such file"),
    ],
)
def test_bad_usage_is_a_kernel_error(arguments, says):
    from kernels.__main__ import main

    with pytest.raises(KernelError, match=says):
        main.main([*arguments, *(["--no-ceiling"] if arguments[0] == "bench" else [])], standalone_mode=False)


def test_no_roofline_of_nothing(tmp_path):
    empty = results.Results(machine={"processor": "p", "device": "none"}, ceilings=[], lines=[])
    with pytest.raises(KernelError, match="nothing was timed"):
        roofline.draw(empty, tmp_path / "r.png")
