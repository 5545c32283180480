"""Shapes, pieces and joins: what moves entries about and leaves their values alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kernels import device
from kernels.device import Array, array_module
from minigrad.tape import Variable, as_array, primitive


@primitive(samples=lambda r: [((r.normal(size=(2, 6)), (3, -1)), {}), ((r.normal(size=()), (1, 1)), {})], view=True)
def reshape(input: Array, shape: Sequence[int]) -> Array:
    """The entries in row-major order under another shape; one length may be -1."""
    return input.reshape(tuple(shape))


reshape.defvjp(lambda g, shapes: reshape(g, shapes[0]))


def axis_of(dim: int, ndim: int) -> int:
    """`dim` counted from the front. A 0-d tensor has one dimension here, as in PyTorch."""
    n = max(ndim, 1)
    if not -n <= dim < n:
        raise IndexError(f"dim {dim} is outside [{-n}, {n - 1}]")
    return dim % n


def _inverse(dims: Sequence[int]) -> tuple[int, ...]:
    order = [d % len(dims) for d in dims]
    return tuple(order.index(d) for d in range(len(dims)))


@primitive(samples=lambda r: [((r.normal(size=(2, 3, 4)), (2, 0, -2)), {})], view=True)
def permute(input: Array, dims: Sequence[int]) -> Array:
    """Dimension dims[k] of the input as dimension k."""
    return input.transpose(tuple(dims))


permute.defvjp(lambda g, dims: permute(g, _inverse(dims)))


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """The input with two dimensions exchanged."""
    order = list(range(as_array(input).ndim))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(input, tuple(order))


@primitive(
    samples=lambda r: [((r.normal(size=(3, 1)), (2, 3, 4)), {}), ((r.normal(size=(1, 3)), (2, -1)), {})],
    view=True,
)
def expand(input: Array, size: Sequence[int]) -> Array:
    """The input repeated along dimensions of length 1 and new leading ones, without a copy; -1 keeps a length."""
    lead = len(size) - input.ndim
    shape = tuple(input.shape[d - lead] if n == -1 and d >= lead else n for d, n in enumerate(size))
    return array_module(input).broadcast_to(input, shape)


expand.defvjp(lambda g: g)  # the sweep sums over what was repeated


def squeeze(input: Any, dim: int | tuple[int, ...] | None = None) -> Any:
    """The input without its dimensions of length 1, or without those among `dim`."""
    shape = as_array(input).shape
    dims = range(len(shape)) if dim is None else (dim,) if isinstance(dim, int) else dim
    drop = {axis_of(d, len(shape)) for d in dims}
    return reshape(input, tuple(n for d, n in enumerate(shape) if not (d in drop and n == 1)))


def unsqueeze(input: Any, dim: int) -> Any:
    """The input with a dimension of length 1 put in at `dim`."""
    shape = list(as_array(input).shape)
    if not -len(shape) - 1 <= dim <= len(shape):
        raise IndexError(f"unsqueeze: dim {dim} is outside [{-len(shape) - 1}, {len(shape)}]")
    shape.insert(dim % (len(shape) + 1), 1)
    return reshape(input, tuple(shape))


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Dimensions start_dim to end_dim as one."""
    shape = as_array(input).shape
    if not shape:
        return reshape(input, (1,))
    first, last = axis_of(start_dim, len(shape)), axis_of(end_dim, len(shape))
    joined = 1
    for n in shape[first : last + 1]:
        joined *= n
    return reshape(input, (*shape[:first], joined, *shape[last + 1 :]))


def _basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is Ellipsis or isinstance(p, (int, slice)) for p in parts)


def _raw_index(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_raw_index(p) for p in index)
    return index.data if isinstance(index, Variable) else index


def _beside(index: Any, input: Array) -> Any:
    """An index with its lists copied to the device of `input`; an array of another device is an error."""
    if isinstance(index, tuple):
        return tuple(_beside(p, input) for p in index)
    if isinstance(index, list):
        return device.asarray(np.asarray(index, None if index else np.int64), device.device_of(input))
    array_module(input, index)
    return index


@primitive(name="getitem", view=True, samples=lambda r: [
    ((r.normal(size=(3, 4)), (slice(None, None, 2), 1)), {}),
    ((r.normal(size=(3, 4)), ([0, 2, 0], [1, 1, 1])), {}),
])  # fmt: skip
def _getitem(input: Array, index: Any) -> Array:
    return input[_beside(index, input)]


