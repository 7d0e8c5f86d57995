"""Export that goes through: what it has to assume is noted in a report."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.fx.experimental._unbacked import DYNAMIC, only_mask
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from ._errors import UserError
from .dynamic_shapes import refine_dynamic_shapes_from_suggested_fixes
from .exported_program import ExportedProgram

__all__ = ["DraftExportReport", "draft"]

_ATTEMPTS = 5
_NUMBERS = frozenset("item __bool__ __int__ __index__ __float__".split())


class DraftExportReport:
    """What ``draft_export`` assumed: a text for each."""

    def __init__(self, failures: list[str]) -> None:
        self.failures = failures

    def successful(self) -> bool:
        """Whether nothing had to be assumed."""
        return not self.failures

    def __str__(self) -> str:
        if not self.failures:
            return "Congratulations: No issues are found during export, and it was able to soundly produce a graph."
        return "\n".join([f"{len(self.failures)} assumption(s) were made:", *(f"  {f}" for f in self.failures)])

    __repr__ = __str__


class _Watch(TorchFunctionMode):
    """Notes the numbers that a program takes from elements of tensors, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name in _NUMBERS and args and isinstance(args[0], torch.Tensor):
            with torch._C.DisableTorchFunction():
                number = args[0].item()
            self.found.append(int(number) if isinstance(number, bool) else number)
        elif name == "tolist":
            self.found += [int(n) if isinstance(n, bool) else n for n in pytree.tree_leaves(result)]
        elif name in DYNAMIC:
            self.found += _size(DYNAMIC[name], result, args, kwargs)
        return result


def _size(name: str, result: Any, args: Any, kwargs: Any) -> list[int]:
    """The size of a result that depends on elements, if it does."""
    if name == "setitem" or (name == "where" and len(args) + len(kwargs) > 1):
        return []
    if name == "repeat_interleave":
        by_tensor = any(isinstance(v, torch.Tensor) for v in [*args[1:], *kwargs.values()])
        dim = kwargs.get("dim", args[2] if len(args) > 2 else None)
        return [result.shape[0 if dim is None else dim]] if by_tensor else []
    if name == "getitem":
        found = only_mask(args[0], args[1])
        return [result.shape[found[1]]] if found is not None else []
    first = result[0] if isinstance(result, (tuple, list)) else result
    return [first.shape[0]]


def draft(
    mod: torch.nn.Module, args: tuple[Any, ...], kwargs: Any, dynamic_shapes: Any, preserved: tuple[str, ...]
) -> ExportedProgram:
    """``torch.export.draft_export`` after its arguments were put in order."""
    from ._trace import export_module

    failures: list[str] = []
    by_name = dict(kwargs or {})
    observed = _observed(mod, args, by_name)
    for attempt in range(_ATTEMPTS):
        try:
            program = export_module(mod, args, by_name, dynamic_shapes, preserved, list(observed))
            break
        except UserError as e:
            fixable = dynamic_shapes is not None and "Suggested fixes:" in str(e)
            if not fixable or attempt == _ATTEMPTS - 1:
                raise
            dynamic_shapes = refine_dynamic_shapes_from_suggested_fixes(str(e), dynamic_shapes)
            failures.append(str(e).partition("\n\n")[0])
    program._report = DraftExportReport([*failures, *program._decisions])
    return program


def _observed(mod: Any, args: Any, kwargs: Any) -> list[Any]:
    """The numbers that a run of the module on the example takes from elements; the module is left as it was."""
    if not isinstance(mod, torch.nn.Module):
        raise ValueError(f"Expected `mod` to be an instance of `torch.nn.Module`, got {type(mod)}.")
    watch, own = _Watch(), copy.deepcopy(mod)
    given = pytree.tree_map(lambda v: v.detach().clone() if isinstance(v, torch.Tensor) else v, (args, kwargs))
    state = torch.get_rng_state()
    try:
        with torch.no_grad(), watch:
            own(*given[0], **given[1])
    finally:
        torch.set_rng_state(state)
    return watch.found
