"""The tape: what is recorded, what is computed, what is kept and for how long, and what is refused."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from kernels import device as devices
from minigrad.tape import TABLE, GradientError


def leaf(data: Any, device: str = "cpu", requires_grad: bool = True, dtype: Any = np.float64) -> mg.Tensor:
    return mg.tensor(np.array(data, dtype), requires_grad=requires_grad, device=device)


def host(t: mg.Tensor) -> np.ndarray:
    return devices.to_host(t.data)


def same(t: Any, expected: Any) -> None:
    np.testing.assert_allclose(host(t), expected, rtol=1e-12, atol=1e-12)


@contextmanager
def rule(name: str, forward: Any, *vjps: Any, joint: Any = None, **settings: Any) -> Iterator[Any]:
    """A rule that leaves the table again."""
    made = mg.primitive(forward, name=name, **settings)
    made.defvjp(*vjps, joint=joint)
    try:
        yield made
    finally:
        del TABLE[name]


@pytest.fixture
def no_collector() -> Iterator[None]:
    """The garbage collector is off: whatever dies in the test dies of its last reference."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# -- accumulating, freeing


def test_leaves_accumulate_over_sweeps(device):
    x = leaf([1.0, 2.0], device)
    for times in (1, 2, 3):
        (x * x).sum().backward()
        same(x.grad, times * np.array([2.0, 4.0]))


def test_paths_that_meet_are_summed(device):
    x = leaf([1.0, 2.0, 3.0], device)
    y = x * x
    (y * x + y + x).sum().backward()
    same(x.grad, 3 * np.array([1.0, 4, 9]) + 2 * np.array([1.0, 2, 3]) + 1)


def test_a_freed_graph_says_so(device):
    x = leaf([1.0, 2.0], device)
    y = x * x
    y.sum().backward()
    with pytest.raises(GradientError, match=r"mul was freed .* retain_graph=True"):
        (y * 2).sum().backward()


def test_a_freed_graph_says_so_when_its_own_root_is_used_again(device):
    x = leaf([1.0, 2.0], device)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(GradientError, match="freed"):
        y.backward()
    same(x.grad, [2, 4])


def test_a_retained_graph_is_used_again(device):
    x = leaf([1.0, 2.0], device)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    same(x.grad, [4, 8])


def test_a_long_chain_is_differentiated_twice_and_freed(no_collector):
    x = leaf(3.0)
    y = x * x
    for _ in range(50_000):
        y = -y
    nodes = [weakref.ref(y.node)]
    (first,) = mg.grad(y, [x], create_graph=True)
    nodes.append(weakref.ref(first.node))
    (second,) = mg.grad(first, [x], retain_graph=True)
    assert (y.item(), first.item(), second.item()) == (9, 6, 2)
    del y, first
    assert [node() for node in nodes] == [None, None]


def test_a_long_chain_that_nobody_differentiates_is_freed(no_collector):
    y = x = leaf([1.0])
    for _ in range(50_000):
        y = y + x
    node = weakref.ref(y.node)
    del y
    assert node() is None


def test_saved_arrays_are_freed_as_the_sweep_passes(no_collector, device):
    seen: list[bool] = []
    later: Any = None
    x = leaf([0.1, 0.2], device)

    def look(g: Any) -> Any:
        seen.append(later() is None)
        return g

    with rule("probe", lambda a: a + 0, look) as probe:
        y = probe(x.exp()).exp()
        later = weakref.ref(y.data)
        z = y.sum()
        del y
        assert later() is not None  # exp keeps its result
        z.backward()
    assert seen == [True]