@primitive(name="put_at", samples=lambda r: [((r.normal(size=3), ([0, 2, 0], [1, 1, 1]), (3, 4)), {})])
def _put_at(input: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` to which `input` is added at `index`: what indexing is undone by."""
    out = array_module(input).zeros(shape, input.dtype)
    if _basic(index):
        out[index] = input
    else:
        device.add_at(out, _beside(index, input), input)
    return out


_getitem.defvjp(lambda g, index, shapes: _put_at(g, index, shapes[0]))
_put_at.defvjp(lambda g, index: _getitem(g, index))


def getitem(input: Any, index: Any) -> Any:
    """input[index]: integers, slices, `...`, `None`, and integer or boolean tensors, arrays and lists."""
    return _getitem(input, _raw_index(index))


def gather(input: Any, dim: int, index: Any) -> Any:
    """out[i, j, …] = input[i, index[i, j, …], …], the index standing in dimension `dim`."""
    where, xp = as_array(index), array_module(as_array(input), as_array(index))
    dim = axis_of(dim, where.ndim)
    mesh = [
        where if d == dim else xp.arange(n).reshape([n if k == d else 1 for k in range(where.ndim)])
        for d, n in enumerate(where.shape)
    ]
    return _getitem(input, tuple(mesh))


def flip(input: Any, dims: int | Sequence[int]) -> Any:
    """The input in reverse order along `dims`."""
    ndim = as_array(input).ndim
    turned = {axis_of(d, ndim) for d in ((dims,) if isinstance(dims, int) else dims)}
    return _getitem(input, tuple(slice(None, None, -1 if d in turned else 1) for d in range(ndim)))


def _cat_vjp(g: Any, i: int, dim: int, shapes: Any) -> Any:
    axis = dim % g.ndim
    start = sum(s[axis] for s in shapes[:i])
    return _getitem(g, (slice(None),) * axis + (slice(start, start + shapes[i][axis]),))


@primitive(
    name="cat",
    promotes="same",
    samples=lambda r: [((r.normal(size=(2, 3)), r.normal(size=(2, 1))), {"dim": 1})],
)
def _cat(*tensors: Array, dim: int = 0) -> Array:
    return array_module(*tensors).concatenate(tensors, axis=dim)


_cat.defvjp(_cat_vjp)


def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """The tensors one after the other along `dim`."""
    return _cat(*tensors, dim=dim)


def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """The tensors side by side along a new dimension."""
    return _cat(*[unsqueeze(t, dim) for t in tensors], dim=dim)


def split(tensor: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Pieces along `dim`: of one size (the last may be smaller), or of the given sizes."""
    shape = as_array(tensor).shape
    axis, sizes = axis_of(dim, len(shape)), split_size_or_sections
    if isinstance(sizes, int):
        if sizes <= 0:
            raise ValueError(f"split: the size of a piece must be positive, not {sizes}")
        sizes = [min(sizes, shape[axis] - k) for k in range(0, shape[axis], sizes)] or [0]
    if sum(sizes) != shape[axis]:
        raise ValueError(f"split: sizes {list(sizes)} do not add up to {shape[axis]}, the length of dim {dim}")
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    lead = (slice(None),) * axis
    return tuple(_getitem(tensor, (*lead, slice(e - n, e))) for e, n in zip(ends, sizes, strict=True))


@primitive(name="pad", samples=lambda r: [((r.normal(size=(2, 3)), [(0, 0), (1, 2)], 0.5), {})])
def _pad(input: Array, widths: Sequence[tuple[int, int]], value: float) -> Array:
    return array_module(input).pad(input, widths, mode="constant", constant_values=value)


_pad.defvjp(lambda g, widths, shapes: _getitem(
    g, tuple(slice(a, a + n) for (a, _), n in zip(widths, shapes[0], strict=True))
))  # fmt: skip


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Any:
    """The input with `value` around it: `pad` counts (before, after) from the last dimension backwards.

    Negative counts cut off.
    """
    ndim = as_array(input).ndim
    if mode != "constant" or len(pad) % 2 or len(pad) > 2 * ndim:
        raise ValueError(f"pad: mode 'constant' and pairs for at most {ndim} dimensions, not {mode!r} and {list(pad)}")
    pairs = [(pad[k], pad[k + 1]) for k in range(0, len(pad), 2)][::-1]
    pairs = [(0, 0)] * (ndim - len(pairs)) + pairs
    if any(a < 0 or b < 0 for a, b in pairs):
        cut = tuple(slice(-min(a, 0), n + min(b, 0)) for (a, b), n in zip(pairs, as_array(input).shape, strict=True))
        input = _getitem(input, cut)
    return _pad(input, [(max(a, 0), max(b, 0)) for a, b in pairs], value)


@primitive(samples=lambda r: [((r.normal(size=(2, 3)), "float64"), {})])
def cast(input: Array, dtype: Any) -> Array:
    """The input in another dtype."""
    return input.astype(dtype)


cast.defvjp(lambda g: g)  # the sweep casts back


@primitive(samples=lambda r: [((r.normal(size=(2, 3)),), {})])
def clone(input: Array) -> Array:
    """A copy with memory of its own."""
    return input.copy()


clone.defvjp(lambda g: g)


@primitive(samples=lambda r: [((r.normal(size=(2, 3)), "cpu"), {})])
def transfer(input: Array, device: str) -> Array:
    """The input on another device; an explicit copy where it has to move."""
    return _move(input, device)


_move = device.to_device
transfer.defvjp(lambda g, input: transfer(g, device.device_of(as_array(input))))
