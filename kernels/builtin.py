"""The package's own implementations, entered by name; not one of them is imported here."""

from __future__ import annotations

from math import prod

from kernels.registry import OPERATIONS, Spec, register_builtin

SMALL_CONV = 1 << 22
SMALL_MATMUL = 1 << 18
SMALL_VECTOR = 1 << 13
SMALL_ELEMENTS = 1 << 15
"""Up to these many multiplications (or elements) plain NumPy serves: there is nothing to gain, and a first
small call answers with nothing compiled. A product of `SMALL_MATMUL`, or of `SMALL_VECTOR` where an operand
is a vector, is also what OpenBLAS keeps on one thread, hence the same bits at any number of threads."""


def conv_products(spec: Spec) -> int:
    """Multiplications of the convolution that `spec` is, or is a gradient of."""
    n, _, h, w = spec.shapes["x"]
    o, c, kh, kw = spec.shapes["w"]
    (sh, sw), (ph, pw) = spec.settings["stride"], spec.settings["padding"]
    return n * o * ((h + 2 * ph - kh) // sh + 1) * ((w + 2 * pw - kw) // sw + 1) * c * kh * kw


def _large_conv(spec: Spec) -> bool:
    return conv_products(spec) > SMALL_CONV


def _large_matmul(spec: Spec) -> bool:
    (m, k), n = spec.shapes["a"], spec.shapes["b"][1]
    return m * k * n > (SMALL_VECTOR if min(m, n) == 1 else SMALL_MATMUL)


def _large_elements(spec: Spec) -> bool:
    return prod(next(iter(spec.shapes.values()))) > SMALL_ELEMENTS


def _positions_fit(spec: Spec) -> bool:
    """Whether a place in any of the arrays, the output too, is a 32-bit number with room to spare."""
    sizes = [prod(shape) for shape in spec.shapes.values()]
    if spec.op.startswith("conv2d"):
        o, c, kh, kw = spec.shapes["w"]
        sizes.append(conv_products(spec) // max(1, c * kh * kw))
        if not o or not c:
            return False
    return max(sizes) < 1 << 30


def _two_dimensions(spec: Spec) -> bool:
    return all(len(shape) == 2 for shape in spec.shapes.values())


def _enter() -> None:
    for op in OPERATIONS:
        every = None if op == "matmul" else ("float32", "float64")
        register_builtin(op, "reference", "cpu", f"kernels.reference:{op}")
        for device in ("cpu", "cuda"):
            register_builtin(op, "blas", device, f"kernels.blas:{op}", dtypes=every)
    for op in OPERATIONS:
        room, large = "normalise", _large_elements
        if op.startswith("conv2d"):
            room, large = "conv", _large_conv
        elif op == "matmul":
            room, large = "dense", _large_matmul
        elif op == "adam_step":
            room = "adam"
        register_builtin(
            op,
            "numba",
            "cpu",
            f"kernels.cpu.{room}:{op}",
            supports=_two_dimensions if op == "matmul" else lambda spec: True,
            worthwhile=large,
            requires=("numba",),
        )
        if op != "matmul":
            # Asked for by name: `AUTOMATIC` serves CUDA by BLAS, since nobody has yet timed the two on a device.
            target = f"kernels.cuda.{room}:{op}"
            register_builtin(
                op, "cuda", "cuda", target, dtypes=("float32",), supports=_positions_fit, requires=("numba",)
            )


_enter()
