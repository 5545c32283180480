# Text under CC BY 4.0, see docs/study/LICENSE; code under the project's licence.
import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="2 · Vector-Jacobian products, and why gradcheck works")

with app.setup:
    import math

    import marimo as mo
    import numpy as np
    from guide.checks import close, expect, judge, tally
    from guide.notation import notation
    from guide.pictures import BLUE, GREY, ORANGE, framed, matrix, panels, printed
    from guide.source import show

    import minigrad as mg
    from minigrad import diagnosis, quotients


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 2 · Vector-Jacobian products, and why gradcheck works

    With arrays, the slope of chapter 1 becomes a matrix, the **Jacobian** $J_{ij} = \partial y_i / \partial x_j$ of
    $y = f(x)$. A convolution's Jacobian may have $10^{10}$ entries; nobody wants to hold it. Nor need we: the sweep arrives
    with a cotangent $\bar y$ and wants to leave with

    $$\bar x^\top = \bar y^\top J, \qquad \bar x_j = \sum_i \bar y_i \frac{\partial y_i}{\partial x_j},$$

    the **vector-Jacobian product**. It is a *function* of $\bar y$, usually as cheap as $f$ itself, and it is what a rule
    states. For $y = \tanh x$, $J$ is diagonal and the product is $\bar y \,(1 - y^2)$: the one line at the end of
    chapter 1.

    Softmax has a full Jacobian. Give its product a cotangent of your choice:
    """)
    return


@app.cell
def _():
    logits = np.array([1.2, 0.3, -0.5, 0.1])
    cotangent = mo.ui.array(
        [mo.ui.slider(-1, 1, 0.25, value=float(k == 0), label=f"$\\bar y_{k}$", show_value=True) for k in range(4)]
    )
    return cotangent, logits


@app.cell
def _(cotangent, logits):
    def softmax(x):
        return mg.softmax(x, 0)

    u = np.array(cotangent.value, dtype=np.float64)
    J = mg.jacobian(softmax, mg.tensor(logits)).numpy()
    y, product = mg.vjp(softmax, mg.tensor(logits), mg.tensor(u))
    assert np.allclose(product.numpy(), u @ J)
    assert np.allclose(J, np.diag(y.numpy()) - np.outer(y.numpy(), y.numpy()))
    _figure, _axes = panels(1, 3, 8, 2.6, width_ratios=[1, 4, 4])
    matrix(_axes[0], u[:, None], "ȳ", numbers=True, limit=1)
    matrix(_axes[1], J, "J of softmax", numbers=True, limit=0.3)
    matrix(_axes[2], product.numpy()[None], "ȳᵀJ, from one sweep", numbers=True, limit=0.3)
    mo.hstack(
        [
            mo.vstack(cotangent.elements),
            framed(
                _figure,
                "2.1",
                "a cotangent, the Jacobian, and their product. The sweep never forms the matrix; "
                "mg.jacobian calls it once for each row.",
            ),
        ],
        widths=[1, 3],
    )
    return (softmax,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    With $\bar y = (1, 0, 0, 0)$ the product is the first *row* of $J$: one sweep, one row. That is why a loss, which has a
    single row, is cheap to differentiate with respect to a million weights. The rule in the engine is the matrix above
    multiplied out, $\bar x = y \odot (\bar y - \langle \bar y, y\rangle)$:
    """)
    return


