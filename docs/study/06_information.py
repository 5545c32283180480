# Text under CC BY 4.0, see docs/study/LICENSE; code under the project's licence.
import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="6 · Information, its bound, and a misprint")

with app.setup:
    import math

    import marimo as mo
    import numpy as np
    from guide.checks import close, expect, judge, tally
    from guide.notation import notation
    from guide.pictures import BLUE, GREEN, GREY, ORANGE, PURPLE, framed, matrix, panels
    from guide.source import show

    import minigrad as mg
    from infogan import objective, theory
    from infogan.codes import Categorical, Code, Uniform
    from minigrad import random


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 6 · Information, its bound, and a misprint

    InfoGAN splits the generator's input into noise $z$ and a **code** $c$, and asks that the code be readable from the
    picture $x = G(z, c)$. "Readable" has a measure: the **mutual information**

    $$I(c; x) = H(c) - H(c \mid x) = \mathbb{E}_{c, x}\left[\log \frac{P(c, x)}{P(c)\,P(x)}\right],$$

    by how much seeing $x$ reduces the uncertainty about $c$. With natural logarithms the unit is the *nat*;
    $H(c) = -\mathbb{E} \log P(c)$ is the entropy, $\log 10 = 2.303$ nats for ten equally likely categories.

    For pictures nobody can compute it. So this chapter uses a toy where everybody can: three categories, and a "picture" that
    is one number, $x = \text{mean}_c + s z$ with $z \sim N(0, 1)$.
    """)
    return


@app.cell
def _():
    noise = mo.ui.slider(0.05, 3, 0.05, value=0.6, label="noise $s$", show_value=True)
    likely = mo.ui.slider(0.05, 0.9, 0.05, value=0.35, label="$P(c = 0)$", show_value=True)
    return likely, noise


@app.cell
def _(likely, noise):
    _rest = (1 - likely.value) / 2
    toy = theory.Mixture((likely.value, _rest, 1 - likely.value - _rest), (-1.5, 0.0, 2.0), noise.value)
    table = toy.table()
    information = theory.exact_information(table)
    ceiling = toy.variable.entropy
    assert -1e-9 <= information <= ceiling + 1e-9
    # I = H(c) − H(c|x), the second term an average of entropies of posteriors
    _p_x = table.mass.sum(axis=0)
    _left = sum(w * theory.entropy(table.posterior[:, k]) for k, w in enumerate(_p_x))
    assert math.isclose(information, ceiling - _left, abs_tol=1e-9)
    _figure, _axes = panels(1, 3, 9, 2.9, width_ratios=[3, 3, 1.3])
    _density = table.mass / np.gradient(table.x)
    for _c, _colour in enumerate((BLUE, ORANGE, GREEN)):
        _axes[0].plot(table.x, _density[_c], color=_colour, label=f"c = {_c}")
        _axes[1].plot(table.x, table.posterior[_c], color=_colour)
    _axes[0].set(title="P(c, x)", xlabel="x", xlim=(-5, 6))
    _axes[0].legend(fontsize=8)
    _axes[1].set(title="posterior P(c | x)", xlabel="x", xlim=(-5, 6))
    _axes[2].bar(["H(c)", "I"], [ceiling, information], color=[GREY, PURPLE])
    _axes[2].set(ylabel="nats", ylim=(0, 1.2))
    mo.vstack(
        [
            mo.hstack([noise, likely], justify="start"),
            framed(
                _figure,
                "6.1",
                f"the toy, its true posterior, and I(c; x) = {information:.3f} of at most H(c) = {ceiling:.3f} nats.",
            ),
        ]
    )
    return ceiling, information, table, toy


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Turn the noise up: the posteriors flatten, and the information goes to 0. Turn it down: the clouds part, and it fills up to
    $H(c)$, **a ceiling no generator can pass**.

    ## The bound

    The information needs the posterior $P(c|x)$, which for a generator of pictures is out of reach. Let any other
    distribution $Q(c|x)$ guess. Adding and subtracting $\log Q$ inside $-H(c|x) = \mathbb{E} \log P(c|x)$,

    $$I(c; x) = \underbrace{\mathbb{E}_{c, x}[\log Q(c|x)] + H(c)}_{L_I(G, Q)} \;+\;
      \mathbb{E}_x\bigl[\underbrace{\mathrm{KL}\bigl(P(\cdot|x)\,\|\,Q(\cdot|x)\bigr)}_{\ge\, 0}\bigr],$$

    so $L_I \le I$, with equality where $Q$ is the posterior. That is **variational information maximisation** (Barber and
    Agakov 2003). Below, $Q \propto P(c|x)^\beta$: right at $\beta = 1$, timid below, too sure of itself above.
    """)
    return


