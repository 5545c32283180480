"""Every function against PyTorch: values, gradients, second derivatives, types, edge cases.

A row of a table is one call: a name, its arguments and settings. NumPy arrays among the arguments become
tensors on both sides, floating ones differentiable. Each row is run in float64 (value, gradient and the
gradient's gradient), in float32 (value), and once more on arrays that are not contiguous.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from witnesses import witness

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn import functional as F

torch = witness("torch")
pytestmark = pytest.mark.peers

TF = torch.nn.functional
TOLERANCE = {"float64": {"rtol": 1e-10, "atol": 1e-11}, "float32": {"rtol": 2e-5, "atol": 2e-6}}


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng([seed, *shape]).normal(size=shape))


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng([seed, *shape]).uniform(0.3, 2.0, size=shape))


def integers(high: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng([seed, *shape]).integers(0, high, size=shape))


def distinct(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).permutation(math.prod(shape)).reshape(shape) * 0.25 - 1.1


class Row(NamedTuple):
    name: str
    args: tuple
    kwargs: dict
    grad: bool = True

    def __str__(self) -> str:
        settings = [f"{k}={brief(v)}" for k, v in self.kwargs.items()]
        return f"{self.name}({', '.join([*map(brief, self.args), *settings])})"


class Fixed(np.ndarray):
    """A floating argument that PyTorch does not differentiate."""


def fixed(array: np.ndarray) -> np.ndarray:
    return array.view(Fixed)


def brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype.kind}{list(value.shape)}"
    if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) for v in value):
        return f"[{', '.join(map(brief, value))}]"
    return repr(value)


ROWS: list[Row] = []


def row(name: str, *args: Any, grad: bool = True, **kwargs: Any) -> None:
    ROWS.append(Row(name, args, kwargs, grad))


# -- element by element -------------------------------------------------------------------------------------

SHAPES = [(), (0,), (2, 0, 3), (5,), (2, 3, 4)]
for shape in SHAPES:
    for name in ("neg", "exp", "expm1", "erf", "square", "abs", "sin", "cos", "tanh", "sigmoid"):
        row(name, normal(*shape))
    row("sign", normal(*shape), grad=False)  # a constant here, a derivative of 0 there
    for name in ("relu", "leaky_relu", "elu", "softplus", "silu", "gelu"):
        row(name, np.asarray(normal(*shape) * 2))
    for name in ("log", "log1p", "sqrt", "rsqrt"):
        row(name, positive(*shape))
    row("clamp", normal(*shape), -0.5, 0.7)
    row("softmax", normal(*(shape or (3,))), -1)
    row("log_softmax", normal(*(shape or (3,))), 0)
row("leaky_relu", normal(3, 4), 0.3)
row("elu", normal(3, 4), 0.4)
row("softplus", normal(3, 4) * 20, 2.0, 10.0)
row("gelu", normal(3, 4), approximate="tanh")
row("clamp", normal(3, 4), min=0.1)
row("clamp", normal(3, 4), max=0.1)
row("clamp", integers(9, 3, 4), 2, 5)
row("abs", integers(9, 4) - 4)
row("sign", integers(9, 4) - 4)
row("neg", integers(9, 4))
row("square", integers(9, 4))
row("relu", integers(9, 4) - 4)
for name in ("exp", "log1p", "sqrt", "tanh", "sigmoid", "sin"):
    row(name, integers(9, 4))

PAIRS = [
    ((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 1), (1, 3)), ((), (2, 3)), ((2, 3), ()), ((), ()), ((1,), ()),
    ((0,), (1,)), ((2, 0, 1), (3,)), ((1, 4, 1), (3, 1, 2)),
]  # fmt: skip
for a, b in PAIRS:
    for name in ("add", "sub", "mul"):
        row(name, normal(*a), normal(*b, seed=1))
    row("div", normal(*a), positive(*b, seed=1))
    row("pow", positive(*a), normal(*b, seed=1))
    for name in ("maximum", "minimum"):
        row(name, normal(*a), normal(*b, seed=1))
    row("where", np.asarray(normal(*a, seed=2) > 0), normal(*a), normal(*b, seed=1))
for number in (2, -3, 0, 1, 0.5, -1.5):
    row("pow", positive(3, 4), number)
    row("pow", number if number > 0 else 2, normal(3))
    row("mul", normal(3), number)
    row("add", number, normal(3))
    row("where", normal(3) > 0, normal(3), number)
row("pow", -positive(3), 3)
row("pow", integers(5, 3), 2)
row("pow", integers(5, 3), integers(3, 3, seed=1))
row("div", integers(5, 3), integers(5, 3, seed=1) + 1)
row("where", normal(2, 1) > 0, normal(3), normal(2, 3))

# -- reductions ---------------------------------------------------------------------------------------------

for dim in (None, 0, -1, (0, 2), (-1, -3), (0, 1, 2)):
    for keepdim in (False, True):
        for name in ("sum", "mean", "var", "std", "amax", "amin", "logsumexp", "any", "all"):
            if dim is None and (keepdim or name == "logsumexp"):
                continue
            settings = {} if dim is None else {"dim": dim, "keepdim": keepdim}
            x = distinct(2, 3, 4) if name in ("amax", "amin") else normal(2, 3, 4)
            row(name, x > 0.4 if name in ("any", "all") else x, **settings)
        if not isinstance(dim, tuple):
            for name in ("prod", "argmax", "argmin"):
                if dim is not None or not keepdim:
                    row(name, normal(2, 3, 4), **({} if dim is None else {"dim": dim, "keepdim": keepdim}))
for name in ("sum", "mean", "prod", "amax", "amin", "max", "min"):
    row(name, normal())
for name in ("max", "min"):
    row(name, distinct(3, 4))
    row(name, integers(9, 3, 4))
    row(name, normal(3, 4), normal(4, seed=1))
for name in ("any", "all", "sum", "prod", "argmax"):
    row(name, integers(3, 2, 4))
    row(name, integers(3, 2, 4), dim=1)
for name in ("sum", "prod"):
    row(name, normal(0), grad=name == "sum")  # of nothing: a constant here
    row(name, normal(2, 0, 3), dim=1, grad=name == "sum")
    row(name, normal(3) > 0)
    row(name, normal(), dim=0)
for name in ("any", "all"):
    row(name, normal(0) > 0)
row("sum", normal(2, 0, 3), dim=(0, 2), keepdim=True)
row("mean", normal(0, 3), dim=1)
row("var", normal(3, 4), 1, False)
row("std", normal(3, 4), 1, False, True)
row("var", normal(3, 4), dim=1, correction=0)
row("std", normal(3, 4), dim=(0, 1), correction=2)
for dim in (0, 1, -1):
    row("cumsum", normal(2, 3, 4), dim)
    row("softmax", normal(2, 3, 4), dim)
    row("log_softmax", normal(2, 3, 4), dim)
    row("argsort", normal(2, 3, 4), dim)
    row("argsort", normal(2, 3, 4), dim, descending=True)
row("cumsum", normal(0), 0)
row("logsumexp", normal(0, 3), 1)
row("softmax", normal(2, 0, 3), 1)
row("cumsum", integers(5, 4), 0)
row("cumsum", normal(3) > 0, 0)
row("argsort", normal(5))
row("prod", np.array([1.5, 0.0, -2.0, 3.0]))
row("prod", np.array([[0.0, 0.0, 2.0], [1.0, 0.0, 3.0], [4.0, 5.0, 6.0]]), dim=1)

# -- shapes, pieces, joins ----------------------------------------------------------------------------------

row("reshape", normal(2, 6), (3, 4))
row("reshape", normal(2, 6), (-1, 3))
row("reshape", normal(), (1, 1))
row("reshape", normal(0, 3), (3, 0))
row("reshape", normal(1), ())
row("transpose", normal(2, 3, 4), 0, -1)
row("permute", normal(2, 3, 4), (2, 0, 1))
row("permute", normal(2, 3, 4), (-1, 1, 0))
row("expand", normal(3, 1), (2, 3, 4))
row("expand", normal(3, 1), (-1, 5))
row("expand", normal(), (2, 2))
row("squeeze", normal(1, 3, 1))
row("squeeze", normal(1, 3, 1), 0)
row("squeeze", normal(1, 3, 1), 1)
row("squeeze", normal(1, 3, 1), (0, -1))
row("unsqueeze", normal(2, 3), 0)
row("unsqueeze", normal(2, 3), -1)
row("unsqueeze", normal(), 0)
row("flip", normal(2, 3), (0, 1))
row("flip", normal(2, 3), (-1,))
row("cat", [normal(2, 3), normal(1, 3)])
row("cat", [normal(2, 3), normal(2, 0), normal(2, 1)], 1)
row("cat", [normal(2, 3), normal(2, 3, seed=1)], dim=-1)
row("cat", [normal(2), integers(3, 2)])
for dim in (0, 1, -1):
    row("stack", [normal(2, 3), normal(2, 3, seed=1)], dim)
row("stack", [normal(), normal(seed=1)])
row("split", normal(5, 2), 2)
row("split", normal(2, 5), [1, 4], 1)
row("split", normal(2, 5), 3, dim=-1)
row("split", normal(0, 2), 2)
row("pad", normal(2, 3), (1, 2))
row("pad", normal(2, 3), (1, 2, 0, 1), value=0.5)
row("pad", normal(2, 3), (-1, 1))
row("pad", normal(2, 3, 4), (0, 0, 1, 1, 2, 0), "constant", 2.0)
for index in (
    0, -1, slice(None), slice(1, None, 2), slice(0, 0), ..., None, (0, 1), (slice(None), 2), (..., 1),
    (None, 1, ..., None), (slice(None), slice(1, 3), 0), [0, 2, 0], ([0, 2, 0], [1, 1, 1]),
    (slice(None), [1, 0]), ([2, 0], slice(None), [1, 1]), ([0, 1], None, 1),
):  # fmt: skip
    row("getitem", normal(3, 4, 2), index)
row("getitem", normal(3, 4), integers(3, 2, 2))
row("getitem", normal(3, 4), normal(3, 4, seed=1) > 0)
row("getitem", normal(3, 4), normal(3, seed=1) > 0)
row("getitem", normal(3, 4), (integers(3, 2), integers(4, 2)))
row("getitem", normal(3), np.zeros(0, np.int64))
row("getitem", normal(), ())
row("gather", normal(3, 4), 1, integers(4, 3, 2))
row("gather", normal(3, 4), 0, integers(3, 2, 4))
row("gather", normal(3, 4), -1, integers(4, 2, 6))
row("gather", normal(4), 0, integers(4, 7))
row("flatten", normal(2, 3, 4))
row("flatten", normal(2, 3, 4), 1)
row("flatten", normal())

# -- products -----------------------------------------------------------------------------------------------

for a, b in (
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)), ((3,), (2, 3, 4)), ((2, 4, 3), (3,)), ((0, 3), (3, 2)), ((2, 0), (0, 3)),
    ((0,), (0,)),
):  # fmt: skip
    row("matmul", normal(*a), normal(*b, seed=1))
for equation, *shapes in (
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
    ("i,j->ij", (2,), (3,)), ("ii->i", (3, 3)), ("ii", (3, 3)), ("ij->ji", (2, 3)), ("ij->", (2, 3)),
    ("ijk->k", (2, 3, 4)), ("i,i->", (3,), (3,)), ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("ij,ij->ij", (2, 3), (2, 3)), ("ij,j->i", (2, 3), (3,)), ("...ij,...jk->...ik", (2, 2, 3), (2, 3, 2)),
    ("...i->...", (2, 3)), ("b i, b i -> b", (2, 3), (2, 3)), ("ba", (2, 3)), ("i,ij->j", (1,), (4, 3)),
):  # fmt: skip
    if (equation, *shapes) != ("i,ij->j", (1,), (4, 3)):
        row("einsum", equation, *[normal(*s, seed=i) for i, s in enumerate(shapes)])
for lead in ((), (2,), (2, 5), (0,)):
    row("linear", normal(*lead, 3), normal(4, 3, seed=1))
    row("linear", normal(*lead, 3), normal(4, 3, seed=1), normal(4, seed=2))

# -- images -------------------------------------------------------------------------------------------------

for x, w, settings in (
    ((2, 3, 6, 7), (4, 3, 3, 2), {}),
    ((2, 3, 6, 7), (4, 3, 3, 2), {"stride": 2, "padding": 1}),
    ((2, 2, 7, 8), (3, 2, 4, 4), {"stride": (2, 3), "padding": (1, 2)}),
    ((1, 1, 5, 5), (1, 1, 5, 5), {}),
    ((2, 3, 4, 4), (5, 3, 1, 1), {}),
    ((2, 3, 5, 5), (2, 3, 2, 2), {"stride": 3}),
    ((0, 3, 6, 6), (4, 3, 3, 3), {"padding": 1}),
):
    row("conv2d", normal(*x), normal(*w, seed=1), **settings)
    row("conv2d", normal(*x), normal(*w, seed=1), normal(w[0], seed=2), **settings)
for x, w, settings in (
    ((2, 3, 4, 5), (3, 2, 3, 2), {}),
    ((2, 3, 4, 5), (3, 2, 4, 4), {"stride": 2, "padding": 1}),
    ((2, 2, 3, 4), (2, 3, 4, 5), {"stride": (2, 3), "padding": (1, 2)}),
    ((1, 1, 1, 1), (1, 1, 5, 5), {}),
    ((2, 3, 2, 2), (3, 2, 2, 2), {"stride": 3}),
    ((2, 3, 4, 4), (3, 2, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((0, 3, 4, 4), (3, 2, 3, 3), {}),
):
    row("conv_transpose2d", normal(*x), normal(*w, seed=1), **settings)
    row("conv_transpose2d", normal(*x), normal(*w, seed=1), normal(w[1], seed=2), **settings)
for settings in (
    {"kernel_size": 2}, {"kernel_size": (2, 3), "stride": 1}, {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)},
):  # fmt: skip
    row("max_pool2d", distinct(2, 3, 6, 7), **settings)
    row("avg_pool2d", normal(2, 3, 6, 7), **settings)
for shape in ((4, 3), (4, 3, 2), (2, 3, 4, 5)):
    affine = normal(3, seed=1), normal(3, seed=2)
    row("batch_norm", normal(*shape), None, None, None, None, True)
    row("batch_norm", normal(*shape), None, None, *affine, True, eps=1e-3)
    statistics = np.array([0.1, -0.2, 0.3]), np.array([0.5, 1.0, 2.0])
    row("batch_norm", normal(*shape), *map(fixed, statistics), *affine, False)

# -- lookups, noise, losses ---------------------------------------------------------------------------------

row("embedding", integers(5, 2, 3), normal(5, 4))
row("embedding", np.zeros((0,), np.int64), normal(5, 4))
row("one_hot", integers(5, 2, 3), 5)
row("one_hot", integers(5, 4))
row("one_hot", np.array(2), 4)
row("dropout", normal(3, 4), 0.5, False)
row("dropout", normal(3, 4), 0.0)
row("dropout", normal(3, 4), 1.0)
for reduction in ("mean", "sum", "none"):
    row("mse_loss", normal(3, 4), normal(3, 4, seed=1), reduction=reduction)
    logits = normal(3, 4) * 3
    targets = np.random.default_rng(0).uniform(size=(3, 4))
    row("binary_cross_entropy_with_logits", logits, targets, reduction=reduction)
    row("cross_entropy", normal(4, 5), integers(5, 4), reduction=reduction)
    row("cross_entropy", normal(2, 5, 3), integers(5, 2, 3), reduction=reduction)
    row("nll_loss", -positive(4, 5), integers(5, 4), reduction=reduction)
    row("nll_loss", -positive(2, 5, 3), integers(5, 2, 3), reduction=reduction)
    row("gaussian_nll_loss", normal(3, 4), normal(3, 4, seed=1), positive(3, 4), reduction=reduction)
row("binary_cross_entropy_with_logits", normal(3, 4), targets, pos_weight=fixed(positive(4)))
row("binary_cross_entropy_with_logits", normal(3, 4), targets, weight=fixed(positive(4)))
row("binary_cross_entropy_with_logits", np.array([-800.0, 800.0, 0.0]), np.array([0.0, 1.0, 0.5]))
row("cross_entropy", normal(5), np.array(3))
row("cross_entropy", normal(4, 5), positive(4, 5) / 6)
row("cross_entropy", normal(4, 5), integers(5, 4), weight=fixed(positive(5)))
row("cross_entropy", normal(4, 5), integers(5, 4), label_smoothing=0.1)
row("cross_entropy", normal(4, 5), np.array([1, -100, 2, 0]))
row("cross_entropy", normal(4, 5), np.array([1, 3, 2, 0]), ignore_index=3)
row("cross_entropy", normal(4, 5), np.array([1, -100, 2, 0]), weight=fixed(positive(5)), label_smoothing=0.2)
row("cross_entropy", normal(2, 5, 3), integers(5, 2, 3), fixed(positive(5)), label_smoothing=0.2, reduction="sum")
row("cross_entropy", normal(2, 5, 3), positive(2, 5, 3), fixed(positive(5)), label_smoothing=0.2)
row("nll_loss", normal(5), np.array(2), fixed(positive(5)))
row("nll_loss", -positive(4, 5), integers(5, 4), weight=fixed(positive(5)))
row("nll_loss", -positive(4, 5), np.array([1, -100, 2, 0]))
row("gaussian_nll_loss", normal(3, 4), normal(3, 4, seed=1), positive(3, 1), full=True)
row("gaussian_nll_loss", normal(3, 4), normal(3, 4, seed=1), positive(3), eps=1e-3)

# -- comparisons --------------------------------------------------------------------------------------------

COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
for name, (a, b) in itertools.product(COMPARISONS, [((3, 4), (4,)), ((), (2,)), ((0,), (1,)), ((), ())]):
    row(name, integers(3, *a), integers(3, *b, seed=1))
for name in COMPARISONS:
    row(name, normal(4), 0.1)
    row(name, normal(4), integers(3, 4))

OTHERWISE_IN_TORCH = {
    "getitem": lambda x, i: x[i],
    "expand": lambda x, size: x.expand(size),
    "any": lambda x, **k: torch.any(x, **k),
}


def ours(name: str) -> Callable:
    return getattr(F, name) if hasattr(F, name) else getattr(mg, name)


def theirs(name: str) -> Callable:
    if name in OTHERWISE_IN_TORCH:
        return OTHERWISE_IN_TORCH[name]
    return getattr(torch, name) if hasattr(torch, name) and not hasattr(TF, name) else getattr(TF, name)


def dtype_of(x: Any) -> str:
    return str(x.dtype).removeprefix("torch.")


def scattered(x: np.ndarray) -> np.ndarray:
    """The same values in memory that is neither contiguous nor in order."""
    if x.ndim == 0:
        return x
    wide = np.zeros([2 * n for n in x.shape][::-1], x.dtype).T
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


class Side:
    """One of the two libraries: makes tensors, runs a call, and differentiates twice."""

    def __init__(self, library: str, dtype: str, scatter: bool = False) -> None:
        self.library, self.dtype, self.scatter = library, dtype, scatter
        self.leaves: list[Any] = []

    def lift(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) for v in value):
            return type(value)(map(self.lift, value))
        if not isinstance(value, np.ndarray):
            return value
        floating = value.dtype.kind == "f" and not isinstance(value, Fixed)
        array = np.array(value.astype(self.dtype) if value.dtype.kind == "f" else value)
        if self.library == "torch":
            tensor = torch.tensor(array, requires_grad=floating)
        else:
            tensor = mg.tensor(scattered(array) if self.scatter else array, requires_grad=floating)
        if floating:
            self.leaves.append(tensor)
        return tensor

    def call(self, function: Callable, row: Row) -> list[Any]:
        out = function(*map(self.lift, row.args), **{k: self.lift(v) for k, v in row.kwargs.items()})
        return list(out) if isinstance(out, (tuple, list)) else [out]

    def constant(self, array: np.ndarray) -> Any:
        return torch.tensor(array) if self.library == "torch" else mg.tensor(array)

    def grad(self, outputs: list[Any], seed: int, create_graph: bool) -> list[Any]:
        """Gradients of every leaf under random cotangents; zeros where there is no way."""
        pairs = [
            (y, self.constant(np.asarray(normal(*y.shape, seed=seed + i), self.dtype)))
            for i, y in enumerate(outputs)
            if y.requires_grad
        ]
        if not pairs or not self.leaves:
            return [np.zeros(tuple(x.shape)) for x in self.leaves]
        grad = torch.autograd.grad if self.library == "torch" else mg.grad
        given = grad(
            [y for y, _ in pairs], self.leaves, [c for _, c in pairs], create_graph=create_graph, allow_unused=True
        )  # fmt: skip
        return [np.zeros(tuple(x.shape)) if g is None else g for g, x in zip(given, self.leaves, strict=True)]


def numpy_of(x: Any) -> np.ndarray:
    if isinstance(x, torch.Tensor):
        return x.numpy(force=True)
    return x if isinstance(x, np.ndarray) else x.detach().numpy()


def agree(mine: list[Any], reference: list[Any], what: str, **asked: float) -> None:
    assert len(mine) == len(reference), what
    for a, b in zip(mine, reference, strict=True):
        tolerance = TOLERANCE["float32"] if dtype_of(b) == "float32" else asked
        assert tuple(a.shape) == tuple(b.shape), what
        assert dtype_of(a) == dtype_of(b), what
        np.testing.assert_allclose(numpy_of(a), numpy_of(b), err_msg=what, equal_nan=True, **tolerance)


def compare(row: Row, mine: Callable, reference: Callable, dtype: str, orders: int, scatter: bool = False) -> None:
    us, them = Side("minigrad", dtype, scatter), Side("torch", dtype)
    y, t = us.call(mine, row), them.call(reference, row)
    tolerance = TOLERANCE[dtype]
    agree(y, t, f"{row}: value", **tolerance)
    if row.grad:
        assert [a.requires_grad for a in y] == [b.requires_grad for b in t], row
    if orders >= 1 and row.grad:
        twice = orders == 2
        g, h = us.grad(y, 10, twice), them.grad(t, 10, twice)
        agree(g, h, f"{row}: gradient", **tolerance)
        if twice:
            live = [isinstance(b, torch.Tensor) and b.requires_grad for b in h]
            g = [a for a, keep in zip(g, live, strict=True) if keep]
            h = [b for b, keep in zip(h, live, strict=True) if keep]
            g, h = us.grad(g, 20, False), them.grad(h, 20, False)
            agree(g, h, f"{row}: second derivative", **tolerance)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_value_gradient_and_second_derivative(row):
    compare(row, ours(row.name), theirs(row.name), "float64", 2)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_float32_value_and_type(row):
    compare(row, ours(row.name), theirs(row.name), "float32", 0)


SCATTERED = [r for r in ROWS if any(isinstance(a, np.ndarray) and a.ndim > 1 for a in r.args)]


@pytest.mark.parametrize("row", SCATTERED, ids=str)
def test_arrays_that_are_not_contiguous(row):
    compare(row, ours(row.name), theirs(row.name), "float64", 1, scatter=True)


METHODS = [
    r for r in ROWS if r.args and isinstance(r.args[0], np.ndarray) and hasattr(torch.Tensor, r.name)
    and r.name not in ("where",)
]  # fmt: skip


@pytest.mark.parametrize("row", METHODS, ids=str)
def test_as_a_method(row):
    compare(row, getattr(mg.Tensor, row.name), getattr(torch.Tensor, row.name), "float64", 1)


PROMISED = """
    add sub mul div neg pow exp expm1 log log1p sqrt rsqrt square abs sign sin cos tanh sigmoid relu leaky_relu
    elu softplus silu gelu clamp maximum minimum where sum mean var std amax amin logsumexp cumsum softmax
    log_softmax reshape transpose permute expand squeeze unsqueeze flip cat stack split pad getitem gather
    matmul einsum linear conv2d conv_transpose2d batch_norm max_pool2d avg_pool2d dropout embedding one_hot
    mse_loss binary_cross_entropy_with_logits cross_entropy nll_loss gaussian_nll_loss argmax argsort any all
    prod