@pytest.mark.parametrize("use", ["nothing", "backward", "grad", "second", "error"])
def test_nothing_waits_for_the_garbage_collector(no_collector, device, use):
    x = leaf(np.linspace(0.1, 1, 6).reshape(2, 3), device)
    w = leaf(np.ones((3, 2)), device)
    h = (x @ w).tanh()
    y = h * h + h.exp()
    alive = [weakref.ref(o) for o in (h, h.data, h.node, y.data, y.node)]
    z = y.reshape(-1).sum()
    if use == "backward":
        z.backward()
    elif use == "grad":
        mg.grad(z, [x, h])
    elif use == "second":
        mg.grad(mg.grad(z, [w], create_graph=True)[0].sum(), [x])
    elif use == "error":
        with pytest.raises(GradientError):
            mg.grad(z, [leaf(1.0, device)])
    del h, y, z
    assert [ref() for ref in alive] == [None] * 5


def test_the_graph_holds_no_result_it_does_not_need(no_collector, device):
    x = leaf([1.0, 2.0], device)
    y = x + x
    data = weakref.ref(y.data)
    z = y.sum()
    del y
    assert data() is None
    z.backward()
    same(x.grad, [2, 2])


# -- writing in place


def _copy(t: mg.Tensor) -> None:
    t.copy_(mg.zeros_like(t))


def _setitem(t: mg.Tensor) -> None:
    t[0] = 5.0


WRITERS = [
    (_copy, "copy_"),
    (_setitem, "setitem"),
    (lambda t: _setitem(t.reshape(2, 1)), "setitem"),
    (lambda t: _setitem(t[1:]), "setitem"),
    (lambda t: _copy(t.detach()), "copy_"),
    (lambda t: _copy(t.detach().reshape(1, 2)), "copy_"),
]


@pytest.mark.parametrize(("write", "writer"), WRITERS)
@pytest.mark.parametrize("saves", ["argument", "result"])
def test_a_saved_tensor_that_was_written_to_is_an_error_naming_both(device, write, writer, saves):
    x = leaf([1.0, 2.0], device)
    y = x * 3
    z = y.exp() if saves == "result" else y.sin()
    with mg.no_grad():
        write(z if saves == "result" else y)
    with pytest.raises(GradientError, match=rf"{'exp' if saves == 'result' else 'sin'} .*{writer}"):
        z.sum().backward()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_an_optimisers_step_is_such_a_write(device, name):
    w = mg.nn.Parameter(leaf([1.0, 2.0], device, False))
    optimiser = getattr(mg.optim, name)([w], lr=0.1)
    y = (w * w).sum()
    y.backward(retain_graph=True)
    optimiser.step()
    with pytest.raises(GradientError, match=rf"mul .*{name}"):
        y.backward()


def test_a_write_to_what_no_rule_saved_is_free(device):
    x = leaf([1.0, 2.0], device)
    y = x + 1
    z = y * 2
    with mg.no_grad():
        y[0] = 9.0
    z.sum().backward()
    same(x.grad, [2, 2])
    same(y, [9, 3])


def test_a_write_to_a_copy_is_free(device):
    x = leaf([1.0, 2.0], device)
    y = x.exp()
    with mg.no_grad():
        y.clone()[0] = 9.0
        y.detach().clone().copy_(mg.zeros_like(y))
    y.sum().backward()
    same(x.grad, np.exp([1, 2]))


def test_writing_while_recording_is_refused(device):
    x = leaf([1.0, 2.0], device)
    for write in (_setitem, _copy):
        with pytest.raises(GradientError, match="no_grad"):
            write(x)
    same(x, [1, 2])


def test_augmented_assignment_rebinds(device):
    x = leaf([1.0, 2.0], device)
    y = x
    y += 1
    same(x, [1, 2])
    y.sum().backward()
    same(x.grad, [1, 1])


# -- recording or not


def test_no_grad_records_nothing(device):
    x = leaf([1.0], device)
    with mg.no_grad():
        y = x * 2
        with mg.enable_grad():
            z = x * 2
    assert not y.requires_grad and y.node is None and z.requires_grad

    @mg.no_grad()
    def doubled(t):
        return t * 2

    assert not doubled(x).requires_grad and mg.is_grad_enabled()


def test_no_grad_ends_with_an_exception():
    with pytest.raises(KeyError), mg.no_grad():
        raise KeyError
    assert mg.is_grad_enabled()


