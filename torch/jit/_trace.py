"""``torch.jit.trace``: TorchScript from a run of a function or a module with example inputs.

What the program computes with tensors is recorded; what it decides in Python is not, and stays as it was in that run.
"""

from __future__ import annotations

import inspect
import warnings

import torch
from torch.nn import Module

from . import _trace_state
from ._trace_graph import Trace, Value
from ._trace_lower import Lowering
from ._trace_modules import traced_modules
from ._trace_record import Recorder, type_of
from ._trace_state import TracerWarning, is_tracing  # noqa: F401 - found here in PyTorch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._unit import CompilationUnit

_UNTRACEABLE = (
    "Type '{}' cannot be traced. Only Tensors and (possibly nested) Lists, Dicts, and Tuples of Tensors can be traced"
)
_CONTAINER = (
    "Encountering a {} at the output of the tracer might cause the trace to be incorrect, this is only valid if the "
    "container structure does not change based on the module's inputs. Consider using a constant container instead "
    "(e.g. for `list`, use a `tuple` instead. for `dict`, use a `NamedTuple` instead). If you absolutely need this and "
    "know the side effects, pass strict=False to trace() to allow this behavior."
)
_NO_RESULT = (
    "The traced function didn't return any values! Side-effects are not captured in traces, so it would be a no-op."
)
_NO_TENSORS = "Only tensors, lists, tuples of tensors, or dictionary of tensors can be output from traced functions"
_IS_SCRIPT = "The input to trace is already a ScriptModule, tracing it is a no-op. Returning the object as is."
_NO_EFFECT = "`optimize` is deprecated and has no effect. Use `with torch.jit.optimized_execution()` instead"


def make_tuple(example_inputs: Any) -> Any:
    """The example inputs as a tuple of arguments."""
    if isinstance(example_inputs, (torch.Tensor, dict)):
        return (example_inputs,)
    if not isinstance(example_inputs, tuple):
        return tuple(example_inputs)
    return example_inputs


# ---- inputs and outputs


def _enter(recorder: Recorder, name: str, example: Any, trace: Trace) -> Any:
    """Declare a parameter; the argument to call the program with."""
    value = Value(type_of(example), example)
    value.scope = recorder.root
    value.name = name
    trace.parameters.append((name, value))
    return _take(recorder, value, example)


def _take(recorder: Recorder, value: Value, example: Any) -> Any:
    """The parts of an input as the program gets them; each becomes known to the trace."""
    if isinstance(example, torch.Tensor):
        if id(example) in recorder.values:
            example = example.view(example.shape)  # the same tensor twice is two inputs
        recorder.bind(example, value)
        return example
    if isinstance(example, dict):
        found = {}
        for key, part in example.items():
            item = recorder.simple(
                "aten::__getitem__", [("self", value, False), ("key", key, False)], type_of(part), part
            )
            found[key] = _take(recorder, item, part)
        return found
    kind = "prim::TupleUnpack" if isinstance(example, tuple) else "prim::ListUnpack"
    parts = recorder.unpack(value, list(example), kind)
    taken = [_take(recorder, v, p) for v, p in zip(parts, example, strict=True)]
    return tuple(taken) if isinstance(example, tuple) else taken


def _is_traceable(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_traceable, value))
    if isinstance(value, dict):
        return all(map(_is_traceable, value.values()))
    return isinstance(value, torch.Tensor)


def _check_inputs(inputs: tuple[Any, ...]) -> None:
    try:
        shown = type_of(inputs)
    except TypeError as e:
        raise RuntimeError(f"Tracer cannot infer type of {inputs}\n:{e}") from None
    if not _is_traceable(inputs):
        raise RuntimeError(_UNTRACEABLE.format(shown))


def _result(recorder: Recorder, result: Any, strict: bool) -> Any:
    """A result of the program as values of the trace."""
    if result is None:
        raise RuntimeError(_NO_RESULT)
    if isinstance(result, torch.Tensor):
        return recorder.value_of(result)
    if isinstance(result, tuple):
        return tuple(_result(recorder, v, strict) for v in result)
    if isinstance(result, list):
        if strict:
            warnings.warn(_CONTAINER.format("list"), TracerWarning, stacklevel=6)
        return [_result(recorder, v, strict) for v in result]
    if isinstance(result, dict):
        if strict:
            raise RuntimeError(_CONTAINER.format("dict"))
        return {k: _result(recorder, v, strict) for k, v in result.items()}
    raise RuntimeError(_NO_TENSORS)


def _is_output(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_output, value))
    return isinstance(value, torch.Tensor) or (isinstance(value, dict) and all(map(_is_output, value.values())))


def _parameter_names(func: Any, count: int, is_method: bool) -> list[str]:
    """What the inputs are called: as the function calls them, if it does."""
    try:
        parameters = list(inspect.signature(func).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in plain]
    if len(names) < count:
        return [f"argument_{i + is_method}" for i in range(count)]
    return names[:count]


