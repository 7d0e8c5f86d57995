"""Methods of modules of ``torch.nn`` in the form that TorchScript compiles, where their own source is not of
the language.

A form is named after the class that defines the method: ``Linear_forward``. Like the functions beside this
file they are compiled, never run.
"""

from typing import Any, List, Optional, Tuple  # noqa: UP035  the language's own names

import torch
import torch.nn.functional as F  # noqa: N812  the usual name
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

# ruff: noqa: UP006, UP007, UP045, N802, FBT001


def find(cls: type, base: type, name: str) -> Any:
    """The form of a method that ``base`` defines for a module of class ``cls``; None if it has none."""
    space = globals()
    return space.get(f"{cls.__name__}_{name}") or space.get(f"{base.__name__}_{name}")


def Linear_forward(self, input: Tensor) -> Tensor:
    return F.linear(input, self.weight, self.bias)


def Identity_forward(self, input: Tensor) -> Tensor:
    return input


def Sequential_forward(self, input):
    for module in self:
        input = module(input)
    return input


def _check_dim(self, input: Tensor) -> None:
    if input.dim() != 2 and input.dim() != 3:
        raise ValueError(f"expected 2D or 3D input (got {input.dim()}D input)")


BatchNorm1d__check_input_dim = _check_dim


def BatchNorm2d__check_input_dim(self, input: Tensor) -> None:
    if input.dim() != 4:
        raise ValueError(f"expected 4D input (got {input.dim()}D input)")


def BatchNorm3d__check_input_dim(self, input: Tensor) -> None:
    if input.dim() != 5:
        raise ValueError(f"expected 5D input (got {input.dim()}D input)")


def _BatchNorm_forward(self, input: Tensor) -> Tensor:
    self._check_input_dim(input)
    if self.momentum is None:
        factor = 0.0
    else:
        factor = self.momentum
    if self.training and self.track_running_stats:
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                factor = 1.0 / float(self.num_batches_tracked)
            else:
                factor = self.momentum
    if self.training:
        use_batch = True
    else:
        use_batch = (self.running_mean is None) and (self.running_var is None)
    return F.batch_norm(
        input,
        self.running_mean if not self.training or self.track_running_stats else None,
        self.running_var if not self.training or self.track_running_stats else None,
        self.weight,
        self.bias,
        use_batch,
        factor,
        self.eps,
    )


def LayerNorm_forward(self, input: Tensor) -> Tensor:
    return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


def RMSNorm_forward(self, x: Tensor) -> Tensor:
    return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)


def GroupNorm_forward(self, input: Tensor) -> Tensor:
    return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


def Embedding_forward(self, input: Tensor) -> Tensor:
    return F.embedding(
        input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
    )


def EmbeddingBag_forward(
    self, input: Tensor, offsets: Optional[Tensor] = None, per_sample_weights: Optional[Tensor] = None
) -> Tensor:
    return F.embedding_bag(
        input,
        self.weight,
        offsets,
        self.max_norm,
        self.norm_type,
        self.scale_grad_by_freq,
        self.mode,
        self.sparse,
        per_sample_weights,
        self.include_last_offset,
        self.padding_idx,
    )


# ---- convolutions


def Conv1d_forward(self, input: Tensor) -> Tensor:
    if self.padding_mode != "zeros":
        return F.conv1d(
            F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode),
            self.weight,
            self.bias,
            self.stride,
            0,
            self.dilation,
            self.groups,
        )
    return F.conv1d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def Conv2d_forward(self, input: Tensor) -> Tensor:
    if self.padding_mode != "zeros":
        return F.conv2d(
            F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode),
            self.weight,
            self.bias,
            self.stride,
            0,
            self.dilation,
            self.groups,
        )
    return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def Conv3d_forward(self, input: Tensor) -> Tensor:
    if self.padding_mode != "zeros":
        return F.conv3d(
            F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode),
            self.weight,
            self.bias,
            self.stride,
            0,
            self.dilation,
            self.groups,
        )
    return F.conv3d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def _missing_padding(
    input: Tensor,
    output_size: Optional[List[int]],
    stride: List[int],
    padding: List[int],
    kernel_size: List[int],
    given: List[int],
    rank: int,
    dilation: List[int],
) -> List[int]:
    if output_size is None:
        return given
    wanted = output_size[-rank:]
    found: List[int] = []
    for d in range(rank):
        least = (input.size(d - rank) - 1) * stride[d] - 2 * padding[d] + dilation[d] * (kernel_size[d] - 1) + 1
        if wanted[d] < least or wanted[d] > least + stride[d] - 1:
            raise ValueError(f"requested an output size of {output_size}, which the input does not allow")
        found.append(wanted[d] - least)
    return found