def test_no_grad_is_per_thread():
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        with mg.no_grad():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    recorded = (leaf(1.0) * 2).requires_grad
    done.set()
    thread.join()
    assert recorded


def test_threads_differentiate_side_by_side():
    results: dict[int, float] = {}

    def work(k: int) -> None:
        x = leaf(float(k))
        y = x
        for _ in range(200):
            y = y + x
        y.backward()
        results[k] = x.grad.item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(4), 201.0)


def test_detach_cuts_the_graph_and_shares_the_memory(device):
    x = leaf([1.0, 2.0], device)
    d = (x * x).detach()
    assert not d.requires_grad
    (d * x).sum().backward()
    same(x.grad, [1, 4])


# -- only what was asked for


def _refuse(*_: Any) -> Any:
    raise AssertionError("this product was not asked for")


def test_products_of_constants_are_not_computed(device):
    with rule("pair", lambda a, b: a + b, lambda g: g, lambda g: _refuse()) as pair:
        a, b = leaf([1.0], device), leaf([1.0], device)
        pair(a, leaf([1.0], device, requires_grad=False)).sum().backward()
        pair(a, 2.0).sum().backward()
        mg.grad(pair(a, b).sum(), [a])
        same(a.grad, [2])
        with pytest.raises(AssertionError):
            pair(a, b).sum().backward()


def test_the_sweep_stops_at_what_was_asked_for(device):
    with rule("wall", lambda a: a + 0, lambda g: _refuse()) as wall:
        x = leaf([1.0, 3.0], device)
        h = wall(x)
        (g,) = mg.grad((h * h).sum(), [h])
        same(g, [2, 6])


def test_joint_products_hear_what_is_needed(device):
    heard: list[Any] = []

    def joint(g: Any, needs: Any) -> Any:
        heard.append(tuple(needs))
        return [g if n else None for n in needs]

    with rule("both", lambda a, b: a + b, None, None, joint=joint) as both:
        a, b = leaf([1.0], device), leaf([1.0], device)
        mg.grad(both(a, b).sum(), [b])
        both(a, b).sum().backward()
    assert heard == [(False, True), (True, True)]
    same(a.grad, [1])


def test_only_what_the_products_name_is_saved(device):
    x = leaf([1.0, 2.0], device)
    for y, names in ((x * 2.0, {"input", "other"}), (x + x, set()), (x.exp(), {"out"})):
        assert y.node is not None and set(y.node.saved or ()) == names


# -- grad()


def test_grad_leaves_leaves_alone(device):
    x = leaf([1.0, 2.0], device)
    y = x * x
    gx, gy = mg.grad(y.sum(), [x, y])
    same(gx, [2, 4])
    same(gy, [1, 1])
    assert x.grad is None and not gx.requires_grad


def test_grad_of_a_tensor_with_respect_to_itself(device):
    x = leaf(2.0, device)
    same(mg.grad(x, [x])[0], 1)
    y = x * x
    same(mg.grad(y, [y])[0], 1)


def test_grad_of_several_outputs_with_cotangents(device):
    x = leaf([1.0, 2.0], device)
    v = [leaf([1.0, 10.0], device, False), leaf([100.0, 1000.0], device, False)]
    (g,) = mg.grad([x * 2, x * x], [x], v)
    same(g, [2 + 200, 20 + 4000])


def test_the_same_input_twice_gets_the_same_answer_twice(device):
    x = leaf([1.0, 2.0], device)
    for g in mg.grad((x * x).sum(), [x, x]):
        same(g, [2, 4])


def test_an_unused_input_is_an_error_or_none(device):
    x, z = leaf(1.0, device), leaf(1.0, device)
    with pytest.raises(GradientError, match=r"input 1; allow_unused=True"):
        mg.grad(x * 2, [x, z])
    g, unused = mg.grad(x * 2, [x, z], allow_unused=True)
    same(g, 2)
    assert unused is None


