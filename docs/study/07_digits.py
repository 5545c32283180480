# Text under CC BY 4.0, see docs/study/LICENSE; code under the project's licence.
import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="7 · InfoGAN on digits")

with app.setup:
    import dataclasses
    import math
    from pathlib import Path

    import marimo as mo
    import numpy as np
    from guide.checks import close, expect, judge, tally
    from guide.notation import notation
    from guide.pictures import BLUE, GREEN, ORANGE, framed, grid, matrix, panels
    from guide.source import show

    import minigrad as mg
    from infogan import config, data, objective, update
    from infogan.codes import Code
    from infogan.errors import InputError
    from infogan.evaluation.clustering import contingency, hungarian
    from infogan.run import Run, load
    from infogan.training import Trainer
    from minigrad import random


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 7 · InfoGAN on digits: from equation to line of code to picture

    Everything is in place. A tape (1) of checked products (2), convolutions (3), batch-norm (4), the game (5), and a bound on
    the information (6):

    $$\min_{G, Q}\, \max_D\; V(D, G) - \lambda L_I(G, Q).$$

    Here is each symbol as it stands in the code.

    | in the paper | in the project |
    |:---|:---|
    | $c_1 \sim \mathrm{Cat}(10),\ c_2, c_3 \sim \mathrm{Unif}(-1, 1)$ | `Code.parse("cat:10,uniform,uniform")` |
    | $z \sim \mathrm{Unif}(-1, 1)^{62}$ | `draw_noise` |
    | $G(z, c)$ | `Networks.generate` |
    | $D(x)$, $Q(c \mid x)$ | two heads on one trunk: `Networks.D`, `Networks.Q` |
    | $V(D, G)$ | `objective.value` |
    | $L_I(G, Q)$, one term a variable | `objective.information` |
    | $\lambda$ | `Config.lambda_categorical`, `Config.lambda_continuous` |

    ## The code
    """)
    return


@app.cell
def _():
    code = Code.parse("cat:10,uniform,uniform")
    assert code.width == 12 and math.isclose(code["c1"].entropy, math.log(10))
    _draw = code.sample(random.stream(0, "shown"), 8)
    _figure, _axes = panels(1, 1, 7, 2.6)
    matrix(_axes, _draw, "c1: one-hot, ten columns · c2 · c3", numbers=True)
    framed(_figure, "7.1", "eight draws of c ~ P(c), a row each, as they enter the generator beside the noise.")
    return (code,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Who moves against whom

    Taken at its word, $\max_D$ of $V - \lambda L_I$ is a trap. $D$ and $Q$ share a trunk, and a trunk that *maximises* that
    expression would learn to forget what $Q$ needs. The trunk serves both players, so in code:

    - **D and Q step**: trunk, $D$ and $Q$ minimise $-V(D, G) - \lambda L_I(G, Q)$; $G$ stands still.
    - **G step**: only $G$ moves, and minimises $-\mathbb{E} \log D(G(z, c)) - \lambda L_I(G, Q)$.

    The information term has the same sign in both: all want the code to be readable.
    """)
    return


