# Text under CC BY 4.0, see docs/study/LICENSE; code under the project's licence.
import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="3 · Convolution is a matrix product")

with app.setup:
    import marimo as mo
    import numpy as np
    from guide.checks import close, expect, judge, tally
    from guide.notation import notation
    from guide.pictures import framed, matrix, panels
    from guide.source import show

    import minigrad as mg
    from kernels import blas
    from minigrad.rules import conv


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 3 · Convolution is a matrix product

    A convolution (in this field: a cross-correlation, the kernel is not flipped) slides a small window over a picture and
    takes one dot product a place,

    $$y_{oij} = \sum_{c,k,l} w_{ockl}\; x_{c,\; is + k - p,\; js + l - p},$$

    with stride $s$ and padding $p$. It is linear in $x$ and linear in $w$. So there are *two* matrices in it:

    - $y = M_w\, x$ with the picture laid out as one long vector: a sparse, striped matrix made of $w$;
    - $y = X\, w$ with the windows of the picture as the rows of a matrix: **im2col**.

    The first explains the gradients, the second is how it is computed.

    ## The striped matrix

    Every column of $M_w$ is what the convolution makes of a picture with a single 1 in it. One channel, a $5 \times 5$
    picture, a $3 \times 3$ kernel:
    """)
    return


@app.cell
def _():
    stride = mo.ui.slider(1, 3, 1, value=2, label="stride $s$", show_value=True)
    padding = mo.ui.slider(0, 2, 1, value=1, label="padding $p$", show_value=True)
    return padding, stride


@app.cell
def _(padding, stride):
    side = 5
    kernel = np.array([[0.0, 1.0, 0.0], [1.0, -3.0, 1.0], [0.0, 1.0, 0.5]])
    picture = np.add.outer(np.arange(side), np.arange(side)) % 3 - 1.0

    def conv2d(x, w):
        return mg.conv2d(x, w, stride=stride.value, padding=padding.value)

    w = mg.tensor(kernel[None, None], requires_grad=True)
    x = mg.tensor(picture[None, None], requires_grad=True)
    y = conv2d(x, w)
    _units = mg.tensor(np.eye(side * side).reshape(-1, 1, side, side))
    M = conv2d(_units, w).detach().numpy().reshape(side * side, -1).T
    out = y.shape[-1]
    assert np.allclose(M @ picture.ravel(), y.detach().numpy().ravel())
    _figure, _axes = panels(1, 3, 8, 3.2, width_ratios=[5, 2, 2])
    matrix(_axes[0], M, f"$M_w$: {M.shape[0]} × {M.shape[1]}")
    matrix(_axes[1], picture, f"x: {side} × {side}", numbers=True)
    matrix(_axes[2], y.detach().numpy()[0, 0], f"y: {out} × {out}", numbers=True)
    mo.vstack(
        [
            mo.hstack([stride, padding], justify="start"),
            framed(
                _figure,
                "3.1",
                "the matrix of a convolution: the kernel's nine numbers again and again, one row for each place "
                "of the window. Stride skips rows; padding cuts stripes off at the picture's edge.",
            ),
        ]
    )
    return M, conv2d, kernel, out, picture, side, w, x, y


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The gradient for the picture

    From $y = M_w x$ chapter 2 gives at once $\bar x = M_w^\top \bar y$. Transposing turns the stripes over: where the
    convolution *gathers* nine pixels into one, its transpose *scatters* one number over nine pixels, and overlapping
    contributions add up. Take as cotangent a single 1:
    """)
    return


@app.cell
def _(out):
    row = mo.ui.slider(0, out - 1, 1, value=min(1, out - 1), label="row of ȳ", show_value=True)
    column = mo.ui.slider(0, out - 1, 1, value=min(1, out - 1), label="column of ȳ", show_value=True)
    return column, row


