"""The loops that define every operation, against examples worked by hand and against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from witnesses import witness

from kernels import reference


def test_conv2d_by_hand():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    w = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    y = reference.conv2d(x, w, np.array([10.0]), stride=(1, 1), padding=(0, 0))
    # 0 1 / 3 4 -> 0 + 2 + 9 + 16 = 27, then one more to the right adds 1 + 2 + 3 + 4
    assert y.tolist() == [[[[37.0, 47.0], [67.0, 77.0]]]]


def test_conv2d_stride_and_padding_by_hand():
    x = np.array([[[[1.0, 2.0, 3.0]]]])
    w = np.array([[[[1.0, 10.0]]]])
    y = reference.conv2d(x, w, stride=(1, 2), padding=(0, 1))
    assert y.tolist() == [[[[10.0, 32.0]]]]


def test_conv2d_sums_over_channels_and_keeps_outputs_apart():
    x = np.array([[[[2.0]], [[3.0]]]])
    w = np.array([[[[1.0]], [[10.0]]], [[[-1.0]], [[0.0]]]])
    y = reference.conv2d(x, w, stride=(1, 1), padding=(0, 0), activation=("leaky_relu", 0.5))
    assert y.tolist() == [[[[32.0]], [[-1.0]]]]


def test_conv2d_gradients_by_hand():
    gy = np.array([[[[1.0, 100.0]]]])
    w = np.array([[[[2.0, 3.0]]]])
    gx = reference.conv2d_grad_input(gy, w, input_shape=(1, 1, 1, 3), stride=(1, 1), padding=(0, 0))
    assert gx.tolist() == [[[[2.0, 203.0, 300.0]]]]
    x = np.array([[[[5.0, 6.0, 7.0]]]])
    gw = reference.conv2d_grad_weight(gy, x, weight_shape=(1, 1, 1, 2), stride=(1, 1), padding=(0, 0))
    assert gw.tolist() == [[[[605.0, 706.0]]]]


def test_batch_norm_by_hand():
    x = np.array([[1.0], [3.0]])
    y, mean, rstd = reference.batch_norm(x, np.array([2.0]), np.array([1.0]), eps=3.0, activation="relu")
    assert (mean.tolist(), rstd.tolist()) == ([2.0], [0.5])
    assert y.tolist() == [[0.0], [2.0]]


def test_batch_norm_grad_by_hand():
    x = np.array([[-1.0], [1.0]])
    one, zero, rstd = np.array([1.0]), np.array([0.0]), np.array([1.0])
    gx, ggamma, gbeta = reference.batch_norm_grad(np.array([[3.0], [5.0]]), x, one, zero, zero, rstd)
    assert (ggamma.tolist(), gbeta.tolist()) == ([2.0], [8.0])
    assert gx.tolist() == [[0.0], [0.0]]  # two points lie at -1 and 1 whatever they were


def test_batch_norm_inference_by_hand():
    one = np.array([1.0])
    y = reference.batch_norm_inference(np.array([[5.0]]), 2 * one, 3 * one, one, 3 * one, eps=1.0)
    assert y.tolist() == [[7.0]]


def test_matmul_by_hand():
    assert reference.matmul(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])).tolist() == [[11.0]]


def test_adam_step_by_hand():
    p, g, m, v = (np.array([a]) for a in (1.0, 2.0, 0.0, 0.0))
    reference.adam_step(p, g, m, v, lr=0.1, betas=(0.5, 0.75), eps=0.0, weight_decay=0.0, step=1)
    # the first step is lr * sign(g), whatever the size of g
    assert (m[0], v[0]) == (1.0, 1.0)
    assert p[0] == pytest.approx(0.9, rel=1e-15)
    p, g, m, v = (np.array([a]) for a in (1.0, 2.0, 0.0, 0.0))
    reference.adam_step(p, g, m, v, lr=0.1, betas=(0.5, 0.75), eps=1.0, weight_decay=2.0, step=1)
    assert (m[0], v[0]) == (2.0, 4.0)
    assert p[0] == pytest.approx(1 - 0.1 / 0.5 * 2 / (2 / 0.5 + 1), rel=1e-15)


@pytest.mark.peers
@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (0, 0)), ((2, 3), (1, 2)), ((1, 2), (3, 0))])
def test_conv2d_and_gradients_against_pytorch(stride, padding):
    torch = witness("torch")
    random = np.random.default_rng(0)
    x, w, b = random.normal(size=(2, 3, 6, 7)), random.normal(size=(4, 3, 3, 2)), random.normal(size=4)
    tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in (x, w, b))
    ty = torch.nn.functional.conv2d(tx, tw, tb, stride=stride, padding=padding)
    gy = random.normal(size=ty.shape)
    ty.backward(torch.tensor(gy))
    settings = {"stride": stride, "padding": padding}
    np.testing.assert_allclose(reference.conv2d(x, w, b, **settings), ty.detach().numpy(), rtol=1e-12, atol=1e-13)
    gx = reference.conv2d_grad_input(gy, w, input_shape=x.shape, **settings)
    gw = reference.conv2d_grad_weight(gy, x, weight_shape=w.shape, **settings)
    np.testing.assert_allclose(gx, tx.grad.numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(gw, tw.grad.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.peers
@pytest.mark.parametrize("slope", [1.0, 0.0, 0.2])
def test_batch_norm_and_gradient_against_pytorch(slope):
    torch = witness("torch")
    random = np.random.default_rng(1)
    x, gamma, beta = random.normal(size=(3, 4, 2, 5)), random.normal(size=4), random.normal(size=4)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, gamma, beta)]
    running = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    ty = torch.nn.functional.batch_norm(tensors[0], *running, *tensors[1:], training=True, eps=1e-3)
    ty = torch.nn.functional.leaky_relu(ty, slope)
    gy = random.normal(size=x.shape)
    ty.backward(torch.tensor(gy))
    activation = ("leaky_relu", slope)
    y, mean, rstd = reference.batch_norm(x, gamma, beta, eps=1e-3, activation=activation)
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-13)
    gradients = reference.batch_norm_grad(gy, x, gamma, beta, mean, rstd, activation=activation)
    for mine, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(mine, tensor.grad.numpy(), rtol=1e-11, atol=1e-12)


@pytest.mark.peers
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_against_pytorch(decay):
    torch = witness("torch")
    random = np.random.default_rng(2)
    p, m, v = random.normal(size=5), np.zeros(5), np.zeros(5)
    tensor = torch.tensor(p, requires_grad=True)
    settings = {"lr": 0.01, "betas": (0.5, 0.99), "eps": 1e-8, "weight_decay": decay}
    optimiser = torch.optim.Adam([tensor], **settings)
    for step in range(1, 6):
        g = random.normal(size=5)
        tensor.grad = torch.tensor(g)
        optimiser.step()
        reference.adam_step(p, g, m, v, step=step, **settings)
    np.testing.assert_allclose(p, tensor.detach().numpy(), rtol=1e-12)
