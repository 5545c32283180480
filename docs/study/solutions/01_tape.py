"""One way to solve the exercises of chapter 1. Run it: the chapter runs with these answers and checks them."""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guide import solve


def exp(a):
    """1.1. The slope of the exponential is its own value. `type(a)` is the chapter's `Number`."""
    value = math.exp(a.value)
    return type(a)(value, ((a, value),), "exp")


def dloss_dw(w, x, b):
    """1.2. With t = tanh(wx + b): L = (t − w)², dt/dw = (1 − t²) x, and w itself is subtracted."""
    t = math.tanh(w * x + b)
    return 2 * (t - w) * ((1 - t * t) * x - 1)


def order(loss):
    """1.3. Count each value's users; visit a value when the last of them has been visited (Kahn 1962)."""
    users, seen, todo = {}, {id(loss)}, [loss]
    while todo:
        for parent, _ in todo.pop().parents:
            users[id(parent)] = users.get(id(parent), 0) + 1
            if id(parent) not in seen:
                seen.add(id(parent))
                todo.append(parent)
    found, ready = [], [loss]
    while ready:
        v = ready.pop()
        found.append(v)
        for parent, _ in v.parents:
            users[id(parent)] -= 1
            if not users[id(parent)]:
                ready.append(parent)
    return found


ANSWERS = {"exp": exp, "dloss_dw": dloss_dw, "order": order}

if __name__ == "__main__":
    sys.exit(solve.main(__file__, ANSWERS))
