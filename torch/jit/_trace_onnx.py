"""Traces whose parameters are inputs, as exporters and tools that count operations take them."""

from __future__ import annotations

import torch
from torch.nn import Module
from torch.utils import _pytree as pytree

from . import _trace_state
from ._trace import _NO_RESULT, _result
from ._trace_graph import Trace, Value
from ._trace_lower import Lowering
from ._trace_modules import traced_modules
from ._trace_record import Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ONNXTracedModule"]


def _unique_state_dict(module: Module, keep_vars: bool = False) -> dict[str, torch.Tensor]:
    """The parameters and buffers of a module, each under the first of its names."""
    seen: set[int] = set()
    found = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            found[name] = tensor if keep_vars else tensor.detach()
    return found


class ONNXTracedModule(Module):
    """Calling it gives the graph of a module's run, in which the module's parameters are inputs, and the result.

    Args:
        inner: the module.
        strict: refuse results in dictionaries, and warn of those in lists.
        return_inputs: return the graph's inputs too.
        return_inputs_states: return the arguments as they were before the run and as they are after it.

    Raises:
        RuntimeError: a result is no tensor.
    """

    def __init__(
        self,
        inner: Module,
        strict: bool = True,
        force_outplace: bool = False,
        return_inputs: bool = False,
        return_inputs_states: bool = False,
    ) -> None:
        super().__init__()
        self.inner = inner
        self.strict = strict
        self._force_outplace = force_outplace
        self._return_inputs = return_inputs
        self._return_inputs_states = return_inputs_states

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        leaves, spec = pytree.tree_flatten((args, kwargs))
        before = pytree.tree_map_only(torch.Tensor, lambda t: t.detach().clone(), args)
        state = list(_unique_state_dict(self.inner, keep_vars=True).values())
        recorder = Recorder(self.inner, self._force_outplace)
        recorder._attributes.clear()
        trace = Trace(recorder.root)
        given = [v for v in leaves if isinstance(v, torch.Tensor)]
        for tensor in [*given, *state]:
            value = Value("Tensor", tensor)
            value.scope = recorder.root
            recorder.bind(tensor, value)
            trace.parameters.append(("", value))
        kept = [t.detach().clone().requires_grad_(t.requires_grad) if t.is_floating_point() else t.clone()
                for t in [*given, *state]]  # fmt: skip
        call_args, call_kwargs = pytree.tree_unflatten(leaves, spec)
        outer = _trace_state.set_current(recorder)
        try:
            with traced_modules(), recorder:
                result = self.inner(*call_args, **call_kwargs)
        finally:
            _trace_state.set_current(outer)
        if result is None:
            raise RuntimeError(_NO_RESULT)
        trace.result = _result(recorder, result, self.strict)
        graph = Lowering(trace, None).flat_graph()
        if self._return_inputs:
            return graph, result, tuple(kept)
        if self._return_inputs_states:
            return graph, result, (before, args)
        return graph, result


def _get_trace_graph(
    f: Any,
    args: Any = (),
    kwargs: dict[str, Any] | None = None,
    strict: bool = True,
    _force_outplace: bool = False,
    return_inputs: bool = False,
    _return_inputs_states: bool = False,
) -> Any:
    """(graph, result) of a module's run with arguments, and what else ``ONNXTracedModule`` was asked for."""
    if not isinstance(args, tuple):
        args = (args,)
    traced = ONNXTracedModule(f, strict, _force_outplace, return_inputs, _return_inputs_states)
    return traced(*args, **(kwargs or {}))


ONNXTracedModule.__module__ = _get_trace_graph.__module__ = "torch.jit._trace"
