# Text under CC BY 4.0, see docs/study/LICENSE; code under the project's licence.
import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="4 · Batch-norm's gradient by hand")

with app.setup:
    import marimo as mo
    import numpy as np
    from guide.checks import close, expect, judge, tally
    from guide.notation import notation
    from guide.pictures import BLUE, GREY, ORANGE, framed, matrix, panels, printed
    from guide.source import show

    import minigrad as mg
    from kernels import blas
    from minigrad.rules import norm


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 4 · Batch-norm's gradient by hand, first and second order

    Batch normalisation looks harmless,

    $$y_i = \gamma\, \hat x_i + \beta, \qquad \hat x_i = r\,(x_i - m), \qquad
    m = \tfrac1n \textstyle\sum_i x_i, \quad v = \tfrac1n \sum_i (x_i - m)^2, \quad r = (v + \epsilon)^{-1/2},$$

    but every $y_i$ depends on every $x_j$ of the batch, through $m$ and through $r$. It is the one layer of a GAN whose
    gradient is worth deriving once with a pencil. One channel is enough: the others do the same.

    ## First order

    Moving $x_j$ moves the mean by $\tfrac1n$, and the inverse deviation by

    $$\frac{\partial r}{\partial x_j} = -\tfrac12 (v+\epsilon)^{-3/2}\, \frac{\partial v}{\partial x_j}
      = -\tfrac12 r^3 \cdot \tfrac2n (x_j - m) = -\frac{r^2}{n}\, \hat x_j .$$

    So the Jacobian of $\hat x$ has three parts,

    $$\frac{\partial \hat x_i}{\partial x_j}
      = r \Bigl(\underbrace{\delta_{ij}}_{\text{itself}} - \underbrace{\tfrac1n}_{\text{the mean}} -
        \underbrace{\tfrac1n \hat x_i \hat x_j}_{\text{the deviation}}\Bigr),$$

    and it is symmetric. With $\langle a \rangle = \tfrac1n\sum_i a_i$ and cotangent $g = \bar y$ the three products are

    $$\bar x_i = \gamma r \,\bigl(g_i - \langle g\rangle - \hat x_i \langle g \hat x\rangle\bigr), \qquad
      \bar\gamma = \textstyle\sum_i g_i \hat x_i, \qquad \bar\beta = \sum_i g_i .$$

    In a line of NumPy each:
    """)
    return


@app.cell
def _():
    def forward(x, eps):
        """x̂ and r."""
        r = (x.var() + eps) ** -0.5
        return r * (x - x.mean()), r

    def first(g, x, gamma, eps):
        """The cotangents of x, γ and β."""
        hat, r = forward(x, eps)
        return gamma * r * (g - g.mean() - hat * (g * hat).mean()), (g * hat).sum(), g.sum()

    return first, forward


@app.cell
def _():
    n = mo.ui.slider(3, 16, 1, value=8, label="batch size $n$", show_value=True)
    eps = mo.ui.slider(-8, 0, 0.5, value=-5, label="$\\log_{10}\\epsilon$", show_value=True)
    return eps, n


@app.cell
def _(eps, first, forward, n):
    epsilon = 10.0**eps.value
    draw = np.random.default_rng(3)
    x, g, gamma, beta = draw.normal(1, 2, n.value), draw.normal(size=n.value), 1.5, 0.2

    def engine(xs, gammas, betas):
        """Batch-norm of one channel, by the engine."""
        return mg.batch_norm(xs.reshape(-1, 1), None, None, gammas, betas, training=True, eps=epsilon).reshape(-1)

    def leaves():
        return [mg.tensor(a, requires_grad=True) for a in (x, np.array([gamma]), np.array([beta]))]

    _inputs = leaves()
    _by_engine = [c.numpy().squeeze() for c in mg.grad(engine(*_inputs), _inputs, mg.tensor(g))]
    for _mine, _theirs in zip(first(g, x, gamma, epsilon), _by_engine, strict=True):
        assert np.allclose(_mine, _theirs, rtol=1e-9, atol=1e-9)

    _hat, _r = forward(x, epsilon)
    _J = _r * (np.eye(n.value) - 1 / n.value - np.outer(_hat, _hat) / n.value)
    assert np.allclose(_J, mg.jacobian(lambda t: engine(t, *leaves()[1:]), mg.tensor(x)).detach().numpy() / gamma)
    _values = np.linalg.eigvalsh(_J / _r)
    _figure, _axes = panels(1, 2, 8, 3.2)
    matrix(_axes[0], _J, "J of x̂: symmetric, and full")
    _axes[1].plot(range(1, n.value + 1), _values, "o", color=BLUE)
    _axes[1].axhline(0, color=GREY, lw=0.8)
    _axes[1].set(title="eigenvalues of J / r", xlabel="number", ylim=(-0.1, 1.2))
    mo.vstack(
        [
            mo.hstack([n, eps], justify="start"),
            framed(
                _figure,
                "4.1",
                "batch-norm's Jacobian. All eigenvalues but two are 1; one is 0 and one is close to 0: it is a projection.",
            ),
        ]
    )
    return beta, engine, epsilon, g, gamma, leaves, x


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    The picture says what the formula hides. $J/r$ is a **projection**: it takes out of $g$ its constant part and its part
    along $\hat x$, and leaves the rest alone. Adding a constant to the batch, or stretching it, does not change $y$; so no
    gradient may point that way. (The second small eigenvalue is $\epsilon/(v+\epsilon)$: make $\epsilon$ large and watch it
    leave zero.)

    The kernels compute just this, for all channels at once:
    """)
    return


