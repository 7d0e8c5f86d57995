"""Convolutions and pools whatever way their kernels cut the work: small images, many or few channels, all threads."""

import math

import pytest

import torch
import torch.nn.functional as F

# images, channels in and out, size, kernel, stride, padding, groups
CASES = [
    (16, 3, 40, 4, 3, 1, 1, 1), (9, 16, 130, 5, 3, 2, 1, 1), (20, 6, 8, 7, 5, 1, 2, 2), (5, 32, 24, 4, 4, 1, 0, 1),
    (3, 2, 5, 33, 3, 1, 1, 1), (2, 64, 64, 6, 1, 2, 0, 1), (4, 4, 4, 9, 3, 3, 2, 4), (1, 40, 300, 3, 3, 1, 1, 1),
    (24, 16, 32, 16, 1, 2, 0, 1),
]  # fmt: skip


def by_windows(x, weight, bias, stride, padding, groups):
    """The definition: windows laid out as columns, times the weights, group by group."""
    n, size, kernel = len(x), x.shape[-1], weight.shape[-1]
    out = (size + 2 * padding - kernel) // stride + 1
    columns = F.unfold(x, kernel, padding=padding, stride=stride).view(n, groups, -1, out * out)
    y = torch.einsum("gok,ngkp->ngop", weight.reshape(groups, len(weight) // groups, -1), columns)
    return y.reshape(n, len(weight), out, out) + bias[:, None, None]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype,tolerance", [(torch.float64, 1e-11), (torch.float32, 2e-3), (torch.bfloat16, 2e-1)])
def test_convolution_and_its_gradients_are_products_with_windows(case, dtype, tolerance):
    n, channels, outputs, size, kernel, stride, padding, groups = case
    torch.manual_seed(sum(case))
    shapes = (n, channels, size, size), (outputs, channels // groups, kernel, kernel), (outputs,)
    leaves = [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]
    exact = [t.detach().double().requires_grad_() for t in leaves]
    y = F.conv2d(*leaves, stride, padding, 1, groups)
    want = by_windows(*exact, stride, padding, groups)
    grad = torch.randn(y.shape).to(dtype)
    # the transposed convolution is the gradient of the plain one
    back = F.conv_transpose2d(grad, leaves[1], None, stride, padding, (size + 2 * padding - kernel) % stride, groups)
    found = [y, *torch.autograd.grad(y, leaves, grad), back]
    wanted = [want, *torch.autograd.grad(want, exact, grad.double())]
    for got, expected in zip(found, [*wanted, wanted[1]], strict=True):
        scale = max(1.0, expected.abs().max().item())
        torch.testing.assert_close(got.double(), expected, rtol=0, atol=tolerance * scale / 10)


@pytest.mark.parametrize("case", CASES)
def test_threads_change_no_bit(case):
    n, channels, outputs, size, kernel, stride, padding, groups = case
    x = torch.randn(n, channels, size, size, requires_grad=True)
    weight = torch.randn(outputs, channels // groups, kernel, kernel, requires_grad=True)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            y = F.conv2d(x, weight, None, stride, padding, 1, groups)
            results.append([y, *torch.autograd.grad(y, (x, weight), torch.ones_like(y))])
    finally:
        torch.set_num_threads(before)
    for one, three in zip(*results, strict=True):
        assert torch.equal(one, three)


@pytest.mark.parametrize(
    "size,kernel,stride,padding,dilation", [(28, 2, 2, 0, 1), (7, 3, 2, 1, 1), (70, 3, 1, 1, 2), (9, 2, 3, 1, 3)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_greatest_of_each_window_and_its_place(size, kernel, stride, padding, dilation, dtype):
    torch.manual_seed(size)
    x = torch.randint(-9, 9, (2, 3, size, size)).to(dtype)  # with ties: the first of them counts
    x[0, 0, 1, 1], x[0, 1, 2, 2:4] = math.nan, math.nan  # and with NaN the last one
    y, places = F.max_pool2d(x, kernel, stride, padding, dilation, return_indices=True)
    for n, c, i, j in torch.cartesian_prod(*(torch.arange(s) for s in y.shape)).tolist():
        best, at = -math.inf, -1
        for row in range(i * stride - padding, i * stride - padding + kernel * dilation, dilation):
            for column in range(j * stride - padding, j * stride - padding + kernel * dilation, dilation):
                if 0 <= row < size and 0 <= column < size:
                    value = x[n, c, row, column].item()
                    if value > best or math.isnan(value):
                        best, at = value, row * size + column
        assert places[n, c, i, j] == at
        assert y[n, c, i, j].item() == best or math.isnan(best)
