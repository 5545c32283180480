# Text under CC BY 4.0, see docs/study/LICENSE; code under the project's licence.
import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="5 · The game, in two dimensions")

with app.setup:
    import math

    import marimo as mo
    import numpy as np
    from guide.checks import close, expect, judge, tally
    from guide.notation import notation
    from guide.pictures import BLUE, GREEN, GREY, ORANGE, framed, panels
    from guide.source import show

    import minigrad as mg
    from infogan import objective
    from minigrad import nn, optim, random


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 5 · The game, in two dimensions

    A generator $G$ turns noise into points; a discriminator $D$ says of a point how likely it is to be real. They play

    $$\min_G \max_D V(D, G) = \mathbb{E}_{x \sim P_\text{data}}[\log D(x)] + \mathbb{E}_{z}[\log(1 - D(G(z)))].$$

    In the project that is four lines, in terms of $D$'s *logit* $\ell$, with $D = \sigma(\ell)$. Since
    $\log \sigma(\ell) = -\log(1 + e^{-\ell}) = -\mathrm{softplus}(-\ell)$, no probability is ever rounded to 0 or 1:
    """)
    return


@app.cell(hide_code=True)
def _():
    show(objective.value, objective.adversarial_loss)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## If D could be anything

    Fix $G$, and write $p$ for the density of the data and $q$ for that of the generated points. At each $x$ the best
    discriminator maximises $p \log D + q \log(1 - D)$, which gives

    $$D^*(x) = \frac{p(x)}{p(x) + q(x)}, \qquad V(D^*, G) = 2\,\mathrm{JS}(p, q) - 2 \log 2 .$$

    So $G$, playing against the best $D$, would shrink the Jensen-Shannon divergence between $p$ and $q$. Move the generated
    points away:
    """)
    return


@app.cell
def _():
    shift = mo.ui.slider(0, 6, 0.25, value=2, label="distance of the two means", show_value=True, full_width=True)
    return (shift,)


@app.cell
def _(shift):
    _x = np.linspace(-6, 12, 4000)
    _dx = _x[1] - _x[0]
    _p = np.exp(-(_x**2) / 2) / math.sqrt(2 * math.pi)

    def _ideal(distance):
        """D*, and V(D*, G), by summing over the line."""
        q = np.exp(-((_x - distance) ** 2) / 2) / math.sqrt(2 * math.pi)
        V = _p * np.log(_p / (_p + q)) + q * np.log(q / (_p + q))
        return q, _p / (_p + q), float(V.sum() * _dx)

    _q, _best, _V = _ideal(shift.value)
    _all = np.linspace(0, 6, 60)
    _curve = [_ideal(d)[2] for d in _all]
    assert math.isclose(_curve[0], -2 * math.log(2), abs_tol=1e-6) and -0.02 < _curve[-1] < 0
    _figure, _axes = panels(1, 2, 8, 2.8)
    _axes[0].plot(_x, _p, color=BLUE, label="data p")
    _axes[0].plot(_x, _q, color=ORANGE, label="generated q")
    _axes[0].plot(_x, _best, color=GREY, ls="--", label="D* = p/(p + q)")
    _axes[0].set(xlim=(-4, 9), xlabel="x")
    _axes[0].legend(fontsize=8)
    _axes[1].plot(_all, _curve, color=GREEN)
    _axes[1].plot(shift.value, _V, "o", color=GREEN)
    _axes[1].axhline(-2 * math.log(2), color=GREY, lw=0.8)
    _axes[1].set(xlabel="distance", ylabel="V(D*, G), nats", title="flat where they are far apart", ylim=(-1.5, 0.1))
    mo.vstack(
        [shift, framed(_figure, "5.1", "the best discriminator, and what it leaves for the generator. Grey: −2 log 2.")]
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    The right panel is the trouble. Where $D$ wins, the curve is flat: $G$ is told that it loses, not which way to go. Goodfellow
    et al. (2014) let $G$ minimise $-\mathbb{E}\log D(G(z))$ instead. Both losses pull the logit of a generated point up; their
    slopes are $\sigma(\ell)$ and $1 - \sigma(\ell)$. A generator that is losing sits at the left of this picture:
    """)
    return


@app.cell
def _():
    _l = np.linspace(-8, 8, 200)
    _leaf = mg.tensor(_l, requires_grad=True)
    (_saturating,) = mg.grad((-mg.softplus(_leaf)).sum(), _leaf)  # E log(1 − D)
    (_other,) = mg.grad(mg.softplus(-_leaf).sum(), _leaf)  # −E log D
    assert np.allclose(-_saturating.numpy(), 1 / (1 + np.exp(-_l)))
    assert np.allclose(-_other.numpy(), 1 / (1 + np.exp(_l)))
    _figure, _axes = panels(1, 1, 6.5, 2.5)
    _axes.plot(_l, -_saturating.numpy(), color=GREY, label="of log(1 − D): vanishes where G loses")
    _axes.plot(_l, -_other.numpy(), color=BLUE, label="of −log D: the one in use")
    _axes.set(xlabel="logit of a generated point", ylabel="pull upwards")
    _axes.legend(fontsize=8)
    framed(_figure, "5.2", "how hard each loss pulls at a generated point, by the engine's gradient.")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Watch a game

    The data are eight small clouds on a ring. Both players are small: two hidden layers, fully connected. An update is a step
    of $D$ on $-V$, then a step of $G$ on $-\mathbb{E}\log D(G(z))$ with fresh noise. This runs as you read it; it takes some
    seconds.
    """)
    return