@app.cell
def _(M, column, out, row, side, w, x, y):
    g = np.zeros((1, 1, out, out))
    g[0, 0, row.value, column.value] = 1
    grad_x, grad_w = mg.grad(y, [x, w], mg.tensor(g), retain_graph=True)
    by_matrix = (M.T @ g.ravel()).reshape(side, side)
    assert np.allclose(grad_x.numpy()[0, 0], by_matrix)
    _figure, _axes = panels(1, 3, 8, 3.2, width_ratios=[2, 5, 2])
    matrix(_axes[0], g[0, 0], "ȳ")
    matrix(_axes[1], M.T, "$M_w^T$")
    matrix(_axes[2], by_matrix, "$M_w^T$ ȳ", numbers=True)
    mo.vstack(
        [
            mo.hstack([row, column], justify="start"),
            framed(
                _figure,
                "3.2",
                "one entry of the cotangent lays a copy of the kernel where its window was. The engine's gradient is the "
                "same to the last bit of rounding (asserted in this cell).",
            ),
        ]
    )
    return (grad_w,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The gradient for the kernel

    From $y = X w$, with the window of place $(i, j)$ as a row of $X$: $\bar w = X^\top \bar y$. With a single 1 in
    $\bar y$, it is that window.
    """)
    return


@app.cell
def _(grad_w, kernel, out, padding, picture, row, column, stride, y):
    X = blas._columns(picture[None, None], (3, 3), (out, out), (stride.value,) * 2, (padding.value,) * 2)
    assert np.allclose(X @ kernel.ravel(), y.detach().numpy().ravel())
    _g = np.zeros(out * out)
    _g[row.value * out + column.value] = 1
    assert np.allclose((X.T @ _g).reshape(3, 3), grad_w.numpy()[0, 0])
    _figure, _axes = panels(1, 3, 8, 3, width_ratios=[4, 1, 2])
    matrix(_axes[0], X, f"X: {X.shape[0]} windows × 9")
    matrix(_axes[1], kernel.reshape(-1, 1), "w", numbers=True)
    matrix(_axes[2], grad_w.numpy()[0, 0], "$X^T$ ȳ = the window", numbers=True)
    framed(_figure, "3.3", "im2col: the picture's windows as rows. The product with w is the convolution.")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    With many channels the row of a window has $C \cdot KH \cdot KW$ entries, and $w$ becomes a matrix with a column for each
    output channel: one large matrix product, which processors are best at. This is the project's plain NumPy version; the
    Numba kernels do the same without writing $X$ down.
    """)
    return


@app.cell(hide_code=True)
def _():
    show(blas._columns, blas.conv2d)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## A family of three

    $\langle \bar y, \mathrm{conv}(x, w)\rangle$ is linear in each of its three arguments; the three operations below are
    its three slopes. So each one's derivatives are the other two, and the family is closed: derivatives of any order need no
    further rule.

    $$\langle \bar y,\ \mathrm{conv}(x, w)\rangle
      = \langle \mathrm{grad\_input}(\bar y, w),\ x\rangle
      = \langle \mathrm{grad\_weight}(\bar y, x),\ w\rangle$$
    """)
    return


@app.cell(hide_code=True)
def _():
    show(conv._conv2d, conv._conv2d_grad_input, conv._conv2d_grad_weight)
    return


@app.cell
def _(grad_w, out, row, column, w, x, y):
    _g = np.random.default_rng(0).normal(size=(1, 1, out, out))
    _gx, _gw = mg.grad(y, [x, w], mg.tensor(_g), retain_graph=True)
    _left = float((_g * y.detach().numpy()).sum())
    assert np.isclose(_left, float((_gx.numpy() * x.detach().numpy()).sum()))
    assert np.isclose(_left, float((_gw.numpy() * w.detach().numpy()).sum()))
    mo.md(rf"With a random $\bar y$: all three are ${_left:.6f}$.")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Up-convolution

    The generator has to go the other way, from a small map to a large picture. It uses $M_w^\top$ *as a layer*:
    `conv_transpose2d` is the gradient above, called by another name. Nothing is inverted; shapes are.
    """)
    return


@app.cell(hide_code=True)
def _():
    show(conv.conv_transpose2d)
    return


@app.cell
def _():
    size = mo.ui.slider(2, 5, 1, value=4, label="kernel size $K$", show_value=True)
    up_stride = mo.ui.slider(1, 3, 1, value=2, label="stride $s$", show_value=True)
    return size, up_stride