def ConvTranspose1d_forward(self, input: Tensor, output_size: Optional[List[int]] = None) -> Tensor:
    extra = _missing_padding(
        input, output_size, self.stride, self.padding, self.kernel_size, self.output_padding, 1, self.dilation
    )
    return F.conv_transpose1d(
        input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
    )


def ConvTranspose2d_forward(self, input: Tensor, output_size: Optional[List[int]] = None) -> Tensor:
    extra = _missing_padding(
        input, output_size, self.stride, self.padding, self.kernel_size, self.output_padding, 2, self.dilation
    )
    return F.conv_transpose2d(
        input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
    )


def ConvTranspose3d_forward(self, input: Tensor, output_size: Optional[List[int]] = None) -> Tensor:
    extra = _missing_padding(
        input, output_size, self.stride, self.padding, self.kernel_size, self.output_padding, 3, self.dilation
    )
    return F.conv_transpose3d(
        input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
    )


# ---- pooling with indices


def MaxPool1d_forward(self, input: Tensor):
    if self.return_indices:
        return F.max_pool1d_with_indices(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode
        )
    else:
        return F.max_pool1d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


def MaxPool2d_forward(self, input: Tensor):
    if self.return_indices:
        return F.max_pool2d_with_indices(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode
        )
    else:
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


def MaxPool3d_forward(self, input: Tensor):
    if self.return_indices:
        return F.max_pool3d_with_indices(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode
        )
    else:
        return F.max_pool3d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


# ---- losses with weights