@app.cell(hide_code=True)
def _():
    show(blas.batch_norm_grad)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Second order

    A gradient penalty, or a Hessian-vector product, differentiates $\bar x$ once more. Let a cotangent $u$ arrive at $\bar x$;
    then the number to differentiate is

    $$S = \sum_i u_i \bar x_i = \gamma r n\,(C - AB), \qquad
    A = \langle u \hat x\rangle,\quad B = \langle g \hat x\rangle,\quad
    C = \langle a b \rangle, \quad a = u - \langle u\rangle,\; b = g - \langle g\rangle .$$

    It is symmetric in $u$ and $g$, so $\partial S/\partial g$ is the first-order formula with $u$ in $g$'s place. For
    $\partial S / \partial x$ three things move: $r$, $A$ and $B$. We know the first; the other two are the projection again:

    $$\frac{\partial A}{\partial x_j} = \frac rn \,(a_j - \hat x_j A), \qquad
      \frac{\partial B}{\partial x_j} = \frac rn \,(b_j - \hat x_j B).$$

    Put together, and three copies of $AB\hat x$ collected,

    $$\boxed{\ \frac{\partial S}{\partial x}
      = -\gamma r^2\, \bigl[(C - 3AB)\,\hat x + B\,a + A\,b\bigr]\ } \qquad
      \frac{\partial S}{\partial \gamma} = \frac S\gamma, \qquad
      \frac{\partial S}{\partial g} = \gamma r\,(a - \hat x A).$$
    """)
    return


@app.cell
def _(forward):
    def second(u, g, x, gamma, eps):
        """The cotangents of x, γ and g, where u arrives at the first order's cotangent of x."""
        hat, r = forward(x, eps)
        a, b = u - u.mean(), g - g.mean()
        A, B, C = (u * hat).mean(), (g * hat).mean(), (a * b).mean()
        by_x = -gamma * r**2 * ((C - 3 * A * B) * hat + B * a + A * b)
        return by_x, r * len(x) * (C - A * B), gamma * r * (a - hat * A)

    return (second,)


@app.cell
def _(engine, epsilon, g, gamma, leaves, second, x):
    u = np.random.default_rng(4).normal(size=len(x))
    _inputs, _g = leaves(), mg.tensor(g, requires_grad=True)
    (_first,) = mg.grad(engine(*_inputs), _inputs[0], _g, create_graph=True)
    _by_engine = [c.numpy().squeeze() for c in mg.grad(_first, [*_inputs[:2], _g], mg.tensor(u))]
    _by_hand = second(u, g, x, gamma, epsilon)
    for _mine, _theirs in zip(_by_hand, _by_engine, strict=True):
        assert np.allclose(_mine, _theirs, rtol=1e-8, atol=1e-9)
    _figure, _axes = panels(1, 1, 7, 2.8)
    _axes.bar(np.arange(len(x)) - 0.18, _by_hand[0], 0.36, color=BLUE, label="by hand, the box above")
    _axes.bar(np.arange(len(x)) + 0.18, _by_engine[0], 0.36, color=ORANGE, label="by the engine")
    _axes.axhline(0, color=GREY, lw=0.8)
    _axes.set(xlabel="entry of the batch", ylabel="∂S/∂x")
    _axes.legend(fontsize=8)
    framed(
        _figure,
        "4.2",
        "the second-order product, by the pencil and by a recorded sweep; largest difference "
        f"{max(np.abs(_by_hand[0] - _by_engine[0])):.0e}.",
    )
    return (u,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    How does the engine know? It has no rule with $C - 3AB$ in it. Batch-norm is a **fused** rule: a kernel computes its first
    derivative, and for anything further the engine re-runs the `plain` definition in differentiable operations and sweeps that.
    """)
    return


@app.cell(hide_code=True)
def _():
    show(norm._normalise, norm._batch_norm)
    return


@app.cell
def _(engine, leaves):
    # fused and plain agree in value and first derivative, and the second is right: one check for all of it
    _report = mg.gradgradcheck(engine, tuple(leaves()), kinks="ignore")
    assert _report
    printed(_report)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercises

    **4.1 Root mean square.** Many newer networks leave the mean alone: $y = \gamma\, x\, r$ with
    $r = (\langle x^2\rangle + \epsilon)^{-1/2}$. Return $\bar x$. (One of the three parts goes away, one changes its meaning.)
    """)
    return