@app.cell(hide_code=True)
def _():
    show(mg.softmax)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The other way to the same numbers

    A rule may be wrong. There is a second way to $J$ which knows nothing of rules: move one entry of $x$ by a little and
    look. The central difference

    $$\frac{f(x + h e_j) - f(x - h e_j)}{2h} = \frac{\partial f}{\partial x_j} + \frac{h^2}{6} f''' + O(h^4)
    \;\pm\; \frac{\varepsilon |f|}{h}$$

    gives a *column*. Two errors pull against each other: truncation, which grows like $h^2$, and rounding, which grows like
    $1/h$ because two nearly equal numbers are subtracted. Their sum is a V in a log-log plot, and its bottom is as good as a
    difference can be: near $h = \sqrt[3]{3 \varepsilon |f| / |f'''|}$.
    """)
    return


@app.cell
def _():
    exponent = mo.ui.slider(-14, -0.5, 0.25, value=-6, label="$\\log_{10} h$", show_value=True, full_width=True)
    precision = mo.ui.radio(["float64", "float32"], value="float64", label="numbers", inline=True)
    return exponent, precision


@app.cell
def _(exponent, precision):
    _kind = np.dtype(precision.value).type

    def _difference(h):
        up, down = _kind(0.7 + h), _kind(0.7 - h)
        return (np.float64(np.tanh(up)) - np.float64(np.tanh(down))) / (np.float64(up) - np.float64(down) or np.inf)

    _true = 1 - math.tanh(0.7) ** 2
    _steps = 10.0 ** np.arange(-14, -0.4, 0.05)
    _errors = np.array([abs(_difference(h) - _true) for h in _steps]) + 1e-18
    _here = abs(_difference(10.0**exponent.value) - _true) + 1e-18
    _unit = float(np.finfo(_kind).eps)
    _t = math.tanh(0.7)
    _third = abs((1 - _t**2) * (6 * _t**2 - 2))
    _best = (3 * _unit / 2 * _t / _third) ** (1 / 3)
    assert _errors.argmin() > 0 and _errors.min() < 1e-9 * (_unit / 1e-16) ** 0.75
    assert abs(math.log10(_steps[_errors.argmin()] / _best)) < 1.5
    _figure, _axes = panels(1, 1, 7, 3)
    _axes.loglog(_steps, _errors, color=BLUE, lw=1, label="error of the central difference")
    _axes.loglog(_steps, _third / 6 * _steps**2, "--", color=GREY, lw=1, label="truncation, h²|f'''|/6")
    _axes.loglog(_steps, _unit / 2 * _t / _steps, ":", color=GREY, lw=1, label="rounding, ε|f|/2h")
    _axes.plot(10.0**exponent.value, _here, "o", color=ORANGE, label=f"here: {_here:.1e}")
    _axes.set(xlabel="step h", ylabel="|error|", ylim=(1e-14, 10))
    _axes.legend(fontsize=8)
    mo.vstack(
        [
            precision,
            exponent,
            framed(_figure, "2.2", "the derivative of tanh at 0.7 by central differences: a V, in either precision."),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    `mg.gradcheck` compares the two ways, rows from the sweep against columns from differences, entry by entry. In float64
    it takes PyTorch's numbers ($h = 10^{-6}$, absolute $10^{-5}$, relative $10^{-3}$). In float32 no fixed numbers can be
    right, so it measures the rounding of *your* function and takes the bottom of *its* V:
    """)
    return


@app.cell(hide_code=True)
def _():
    show(quotients.balanced_step)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Why is it convincing? A wrong rule and a difference quotient share no line of code, so they agree by accident only on a
    set of points of measure zero. Choose your points badly and you are on that set; exercise 2.3 is about that.

    ## Break a rule, and watch it caught

    `mg.override_vjp(name, …)` gives a rule other products for the length of a `with`. The function under test is
    tanh itself, at four points.
    """)
    return


@app.cell
def _():
    BROKEN = {
        "nothing: the right rule": lambda g, out: g * (1 - out * out),
        "the square was forgotten": lambda g, out: g * (1 - out),
        "the sign": lambda g, out: -g * (1 - out * out),
        "a factor of two": lambda g, out: 2 * g * (1 - out * out),
        "no gradient at all": lambda g, out: g * 0,
        "one entry only": lambda g, out: g * (1 - out * out) * np.array([1.0, 1.0, 1.1, 1.0]),
        "the border only": lambda g, out: g * (1 - out * out) * np.array([[0.0, 1, 1, 0.0]]),
    }
    which = mo.ui.dropdown(list(BROKEN), value="one entry only", label="break")
    return BROKEN, which


@app.cell
def _(BROKEN, which):
    points = np.array([[0.3, -0.8, 0.5, 1.1]])

    def report_on(name):
        """What gradcheck says of tanh while the rule is broken so."""
        with mg.override_vjp("tanh", BROKEN[name]):
            x = mg.tensor(points, requires_grad=True)
            return mg.gradcheck(mg.tanh, x, raise_exception=False)

    assert report_on("nothing: the right rule")
    for _name in list(BROKEN)[1:]:
        assert not report_on(_name), _name
    assert "entry [0, 2], output 0 entry [0, 2]" in str(report_on("one entry only"))
    assert "wrong sign" in str(report_on("the sign"))
    assert "2 times the right one" in str(report_on("a factor of two"))
    assert "no gradient arrives" in str(report_on("no gradient at all"))
    _text = str(report_on(which.value))
    mo.vstack([which, printed(_text)])
    return points, report_on


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    The report names the worst entry, both numbers, how many entries are wrong and, where it can, the *mistake*: patterns
    that wrong gradients leave. They are plain questions put to two matrices:
    """)
    return


@app.cell(hide_code=True)
def _():
    show(diagnosis.pattern)
    return


