"""Arguments that a module is called with, watched in order to export it."""

from __future__ import annotations

import contextlib
import inspect
import time
from typing import Any

import torch
from torch.export import Dim
from torch.utils import _pytree as pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._program import ONNXProgram

__all__ = ["InputObserver"]


class InputObserver:
    """Notes the arguments of a module's calls, and what they say about its open sizes.

    Args:
        value_if_missing: values for arguments that some calls leave out, by name or position.

    >>> observer = torch.onnx.InputObserver()
    >>> module = torch.nn.Linear(4, 2)
    >>> with observer(module):
    ...     _ = module(torch.ones(2, 4)), module(torch.ones(3, 4))
    >>> observer.infer_dynamic_shapes()
    ({0: DimHint(DYNAMIC)},)
    """

    def __init__(self, value_if_missing: dict[str | int, Any] | None = None) -> None:
        self.value_if_missing = dict(value_if_missing or {})
        self._calls: list[tuple[tuple[Any, ...], dict[str, Any], Any, float]] = []
        self._names: list[str] = []

    @contextlib.contextmanager
    def __call__(self, model: torch.nn.Module, store_n_calls: int = 3) -> Iterator[InputObserver]:
        """Inside, the first calls of the module are noted."""
        self._names = list(inspect.signature(model.forward).parameters)
        own = model.__dict__.get("forward")
        plain = model.forward

        def watched(*args: Any, **kwargs: Any) -> Any:
            given = _copied((args, kwargs)) if len(self._calls) < store_n_calls else None
            start = time.perf_counter()
            found = plain(*args, **kwargs)
            if given is not None:
                self._calls.append((*given, _copied(found), time.perf_counter() - start))
            return found

        model.forward = watched  # type: ignore[method-assign]
        try:
            yield self
        finally:
            if own is None:
                del model.__dict__["forward"]
            else:
                model.forward = own

    def num_obs(self) -> int:
        """How many calls were noted."""
        return len(self._calls)

    def _check_captured(self) -> None:
        if not self._calls:
            raise RuntimeError("No inputs were captured.")

    def _combined(self) -> list[dict[str, Any]]:
        """The arguments of each call by name."""
        found = []
        for args, kwargs, _, _ in self._calls:
            given = dict(zip(self._names, args, strict=False)) | kwargs
            for place, value in self.value_if_missing.items():
                given.setdefault(self._names[place] if isinstance(place, int) else place, value)
            found.append({name: given[name] for name in [*self._names, *given] if given.get(name) is not None})
        return found

    def _by_name(self) -> bool:
        return any(kwargs for _, kwargs, _, _ in self._calls)

    def infer_arguments(
        self, index_or_args_or_kwargs: Any = None, flat: bool = False, as_args_kwargs: bool = False
    ) -> Any:
        """Arguments to export with: those of the call that has most, or of the call with a number.

        Raises:
            RuntimeError: no call was noted.
        """
        self._check_captured()
        calls = self._combined()
        if isinstance(index_or_args_or_kwargs, int):
            chosen = calls[index_or_args_or_kwargs]
        elif index_or_args_or_kwargs is not None:
            given = index_or_args_or_kwargs
            chosen = dict(given) if isinstance(given, dict) else dict(zip(self._names, given, strict=False))
        else:
            chosen = max(calls, key=lambda c: len(pytree.tree_leaves(c)))
        if flat:
            return pytree.tree_leaves(chosen)
        if as_args_kwargs:
            return ((), chosen) if self._by_name() else (tuple(chosen.values()), {})
        return chosen if self._by_name() else tuple(chosen.values())

    def infer_dynamic_shapes(self, set_batch_dimension_for: set[int | str] | bool | None = None) -> Any:
        """The sizes that differ between the calls, as ``torch.export.export`` takes them.

        ``set_batch_dimension_for`` leaves the first size open of all arguments (True) or of some.

        Raises:
            RuntimeError: no call was noted.
        """
        self._check_captured()
        calls = self._combined()
        names = list(dict.fromkeys(name for call in calls for name in call))
        shapes = {}
        for number, name in enumerate(names):
            chosen = set_batch_dimension_for
            batch = chosen is True or (isinstance(chosen, (set, frozenset)) and bool({number, name} & chosen))
            shapes[name] = _differences([call[name] for call in calls if name in call], batch)
        return shapes if self._by_name() else tuple(shapes.values())

    def check_discrepancies(
        self, onnx_program: ONNXProgram, atol: float = 1e-4, rtol: float = 0.1, progress_bar: bool = False,
        initializer: Any = None, skip_none: bool = True,
    ) -> list[dict[str, str | int | float | bool]]:  # fmt: skip
        """How far a model's results are from those of the calls: for each the largest differences.

        Raises:
            RuntimeError: no call was noted.
        """
        self._check_captured()
        if initializer is not None:
            onnx_program.initialize_inference_session(initializer)
        rows: list[dict[str, str | int | float | bool]] = []
        for index, (args, kwargs, expected, taken) in enumerate(self._calls):
            start = time.perf_counter()
            actual = onnx_program(*args, **kwargs)
            wanted = [v for v in pytree.tree_leaves(expected) if v is not None or not skip_none]
            absolute = relative = 0.0
            for a, e in zip(actual, wanted, strict=True):
                far = (a.to(torch.float64) - e.to(torch.float64)).abs()
                if far.numel():
                    absolute = max(absolute, float(far.max()))
                    relative = max(relative, float((far / (e.abs().to(torch.float64) + 1e-6)).max()))
            rows.append({
                "index": index, "duration_torch": taken, "duration_ort": time.perf_counter() - start,
                "n_inputs": len(pytree.tree_leaves((args, kwargs))), "abs": absolute, "rel": relative,
                "SUCCESS": absolute <= atol or relative <= rtol,
            })  # fmt: skip
        return rows


def _copied(values: Any) -> Any:
    """The values with tensors of their own, which later writes do not reach."""
    return pytree.tree_map(lambda v: v.detach().clone() if isinstance(v, torch.Tensor) else v, values)


def _differences(values: list[Any], batch: bool) -> Any:
    """For each tensor, the sizes that are not always the same."""

    def one(first: Any, *others: Any) -> Any:
        if not isinstance(first, torch.Tensor):
            return None
        found = {
            d: Dim.DYNAMIC
            for d in range(first.dim())
            if any(d < o.dim() and o.shape[d] != first.shape[d] for o in others) or (batch and d == 0)
        }
        return found

    return pytree.tree_map(one, values[0], *values[1:])