"""


def test_every_function_has_a_row():
    assert set(PROMISED.split()) | set(F.__all__) <= {r.name for r in ROWS}


# -- operators ----------------------------------------------------------------------------------------------

OPERATORS: dict[str, Callable] = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    "a / b": lambda a, b: a / b,
    "a ** b": lambda a, b: (a * a + 0.1) ** b,
    "a @ b.T": lambda a, b: a @ b.T,
    "-a + abs(b)": lambda a, b: -a + abs(b),
    "2 - a": lambda a, b: 2 - a,
    "2 / b": lambda a, b: 2 / b,
    "2 ** a": lambda a, b: 2**a,
    "3 + a * 2": lambda a, b: 3 + a * 2,
    "a[0] + b[:, 1:2]": lambda a, b: a[0] + b[:, 1:2],
    "a.T": lambda a, b: a.T @ b,
    "a > b": lambda a, b: a > b,
    "a <= 0": lambda a, b: a <= 0,
    "a == b": lambda a, b: a == b,
    "a != b": lambda a, b: a != b,
    "0 < a": lambda a, b: 0 < a,  # noqa: SIM300
    "a.view": lambda a, b: a.reshape(2, 6) * 1,
    "reshape many": lambda a, b: a.reshape(6, 2),
    "permute many": lambda a, b: a.permute(1, 0),
    "expand many": lambda a, b: a[:1].expand(5, 4),
    "flip many": lambda a, b: a.flip(0, 1),
    "max of all": lambda a, b: a.max(),
    "min of all": lambda a, b: a.min(),
    "float": lambda a, b: (a > 0).sum() * b,
    "detach": lambda a, b: a.detach() * b,
    "clone": lambda a, b: a.clone() * b,
}


@pytest.mark.parametrize("function", OPERATORS.values(), ids=OPERATORS)
def test_operators(function):
    compare(Row("operator", (normal(3, 4), positive(3, 4)), {}), function, function, "float64", 2)


# -- where derivatives jump or vanish -----------------------------------------------------------------------

inf, nan = math.inf, math.nan
KINKS = [
    Row("relu", (np.array([0.0, -0.0, 1.0]),), {}),
    Row("leaky_relu", (np.array([0.0, -0.0, 1.0]), 0.1), {}),
    Row("elu", (np.array([0.0, -800.0, 800.0]),), {}),
    Row("abs", (np.array([0.0, -0.0]),), {}),
    Row("sign", (np.array([0.0, -0.0, inf]),), {}, False),
    Row("clamp", (np.array([-1.0, 1.0, 0.0, 2.0]), -1.0, 1.0), {}),
    Row("maximum", (np.array([1.0, 2.0]), np.array([1.0, 3.0])), {}),
    Row("minimum", (np.array([1.0, 2.0]), np.array([1.0, 3.0])), {}),
    Row("maximum", (np.array([nan, 2.0]), np.array([1.0, nan])), {}, False),
    Row("amax", (np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), 1), {}),
    Row("amin", (np.array([[1.0, 1.0, 3.0], [2.0, 2.0, 2.0]]),), {}),
    Row("sqrt", (np.array([0.0, 1.0]),), {}),
    Row("log", (np.array([0.0, -1.0, inf]),), {}),
    Row("pow", (np.array([0.0, -2.0]), 2), {}),
    Row("pow", (np.array([0.0, -2.0]), 1), {}),
    Row("pow", (np.array([0.0, -2.0]), 0), {}),
    Row("pow", (np.array([0.0, 2.0, 0.0]), np.array([2.0, 0.0, 0.0])), {}),
    Row("sigmoid", (np.array([-1000.0, 1000.0, 0.0]),), {}),
    Row("tanh", (np.array([-1000.0, 1000.0]),), {}),
    Row("softplus", (np.array([-1000.0, 1000.0, 20.0, 20.1]),), {}),
    Row("silu", (np.array([-1000.0, 1000.0]),), {}),
    Row("gelu", (np.array([-50.0, 50.0]),), {}),
    Row("logsumexp", (np.array([[-inf, 0.0], [1000.0, 1000.0], [-1000.0, -1001.0]]), 1), {}),
    Row("softmax", (np.array([[1000.0, 0.0], [-inf, 0.0]]), 1), {}),
    Row("log_softmax", (np.array([[1000.0, 0.0], [-1000.0, 0.0]]), 1), {}),
    Row("std", (np.array([1.0, 1.0, 1.0]),), {}),
    Row("exp", (np.array([800.0, -800.0]),), {}),
    Row("where", (np.array([True, False]), np.array([1.0, nan]), np.array([nan, 1.0])), {}),
    Row("prod", (np.array([0.0, 0.0, 3.0]),), {}),
    Row("var", (np.array([2.0]),), {}, False),
    Row("logsumexp", (np.array([[-inf, -inf]]), 1), {}, False),
    Row("argmax", (np.array([1.0, 3.0, 3.0]),), {}),
    Row("logsumexp", (np.zeros((0, 3)), 0), {}),
    Row("sum", (np.array([nan, 1.0]),), {}),
    Row("amax", (np.array([nan, 1.0]),), {}, False),
    Row("argmax", (np.array([1.0, nan, 2.0]),), {}),
    Row("mean", (np.zeros((0,)),), {}, False),
]


@pytest.mark.parametrize("row", KINKS, ids=lambda r: f"{r.name}({r.args[0].tolist()})")
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
def test_kinks_and_extremes(row):
    compare(row, ours(row.name), theirs(row.name), "float64", 1)


# -- types --------------------------------------------------------------------------------------------------

DTYPES = ("bool", "uint8", "int32", "int64", "float32", "float64")
OPERANDS: list[Any] = [(d, n) for d in DTYPES for n in ((2,), ())] + [True, 3, 2.5]


def operand(library: str, kind: Any) -> Any:
    if not isinstance(kind, tuple):
        return kind
    array = np.ones(kind[1], kind[0])
    return torch.tensor(array) if library == "torch" else mg.tensor(array)


def outcome(library: str, function: Callable, a: Any, b: Any) -> str:
    return dtype_of(function(operand(library, a), operand(library, b)))


TYPED: dict[str, Callable[[Any], Callable]] = {
    "add": lambda m: lambda a, b: a + b,
    "mul": lambda m: lambda a, b: a * b,
    "div": lambda m: lambda a, b: a / b,
    "where": lambda m: lambda a, b: m.where(m.tensor([True, False]), a, b),
    "eq": lambda m: lambda a, b: a == b,
}


@pytest.mark.parametrize("name", TYPED)
@pytest.mark.parametrize("a", OPERANDS, ids=str)
def test_promotion(name, a):
    for b in OPERANDS:
        if isinstance(a, tuple) or isinstance(b, tuple):
            mine = outcome("minigrad", TYPED[name](mg), a, b)
            assert mine == outcome("torch", TYPED[name](torch), a, b), f"{a} {name} {b}"


@pytest.mark.parametrize("name", ["sub", "pow", "maximum", "minimum"])
@pytest.mark.parametrize("a", [o for o in OPERANDS if isinstance(o, tuple)], ids=str)
def test_promotion_of_functions(name, a):
    for b in OPERANDS:
        if not isinstance(b, tuple) and name in ("maximum", "minimum"):
            continue
        if name in ("sub", "pow") and "bool" in (a[0], b[0] if isinstance(b, tuple) else "bool" * (b is True)):
            continue
        assert outcome("minigrad", ours(name), a, b) == outcome("torch", theirs(name), a, b), f"{name} {a} {b}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["exp", "sqrt", "sigmoid", "tanh", "sum", "prod", "cumsum", "sin", "amax"])
def test_types_of_results(name, dtype):
    array = np.ones(3, dtype)
    settings = {"dim": 0} if name == "cumsum" else {}
    mine = ours(name)(mg.tensor(array), **settings)
    assert dtype_of(mine) == dtype_of(theirs(name)(torch.tensor(array), **settings))


@pytest.mark.parametrize(
    "data", [1, 1.5, True, [1, 2], [1.0, 2], [[True], [False]], [], [[]], np.float64(2.0), np.int32(3)], ids=repr
)
def test_types_of_literals(data):
    mine, reference = mg.tensor(data), torch.tensor(data)
    assert dtype_of(mine) == dtype_of(reference) and tuple(mine.shape) == tuple(reference.shape)
    assert mine.tolist() == reference.tolist()


def test_gradients_have_the_type_and_shape_of_their_leaves():
    for a, b in itertools.product([("float32", (2, 1)), ("float64", ()), ("float32", ())], repeat=2):
        results = []
        for m in (mg, torch):
            x, y = (m.tensor(np.full(s, 2.0, d), requires_grad=True) for d, s in (a, b))
            (x * y).sum().backward()
            results.append([(dtype_of(v.grad), tuple(v.grad.shape), v.grad.tolist()) for v in (x, y)])
        assert results[0] == results[1]


# -- factories ----------------------------------------------------------------------------------------------


def typed(m: Any, name: str) -> Any:
    return getattr(torch, name) if m is torch else name


FACTORIES: dict[str, Callable] = {
    "zeros": lambda m: m.zeros(2, 3),
    "zeros tuple": lambda m: m.zeros((2, 3)),
    "zeros 0-d": lambda m: m.zeros(()),
    "zeros typed": lambda m: m.zeros(2, dtype=typed(m, "int64")),
    "ones": lambda m: m.ones(2, 0),
    "ones typed": lambda m: m.ones(2, dtype=typed(m, "float64")),
    "full": lambda m: m.full((2, 3), 1.5),
    "full integer": lambda m: m.full((2,), 7),
    "full boolean": lambda m: m.full((2,), True),
    "full typed": lambda m: m.full((), 7, dtype=typed(m, "float32")),
    "eye": lambda m: m.eye(3),
    "eye wide": lambda m: m.eye(2, 4),
    "arange": lambda m: m.arange(5),
    "arange from": lambda m: m.arange(2, 9, 3),
    "arange float": lambda m: m.arange(0.0, 1.0, 0.25),
    "arange mixed": lambda m: m.arange(1, 2.5, 0.5),
    "arange down": lambda m: m.arange(5, 0, -2),
    "arange typed": lambda m: m.arange(3, dtype=typed(m, "float64")),
    "linspace": lambda m: m.linspace(-1, 1, 5),
    "linspace one": lambda m: m.linspace(0, 1, 1),
    "linspace typed": lambda m: m.linspace(0, 1, 4, dtype=typed(m, "float64")),
    "zeros_like": lambda m: m.zeros_like(m.tensor(np.ones((2, 3), np.int32))),
    "ones_like": lambda m: m.ones_like(m.tensor(np.ones((2, 3)))),
    "ones_like typed": lambda m: m.ones_like(m.tensor(np.ones(2)), dtype=typed(m, "float32")),
}


@pytest.mark.parametrize("make", FACTORIES.values(), ids=FACTORIES)
def test_factories(make):
    agree([make(mg)], [make(torch)], "factory", rtol=1e-6, atol=1e-7)
    assert not make(mg).requires_grad


def test_factories_can_require_gradients():
    for make in (mg.zeros, mg.ones, mg.rand, mg.randn):
        assert make(2, requires_grad=True).requires_grad


def test_random_factories_have_torchs_types_and_ranges():
    mg.manual_seed(0)
    for make, reference in ((mg.rand, torch.rand), (mg.randn, torch.randn)):
        assert dtype_of(make(2, 3)) == dtype_of(reference(2, 3)) and make(2, 3).shape == (2, 3)
    values = mg.rand(10_000).numpy()
    assert values.min() >= 0 and values.max() < 1 and abs(values.mean() - 0.5) < 0.02
    values = mg.randn(10_000).numpy()
    assert abs(values.mean()) < 0.05 and abs(values.std() - 1) < 0.05
    for mine, reference in (
        (mg.randint(5, (1000,)), torch.randint(5, (1000,))),
        (mg.randint(2, 5, (1000,)), torch.randint(2, 5, (1000,))),
    ):
        assert dtype_of(mine) == dtype_of(reference)
        assert set(mine.tolist()) == set(reference.tolist())


def test_one_seed_one_stream():
    mg.manual_seed(5)
    first = mg.randn(3).tolist()
    assert mg.randn(3).tolist() != first
    mg.manual_seed(5)
    assert mg.randn(3).tolist() == first


def test_conversions():
    for m in (mg, torch):
        x = m.tensor([[1.5, 2.5]], requires_grad=True)
        assert (x.ndim, tuple(x.shape), len(x)) == (2, (1, 2), 1)
        assert x.detach().sum().item() == 4.0 and x.tolist() == [[1.5, 2.5]]
        assert x.detach().numpy().dtype == np.float32
        assert not x.detach().requires_grad and x.clone().requires_grad
        total = x.detach().sum()
        assert float(total) == 4.0 and int(total) == 4 and bool(total > 1)
        assert dtype_of(x.to(typed(m, "float64"))) == "float64"
        assert x.detach().requires_grad_().requires_grad
        x.to(typed(m, "float64")).sum().backward()
        assert dtype_of(x.grad) == "float32"
        x.sum().backward()
        assert x.grad.tolist() == [[2.0, 2.0]]


# -- what is refused in PyTorch is refused here -------------------------------------------------------------

REFUSED: dict[str, Callable] = {
    "shapes that do not broadcast": lambda m, f: m.ones(2, 3) + m.ones(2),
    "matmul sizes": lambda m, f: m.ones(2, 3) @ m.ones(2, 3),
    "reshape sizes": lambda m, f: m.ones(2, 3).reshape(4),
    "dim out of range": lambda m, f: m.ones(2, 3).sum(2),
    "index out of range": lambda m, f: m.ones(2)[2],
    "mean of integers": lambda m, f: m.arange(3).mean(),
    "item of many": lambda m, f: m.ones(2).item(),
    "backward of many": lambda m, f: m.ones(2, requires_grad=True).backward(),
    "backward of a constant": lambda m, f: m.ones(()).backward(),
    "integer gradients": lambda m, f: m.arange(3).requires_grad_(),
    "truth of many": lambda m, f: bool(m.ones(2)),
    "amax of nothing": lambda m, f: m.zeros(0).amax(),
    "argmax of nothing": lambda m, f: m.zeros(0).argmax(),
    "stack of unequal": lambda m, f: m.stack([m.ones(2), m.ones(3)]),
    "cat of unequal": lambda m, f: m.cat([m.ones(2, 2), m.ones(2, 3)]),
    "split sizes": lambda m, f: m.ones(5).split([1, 2]),
    "unsqueeze far": lambda m, f: m.ones(2).unsqueeze(3),
    "squeeze far": lambda m, f: m.ones(2).squeeze(3),
    "flip far": lambda m, f: m.ones(2).flip(1),
    "split far": lambda m, f: m.ones(2).split(1, 1),
    "prod far": lambda m, f: m.ones(2).prod(1),
    "flatten far": lambda m, f: m.ones(2).flatten(1),
    "gather far": lambda m, f: m.gather(m.ones(2), 1, m.tensor([0])),
    "cat far": lambda m, f: m.cat([m.ones(2), m.ones(2)], 1),
    "softmax far": lambda m, f: m.ones(2).softmax(1),
    "cumsum far": lambda m, f: m.ones(2).cumsum(1),
    "argsort far": lambda m, f: m.ones(2).argsort(1),
    "var twice over a dim": lambda m, f: m.ones(2, 2).var((0, 0)),
    "transpose far": lambda m, f: m.ones(2, 2).transpose(0, 2),
    "permute twice": lambda m, f: m.ones(2, 2).permute(0, 0),
    "expand sizes": lambda m, f: m.ones(2).expand(3),
    "einsum sizes": lambda m, f: m.einsum("ij,jk->ik", m.ones(2, 3), m.ones(2, 3)),
    "einsum letters": lambda m, f: m.einsum("ij->k", m.ones(2, 3)),
    "conv channels": lambda m, f: f.conv2d(m.ones(1, 2, 4, 4), m.ones(3, 1, 2, 2)),
    "conv kernel too large": lambda m, f: f.conv2d(m.ones(1, 1, 2, 2), m.ones(1, 1, 3, 3)),
    "class out of range": lambda m, f: f.cross_entropy(m.ones(2, 3), m.tensor([0, 3])),
    "class negative": lambda m, f: f.nll_loss(m.ones(2, 3), m.tensor([0, -1])),
    "embedding out of range": lambda m, f: f.embedding(m.tensor([3]), m.ones(3, 2)),
    "embedding negative": lambda m, f: f.embedding(m.tensor([-1]), m.ones(3, 2)),
    "one_hot out of range": lambda m, f: f.one_hot(m.tensor([3]), 3),
    "gather out of range": lambda m, f: m.gather(m.ones(3), 0, m.tensor([3])),
    "dropout probability": lambda m, f: f.dropout(m.ones(3), 1.5),
    "clamp without bounds": lambda m, f: m.clamp(m.ones(3)),
    "batch norm of one value a channel": lambda m, f: f.batch_norm(m.ones(1, 3), None, None, training=True),
    "batch norm without statistics": lambda m, f: f.batch_norm(m.ones(2, 3), None, None, training=False),
    "unknown reduction": lambda m, f: f.mse_loss(m.ones(2), m.ones(2), reduction="average"),
    "negative variance": lambda m, f: f.gaussian_nll_loss(m.ones(2), m.ones(2), -m.ones(2)),
    "assignment to a leaf": lambda m, f: m.ones(2, requires_grad=True).__setitem__(0, 1.0),
    "numpy of a recorded tensor": lambda m, f: m.ones(2, requires_grad=True).numpy(),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_what_torch_refuses_is_refused(call, everything_on):
    if everything_on == "cuda" and call is REFUSED["gather out of range"]:
        pytest.skip("indices wrap on a device, as CuPy's do")
    errors = (ValueError, TypeError, IndexError, RuntimeError, NotImplementedError, KeyError)
    with pytest.raises(errors):
        call(torch, TF)
    with pytest.raises(errors):
        call(mg, F)


# -- modules ------------------------------------------------------------------------------------------------

MODULES: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "Linear": (lambda n: n.Linear(3, 4), (5, 3)),
    "Linear without bias": (lambda n: n.Linear(3, 4, bias=False), (2, 5, 3)),
    "Conv2d": (lambda n: n.Conv2d(2, 3, 4, 2, 1), (2, 2, 8, 8)),
    "Conv2d pairs": (lambda n: n.Conv2d(2, 3, (3, 2), stride=(1, 2), padding=(0, 1), bias=False), (2, 2, 6, 6)),
    "ConvTranspose2d": (lambda n: n.ConvTranspose2d(2, 3, 4, 2, 1), (2, 2, 4, 4)),
    "ConvTranspose2d wide": (lambda n: n.ConvTranspose2d(2, 3, 3, 2, 1, 1), (2, 2, 4, 4)),
    "BatchNorm1d": (lambda n: n.BatchNorm1d(3), (6, 3)),
    "BatchNorm1d sequences": (lambda n: n.BatchNorm1d(3, 1e-3, 0.3), (4, 3, 5)),
    "BatchNorm2d": (lambda n: n.BatchNorm2d(3), (4, 3, 5, 5)),
    "BatchNorm2d plain": (lambda n: n.BatchNorm2d(3, affine=False), (4, 3, 5, 5)),
    "BatchNorm2d untracked": (lambda n: n.BatchNorm2d(3, track_running_stats=False), (4, 3, 5, 5)),
    "ReLU": (lambda n: n.ReLU(), (3, 4)),
    "LeakyReLU": (lambda n: n.LeakyReLU(0.2), (3, 4)),
    "Sigmoid": (lambda n: n.Sigmoid(), (3, 4)),
    "Tanh": (lambda n: n.Tanh(), (3, 4)),
    "Flatten": (lambda n: n.Flatten(), (3, 4, 2)),
    "Unflatten": (lambda n: n.Unflatten(1, (2, -1)), (3, 4)),
    "Dropout": (lambda n: n.Dropout(0.0), (3, 4)),
    "Sequential": (
        lambda n: n.Sequential(n.Conv2d(1, 2, 3), n.BatchNorm2d(2), n.LeakyReLU(), n.Flatten(), n.Linear(8, 2)),
        (3, 1, 4, 4),
    ),
    "spectral_norm Linear": (lambda n: n.utils.spectral_norm(n.Linear(3, 4)), (5, 3)),
    "spectral_norm Conv2d": (
        lambda n: n.utils.spectral_norm(n.Conv2d(2, 3, 2), n_power_iterations=3), (2, 2, 4, 4)
    ),
    "spectral_norm ConvTranspose2d": (lambda n: n.utils.spectral_norm(n.ConvTranspose2d(2, 3, 2)), (2, 2, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize(("make", "shape"), MODULES.values(), ids=MODULES)
@pytest.mark.filterwarnings("ignore:.*spectral_norm.*:FutureWarning")
def test_modules(make, shape):
    mine, reference = make(nn).to("float64"), make(torch.nn).double()
    assert list(mine.state_dict()) == list(reference.state_dict())
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in reference.named_parameters()]
    for name, value in reference.state_dict().items():
        assert mine.state_dict()[name].shape == tuple(value.shape), name
    mine.load_state_dict({name: value.numpy() for name, value in reference.state_dict().items()})
    for step in range(4):
        training = step < 3
        x = normal(*shape, seed=step)
        a, b = mg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, t = mine.train(training)(a), reference.train(training)(b)
        agree([y], [t], "output", **TOLERANCE["float64"])
        (y * y).sum().backward()
        (t * t).sum().backward()
        agree([a.grad], [b.grad], "input's gradient", **TOLERANCE["float64"])
    pairs = zip(mine.parameters(), reference.parameters(), strict=True)
    for p, q in pairs:
        agree([p.grad], [q.grad], "gradient", **TOLERANCE["float64"])
    for name, value in reference.state_dict().items():
        agree([mine.state_dict()[name]], [value], name, **TOLERANCE["float64"])


@pytest.mark.parametrize(
    "make", [lambda n: n.Linear(30, 40), lambda n: n.Conv2d(5, 6, 3), lambda n: n.ConvTranspose2d(5, 6, 3)]
)
def test_default_initialisation_has_the_same_range(make):
    mg.manual_seed(0)
    torch.manual_seed(0)
    mine, reference = make(nn).weight.detach().numpy(), make(torch.nn).weight.detach().numpy()
    assert abs(np.abs(mine).max() / np.abs(reference).max() - 1) < 0.1


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu"])
def test_gains(name):
    assert math.isclose(nn.init.calculate_gain(name), torch.nn.init.calculate_gain(name))


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3, 3)])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
def test_initialisers_have_the_same_scale(shape, mode):
    """A uniform draw's largest entry tends to its bound; both libraries are asked for the same one."""
    big = (shape[0] * 20, shape[1] * 20, *shape[2:])
    for name, settings in (("kaiming_uniform_", {"a": 0.3, "mode": mode}), ("xavier_uniform_", {"gain": 1.7})):
        mine = getattr(nn.init, name)(mg.zeros(*big), **settings).numpy()
        reference = getattr(torch.nn.init, name)(torch.zeros(*big), **settings).numpy()
        assert abs(np.abs(mine).max() / np.abs(reference).max() - 1) < 5e-3


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.1, 100.0])
def test_clip_grad_norm(norm_type, max_norm):
    results = []
    for m, parameter, utils in ((mg, nn.Parameter, nn.utils), (torch, torch.nn.Parameter, torch.nn.utils)):
        ps = [parameter(m.tensor(normal(*s))) for s in ((3, 4), (5,), ())]
        for i, p in enumerate(ps[:2]):
            p.grad = m.tensor(normal(*p.shape, seed=i + 1))
        total = utils.clip_grad_norm_(ps, max_norm, norm_type)
        results.append([total, *(p.grad for p in ps[:2])])
    agree(*results, "clipped", rtol=1e-12, atol=0)


