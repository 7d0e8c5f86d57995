"""Small things that programs around ``torch.compile`` use."""

from __future__ import annotations

import collections
import functools
import time
import warnings
from typing import Any

import torch
from torch.utils import _pytree as pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["checkpoint_params", "clone_input", "clone_inputs", "counters", "guard_failures", "graph_break_reasons",
           "is_compile_supported", "is_namedtuple", "istype", "nnmodule_has_hooks", "rmse", "same", "timed",
           "warn_once"]  # fmt: skip

# How often something happened, by kind and name.
counters: collections.defaultdict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
guard_failures: collections.defaultdict[Any, list[Any]] = collections.defaultdict(list)
graph_break_reasons: list[Any] = []


def is_compile_supported(device_type: Any) -> Any:
    """Whether functions on a device can be compiled."""
    return torch.device(device_type).type in ("cpu", "meta")


@functools.lru_cache(4096)
def _warned(msg: str) -> bool:
    return True


def warn_once(msg: str, stacklevel: int = 1) -> None:
    """Warn, if this was not said before."""
    before = _warned.cache_info().currsize
    _warned(msg)
    if _warned.cache_info().currsize != before:
        warnings.warn(msg, stacklevel=stacklevel + 1)


def istype(obj: object, allowed_types: Any) -> bool:
    """Whether an object is of exactly one of some classes."""
    if isinstance(allowed_types, (tuple, list, set)):
        return type(obj) in allowed_types
    return type(obj) is allowed_types


def is_namedtuple(obj: Any) -> bool:
    """Whether an object is a named tuple, or one of the results that look like it."""
    return isinstance(obj, tuple) and hasattr(obj, "_fields") or type(obj).__module__ == "torch.return_types"


def clone_input(x: torch.Tensor, *, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A copy of a tensor that requires gradients if it does, with the same strides."""
    with torch.no_grad():
        made = torch.empty_strided(x.size(), x.stride(), dtype=dtype or x.dtype, device=x.device)
        made.copy_(x)
    return made.requires_grad_(x.requires_grad) if made.is_floating_point() or made.is_complex() else made


def clone_inputs(example_inputs: Any) -> Any:
    """Copies of inputs: a list, or a dictionary."""
    if isinstance(example_inputs, dict):
        return {k: clone_input(v) if isinstance(v, torch.Tensor) else v for k, v in example_inputs.items()}
    return [clone_input(v) if isinstance(v, torch.Tensor) else v for v in example_inputs]


def checkpoint_params(gm: torch.nn.Module) -> Callable[[], None]:
    """A function that takes parameters, buffers and random numbers back to what they are now."""
    with torch.no_grad():
        random = torch.get_rng_state()
        saved = [(t, t._version, t.clone()) for t in (*gm.parameters(), *gm.buffers())]

    def restore() -> None:
        with torch.no_grad():
            torch.set_rng_state(random)
            for tensor, version, value in saved:
                if tensor._version != version:
                    tensor.copy_(value)

    return restore


def timed(model: Any, example_inputs: Iterable[Any], times: int = 1) -> tuple[Any, float]:
    """The result of some calls, and how long they took in seconds."""
    torch.manual_seed(1337)
    inputs = list(example_inputs)
    start = time.perf_counter()
    result = None
    for _ in range(times):
        result = model(*inputs)
    return result, time.perf_counter() - start


def rmse(ref: torch.Tensor, res: torch.Tensor) -> torch.Tensor:
    """The root of the mean squared difference."""
    return torch.sqrt(torch.mean(torch.square(ref - res)))


def nnmodule_has_hooks(
    mod: torch.nn.Module, check_forward_hooks: bool = False, check_backward_hooks: bool = False,
    check_state_dict_hooks: bool = False,
) -> bool:  # fmt: skip
    """Whether a module has hooks; of all kinds unless some are named."""
    every = not (check_forward_hooks or check_backward_hooks or check_state_dict_hooks)
    found: list[Any] = []
    if check_forward_hooks or every:
        found += [mod._forward_pre_hooks, mod._forward_hooks]
    if check_backward_hooks or every:
        found += [mod._backward_pre_hooks, mod._backward_hooks]
    if check_state_dict_hooks or every:
        found += [mod._state_dict_pre_hooks, mod._state_dict_hooks, mod._load_state_dict_pre_hooks,
                  mod._load_state_dict_post_hooks]  # fmt: skip
    return any(found)


def reset_frame_count() -> None:
    """Forget how many functions were compiled."""
    counters["frames"].clear()


def same(
    ref: Any, res: Any, fp64_ref: Any = None, cos_similarity: bool = False, tol: float = 1e-4, equal_nan: bool = False,
    exact_dtype: bool = True, **others: Any,
) -> bool:  # fmt: skip
    """Whether two nested results agree.

    Args:
        fp64_ref: the result in double precision; ``res`` may be as far from it as ``ref`` is, and a little more.
        cos_similarity: compare directions only.
        tol: how far they may be apart, relatively and absolutely.
        exact_dtype: whether dtypes have to agree.
    """
    a, spec = pytree.tree_flatten(ref)
    b, other = pytree.tree_flatten(res)
    c = pytree.tree_leaves(fp64_ref) if fp64_ref is not None else [None] * len(a)
    if spec != other or len(c) != len(a):
        return False
    return all(
        _same_leaf(x, y, z, cos_similarity, tol, equal_nan, exact_dtype) for x, y, z in zip(a, b, c, strict=True)
    )


def _same_leaf(a: Any, b: Any, exact: Any, cosine: bool, tol: float, equal_nan: bool, exact_dtype: bool) -> bool:
    if not isinstance(a, torch.Tensor) or not isinstance(b, torch.Tensor):
        if isinstance(a, float) and isinstance(b, float):
            return abs(a - b) <= tol * max(1.0, abs(a))
        return type(a) is type(b) and bool(a == b)
    if a.shape != b.shape or (exact_dtype and a.dtype != b.dtype):
        return False
    if a.dtype == torch.bool or not (a.is_floating_point() or a.is_complex()):
        return bool(torch.equal(a, b.to(a.dtype)))
    first, second = a.detach().to(torch.float64), b.detach().to(torch.float64)
    if cosine:
        flat = torch.nn.functional.cosine_similarity(first.flatten(), second.flatten(), dim=0, eps=1e-6)
        return bool(flat >= 0.99)
    if torch.allclose(first, second, atol=tol, rtol=tol, equal_nan=equal_nan):
        return True
    if exact is None:
        return False
    goal = exact.detach().to(torch.float64)
    return bool(rmse(goal, second) <= 2.0 * rmse(goal, first) + tol / 10.0)
