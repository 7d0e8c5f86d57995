"""Attention by blocks, against the formula in NumPy with float64, and its gradients against finite differences."""

import itertools
import math

import numpy as np
import pytest

import torch
import torch.nn.functional as F

SHAPES = [  # batch, heads, queries, keys, width, width of values
    (2, 3, 8, 8, 8, 8), (1, 2, 70, 150, 16, 16), (1, 2, 300, 300, 64, 64), (1, 1, 513, 200, 33, 17),
    (1, 2, 9, 1000, 5, 7), (1, 1, 2100, 300, 16, 16), (1, 1, 2, 3, 4, 4), (1, 1, 200, 1, 8, 8),
]  # fmt: skip
MODES = ["plain", "causal", "added", "bool", "keys"]


def by_formula(q, k, v, mask, causal, scale):
    scores = q @ np.swapaxes(k, -1, -2) * scale
    if causal:
        scores = np.where(np.tri(q.shape[-2], k.shape[-2], dtype=bool), scores, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    largest = scores.max(-1, keepdims=True)
    powers = np.exp(scores - np.where(np.isinf(largest), 0, largest))
    total = powers.sum(-1, keepdims=True)
    return powers / np.where(total == 0, 1, total) @ v


def arguments(shape, mode, dtype):
    batch, heads, queries, keys, width, value_width = shape
    torch.manual_seed(0)
    q = torch.randn(batch, queries, heads, width, dtype=dtype).transpose(1, 2)
    k, v = (torch.randn(batch, heads, keys, size, dtype=dtype) for size in (width, value_width))
    mask = None
    if mode == "added":
        mask = torch.randn(queries, keys, dtype=dtype)
    elif mode == "bool":
        mask = torch.rand(batch, 1, queries, keys) > 0.3
        mask[:, :, 1] = False  # sees nothing
    elif mode == "keys":
        mask = torch.rand(batch, 1, 1, keys) > 0.3
    return q, k, v, mask


@pytest.mark.parametrize("shape, mode", list(itertools.product(SHAPES, MODES)))
def test_values(shape, mode):
    q, k, v, mask = arguments(shape, mode, torch.float64)
    numbers = [None if t is None else t.numpy() for t in (q, k, v, mask)]
    expected = by_formula(*numbers, mode == "causal", 1 / math.sqrt(shape[-2]))
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
        given = [t.to(dtype) if t is not None and t.is_floating_point() else t for t in (q, k, v, mask)]
        found = F.scaled_dot_product_attention(*given, is_causal=mode == "causal")
        np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("mode", MODES)
def test_gradients(mode):
    q, k, v, mask = arguments((1, 2, 9, 11, 5, 3), mode, torch.float64)
    inputs = [t.requires_grad_() for t in (q, k, v)]

    def attend(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, mask, is_causal=mode == "causal", scale=0.3)

    assert torch.autograd.gradcheck(attend, inputs)
    assert torch.autograd.gradgradcheck(attend, inputs)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_over_many_blocks(mode):
    q, k, v, mask = arguments((1, 2, 300, 270, 24, 24), mode, torch.float64)
    inputs = [t.requires_grad_() for t in (q, k, v)]
    direction = torch.randn(1, 2, 300, 24, dtype=torch.float64)

    def loss(q, k, v):
        return (F.scaled_dot_product_attention(q, k, v, mask, is_causal=mode == "causal") * direction).sum()

    grads = torch.autograd.grad(loss(*inputs), inputs)
    with torch.no_grad():
        for i, grad in enumerate(grads):
            step = torch.randn_like(inputs[i]) * 1e-5
            there, back = ([t + sign * step if i == j else t for j, t in enumerate(inputs)] for sign in (1, -1))
            slope = (loss(*there) - loss(*back)) / 2
            torch.testing.assert_close(slope, (grad * step).sum(), rtol=1e-6, atol=1e-10)


def test_heads_of_queries_share_keys():
    torch.manual_seed(0)
    q = torch.randn(2, 6, 20, 8, dtype=torch.float64, requires_grad=True)
    k, v = (torch.randn(2, 2, 30, 8, dtype=torch.float64, requires_grad=True) for _ in range(2))
    shared = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    own = F.scaled_dot_product_attention(q, *(t.repeat_interleave(3, 1) for t in (k, v)))
    torch.testing.assert_close(shared, own)
    direction = torch.randn_like(own)
    for ours, expected in zip(
        torch.autograd.grad(shared, (q, k, v), direction), torch.autograd.grad(own, (q, k, v), direction), strict=True
    ):
        torch.testing.assert_close(ours, expected)


def test_the_result_lies_as_the_queries_do():
    x = torch.randn(2, 16, 3, 8).transpose(1, 2)
    assert F.scaled_dot_product_attention(x, x, x).transpose(1, 2).is_contiguous()
    assert F.scaled_dot_product_attention(*[x.contiguous()] * 3).is_contiguous()


def test_no_matrix_of_all_scores():
    # its 8192 x 8192 scores would take 256 MB
    q = torch.randn(1, 1, 8192, 8)
    torch.testing.assert_close(
        F.scaled_dot_product_attention(q, q, q, is_causal=True)[0, 0, :64],
        F.scaled_dot_product_attention(*[q[:, :, :64]] * 3, is_causal=True)[0, 0],
    )


@pytest.mark.parametrize("where", ["query", "key"])
def test_nan_is_not_lost(where):
    q, k = torch.randn(1, 1, 10, 4), torch.randn(1, 1, 12, 4)
    (q if where == "query" else k)[0, 0, 3] = math.nan
    rows = F.scaled_dot_product_attention(q, k, torch.randn(1, 1, 12, 4)).isnan().all(-1)[0, 0]
    assert rows.tolist() == [where == "key" or i == 3 for i in range(10)]


def test_number_of_threads_changes_nothing():
    x = torch.randn(1, 3, 700, 32, requires_grad=True)
    direction = torch.randn(1, 3, 700, 32)
    results = []
    threads = torch.get_num_threads()
    for number in (1, 2, 5):
        torch.set_num_threads(number)
        out = F.scaled_dot_product_attention(x, x, x, is_causal=True)
        results.append((out, *torch.autograd.grad(out, x, direction)))
    torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))
