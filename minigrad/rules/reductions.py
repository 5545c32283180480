"""Sums, means, extremes and softmax along dimensions. `dim` is an int, a tuple, or None for all."""

from __future__ import annotations

import math
from typing import Any

from kernels.device import Array, array_module
from minigrad.rules.arithmetic import maximum, minimum, sqrt
from minigrad.rules.elementwise import exp
from minigrad.rules.shape import axis_of, cat, expand, flip, reshape
from minigrad.tape import as_array, primitive

Dim = int | tuple[int, ...] | None


def _axes(dim: Dim, ndim: int) -> tuple[int, ...]:
    if dim is None:
        return tuple(range(ndim))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    return tuple(d % ndim if ndim and -ndim <= d < ndim else d for d in dims)


def _axis(dim: Dim) -> Any:
    return tuple(dim) if isinstance(dim, list) else dim


def restore(reduced: Any, dim: Dim, keepdim: bool, shape: tuple[int, ...]) -> Any:
    """Give a reduced tensor its lost dimensions back, with length 1."""
    if keepdim:
        return reduced
    axes = _axes(dim, len(shape))
    return reshape(reduced, tuple(1 if d in axes else n for d, n in enumerate(shape)))


def count(shape: tuple[int, ...], dim: Dim) -> int:
    """How many entries each result of a reduction of `shape` along `dim` comes from."""
    return math.prod(shape[d] for d in _axes(dim, len(shape)))


def _along(r: Any) -> list:
    x = r.normal(size=(2, 3, 4))
    return [((x,), {}), ((x, 1), {}), ((x, (0, -1), True), {})]


def _distinct(r: Any) -> list:
    x = r.permutation(24).reshape(2, 3, 4) * 0.3
    return [((x,), {}), ((x, 1), {}), ((x, (0, -1), True), {})]


def _counting(input: Array) -> Array:
    """Booleans and integers of every width as int64, so that adding them up does not overflow."""
    return input if input.dtype.kind == "f" else input.astype("int64")


@primitive(samples=_along)
def sum(input: Array, dim: Dim = None, keepdim: bool = False) -> Array:
    """The sum along `dim`; booleans and integers add up as integers."""
    return _counting(input).sum(axis=_axis(dim), keepdims=keepdim)


sum.defvjp(lambda g, dim, keepdim, shapes: expand(restore(g, dim, keepdim, shapes[0]), shapes[0]))


def mean(input: Any, dim: Dim = None, keepdim: bool = False) -> Any:
    """The mean along `dim` of a floating point tensor."""
    if as_array(input).dtype.kind != "f":
        raise TypeError(f"mean needs a floating point tensor, not {as_array(input).dtype}")
    n = count(input.shape, dim)
    return sum(input, dim, keepdim) * (1 / n if n else math.nan)


def var(
    input: Any,
    dim: Dim = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: int | None = None,
) -> Any:
    """sum (input - mean)^2 / (n - correction) along `dim`; correction 1 by default."""
    correction = int(unbiased) if correction is None else correction
    rest = count(input.shape, dim) - correction
    deviation = input - mean(input, dim, True)
    return sum(deviation * deviation, dim, keepdim) * (1 / rest if rest > 0 else math.nan if rest == 0 else math.inf)


def std(
    input: Any,
    dim: Dim = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: int | None = None,
) -> Any:
    """The square root of `var`; where that is 0 the derivative is 0, not infinite."""
    v = var(input, dim, unbiased, keepdim, correction=correction)
    still = (v == 0).to(v.dtype)
    return sqrt(v + still) - still


def _extreme_vjp(g: Any, input: Any, out: Any, dim: Dim, keepdim: bool, shapes: Any) -> Any:
    ties = (input == restore(out, dim, keepdim, shapes[0])).to(g.dtype)
    return restore(g, dim, keepdim, shapes[0]) * (ties / sum(ties, dim, True))


@primitive(samples=_distinct)
def amax(input: Array, dim: Dim = None, keepdim: bool = False) -> Array:
    """The largest entry along `dim`; ties share the gradient evenly."""
    return input.max(axis=_axis(dim), keepdims=keepdim)


amax.defvjp(_extreme_vjp)


@primitive(samples=_distinct)
def amin(input: Array, dim: Dim = None, keepdim: bool = False) -> Array:
    """The smallest entry along `dim`; ties share the gradient evenly."""
    return input.min(axis=_axis(dim), keepdims=keepdim)


amin.defvjp(_extreme_vjp)


def max(input: Any, other: Any = None) -> Any:
    """The largest entry of all, or with `other` the element-wise `maximum`."""
    return amax(input) if other is None else maximum(input, other)


def min(input: Any, other: Any = None) -> Any:
    """The smallest entry of all, or with `other` the element-wise `minimum`."""
    return amin(input) if other is None else minimum(input, other)