@app.cell
def _():
    beta = mo.ui.slider(0, 4, 0.1, value=2.0, label="$\\beta$", show_value=True, full_width=True)
    return (beta,)


@app.cell
def _(beta, ceiling, information, toy):
    _reading = theory.tempered(toy, beta.value)
    _bound, _gap = theory.exact_bound(toy, _reading), theory.expected_kl(toy, _reading)
    assert math.isclose(_bound + _gap, information, abs_tol=1e-7)
    assert math.isclose(theory.exact_bound(toy, theory.prior(toy)), 0, abs_tol=1e-7)
    assert math.isclose(theory.exact_bound(toy, toy.log_posterior), information, abs_tol=1e-7)
    _betas = np.linspace(0, 4, 41)
    _bounds = [theory.exact_bound(toy, theory.tempered(toy, b)) for b in _betas]
    assert max(_bounds) <= information + 1e-9
    _figure, _axes = panels(1, 1, 7, 3)
    _axes.plot(_betas, _bounds, color=BLUE, label="L_I")
    _axes.axhline(information, color=PURPLE, label="I(c; x)")
    _axes.axhline(ceiling, color=GREY, ls="--", label="H(c)")
    _axes.vlines(beta.value, _bound, information, color=ORANGE, lw=3, label="E KL(P‖Q)")
    _axes.plot(beta.value, _bound, "o", color=BLUE)
    _axes.set(xlabel="β", ylabel="nats", ylim=(min(-0.5, *_bounds) - 0.05, ceiling + 0.1))
    _axes.legend(fontsize=8, ncols=4, loc="lower center")
    mo.vstack(
        [
            beta,
            framed(
                _figure,
                "6.2",
                f"the bound against how sure Q is of itself: L_I = {_bound:.3f}, KL = {_gap:.3f}, sum {_bound + _gap:.3f}. "
                "It touches I where Q is the posterior, and may well be negative.",
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    show(theory.exact_bound, theory.expected_kl)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The lemma, and its misprint

    One obstacle is left. The paper's bound averages over $x \sim G(z, c)$ and then over $c' \sim P(c|x)$, *a draw from the
    posterior we do not have*. Its lemma removes it: the $c$ that made $x$ already is such a draw. In general,

    $$\mathbb{E}_{x \sim X,\; y \sim Y|x}[f(x, y)] \;=\;
      \mathbb{E}_{x \sim X,\; y \sim Y|x,\; x' \sim X|y}[f(x', y)].$$

    Read the last subscript. In the paper's method text it says $x' \sim X$, **and that is false**: a fresh $x'$ has forgotten
    $y$. Drawn *given* $y$, the pair $(x', y)$ has the same law as $(x, y)$, which is all the lemma says:
    $\sum_{x} P(x, y)\, P(x'|y) = P(y)\, P(x'|y) = P(x', y)$.

    Take $X, Y = \pm 1$, equal with probability $\tfrac{1 + \rho}{2}$, and $f(x, y) = xy$.
    """)
    return


@app.cell
def _():
    rho = mo.ui.slider(-1, 1, 0.1, value=1.0, label="$\\rho$", show_value=True)
    draws = mo.ui.slider(2, 5, 0.5, value=3, label="$\\log_{10}$ draws", show_value=True)
    return draws, rho


@app.cell
def _(draws, rho):
    _sign = np.array([-1.0, 1.0])
    joint, f = (1 + rho.value * np.outer(_sign, _sign)) / 4, np.outer(_sign, _sign)
    exact = {
        "left": theory.lemma_left(joint, f),
        "right": theory.lemma_right(joint, f),
        "misprinted": theory.lemma_misprinted(joint, f),
    }
    assert math.isclose(exact["left"], rho.value, abs_tol=1e-12)
    assert math.isclose(exact["left"], exact["right"], abs_tol=1e-12)
    assert math.isclose(exact["misprinted"], 0, abs_tol=1e-12)
    _count = round(10**draws.value)
    _sampled = theory.sampled_lemma(joint, f, random.stream(0, "lemma"), _count)
    for _side, _value in exact.items():
        assert abs(_sampled[_side].mean - _value) < 6 * _sampled[_side].error + 1e-9
    _figure, _axes = panels(1, 2, 8, 2.8, width_ratios=[1, 2])
    matrix(_axes[0], joint, "P(x, y)", numbers=True, limit=0.6)
    _names = ["left side", "right, x' ~ X|y", "misprint, x' ~ X"]
    _axes[1].bar(_names, list(exact.values()), color=[BLUE, GREEN, ORANGE], alpha=0.5)
    _axes[1].errorbar(
        _names, [_sampled[k].mean for k in exact], [2 * _sampled[k].error for k in exact], fmt="ko", ms=3, capsize=4
    )
    _axes[1].axhline(0, color=GREY, lw=0.8)
    _axes[1].set(ylim=(-1.1, 1.1), ylabel="E f")
    mo.vstack(
        [
            mo.hstack([rho, draws], justify="start"),
            framed(
                _figure,
                "6.3",
                f"both sides of the lemma and the misprint: exactly (bars) and from {_count:,} draws (dots, two standard "
                f"errors). At ρ = {rho.value:g} the left side is {exact['left']:.2g}, the misprint "
                f"{abs(exact['misprinted']):.2g}.",
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    show(theory.lemma_right, theory.lemma_misprinted)
    return


@app.cell
def _():
    # the case the project keeps as its counter-example
    _joint, _f = theory.together()
    assert (theory.lemma_left(_joint, _f), theory.lemma_right(_joint, _f)) == (1, 1)
    assert theory.lemma_misprinted(_joint, _f) == 0
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    With the lemma the bound is a plain average over what training draws anyway: draw $c$, make $x$, ask $Q$ how likely that
    very $c$ is. In the project, and in every run, it is two lines:
    """)
    return


@app.cell(hide_code=True)
def _():
    show(objective.information, Categorical.log_q)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Q learns

    Here a $Q$ that is linear in $x$ climbs its bound on our toy, by that line and the engine of chapters 1 and 2, from batches
    of 128. At first it calls all categories equally likely whatever it sees, so it starts at $H(c) - \log 3$: a little
    below zero unless they are.
    """)
    return


@app.cell
def _(ceiling, information, toy):
    _learner = theory.Learner(toy)
    _seen = [theory.exact_bound(toy, _learner.log_q)]
    _estimates = []
    for _ in range(300):
        _estimates.append(_learner.advance())
        _seen.append(theory.exact_bound(toy, _learner.log_q))
    assert math.isclose(_seen[0], ceiling - math.log(3), abs_tol=1e-5)
    assert max(_seen) <= information + 1e-5
    assert _seen[-1] > information - 0.06 and _seen[-1] > 0
    _figure, _axes = panels(1, 1, 7, 2.8)
    _axes.plot(_estimates, ".", color=GREY, ms=2, label="estimate from a batch")
    _axes.plot(_seen, color=BLUE, label="L_I, exactly")
    _axes.axhline(information, color=PURPLE, label="I(c; x)")
    _axes.axhline(ceiling, color=GREY, ls="--", label="H(c)")
    _axes.set(xlabel="update", ylabel="nats")
    _axes.legend(fontsize=8, ncols=4, loc="lower right")
    framed(
        _figure,
        "6.4",
        f"Q learns to read: L_I climbs to {_seen[-1]:.3f} of I = {information:.3f}. Single batches may lie above I; "
        "only the average is a bound.",
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## A continuous code has no ceiling

    For $c \sim \mathrm{Unif}(-1, 1)$ the entropy is $\log 2 = 0.693$, but it is a *differential* entropy, which bounds nothing:
    $I(c; x)$ grows without limit as the noise goes. And what Q may say matters. With a Gaussian whose $\sigma$ is **fixed at
    1**, as in the paper, $\log Q \le -\tfrac12 \log 2\pi$, so

    $$L_I \le \log 2 - \tfrac12 \log 2\pi = -0.226$$

    however well $\mu$ is read. Such a code can never look "full". With the $\sigma$ that *fits* the residual,
    $L_I$ passes $\log 2$ once $\sigma < 0.242$. The project prints both.
    """)
    return


@app.cell
def _():
    spread = mo.ui.slider(-1.5, 0.5, 0.1, value=-1, label="$\\log_{10} s$, noise of $x = c + s z$", show_value=True)
    return (spread,)


@app.cell
def _(spread):
    def _three(s):
        """I, L_I with the best σ, and with σ = 1, of the uniform code, where Q has the true posterior's mean."""
        line = theory.Line(Uniform(), s)
        nodes = line.table()
        mean = (nodes.c[:, None] * nodes.cell[:, None] * nodes.posterior).sum(axis=0)
        residual = float((nodes.mass * (nodes.c[:, None] - mean) ** 2).sum()) ** 0.5
        bounds = [
            math.log(2) - 0.5 * math.log(2 * math.pi * sigma**2) - residual**2 / (2 * sigma**2)
            for sigma in (residual, 1.0)
        ]
        return theory.exact_information(nodes), *bounds

    _line = theory.Line(Uniform(), 0.5)
    assert math.isclose(_three(0.5)[2], theory.exact_bound(_line, theory.gaussian(_line, 1.0)), abs_tol=1e-9)
    _limit = Uniform().limit
    _noises = np.arange(-1.5, 0.51, 0.25)
    _curves = np.array([_three(10.0**s) for s in _noises])
    _here = _three(10.0**spread.value)
    assert math.isclose(_limit, math.log(2) - 0.5 * math.log(2 * math.pi))
    assert (_curves[:, 2] < _limit).all() and (_curves[:, 1] <= _curves[:, 0] + 1e-9).all()
    assert _curves[0, 1] > math.log(2)
    _figure, _axes = panels(1, 1, 7, 3)
    for _k, (_name, _colour) in enumerate([("I(c; x)", PURPLE), ("L_I, σ fitted", BLUE), ("L_I, σ = 1", ORANGE)]):
        _axes.plot(_noises, _curves[:, _k], color=_colour, label=_name)
        _axes.plot(spread.value, _here[_k], "o", color=_colour)
    _axes.axhline(math.log(2), color=GREY, ls="--", lw=0.8)
    _axes.axhline(_limit, color=ORANGE, ls=":", lw=1)
    _axes.set(xlabel="log₁₀ s", ylabel="nats")
    _axes.legend(fontsize=8)
    mo.vstack(
        [
            spread,
            framed(
                _figure,
                "6.5",
                f"a uniform code: information, and its bound with σ fitted and with σ = 1 (here {_here[0]:.3f}, "
                f"{_here[1]:.3f}, {_here[2]:.3f}). Dashed: log 2, no ceiling. Dotted: −0.226, which the trained term "
                "cannot pass.",
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercises

    **6.1 Information.** From a table of probabilities $P(c, x)$ (rows $c$, columns $x$; some may be 0) return $I(c; x)$ in nats.
    """)
    return


@app.cell
def _():
    def information_of(joint):
        raise NotImplementedError

    return (information_of,)


@app.cell(hide_code=True)
def _(information_of):
    def _check():
        close(information_of(np.full((2, 3), 1 / 6)), 0.0, "Where c and x are independent, I")
        full = information_of(np.diag([0.25] * 4))
        expect(full is None or not np.isnan(full), "Where a probability is 0 you get NaN: 0 log 0 counts as 0.")
        close(full, math.log(4), "Where x tells c exactly, with four values, I")
        mass = np.array([[0.3, 0.1], [0.1, 0.5]])
        right = theory.entropy(mass.sum(1)) + theory.entropy(mass.sum(0)) - theory.entropy(mass)
        found = information_of(mass)
        bits = found is not None and math.isclose(found, right / math.log(2), rel_tol=1e-6)
        expect(not bits, "Right, but in bits: use natural logarithms.")
        close(found, right, "I for P = ((.3, .1), (.1, .5))")
        return "Symmetric in c and x, though one makes the other."

    verdict_information = judge("6.1", _check)
    verdict_information
    return (verdict_information,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **6.2 The bound, as trained.** From Q's logits (a tensor $(N, K)$) and the codes that made the pictures (one-hot, $(N, K)$)
    return $L_I$ as a tensor, for $c \sim \mathrm{Cat}(K)$ with all values equally likely.
    """)
    return


@app.cell
def _():
    def bound(logits, c):
        raise NotImplementedError

    return (bound,)


@app.cell(hide_code=True)
def _(bound):
    def _check():
        draw = random.stream(0, "exercise 6.2")
        code = Code([Categorical((0.2,) * 5)])
        c = mg.tensor(code.sample(draw, 64))
        logits = mg.tensor(draw.normal(size=(64, 5)), requires_grad=True)
        found = bound(logits, c)
        expect(isinstance(found, mg.Tensor), "Return a tensor, so that Q and G can learn from it.")
        (right,) = objective.information(code, logits, c)
        if abs(found.item() - right.item() + math.log(5)) < 1e-5:
            expect(False, "That is E log Q alone; the bound has H(c) in it.")
        close(found.item(), right.item(), "L_I")
        close(mg.grad(found, logits, retain_graph=True)[0], mg.grad(right, logits)[0].numpy(), "Its gradient")
        large = bound(mg.tensor(np.array([[500.0, 0, 0, 0, 0]])), mg.tensor(np.array([[0.0, 1, 0, 0, 0]])))
        close(large.item(), math.log(5) - 500, "L_I where Q is very sure and wrong (logit 500)")
        return "Softmax before the logarithm would have lost that last one."

    verdict_bound = judge("6.2", _check)
    verdict_bound
    return (verdict_bound,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **6.3 The lemma.** Return the *right* side of the lemma, corrected, for a table $P(x, y)$ and values $f(x, y)$ as arrays,
    going through $x$, $y$ and $x'$ in turn. It must equal the left side, `(joint * f).sum()`, for every table; do compute it the
    long way, so that you see why.
    """)
    return


@app.cell
def _():
    def right_side(joint, f):
        raise NotImplementedError  # Σ over x, y, x' of P(x, y) · P(x'|y) · f(x', y)

    return (right_side,)


@app.cell(hide_code=True)
def _(right_side):
    def _check():
        joint, f = theory.together()
        found = right_side(joint, f)
        expect(found is None or not math.isclose(found, 0, abs_tol=1e-9), "0: the misprint. Draw x' *given y*.")
        close(found, 1.0, "For X = Y = ±1 and f = xy, the right side")
        draw = np.random.default_rng(9)
        joint, f = draw.dirichlet(np.ones(12)).reshape(3, 4), draw.normal(size=(3, 4))
        close(right_side(joint, f), theory.lemma_left(joint, f), "For a random 3 × 4 table, the right side")
        return "Summing over x first leaves P(y) P(x'|y) = P(x', y)."

    verdict_lemma = judge("6.3", _check)
    verdict_lemma
    return (verdict_lemma,)


@app.cell(hide_code=True)
def _(verdict_bound, verdict_information, verdict_lemma):
    mo.vstack([tally("Chapter 6", verdict_information, verdict_bound, verdict_lemma), notation()])
    return


if __name__ == "__main__":
    app.run()
