"""The profile counts what ran; the anomaly mode names who began it."""

from __future__ import annotations

import re
import time
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from kernels.device import asarray
from minigrad import AnomalyError, detect_anomaly, nn, profile, tape


def _tensor(values: Any, device: str = "cpu") -> mg.Tensor:
    return mg.Tensor(asarray(np.asarray(values), device), requires_grad=True)


# ---- profile ------------------------------------------------------------------------------------------------


def test_rows_hold_calls_and_bytes(device: str) -> None:
    x, y = _tensor(np.ones((4, 5)), device), _tensor(np.ones((4, 5)), device)
    with profile() as p:
        z = (x * y * y).sum()
        z.backward()
    rows = {(row.operation, row.phase): row for row in p.rows}
    assert rows["mul", "forward"].calls == 2 and rows["mul", "backward"].calls == 2
    assert rows["mul", "forward"].bytes == 2 * 3 * 20 * 8
    assert rows["sum", "forward"].bytes == 20 * 8 + 8
    assert ("expand", "forward") not in rows  # called by the backward pass of sum, and counted there
    assert rows["sum", "backward"].calls == 1
    assert sum(row.share for row in p.rows) == pytest.approx(1)
    assert p.seconds == pytest.approx(sum(row.seconds for row in p.rows))
    assert [row.seconds for row in p.rows] == sorted((row.seconds for row in p.rows), reverse=True)


def test_time_inside_a_backward_pass_is_counted_once() -> None:
    x = _tensor(np.ones((300, 300)))
    with profile() as p:
        start = time.perf_counter()
        for _ in range(5):
            (x @ x).tanh().sum().backward()
        wall = time.perf_counter() - start
    assert 0 < p.seconds <= wall


def test_a_fused_rule_differentiated_through_its_plain_definition_is_one_row() -> None:
    net = nn.BatchNorm1d(3)
    x = _tensor(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))
    y = net(x)
    with profile() as p:
        mg.grad(y, x, mg.ones_like(y), create_graph=True)
    assert [(row.operation, row.phase, row.calls) for row in p.rows] == [("batch_norm", "backward", 1)]


def test_the_table_is_readable() -> None:
    with profile() as p:
        mg.exp(_tensor(np.ones(1000)))
    head, row = str(p).splitlines()
    assert head.split() == ["operation", "phase", "calls", "time", "(s)", "share", "bytes"]
    assert re.fullmatch(r"exp +forward +1 +\d+\.\d{6} +100\.0% +16,000", row)


def test_nothing_stays_behind() -> None:
    before = list(tape.observers)
    with profile() as p, pytest.raises(ZeroDivisionError):
        raise ZeroDivisionError
    with profile() as outer, profile() as inner:
        mg.exp(_tensor([1.0]))
    mg.exp(_tensor([1.0]))
    assert tape.observers == before
    assert p.rows == [] and str(p).count("\n") == 0
    assert outer.rows[0].calls == inner.rows[0].calls == 1


# ---- anomaly ------------------------------------------------------------------------------------------------


def test_the_first_operation_is_named(device: str) -> None:
    x = _tensor([[1.0, -2.0, 0.0]], device)
    with detect_anomaly(), np.errstate(all="ignore"), pytest.raises(AnomalyError) as error:
        (x.log() * 2).sum()
    assert (error.value.operation, error.value.phase) == ("log", "forward")
    assert str(error.value) == (
        "log gave 1 NaN and 1 infinite of 3 entries in result 0 of shape (1, 3), from inputs of shapes (1, 3): "
        "its inputs are all finite"
    )


def test_bad_data_is_told_from_a_culprit() -> None:
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"add gave .* its inputs were not finite already"):
        _tensor([1.0, np.nan]) + 1


def test_the_backward_pass_is_named(device: str) -> None:
    """sqrt at 0 is sound, its derivative is not."""
    x = _tensor([0.0, 1.0], device)
    with detect_anomaly(), np.errstate(all="ignore"):
        y = (x.sqrt() * 3).sum()
        with pytest.raises(AnomalyError, match="backward pass of sqrt") as error:
            y.backward()
    assert (error.value.operation, error.value.phase) == ("sqrt", "backward")


def test_a_product_on_raw_arrays_is_named() -> None:
    @mg.primitive(name="anomaly_probe")
    def probe(x: Any) -> Any:
        return x * 1

    @mg.once_differentiable
    def product(g: Any) -> Any:
        return g * np.inf

    probe.defvjp(product)
    try:
        said = "the backward pass of anomaly_probe gave 0 NaN and 2 infinite"
        with detect_anomaly(), pytest.raises(AnomalyError, match=said):
            probe(_tensor([1.0, 2.0])).sum().backward()
    finally:
        del tape.TABLE["anomaly_probe"]


def test_integers_and_sound_numbers_pass() -> None:
    x = _tensor([3.0, 1.0])
    with detect_anomaly():
        (x * x).sum().backward()
        x.argmax()
    with np.errstate(all="ignore"):
        assert not np.isfinite(mg.log(_tensor([-1.0])).detach().numpy()).all()  # outside nothing is looked at
