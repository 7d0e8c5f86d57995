"""Operations that only ``torch.ops.aten`` names, in terms of the public ones. Arguments are those of the "
"recorded schemas."""

from __future__ import annotations

import torch
import torch.nn.functional as F

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor

__all__ = [
    "cosine_embedding_loss", "ctc_loss", "hinge_embedding_loss", "l1_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "poisson_nll_loss", "soft_margin_loss", "triplet_margin_loss",
    "cross_entropy_loss",
    "kl_div",
    "log_sigmoid",
    "mH",
    "mT",
    "nll_loss_nd",
    "numpy_T",
    "relu6_",
    "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "_convolution_mode", "_upsample_nearest_exact1d",
    "_upsample_nearest_exact2d", "_upsample_nearest_exact3d", "tensordot", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "huber_loss", "mse_loss", "nll_loss", "smooth_l1_loss",
    "_assert_async", "_assert_scalar", "_assert_tensor_metadata",
    "_conj", "_embedding_bag_forward_only", "_fft_c2c", "_is_all_true", "_is_any_true",
    "_native_batch_norm_legit_no_training", "_pin_memory", "convolution_backward",
    "_reshape_alias", "_stack", "_to_copy", "_unsafe_index", "_unsafe_index_put", "_unsafe_view", "copy",
    "is_non_overlapping_and_dense", "lift", "lift_fresh_copy", "log_sigmoid_forward", "native_dropout",
    "nll_loss_forward", "nonzero_numpy", "im2col", "col2im", "sym_is_contiguous", "sym_numel", "sym_size",
    "sym_storage_offset", "sym_stride",
    "upsample_bicubic2d", "upsample_bilinear2d", "upsample_linear1d", "upsample_nearest1d", "upsample_nearest2d",
    "upsample_nearest3d", "upsample_trilinear3d", "zero",
]  # fmt: skip