def _record(
    call: Callable[..., Any], signature: Any, inputs: Any, module: Module | None, strict: bool, force_outplace: bool
) -> Trace:
    """Run a program and note what it does. ``inputs`` are its arguments, or a dictionary of them by name."""
    by_name = inputs if isinstance(inputs, dict) else None
    values = tuple(inputs.values()) if by_name is not None else inputs
    _check_inputs(values)
    recorder = Recorder(module, force_outplace)
    trace = Trace(recorder.root)
    if by_name is not None:
        names = list(by_name)
    else:
        names = _parameter_names(signature, len(values), module is not None)
    arguments = [_enter(recorder, n, v, trace) for n, v in zip(names, values, strict=True)]
    before = _trace_state.set_current(recorder)
    try:
        with traced_modules(), recorder:
            if by_name is not None:
                result = call(**dict(zip(names, arguments, strict=True)))
            else:
                result = call(*arguments)
    finally:
        _trace_state.set_current(before)
    if result is not None and not _is_output(result):
        raise RuntimeError(_NO_TENSORS)
    trace.result = _result(recorder, result, strict)
    if isinstance(result, (list, tuple, dict)):
        try:
            type_of(result)
        except TypeError as e:
            raise RuntimeError(f"Tracer cannot infer type of {result}\n:{e}") from None
    return trace


def _function_name(func: Any) -> str:
    name = getattr(func, "__name__", None)
    if not isinstance(name, str):
        raise RuntimeError("Could not get name of python class object")
    return "_lambda" if name == "<lambda>" else name


# ---- modules


def _script_class() -> Any:
    from ._script import RecursiveScriptModule

    return RecursiveScriptModule


_classes: dict[str, Any] = {}