# -- optimisers and schedules -------------------------------------------------------------------------------

OPTIMISERS: dict[str, Callable] = {
    "SGD": lambda o, p: o.SGD(p, lr=0.1),
    "SGD momentum": lambda o, p: o.SGD(p, 0.1, 0.9, 0.2, 0.01),
    "SGD nesterov": lambda o, p: o.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "Adam": lambda o, p: o.Adam(p),
    "Adam of the paper": lambda o, p: o.Adam(p, 2e-4, (0.5, 0.999)),
    "Adam with decay": lambda o, p: o.Adam(p, 0.1, (0.8, 0.9), 1e-3, 0.3),
    "AdamW": lambda o, p: o.AdamW(p, 0.1),
    "AdamW with decay": lambda o, p: o.AdamW(p, 0.1, (0.8, 0.9), 1e-3, 0.3),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_optimisers(make, dtype):
    shapes = [(3, 4), (5,), ()]
    start = [np.asarray(normal(*s), dtype) for s in shapes]
    mine = [nn.Parameter(a.copy()) for a in start]
    reference = [torch.nn.Parameter(torch.tensor(a)) for a in start]
    us, them = make(optim, mine), make(torch.optim, reference)
    for step in range(10):
        for p, q in zip(mine, reference, strict=True):
            g = np.asarray(normal(*p.shape, seed=100 + step) * 10.0 ** (step - 5), dtype)
            skipped = step == 4 and g.ndim == 1
            p.grad, q.grad = (None, None) if skipped else (mg.tensor(g), torch.tensor(g))
        us.step()
        them.step()
    tolerance = {"rtol": 1e-12, "atol": 1e-14} if dtype == "float64" else {"rtol": 1e-5, "atol": 1e-6}
    agree(mine, reference, "parameters", **tolerance)


SCHEDULES: dict[str, Callable] = {
    "StepLR": lambda s, o: s.StepLR(o, 3, 0.5),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 7, 0.01),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda t: 0.8**t),
    "LambdaLR list": lambda s, o: s.LambdaLR(o, [lambda t: 0.8**t, lambda t: 1 / (1 + t)]),
    "LinearLR": lambda s, o: s.LinearLR(o),
    "LinearLR set": lambda s, o: s.LinearLR(o, 0.1, 0.7, 4),
}


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_schedules(make):
    made = []
    for m, parameter, o in ((mg, nn.Parameter, optim), (torch, torch.nn.Parameter, torch.optim)):
        groups = [{"params": [parameter(m.ones(1))], "lr": 0.5}, {"params": [parameter(m.ones(1))]}]
        optimiser = o.SGD(groups, lr=0.1)
        made.append((optimiser, make(o.lr_scheduler, optimiser)))
    (_, mine), (reference_optimiser, reference) = made
    for _ in range(20):
        np.testing.assert_allclose(mine.get_last_lr(), reference.get_last_lr(), rtol=1e-12)
        reference_optimiser.step()
        mine.step()
        reference.step()
