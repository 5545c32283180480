"""What a notebook shows of a run and a code, and what the programs say of themselves."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest
from made_runs import line, make_run, write_metrics

import infogan
from infogan.codes import Code


def test_a_code_is_a_table():
    shown = Code.parse("cat:10,uniform:0:2,normal")._repr_html_()
    assert shown.count("<tr>") == 4
    assert '<th scope="row">c1</th><td>cat:10</td><td>0 to 9</td><td>2.303</td>' in shown
    assert "<td>uniform:0.0:2.0</td><td>10</td><td>0.693</td>" in shown


def test_a_run_says_where_it_is_and_what_was_measured_last(tmp_path):
    folder = make_run(tmp_path / "a<b", codes="cat:4,uniform")
    run = infogan.load(folder)
    assert repr(run) == f"Run({str(folder)!r}, updates=7, codes='cat:4,uniform')"
    assert "bound" not in run._repr_html_()
    write_metrics(folder, [line(7, bound={"c1": 1.25, "c2": -0.5})])
    shown = infogan.load(folder)._repr_html_()
    assert "a&lt;b" in shown and "a<b" not in shown
    assert "bound 1.250 nats" in shown and "bound -0.500 nats" in shown


@pytest.mark.parametrize("package", ["infogan", "minigrad", "kernels"])
def test_version(package):
    shown = subprocess.check_output([sys.executable, "-m", package, "--version"], text=True)
    assert shown == f"{package} {metadata.version('infogan')}\n"
