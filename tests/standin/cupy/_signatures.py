"""The signatures of the real CuPy (14.2) that the stand-in keeps; a test compares each with the real one.

A line is `name(parameters)`. What NumPy takes beyond these (`where=`, `initial=`, `order=`, …) is refused.
"""

from __future__ import annotations

UFUNCS = """
abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_not bitwise_or
bitwise_xor ceil conj copysign cos cosh divide equal exp exp2 expm1 fabs float_power floor floor_divide fmax
fmin fmod greater
greater_equal hypot invert isfinite isinf isnan left_shift less less_equal log log10 log1p log2 logaddexp
logical_and logical_not logical_or logical_xor maximum minimum mod multiply negative not_equal positive power
reciprocal remainder right_shift rint sign signbit sin sinh sqrt square subtract tan tanh true_divide trunc
"""
"""Element-wise functions: `out`, `casting` and `dtype` are all they take besides their operands."""

REDUCTIONS = """
all(a, axis=None, out=None, keepdims=False)
amax(a, axis=None, out=None, keepdims=False)
amin(a, axis=None, out=None, keepdims=False)
any(a, axis=None, out=None, keepdims=False)
argmax(a, axis=None, dtype=None, out=None, keepdims=False)
argmin(a, axis=None, dtype=None, out=None, keepdims=False)
argsort(a, axis=-1, kind=None)
count_nonzero(a, axis=None)
cumprod(a, axis=None, dtype=None, out=None)
cumsum(a, axis=None, dtype=None, out=None)
max(a, axis=None, out=None, keepdims=False)
mean(a, axis=None, dtype=None, out=None, keepdims=False)
median(a, axis=None, out=None, overwrite_input=False, keepdims=False)
min(a, axis=None, out=None, keepdims=False)
prod(a, axis=None, dtype=None, out=None, keepdims=False)
searchsorted(a, v, side='left', sorter=None)
sort(a, axis=-1, kind=None)
std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False)
sum(a, axis=None, dtype=None, out=None, keepdims=False)
trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None)
var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False)
allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False)
array_equal(a1, a2, equal_nan=False)
isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False)
diff(a, n=1, axis=-1, prepend=None, append=None)
nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None)
dot(a, b, out=None)
inner(a, b)
outer(a, b, out=None)
vdot(a, b)
kron(a, b)
tensordot(a, b, axes=2)
repeat(a, repeats, axis=None)
tile(A, reps)
roll(a, shift, axis=None)
tril(m, k=0)
triu(m, k=0)
pad(array, pad_width, mode='constant', **kwargs)
round(a, decimals=0, out=None)
clip(a, a_min, a_max, out=None)
"""
"""Functions of an array with a result of its own."""

VIEWS = """
atleast_1d(*arys)
broadcast_arrays(*args)
broadcast_to(array, shape)
diagonal(a, offset=0, axis1=0, axis2=1)
expand_dims(a, axis)
flip(a, axis=None)
fliplr(a)
flipud(a)
imag(val)
moveaxis(a, source, destination)
ravel(a, order='C')
real(val)
reshape(a, newshape, order='C', *, copy=None)
rot90(a, k=1, axes=(0, 1))
split(ary, indices_or_sections, axis=0)
array_split(ary, indices_or_sections, axis=0)
squeeze(a, axis=None)
swapaxes(a, axis1, axis2)
transpose(a, axes=None)
diag(v, k=0)
"""
"""Functions of an array whose result may share its memory."""

JOINS = """
column_stack(tup)
concatenate(tup, axis=0, out=None, *, dtype=None, casting='same_kind')
hstack(tup, *, dtype=None, casting='same_kind')
stack(tup, axis=0, out=None, *, dtype=None, casting='same_kind')
vstack(tup, *, dtype=None, casting='same_kind')
"""
"""Functions of a sequence of arrays."""

CREATION = """
arange(start, stop=None, step=1, dtype=None)
eye(N, M=None, k=0, dtype=<class 'float'>, order='C')
identity(n, dtype=<class 'float'>)
linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0)
logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0)
ones(shape, dtype=<class 'float'>, order='C')
tri(N, M=None, k=0, dtype=<class 'float'>)
zeros(shape, dtype=<class 'float'>, order='C')
"""
"""Functions that make an array out of numbers."""

METHODS = """
all(self, axis=None, out=None, keepdims=False)
any(self, axis=None, out=None, keepdims=False)
argmax(self, axis=None, out=None, dtype=None, keepdims=False)
argmin(self, axis=None, out=None, dtype=None, keepdims=False)
argsort(self, axis=-1, kind=None)
clip(self, min=None, max=None, out=None)
cumprod(self, axis=None, dtype=None, out=None)
cumsum(self, axis=None, dtype=None, out=None)
dot(self, b, out=None)
flatten(self, order='C')
max(self, axis=None, out=None, keepdims=False)
mean(self, axis=None, dtype=None, out=None, keepdims=False)
min(self, axis=None, out=None, keepdims=False)
prod(self, axis=None, dtype=None, out=None, keepdims=None)
repeat(self, repeats, axis=None)
round(self, decimals=0, out=None)
std(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False)
sum(self, axis=None, dtype=None, out=None, keepdims=False)
var(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False)
"""
"""Methods whose result is an array of its own."""

VIEW_METHODS = """
diagonal(self, offset=0, axis1=0, axis2=1)
ravel(self, order='C')
reshape(self, *shape, order='C', copy=None)
squeeze(self, axis=None)
swapaxes(self, axis1, axis2)
transpose(self, *axes)
"""
"""Methods whose result may share the array's memory."""

LINALG = """
cholesky(a)
det(a)
inv(a)
norm(x, ord=None, axis=None, keepdims=False)
qr(a, mode='reduced')
slogdet(a)
solve(a, b)
svd(a, full_matrices=True, compute_uv=True)
"""


def parse(table: str) -> dict[str, str]:
    """`{name: "(parameters)"}` of one of the tables above."""
    lines = table.replace("<class 'float'>", "float").split("\n")
    return {line[: line.index("(")]: line[line.index("(") :] for line in lines if line}