@app.cell
def _():
    def rms_norm_vjp(g, x, gamma, eps):
        raise NotImplementedError

    return (rms_norm_vjp,)


@app.cell(hide_code=True)
def _(rms_norm_vjp):
    def _check():
        x, gamma, eps = np.random.default_rng(5).normal(1, 1, 6), 0.7, 1e-3
        stretched = rms_norm_vjp(x, x, gamma, 0.0)
        close(
            stretched,
            np.zeros(6),
            "With ȳ along x and ε = 0 the product must vanish, as stretching x changes nothing; it",
        )
        mg.check_vjp(
            lambda t: gamma * t * (np.mean(t * t) + eps) ** -0.5, lambda g, t: rms_norm_vjp(g, t, gamma, eps), (x,)
        )
        return "A projection with one direction taken out, that of x itself."

    verdict_rms = judge("4.1", _check)
    verdict_rms
    return (verdict_rms,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **4.2 Cotangents that vanish.** Return two cotangents $g$, not multiples of each other, for which $\bar x$ is zero (to within
    $\epsilon = 10^{-12}$) on the given batch.
    """)
    return


@app.cell
def _():
    def vanishing(x):
        raise NotImplementedError  # two arrays of the shape of x

    return (vanishing,)


@app.cell(hide_code=True)
def _(first, vanishing):
    def _check():
        x = np.random.default_rng(6).normal(3, 2, 7)
        found = [np.asarray(g, dtype=np.float64) for g in vanishing(x)]
        expect(len(found) == 2 and all(g.shape == x.shape for g in found), f"Two arrays of shape {x.shape}, please.")
        for k, g in enumerate(found):
            expect(np.linalg.norm(g) > 1e-3, f"Cotangent {k} is itself (nearly) zero: too easy.")
            left = first(g / np.linalg.norm(g), x, 1.0, 1e-12)[0]
            expect(
                np.abs(left).max() < 1e-8,
                f"Cotangent {k} leaves x̄ up to {np.abs(left).max():.2g}. Which changes of x does y not notice?",
            )
        cosine = found[0] @ found[1] / np.linalg.norm(found[0]) / np.linalg.norm(found[1])
        expect(abs(cosine) < 0.999, "These two point the same way.")
        return "Shifting and stretching: what batch-norm cannot see, it cannot teach."

    verdict_vanish = judge("4.2", _check)
    verdict_vanish
    return (verdict_vanish,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **4.3 The running statistics.** In evaluation the mean $m$ and the variance $v$ are constants. Return $\bar x$ then.
    """)
    return


@app.cell
def _():
    def evaluation_vjp(g, x, gamma, m, v, eps):
        raise NotImplementedError

    return (evaluation_vjp,)


@app.cell(hide_code=True)
def _(evaluation_vjp, first):
    def _check():
        draw = np.random.default_rng(7)
        x, g, gamma, m, v, eps = draw.normal(size=5), draw.normal(size=5), 1.3, 0.4, 2.0, 1e-5
        leaf = mg.tensor(x[:, None], requires_grad=True)
        constants = [mg.tensor(np.array([c])) for c in (m, v, gamma, 0.0)]
        (right,) = mg.grad(mg.batch_norm(leaf, *constants, eps=eps), leaf, mg.tensor(g[:, None]))
        found = evaluation_vjp(g, x, gamma, m, v, eps)
        if found is not None and np.allclose(found, first(g, x, gamma, eps)[0]):
            expect(False, "That is the training formula: here m and v do not move with x.")
        close(found, right.numpy()[:, 0], "The cotangent of x")
        return "Two networks in one: what a GAN learns in training mode is not what it computes in evaluation."

    verdict_evaluation = judge("4.3", _check)
    verdict_evaluation
    return (verdict_evaluation,)


@app.cell(hide_code=True)
def _(verdict_evaluation, verdict_rms, verdict_vanish):
    mo.vstack([tally("Chapter 4", verdict_rms, verdict_vanish, verdict_evaluation), notation()])
    return


if __name__ == "__main__":
    app.run()
