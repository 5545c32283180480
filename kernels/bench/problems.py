"""What is timed: an operation at a shape. Written `128x64x14x14:128x4x4:s2:p1`, drawn by seed, or a suite."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from kernels.registry import KernelError

CONVOLUTIONS = ("conv2d", "conv2d_grad_input", "conv2d_grad_weight")
NORMS = ("batch_norm", "batch_norm_grad", "batch_norm_inference")
PASSES = ("forward", "backward", "both")
DIFFERENTIABLE = ("conv2d", "conv2d_grad_input", "batch_norm", "matmul")
"""Operations with a backward pass of their own; the others are one or are never differentiated."""


@dataclass(frozen=True)
class Problem:
    """An operation at a shape.

    A convolution is (N, C, H, W) with weight (O, C, KH, KW); the up-convolution is the convolution's input
    gradient, so its result is the (N, C, H, W). A batch-norm is (N, C) or (N, C, H, W), a product (M, K, N),
    an update of Adam any shape. `input_gradient` is false for a network's first layer, which needs none.
    """

    op: str
    shape: tuple[int, ...]
    weight: tuple[int, ...] = ()
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    input_gradient: bool = True

    @property
    def output(self) -> tuple[int, int, int, int]:
        """(N, O, OH, OW) of the convolution."""
        (n, _, h, w), (o, _, kh, kw) = self.shape, self.weight
        (sh, sw), (ph, pw) = self.stride, self.padding
        return n, o, (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1

    @property
    def flops(self) -> int:
        """Of one call: 2·N·O·OH·OW·C·KH·KW, 2·M·K·N; an element of a batch-norm counts 8, of Adam 12."""
        if self.weight:
            return 2 * prod(self.output) * prod(self.weight[1:])
        if self.op == "matmul":
            return 2 * prod(self.shape)
        return prod(self.shape) * (12 if self.op == "adam_step" else 8)

    def __str__(self) -> str:
        text = "x".join(map(str, self.shape))
        if not self.weight:
            return text
        o, _, kh, kw = self.weight
        text += f":{o}x{kh}x{kw}"
        for letter, (first, second), usual in (("s", self.stride, 1), ("p", self.padding, 0)):
            if (first, second) != (usual, usual):
                text += f":{letter}{first}" + (f"x{second}" if second != first else "")
        return text if self.input_gradient else text + ":first"


def parse(op: str, text: str) -> list[Problem]:
    """Problems from `SHAPE,SHAPE,…`. Raises `KernelError` for a shape that cannot be."""
    return [_parse_one(op, part.strip()) for part in text.split(",") if part.strip()]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split("x"))


def _parse_one(op: str, text: str) -> Problem:
    shape, *rest = text.split(":")
    form = {"matmul": "MxKxN", "adam_step": "N or NxM…"}.get(op, "NxC or NxCxHxW")
    if op in CONVOLUTIONS:
        form = "NxCxHxW:OxKHxKW[:sS][:pP][:first]"
    wrong = KernelError(f"shape {text!r} of {op}: write {form}, for example {example(op)}")
    if not re.fullmatch(r"\d+(x\d+)*", shape):
        raise wrong
    sizes = _numbers(shape)
    if min(sizes) < 1 or (op == "matmul" and len(sizes) != 3) or (op in NORMS and len(sizes) < 2):
        raise wrong
    if op not in CONVOLUTIONS:
        if rest:
            raise wrong
        return Problem(op, sizes)
    if len(sizes) != 4 or not rest or not re.fullmatch(r"\d+x\d+x\d+", rest[0]):
        raise wrong
    o, kh, kw = _numbers(rest[0])
    pairs = {"s": (1, 1), "p": (0, 0)}
    for part in rest[1:]:
        found = re.fullmatch(r"([sp])(\d+)(?:x(\d+))?", part)
        if found:
            first = int(found[2])
            pairs[found[1]] = (first, int(found[3] or first))
        elif part != "first":
            raise wrong
    problem = Problem(op, sizes, (o, sizes[1], kh, kw), pairs["s"], pairs["p"], "first" not in rest)
    if min(o, kh, kw, *pairs["s"]) < 1 or min(problem.output) < 1:
        raise KernelError(f"shape {text!r} of {op}: the kernel does not fit the padded picture")
    return problem


def example(op: str) -> str:
    """A shape that `parse` takes."""
    if op in CONVOLUTIONS:
        return "128x64x14x14:128x4x4:s2:p1"
    return {"matmul": "128x1024x6272", "adam_step": "13000000"}.get(op, "128x64x14x14")


def infogan(op: str) -> list[Problem]:
    """The shapes of the paper's MNIST networks at the original's batch of 128."""
    convolutions = {
        "conv2d": "128x1x28x28:64x4x4:s2:p1:first, 128x64x14x14:128x4x4:s2:p1",
        "conv2d_grad_input": "128x64x14x14:128x4x4:s2:p1, 128x1x28x28:64x4x4:s2:p1",
        "conv2d_grad_weight": "128x1x28x28:64x4x4:s2:p1, 128x64x14x14:128x4x4:s2:p1",
    }
    if op in CONVOLUTIONS:
        return parse(op, convolutions[op])
    shapes = {"matmul": "128x74x1024, 128x1024x6272, 128x6272x1024, 128x1024x128", "adam_step": "13000000"}
    return parse(op, shapes.get(op, "128x64x14x14, 128x128x7x7, 128x6272, 128x1024"))


MOST_FLOPS = 4e9
MOST_ELEMENTS = 2**24


def general(op: str, seed: int = 0, count: int = 12) -> list[Problem]:
    """`count` shapes drawn by `seed`, evenly on a logarithmic scale, none so large that one call takes seconds.

    Convolutions: kernels of 1, 3, 5; stride 1, 2; 3 to 256 channels; 7 to 64 pixels; batch 1 to 256.
    """
    random = np.random.default_rng(seed)

    def between(low: int, high: int) -> int:
        return round(float(np.exp(random.uniform(np.log(low), np.log(high)))))

    def convolution() -> Problem:
        n, c, o, side = between(1, 256), between(3, 256), between(3, 256), between(7, 64)
        k, s = int(random.choice([1, 3, 5])), int(random.choice([1, 2]))
        return Problem(op, (n, c, side, side), (o, c, k, k), (s, s), (k // 2, k // 2))

    def norm() -> Problem:
        n, c, side = between(1, 256), between(3, 256), between(1, 64)
        return Problem(op, (n, c, side, side) if side > 1 else (n, c))

    draws: dict[str, Callable[[], Problem]] = {
        "matmul": lambda: Problem(op, (between(16, 4096), between(16, 4096), between(16, 4096))),
        "adam_step": lambda: Problem(op, (between(1000, 2**24),)),
    }
    draw = draws.get(op, convolution if op in CONVOLUTIONS else norm)
    found: list[Problem] = []
    while len(found) < count:
        problem = draw()
        elements = prod(problem.shape) if op != "matmul" else 0
        if problem.flops <= MOST_FLOPS and elements <= MOST_ELEMENTS and problem not in found:
            found.append(problem)
    return found


SUITES: dict[str, Callable[[str], list[Problem]]] = {"infogan": infogan, "general": general}
