"""Attention whose scores a Python function changes and whose empty blocks are never computed.

The method is that of J. Dong et al., "Flex Attention: A Programming Model for Generating Optimized Attention Kernels"
(2024): ``score_mod`` says how a score depends on its place, ``mask_mod`` which places count, and a ``BlockMask`` keeps
the blocks that hold any. Here both functions are vectorised by ``vmap`` and the blocks of one row are computed at once.
"""

from __future__ import annotations

import contextlib
import enum
import inspect
import math
import warnings
from typing import Literal, NamedTuple, TypedDict

import torch
from torch import Tensor
from torch.utils._pytree import GetAttrKey, TreeSpec, tree_flatten, tree_map_only, tree_unflatten

from ._block_mask import DEFAULT_BLOCK, BlockMask, dense_to_ordered, noop_mask, sliced_mask_mod
from ._flex_rows import Attention, attend, laid_out_like, over_places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ._block_mask import MaskMod
    from ._flex_rows import ScoreMod

__all__ = [
    "AuxOutput",
    "AuxRequest",
    "BlockMask",
    "FlexKernelOptions",
    "and_masks",
    "create_block_mask",
    "create_mask",
    "flex_attention",
    "noop_mask",
    "or_masks",
]

# Names that programs import from here too.
_ALSO_HERE = (GetAttrKey, TreeSpec, tree_flatten, tree_map_only, tree_unflatten)

for _object in (BlockMask, noop_mask):
    _object.__module__ = __name__

_DEFAULT_SPARSE_BLOCK_SIZE = DEFAULT_BLOCK
_warned: set[str] = set()
_BACKENDS = ("AUTO", "TRITON", "FLASH", "TRITON_DECODE")


class AuxRequest(NamedTuple):
    """What ``flex_attention`` shall return beside the output."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What was asked for by ``AuxRequest``; the rest is None."""

    lse: Tensor | None = None
    max_scores: Tensor | None = None


class FlexKernelOptions(TypedDict, total=False):
    """Options of GPU kernels. Only ``BACKEND`` is checked; none changes a result."""

    num_warps: int
    num_stages: int
    BLOCK_M: int
    BLOCK_N: int
    BLOCK_M1: int
    BLOCK_N1: int
    BLOCK_M2: int
    BLOCK_N2: int
    PRESCALE_QK: bool
    ROWS_GUARANTEED_SAFE: bool
    BLOCKS_ARE_CONTIGUOUS: bool
    WRITE_DQ: bool
    FORCE_USE_FLEX_ATTENTION: bool
    USE_TMA: bool
    kpack: int
    matrix_instr_nonkdim: int
    waves_per_eu: int
    BACKEND: Literal["AUTO", "TRITON", "FLASH", "TRITON_DECODE"]


class _ModificationType(enum.Enum):
    """Which of the two kinds of function a callable is, by the number of its positional arguments."""

    SCORE_MOD = 1
    MASK_MOD = 2


def _get_mod_type(function: Callable[..., Any]) -> _ModificationType:
    parameters = inspect.signature(function).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(1 for p in parameters if p.default is p.empty and p.kind in positional)
    if count == 5:
        return _ModificationType.SCORE_MOD
    if count == 4:
        return _ModificationType.MASK_MOD
    raise AssertionError(f"Expected 4 or 5 positional args, got {count}")


