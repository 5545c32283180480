"""The naive kernel of each operation, one result number (or channel) a turn, in Python and in C.

The same turn serves a loop on the CPU and a thread on a device; `new` puts one of them around it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Body:
    """A kernel without its loop: `t` counts the turns, all arrays are flat and in C order.

    `reads` and `writes` are its arrays, `ints` and `floats` its numbers, in this order. `wrapper` is the
    function that is registered; its {xp} is the array module.
    """

    reads: str
    writes: str
    ints: str
    floats: str
    python: str
    c: str
    wrapper: str
    supports: str = ""
    """Its limits, as an argument of `register`."""

    @property
    def parameters(self) -> str:
        """All names, separated by commas."""
        return ", ".join(f"{self.reads} {self.writes} {self.ints} {self.floats}".split())


_PLACE = "c, h, wd, o, oh, ow, kh, kw, sh, sw, ph, pw"
_SIZES = """\
    ({n}, c, h, wd), (o, _, kh, kw), (sh, sw), (ph, pw) = {x}, {w}, stride, padding
    oh, ow = (h + 2 * ph - kh) // sh + 1, (wd + 2 * pw - kw) // sw + 1
"""
_AREA = """\
    n, c = x.shape[:2]
    area = math.prod(x.shape[2:])
"""

CONV2D = Body(
    reads="x w b",
    writes="y",
    ints="c h wd o oh ow kh kw sh sw ph pw",
    floats="slope",
    python="""\
j, i = t % ow, t // ow % oh
k, n = t // (ow * oh) % o, t // (ow * oh * o)
total = b[k]
for q in range(c):
    for u in range(kh):
        for v in range(kw):
            row, column = i * sh + u - ph, j * sw + v - pw
            if 0 <= row < h and 0 <= column < wd:
                total += x[((n * c + q) * h + row) * wd + column] * w[((k * c + q) * kh + u) * kw + v]
y[t] = total if total > 0 else slope * total
""",
    c="""\
int j = t % ow, i = t / ow % oh;
int k = t / (ow * oh) % o, n = t / (ow * oh * o);
real total = b[k];
for (int q = 0; q < c; q++)
    for (int u = 0; u < kh; u++)
        for (int v = 0; v < kw; v++) {
            int row = i * sh + u - ph, column = j * sw + v - pw;
            if (0 <= row && row < h && 0 <= column && column < wd)
                total += x[((n * c + q) * h + row) * wd + column] * w[((k * c + q) * kh + u) * kw + v];
        }
y[t] = total > 0 ? total : (real)(slope * total);
""",
    wrapper=f"""\
def conv2d(x, w, b=None, *, stride, padding, activation=None):
{_SIZES.format(n="n", x="x.shape", w="w.shape")}\
    y = {{xp}}.empty((n, o, oh, ow), x.dtype)
    b = {{xp}}.zeros(o, x.dtype) if b is None else b
    slope = kernels.slope_of(activation)
    run(y.size, flat(x), flat(w), flat(b), flat(y), {_PLACE}, slope)
    return y
""",
)

CONV2D_GRAD_INPUT = Body(
    reads="gy w",
    writes="gx",
    ints="c h wd o oh ow kh kw sh sw ph pw",
    floats="",
    python="""\
