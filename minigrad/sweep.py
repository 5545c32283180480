"""The sweep: from the last node to the first, each rule's products, summed where paths meet."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from kernels import device
from kernels.device import Array
from minigrad.tape import (
    GradientError,
    Node,
    Variable,
    as_array,
    enable_grad,
    key_of,
    names_of,
    observers,
    owner_of,
    recording,
    slot,
    state,
)


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum a cotangent over the dimensions that broadcasting added or stretched, back to `shape`."""
    lead = g.ndim - len(shape)
    if lead > 0:
        g = g.sum(tuple(range(lead)))
    stretched = tuple(d for d, (n, m) in enumerate(zip(g.shape, shape, strict=True)) if m == 1 and n != 1)
    return g.sum(stretched, True) if stretched else g


def _fit(g: Any, node: Node, i: int) -> Any:
    """A product's result in the shape and dtype of the argument it belongs to."""
    try:
        if g.shape != node.shapes[i]:
            g = unbroadcast(g, node.shapes[i])
        if g.shape != node.shapes[i]:
            raise ValueError
    except ValueError:
        raise GradientError(
            f"rule {node.name}: the product for argument {i} has shape {g.shape}, the argument {node.shapes[i]}"
        ) from None
    return g if g.dtype == node.types[i] else g.to(node.types[i])


def _products(node: Node, gs: list[Any], needs: list[bool]) -> Sequence[Any]:
    """The cotangents of a node's arguments; `None` where none is needed."""
    rule, record = node.rule, state.recording
    functions = [f for f in (rule.joint, *rule.vjps) if f is not None]
    raw = any(getattr(f, "raw", False) for f in functions)
    if rule.plain is not None and (not functions or (raw and record)):
        return _through_plain(node, gs, needs)
    if raw and record:
        raise GradientError(f"rule {rule.name} is differentiable once only: give it a plain= definition")
    gs = [
        Variable.concrete(_zeros(node.outs[k])) if g is None and name not in rule.constant else g
        for k, (g, name) in enumerate(zip(gs, rule.outputs or ("out",), strict=True))
    ]

    def call(f: Callable, i: int) -> Any:
        special = {"g": tuple(gs) if rule.outputs else gs[0], "i": i, "needs": tuple(needs)}
        values = {n: special[n] if n in special else node.value(n) for n in names_of(f)}
        if not getattr(f, "raw", False):
            return f(**values)
        return f(**{n: _bare(v) for n, v in values.items()})

    def wrap(g: Any) -> Any:
        return g if g is None or isinstance(g, Variable) else Variable.concrete(as_array(g))

    if rule.joint is not None:
        return [wrap(g) for g in call(rule.joint, 0)]
    return [wrap(call(rule._vjp(i), i)) if need else None for i, need in enumerate(needs)]  # type: ignore[arg-type]


def _bare(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_bare(v) for v in value)
    return value.data if isinstance(value, Variable) else value


def _zeros(meta: tuple) -> Array:
    shape, dtype, where = meta
    return device.module(where).zeros(shape, dtype)


def _through_plain(node: Node, gs: list[Any], needs: list[bool]) -> Sequence[Any]:
    """Differentiate a fused rule's plain definition in its place.

    It is applied to aliases of the arguments, so that one argument's dependence on another is not counted
    twice; at first order the aliases forget their history, which is then of no interest.
    """
    assert node.rule.plain is not None
    record = state.recording
    arguments = [node.value(name) for name in node.rule.arrays]
    with enable_grad():
        aliases = [
            (a.reshape(a.shape) if record else a.detach().requires_grad_()) if need else a
            for a, need in zip(arguments, needs, strict=True)
        ]
        result = node.rule.plain(*aliases, **node.settings)
    results = result if isinstance(result, tuple) else (result,)
    pairs = [(r, g) for r, g in zip(results, gs, strict=False) if g is not None and r.requires_grad]
    targets = [a for a, need in zip(aliases, needs, strict=True) if need]
    found = iter(_sweep([r for r, _ in pairs], [g for _, g in pairs], targets, record, record))
    return [next(found) if need else None for need in needs]


class _Sums:
    """Cotangents by slot. In place only into an array that was allocated here."""

    def __init__(self) -> None:
        self.held: dict[Any, Any] = {}
        self.own: set[Any] = set()

    def add(self, key: Any, g: Any, record: bool) -> None:
        before = self.held.get(key)
        if before is None:
            self.held[key] = g
        elif record:
            self.held[key] = before + g
        elif key in self.own:
            before.data += g.data
        else:
            self.held[key] = Variable.concrete(as_array(before.data + g.data))
            self.own.add(key)

    def pop(self, key: Any) -> Any:
        self.own.discard(key)
        return self.held.pop(key, None)


def _reachable(roots: Sequence[Variable]) -> list[Node]:
    """The nodes behind `roots`, oldest first: a node's arguments are always older than itself."""
    seen: dict[int, Node] = {}
    todo = [r.node for r in roots if r.node is not None]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        if node.saved is None:
            raise GradientError(
                f"the graph behind {node.name} was freed by an earlier backward(): pass retain_graph=True there"
            )
        seen[id(node)] = node
        todo.extend(edge[0] for edge in node.edges if isinstance(edge, tuple))
    return sorted(seen.values(), key=lambda node: node.serial)