def test_second_derivatives(device):
    x = leaf([0.5, 2.0], device)
    (g,) = mg.grad((x * x * x).sum(), [x], create_graph=True)
    assert g.requires_grad
    (h,) = mg.grad(g.sum(), [x], create_graph=True)
    same(h, 6 * np.array([0.5, 2.0]))
    same(mg.grad(h.sum(), [x])[0], [6, 6])


def test_backward_with_create_graph_can_be_differentiated(device):
    x = leaf([0.5, 2.0], device)
    (x * x * x).sum().backward(create_graph=True)
    first, x.grad = x.grad, None
    first.sum().backward()
    same(x.grad, 6 * np.array([0.5, 2.0]))


MISUSES = [
    (lambda x: (x * 2).backward(), r"implicit for scalars only: output 0 has shape \(2,\)"),
    (lambda x: (x * 2).backward(mg.zeros_like(x.reshape(2, 1))), r"cotangent .*\(2, 1\), the output \(2,\)"),
    (lambda x: (x.detach() * 2).sum().backward(), "does not depend on anything that requires a gradient"),
    (lambda x: mg.grad(x.sum(), [x.detach()]), "input 0 .* does not require a gradient"),
]


@pytest.mark.parametrize(("misuse", "message"), MISUSES)
def test_misuse_is_one_clear_error(device, misuse, message):
    with pytest.raises(GradientError, match=message):
        misuse(leaf([1.0, 2.0], device))


# -- rules of one's own


def test_several_outputs_used_or_not(device):
    def both(a: Any) -> Any:
        return a + 1, a * a

    def vjp(g: Any, a: Any) -> Any:
        return g[0] + g[1] * 2 * a

    with rule("sum_and_square", both, vjp, outputs=("s", "q")) as f:
        x = leaf([1.0, 3.0], device)
        s, q = f(x)
        same(s, [2, 4])
        same(mg.grad(s.sum(), [x], retain_graph=True)[0], [1, 1])
        same(mg.grad(q.sum(), [x], retain_graph=True)[0], [2, 6])
        same(mg.grad((s * q).sum(), [x])[0], [1 + 2 * 2, 9 + 4 * 6])


def test_an_output_is_saved_by_its_name_and_differentiated_again(device):
    with rule("twins", lambda a: (a * a, a + 0), lambda g, b: g[0] * 2 * b + g[1], outputs=("sq", "b")) as f:
        x = leaf([1.0, 3.0], device)
        (g,) = mg.grad(f(x)[0].sum(), [x], create_graph=True)
        same(g, [2, 6])
        same(mg.grad(g.sum(), [x])[0], [2, 2])


def test_saved_values_reach_the_products_and_not_the_caller(device):
    with rule("half", lambda a: (a * 0.5, 0.5), lambda g, factor: g * factor, saves=("factor",)) as half:
        x = leaf([1.0, 3.0], device)
        y = half(x)
        assert isinstance(y, mg.Tensor)
        y.sum().backward()
        same(x.grad, [0.5, 0.5])


def test_settings_reach_the_products(device):
    with rule("scaled", lambda a, k=2.0: a * k, lambda g, k: g * k) as scaled:
        x = leaf([1.0], device)
        (scaled(x) + scaled(x, 5.0) + scaled(x, k=7.0)).sum().backward()
        same(x.grad, [14])


def test_a_product_of_an_unknown_name_is_refused_at_once():
    with (
        pytest.raises(TypeError, match=r"rule bad: .*\['nonsense'\]"),
        rule("bad", lambda a: a, lambda g, nonsense: g),
    ):
        pass
    TABLE.pop("bad", None)


def test_a_product_of_the_wrong_shape_is_an_error(device):
    with (
        rule("wrong", lambda a: a * 1, lambda g: g.sum()) as wrong,
        pytest.raises(GradientError, match=r"rule wrong: .* argument 0 has shape \(\), the argument \(2,\)"),
    ):
        wrong(leaf([1.0, 2.0], device)).sum().backward()