@app.cell
def _():
    def ring(rng, count):
        """Points of eight clouds of deviation 0.12 on a ring of radius 2: (count, 2)."""
        angle = rng.integers(8, size=count) * (math.pi / 4)
        return (2 * np.stack([np.cos(angle), np.sin(angle)], 1) + rng.normal(0, 0.12, (count, 2))).astype(np.float32)

    def network(inputs, outputs, seed, width=64):
        """Two hidden layers with leaky ReLU."""
        mg.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(inputs, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, outputs),
        )

    return network, ring


@app.cell
def _(network, ring):
    UPDATES, EVERY, BATCH, NOISE = 2000, 100, 128, 4

    def noise_of(step, player):
        return mg.tensor(random.stream(0, f"noise of {player}", step).normal(size=(BATCH, NOISE)).astype(np.float32))

    def play():
        """Train both; every `EVERY` updates the generated points, D on a lattice, and the losses since."""
        G, D = network(NOISE, 2, seed=1), network(2, 1, seed=2)
        betas = (0.5, 0.9)
        move_d, move_g = optim.Adam(D.parameters(), 1e-3, betas), optim.Adam(G.parameters(), 1e-3, betas)
        side = np.linspace(-3, 3, 48, dtype=np.float32)
        lattice = mg.tensor(np.stack(np.meshgrid(side, side), -1).reshape(-1, 2))
        fixed = mg.tensor(random.stream(0, "shown").normal(size=(400, NOISE)).astype(np.float32))
        film, losses = [], []
        for step in mo.status.progress_bar(range(UPDATES + 1), title="the game", remove_on_exit=True):
            if step % EVERY == 0:
                with mg.no_grad():
                    film.append((G(fixed).numpy(), D(lattice).sigmoid().numpy().reshape(48, 48)))
            real = mg.tensor(ring(random.stream(0, "data", step), BATCH))
            with mg.no_grad():
                fake = G(noise_of(step, "D"))
            V = objective.value(D(real), D(fake))
            move_d.zero_grad()
            (-V).backward()
            move_d.step()
            loss_g = objective.adversarial_loss(D(G(noise_of(step, "G"))))
            move_g.zero_grad()
            loss_g.backward()
            move_g.step()
            losses.append((V.item(), loss_g.item()))
        return film, np.array(losses)

    return EVERY, play


@app.cell
def _(play):
    film, losses = play()
    return film, losses


@app.cell
def _(film):
    frame = mo.ui.slider(0, len(film) - 1, 1, value=len(film) - 1, label="frame", show_value=True, full_width=True)
    return (frame,)


@app.cell
def _():
    def clouds(points):
        """How many of the eight clouds have a point within 0.5, and the share of points that are in one."""
        angle = np.arange(8) * math.pi / 4
        centres = 2 * np.stack([np.cos(angle), np.sin(angle)], 1)
        near = np.linalg.norm(points[:, None] - centres, axis=2) < 0.5
        return int(near.any(axis=0).sum()), float(near.any(axis=1).mean())

    return (clouds,)


@app.cell
def _(EVERY, clouds, film, frame, losses, ring):
    _points, _D = film[frame.value]
    _covered, _share = clouds(_points)
    _real = ring(random.stream(0, "shown data"), 300)
    _figure, _axes = panels(1, 2, 8.5, 3.8, width_ratios=[1, 1.2])
    _image = _axes[0].imshow(_D, origin="lower", extent=(-3, 3, -3, 3), cmap="RdBu", vmin=0, vmax=1, alpha=0.6)
    _axes[0].plot(*_real.T, ".", color=BLUE, ms=2, label="data")
    _axes[0].plot(*_points.T, ".", color=ORANGE, ms=3, label="generated")
    _axes[0].set(xlim=(-3, 3), ylim=(-3, 3), title=f"update {frame.value * EVERY:,}")
    _axes[0].legend(fontsize=7, loc="center")
    _figure.colorbar(_image, ax=_axes[0], label="D(x)", shrink=0.8)
    _smooth = np.array([losses[max(0, i - 50) : i + 1].mean(axis=0) for i in range(len(losses))])
    _axes[1].plot(_smooth[:, 0], color=BLUE, label="V(D, G)")
    _axes[1].plot(_smooth[:, 1], color=ORANGE, label="−E log D(G(z))")
    _axes[1].axhline(-2 * math.log(2), color=GREY, lw=0.8)
    _axes[1].axhline(math.log(2), color=GREY, lw=0.8)
    _axes[1].axvline(frame.value * EVERY, color=GREY, ls=":")
    _axes[1].set(xlabel="update", ylabel="nats (mean of the last 50)")
    _axes[1].legend(fontsize=8)
    mo.vstack(
        [
            frame,
            framed(
                _figure,
                "5.3",
                f"the game at update {frame.value * EVERY:,}: {_covered} of 8 clouds have points, {_share:.0%} of the "
                "generated points lie in one. Left, the colour is D; right, grey lines mark −2 log 2 and log 2, "
                "where nobody can tell.",
            ),
        ]
    )
    return


