"""LSTM layers: whole sequences at once give what the formulas give step by step, and so do their derivatives."""

import pytest

import torch
from torch import nn
from torch.func import functional_call, jvp, vmap


def by_formula(x, h, c, w_ih, w_hh, b_ih, b_hh, reverse):
    """One direction of one layer as Hochreiter and Schmidhuber (1997) define it, gates in the order i, f, g, o."""
    outputs = [None] * len(x)
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        i, f, g, o = (x[t] @ w_ih.T + b_ih + h @ w_hh.T + b_hh).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs[t] = h
    return torch.stack(outputs), h, c


def layer(features, hidden, dtype=torch.float64, **more):
    torch.manual_seed(3)
    return nn.LSTM(features, hidden, dtype=dtype, **more)


@pytest.mark.parametrize("steps,batch,hidden", [(6, 3, 5), (2, 17, 33), (40, 1, 40), (9, 30, 64), (16, 1, 1)])
@pytest.mark.parametrize("dtype,tolerance", [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_both_directions_follow_the_formula(steps, batch, hidden, dtype, tolerance):
    module = layer(4, hidden, dtype, bidirectional=True)
    x = torch.randn(steps, batch, 4, dtype=dtype, requires_grad=True)
    state = [torch.randn(2, batch, hidden, dtype=dtype, requires_grad=True) for _ in range(2)]
    inputs = [x, *state, *module.parameters()]
    output, (h, c) = module(x, tuple(state))
    weights = list(module.parameters())
    forth = by_formula(x, state[0][0], state[1][0], *weights[:4], False)
    back = by_formula(x, state[0][1], state[1][1], *weights[4:], True)
    expected = torch.cat([forth[0], back[0]], -1), torch.stack([forth[1], back[1]]), torch.stack([forth[2], back[2]])
    seeds = [torch.randn_like(t) for t in expected]
    for got, want in zip((output, h, c), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=tolerance)
    found = torch.autograd.grad((output, h, c), inputs, seeds)
    wanted = torch.autograd.grad(expected, inputs, seeds)
    for got, want in zip(found, wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=tolerance * 10 * max(1, want.abs().max().item()))


def test_second_derivatives():
    module = layer(2, 3)
    x = torch.randn(4, 4, 2, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn(1, 4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    names = [name for name, _ in module.named_parameters()]

    def run(x, h, c, *weights):
        output, (h, c) = functional_call(module, dict(zip(names, weights, strict=True)), (x, (h, c)))
        return output, h, c

    inputs = (x, *state, *module.parameters())
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


def test_threads_change_no_bit():
    module = layer(24, 200, torch.float32)
    x = torch.randn(7, 33, 24)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            module.zero_grad()
            output = module(x)[0]
            output.square().sum().backward()
            results.append([output, *(p.grad for p in module.parameters())])
    finally:
        torch.set_num_threads(before)
    for one, three in zip(*results, strict=True):
        assert torch.equal(one, three)


def test_both_biases_have_gradients_of_their_own():
    module = layer(4, 8)
    module(torch.randn(8, 4, 4, dtype=torch.float64))[0].sum().backward()
    assert torch.equal(module.bias_ih_l0.grad, module.bias_hh_l0.grad)
    assert module.bias_ih_l0.grad.data_ptr() != module.bias_hh_l0.grad.data_ptr()


def test_under_vmap_and_with_tangents():
    module = layer(4, 6)
    x = torch.randn(3, 8, 2, 4, dtype=torch.float64)
    together = vmap(lambda one: module(one)[0])(x)
    torch.testing.assert_close(together, torch.stack([module(one)[0] for one in x]))
    wide = torch.randn(8, 4, 4, dtype=torch.float64)
    direction = torch.randn_like(wide)
    _, tangent = jvp(lambda t: module(t)[0], (wide,), (direction,))
    step = 1e-6
    expected = (module(wide + step * direction)[0] - module(wide - step * direction)[0]) / (2 * step)
    torch.testing.assert_close(tangent, expected, rtol=0, atol=1e-8)


def test_gradients_of_a_batch_of_weights():
    module = layer(4, 6)
    output = module(torch.randn(8, 4, 4, dtype=torch.float64))[0]
    weights = torch.randn(3, *output.shape, dtype=torch.float64)
    parameters = list(module.parameters())
    together = torch.autograd.grad(output, parameters, weights, retain_graph=True, is_grads_batched=True)
    for number, weight in enumerate(weights):
        for got, want in zip(together, torch.autograd.grad(output, parameters, weight, retain_graph=True), strict=True):
            torch.testing.assert_close(got[number], want)