def _cube(a: Any) -> Any:
    return a * a * a


@mg.once_differentiable
def _cube_vjp(g: Any, a: Any) -> Any:
    assert devices.is_array(g) and devices.is_array(a)
    return g * 3 * a * a


def test_a_product_on_raw_arrays_is_good_once(device):
    with rule("cube", _cube, _cube_vjp) as cube:
        x = leaf([1.0, 2.0], device)
        same(mg.grad(cube(x).sum(), [x])[0], [3, 12])
        with pytest.raises(GradientError, match=r"cube is differentiable once only: .*plain="):
            mg.grad(cube(x).sum(), [x], create_graph=True)


def test_a_plain_definition_gives_every_further_order(device):
    with rule("cube", _cube, _cube_vjp, plain=_cube) as cube:
        x = leaf([1.0, 2.0], device)
        (g,) = mg.grad(cube(x * 1).sum(), [x], create_graph=True)
        (h,) = mg.grad(g.sum(), [x], create_graph=True)
        (third,) = mg.grad(h.sum(), [x])
        for found, expected in ((g, [3, 12]), (h, [6, 12]), (third, [6, 6])):
            same(found, expected)


def test_a_plain_definition_alone_is_a_rule(device):
    with rule("cube", _cube, plain=_cube) as cube:
        x = leaf([1.0, 2.0], device)
        cube(x).sum().backward()
        same(x.grad, [3, 12])


def test_arguments_of_a_plain_definition_that_depend_on_each_other(device):
    def product(a: Any, b: Any) -> Any:
        return a * b

    with rule("fused", product, plain=product) as fused:
        x = leaf([1.0, 2.0], device)
        y = x * x
        (g,) = mg.grad(fused(x, y).sum(), [x], create_graph=True)
        same(g, [3, 12])
        same(mg.grad(g.sum(), [x])[0], [6, 12])


def test_override_vjp_swaps_a_rule_and_puts_it_back(device):
    x = leaf([0.3], device)

    def slope() -> float:
        return mg.grad(x.tanh().sum(), [x])[0].item()

    right = slope()
    with pytest.raises(KeyError, match="inside"), mg.override_vjp("tanh", lambda g, out: g * 7):
        assert slope() == 7
        raise KeyError("inside")
    assert slope() == right == pytest.approx(1 - np.tanh(0.3) ** 2)
    with pytest.raises(KeyError, match="no_such_rule"), mg.override_vjp("no_such_rule", None):
        pass


# -- whose memory a gradient is


ALIASES = {
    "add": lambda x: x + x.detach(),
    "reshape": lambda x: x.reshape(6),
    "permute": lambda x: x.permute(1, 0),
    "expand": lambda x: x.expand(2, 2, 3),
    "getitem": lambda x: x[:, 1:],
    "cat": lambda x: mg.nn.functional.cat([x, x]),
    "clone": lambda x: x.clone(),
    "cast": lambda x: x.to(np.float64),
    "flip": lambda x: x.flip(0),
    "itself": lambda x: x,
}


@pytest.mark.parametrize("name", ALIASES)
def test_a_gradient_is_nobody_elses_memory(device, name):
    x, z = leaf(np.ones((2, 3)), device), leaf(np.ones((2, 3)), device)
    y = ALIASES[name](x) + ALIASES[name](z) if name != "itself" else x
    g = leaf(np.ones(y.shape), device, requires_grad=False)
    y.backward(g)
    xp = devices.array_module(g.data)
    others = [g.data, x.data, z.data] + ([] if z.grad is None else [z.grad.data])
    assert not any(xp.may_share_memory(x.grad.data, other) for other in others)
    before = host(x.grad).copy()
    for other in others[:1] + others[3:]:
        other[...] = 100.0
    same(x.grad, before)