@app.cell(hide_code=True)
def _():
    show(objective.discriminator_loss, objective.generator_loss, update._discriminator_step, update._generator_step)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Three details that many ports get wrong, all visible above. Real and generated pictures pass the trunk *apart*, since
    batch-norm would mix them. The G step reads $D$'s batch statistics but does not move its running ones
    (`frozen_statistics`). And $Q$ is given the $c$ that made the picture, **never a label**.

    ## A small run

    Real digits: the 4,000 of `mnist-5k`, here at half size ($14 \times 14$, framed to $16 \times 16$) so that a run fits into your
    attention. The networks are those of the paper with fewer units, which take larger steps. It trains
    now; that is no recording.
    """)
    return


@app.cell
def _():
    def halved(part):
        """A part of mnist-5k at half size in a frame of one pixel: pictures (N, 1, 16, 16)."""
        full = data.load("mnist-5k", split=part)
        small = full.images.reshape(-1, 1, 14, 2, 14, 2).mean(axis=(3, 5))
        return dataclasses.replace(full, images=np.pad(small, ((0, 0), (0, 0), (1, 1), (1, 1))))

    digits = halved("train")
    assert digits.images.shape == (4000, 1, 16, 16)
    grid(digits.images[:20], 10, "7.2", "twenty of the real digits, at half size.")
    return digits, halved


@app.cell
def _():
    settings = config.make(
        {
            "image_size": 16,
            "noise": 16,
            "batch_size": 64,
            "steps": 600,
            "learning_rate_d": 1e-3,
            "learning_rate_g": 2e-3,
            "generator_dense": 256,
            "generator_channels": (48, 24),
            "trunk_channels": (16, 32),
            "trunk_dense": 256,
            "q_dense": 64,
        }
    )
    return (settings,)


@app.cell
def _(digits, settings):
    trainer = Trainer(settings, digits)
    measured = [
        trainer.advance() for _ in mo.status.progress_bar(range(settings.steps), title="training", remove_on_exit=True)
    ]
    own = Run(Path("this chapter's run"), settings, trainer.networks.eval(), trainer.step)
    return measured, own


@app.cell
def _(code, measured):
    _bounds = np.array([m.bound for m in measured])
    _trained = np.array([m.bound_trained for m in measured])
    _losses = np.array([(m.loss_d, m.loss_g) for m in measured])
    _limit = code["c2"].limit
    assert _bounds[:10, 0].mean() < 0.5 * code["c1"].entropy
    assert _bounds[-20:, 0].mean() > 0.8 * code["c1"].entropy
    assert _bounds[:, 0].max() <= code["c1"].entropy and _trained[:, 1:].max() < _limit
    _figure, _axes = panels(1, 2, 8.5, 3)
    for _k, _colour in enumerate((BLUE, ORANGE, GREEN)):
        _axes[0].plot(_bounds[:, _k], color=_colour, lw=1, label=f"c{_k + 1}")
    _axes[0].plot(_trained[:, 1], color=ORANGE, ls=":", lw=1, label="c2 as trained, σ = 1")
    _axes[0].axhline(code["c1"].entropy, color=BLUE, ls="--", lw=0.8)
    _axes[0].set(xlabel="update", ylabel="bound, nats", ylim=(-1, 2.5))
    _axes[0].legend(fontsize=7)
    _axes[1].plot(_losses[:, 0], color=BLUE, lw=1, label="−V(D, G)")
    _axes[1].plot(_losses[:, 1], color=ORANGE, lw=1, label="−E log D(G)")
    _axes[1].set(xlabel="update", ylabel="nats")
    _axes[1].legend(fontsize=7)
    framed(
        _figure,
        "7.3",
        f"left, the bound of each code (σ fitted for c2, c3); dashed, H(c1) = {code['c1'].entropy:.3f}. c1 reached "
        f"{_bounds[-20:, 0].mean():.3f}. Dotted, the term c2 is trained with, which cannot pass {_limit:.3f}.",
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Turn the knobs

    A generator is a function of a code; this is the whole of it. If you have trained a run of your own (`make demo` writes
    `runs/demo`), give its folder and turn *its* knobs.
    """)
    return


@app.cell
def _():
    folder = mo.ui.text(placeholder="runs/demo", label="folder of a run (empty: the small run above)", full_width=True)
    return (folder,)


@app.cell
def _(folder, own):
    try:
        run, _note = (
            (load(folder.value), f"the run in {folder.value}") if folder.value else (own, "the small run above")
        )
    except InputError as error:
        run, _note = own, f"{error.message}. Until then, the small run above"
    mo.vstack([folder, mo.md(f"*Showing {_note}, after {run.step:,} updates.*")])
    return (run,)


@app.cell
def _(run):
    _first = run.code["c1"]
    knobs = mo.ui.dictionary(
        {
            name: mo.ui.slider(0, v.width - 1, 1, value=min(3, v.width - 1), label=f"${name}$", show_value=True)
            if v.discrete
            else mo.ui.slider(-2, 2, 0.1, value=0, label=f"${name}$", show_value=True)
            for name, v in zip(run.code.names, run.code, strict=True)
        }
    )
    seed = mo.ui.slider(0, 20, 1, value=0, label="noise $z$, number", show_value=True)
    return knobs, seed