@app.cell
def _(size, up_stride):
    small = mg.ones(1, 1, 5, 5)
    large = mg.conv_transpose2d(small, mg.ones(1, 1, size.value, size.value), stride=up_stride.value).numpy()[0, 0]
    assert large.shape[0] == 4 * up_stride.value + size.value
    _figure, _axes = panels(1, 2, 8, 3.4, width_ratios=[1, 2.2])
    matrix(_axes[0], small.numpy()[0, 0], "5 × 5, all ones", numbers=True, limit=16)
    matrix(_axes[1], large, f"up-convolved: {len(large)} × {len(large)}", numbers=len(large) < 18, limit=16)
    mo.vstack(
        [
            mo.hstack([size, up_stride], justify="start"),
            framed(
                _figure,
                "3.4",
                "how many windows cover each pixel. Try K = 3, s = 2: a checkerboard, which the generator must learn to "
                "undo. The paper's 4 × 4 kernels with stride 2 cover evenly away from the edge.",
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercises

    **3.1 Sizes.** Return the height of $y$ for a picture of height $H$, kernel height $K$, stride $s$ and padding $p$ on both
    sides. Windows that would hang over the far edge are left out.
    """)
    return


@app.cell
def _():
    def height(H, K, s, p):
        raise NotImplementedError

    return (height,)


@app.cell(hide_code=True)
def _(height):
    def _check():
        for H, K, s, p in ((28, 4, 2, 1), (14, 4, 2, 1), (5, 3, 1, 0), (7, 3, 3, 2), (8, 3, 2, 0)):
            right = mg.conv2d(mg.zeros(1, 1, H, H), mg.zeros(1, 1, K, K), stride=s, padding=p).shape[2]
            found = height(H, K, s, p)
            expect(found == right, f"For H = {H}, K = {K}, s = {s}, p = {p} you say {found}; the engine makes {right}.")
        return "28 → 14 → 7: the discriminator's two steps, and the generator's, backwards."

    verdict_height = judge("3.1", _check)
    verdict_height
    return (verdict_height,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **3.2 im2col.** For one picture `x` of shape $(C, H, W)$ return the matrix whose row $i \cdot OW + j$ is the window of place
    $(i, j)$, flattened in the order $(C, K, K)$; stride 1, no padding. Then $y$ is one product.
    """)
    return


@app.cell
def _():
    def im2col(x, K):
        raise NotImplementedError

    return (im2col,)


@app.cell(hide_code=True)
def _(im2col):
    def _check():
        draw = np.random.default_rng(1)
        for channels, rows, columns, K in ((1, 4, 4, 3), (2, 5, 4, 2), (3, 6, 7, 3)):
            x, w = draw.normal(size=(channels, rows, columns)), draw.normal(size=(4, channels, K, K))
            found = im2col(x, K)
            places = (rows - K + 1) * (columns - K + 1)
            expect(found is not None, "`im2col` returns nothing.")
            found = np.asarray(found)
            shape = (places, channels * K * K)
            expect(found.shape == shape, f"For x {x.shape} and K = {K} the shape is {found.shape}; right: {shape}.")
            close(found[0], x[:, :K, :K].ravel(), "The first row, the window at the top left,")
            right = mg.conv2d(mg.tensor(x[None]), mg.tensor(w)).numpy()[0].reshape(4, -1)
            close(w.reshape(4, -1) @ found.T, right, "The product with the kernels")
        return "Two loops over the K × K places of the kernel are faster than two over the picture: that is `_columns`."

    verdict_im2col = judge("3.2", _check)
    verdict_im2col
    return (verdict_im2col,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **3.3 Checkerboards.** Return whether an up-convolution with kernel size $K$ and stride $s$ covers every pixel away from the
    edge equally often. Figure 3.4 lets you try.
    """)
    return


@app.cell
def _():
    def even(K, s):
        raise NotImplementedError

    return (even,)


@app.cell(hide_code=True)
def _(even):
    def _check():
        for K in range(1, 8):
            for s in range(1, 5):
                cover = mg.conv_transpose2d(mg.ones(1, 1, 12, 12), mg.ones(1, 1, K, K), stride=s).numpy()[0, 0]
                inside = cover[K : 11 * s, K : 11 * s]
                right = bool((inside == inside[0, 0]).all())
                found = even(K, s)
                expect(found is not None, "`even` returns nothing.")
                expect(
                    bool(found) == right,
                    f"K = {K}, s = {s} covers {'evenly' if right else 'unevenly'}; you say {bool(found)}.",
                )
        return "Odena et al. (2016) show what happens otherwise."

    verdict_even = judge("3.3", _check)
    verdict_even
    return (verdict_even,)


@app.cell(hide_code=True)
def _(verdict_even, verdict_height, verdict_im2col):
    mo.vstack([tally("Chapter 3", verdict_height, verdict_im2col, verdict_even), notation()])
    return


if __name__ == "__main__":
    app.run()