@app.cell
def _(clouds, film):
    # the game went somewhere: from a blob in the middle to the clouds
    assert clouds(film[0][0])[0] <= 2
    assert clouds(film[-1][0])[0] >= 6
    assert clouds(film[-1][0])[1] > 0.5
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Drag the slider slowly. $D$ learns first where the data are not; the points flee along its slope, overshoot, are chased
    back. Notice what the losses do *not* tell: near the grey lines they are silent about whether a cloud has been forgotten.
    A GAN is judged by its pictures, and by measures that do not come from $D$.

    And notice what is missing. Which cloud a point lands in is decided somewhere inside the four noise numbers, nobody knows
    where. Asking for that to be *readable* is InfoGAN, and the next chapter.

    ## Exercises

    **5.1 The best answer.** Given $p(x)$ and $q(x)$ at some points, as arrays, return the best discriminator's *logit* there.
    """)
    return


@app.cell
def _():
    def best_logit(p, q):
        raise NotImplementedError

    return (best_logit,)


@app.cell(hide_code=True)
def _(best_logit):
    def _check():
        p, q = np.array([0.5, 0.1, 1e-300, 0.3]), np.array([0.5, 0.3, 0.2, 1e-9])
        found = best_logit(p, q)
        if found is not None and np.allclose(found, p / (p + q)):
            expect(False, "That is D* itself, a probability; its logit is log D* − log(1 − D*).")
        close(found, np.log(p) - np.log(q), "The logit", 1e-9)
        return "The logit of the best D is the log-ratio of the densities: a trained D is a density-ratio estimator."

    verdict_logit = judge("5.1", _check)
    verdict_logit
    return (verdict_logit,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **5.2 What is left.** For two distributions over a finite set, as arrays of probabilities, return $V(D^*, G)$. Zero times
    the logarithm of zero counts as zero.
    """)
    return


@app.cell
def _():
    def value_of_best(p, q):
        raise NotImplementedError

    return (value_of_best,)


@app.cell(hide_code=True)
def _(value_of_best):
    def _check():
        same = np.array([0.25, 0.75])
        close(value_of_best(same, same), -2 * math.log(2), "V where p and q are the same")
        apart = value_of_best(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
        expect(apart is not None and not np.isnan(apart), "Where p or q is 0 you get NaN: leave those terms out.")
        close(apart, 0.0, "V where p and q never meet")
        p, q = np.array([0.2, 0.5, 0.3]), np.array([0.4, 0.1, 0.5])
        right = (p * np.log(p / (p + q)) + q * np.log(q / (p + q))).sum()
        close(value_of_best(p, q), right, "V for p = (.2, .5, .3), q = (.4, .1, .5)")
        return "Between −2 log 2 = −1.386 (nobody can tell) and 0 (everybody can)."

    verdict_value = judge("5.2", _check)
    verdict_value
    return (verdict_value,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **5.3 Safely.** Write $\mathbb{E} \log(1 - D)$ from a tensor of logits, in minigrad, so that neither its value nor its
    gradient is lost at $\ell = \pm 200$ (in float32 $\sigma(200)$ is 1, and $\log 0$ is not a number to train with).
    """)
    return


@app.cell
def _():
    def log_one_minus_d(logits):
        raise NotImplementedError

    return (log_one_minus_d,)


@app.cell(hide_code=True)
def _(log_one_minus_d):
    def _check():
        mild = mg.tensor([0.3, -1.2], requires_grad=True)
        found = log_one_minus_d(mild)
        expect(isinstance(found, mg.Tensor), "Return a tensor, so that it can be differentiated.")
        close(found.item(), float(np.mean(-np.log1p(np.exp([0.3, -1.2])))), "The mean at logits 0.3 and −1.2")
        wild = mg.tensor([200.0, -200.0], requires_grad=True)
        found = log_one_minus_d(wild)
        expect(math.isfinite(found.item()), f"At logits ±200 the value is {found.item()}.")
        close(found.item(), -100.0, "The mean at logits 200 and −200")
        (slope,) = mg.grad(found, wild)
        expect(np.isfinite(slope.numpy()).all(), "The value is fine at ±200, but its gradient is not finite.")
        close(slope, [-0.5, 0.0], "The gradient at ±200")
        return "One softplus, as in `objective.value`."

    verdict_safely = judge("5.3", _check)
    verdict_safely
    return (verdict_safely,)


@app.cell(hide_code=True)
def _(verdict_logit, verdict_safely, verdict_value):
    mo.vstack([tally("Chapter 5", verdict_logit, verdict_value, verdict_safely), notation()])
    return


if __name__ == "__main__":
    app.run()