@app.cell
def _(knobs, run, seed):
    _one = run.generate(n=1, seed=seed.value, **knobs.value)
    _read = run.encode(_one)
    _lines = []
    for _name, _variable in zip(run.code.names, run.code, strict=True):
        _seen = _read[_name][0]
        _lines.append(
            f"- ${_name}$: set {knobs.value[_name]:g}; Q reads "
            + (f"{_seen.argmax()} with probability {_seen.max():.2f}" if _variable.discrete else f"{_seen[0]:+.2f}")
        )
    mo.hstack(
        [
            mo.vstack([*knobs.elements.values(), seed]),
            grid(_one, 1, "7.4", "G(z, c) for the code and noise at the left.", size=180),
            mo.md("**What Q reads in it**\n\n" + "\n".join(_lines)),
        ],
        justify="start",
        gap=2,
    )
    return


@app.cell
def _(run):
    _width = run.code["c1"].width if run.code["c1"].discrete else 10
    _z, _c = run.latents(6, "study traversal")
    _z, _c = _z.repeat(_width, axis=0), _c.repeat(_width, axis=0)
    _values = np.arange(_width) if run.code["c1"].discrete else np.linspace(-1, 1, _width)
    _sheet = run.G(_z, run.fix(_c, "c1", np.tile(_values, 6)))
    assert np.isfinite(_sheet).all() and _sheet.min() >= 0 and _sheet.max() <= 1
    grid(
        _sheet,
        _width,
        "7.5",
        "the paper's Figure 1 in small: a column is a value of c1, a row a noise with its own c2 and c3. "
        "A column shares something; a row shares the hand.",
    )
    return


@app.cell
def _(run):
    _continuous = [n for n, v in zip(run.code.names, run.code, strict=True) if not v.discrete]
    _rows = []
    for _name in _continuous[:2]:
        _z, _c = run.latents(3, "study traversal")
        _z, _c = _z.repeat(9, axis=0), _c.repeat(9, axis=0)
        _rows.append(run.G(_z, run.fix(_c, _name, np.tile(np.linspace(-2, 2, 9), 3))))
    (
        grid(np.concatenate(_rows), 9, "7.6", f"{', '.join(_continuous[:2])} from −2 to 2, three noises each.")
        if _rows
        else mo.md("*This run has no continuous code.*")
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Does c1 mean the digit?

    Nobody told it. To *look*, and only to look, take 1,000 real digits that no training saw, let $Q$ read $c_1$ in each, and count
    against their labels. A category may stand for any digit, so the best one-to-one matching is chosen, by the same function
    that `infogan evaluate` uses.
    """)
    return


@app.cell
def _(halved, own):
    held_out = halved("held_out")
    categories = own.encode(held_out.images)["c1"].argmax(axis=1)
    table = contingency(categories, held_out.labels, 10)
    accuracy, mapping = hungarian(table)
    assert accuracy > 0.25, "better than chance, or something is broken"
    _order = np.argsort([10 if m is None else m for m in mapping])
    _figure, _axes = panels(1, 1, 4.6, 4)
    matrix(_axes, table[_order] / 100, "share of each digit", numbers=True, limit=1)
    _axes.set_xticks(range(10))
    _axes.set_yticks(range(10), [str(k) for k in _order])
    _axes.set(xlabel="label (used only here)", ylabel="c1 as read by Q")
    framed(
        _figure,
        "7.7",
        f"after {own.step} updates of small networks on 4,000 digits c1 names {accuracy:.0%} of held-out digits, "
        "where chance is about 10%. The bound of Figure 7.3 was full long before: full information is not yet the "
        "information one hoped for.",
    )
    return accuracy, categories, held_out


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    That last sentence is worth the afternoon. $L_I = H(c_1)$ says that the *generated* pictures tell $c_1$; any ten-way split of
    what $G$ can draw would do. That the split tends towards the digits comes from the game: the pictures must also look real, and
    real pictures fall into digits more easily than into anything else. It takes longer, and it varies from seed to seed.
    Train the full networks (`make demo`), give their folder above, and compare.

    ## Exercises

    **7.1 The term, whole.** From Q's parameters $(N, 12)$ and codes $(N, 12)$ for `cat:10,uniform,uniform` return
    $L_I$ as a tensor: the sum of three terms, $\sigma = 1$ for the uniform ones. Columns 0 to 9 are the logits of $c_1$
    and its one-hot row; 10 and 11 are $\mu$ of $c_2$, $c_3$ and their values.
    """)
    return


@app.cell
def _():
    def L_I(parameters, c):
        raise NotImplementedError

    return (L_I,)