column, row = t % wd, t // wd % h
q, n = t // (wd * h) % c, t // (wd * h * c)
total = 0.0
for k in range(o):
    for u in range(kh):
        for v in range(kw):
            top, left = row + ph - u, column + pw - v
            if top % sh == 0 and left % sw == 0 and 0 <= top // sh < oh and 0 <= left // sw < ow:
                weight = w[((k * c + q) * kh + u) * kw + v]
                total += gy[((n * o + k) * oh + top // sh) * ow + left // sw] * weight
gx[t] = total
""",
    c="""\
int column = t % wd, row = t / wd % h;
int q = t / (wd * h) % c, n = t / (wd * h * c);
real total = 0;
for (int k = 0; k < o; k++)
    for (int u = 0; u < kh; u++)
        for (int v = 0; v < kw; v++) {
            int top = row + ph - u, left = column + pw - v;
            if (top < 0 || left < 0 || top % sh || left % sw || top / sh >= oh || left / sw >= ow) continue;
            total += gy[((n * o + k) * oh + top / sh) * ow + left / sw] * w[((k * c + q) * kh + u) * kw + v];
        }
gx[t] = total;
""",
    wrapper=f"""\
def conv2d_grad_input(gy, w, *, input_shape, stride, padding):
{_SIZES.format(n="_", x="input_shape", w="w.shape")}\
    gx = {{xp}}.empty(input_shape, gy.dtype)
    run(gx.size, flat(gy), flat(w), flat(gx), {_PLACE})
    return gx
""",
)

CONV2D_GRAD_WEIGHT = Body(
    reads="gy x",
    writes="gw",
    ints="n c h wd o oh ow kh kw sh sw ph pw",
    floats="",
    python="""\
v, u = t % kw, t // kw % kh
q, k = t // (kw * kh) % c, t // (kw * kh * c)
total = 0.0
for p in range(n):
    for i in range(oh):
        for j in range(ow):
            row, column = i * sh + u - ph, j * sw + v - pw
            if 0 <= row < h and 0 <= column < wd:
                total += gy[((p * o + k) * oh + i) * ow + j] * x[((p * c + q) * h + row) * wd + column]
gw[t] = total
""",
    c="""\
int v = t % kw, u = t / kw % kh;
int q = t / (kw * kh) % c, k = t / (kw * kh * c);
real total = 0;
for (int p = 0; p < n; p++)
    for (int i = 0; i < oh; i++)
        for (int j = 0; j < ow; j++) {
            int row = i * sh + u - ph, column = j * sw + v - pw;
            if (0 <= row && row < h && 0 <= column && column < wd)
                total += gy[((p * o + k) * oh + i) * ow + j] * x[((p * c + q) * h + row) * wd + column];
        }
gw[t] = total;
""",
    wrapper=f"""\
def conv2d_grad_weight(gy, x, *, weight_shape, stride, padding):
{_SIZES.format(n="n", x="x.shape", w="weight_shape")}\
    gw = {{xp}}.empty(weight_shape, gy.dtype)
    run(gw.size, flat(gy), flat(x), flat(gw), n, {_PLACE})
    return gw
""",
)

_PYTHON_MEAN = """\
size = max(1, n * area)
total = np.float64(0)  # all sums are in float64: a mean of 1e4 would swallow a deviation of 1e-2
for p in range(n):
    for i in range(area):
        total += np.float64(x[(p * c + t) * area + i])
centre = total / size
rest = np.float64(0)  # what rounding has left of the mean
for p in range(n):
    for i in range(area):
        rest += np.float64(x[(p * c + t) * area + i]) - centre
rest = rest / size
"""
_C_MEAN = """\
double size = n * area > 0 ? n * area : 1;
double total = 0;  /* all sums are in double: a mean of 1e4 would swallow a deviation of 1e-2 */
for (int p = 0; p < n; p++)
    for (int i = 0; i < area; i++) total += x[(p * c + t) * area + i];
double centre = total / size, rest = 0;  /* rest: what rounding has left of the mean */
for (int p = 0; p < n; p++)
    for (int i = 0; i < area; i++) rest += x[(p * c + t) * area + i] - centre;
rest /= size;
"""

BATCH_NORM = Body(
    reads="x gamma beta",
    writes="y mean rstd",
    ints="n c area",
    floats="eps slope",
    python=_PYTHON_MEAN
    + """\
total = np.float64(0)
for p in range(n):
    for i in range(area):
        d = np.float64(x[(p * c + t) * area + i]) - centre - rest
        total += d * d
scale = 1 / math.sqrt(total / size + eps)
for p in range(n):
    for i in range(area):
        z = gamma[t] * (np.float64(x[(p * c + t) * area + i]) - centre - rest) * scale + beta[t]
        y[(p * c + t) * area + i] = z if z > 0 else slope * z
mean[t] = centre + rest
rstd[t] = scale
""",
    c=_C_MEAN
    + """\
total = 0;
for (int p = 0; p < n; p++)
    for (int i = 0; i < area; i++) {
        double d = x[(p * c + t) * area + i] - centre - rest;
        total += d * d;
    }
double scale = 1 / sqrt(total / size + eps);
for (int p = 0; p < n; p++)
    for (int i = 0; i < area; i++) {
        double z = gamma[t] * (x[(p * c + t) * area + i] - centre - rest) * scale + beta[t];
        y[(p * c + t) * area + i] = (real)(z > 0 ? z : slope * z);
    }
mean[t] = (real)(centre + rest);
rstd[t] = (real)scale;
""",
    wrapper=f"""\
def batch_norm(x, gamma, beta, *, eps, activation=None):
{_AREA}\
    y, mean, rstd = ({{xp}}.empty(s, x.dtype) for s in (x.shape, (c,), (c,)))
    slope = kernels.slope_of(activation)
    run(c, flat(x), flat(gamma), flat(beta), flat(y), flat(mean), flat(rstd), n, c, area, float(eps), slope)
    return y, mean, rstd
""",
)

BATCH_NORM_GRAD = Body(
    reads="gy x gamma beta rstd",
    writes="gx ggamma gbeta",
    ints="n c area",
    floats="slope",
    python=_PYTHON_MEAN
    + """\
sum_g = np.float64(0)
sum_gh = np.float64(0)
for p in range(n):
    for i in range(area):
        at = (p * c + t) * area + i
        h = (np.float64(x[at]) - centre - rest) * rstd[t]
        g = np.float64(gy[at])
        if gamma[t] * h + beta[t] <= 0:
            g = g * slope
        sum_g += g
        sum_gh += g * h
for p in range(n):
    for i in range(area):
        at = (p * c + t) * area + i
        h = (np.float64(x[at]) - centre - rest) * rstd[t]
        g = np.float64(gy[at])
        if gamma[t] * h + beta[t] <= 0:
            g = g * slope
        gx[at] = gamma[t] * rstd[t] * (g - sum_g / size - h * sum_gh / size)
ggamma[t] = sum_gh
gbeta[t] = sum_g
""",
    c=_C_MEAN
    + """\
double sum_g = 0, sum_gh = 0;
for (int p = 0; p < n; p++)
    for (int i = 0; i < area; i++) {
        int at = (p * c + t) * area + i;
        double h = (x[at] - centre - rest) * rstd[t];
        double g = gamma[t] * h + beta[t] > 0 ? gy[at] : slope * gy[at];
        sum_g += g;
        sum_gh += g * h;
    }
for (int p = 0; p < n; p++)
    for (int i = 0; i < area; i++) {
        int at = (p * c + t) * area + i;
        double h = (x[at] - centre - rest) * rstd[t];
        double g = gamma[t] * h + beta[t] > 0 ? gy[at] : slope * gy[at];
        gx[at] = (real)(gamma[t] * (double)rstd[t] * (g - sum_g / size - h * sum_gh / size));
    }
ggamma[t] = (real)sum_gh;
gbeta[t] = (real)sum_g;
""",
    wrapper=f"""\
def batch_norm_grad(gy, x, gamma, beta, mean, rstd, *, activation=None):
    # `mean` has been rounded to the dtype; the kernel takes it from x anew.
{_AREA}\
    gx, ggamma, gbeta = ({{xp}}.empty(s, x.dtype) for s in (x.shape, (c,), (c,)))
    arrays = [flat(a) for a in (gy, x, gamma, beta, rstd, gx, ggamma, gbeta)]
    run(c, *arrays, n, c, area, kernels.slope_of(activation))
    return gx, ggamma, gbeta
""",
)

BATCH_NORM_INFERENCE = Body(
    reads="x gamma beta mean var",
    writes="y",
    ints="c area",
    floats="eps slope",
    python="""\
q = t // area % c
d = np.float64(x[t]) - mean[q]
z = gamma[q] * d / math.sqrt(np.float64(var[q]) + eps) + beta[q]
y[t] = z if z > 0 else slope * z
""",
    c="""\
int q = t / area % c;
double z = gamma[q] * ((double)x[t] - mean[q]) / sqrt(var[q] + eps) + beta[q];
y[t] = (real)(z > 0 ? z : slope * z);
""",
    wrapper="""\
def batch_norm_inference(x, gamma, beta, mean, var, *, eps, activation=None):
    y = {xp}.empty(x.shape, x.dtype)
    arrays = [flat(a) for a in (x, gamma, beta, mean, var, y)]
    run(y.size, *arrays, x.shape[1], math.prod(x.shape[2:]), float(eps), kernels.slope_of(activation))
    return y
""",
)

MATMUL = Body(
    reads="a b",
    writes="y",
    ints="n k",
    floats="",
    python="""\
i, j = t // n, t % n
total = 0.0
for q in range(k):
    total += a[i * k + q] * b[q * n + j]
y[t] = total
""",
    c="""\
int i = t / n, j = t % n;
real total = 0;
for (int q = 0; q < k; q++) total += a[i * k + q] * b[q * n + j];
y[t] = total;
""",
    wrapper="""\
def matmul(a, b):
    (m, k), n = a.shape, b.shape[1]
    y = {xp}.empty((m, n), a.dtype)
    run(y.size, flat(a), flat(b), flat(y), n, k)
    return y
""",
    supports="lambda spec: all(len(s) == 2 for s in spec.shapes.values())",
)

ADAM_STEP = Body(
    reads="g",
    writes="p m v",
    ints="",
    floats="lr beta1 beta2 eps weight_decay bias1 bias2",
    python="""\
grad = np.float64(g[t]) + weight_decay * p[t]
first = beta1 * m[t] + (1 - beta1) * grad
second = beta2 * v[t] + (1 - beta2) * grad * grad
p[t] -= lr / bias1 * first / (math.sqrt(second / bias2) + eps)
m[t] = first
v[t] = second
""",
    c="""\
double grad = g[t] + weight_decay * p[t];
double first = beta1 * m[t] + (1 - beta1) * grad;
double second = beta2 * v[t] + (1 - beta2) * grad * grad;
p[t] -= (real)(lr / bias1 * first / (sqrt(second / bias2) + eps));
m[t] = (real)first;
v[t] = (real)second;
""",
    wrapper="""\
def adam_step(p, g, m, v, *, lr, betas, eps, weight_decay, step):
    held = [a if a.flags.c_contiguous else a.copy() for a in (p, m, v)]
    bias1, bias2 = 1 - betas[0] ** step, 1 - betas[1] ** step
    numbers = map(float, (lr, *betas, eps, weight_decay, bias1, bias2))
    run(p.size, flat(g), *(a.reshape(-1) for a in held), *numbers)
    for target, result in zip((p, m, v), held, strict=True):
        if result is not target:  # its memory has gaps: the kernel worked on a copy
            target[...] = result
""",
)

BODIES = {
    "conv2d": CONV2D,
    "conv2d_grad_input": CONV2D_GRAD_INPUT,
    "conv2d_grad_weight": CONV2D_GRAD_WEIGHT,
    "batch_norm": BATCH_NORM,
    "batch_norm_grad": BATCH_NORM_GRAD,
    "batch_norm_inference": BATCH_NORM_INFERENCE,
    "matmul": MATMUL,
    "adam_step": ADAM_STEP,
}