def test_a_recorded_gradient_is_nobody_elses_memory_either(device):
    x, z = leaf([1.0, 2.0], device), leaf([1.0, 2.0], device)
    g = leaf([1.0, 1.0], device)
    (x + z).backward(g, create_graph=True)
    x.grad.data[...] = 100.0
    same(g, [1, 1])
    same(z.grad, [1, 1])
    same(mg.grad((x.grad * x.grad).sum(), [g])[0], [200, 200])


def test_accumulating_writes_to_no_earlier_gradient(device):
    x = leaf([1.0, 2.0], device)
    g = leaf([1.0, 1.0], device, False)
    x.backward(g)
    (x * 1).backward(g)
    same(g, [1, 1])
    same(x.grad, [2, 2])


def test_a_summed_gradient_does_not_write_to_a_shared_cotangent(device):
    x, z = leaf([1.0, 2.0], device), leaf([1.0, 2.0], device)
    y = x + z  # one cotangent goes to both
    (y + x + x).sum().backward()
    same(x.grad, [3, 3])
    same(z.grad, [1, 1])


def test_a_broadcast_gradient_owns_each_entry(device):
    x = leaf(np.ones((2, 3)), device)
    x.sum().backward()
    x.grad.data[0, 0] = 7.0
    same(x.grad, [[7, 1, 1], [1, 1, 1]])


# -- devices and types


def test_mixed_devices_are_a_clear_error(cuda):
    here, there = leaf([1.0]), leaf([1.0], cuda)
    for mix in (
        lambda: here + there,
        lambda: there * np.ones(1),
        lambda: mg.nn.functional.cat([here, there]),
        lambda: there[mg.tensor([0])],
        lambda: there[np.array([0])],
    ):
        with pytest.raises(devices.DeviceError, match=r"devices 'cpu' and 'cuda'.*\.to\("):
            mix()


def test_gradients_cross_devices_as_their_tensors_do(cuda):
    x = leaf([1.0, 2.0])
    y = x.to(cuda)
    assert y.device == cuda and x.device == "cpu"
    (y * y).sum().backward()
    assert x.grad.device == "cpu"
    same(x.grad, [2, 4])


def test_results_and_gradients_stay_on_their_device(device):
    x = leaf([[1.0, 2.0]], device)
    y = x.sum()
    assert y.device == device and devices.is_array(y.data) and y.data.shape == ()
    y.backward()
    assert x.grad.device == device


PROMOTIONS = [
    ("float32", 1.5, "float32"),
    ("float32", 2, "float32"),
    ("float32", True, "float32"),
    ("float64", 1.5, "float64"),
    ("int64", 1.5, "float32"),
    ("int64", 2, "int64"),
    ("int32", 2, "int32"),
    ("uint8", 2, "uint8"),
    ("bool", True, "bool"),
    ("bool", 2, "int64"),
    ("bool", 0.5, "float32"),
    ("float32", np.ones(2, np.float64), "float64"),
    ("float32", np.ones((), np.float64), "float32"),
    ("float32", np.ones(2, np.int64), "float32"),
    ("int64", np.ones(2, np.float32), "float32"),
    ("int32", np.ones((), np.int64), "int32"),
    ("int32", np.ones(2, np.int64), "int64"),
    ("int64", np.ones((), np.float64), "float64"),
    ("uint8", np.ones(2, np.int8), "int16"),
    ("bool", np.ones(2, np.int32), "int32"),
]


@pytest.mark.parametrize(("mine", "other", "expected"), PROMOTIONS)
def test_types_are_promoted_as_pytorch_does(device, mine, other, expected):
    x = mg.tensor(np.ones(2, mine), device=device)
    other = other if isinstance(other, (bool, int, float)) else mg.tensor(other, device=device)
    assert (x * other).dtype == (other * x).dtype == np.dtype(expected)


def test_data_keep_or_get_their_type(device):
    assert mg.tensor([1.5], device=device).dtype == mg.tensor(1.5, device=device).dtype == np.float32
    assert mg.tensor([1, 2], device=device).dtype == np.int64
    assert mg.tensor([True], device=device).dtype == bool
    assert mg.tensor(np.ones(2), device=device).dtype == np.float64
    assert (mg.tensor([3], device=device) / mg.tensor([2], device=device)).dtype == np.float32