@app.cell(hide_code=True)
def _(L_I, code):
    def _check():
        draw = random.stream(0, "exercise 7.1")
        c = mg.tensor(code.sample(draw, 32))
        parameters = mg.tensor(draw.normal(size=(32, code.parameters)), requires_grad=True)
        terms = objective.information(code, parameters, c)
        found = L_I(parameters, c)
        expect(isinstance(found, mg.Tensor), "Return a tensor.")
        expect(found.size == 1, f"One number, please; this has shape {found.shape}.")
        wanted = objective.weighted(terms, [1.0, 1.0, 1.0])
        gap = found.item() - wanted.item()
        for size, what in (
            (math.log(2 * math.pi), "the −½ log 2π of both uniform codes is missing"),
            (-math.log(10), "H(c1) is missing"),
            (-2 * math.log(2), "H(c2) + H(c3) is missing; it is a constant, but part of L_I"),
            (-math.log(10) - 2 * math.log(2), "all three entropies are missing"),
        ):
            expect(abs(gap - size) > 1e-4, f"Off by {gap:.4f}: {what}.")
        close(found.item(), wanted.item(), "L_I", 1e-5)
        (mine,) = mg.grad(found, parameters)
        (theirs,) = mg.grad(wanted, parameters)
        close(mine, theirs.numpy(), "Its gradient", 1e-5)
        return "The constants move nothing, but without them the number means nothing."

    verdict_term = judge("7.1", _check)
    verdict_term
    return (verdict_term,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **7.2 Naming the categories.** From categories (as $Q$ read them) and labels, two integer arrays, return the share of pictures
    named rightly if every category stands for the label *most frequent in it*. (This is the generous measure: two
    categories may stand for one digit.)
    """)
    return


@app.cell
def _():
    def accuracy_by_majority(categories, labels):
        raise NotImplementedError

    return (accuracy_by_majority,)


@app.cell(hide_code=True)
def _(accuracy, accuracy_by_majority, categories, held_out):
    def _check():
        small = accuracy_by_majority(np.array([4, 4, 4, 1, 1]), np.array([7, 7, 2, 2, 2]))
        close(small, 0.8, "For categories 4 4 4 1 1 and labels 7 7 2 2 2 the accuracy")
        found = accuracy_by_majority(categories, held_out.labels)
        right = contingency(categories, held_out.labels, 10).max(axis=1).sum() / len(categories)
        close(found, right, "On the held-out digits the accuracy")
        expect(found >= accuracy - 1e-12, "It cannot be below the one-to-one accuracy.")
        return (
            f"{found:.1%} here, against {accuracy:.1%} one-to-one. The project reports both, and says which is which."
        )

    verdict_majority = judge("7.2", _check)
    verdict_majority
    return (verdict_majority,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **7.3 A regular GAN.** Change the settings so that the same networks train *without* the information term (the field is
    described by `infogan train --fields`): return the changed settings. The check trains them for 40 updates and asks
    whether the code reaches $G$'s loss.
    """)
    return


@app.cell
def _():
    def regular_gan(settings):
        raise NotImplementedError  # settings.model_copy(update={…})

    return (regular_gan,)


@app.cell(hide_code=True)
def _(digits, regular_gan, settings):
    def _check():
        changed = regular_gan(settings)
        expect(
            isinstance(changed, config.Config), "Return a `Config`, such as `settings.model_copy(update={…})` gives."
        )
        expect(changed != settings, "These are the same settings.")
        expect(
            changed.lambda_categorical > 0 and changed.lambda_continuous > 0,
            "λ = 0 turns Q's own learning off too, and then nothing can be measured: look for another field.",
        )
        expect(changed.objective != "infogan", "The objective is still InfoGAN's.")
        plain = Trainer(changed, digits)
        last = [plain.advance() for _ in range(40)][-1]
        expect(last.info_loss == 0, f"The information term still enters G's loss ({last.info_loss:.3f}).")
        return (
            f"After 40 updates its bound for c1 is {last.bound[0]:.2f} nats: Q reads what it can, and nobody helps. "
            "The paper's first claim is this comparison, over a whole run."
        )

    verdict_regular = judge("7.3", _check)
    verdict_regular
    return (verdict_regular,)


@app.cell(hide_code=True)
def _(verdict_majority, verdict_regular, verdict_term):
    mo.vstack([tally("Chapter 7", verdict_term, verdict_majority, verdict_regular), notation()])
    return


if __name__ == "__main__":
    app.run()