def or_masks(*mask_mods: MaskMod) -> MaskMod:
    """The ``mask_mod`` that is true where any of ``mask_mods`` is; RuntimeError if one of them can't be called."""
    if not all(callable(mask) for mask in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")

    def or_mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        result = b.new_zeros((), dtype=torch.bool)
        for mask in mask_mods:
            result = result | mask(b, h, q_idx, kv_idx)
        return result

    return or_mask


def and_masks(*mask_mods: MaskMod) -> MaskMod:
    """The ``mask_mod`` that is true where all of ``mask_mods`` are; RuntimeError if one of them can't be called."""
    if not all(callable(mask) for mask in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")

    def and_mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        result = b.new_ones((), dtype=torch.bool)
        for mask in mask_mods:
            result = result & mask(b, h, q_idx, kv_idx)
        return result

    return and_mask


def _device(device: Any) -> torch.device:
    if device is not None:
        return torch.device(device)
    return torch.accelerator.current_accelerator() or torch.device("cpu")


def create_mask(
    mod_fn: ScoreMod | MaskMod,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,  # noqa: N803
) -> Tensor:
    """Evaluate a function of places at all of them: (B, H, Q_LEN, KV_LEN).

    A ``mask_mod`` (four arguments) gives booleans; a ``score_mod`` (five) gives ones where it keeps a score of zero
    above minus infinity. None for ``B`` or ``H`` means 1. AssertionError for another number of arguments.

    >>> from torch.nn.attention.flex_attention import create_mask
    >>> create_mask(lambda b, h, q, kv: q >= kv, None, None, 2, 3, "cpu")
    tensor([[[[ True, False, False],
              [ True,  True, False]]]])
    """
    place = _device(device)
    sizes = (1 if B is None else B, 1 if H is None else H, Q_LEN, KV_LEN)
    indices = [torch.arange(size, device=place) for size in sizes]
    if _get_mod_type(mod_fn) is _ModificationType.SCORE_MOD:
        scores = torch.zeros(sizes, device=place)
        return over_places(mod_fn, 1)(scores, *indices) != -math.inf
    return over_places(mod_fn, 0)(*indices)


def _write_order(block_mask: BlockMask, columns: Tensor | None, descending: bool) -> Tensor | None:
    """For each column and its rows, in the order of ``columns``: how many blocks of the row are written before."""
    if columns is None:
        return None
    dense = block_mask.to_dense()
    before = dense.cumsum(-1) - dense
    if descending:
        before = dense.sum(-1, keepdim=True) - 1 - before
    return before.transpose(-2, -1).gather(-1, columns.long()).to(torch.int32)


def create_block_mask(
    mask_mod: MaskMod,
    B: int | None,  # noqa: N803
    H: int | None,  # noqa: N803
    Q_LEN: int,  # noqa: N803
    KV_LEN: int,  # noqa: N803
    device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = DEFAULT_BLOCK,  # noqa: N803
    _compile: bool = False,
    separate_full_blocks: bool = True,
    compute_dq_write_order: bool = False,
    dq_kv_order: bool = True,
) -> BlockMask:
    """Find the blocks in which ``mask_mod(b, h, q_idx, kv_idx)`` is true anywhere.

    ``B`` or ``H`` None stands for a mask that doesn't depend on the batch or head. With ``separate_full_blocks`` the
    blocks in which it is true everywhere are listed apart, and need no mask later. AssertionError if ``mask_mod``
    takes another number of arguments, or gives no booleans.

    >>> from torch.nn.attention.flex_attention import create_block_mask
    >>> create_block_mask(lambda b, h, q, kv: q >= kv, None, None, 256, 256, "cpu").to_dense()
    tensor([[[[1, 0],
              [1, 1]]]], dtype=torch.int32)
    """
    if _get_mod_type(mask_mod) is _ModificationType.SCORE_MOD:
        raise AssertionError(f"create-block_mask requires a mask_mod function! Got {mask_mod}")
    rows, columns = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    mask = create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device)
    if mask.dtype != torch.bool:
        raise AssertionError(f"mask.dtype must be torch.bool, got {mask.dtype}")
    mask = torch.nn.functional.pad(mask, (0, -KV_LEN % columns, 0, -Q_LEN % rows))
    blocks = mask.view(*mask.shape[:2], mask.shape[2] // rows, rows, mask.shape[3] // columns, columns)
    some = blocks.any(5).any(3)
    full = full_lists = None
    if separate_full_blocks:
        full = blocks.all(5).all(3)
        some = some & ~full
        full_lists = dense_to_ordered(full)
    result = BlockMask.from_kv_blocks(
        *dense_to_ordered(some),
        *(full_lists or (None, None)),
        BLOCK_SIZE=(rows, columns),
        mask_mod=mask_mod,
        seq_lengths=(Q_LEN, KV_LEN),
    )
    if compute_dq_write_order:
        result.dq_write_order = _write_order(result, result.q_indices, dq_kv_order)
        result.dq_write_order_full = _write_order(result, result.full_q_indices, dq_kv_order)
        result.dq_kv_order_spt = dq_kv_order
    return result


def _check_inputs(query: Tensor, key: Tensor, value: Tensor) -> None:
    if query.is_nested or key.is_nested or value.is_nested:
        raise NotImplementedError(
            "flex_attention does not support NestedTensor inputs, including torch.compile(flex_attention) with jagged "
            "NestedTensor inputs. Convert inputs to dense tensors before calling flex_attention."
        )
    if not query.device.type == key.device.type == value.device.type:
        raise ValueError(
            "Expected query, key, and value to have the same device type, but got "
            f"query.device: {query.device}, key.device: {key.device}, and value.device: {value.device} instead."
        )
    if query.device.type == "meta":
        raise ValueError(
            "FlexAttention is only supported on CUDA, CPU, HPU, or MPS devices. "
            f"Found input tensors on {query.device.type} device."
        )
    if not query.dim() == key.dim() == value.dim() == 4:
        raise NotImplementedError("NYI: query, key, and value must be 4D tensors")


def _check_shapes(query: Tensor, key: Tensor, block_mask: BlockMask | None, enable_gqa: bool) -> None:
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            "Expect query and key/value to have the same embedding dimension but got "
            f"E={query.shape[-1]} and E={key.shape[-1]}."
        )
    heads, kv_heads = query.shape[1], key.shape[1]
    if not enable_gqa and heads != kv_heads:
        raise ValueError(
            f"Expect query and key/value to have the same number of heads but got Hq={heads} and Hkv={kv_heads}. "
            "Try setting enable_gqa=True for GQA."
        )
    if enable_gqa and heads % kv_heads:
        raise ValueError(
            f"Expect number of query heads to be a multiple of kv heads for GQA but got Hq={heads} and Hkv={kv_heads}."
        )
    if query.shape[0] != key.shape[0] and (block_mask is None or key.shape[0] != 1):
        raise ValueError(
            "Expect query and key/value to have the same batch size, or non-none block_mask, but got "
            f"block_mask={block_mask}, Bq={query.shape[0]}, and Bkv={key.shape[0]}."
        )


def _check_mask(block_mask: BlockMask, q_len: int, kv_len: int) -> None:
    if block_mask.mask_mod is sliced_mask_mod:
        raise RuntimeError("Cannot use mask_mod from a sliced BlockMask")
    mask_q, mask_kv = block_mask.shape[-2:]
    described = f"block_mask was created for {block_mask.shape=} but got q_len={q_len} and kv_len={kv_len}. "
    if q_len > mask_q or kv_len > mask_kv:
        raise ValueError(
            described + "As the block mask was created for a smaller length than you're using it for, you likely need "
            "to create a new block mask."
        )
    if q_len < mask_q or kv_len < mask_kv:
        raise ValueError(
            described + "As the block mask was created for a larger length than you're using it for, you can either "
            "1. create a new block mask with the correct length, or 2. 'adjust' the existing block mask to the "
            "correct length by calling block_mask._adjust(q_len, kv_len). This essentially 'crops' the block mask to "
            "the upper left corner, which does not work for all mask_mods!"
        )


def _check_options(kernel_options: dict[str, Any] | None) -> None:
    options = {} if kernel_options is None else dict(kernel_options)
    for name in ("OUTPUT_LOGSUMEXP", "OUTPUT_MAX"):
        if name in options:
            raise AssertionError(f"{name} must not be in kernel_options")
    backend = options.get("BACKEND", "AUTO")
    if backend not in _BACKENDS:
        raise ValueError(f"Invalid BACKEND value '{backend}'. Must be one of {_BACKENDS}")


def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: FlexKernelOptions | None = None,
    *,
    return_aux: AuxRequest | None = None,
) -> Tensor | tuple[Tensor, Tensor] | tuple[Tensor, AuxOutput]:
    """Attention with a function of the scores and a sparse mask.

    ``query`` is (B, Hq, L, E), ``key`` (B, Hkv, S, E), ``value`` (B, Hkv, S, Ev); the output is (B, Hq, L, Ev) in the
    query's dtype, computed in float32, or float64 for float64 queries. ``score_mod(score, b, h, q_idx, kv_idx)`` gets
    each score, scaled by ``scale`` (by default 1 / sqrt(E)), and the four indices, all tensors without dimensions,
    and returns the score to use. Gradients flow to the inputs and to whatever ``score_mod`` captures.
    With ``enable_gqa`` the number of query heads may be a multiple of that of the keys. ``return_aux`` asks for the
    log-sum-exp and the maxima of the scores, both (B, Hq, L); ``return_lse`` is its older form.

    Raises ValueError for sizes that don't fit, devices that differ or an unknown backend in ``kernel_options``;
    NotImplementedError for inputs that don't have 4 dimensions; RuntimeError for a sliced mask without a ``mask_mod``.

    >>> from torch.nn.attention.flex_attention import flex_attention
    >>> q = k = torch.zeros(1, 1, 2, 4)
    >>> flex_attention(q, k, torch.tensor([[[[1.], [3.]]]]), lambda score, b, h, q_idx, kv_idx: score - 100.0 * kv_idx)
    tensor([[[[1.],
              [1.]]]])
    """
    _check_inputs(query, key, value)
    _check_shapes(query, key, block_mask, enable_gqa)
    if block_mask is not None:
        _check_mask(block_mask, query.shape[2], key.shape[2])
    if return_lse and return_aux is not None:
        raise ValueError(
            "Cannot specify both return_lse and return_aux. return_lse is deprecated, please use "
            "return_aux=AuxRequest(lse=True) instead."
        )
    if return_lse and not _warned:
        _warned.add("return_lse")
        warnings.warn(
            "return_lse is deprecated and will be removed in v2.10. "
            "Please use return_aux=AuxRequest(lse=True) instead.",
            FutureWarning,
            stacklevel=2,
        )
    _check_options(kernel_options)
    if scale is None:
        scale = 1.0 / math.sqrt(query.shape[-1])
    aux = AuxRequest(lse=return_lse) if return_aux is None else return_aux
    mask_mod = noop_mask if block_mask is None else block_mask.mask_mod
    attention = Attention(query, key, value, score_mod, mask_mod, scale)
    out, lse, largest = attend(attention, block_mask, aux.lse, aux.max_scores)
    out = laid_out_like(out, query)
    if return_lse:
        return out, lse
    if return_aux is not None:
        return out, AuxOutput(lse, largest)
    return out