def _sweep(roots: Sequence[Variable], cotangents: Sequence[Any], targets: Sequence[Variable] | None,
           record: bool, retain: bool) -> list[Any]:  # fmt: skip
    """Cotangents of `targets`; with `targets=None` add them to the `grad` of every leaf instead."""
    nodes = _reachable(roots)
    sums = _Sums()
    aims = None if targets is None else {key_of(slot(t)) for t in targets}
    leaves: dict[int, Variable] = {}
    needed: set[int] = set()
    for node in nodes:
        for edge in node.edges:
            if edge is None:
                continue
            if isinstance(edge, Variable):
                leaves[id(edge)] = edge
            if aims is None or key_of(edge) in aims or (isinstance(edge, tuple) and id(edge[0]) in needed):
                needed.add(id(node))
    found: dict[Any, Any] = {}
    with recording(record):
        for root, g in zip(roots, cotangents, strict=True):
            at = slot(root)
            if isinstance(at, Variable):
                leaves[id(at)] = at
            sums.add(key_of(at), g, record)
        while nodes:
            node = nodes.pop()
            gs = [sums.pop((id(node), k)) for k in range(len(node.outs))]
            if aims is not None:
                found.update({key: g for k, g in enumerate(gs) if (key := (id(node), k)) in aims})
            if id(node) in needed and any(g is not None for g in gs):
                _visit(node, gs, sums, aims, needed)
            if not retain:
                node.free()
    if targets is not None:
        found.update({key: sums.held.get(key) for key in aims or () if key not in found})
        return [found[key_of(slot(t))] for t in targets]
    taken = {owner_of(g.data) for g in cotangents}
    for at_leaf, leaf in leaves.items():
        g = sums.held.pop(at_leaf, None)
        if g is not None:
            _accumulate(leaf, g, record, taken)
    return []


def _visit(node: Node, gs: list[Any], sums: _Sums, aims: set | None, needed: set[int]) -> None:
    needs = [
        edge is not None
        and (aims is None or key_of(edge) in aims or (isinstance(edge, tuple) and id(edge[0]) in needed))
        for edge in node.edges
    ]
    before, state.visiting = state.visiting, node
    start = time.perf_counter()
    try:
        results = _products(node, gs, needs)
    finally:
        state.visiting = before
    for observer in observers:
        observer.backward(node.name, [_bare(g) for g in gs], [_bare(g) for g in results],
                          time.perf_counter() - start)  # fmt: skip
    kept = set() if state.recording else node.memory()
    for i, (edge, g) in enumerate(zip(node.edges, results, strict=True)):
        if needs[i] and g is not None:
            if kept and owner_of(g.data) in kept:  # a product that hands out what was saved
                g = Variable.concrete(g.data.copy())
            sums.add(key_of(edge), _fit(g, node, i), state.recording)


def _accumulate(leaf: Variable, g: Any, record: bool, taken: set[int]) -> None:
    """Add to a leaf's gradient, which shares no memory with what is in `taken`, and is then in there too."""
    if leaf.grad is None and record:
        leaf.grad = g.clone()
    elif leaf.grad is None:
        leaf.grad = Variable.concrete(g.data.copy() if owner_of(g.data) in taken else device.own(g.data))
        taken.add(owner_of(leaf.grad.data))
    elif record:
        leaf.grad = leaf.grad + g
    else:
        leaf.grad = Variable.concrete(as_array(leaf.grad.data + g.data))


def _cotangents(outputs: Sequence[Variable], given: Sequence[Any] | None, record: bool) -> list[Any]:
    result = []
    for k, y in enumerate(outputs):
        g = None if given is None else given[k]
        if not y.requires_grad:
            raise GradientError(
                f"output {k} of shape {y.data.shape} does not depend on anything that requires a gradient"
            )
        if g is None:
            if y.data.size != 1:
                raise GradientError(
                    f"a gradient is implicit for scalars only: output {k} has shape {y.data.shape}; give its cotangent"
                )
            g = device.array_module(y.data).ones_like(y.data)
        if not isinstance(g, Variable) or not record:
            g = Variable.concrete(as_array(g))  # a handle of its own: the caller goes on holding the array
        if g.data.shape != y.data.shape:
            raise GradientError(f"the cotangent of output {k} has shape {g.data.shape}, the output {y.data.shape}")
        result.append(g)
    return result


def backward(output: Variable, gradient: Any = None, retain_graph: bool | None = None,
             create_graph: bool = False) -> None:  # fmt: skip
    """Add the derivative of `output` to the `grad` of every leaf it depends on."""
    retain = create_graph if retain_graph is None else retain_graph
    _sweep([output], _cotangents([output], [gradient], create_graph), None, create_graph, retain)


def grad(outputs: Any, inputs: Any, grad_outputs: Any = None, *, create_graph: bool = False,
         retain_graph: bool | None = None, allow_unused: bool = False) -> list[Any]:  # fmt: skip
    """Derivatives of `sum_k <grad_outputs_k, outputs_k>` with respect to each of `inputs`, leaf or not.

    `inputs` and `outputs` are a tensor or a sequence of them. With `create_graph` the results can be
    differentiated again. An input the outputs do not depend on is an error, or `None` with `allow_unused`.
    """
    outputs = [outputs] if isinstance(outputs, Variable) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Variable) else list(inputs)
    if grad_outputs is not None and (isinstance(grad_outputs, Variable) or device.is_array(grad_outputs)):
        grad_outputs = [grad_outputs]
    for k, x in enumerate(inputs):
        if not x.requires_grad:
            raise GradientError(f"input {k} of shape {x.data.shape} does not require a gradient")
    retain = create_graph if retain_graph is None else retain_graph
    results = _sweep(outputs, _cotangents(outputs, grad_outputs, create_graph), inputs, create_graph, retain)
    for k, g in enumerate(results):
        if g is None and not allow_unused:
            raise GradientError(f"the outputs do not depend on input {k}; allow_unused=True gives None for it")
    return results
