"""Multi-head attention whose products with weights are modules, so that each can be observed and quantised."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's name here
from torch import Tensor, nn

__all__ = ["MultiheadAttention"]


class MultiheadAttention(nn.MultiheadAttention):
    """``nn.MultiheadAttention`` with a linear layer each for queries, keys and values; the attention is in float32.

    Args:
        embed_dim: size of queries and results.
        num_heads: the number of heads.
        dropout: of the attention's weights, in training.
        bias: whether the linear layers have biases.
        add_bias_kv: one more key and value, which are learnt.
        add_zero_attn: one more key and value, zeros.
        kdim: size of the keys.
        vdim: size of the values.
        batch_first: whether the batch is the first dimension.
        device: of the parameters.
        dtype: of the parameters.
    """

    _FLOAT_MODULE: Any = nn.MultiheadAttention
    __constants__ = ["batch_first"]

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device=None, dtype=None,
    ) -> None:  # fmt: skip
        options = {"device": device, "dtype": dtype}
        super().__init__(
            embed_dim, num_heads, dropout, bias, add_bias_kv, add_zero_attn, kdim, vdim, batch_first, **options
        )
        self.linear_Q = nn.Linear(self.embed_dim, self.embed_dim, bias=bias, **options)
        self.linear_K = nn.Linear(self.kdim, self.embed_dim, bias=bias, **options)
        self.linear_V = nn.Linear(self.vdim, self.embed_dim, bias=bias, **options)
        self.out_proj = nn.Linear(self.embed_dim, self.embed_dim, bias=bias, **options)
        from torch.ao.nn.quantized.modules.functional_modules import FloatFunctional
        from torch.ao.quantization.stubs import DeQuantStub, QuantStub

        self.q_scaling_product = FloatFunctional()
        self.quant_attn_output, self.quant_attn_output_weights = QuantStub(), QuantStub()
        self.dequant_q, self.dequant_k, self.dequant_v = DeQuantStub(), DeQuantStub(), DeQuantStub()

    def _get_name(self):
        return "QuantizableMultiheadAttention"

    @classmethod
    def from_float(cls, other):
        """Take the place of an attention, with its weights; AssertionError for another module."""
        if type(other) is not cls._FLOAT_MODULE:
            raise AssertionError(f"Expected type {cls._FLOAT_MODULE}, got {type(other)}")
        if not hasattr(other, "qconfig"):
            raise AssertionError("The float module must have 'qconfig'")
        observed = cls(
            other.embed_dim, other.num_heads, other.dropout, other.in_proj_bias is not None, other.bias_k is not None,
            other.add_zero_attn, other.kdim, other.vdim, other.batch_first,
        )  # fmt: skip
        observed.bias_k, observed.bias_v, observed.qconfig = other.bias_k, other.bias_v, other.qconfig
        observed.out_proj.weight, observed.out_proj.bias = other.out_proj.weight, other.out_proj.bias
        if other._qkv_same_embed_dim:
            weights = other.in_proj_weight.split(other.embed_dim)
        else:
            weights = (other.q_proj_weight, other.k_proj_weight, other.v_proj_weight)
        biases = (None,) * 3 if other.in_proj_bias is None else other.in_proj_bias.split(other.embed_dim)
        layers = (observed.linear_Q, observed.linear_K, observed.linear_V)
        for layer, weight, bias in zip(layers, weights, biases, strict=True):
            layer.weight = nn.Parameter(weight.detach().clone())
            layer.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        observed.eval()
        from torch.ao import quantization

        return quantization.prepare(observed, inplace=True)

    @classmethod
    def from_observed(cls, other):
        """Raise NotImplementedError: the quantised class does this."""
        raise NotImplementedError(
            "It looks like you are trying to prepare an MHA module. Please, see the examples on quantizable MHAs."
        )

    def dequantize(self):
        """An ``nn.MultiheadAttention`` with the real numbers of the weights."""
        result = self._FLOAT_MODULE(
            self.embed_dim, self.num_heads, self.dropout, self.linear_Q._weight_bias()[1] is not None,
            self.bias_k is not None, self.add_zero_attn, self.kdim, self.vdim, self.batch_first,
        )  # fmt: skip
        parts = [layer._weight_bias() for layer in (self.linear_Q, self.linear_K, self.linear_V)]
        weights, biases = [w.dequantize() for w, _ in parts], [b for _, b in parts]
        if result._qkv_same_embed_dim:
            result.in_proj_weight = nn.Parameter(torch.cat(weights))
        else:
            result.q_proj_weight, result.k_proj_weight, result.v_proj_weight = map(nn.Parameter, weights)
        if biases[0] is not None:
            result.in_proj_bias = nn.Parameter(torch.cat([b.detach() for b in biases]))
        weight, bias = self.out_proj._weight_bias()
        result.out_proj.weight = nn.Parameter(weight.dequantize())
        if bias is not None:
            result.out_proj.bias = nn.Parameter(bias.detach())
        for name in ("bias_k", "bias_v"):
            value = getattr(self, name)
            if value is not None:
                setattr(result, name, nn.Parameter(value.dequantize()))
        return result

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """As ``nn.MultiheadAttention``: the result, and the attention's weights if they are wanted."""
        return self._forward_impl(
            query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal
        )

    def _forward_impl(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        if attn_mask is not None and is_causal:
            raise AssertionError("Only allow causal mask or attn_mask")
        if is_causal:
            raise AssertionError("causal mask not supported by AO MHA module")
        if self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        length, batch, width = query.shape
        if width != self.embed_dim:
            raise AssertionError(f"query has {width} features, embed_dim is {self.embed_dim}")
        head = width // self.num_heads
        q = self.q_scaling_product.mul_scalar(self.linear_Q(query), float(head) ** -0.5)
        k, v = self.linear_K(key), self.linear_V(value)
        if self.bias_k is not None and self.bias_v is not None:
            k = torch.cat([k, self._one_more(self.bias_k, k, batch)])
            v = torch.cat([v, self._one_more(self.bias_v, v, batch)])
        # (heads and batch, length, head)
        q, k, v = (x.contiguous().view(-1, batch * self.num_heads, head).transpose(0, 1) for x in (q, k, v))
        q, k, v = self.dequant_q(q), self.dequant_k(k), self.dequant_v(v)
        if self.add_zero_attn:
            zeros = k.new_zeros(k.shape[0], 1, head)
            k, v = torch.cat([k, zeros], 1), torch.cat([v, zeros], 1)
        scores = torch.bmm(q, k.transpose(1, 2))
        scores = self._masked(scores, attn_mask, key_padding_mask, batch)
        weights = F.dropout(F.softmax(scores, dim=-1), p=self.dropout, training=self.training)
        output = torch.bmm(weights, v)
        if self.batch_first:
            output = output.view(batch, self.num_heads, length, head).transpose(1, 2).reshape(batch, length, width)
        else:
            output = output.transpose(0, 1).contiguous().view(length, batch, width)
        output = self.out_proj(self.quant_attn_output(output))
        weights = self.quant_attn_output_weights(weights)
        if not need_weights:
            return output, None
        weights = weights.view(batch, self.num_heads, length, -1)
        return output, weights.mean(dim=1) if average_attn_weights else weights

    @staticmethod
    def _one_more(row: Tensor, like: Tensor, batch: int) -> Tensor:
        row = row.repeat(1, batch, 1)
        if not like.is_quantized:
            return row
        real = row.dequantize() if row.is_quantized else row
        return torch.quantize_per_tensor(real, like.q_scale(), like.q_zero_point(), like.dtype)

    def _masked(self, scores: Tensor, attn_mask: Any, key_padding_mask: Any, batch: int) -> Tensor:
        extra = scores.shape[-1]
        if attn_mask is not None:
            if attn_mask.dim() == 2:
                attn_mask = attn_mask.unsqueeze(0)
            attn_mask = F.pad(attn_mask, (0, extra - attn_mask.shape[-1]))
            if attn_mask.dtype in (torch.bool, torch.uint8):
                scores = scores.masked_fill(attn_mask.bool(), float("-inf"))
            else:
                scores = scores + attn_mask
        if key_padding_mask is not None:
            padding = F.pad(key_padding_mask.bool(), (0, extra - key_padding_mask.shape[-1]))
            shaped = scores.view(batch, self.num_heads, scores.shape[1], extra)
            shaped = shaped.masked_fill(padding.unsqueeze(1).unsqueeze(2), float("-inf"))
            scores = shaped.view(scores.shape)
        return scores