def flex_attention_hop(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod,
    block_mask: tuple[Any, ...],
    scale: float,
    kernel_options: dict[str, Any],
    score_mod_other_buffers: tuple[Any, ...] = (),
    mask_mod_other_buffers: tuple[Any, ...] = (),
) -> tuple[Tensor, Tensor, Tensor]:
    """The operation below ``flex_attention``: output, log-sum-exp and maxima, the last two in powers of 2.

    ``block_mask`` is ``BlockMask.as_tuple()``; the buffers are further arguments of the two functions.
    """
    q_len, kv_len, *tensors, _, height, width, mask_mod = block_mask
    mask = BlockMask(
        (q_len, kv_len),
        *tensors[:8],
        BLOCK_SIZE=(height, width),
        mask_mod=(lambda *at: mask_mod(*at, *mask_mod_other_buffers)) if mask_mod_other_buffers else mask_mod,
    )
    changed = (lambda *at: score_mod(*at, *score_mod_other_buffers)) if score_mod_other_buffers else score_mod
    attention = Attention(query, key, value, changed, mask.mask_mod, scale)
    out, lse, largest = attend(attention, mask, True, True)
    return laid_out_like(out, query), lse / math.log(2.0), largest / math.log(2.0)


@contextlib.contextmanager
def setup_compilation_env() -> Iterator[str]:
    """Inside the block ``torch.compile`` takes the yielded backend's name: the one that runs operations eagerly."""
    yield "eager"
