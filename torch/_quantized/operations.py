"""The operations of ``torch.ops.quantized``, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import arithmetic, embedding, norms, packed, recurrent


def _table() -> dict[str, Callable[..., Any]]:
    table: dict[str, Callable[..., Any]] = {
        name: getattr(arithmetic, name)
        for name in """
            add add_relu add_scalar add_scalar_relu cat_relu celu clamp dropout elu hardswish leaky_relu matmul
            max_pool1d max_pool2d mul mul_relu mul_scalar mul_scalar_relu prelu relu6 sigmoid softmax threshold
        """.split()
    }
    table["cat"] = arithmetic.cat_to
    table |= {
        name: getattr(norms, name)
        for name in """
            batch_norm batch_norm1d batch_norm1d_relu batch_norm2d batch_norm2d_relu batch_norm3d batch_norm3d_relu
            batch_norm_relu group_norm instance_norm layer_norm
        """.split()
    }
    table |= {
        name: getattr(packed, name)
        for name in """
            conv2d_add conv2d_add_relu linear linear_dynamic
            linear_dynamic_fp16 linear_leaky_relu linear_prepack linear_prepack_fp16 linear_relu linear_relu_dynamic
            linear_relu_dynamic_fp16 linear_tanh linear_unpack
        """.split()
    }
    table["embedding_bag_prepack"] = embedding.embedding_bag_prepack
    table["embedding_bag_unpack"] = embedding.embedding_bag_unpack
    table["linear_unpack_fp16"] = packed.linear_unpack
    table |= dict.fromkeys(("embedding_byte", "embedding_4bit"), embedding.embedding)
    table |= dict.fromkeys(("embedding_bag_byte", "embedding_bag_4bit"), embedding.embedding_bag)
    for spatial in (1, 2, 3):
        plain, transposed = f"conv{spatial}d", f"conv_transpose{spatial}d"
        table[f"{plain}_prepack"] = packed.conv_prepack(spatial)
        table[f"{transposed}_prepack"] = packed.conv_transpose_prepack(spatial)
        table[plain], table[f"{plain}_relu"] = packed.conv(plain), packed.conv(f"{plain}_relu", True)
        table[transposed] = packed.conv(transposed)
        for name in (plain, transposed):
            table[f"{name}_dynamic"] = packed.conv_dynamic
            table[f"{name}_unpack"] = packed.linear_unpack
            for part in ("stride", "padding", "output_padding", "dilation", "groups", "transpose"):
                table[f"{name}_{part}"] = _part(part)
    table["conv_prepack"], table["conv_unpack"] = table["conv2d_prepack"], table["conv2d_unpack"]
    table |= {
        name: getattr(recurrent, name)
        for name in """
            make_quantized_cell_params_dynamic make_quantized_cell_params_fp16 quantized_gru_cell_dynamic
            quantized_lstm_cell_dynamic quantized_rnn_relu_cell_dynamic quantized_rnn_tanh_cell_dynamic
        """.split()
    }
    return table


def _part(name: str) -> Callable[..., Any]:
    return lambda packed_weights: getattr(packed_weights, name)()


_operations: dict[str, Callable[..., Any]] = {}


def find(name: str) -> Callable[..., Any] | None:
    """The operation of this name, or None."""
    if not _operations:
        _operations.update(_table())
    return _operations.get(name)
