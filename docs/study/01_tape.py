# Text under CC BY 4.0, see docs/study/LICENSE; code under the project's licence.
import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="1 · A tape in forty lines")

with app.setup:
    import itertools
    import math

    import marimo as mo
    import numpy as np
    from guide.checks import close, expect, judge, tally
    from guide.notation import notation
    from guide.pictures import framed
    from guide.source import show

    import minigrad as mg
    from minigrad import sweep as engine
    from minigrad import tape


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 1 · A tape in forty lines

    A network is a long chain of small functions. To train it we need one number for each of its weights: by how much
    the loss $L$ changes when that weight does. Collecting them one weight at a time would take a run of the network
    for each. **Reverse mode** takes one run forwards and one backwards, whatever their number.

    The idea fits in a sentence. While the function runs, write every operation on a *tape*; then read the tape
    backwards, carrying for each value $v$ its **cotangent**

    $$\bar v = \frac{\partial L}{\partial v}, \qquad\text{which the chain rule sums over all $u$ computed from $v$:}\qquad
    \bar v = \sum_u \bar u \, \frac{\partial u}{\partial v}.$$

    Each term needs only the operation that made $u$ from $v$: its *slope* $\partial u / \partial v$. Nobody ever sees
    the whole function. Here is all of it, for single numbers.
    """)
    return


@app.cell
def _():
    class Number:
        """A value on the tape: the numbers it was made from, and its slope against each."""

        serials = itertools.count()

        def __init__(self, value, parents=(), name="leaf"):
            self.value, self.parents, self.name = value, parents, name
            self.serial = next(Number.serials)

        def __add__(self, other):
            return Number(self.value + other.value, ((self, 1.0), (other, 1.0)), "add")

        def __sub__(self, other):
            return Number(self.value - other.value, ((self, 1.0), (other, -1.0)), "sub")

        def __mul__(self, other):
            return Number(self.value * other.value, ((self, other.value), (other, self.value)), "mul")

        def tanh(self):
            t = math.tanh(self.value)
            return Number(t, ((self, 1 - t * t),), "tanh")

        def square(self):
            return Number(self.value**2, ((self, 2 * self.value),), "square")

    return (Number,)


@app.cell
def _():
    def sweep(loss):
        """Read the tape backwards. After each value: it, and every cotangent so far, by serial number."""
        tape, todo = {}, [loss]
        while todo:
            v = todo.pop()
            tape[v.serial] = v
            todo += [parent for parent, _ in v.parents]
        bar = dict.fromkeys(tape, 0.0) | {loss.serial: 1.0}
        for serial in sorted(tape, reverse=True):
            for parent, slope in tape[serial].parents:
                bar[parent.serial] += bar[serial] * slope
            yield tape[serial], dict(bar)

    return (sweep,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Two things to notice. A `Number` knows what it was made *from*, never what was made from it, so a graph disappears
    with its last result. And `sorted(…, reverse=True)` is the whole scheduling: an operation is always younger than its
    arguments, so by the time a value is visited, everyone who used it has already paid in.

    ## Step through it

    The function below is small but not trivial: $w$ is used twice.

    $$L(w, x, b) = \bigl(\tanh(w x + b) - w\bigr)^2$$

    It runs twice, once on the forty lines and once on **minigrad**, the engine this project is built on. The picture is the
    engine's own drawing of what it recorded (`mg.draw_graph`). Move the last slider: it is the sweep.
    """)
    return


@app.cell
def _():
    w0 = mo.ui.slider(-2, 2, 0.1, value=0.8, label="$w$", show_value=True)
    x0 = mo.ui.slider(-2, 2, 0.1, value=0.5, label="$x$", show_value=True)
    b0 = mo.ui.slider(-2, 2, 0.1, value=-0.3, label="$b$", show_value=True)
    return b0, w0, x0


@app.cell
def _():
    def function(w, x, b):
        return ((w * x + b).tanh() - w).square()

    return (function,)


@app.cell
def _(Number, b0, function, sweep, w0, x0):
    # on the forty lines
    w, x, b = Number(w0.value, name="w"), Number(x0.value, name="x"), Number(b0.value, name="b")
    loss = function(w, x, b)
    steps = [(v.name, bar) for v, bar in sweep(loss) if v.parents]
    values = {"w": w, "x": x, "b": b}
    todo = [loss]
    while todo:
        v = todo.pop()
        values[v.name] = v
        todo += [parent for parent, _ in v.parents]
    return loss, steps, values