@app.cell
def _(BROKEN, points, which):
    with mg.override_vjp("tanh", BROKEN[which.value]):
        _rows = mg.jacobian(mg.tanh, mg.tensor(points)).numpy().reshape(4, 4)
    _columns = np.empty((4, 4))
    for _j in range(4):
        _e = 1e-6 * np.eye(4)[_j]
        _columns[:, _j] = (np.tanh(points + _e) - np.tanh(points - _e))[0] / 2e-6
    _figure, _axes = panels(1, 3, 8, 2.8)
    matrix(_axes[0], _rows, "by rows: the sweep", numbers=True, limit=2)
    matrix(_axes[1], _columns, "by columns: differences", numbers=True, limit=2)
    matrix(_axes[2], _rows - _columns, "their difference", numbers=True, limit=0.1)
    framed(_figure, "2.3", f"the Jacobian of tanh twice over; broken: {which.value}.")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    For a large function all entries are too many. With random $u$ and $v$ the single number $u^\top J v$ comes from one
    sweep ($u^\top J$, then a dot product) and from two evaluations (a difference along $v$). If the two Jacobians differ by
    $E \neq 0$, then $u^\top E v = 0$ only for $(u, v)$ on a surface of measure zero: `fast_mode=True` draws four.

    Second derivatives are checked the same way, `mg.gradgradcheck`: the gradient is a function like any other.

    ## Exercises

    **2.1 A product of your own.** For `layer_norm` below, over a vector $x$ of length $n$, with
    $m = \tfrac1n\sum_i x_i$, $s = \sqrt{\tfrac1n \sum_i (x_i - m)^2}$ and $y = (x - m)/s$, write the vector-Jacobian product
    on plain arrays. (It is $\tfrac1s$ times $\bar y$, with two means taken out.)
    """)
    return


@app.cell
def _():
    def layer_norm(x):
        return (x - x.mean()) / x.std()

    return (layer_norm,)


@app.cell
def _():
    def layer_norm_vjp(g, x):
        raise NotImplementedError

    return (layer_norm_vjp,)


@app.cell(hide_code=True)
def _(layer_norm, layer_norm_vjp):
    def _check():
        x = np.random.default_rng(0).normal(size=5)
        found = layer_norm_vjp(np.ones(5), x)
        close(found, np.zeros(5), "The product with ȳ = (1, …, 1), which must vanish as the sum of y is always 0,")
        mg.check_vjp(layer_norm, layer_norm_vjp, (x,))
        mg.check_vjp(layer_norm, layer_norm_vjp, (3 * x - 2,))
        return "This is batch-norm along the other axis; chapter 4 takes it to second order."

    verdict_product = judge("2.1", _check)
    verdict_product
    return (verdict_product,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **2.2 The bottom of the V.** The error is about $\tfrac{h^2}{6} T + \tfrac{R}{h}$, with $T = |f'''|$ and $R$ what rounding
    does to the two values. Return the $h$ that makes it least.
    """)
    return


@app.cell
def _():
    def best_step(T, R):
        raise NotImplementedError

    return (best_step,)


@app.cell(hide_code=True)
def _(best_step):
    def _check():
        for T, R in ((1.0, 1e-16), (50.0, 1e-16), (0.3, 1e-7)):
            h = best_step(T, R)
            expect(h is not None and h > 0, f"The step for T = {T}, R = {R} should be a positive number.")
            error = lambda s, T=T, R=R: s * s / 6 * T + R / s
            for factor, word in ((1.01, "larger"), (0.99, "smaller")):
                expect(
                    error(h) <= error(h * factor),
                    f"With T = {T}, R = {R} you step {h:.3g}; a slightly {word} step has a smaller error. "
                    "Set the derivative of the error by h to zero.",
                )
        return "At the bottom rounding is twice the truncation, and about two thirds of the digits are left."

    verdict_step = judge("2.2", _check)
    verdict_step
    return (verdict_step,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **2.3 A check is as good as its points.** The rule with the square forgotten, $\bar y\,(1 - y)$ instead of
    $\bar y\,(1 - y^2)$, is wrong. Return points $x$, three different ones, at which gradcheck finds nothing.
    """)
    return


@app.cell
def _():
    def blind_points():
        raise NotImplementedError  # three numbers

    return (blind_points,)


@app.cell(hide_code=True)
def _(blind_points):
    def _check():
        chosen = np.asarray(blind_points(), dtype=np.float64)
        expect(chosen.shape == (3,), f"Three numbers, please; this has shape {chosen.shape}.")
        expect(np.isfinite(chosen).all(), "Finite numbers, please.")
        expect(len(set(chosen.tolist())) == 3, "Three *different* numbers.")
        with mg.override_vjp("tanh", lambda g, out: g * (1 - out)):
            report = mg.gradcheck(mg.tanh, mg.tensor(chosen, requires_grad=True), raise_exception=False)
        expect(report, f"gradcheck still sees it:\n\n```text\n{report}\n```\n\nWhere is $1 - y = 1 - y^2$?")
        return "So the engine's own checks draw their points at random, several times, away from such places."

    verdict_points = judge("2.3", _check)
    verdict_points
    return (verdict_points,)


@app.cell(hide_code=True)
def _(verdict_points, verdict_product, verdict_step):
    mo.vstack([tally("Chapter 2", verdict_product, verdict_step, verdict_points), notation()])
    return


if __name__ == "__main__":
    app.run()