def __getattr__(name: str) -> Any:
    # These derive from ScriptModule, whose module is loaded only where it is needed.
    if name in ("TracedModule", "TopLevelTracedModule"):
        if not _classes:
            from . import _trace_classes

            _classes.update(vars(_trace_classes))
        return _classes[name]
    if name == "ONNXTracedModule":
        from ._trace_onnx import ONNXTracedModule

        return ONNXTracedModule
    if name in ("_get_trace_graph", "_unique_state_dict"):
        from . import _trace_onnx

        return getattr(_trace_onnx, name)
    if name in ("TracingCheckError", "_check_trace", "verify"):
        from . import _trace_check

        return getattr(_trace_check, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _is_script(value: Any) -> bool:
    from ._script import ScriptModule

    return isinstance(value, ScriptModule)


def _deprecated(name: str) -> None:
    warnings.warn(
        f"`torch.jit.{name}` is deprecated. Please switch to `torch.compile` or `torch.export`.",
        DeprecationWarning,
        stacklevel=3,
    )


def trace_module(
    mod: Module,
    inputs: dict[str, Any],
    optimize: Any = None,
    check_trace: bool = True,
    check_inputs: Any = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    _force_outplace: bool = False,
    _module_class: Any = None,
    _compilation_unit: CompilationUnit | None = None,
    example_inputs_is_kwarg: bool = False,
    _store_inputs: bool = True,
) -> Any:
    """A TorchScript module whose methods do what those of ``mod`` did with example inputs.

    Args:
        mod: the module; its parameters and buffers are shared with the result.
        inputs: example inputs by the method's name; a tensor, or a tuple of tensors, or nested lists, tuples and
            dictionaries of tensors.
        check_trace: run the program again and compare, see ``trace``.
        check_inputs: dictionaries like ``inputs`` to compare with as well.
        check_tolerance: how far results may differ then, relatively.
        strict: refuse results in dictionaries, and warn of those in lists.
        example_inputs_is_kwarg: whether the inputs are dictionaries of arguments by name.

    Raises:
        AttributeError: ``mod`` is no module, ``inputs`` no dictionary, or there is no such method.
        RuntimeError: an input or a result is no tensor, or a tensor that requires gradients is no parameter.
        TracingCheckError: the program did something else the second time.

    Example:
        >>> import torch
        >>> class Net(torch.nn.Module):
        ...     def forward(self, x):
        ...         return 2 * x
        ...     def shift(self, x, by):
        ...         return x + by
        >>> x = torch.ones(2)
        >>> traced = torch.jit.trace_module(Net(), {"forward": x, "shift": (x, x)})
        >>> traced.shift(x, torch.tensor([1., 2.]))
        tensor([2., 3.])
    """
    _deprecated("trace_method")
    if not isinstance(mod, Module):
        raise AttributeError("expected torch.nn.Module as the first argument")
    if not isinstance(inputs, dict):
        raise AttributeError("expected a dictionary of (method_name, input) pairs")
    return _trace_methods(
        mod, inputs, optimize, check_trace, check_inputs, check_tolerance, strict, _force_outplace, _module_class,
        example_inputs_is_kwarg,
    )  # fmt: skip


def _trace_methods(
    mod: Module, inputs: dict[str, Any], optimize: Any, check_trace: bool, check_inputs: Any, check_tolerance: float,
    strict: bool, force_outplace: bool, module_class: Any, by_name: bool,
) -> Any:  # fmt: skip
    from ._recursive import wrap_module
    from ._trace_classes import TopLevelTracedModule

    if optimize is not None:
        warnings.warn(_NO_EFFECT, FutureWarning, stacklevel=4)
    if _is_script(mod):
        warnings.warn(_IS_SCRIPT, stacklevel=4)
        return mod
    top = module_class or TopLevelTracedModule
    traced = wrap_module(mod, lambda inner: top if inner is mod else _classes_for(inner))
    places = dict(mod.named_modules(remove_duplicate=False))

    def place(path: str) -> Any:
        found = traced
        for step in filter(None, path.split(".")):
            found = getattr(found, step)
        return found

    for name, example in inputs.items():
        method = mod if name == "forward" else getattr(mod, name)
        arguments = example if by_name else make_tuple(example)
        signature = mod.forward if name == "forward" else method

        def root_call(*args: Any, method: Any = method, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        trace = _record(root_call, signature, arguments, mod, strict, force_outplace)
        traced._add_method(name, Lowering(trace, place).root_graph())
    del places
    if check_trace:
        from ._trace_check import check_module

        given = check_inputs if check_inputs is not None else [inputs]
        check_module(given, mod, traced, check_tolerance, strict, force_outplace, by_name)
    return traced


def _classes_for(module: Module) -> Any:
    from ._trace_classes import TracedModule

    return TracedModule


def trace(
    func: Any,
    example_inputs: Any = None,
    optimize: Any = None,
    check_trace: bool = True,
    check_inputs: Any = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    _force_outplace: bool = False,
    _module_class: Any = None,
    _compilation_unit: CompilationUnit | None = None,
    example_kwarg_inputs: Any = None,
    _store_inputs: bool = True,
) -> Any:
    """TorchScript that does what a function or a module did with example inputs.

    The program runs once and its operations on tensors are recorded, sizes that it asks for among them. Decisions and
    loops of Python are not: the result does what this run did, whatever it is given. A ``TracerWarning`` tells where a
    tensor became a Python number, a boolean or an array on the way.

    Args:
        func: a function, a module, or a module's ``forward``.
        example_inputs: a tuple of arguments; a single tensor may stand alone. Arguments are tensors, or nested lists,
            tuples and dictionaries of tensors.
        check_trace: run ``func`` again and compare graphs and results; a program with dropout is one that differs.
        check_inputs: a list of other inputs to compare with.
        check_tolerance: how far results may differ then, relatively.
        strict: refuse results in dictionaries, and warn of those in lists.
        example_kwarg_inputs: arguments by name, in place of ``example_inputs``.

    Returns:
        A ``ScriptFunction``, or a ``TopLevelTracedModule``; both can be saved and run without the Python program.

    Raises:
        RuntimeError: an input or a result is no tensor, or a tensor that requires gradients is no parameter.
        TracingCheckError: the program did something else the second time.

    Example:
        >>> import torch
        >>> traced = torch.jit.trace(lambda x: x.reshape(x.size(0), -1), torch.ones(2, 3, 4))
        >>> traced(torch.ones(5, 2, 2)).shape
        torch.Size([5, 4])
    """
    _deprecated("trace")
    if isinstance(func, torch.nn.Module) or (
        inspect.ismethod(func) and isinstance(func.__self__, Module) and func.__name__ == "forward"
    ):
        module = func if isinstance(func, Module) else func.__self__
        if _is_script(module):
            warnings.warn(_IS_SCRIPT, stacklevel=2)
            return module
        by_name = example_kwarg_inputs is not None
        if by_name and not isinstance(example_kwarg_inputs, dict):
            raise RuntimeError("example_kwarg_inputs should be a dict")
        example = example_kwarg_inputs if by_name else make_tuple(example_inputs)
        checks = None if check_inputs is None else [{"forward": make_tuple(c)} for c in check_inputs]
        return _trace_methods(
            module, {"forward": example}, optimize, check_trace, checks, check_tolerance, strict, _force_outplace,
            _module_class, by_name,
        )  # fmt: skip
    from ._script import ScriptFunction
    from ._unit import Function, python_unit

    if optimize is not None:
        warnings.warn(_NO_EFFECT, FutureWarning, stacklevel=2)
    if isinstance(func, ScriptFunction):
        return func
    by_name = example_kwarg_inputs is not None
    example = example_kwarg_inputs if by_name else make_tuple(example_inputs)
    name = _function_name(func)
    recorded = _record(func, func, example, None, strict, _force_outplace)
    graph = Lowering(recorded, None).root_graph()
    unit = _compilation_unit or python_unit
    qualified = unit.fresh(f"__torch__.{name}")
    function = unit._functions[qualified] = Function.from_graph(qualified, graph)
    traced = ScriptFunction(function)
    if check_trace:
        from ._trace_check import check_function

        given = [make_tuple(c) for c in check_inputs] if check_inputs is not None else [example]
        check_function(given, func, traced, check_tolerance, strict, _force_outplace)
    return traced
