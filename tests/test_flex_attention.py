"""flex_attention against its formula, for every kind of mask, with gradients."""

import itertools
import math

import pytest

import torch
from torch.nn.attention.flex_attention import (
    AuxRequest,
    BlockMask,
    and_masks,
    create_block_mask,
    create_mask,
    flex_attention,
    noop_mask,
    or_masks,
)


def causal(b, h, q_idx, kv_idx):
    return q_idx >= kv_idx


def window(b, h, q_idx, kv_idx):
    return (q_idx - kv_idx).abs() <= 4


def by_batch_and_head(b, h, q_idx, kv_idx):
    return (kv_idx // 8 + h + b) % 2 == 0


def inputs(heads=4, kv_heads=4, q_len=20, kv_len=30):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)

    return draw(2, heads, q_len, 8), draw(2, kv_heads, kv_len, 8), draw(2, kv_heads, kv_len, 6)


def formula(q, k, v, score=None, allowed=None, scale=None):
    """The formula on whole matrices: ``score`` of broadcast indices, ``allowed`` a boolean matrix."""
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = q @ k.mT * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if score is not None:
        places = [torch.arange(n).view([-1 if i == d else 1 for i in range(4)]) for d, n in enumerate(scores.shape)]
        scores = score(scores, *places)
    if allowed is not None:
        scores = torch.where(allowed, scores, -math.inf)
    blind = scores.amax(-1, keepdim=True) == -math.inf
    weights = torch.softmax(scores.masked_fill(blind, 0.0), -1).masked_fill(blind, 0.0)
    return weights @ v