def _to_copy(
    self: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None,
    non_blocking: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A copy with another dtype, device or memory format."""
    if layout not in (None, torch.strided):
        raise NotImplementedError(f"_to_copy: the layout {layout} is not implemented")
    return _native_to_copy(self, dtype, device, memory_format)


_native_to_copy = torch._C._rows("_to_copy", False)


def _unsafe_view(self: Tensor, size: Sequence[int]) -> Tensor:
    """The elements in another shape; the result is no view for autograd."""
    return self.reshape(size)


def _reshape_alias(self: Tensor, size: Sequence[int], stride: Sequence[int]) -> Tensor:
    return self.as_strided(size, stride)


def _stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    return torch.stack(list(tensors), dim)


def _conj(self: Tensor) -> Tensor:
    return self.conj()


def _unsafe_index(self: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    return torch.ops.aten.index.Tensor(self, indices)


def _unsafe_index_put(
    self: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    return torch.ops.aten.index_put.default(self, indices, values, accumulate)


def copy(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """The elements of ``src`` with the shape and dtype of ``self``."""
    return torch.empty_like(self).copy_(src)


def zero(self: Tensor) -> Tensor:
    return torch.zeros_like(self)


def lift(self: Tensor) -> Tensor:
    return self


def lift_fresh_copy(self: Tensor) -> Tensor:
    return self.clone()


def sym_size(self: Tensor, dim: int | None = None) -> Any:
    return list(self.size()) if dim is None else self.size(dim)


def sym_stride(self: Tensor, dim: int | None = None) -> Any:
    return list(self.stride()) if dim is None else self.stride(dim)


def sym_numel(self: Tensor) -> int:
    return self.numel()


def sym_storage_offset(self: Tensor) -> int:
    return self.storage_offset()


def sym_is_contiguous(self: Tensor, memory_format: Any = torch.contiguous_format) -> bool:
    return self.is_contiguous(memory_format=memory_format)


def is_non_overlapping_and_dense(self: Tensor) -> bool:
    """Whether each element has a place of its own, without gaps between them."""
    expected = 1
    for size, stride in sorted(zip(self.shape, self.stride(), strict=True), key=lambda pair: (pair[1], pair[0])):
        if size == 1:
            continue
        if stride != expected:
            return self.numel() < 2
        expected *= size
    return True


def _pin_memory(self: Tensor, device: Any = None) -> Tensor:
    return self.pin_memory()


def _is_all_true(self: Tensor) -> Tensor:
    return self.all()


def nonzero_numpy(self: Tensor) -> tuple[Tensor, ...]:
    """The positions of elements that are not zero, one tensor per dimension."""
    return self.nonzero(as_tuple=True)


im2col, col2im = torch._C._nn.unfold, torch._C._nn.fold


def _is_any_true(self: Tensor) -> Tensor:
    return self.any()


def _assert_async(self: Tensor, assert_msg: str = "Expected Tensor with single nonzero value, but got zero") -> None:
    """Raise unless the only element is not zero."""
    if not self.is_nonzero():
        raise RuntimeError(assert_msg)


def _assert_scalar(self: Any, assert_msg: str) -> None:
    if not self:
        raise RuntimeError(assert_msg)


def _assert_tensor_metadata(
    a: Tensor, size: Any = None, stride: Any = None, dtype: Any = None, *, device: Any = None, layout: Any = None
) -> None:
    """Raise if the tensor differs from what is given."""
    for name, expected, found in (
        ("sizes", None if size is None else list(size), list(a.shape)),
        ("strides", None if stride is None else list(stride), list(a.stride())),
        ("dtype", dtype, a.dtype),
        ("device", None if device is None else torch.device(device), a.device),
        ("layout", layout, a.layout),
    ):
        if expected is not None and expected != found:
            raise RuntimeError(f"Tensor {name} mismatch! Expected: {expected}, Got: {found}")


def log_sigmoid_forward(self: Tensor) -> tuple[Tensor, Tensor]:
    """The result, and the buffer that PyTorch's kernel keeps: empty, as no derivative here needs it."""
    return F.logsigmoid(self), self.new_empty(0)


def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """The result and the mask of what was kept."""
    if train is False or p == 0:
        return input.clone(), torch.ones_like(input, dtype=torch.bool)
    mask = torch.empty_like(input, dtype=torch.bool).bernoulli_(1 - p)
    scale = 0.0 if p == 1 else 1 / (1 - p)
    return input * mask * scale, mask


_nll_rows = torch._C._rows("nll_loss", False)


def nll_loss_forward(
    self: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """The loss, and the sum of the weights that it was divided by."""
    result: tuple[Tensor, Tensor] = _nll_rows(self, target, weight, reduction, ignore_index)
    return result


_kl_rows = torch._C._rows("kl_div", False)
_REDUCTIONS = ("none", "mean", "sum")


def cross_entropy_loss(
    self: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: int = 1,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Tensor:
    """``nn.functional.cross_entropy``, with the reduction as a number."""
    return torch.nn.functional.cross_entropy(
        self,
        target,
        weight,
        ignore_index=ignore_index,
        reduction=_REDUCTIONS[reduction],
        label_smoothing=label_smoothing,
    )


def nll_loss_nd(
    self: Tensor, target: Tensor, weight: Tensor | None = None, reduction: int = 1, ignore_index: int = -100
) -> Tensor:
    """``nn.functional.nll_loss``, with the reduction as a number."""
    return torch.nn.functional.nll_loss(
        self, target, weight, ignore_index=ignore_index, reduction=_REDUCTIONS[reduction]
    )


def _numbered(name: str, parameters: str) -> Any:
    """A loss of ``nn.functional`` that takes its reduction as a number."""

    def loss(*args: Any, **kwargs: Any) -> Tensor:
        values = {**dict(zip(parameters.split(), args, strict=False)), **kwargs}
        if "reduction" in values:
            values["reduction"] = _REDUCTIONS[values["reduction"]]
        found: Tensor = getattr(F, name)(**values)
        return found

    return loss


l1_loss = _numbered("l1_loss", "input target reduction")
soft_margin_loss = _numbered("soft_margin_loss", "input target reduction")
multilabel_margin_loss = _numbered("multilabel_margin_loss", "input target reduction")
multi_margin_loss = _numbered("multi_margin_loss", "input target p margin weight reduction")
hinge_embedding_loss = _numbered("hinge_embedding_loss", "input target margin reduction")
cosine_embedding_loss = _numbered("cosine_embedding_loss", "input1 input2 target margin reduction")
margin_ranking_loss = _numbered("margin_ranking_loss", "input1 input2 target margin reduction")
poisson_nll_loss = _numbered("poisson_nll_loss", "input target log_input full eps reduction")
triplet_margin_loss = _numbered("triplet_margin_loss", "anchor positive negative margin p eps swap reduction")
ctc_loss = _numbered("ctc_loss", "log_probs targets input_lengths target_lengths blank reduction zero_infinity")


def kl_div(self: Tensor, target: Tensor, reduction: int = 1, *, log_target: bool = False) -> Tensor:
    """``nn.functional.kl_div``, with the reduction as a number."""
    pointwise = _kl_rows(self, target, log_target=log_target)
    return pointwise if reduction == 0 else pointwise.mean() if reduction == 1 else pointwise.sum()


def log_sigmoid(self: Tensor) -> Tensor:
    """``nn.functional.logsigmoid``."""
    return F.logsigmoid(self)


def numpy_T(self: Tensor) -> Tensor:  # noqa: N802
    """All dimensions in reverse order."""
    return self.T


def mT(self: Tensor) -> Tensor:  # noqa: N802
    """The last two dimensions swapped."""
    return self.mT


def mH(self: Tensor) -> Tensor:  # noqa: N802
    """The last two dimensions swapped, conjugated."""
    return self.mH


def relu6_(self: Tensor) -> Tensor:
    """``nn.functional.relu6`` in place."""
    return torch.nn.functional.relu6(self, inplace=True)


def _native_batch_norm_legit_no_training(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor, running_var: Tensor,
    momentum: float, eps: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The normalisation by running statistics; nothing is saved for a derivative."""
    result = F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    return result, input.new_empty(0), input.new_empty(0)


def _without_kernel(name: str) -> Any:
    """An operation that PyTorch has on other devices alone."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f"Could not run 'aten::{name}' with arguments from the 'CPU' backend: it has kernels for other devices only"
        )

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


_ELSEWHERE = """
    _convert_weight_to_int4pack _dyn_quant_matmul_4bit _dyn_quant_pack_4bit_weight _grouped_mm _mkldnn_transpose
    _scaled_dot_product_cudnn_attention _scaled_dot_product_cudnn_attention_backward
    _scaled_dot_product_efficient_attention _scaled_dot_product_efficient_attention_backward
    _scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_backward _scaled_mm _scaled_mm_v2
    _weight_int4pack_mm _weight_int4pack_mm_with_scales_and_zeros
""".split()
__all__ += _ELSEWHERE
globals().update({name: _without_kernel(name) for name in _ELSEWHERE})


def _embedding_bag_forward_only(
    weight: Tensor, indices: Tensor, offsets: Tensor, scale_grad_by_freq: bool = False, mode: int = 0,
    sparse: bool = False, per_sample_weights: Tensor | None = None, include_last_offset: bool = False,
    padding_idx: int = -1,
) -> Any:  # fmt: skip
    return torch.embedding_bag(
        weight, indices, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights, include_last_offset,
        None if padding_idx < 0 else padding_idx,
    )  # fmt: skip


def _fft_c2c(self: Tensor, dim: Sequence[int], normalization: int, forward: bool) -> Tensor:
    """The transform over several dimensions; ``normalization`` is 0 for none, 1 for 1/sqrt(n), 2 for 1/n."""
    norms = ("backward", "ortho", "forward") if forward else ("forward", "ortho", "backward")
    return (torch.fft.fftn if forward else torch.fft.ifftn)(self, dim=tuple(dim), norm=norms[normalization])


def _adaptive_avg_pool2d(self: Tensor, output_size: Sequence[int]) -> Tensor:
    return F.adaptive_avg_pool2d(self, tuple(output_size))


def _adaptive_avg_pool3d(self: Tensor, output_size: Sequence[int]) -> Tensor:
    return F.adaptive_avg_pool3d(self, tuple(output_size))


def _upsample(mode: str) -> Any:
    corners = "nearest" not in mode

    def resample(input: Tensor, output_size: Any, *rest: Any, **named: Any) -> Tensor:
        align = None
        if corners:
            align = bool(rest[0] if rest else named.get("align_corners", False)) or None
            rest = rest[1:]
        factors = rest[0] if rest else named.get("scale_factors")
        if output_size is not None:
            return F.interpolate(input, tuple(output_size), mode=mode, align_corners=align)
        return F.interpolate(input, scale_factor=tuple(factors), mode=mode, align_corners=align)

    return resample


upsample_nearest1d = upsample_nearest2d = upsample_nearest3d = _upsample("nearest")
upsample_linear1d, upsample_bilinear2d = _upsample("linear"), _upsample("bilinear")
upsample_trilinear3d, upsample_bicubic2d = _upsample("trilinear"), _upsample("bicubic")
_upsample_nearest_exact1d = _upsample_nearest_exact2d = _upsample_nearest_exact3d = _upsample("nearest-exact")


def _convolution_mode(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int], padding: str, dilation: Sequence[int],
    groups: int,
) -> Tensor:  # fmt: skip
    """A convolution whose padding is "same" or "valid"."""
    function = (F.conv1d, F.conv2d, F.conv3d)[weight.dim() - 3]
    return function(input, weight, bias, tuple(stride), padding, tuple(dilation), groups)


def tensordot(self: Tensor, other: Tensor, dims_self: Sequence[int], dims_other: Sequence[int]) -> Tensor:
    """Products summed over pairs of dimensions."""
    return torch.tensordot(self, other, (list(dims_self), list(dims_other)))


def convolution_backward(
    grad_output: Tensor, input: Tensor, weight: Tensor, bias_sizes: Sequence[int] | None, stride: Sequence[int],
    padding: Sequence[int], dilation: Sequence[int], transposed: bool, output_padding: Sequence[int], groups: int,
    output_mask: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """The gradients of a convolution by its input, weight and bias, those that ``output_mask`` asks for."""
    with torch.enable_grad():
        ends = [t.detach().requires_grad_() for t in (input, weight)]
        result = torch.convolution(*ends, None, stride, padding, dilation, transposed, output_padding, groups)
    wanted = [end for end, asked in zip(ends, output_mask, strict=False) if asked]
    found = iter(torch.autograd.grad(result, wanted, grad_output) if wanted else ())
    grads = [next(found) if asked else None for asked in output_mask[:2]]
    spatial = [dim for dim in range(grad_output.dim()) if dim != 1]
    return grads[0], grads[1], grad_output.sum(spatial) if output_mask[2] else None


# ---- losses with the reduction as a number


def binary_cross_entropy(self: Tensor, target: Tensor, weight: Tensor | None = None, reduction: int = 1) -> Tensor:
    return F.binary_cross_entropy(self, target, weight, reduction=_REDUCTIONS[reduction])


def binary_cross_entropy_with_logits(
    self: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None, reduction: int = 1
) -> Tensor:
    return F.binary_cross_entropy_with_logits(
        self, target, weight, pos_weight=pos_weight, reduction=_REDUCTIONS[reduction]
    )


def huber_loss(self: Tensor, target: Tensor, reduction: int = 1, delta: float = 1.0) -> Tensor:
    return F.huber_loss(self, target, _REDUCTIONS[reduction], delta)


def mse_loss(self: Tensor, target: Tensor, reduction: int = 1) -> Tensor:
    return F.mse_loss(self, target, reduction=_REDUCTIONS[reduction])


def nll_loss(
    self: Tensor, target: Tensor, weight: Tensor | None = None, reduction: int = 1, ignore_index: int = -100
) -> Tensor:
    return F.nll_loss(self, target, weight, ignore_index=ignore_index, reduction=_REDUCTIONS[reduction])


def smooth_l1_loss(self: Tensor, target: Tensor, reduction: int = 1, beta: float = 1.0) -> Tensor:
    return F.smooth_l1_loss(self, target, reduction=_REDUCTIONS[reduction], beta=beta)