@app.cell
def _(b0, function, w0, x0):
    # on the engine, with somebody watching
    class Watch:
        """Notes which rule the engine visits, and with what cotangent."""

        def __init__(self):
            self.visits = []

        def forward(self, rule, inputs, outputs, seconds):
            pass

        def backward(self, rule, cotangents, results, seconds):
            self.visits.append((rule, float(cotangents[0])))

    leaves = {
        name: mg.tensor(np.array(slider.value), requires_grad=True)
        for name, slider in {"w": w0, "x": x0, "b": b0}.items()
    }
    recorded = function(**leaves)
    drawing = mg.draw_graph(recorded, params=leaves)
    watch = Watch()
    tape.observers.append(watch)
    try:
        recorded.backward()
    finally:
        tape.observers.remove(watch)
    return drawing, leaves, recorded, watch


@app.cell
def _(leaves, loss, recorded, steps, values, watch):
    # the same operations in the same order, with the same numbers
    assert [name for name, _ in watch.visits] == [name for name, _ in steps] == ["square", "sub", "tanh", "add", "mul"]
    assert math.isclose(recorded.item(), loss.value, abs_tol=1e-12)
    for (visited, cotangent), (_, bars) in zip(watch.visits, steps, strict=True):
        assert math.isclose(cotangent, bars[values[visited].serial], abs_tol=1e-12)
    for leaf_name, leaf in leaves.items():
        assert math.isclose(leaf.grad.item(), steps[-1][1][values[leaf_name].serial], abs_tol=1e-12)
    return


@app.cell
def _(steps):
    step = mo.ui.slider(0, len(steps), 1, value=3, label="nodes visited", show_value=True, full_width=True)
    return (step,)


@app.cell
def _(b0, drawing, loss, step, steps, values, w0, x0):
    _bars = steps[step.value - 1][1] if step.value else {loss.serial: 1.0}
    _visited = [name for name, _ in steps[: step.value]]
    for _box in drawing.boxes[1:]:
        _v = values[_box.label]
        _known = _bars.get(_v.serial, 0.0)
        _box.detail = f"{_v.value:+.3f}   cotangent {_known:+.3f}"
        _done = _box.label in _visited or (step.value == len(steps) and not _v.parents)
        _box.kind = "parameter" if _done else "operation"
        if _visited and _box.label == _visited[-1]:
            _box.kind = "output"
    drawing.boxes[0].detail = f"L = {loss.value:.4f}"
    _figure = framed(
        type(drawing)(drawing.boxes, drawing.edges).svg,
        "1.1",
        "the graph of L as minigrad recorded it, with each value and the part of its cotangent paid in so far. "
        "Amber: the node being visited (and the output). Green: settled. Grey: still waiting.",
    )
    _line = "Nothing visited yet: only the cotangent of the loss is known, and it is 1."
    if _visited:
        _pays = ", ".join(
            rf"$\overline{{\mathrm{{{p.name}}}}} \mathrel{{{{+}}{{=}}}} {_bars[values[_visited[-1]].serial]:.3f} \times {s:.3f}$"
            for p, s in values[_visited[-1]].parents
        )
        _line = f"Visiting **{_visited[-1]}**, which pays: {_pays}."
    mo.hstack([mo.vstack([w0, x0, b0, step, mo.md(_line)]), _figure], widths=[2, 5])
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    At step 2 the node *sub* pays $w$ its first instalment; the second comes with *mul*, three nodes later. Only when the
    sweep has passed both is $\bar w$ the derivative. That sum is where many hand-written backward passes go wrong.

    ## The same in the engine

    What changes when numbers become arrays is less than one expects. The code on this page is read out of the files that
    run; it cannot go stale.

    | forty lines | minigrad |
    |:---|:---|
    | `Number.parents` | `Node.edges`, beside what the rule's product will need |
    | the slope | a *vector-Jacobian product*, the subject of chapter 2 |
    | `sorted(tape, reverse=True)` | `_reachable`, once a sweep |
    | `bar[…] += …` | `_Sums.add`: in place only into an array the sweep itself made |

    The order of the sweep, and the sum where paths meet:
    """)
    return


@app.cell(hide_code=True)
def _():
    show(engine._reachable, engine._Sums.add)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    A rule is a function on raw arrays with its product beside it. The *names* of the product's parameters say what it needs:
    tanh asks for its result `out` and not for its argument, so the argument need not be kept.
    """)
    return


