"""What is wrong with a wrong Jacobian: the patterns that mistakes in gradients leave. NumPy only."""

from __future__ import annotations

import numpy as np

_CLOSE = 1e-3


def pattern(analytic: np.ndarray, numerical: np.ndarray, wrong: np.ndarray | None, shape: tuple[int, ...]) -> str:
    """Name the mistake that turns `numerical` into `analytic`, or return `"no known pattern"`.

    `analytic`, `numerical` and `wrong` (which entries disagree) have shape (outputs, inputs), flat; the
    argument itself has `shape`. Where they are products with random directions `wrong` is `None` and only
    a sign or a factor can be told. In the order tried: no gradient at all, wrong sign, constant factor,
    transposed, one index of one axis only (a channel), border only.
    """
    if not np.isfinite(analytic).all():
        return "the gradient holds NaN or infinity"
    if not np.isfinite(numerical).all():
        return "the function itself gives NaN or infinity near this point"
    found = _factor(analytic, numerical)
    if not found and wrong is not None:
        found = _transposed(analytic, numerical, shape) or _place(wrong.any(axis=0).reshape(shape))
    return found or "no known pattern"


def _factor(analytic: np.ndarray, numerical: np.ndarray) -> str:
    scale = float(np.sum(numerical * numerical))
    if scale == 0.0:
        return ""
    if not analytic.any():
        return "no gradient arrives (it is zero everywhere)"
    factor = float(np.sum(analytic * numerical)) / scale
    if np.max(np.abs(analytic - factor * numerical)) > _CLOSE * np.max(np.abs(analytic)):
        return ""
    if abs(factor + 1) < _CLOSE:
        return "wrong sign"
    return f"constant factor: the gradient is {factor:.4g} times the right one"


def _transposed(analytic: np.ndarray, numerical: np.ndarray, shape: tuple[int, ...]) -> str:
    if len(shape) < 2 or shape[-1] != shape[-2]:
        return ""
    turned = analytic.reshape(-1, *shape).swapaxes(-1, -2).reshape(analytic.shape)
    close = np.max(np.abs(turned - numerical)) <= _CLOSE * np.max(np.abs(numerical))
    return "transposed: the last two axes of the gradient are exchanged" if close else ""


def _place(wrong: np.ndarray) -> str:
    """Where the wrong entries of the argument lie."""
    if wrong.all():
        return ""
    for axis, size in enumerate(wrong.shape):
        hit = np.flatnonzero(wrong.any(axis=tuple(a for a in range(wrong.ndim) if a != axis)))
        border = axis >= max(1, wrong.ndim - 2) and hit[0] in (0, size - 1)
        if len(hit) == 1 and size > 1 and not border:
            name = "one channel only: " if axis == 1 else ""
            return f"{name}all wrong entries have index {hit[0]} of axis {axis} (of {size})"
    inner = tuple(slice(1, -1) if a >= wrong.ndim - 2 else slice(None) for a in range(wrong.ndim))
    if wrong[inner].size and not wrong[inner].any():
        return "border only: every wrong entry lies on the edge of the last two axes"
    return ""


def missing_unbroadcast(got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Say how a gradient of shape `got` differs from its argument's shape `wanted`."""
    text = f"the gradient has shape {got}, the argument {wanted}"
    padded = (1,) * (len(got) - len(wanted)) + wanted
    if len(got) >= len(wanted) and all(w in (1, g) for g, w in zip(got, padded, strict=True)):
        return text + ": not un-broadcast (sum over the axes along which the argument was repeated)"
    if got == wanted[::-1]:
        return text + ": transposed"
    return text