def test_a_gradient_has_the_type_and_shape_of_its_tensor(device):
    x = leaf([1.0, 2.0], device, dtype=np.float32)
    y = leaf([[1.0], [2.0]], device, dtype=np.float64)
    (x * y).sum().backward()
    assert (x.grad.dtype, x.grad.shape) == (np.float32, (2,))
    assert (y.grad.dtype, y.grad.shape) == (np.float64, (2, 1))


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_only_floats_require_gradients(device, dtype):
    with pytest.raises(TypeError, match=f"floating point.*{dtype}"):
        leaf([1, 0], device, dtype=dtype)
    x = leaf([1.0, 2.0], device)
    n = leaf([1, 0], device, requires_grad=False, dtype=dtype)
    (x * n).sum().backward()
    same(x.grad, [1, 0])


@pytest.mark.parametrize("f", [lambda x: x > 0, lambda x: x.argmax(), lambda x: x == x, lambda x: x.argsort()])
def test_integer_and_boolean_results_carry_no_gradient(device, f):
    y = f(leaf([1.0, 2.0], device))
    assert not y.requires_grad and y.node is None


# -- shapes


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (), (1,), (1, 1)])
def test_empty_and_0d_arrays(device, shape):
    x = leaf(np.full(shape, 2.0), device)
    y = x * x + x.exp()
    assert y.shape == shape
    y.sum().backward()
    assert devices.is_array(x.grad.data) and x.grad.dtype == np.float64
    same(x.grad, np.full(shape, 4 + np.exp(2)))


LAYOUTS = {
    "transposed": lambda a: a.transpose(),
    "reversed": lambda a: a[::-1, ::-1],
    "strided": lambda a: a[:, ::2],
    "broadcast": lambda a: devices.array_module(a).broadcast_to(a[:1], a.shape),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_non_contiguous_leaves(device, name):
    base = np.arange(1.0, 25.0).reshape(4, 6)
    data = LAYOUTS[name](devices.to_device(base, device))
    x, expected = mg.Tensor(data, requires_grad=True), devices.to_host(data)
    y = (x * x).transpose(0, 1).reshape(-1)
    same(y, (expected**2).T.reshape(-1))
    y.sum().backward()
    same(x.grad, 2 * expected)
    np.testing.assert_array_equal(devices.to_host(data), expected)


def unbroadcast(v: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Each entry of `v` added to the entry of `shape` that broadcasting took it from."""
    source = np.broadcast_to(np.arange(np.prod(shape, dtype=int)).reshape(shape), v.shape)
    return np.bincount(source.ravel(), v.ravel(), np.prod(shape, dtype=int)).reshape(shape)


@settings(max_examples=60, deadline=None)
@given(
    shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=4, max_dims=4),
    seed=st.integers(0, 2**16),
)
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "where"])
def test_broadcasting_is_undone(device, name, shapes, seed):
    r = np.random.default_rng(seed)
    a, b = (r.uniform(0.5, 2, s) for s in shapes.input_shapes)
    v, mask = r.normal(size=shapes.result_shape), r.normal(size=shapes.result_shape) > 0
    f, ga, gb = {
        "add": (lambda a, b: a + b, v, v),
        "sub": (lambda a, b: a - b, v, -v),
        "mul": (lambda a, b: a * b, v * b, v * a),
        "div": (lambda a, b: a / b, v / b, -v * a / b**2),
        "where": (
            lambda a, b: mg.nn.functional.where(leaf(mask, device, False, bool), a, b),
            v * mask,
            v * ~mask,
        ),
    }[name]
    ta, tb = leaf(a, device), leaf(b, device)
    found = mg.grad(f(ta, tb), [ta, tb], leaf(v, device, False))
    same(found[0], unbroadcast(ga, a.shape))
    same(found[1], unbroadcast(gb, b.shape))