@app.cell(hide_code=True)
def _():
    show(mg.tanh)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    Because that product is itself written in recorded operations, a sweep can be recorded and swept again. The second
    derivative of tanh at 0.5, for which nobody wrote a rule:
    """)
    return


@app.cell
def _():
    _x = mg.tensor(np.array(0.5), requires_grad=True)
    (_first,) = mg.grad(_x.tanh(), _x, create_graph=True)
    (_second,) = mg.grad(_first, _x)
    _t = math.tanh(0.5)
    assert math.isclose(_first.item(), 1 - _t**2)
    assert math.isclose(_second.item(), -2 * _t * (1 - _t**2))
    mo.md(rf"$\tanh'(0.5) = {_first.item():.6f}, \qquad \tanh''(0.5) = {_second.item():.6f}$")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercises

    **1.1 A new rule.** Give the forty lines the exponential: a `Number` whose value is $e^a$, with the right parent and
    slope.
    """)
    return


@app.cell
def _():
    def exp(a):
        raise NotImplementedError  # return Number(value, parents, "exp")

    return (exp,)


@app.cell(hide_code=True)
def _(Number, exp, sweep):
    def _check():
        for at in (0.0, 0.7, -1.3):
            a = Number(at)
            y = exp(a)
            expect(y is not None, "`exp` returns nothing: the last line should be `return Number(…)`.")
            close(y.value, math.exp(at), f"The value of exp({at})")
            expect(len(y.parents) == 1, f"exp has one argument, so one parent; yours has {len(y.parents)}.")
            *_, (_, bars) = sweep(y * y)
            close(bars[a.serial], 2 * math.exp(2 * at), f"The derivative of exp(a)² at a = {at}")
        return "The slope of the exponential is its own value, so it need not keep its argument: `out` is enough."

    verdict_exp = judge("1.1", _check)
    verdict_exp
    return (verdict_exp,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **1.2 By hand, once.** Write $\partial L / \partial w$ for the function of Figure 1.1, as a formula in $w$, $x$ and $b$.
    Remember the second path.
    """)
    return


@app.cell
def _():
    def dloss_dw(w, x, b):
        raise NotImplementedError

    return (dloss_dw,)


@app.cell(hide_code=True)
def _(dloss_dw, function):
    def _check():
        for point in ((0.8, 0.5, -0.3), (-1.2, 0.4, 0.9), (0.3, -2.0, 0.1)):
            w = mg.tensor(np.array(point[0]), requires_grad=True)
            (right,) = mg.grad(function(w, *point[1:]), w)
            found = dloss_dw(*point)
            t = math.tanh(point[0] * point[1] + point[2])
            one_path = 2 * (t - point[0]) * (1 - t * t) * point[1]
            expect(
                found is None or not math.isclose(found, one_path),
                "That is the path through tanh alone: $w$ is also subtracted.",
            )
            close(found, right.item(), f"∂L/∂w at (w, x, b) = {point}")
        return "Two paths, two terms: the `+=` of the sweep."

    verdict_by_hand = judge("1.2", _check)
    verdict_by_hand
    return (verdict_by_hand,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    **1.3 No serial numbers.** The sweep leans on age to visit a value after all its users. Do without: return the values
    behind `loss`, each once, so that every value comes before its parents, looking only at `.parents`. (The engine's
    graphs may be thousands of operations deep.)
    """)
    return


@app.cell
def _():
    def order(loss):
        raise NotImplementedError  # a list that starts with loss

    return (order,)


@app.cell(hide_code=True)
def _(Number, function, order):
    def _check():
        def verify(root, count):
            found = order(root)
            expect(found is not None, "`order` returns nothing.")
            place = {id(v): i for i, v in enumerate(found)}
            expect(len(place) == len(found), "Some value is listed twice: each is to be visited once.")
            expect(len(found) == count, f"{count} values lie behind this loss; you list {len(found)}.")
            for v in found:
                for parent, _ in v.parents:
                    expect(
                        place[id(v)] < place[id(parent)],
                        f"A *{parent.name}* stands before the *{v.name}* that uses it: its cotangent would be incomplete.",
                    )

        w = Number(0.5, name="w")
        verify(function(w, Number(2.0, name="x"), Number(0.1, name="b")), 8)
        diamond = w.tanh()
        verify(diamond * (diamond.square() + w), 5)
        deep = w
        for _ in range(3000):
            deep = deep.tanh()
        try:
            verify(deep, 3001)
        except RecursionError:
            expect(
                False, "Right on small graphs, but a chain of 3,000 overflows Python's stack: keep a list of your own."
            )
        return "The engine could do this too; sorting by age is one line and cannot be wrong."

    verdict_order = judge("1.3", _check)
    verdict_order
    return (verdict_order,)


@app.cell(hide_code=True)
def _(verdict_by_hand, verdict_exp, verdict_order):
    mo.vstack([tally("Chapter 1", verdict_exp, verdict_by_hand, verdict_order), notation()])
    return


if __name__ == "__main__":
    app.run()
