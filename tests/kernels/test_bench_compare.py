"""`compare` on made-up results: its verdicts, on one machine and between two."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.__main__ import main
from kernels.bench import compare
from kernels.bench.results import Ceiling, Line, Results, merge, read, write
from kernels.registry import KernelError


def _line(name, seconds, *, noise=0.02, rounds=10, kind="kernel", seed=0, shape="5x7x4", **more):
    random = np.random.default_rng([seed, len(name)])
    times = [[float(seconds * t) for t in random.normal(1, noise, 5)] for _ in range(rounds)]
    fixed = {
        "op": "matmul", "which": "forward", "dtype": "float32", "threads": 1, "device": "cpu", "layout": "nhwc",
        "cache": "hot", "flops": 1000, "bytes": 10, "first_call": 1.0,
    }  # fmt: skip
    return Line(name=name, kind=kind, shape=shape, rounds=times, **{**fixed, **more})


def _results(*lines, processor="here", peak=1e6):
    machine = {"processor": processor, "cores": 2, "device": "none"}
    ceiling = Ceiling(
        device="cpu", threads=1, dtype="float32", flops_per_second=peak, bytes_per_second=1e9, rates={"a": peak}
    )
    return Results(machine=machine, ceilings=[ceiling], lines=list(lines))


@pytest.mark.parametrize(
    ("factor", "noise", "verdict"),
    [
        (0.8, 0.02, "faster"),
        (1.25, 0.02, "slower"),
        (1.0, 0.02, "within noise"),
        (1.05, 0.5, "within noise"),
    ],
)
def test_the_verdict(factor, noise, verdict):
    old = _results(_line("mine", 2e-3, noise=noise, seed=1))
    new = _results(_line("mine", 2e-3 * factor, noise=noise, seed=2))
    (found,) = compare.compare(old, new)
    assert found.verdict == verdict and found.basis == "time"
    assert found.low <= found.ratio <= found.high
    if noise < 0.1:
        assert found.ratio == pytest.approx(factor, rel=0.03)


def test_one_round_has_no_interval_and_needs_a_large_difference():
    def verdict(factor):
        old, new = (_results(_line("mine", s, rounds=1, noise=0)) for s in (1e-3, factor * 1e-3))
        return compare.compare(old, new)[0].verdict

    assert (verdict(1.03), verdict(1.2), verdict(0.8)) == ("within noise", "slower", "faster")


def test_between_machines_only_shares_and_ratios_to_peers():
    old = _results(_line("mine", 2e-3, seed=1), _line("torch", 4e-3, kind="peer", seed=1), peak=1e6)
    # Twice the machine and twice the speed, but the peer is four times as fast there.
    new = _results(_line("mine", 1e-3, seed=2), _line("torch", 1e-3, kind="peer", seed=2), processor="there", peak=2e6)
    found = {(c.name, c.basis): c for c in compare.compare(old, new)}
    assert {basis for _, basis in found} == {"share of the ceiling", "ratio to torch"}
    assert found["mine", "share of the ceiling"].ratio == pytest.approx(1, rel=0.03)
    assert found["mine", "ratio to torch"].ratio == pytest.approx(2, rel=0.03)
    assert found["mine", "ratio to torch"].verdict == "slower"


def test_what_was_wrong_or_is_in_one_file_only_is_not_compared():
    old = _results(_line("a", 1e-3), _line("b", 1e-3), _line("c", 1e-3))
    new = _results(_line("a", 1e-3), _line("b", 1e-3, fault="wrong"), _line("c", 1e-3, shape="9x9x9"))
    assert [c.name for c in compare.compare(old, new)] == ["a"]
    with pytest.raises(KernelError, match="nothing to compare"):
        compare.compare(_results(_line("a", 1.0)), _results(_line("b", 1.0)))


def test_turns_are_merged_round_by_round():
    parts = [_results(_line("a", 1e-3, rounds=2, seed=s)) for s in (1, 2)]
    (line,) = merge(parts).lines
    assert line.rounds == parts[0].lines[0].rounds + parts[1].lines[0].rounds
    assert len(parts[0].lines[0].rounds) == 2


def _command(tmp_path, old, new, *options):
    for name, found in (("old", old), ("new", new)):
        write(found, tmp_path / f"{name}.json")
    arguments = ["compare", str(tmp_path / "old.json"), str(tmp_path / "new.json"), *options]
    try:
        main.main(arguments, standalone_mode=False)
    except SystemExit as end:
        return end.code
    return 0


def test_fail_over(tmp_path, capsys):
    old, new = _results(_line("mine", 1e-3, seed=1)), _results(_line("mine", 1.2e-3, seed=2))
    assert _command(tmp_path, old, new) == 0
    assert "slower" in capsys.readouterr().out
    assert _command(tmp_path, old, new, "--fail-over", "1.10") == 1
    assert _command(tmp_path, old, new, "--fail-over", "1.5") == 0
    assert _command(tmp_path, new, old, "--fail-over", "1.10") == 0


def test_a_new_kernel_that_became_wrong_fails(tmp_path, capsys):
    old = _results(_line("a", 1e-3), _line("b", 1e-3))
    new = _results(_line("a", 1e-3), _line("b", 1e-3, fault="wrong, so not timed"))
    assert _command(tmp_path, old, new) == 1
    assert "matmul 5x7x4 forward b: wrong, so not timed" in capsys.readouterr().out


def test_two_machines_are_announced(tmp_path, capsys):
    _command(tmp_path, _results(_line("a", 1e-3)), _results(_line("a", 1e-3), processor="there"))
    assert capsys.readouterr().out.startswith("two machines: times do not compare")


def test_a_file_that_is_something_else(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"machine": 3}')
    with pytest.raises(KernelError, match="not the JSON"):
        read(path)