@primitive(samples=_along)
def logsumexp(input: Array, dim: Dim, keepdim: bool = False) -> Array:
    """log sum exp(input) along `dim`, without overflow."""
    xp = array_module(input)
    top = (input.max if input.size else input.sum)(axis=_axis(dim), keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0)
    out = xp.log(xp.exp(input - top).sum(axis=_axis(dim), keepdims=True)) + top
    return out if keepdim else out.squeeze(axis=_axis(dim))


logsumexp.samples = lambda r: [(a if len(a) > 1 else (a[0], 0), k) for a, k in _along(r)]
logsumexp.defvjp(
    lambda g, input, out, dim, keepdim, shapes: (
        restore(g, dim, keepdim, shapes[0]) * exp(input - restore(out, dim, keepdim, shapes[0]))
    )
)


@primitive(samples=lambda r: [((r.normal(size=(2, 3, 4)), 1), {}), ((r.normal(size=5), -1), {})])
def softmax(input: Array, dim: int) -> Array:
    """exp(input) / sum exp(input) along `dim`."""
    xp = array_module(input)
    if not input.size:
        return input.copy()
    e = xp.exp(input - input.max(axis=dim, keepdims=True))
    return e / e.sum(axis=dim, keepdims=True)


softmax.defvjp(lambda g, out, dim: out * (g - sum(g * out, dim, True)))


@primitive(samples=lambda r: [((r.normal(size=(2, 3, 4)), 1), {}), ((r.normal(size=5), -1), {})])
def log_softmax(input: Array, dim: int) -> Array:
    """input - logsumexp(input) along `dim`."""
    xp = array_module(input)
    if not input.size:
        return input.copy()
    shifted = input - input.max(axis=dim, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=dim, keepdims=True))


log_softmax.defvjp(lambda g, out, dim: g - exp(out) * sum(g, dim, True))


@primitive(samples=lambda r: [((r.normal(size=(3, 4)), 0), {}), ((r.normal(size=(3, 4)), -1), {})])
def cumsum(input: Array, dim: int) -> Array:
    """The running sum along `dim`."""
    return _counting(input).cumsum(axis=dim)


cumsum.defvjp(lambda g, dim: flip(cumsum(flip(g, dim), dim), dim))


def prod(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The product along one dimension, or of all entries.

    Pairs are multiplied in a tree, so the derivative is exact where entries are zero.
    """
    given = as_array(input)
    axis = 0 if dim is None else axis_of(dim, given.ndim)
    x = reshape(input, given.shape if dim is not None and given.ndim else (-1,))
    if x.dtype.kind != "f":
        x = x.to("int64")
    where_, length = (slice(None),) * axis, x.shape[axis]
    if length == 0:
        filled = array_module(x.data).ones((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)
        x = as_like(filled, x)
    while x.shape[axis] > 1:
        half = x.shape[axis] // 2
        pairs = x[(*where_, slice(0, 2 * half, 2))] * x[(*where_, slice(1, 2 * half, 2))]
        odd = x[(*where_, slice(2 * half, None))]
        x = cat([pairs, odd], axis) if odd.shape[axis] else pairs
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    if keepdim:
        shape = (1,) * given.ndim if dim is None or not given.ndim else x.shape
    return reshape(x, shape)


def as_like(data: Array, like: Any) -> Any:
    """A constant tensor of the class of `like`."""
    return type(like)(data)


@primitive(name="any")
def _any(input: Array, dim: Dim = None, keepdim: bool = False) -> Array:
    """Whether any entry along `dim` is not zero, as booleans."""
    return input.any(axis=_axis(dim), keepdims=keepdim)


@primitive(name="all")
def _all(input: Array, dim: Dim = None, keepdim: bool = False) -> Array:
    """Whether no entry along `dim` is zero, as booleans."""
    return input.all(axis=_axis(dim), keepdims=keepdim)


@primitive
def argmax(input: Array, dim: int | None = None, keepdim: bool = False) -> Array:
    """The index of the largest entry, the first one among equals; into the flattened tensor without `dim`."""
    return _arg(input, "argmax", dim, keepdim)


@primitive
def argmin(input: Array, dim: int | None = None, keepdim: bool = False) -> Array:
    """The index of the smallest entry, the first one among equals; into the flattened tensor without `dim`."""
    return _arg(input, "argmin", dim, keepdim)


def _arg(input: Array, name: str, dim: int | None, keepdim: bool) -> Array:
    xp = array_module(input)
    found = xp.asarray(getattr(input, name)(axis=dim))
    if not keepdim:
        return found
    return found.reshape((1,) * input.ndim) if dim is None else xp.expand_dims(found, dim)


@primitive
def argsort(input: Array, dim: int = -1, descending: bool = False) -> Array:
    """The indices that sort `input` along `dim`; equal entries keep their order."""
    xp = array_module(input)
    if not descending:
        return xp.argsort(input, axis=dim, kind="stable")
    last = input.shape[dim] - 1
    return last - xp.flip(xp.argsort(xp.flip(input, dim), axis=dim, kind="stable"), dim)


for _rule in (_any, _all, argmax, argmin, argsort):
    _rule.defvjp(None)
any, all = _any, _all
