"""Products of matrices."""

from __future__ import annotations

from typing import Any

import kernels
from kernels.device import Array, array_module
from minigrad.rules.shape import reshape, transpose, unsqueeze
from minigrad.tape import Variable, as_array, primitive


@primitive(name="matmul", promotes="same", samples=lambda r: [
    ((r.normal(size=(3, 4)), r.normal(size=(4, 2))), {}),
    ((r.normal(size=(2, 1, 3, 4)), r.normal(size=(5, 4, 2))), {}),
])  # fmt: skip
def _matmul(input: Array, other: Array) -> Array:
    if input.ndim == other.ndim == 2:
        return kernels.matmul(input, other)
    return array_module(input, other).matmul(input, other)


_matmul.defvjp(
    lambda g, other: _matmul(g, transpose(other, -1, -2)),
    lambda g, input: _matmul(transpose(input, -1, -2), g),
)


def matmul(input: Any, other: Any) -> Any:
    """The matrix product; vectors and batches of matrices as in PyTorch."""
    a, b = as_array(input), as_array(other)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: both arguments need a dimension at least, not shapes {a.shape} and {b.shape}")
    left = unsqueeze(input, 0) if a.ndim == 1 else input
    right = unsqueeze(other, 1) if b.ndim == 1 else other
    out = _matmul(left, right)
    if a.ndim == 1:
        out = reshape(out, out.shape[:-2] + out.shape[-1:])
    return reshape(out, out.shape[:-1]) if b.ndim == 1 else out


@primitive(samples=lambda r: [
    ((r.normal(size=(3, 4)), r.normal(size=(2, 4)), r.normal(size=2)), {}),
    ((r.normal(size=(2, 3, 4)), r.normal(size=(2, 4))), {}),
])  # fmt: skip
def linear(input: Array, weight: Array, bias: Array | None = None) -> Array:
    """input @ weight.T + bias; input (…, in), weight (out, in), bias (out,)."""
    if input.shape[-1] != weight.shape[-1]:
        raise ValueError(f"the input's last length {input.shape[-1]} is not the weight's {weight.shape[-1]}")
    out = kernels.matmul(input.reshape(-1, input.shape[-1]), weight.T)
    if bias is not None:
        out += bias
    return out.reshape(*input.shape[:-1], weight.shape[0])


def _rows(x: Any) -> Any:
    return reshape(x, (-1, x.shape[-1])) if x.ndim != 2 else x


linear.defvjp(
    lambda g, weight, shapes: reshape(_matmul(_rows(g), weight), shapes[0]),
    lambda g, input: _matmul(transpose(_rows(g), 0, 1), _rows(input)),
    lambda g: g,
)


def _subscripts(equation: str, ndims: list[int]) -> tuple[list[str], str]:
    """Explicit labels for every dimension of the operands and the result; `...` becomes capitals."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ValueError(f"einsum: {len(ndims)} operands for the {len(terms)} terms of {equation!r}")
    spare = [c for c in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in equation]
    extra = [n - len(t.replace("...", "")) for n, t in zip(ndims, terms, strict=True)]
    wide = "".join(spare[: max([e for e, t in zip(extra, terms, strict=True) if "..." in t], default=0)])
    if not arrow:
        letters = sorted(c for c in set(left) if c.isalpha() and left.count(c) == 1)
        right = ("..." if "..." in left else "") + "".join(letters)
    terms = [t.replace("...", wide[len(wide) - e :]) for t, e in zip(terms, extra, strict=True)]
    return terms, right.replace("...", wide)


@primitive(name="einsum", promotes="same", samples=lambda r: [
    ((r.normal(size=(2, 3)), r.normal(size=(3, 4))), {"terms": ["ij", "jk"], "result": "ik"}),
    ((r.normal(size=(2, 3)), r.normal(size=(4,))), {"terms": ["ij", "k"], "result": "k"}),
])  # fmt: skip
def _einsum(*operands: Array, terms: list[str], result: str) -> Array:
    return array_module(*operands).einsum(",".join(terms) + "->" + result, *operands)


def _einsum_vjp(g: Any, i: int, operands: Any, terms: list[str], result: str, shapes: Any) -> Any:
    others = [k for k in range(len(terms)) if k != i]
    known = set(result).union(*(terms[k] for k in others))
    alone = [c for c in terms[i] if c not in known]  # summed over in this operand only: the product is constant there
    tensors, labels = [g, *(operands[k] for k in others)], [result, *(terms[k] for k in others)]
    if alone:
        lengths = tuple(n for n, c in zip(shapes[i], terms[i], strict=True) if c in alone)
        data = as_array(g)
        tensors.append(type(g)(array_module(data).ones(lengths, data.dtype)))
        labels.append("".join(alone))
    return _einsum(*tensors, terms=labels, result=terms[i])


_einsum.defvjp(_einsum_vjp)


def einsum(equation: str, *operands: Any) -> Any:
    """The sum of products that Einstein's notation states, such as "ij,jk->ik"; with `...`, not with lists."""
    terms, result = _subscripts(equation, [as_array(x).ndim for x in operands])
    tensors = [x if isinstance(x, Variable) else Variable.concrete(as_array(x)) for x in operands]
    for k, term in enumerate(terms):
        for c in dict.fromkeys(term):
            while terms[k].count(c) > 1:
                tensors[k], terms[k] = _diagonal(tensors[k], terms[k], c)
    return _einsum(*tensors, terms=terms, result=result)


def _diagonal(x: Any, term: str, c: str) -> tuple[Any, str]:
    """Two dimensions of the same label `c` as one, which comes first."""
    a = term.index(c)
    b = term.index(c, a + 1)
    rest = [d for d in range(x.ndim) if d not in (a, b)]
    moved = x.permute((a, b, *rest))
    i = array_module(x.data).arange(x.shape[a])
    return moved[i, i], c + "".join(term[d] for d in rest)
