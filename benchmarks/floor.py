"""The floor of an update: its matrix products alone, each at the best rate that any library here reaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any
from unittest.mock import patch

import numpy as np

from kernels import dispatch
from kernels.bench import ceiling
from kernels.bench.clock import HostClock

Product = tuple[int, int, int]
"""(M, K, N) of an (M, K) times (K, N) product."""
REPEATS = 7


@contextmanager
def recorded() -> Iterator[Counter[Product]]:
    """Count the matrix products of all dense layers and convolutions that pass the seam to the kernels."""
    found: Counter[Product] = Counter()
    resolve = dispatch.resolve

    def counting(key: tuple, spec: Any) -> Any:
        op, _, _, shapes, settings = key
        if (product := _product(op, dict(shapes), dict(settings))) is not None:
            found[product] += 1
        return resolve(key, spec)

    with patch.object(dispatch, "resolve", counting):
        yield found


def _product(op: str, shapes: Mapping[str, tuple[int, ...]], settings: Mapping[str, Any]) -> Product | None:
    if op == "matmul":
        a, b = shapes["a"], shapes["b"]
        return (a[0], a[1], b[1]) if len(a) == len(b) == 2 else None
    if not op.startswith("conv2d"):
        return None
    x, w = shapes["x"], shapes["w"]
    out = [(x[i] + 2 * settings["padding"][i - 2] - w[i]) // settings["stride"][i - 2] + 1 for i in (2, 3)]
    places, depth, maps = x[0] * prod(out), prod(w[1:]), w[0]
    return {
        "conv2d": (places, depth, maps),
        "conv2d_grad_input": (places, maps, depth),
        "conv2d_grad_weight": (maps, places, depth),
    }[op]


def flops(products: Mapping[Product, int]) -> int:
    """2·M·K·N, summed."""
    return sum(2 * m * k * n * count for (m, k, n), count in products.items())


def seconds(products: Mapping[Product, int], libraries: Mapping[str, ceiling.Product]) -> float:
    """The time of all of them, each by the library that is fastest at it, contiguous and in float32."""
    watch, random = HostClock(), np.random.default_rng(0)
    total = 0.0
    for (m, k, n), count in products.items():
        a, b = (random.standard_normal(shape, dtype=np.float32) for shape in ((m, k), (k, n)))
        times = []
        for prepare in libraries.values():
            run = prepare(a, b)
            run()
            times += [watch.time(run, 1)[0] for _ in range(REPEATS)]
        total += count * min(times)
    return total