MASKS = {
    "causal": causal,
    "window": window,
    "per batch and head": by_batch_and_head,
    "and": and_masks(causal, window),
    "or": or_masks(by_batch_and_head, window),
    "blind rows": lambda b, h, q, kv: (q >= 7) & (q < 15) & (kv < 11),
    "nothing": lambda b, h, q, kv: q < 0,
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("block", [8, (4, 16), 128])
def test_masks_and_their_gradients(name, block):
    q, k, v = inputs()
    mask = create_block_mask(MASKS[name], 2, 4, 20, 30, device="cpu", BLOCK_SIZE=block)
    expected = formula(q, k, v, allowed=create_mask(MASKS[name], 2, 4, 20, 30, device="cpu"))
    result = flex_attention(q, k, v, block_mask=mask)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-14)
    weights = torch.cos(torch.arange(result.numel(), dtype=torch.float64)).view_as(result)
    for got, wanted in zip(
        torch.autograd.grad((result * weights).sum(), (q, k, v)),
        torch.autograd.grad((expected * weights).sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", MASKS)
def test_block_masks_cover_their_masks_exactly(name):
    mask = create_block_mask(MASKS[name], 2, 4, 40, 33, device="cpu", BLOCK_SIZE=8)
    dense = torch.nn.functional.pad(create_mask(MASKS[name], 2, 4, 40, 33, device="cpu"), (0, 7)).view(2, 4, 5, 8, 5, 8)
    assert torch.equal(mask.to_dense().bool(), dense.any(5).any(3))
    full = BlockMask.from_kv_blocks(mask.full_kv_num_blocks, mask.full_kv_indices)
    assert torch.equal(full.to_dense().bool(), dense.all(5).all(3))
    columns = BlockMask.from_kv_blocks(mask.q_num_blocks, mask.q_indices)
    rows = BlockMask.from_kv_blocks(mask.kv_num_blocks, mask.kv_indices)
    assert torch.equal(columns.to_dense(), rows.to_dense().mT)


def test_score_functions_see_their_places_and_captured_tensors_get_gradients():
    q, k, v = inputs()
    slope = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64, requires_grad=True)
    bias = torch.linspace(-1, 1, 60, dtype=torch.float64).requires_grad_()

    def score(s, b, h, q_idx, kv_idx):
        return s * slope[h] + bias[q_idx - kv_idx + 30] + b

    mask = create_block_mask(causal, None, None, 20, 30, device="cpu", BLOCK_SIZE=8)
    result = flex_attention(q, k, v, score, mask, scale=0.3)
    expected = formula(q, k, v, score, create_mask(causal, None, None, 20, 30, device="cpu"), 0.3)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-14)
    wanted = torch.autograd.grad(expected.square().sum(), (q, k, v, slope, bias))
    for got, want in zip(torch.autograd.grad(result.square().sum(), (q, k, v, slope, bias)), wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_grouped_heads(masked):
    q, k, v = inputs(heads=6, kv_heads=2)
    mask = create_block_mask(causal, None, None, 20, 30, device="cpu", BLOCK_SIZE=8) if masked else None
    allowed = create_mask(causal, None, None, 20, 30, device="cpu") if masked else None
    result = flex_attention(q, k, v, block_mask=mask, enable_gqa=True)
    torch.testing.assert_close(result, formula(q, k, v, allowed=allowed), rtol=1e-12, atol=1e-14)


def test_second_derivatives():
    q, k, v = (x[:1, :1, :5].detach().requires_grad_() for x in inputs())
    mask = create_block_mask(window, None, None, 5, 5, device="cpu", BLOCK_SIZE=4)

    def run(q, k, v):
        return flex_attention(q, k, v, lambda s, b, h, i, j: s.sin() + (i - j) * 0.1, mask)

    assert torch.autograd.gradcheck(run, (q, k, v)) and torch.autograd.gradgradcheck(run, (q, k, v))


def test_auxiliary_results():
    q, k, v = inputs()
    mask = create_block_mask(MASKS["blind rows"], None, None, 20, 30, device="cpu", BLOCK_SIZE=8)
    scores = (q @ k.mT / math.sqrt(8)).masked_fill(~create_mask(MASKS["blind rows"], 1, 1, 20, 30, "cpu"), -math.inf)
    out, aux = flex_attention(q, k, v, block_mask=mask, return_aux=AuxRequest(lse=True, max_scores=True))
    assert out.shape == (2, 4, 20, 6)
    torch.testing.assert_close(aux.lse, torch.logsumexp(scores, -1), rtol=1e-12, atol=0)
    torch.testing.assert_close(aux.max_scores, scores.amax(-1), rtol=1e-12, atol=0)
    assert flex_attention(q, k, v, block_mask=mask, return_aux=AuxRequest())[1] == (None, None)


def test_blocks_that_are_not_listed_are_not_looked_at():
    counts = torch.tensor([[[1, 2]]], dtype=torch.int32)
    indices = torch.tensor([[[[1, 0], [0, 1]]]], dtype=torch.int32)
    mask = BlockMask.from_kv_blocks(counts, indices, BLOCK_SIZE=(10, 15), mask_mod=noop_mask, seq_lengths=(20, 30))
    q, k, v = inputs()
    allowed = torch.ones(20, 30, dtype=torch.bool)
    allowed[:10, :15] = False
    torch.testing.assert_close(flex_attention(q, k, v, block_mask=mask), formula(q, k, v, allowed=allowed))

    def never(b, h, q_idx, kv_idx):
        raise AssertionError("a full block needs no mask")

    full = BlockMask.from_kv_blocks(counts * 0, indices, counts * 0 + 2, indices, (10, 15), never, (20, 30))
    torch.testing.assert_close(flex_attention(q, k, v, block_mask=full), formula(q, k, v))


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.bfloat16, 1e-2), (torch.float16, 2e-3)])
def test_dtypes_are_computed_in_float32(dtype, tolerance):
    q, k, v = (x.detach().to(dtype) for x in inputs())
    result = flex_attention(q, k, v)
    assert result.dtype == dtype
    expected = formula(q.double(), k.double(), v.double())
    torch.testing.assert_close(result.double(), expected, rtol=tolerance, atol=tolerance)
    assert flex_attention(q, k, v, return_aux=AuxRequest(lse=True))[1].lse.dtype == torch.float32


def test_slices_of_a_mask():
    mask = create_block_mask(by_batch_and_head, 2, 4, 40, 40, device="cpu", BLOCK_SIZE=8)
    dense = mask.to_dense()
    for b, h in itertools.product(range(2), range(-4, 4)):
        assert torch.equal(mask[b, h].to_dense(), dense[b : b + 1, h % 4 : h % 4 + 1])
    assert torch.equal(mask[:, :, 1:3].to_dense(), dense[:, :, 1:3])
    with pytest.raises(RuntimeError, match="Cannot use mask_mod from a sliced BlockMask"):
        flex_attention(*inputs(q_len=40, kv_len=40), block_mask=mask[0])
