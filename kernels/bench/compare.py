"""Two benches side by side: a ratio with its interval, and whether it means anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kernels.bench import machine
from kernels.bench.results import Line, Results
from kernels.registry import KernelError

CONFIDENCE = 0.95
RESAMPLES = 2000
ALONE = 0.05
"""With fewer than `FEW` rounds a side no interval can be had; then a ratio must be this far from 1 to count."""
FEW = 3


@dataclass(frozen=True)
class Comparison:
    """New over old: above 1 is slower. Between machines, of shares of the ceiling or of ratios to a peer."""

    what: str
    name: str
    basis: str
    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """ "faster", "slower" or "within noise"."""
        if self.high < 1:
            return "faster"
        return "slower" if self.low > 1 else "within noise"

    def fails(self, limit: float) -> bool:
        """Whether it is slower, beyond the noise, by more than `limit`."""
        return self.verdict == "slower" and self.ratio > limit


def compare(old: Results, new: Results) -> list[Comparison]:
    """Every line that both have and neither found wrong.

    On one machine times are compared. On two only what carries over: the share of each machine's ceiling, and
    the ratio to each peer timed in the same rounds. Raises `KernelError` where nothing can be compared.
    """
    here = machine.same(old.machine, new.machine)
    before = {(*x.problem, x.name): x for x in old.lines if x.kind != "layout"}
    found: list[Comparison] = []
    for line in new.lines:
        then = before.get((*line.problem, line.name))
        if then is None or not (line.rounds and then.rounds) or line.fault or then.fault:
            continue
        if here:
            found.append(_compare(line, "time", then.medians, line.medians))
            continue
        shares = old.ceiling(then), new.ceiling(line)
        if all(shares):
            least = [c.least_seconds(line.flops, line.bytes) for c in shares if c]
            found.append(_compare(line, "share of the ceiling", then.medians / least[0], line.medians / least[1]))
        if line.kind == "kernel":
            found += _against_peers(then, line, old, new)
    if not found:
        raise KernelError("nothing to compare: no line with the same operation, shape, settings and name is in both")
    return found


def _against_peers(then: Line, line: Line, old: Results, new: Results) -> Iterator[Comparison]:
    for peer in new.lines:
        twin = next((x for x in old.lines if (x.problem, x.name) == (peer.problem, peer.name)), None)
        if peer.kind != "peer" or peer.problem != line.problem or twin is None or peer.fault or twin.fault:
            continue
        # A ratio round by round: what slowed a round down slowed both.
        ratios = [a.medians[:n] / b.medians[:n] for a, b in ((then, twin), (line, peer)) for n in [_rounds(a, b)]]
        if all(r.size for r in ratios):
            yield _compare(line, f"ratio to {peer.name}", *ratios)


def _rounds(a: Line, b: Line) -> int:
    return min(len(a.medians), len(b.medians))


def _compare(line: Line, basis: str, old: np.ndarray, new: np.ndarray) -> Comparison:
    what = f"{line.op} {line.shape} {line.which} {line.threads}t"
    ratio = float(np.median(new) / np.median(old))
    low, high = _interval(old, new, ratio)
    return Comparison(what, line.name, basis, ratio, low, high)


def _interval(old: np.ndarray, new: np.ndarray, ratio: float) -> tuple[float, float]:
    """Of the ratio of medians, by resampling rounds: calls within a round are not independent."""
    from scipy.stats import bootstrap

    if min(old.size, new.size) < FEW:
        return ratio * (1 - ALONE), ratio * (1 + ALONE)
    found = bootstrap(
        (new, old),
        lambda a, b, axis: np.median(a, axis=axis) / np.median(b, axis=axis),
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def text(comparisons: list[Comparison]) -> Iterator[str]:
    """A line each, the largest change last."""
    yield f"{'new / old':>9}  {'95 % interval':>15}  verdict"
    for c in sorted(comparisons, key=lambda c: abs(np.log(c.ratio))):
        yield f"{c.ratio:9.3f}  {c.low:6.3f} – {c.high:6.3f}  {c.verdict:12}  {c.what} {c.name} ({c.basis})"
