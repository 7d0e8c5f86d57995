"""Causal masks by their kind, and attention within packed sequences, against masks written out."""

import pytest

import torch
from torch.nn import functional as F
from torch.nn.attention.bias import CausalBias, CausalVariant, causal_lower_right, causal_upper_left
from torch.nn.attention.varlen import AuxRequest, varlen_attn, varlen_attn_out


def draw(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("queries, keys", [(3, 3), (2, 5), (4, 6)])
@pytest.mark.parametrize("make, shift", [(causal_upper_left, False), (causal_lower_right, True)])
def test_causal_kinds(queries, keys, make, shift):
    q, k, v = draw(2, 4, queries, 8), draw(2, 4, keys, 8), draw(2, 4, keys, 6)
    allowed = torch.arange(keys) <= torch.arange(queries).unsqueeze(1) + (keys - queries if shift else 0)
    expected = F.scaled_dot_product_attention(q, k, v, allowed)
    torch.testing.assert_close(F.scaled_dot_product_attention(q, k, v, make(queries, keys)), expected)
    torch.testing.assert_close(F.scaled_dot_product_attention(q, k, v, attn_mask=make(queries, keys)), expected)
    grouped = F.scaled_dot_product_attention(q, k[:, :2], v[:, :2], make(queries, keys), enable_gqa=True)
    wide = (k[:, :2].repeat_interleave(2, 1), v[:, :2].repeat_interleave(2, 1))
    torch.testing.assert_close(grouped, F.scaled_dot_product_attention(q, *wide, allowed))
    assert repr(make(queries, keys)) == repr(allowed)


def test_causal_errors():
    q = draw(1, 1, 2, 4)
    with pytest.raises(ValueError, match="CausalBias should not be used with causal=True"):
        F.scaled_dot_product_attention(q, q, q, causal_upper_left(2, 2), is_causal=True)
    with pytest.raises(AssertionError, match="only supports 2D tensors"):
        causal_lower_right(1, 2, 3)
    with pytest.raises(AssertionError, match="variant must be a CausalVariant, got int"):
        CausalBias(1, 2, 2)
    with pytest.warns(UserWarning, match="will produce NaNs in the output when seq_len_q > seq_len_kv"):
        assert causal_lower_right(3, 2).variant is CausalVariant.LOWER_RIGHT


LENGTHS_Q, LENGTHS_K = (3, 1, 4), (5, 2, 4)


def bounds(lengths):
    return torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)


@pytest.mark.parametrize("window", [(-1, -1), (-1, 0), (1, 0), (2, 1)])
@pytest.mark.parametrize("kv_heads", [4, 2])
def test_packed_sequences_attend_to_themselves(window, kv_heads):
    q, k, v = draw(8, 4, 6), draw(11, kv_heads, 6), draw(11, kv_heads, 5)
    out, lse = varlen_attn(
        q, k, v, bounds(LENGTHS_Q), bounds(LENGTHS_K), 4, 5,
        return_aux=AuxRequest(lse=True), window_size=window, enable_gqa=True, scale=0.3,
    )  # fmt: skip
    assert out.shape == (8, 4, 5) and lse.shape == (4, 8) and lse.dtype == torch.float32
    at_q = at_k = 0
    for n, m in zip(LENGTHS_Q, LENGTHS_K, strict=True):
        place, keys = torch.arange(n).unsqueeze(1) + m - n, torch.arange(m)
        allowed = torch.ones(n, m, dtype=torch.bool)
        if window[0] >= 0:
            allowed &= keys >= place - window[0]
        if window[1] >= 0:
            allowed &= keys <= place + window[1]
        heads = [t[at_k : at_k + m].transpose(0, 1).repeat_interleave(4 // kv_heads, 0) for t in (k, v)]
        own = q[at_q : at_q + n].transpose(0, 1)
        expected = F.scaled_dot_product_attention(own, *heads, allowed, scale=0.3).transpose(0, 1)
        torch.testing.assert_close(out[at_q : at_q + n], expected)
        scores = (own @ heads[0].mT * 0.3).masked_fill(~allowed, -torch.inf)
        torch.testing.assert_close(lse[:, at_q : at_q + n], torch.logsumexp(scores, -1).float())
        at_q, at_k = at_q + n, at_k + m


def test_packed_sequences_have_gradients_and_an_out_form():
    q, k, v = (draw(4, 2, 3).requires_grad_() for _ in range(3))
    edges = bounds((1, 3))
    assert torch.autograd.gradcheck(lambda q, k, v: varlen_attn(q, k, v, edges, None, 3, 3), (q, k, v))
    out = torch.empty(4, 2, 3, dtype=torch.float64)
    assert varlen_attn_out(out, q, k, v, edges, edges, 3, 3) is out
    torch.testing.assert_close(out, varlen_attn(q, k, v, edges, edges, 3, 3).detach())
    fewer = varlen_attn(q, k, v, edges, edges, 3, 3, seqused_k=torch.tensor([1, 2]))
    cut = varlen_attn(q[1:], k[1:3], v[1:3], bounds((3,)), bounds((2,)), 3, 2)
    torch.testing.assert_close(fewer[1:], cut)
    with pytest.raises(NotImplementedError, match="block_table"):
        varlen_attn(q, k, v, edges, edges, 3, 3, block_table=torch.zeros(2, 1))
    with pytest.raises(ValueError, match="enable_gqa=True"):
        varlen_attn(q, k[:, :1], v[:, :1], edges, edges, 3, 3)