def CrossEntropyLoss_forward(self, input: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(
        input,
        target,
        self.weight,
        ignore_index=self.ignore_index,
        reduction=self.reduction,
        label_smoothing=self.label_smoothing,
    )


def NLLLoss_forward(self, input: Tensor, target: Tensor) -> Tensor:
    return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


def BCELoss_forward(self, input: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


def BCEWithLogitsLoss_forward(self, input: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(
        input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
    )


# ---- recurrent networks


def _zeros_for(input: Tensor, layers: int, batch: int, width: int) -> Tensor:
    return torch.zeros([layers, batch, width], dtype=input.dtype, device=input.device)


def _check_rnn_input(input: Tensor, input_size: int, name: str) -> None:
    if input.dim() != 2 and input.dim() != 3:
        raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.dim()}D instead")
    if input.size(-1) != input_size:
        raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {input_size}, got {input.size(-1)}")


def _check_hidden(hidden: Tensor, expected: Tuple[int, int, int], text: str) -> None:
    if hidden.size(0) != expected[0] or hidden.size(1) != expected[1] or hidden.size(2) != expected[2]:
        raise RuntimeError(text.format(expected, hidden.size()))


def LSTM_forward(
    self, input: Tensor, hx: Optional[Tuple[Tensor, Tensor]] = None
) -> Tuple[Tensor, Tuple[Tensor, Tensor]]:
    _check_rnn_input(input, self.input_size, "LSTM")
    batched = input.dim() == 3
    if not batched:
        input = input.unsqueeze(0 if self.batch_first else 1)
    batch = input.size(0) if self.batch_first else input.size(1)
    layers = self.num_layers * (2 if self.bidirectional else 1)
    real = self.proj_size if self.proj_size > 0 else self.hidden_size
    if hx is None:
        hidden = _zeros_for(input, layers, batch, real)
        cell = _zeros_for(input, layers, batch, self.hidden_size)
    else:
        hidden, cell = hx
        if batched:
            if hidden.dim() != 3 or cell.dim() != 3:
                raise RuntimeError(
                    f"For batched 3-D input, hx and cx should also be 3-D but got ({hidden.dim()}-D, "
                    f"{cell.dim()}-D) tensors"
                )
        else:
            if hidden.dim() != 2 or cell.dim() != 2:
                raise RuntimeError(
                    f"For unbatched 2-D input, hx and cx should also be 2-D but got ({hidden.dim()}-D, "
                    f"{cell.dim()}-D) tensors"
                )
            hidden, cell = hidden.unsqueeze(1), cell.unsqueeze(1)
    _check_hidden(hidden, (layers, batch, real), "Expected hidden[0] size {}, got {}")
    _check_hidden(cell, (layers, batch, self.hidden_size), "Expected hidden[1] size {}, got {}")
    output, hidden, cell = torch.ops.aten.lstm(
        input,
        [hidden, cell],
        self._flat_weights,
        self.bias,
        self.num_layers,
        self.dropout,
        self.training,
        self.bidirectional,
        self.batch_first,
    )
    if not batched:
        output = output.squeeze(0 if self.batch_first else 1)
        hidden, cell = hidden.squeeze(1), cell.squeeze(1)
    return output, (hidden, cell)


def _rnn_hidden(
    input: Tensor, hx: Optional[Tensor], batched: bool, batch_first: bool, layers: int, width: int
) -> Tensor:
    batch = input.size(0) if batch_first else input.size(1)
    if hx is None:
        return _zeros_for(input, layers, batch, width)
    if batched:
        if hx.dim() != 3:
            raise RuntimeError(f"For batched 3-D input, hx should also be 3-D but got {hx.dim()}-D tensor")
        hidden = hx
    else:
        if hx.dim() != 2:
            raise RuntimeError(f"For unbatched 2-D input, hx should also be 2-D but got {hx.dim()}-D tensor")
        hidden = hx.unsqueeze(1)
    _check_hidden(hidden, (layers, batch, width), "Expected hidden size {}, got {}")
    return hidden


def GRU_forward(self, input: Tensor, hx: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
    _check_rnn_input(input, self.input_size, "GRU")
    batched = input.dim() == 3
    if not batched:
        input = input.unsqueeze(0 if self.batch_first else 1)
    layers = self.num_layers * (2 if self.bidirectional else 1)
    hidden = _rnn_hidden(input, hx, batched, self.batch_first, layers, self.hidden_size)
    output, hidden = torch.ops.aten.gru(
        input,
        hidden,
        self._flat_weights,
        self.bias,
        self.num_layers,
        self.dropout,
        self.training,
        self.bidirectional,
        self.batch_first,
    )
    if not batched:
        output = output.squeeze(0 if self.batch_first else 1)
        hidden = hidden.squeeze(1)
    return output, hidden


def RNN_forward(self, input: Tensor, hx: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
    _check_rnn_input(input, self.input_size, "RNN")
    batched = input.dim() == 3
    if not batched:
        input = input.unsqueeze(0 if self.batch_first else 1)
    layers = self.num_layers * (2 if self.bidirectional else 1)
    hidden = _rnn_hidden(input, hx, batched, self.batch_first, layers, self.hidden_size)
    if self.mode == "RNN_TANH":
        output, hidden = torch.ops.aten.rnn_tanh(
            input,
            hidden,
            self._flat_weights,
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            self.bidirectional,
            self.batch_first,
        )
    else:
        output, hidden = torch.ops.aten.rnn_relu(
            input,
            hidden,
            self._flat_weights,
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            self.bidirectional,
            self.batch_first,
        )
    if not batched:
        output = output.squeeze(0 if self.batch_first else 1)
        hidden = hidden.squeeze(1)
    return output, hidden


def _permuted(state: Tensor, order: Optional[Tensor]) -> Tensor:
    if order is None:
        return state
    return state.index_select(1, order)


def LSTM_forward_packed(
    self, input: PackedSequence, hx: Optional[Tuple[Tensor, Tensor]] = None
) -> Tuple[PackedSequence, Tuple[Tensor, Tensor]]:
    data, sizes, order, back = input
    batch = int(sizes[0])
    layers = self.num_layers * (2 if self.bidirectional else 1)
    real = self.proj_size if self.proj_size > 0 else self.hidden_size
    if hx is None:
        hidden = _zeros_for(data, layers, batch, real)
        cell = _zeros_for(data, layers, batch, self.hidden_size)
    else:
        hidden, cell = _permuted(hx[0], order), _permuted(hx[1], order)
    output, hidden, cell = torch.ops.aten.lstm(
        data,
        sizes,
        [hidden, cell],
        self._flat_weights,
        self.bias,
        self.num_layers,
        self.dropout,
        self.training,
        self.bidirectional,
    )
    return PackedSequence(output, sizes, order, back), (_permuted(hidden, back), _permuted(cell, back))


def GRU_forward_packed(self, input: PackedSequence, hx: Optional[Tensor] = None) -> Tuple[PackedSequence, Tensor]:
    data, sizes, order, back = input
    layers = self.num_layers * (2 if self.bidirectional else 1)
    if hx is None:
        hidden = _zeros_for(data, layers, int(sizes[0]), self.hidden_size)
    else:
        hidden = _permuted(hx, order)
    output, hidden = torch.ops.aten.gru(
        data,
        sizes,
        hidden,
        self._flat_weights,
        self.bias,
        self.num_layers,
        self.dropout,
        self.training,
        self.bidirectional,
    )
    return PackedSequence(output, sizes, order, back), _permuted(hidden, back)


def RNNCell_forward(self, input: Tensor, hx: Optional[Tensor] = None) -> Tensor:
    if input.dim() != 1 and input.dim() != 2:
        raise ValueError(f"RNNCell: Expected input to be 1D or 2D, got {input.dim()}D instead")
    batched = input.dim() == 2
    rows = input if batched else input.unsqueeze(0)
    if hx is None:
        hidden = torch.zeros([rows.size(0), self.hidden_size], dtype=input.dtype, device=input.device)
    else:
        hidden = hx if batched else hx.unsqueeze(0)
    if self.nonlinearity == "tanh":
        made = torch.ops.aten.rnn_tanh_cell(rows, hidden, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
    else:
        made = torch.ops.aten.rnn_relu_cell(rows, hidden, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
    return made if batched else made.squeeze(0)


def GRUCell_forward(self, input: Tensor, hx: Optional[Tensor] = None) -> Tensor:
    if input.dim() != 1 and input.dim() != 2:
        raise ValueError(f"GRUCell: Expected input to be 1D or 2D, got {input.dim()}D instead")
    batched = input.dim() == 2
    rows = input if batched else input.unsqueeze(0)
    if hx is None:
        hidden = torch.zeros([rows.size(0), self.hidden_size], dtype=input.dtype, device=input.device)
    else:
        hidden = hx if batched else hx.unsqueeze(0)
    made = torch.ops.aten.gru_cell(rows, hidden, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
    return made if batched else made.squeeze(0)


def LSTMCell_forward(self, input: Tensor, hx: Optional[Tuple[Tensor, Tensor]] = None) -> Tuple[Tensor, Tensor]:
    if input.dim() != 1 and input.dim() != 2:
        raise ValueError(f"LSTMCell: Expected input to be 1D or 2D, got {input.dim()}D instead")
    batched = input.dim() == 2
    rows = input if batched else input.unsqueeze(0)
    if hx is None:
        hidden = torch.zeros([rows.size(0), self.hidden_size], dtype=input.dtype, device=input.device)
        cell = hidden
    else:
        hidden, cell = hx
        if not batched:
            hidden, cell = hidden.unsqueeze(0), cell.unsqueeze(0)
    new_hidden, new_cell = torch.ops.aten.lstm_cell(
        rows, [hidden, cell], self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
    )
    if not batched:
        new_hidden, new_cell = new_hidden.squeeze(0), new_cell.squeeze(0)
    return new_hidden, new_cell


# ---- attention


def MultiheadAttention_forward(
    self,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Optional[Tensor] = None,
    need_weights: bool = True,
    attn_mask: Optional[Tensor] = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Tuple[Tensor, Optional[Tensor]]:
    batched = query.dim() == 3
    if self.batch_first and batched:
        query, key, value = query.transpose(1, 0), key.transpose(1, 0), value.transpose(1, 0)
    if not self._qkv_same_embed_dim:
        output, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            True,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
    else:
        output, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
    if self.batch_first and batched:
        return output.transpose(1, 0), weights
    return output, weights


def TransformerEncoderLayer_forward(
    self,
    src: Tensor,
    src_mask: Optional[Tensor] = None,
    src_key_padding_mask: Optional[Tensor] = None,
    is_causal: bool = False,
) -> Tensor:
    x = src
    if self.norm_first:
        x = x + self._sa_block(self.norm1(x), src_mask, src_key_padding_mask, is_causal)
        x = x + self._ff_block(self.norm2(x))
    else:
        x = self.norm1(x + self._sa_block(x, src_mask, src_key_padding_mask, is_causal))
        x = self.norm2(x + self._ff_block(x))
    return x


def TransformerEncoderLayer__sa_block(
    self, x: Tensor, attn_mask: Optional[Tensor], key_padding_mask: Optional[Tensor], is_causal: bool = False
) -> Tensor:
    return self.dropout1(self.self_attn(x, x, x, key_padding_mask, False, attn_mask, is_causal=is_causal)[0])


def TransformerEncoderLayer__ff_block(self, x: Tensor) -> Tensor:
    return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


def TransformerDecoderLayer_forward(
    self,
    tgt: Tensor,
    memory: Tensor,
    tgt_mask: Optional[Tensor] = None,
    memory_mask: Optional[Tensor] = None,
    tgt_key_padding_mask: Optional[Tensor] = None,
    memory_key_padding_mask: Optional[Tensor] = None,
    tgt_is_causal: bool = False,
    memory_is_causal: bool = False,
) -> Tensor:
    x = tgt
    if self.norm_first:
        x = x + self._sa_block(self.norm1(x), tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        x = x + self._mha_block(self.norm2(x), memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        x = x + self._ff_block(self.norm3(x))
    else:
        x = self.norm1(x + self._sa_block(x, tgt_mask, tgt_key_padding_mask, tgt_is_causal))
        x = self.norm2(x + self._mha_block(x, memory, memory_mask, memory_key_padding_mask, memory_is_causal))
        x = self.norm3(x + self._ff_block(x))
    return x


def TransformerDecoderLayer__sa_block(
    self, x: Tensor, attn_mask: Optional[Tensor], key_padding_mask: Optional[Tensor], is_causal: bool = False
) -> Tensor:
    return self.dropout1(self.self_attn(x, x, x, key_padding_mask, False, attn_mask, is_causal=is_causal)[0])


def TransformerDecoderLayer__mha_block(
    self,
    x: Tensor,
    mem: Tensor,
    attn_mask: Optional[Tensor],
    key_padding_mask: Optional[Tensor],
    is_causal: bool = False,
) -> Tensor:
    return self.dropout2(self.multihead_attn(x, mem, mem, key_padding_mask, False, attn_mask, is_causal=is_causal)[0])


def TransformerDecoderLayer__ff_block(self, x: Tensor) -> Tensor:
    return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))


def _is_causal_mask(mask: Optional[Tensor], given: Optional[bool]) -> bool:
    # The mask is applied as it is: whether it is causal is only a hint.
    return mask is not None and given is not None and given


def TransformerEncoder_forward(
    self,
    src: Tensor,
    mask: Optional[Tensor] = None,
    src_key_padding_mask: Optional[Tensor] = None,
    is_causal: Optional[bool] = None,
) -> Tensor:
    causal = _is_causal_mask(mask, is_causal)
    output = src
    for layer in self.layers:
        output = layer(output, mask, src_key_padding_mask, causal)
    if self.norm is not None:
        output = self.norm(output)
    return output


def TransformerDecoder_forward(
    self,
    tgt: Tensor,
    memory: Tensor,
    tgt_mask: Optional[Tensor] = None,
    memory_mask: Optional[Tensor] = None,
    tgt_key_padding_mask: Optional[Tensor] = None,
    memory_key_padding_mask: Optional[Tensor] = None,
    tgt_is_causal: Optional[bool] = None,
    memory_is_causal: bool = False,
) -> Tensor:
    causal = _is_causal_mask(tgt_mask, tgt_is_causal)
    output = tgt
    for layer in self.layers:
        output = layer(
            output,
            memory,
            tgt_mask,
            memory_mask,
            tgt_key_padding_mask,
            memory_key_padding_mask,
            causal,
            memory_is_causal,
        )
    if self.norm is not None:
        output = self.norm(output)
    return output


def Transformer_forward(
    self,
    src: Tensor,
    tgt: Tensor,
    src_mask: Optional[Tensor] = None,
    tgt_mask: Optional[Tensor] = None,
    memory_mask: Optional[Tensor] = None,
    src_key_padding_mask: Optional[Tensor] = None,
    tgt_key_padding_mask: Optional[Tensor] = None,
    memory_key_padding_mask: Optional[Tensor] = None,
    src_is_causal: Optional[bool] = None,
    tgt_is_causal: Optional[bool] = None,
    memory_is_causal: bool = False,
) -> Tensor:
    memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
    return self.decoder(
        tgt,
        memory,
        tgt_mask,
        memory_mask,
        tgt_key_padding_mask,
        memory_key_padding_mask,
        tgt_is_causal,
        memory_is_causal,
    )
