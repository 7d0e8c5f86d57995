"""One overload of an operation written in Python, and the layers that its calls pass: autocast, autograd, modes and
subclasses, then the implementation for the arguments' device."""

from __future__ import annotations

import torch
from torch import _ops, _schema
from torch.utils import _pytree as pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

# Qualified name, "ns::name.overload", to operation; and implementations that came before their operation.
operations: dict[str, Operation] = {}
early: dict[str, list[tuple[str, Any]]] = {}

# Dispatch keys that are no devices, and where their implementation goes.
_SLOTS = {
    "default": "default",
    "CompositeExplicitAutograd": "default",
    "CompositeExplicitAutogradNonFunctional": "default",
    "CompositeImplicitAutograd": "composite",
}
_CHECKS: dict[str, Any] = {
    "Tensor": torch.Tensor, "int": int, "SymInt": int, "float": (int, float), "bool": bool, "str": str,
    "Scalar": (int, float, bool, complex), "ScalarType": torch.dtype, "Layout": torch.layout,
    "MemoryFormat": torch.memory_format, "Device": (torch.device, str, int), "Generator": torch.Generator,
}  # fmt: skip


def _fits(value: Any, kind: str) -> bool:
    if kind.endswith("?"):
        return value is None or _fits(value, kind[:-1])
    base, bracket, _ = kind.partition("[")
    if bracket:
        return isinstance(value, (list, tuple)) and all(_fits(item, base) for item in value)
    expected = _CHECKS.get(base)
    return expected is None or isinstance(value, expected)


def _default(argument: Any) -> Any:
    value, kind = argument.default_value, argument.type.annotation_str.rstrip("?")
    if isinstance(value, str) and kind in ("ScalarType", "Layout", "MemoryFormat"):
        return getattr(torch, value)
    return torch.device(value) if isinstance(value, str) and kind == "Device" else value


def tensors_in(values: Any) -> Iterator[torch.Tensor]:
    """The tensors among arguments, those in lists included."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(value)


class Operation:
    """What has been registered for one overload."""

    def __init__(self, schema: _schema.FunctionSchema, *, checked: bool = False) -> None:
        self.schema = schema
        self.namespace, _, self.name = schema.name.partition("::")
        self.overload_name = schema.overload_name or "default"
        self.qualname = schema.name + (f".{schema.overload_name}" if schema.overload_name else "")
        self.checked = checked  # made by custom_op: its results may not be its arguments
        self.label = self.qualname  # as messages name it
        self.kernels: dict[str, Callable[..., Any]] = {}
        self.disabled: set[str] = set()
        self.default: Callable[..., Any] | None = None
        self.composite: Callable[..., Any] | None = None
        self.autograd: Callable[..., Any] | None = None
        self.fake: Callable[..., Any] | None = None
        self.backward: Callable[..., Any] | None = None
        self.setup_context: Callable[..., Any] | None = None
        self.vmap: Callable[..., Any] | None = None
        self.autocast: dict[str, torch.dtype] = {}
        self.casting: dict[str, Callable[..., Any]] = {}
        self.dispatch_rules: dict[type, Callable[..., Any]] = {}
        self.tags: tuple[Any, ...] = ()
        self.effect: Any = None
        self.overload = self._publish()
        operations[self.qualname] = self
        for key, function in early.pop(self.qualname, ()):
            self.implement(key, function)

    def _publish(self) -> _ops.OpOverload:
        space = getattr(_ops.ops, self.namespace)
        packet = space.__dict__.get(self.name)
        if packet is None:
            packet = space._add(self.name, _ops.OpOverloadPacket(self.namespace, self.name, None))
            packet._op = _Choice(packet)
        overload = _ops.OpOverload(packet, self.overload_name, self.schema, self.call)
        packet._add(self.overload_name, overload)
        return overload

    def withdraw(self) -> None:
        """The operation is no more."""
        operations.pop(self.qualname, None)
        space = getattr(_ops.ops, self.namespace)
        packet = space.__dict__.get(self.name)
        if packet is not None:
            packet.__dict__.pop(self.overload_name, None)
            packet._dir.remove(self.overload_name)
            if not packet._dir:
                delattr(space, self.name)
                space._dir.remove(self.name)

    @property
    def written(self) -> list[int]:
        """Which arguments are written to."""
        return [i for i, a in enumerate(self.schema.arguments) if a.alias_info is not None and a.alias_info.is_write]

    def implement(self, key: str, function: Callable[..., Any]) -> None:
        """Register an implementation by dispatch key or kind of device."""
        if key.startswith("Autocast"):
            self.casting[key.removeprefix("Autocast").lower()] = function
            return
        slot = "autograd" if key.startswith("Autograd") else _SLOTS.get(key)
        if slot is not None:
            setattr(self, slot, function)
        else:
            self.kernels[key.lower()] = function

    # ---- arguments

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """One value for each parameter of the schema; RuntimeError for a call that does not fit."""
        schema, name = self.schema, f"{self.schema.name}()"
        arguments = schema.arguments
        if len(args) + len(kwargs) > len(arguments):
            raise RuntimeError(
                f"{name} expected at most {len(arguments)} argument(s) but received {len(args) + len(kwargs)} "
                f"argument(s). Declaration: {schema}"
            )
        values, left = [], dict(kwargs)
        positional = sum(not a.kwarg_only for a in arguments)
        if len(args) > positional:
            raise RuntimeError(
                f"{name} takes {positional} positional argument(s) but {len(args)} was/were given.  "
                f"Declaration: {schema}"
            )
        for i, argument in enumerate(arguments):
            if i < len(args):
                value = args[i]
            elif argument.name in left:
                value = left.pop(argument.name)
            elif argument.has_default_value():
                values.append(_default(argument))
                continue
            else:
                raise RuntimeError(f"{name} is missing value for argument '{argument.name}'. Declaration: {schema}")
            if not _fits(value, argument.type.annotation_str):
                raise RuntimeError(
                    f"{name} Expected a value of type '{argument.type}' for argument '{argument.name}' but "
                    "instead found "
                    f"type '{type(value).__name__}'.\nPosition: {i}\nValue: {value}\nDeclaration: {schema}\nCast error "
                    f"details: Unable to cast {value} to {argument.type}"
                )
            values.append(value)
        if left:
            raise RuntimeError(
                f"Unknown keyword argument '{next(iter(left))}' for operator '{schema.name}'. Schema: {schema}"
            )
        return values

    def split(self, values: list[Any], *, all_of_them: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments; those that have their default are left away unless all are wanted."""
        arguments = self.schema.arguments

        def is_default(i: int) -> bool:
            a, value = arguments[i], values[i]
            if all_of_them or not a.has_default_value() or isinstance(value, torch.Tensor):
                return False
            return type(value) is type(_default(a)) and value == _default(a)

        positional = [i for i, a in enumerate(arguments) if not a.kwarg_only]
        while positional and is_default(positional[-1]):
            positional.pop()
        named = {a.name: values[i] for i, a in enumerate(arguments) if a.kwarg_only and not is_default(i)}
        return tuple(values[i] for i in positional), named

    # ---- the layers

    def call(self, /, *args: Any, **kwargs: Any) -> Any:
        values = self.bind(args, kwargs)
        tensors = tuple(tensors_in(values))
        if self.autocast:
            for kind, dtype in self.autocast.items():
                if any(t.device.type == kind for t in tensors) and torch.is_autocast_enabled(kind):
                    return self._call_autocast(kind, dtype, values)
        for kind, function in self.casting.items():
            if any(t.device.type == kind for t in tensors) and torch.is_autocast_enabled(kind):
                args, kwargs = self.split(values, all_of_them=True)
                return function(*args, **kwargs)
        from .vmap import is_mapped, mapped

        if is_mapped(tensors):
            return mapped(self, values)
        if self.composite is not None:
            args, kwargs = self.split(values, all_of_them=True)
            return self.composite(*args, **kwargs)
        if torch.is_grad_enabled() and any(t.requires_grad for t in tensors) and not torch._C._below_autograd():
            if self.autograd is not None:
                args, kwargs = self.split(values, all_of_them=True)
                return self.autograd(*args, **kwargs)
            if self.backward is not None or (self.checked and not self.written):
                from .autograd import recorded

                return recorded(self, values)
        return self.below(values)

    def _call_autocast(self, kind: str, dtype: torch.dtype, values: list[Any]) -> Any:
        def cast(leaf: Any) -> Any:
            floating = isinstance(leaf, torch.Tensor) and leaf.is_floating_point() and leaf.dtype != torch.float64
            return leaf.to(dtype) if floating and leaf.device.type == kind else leaf

        args, kwargs = self.split(pytree.tree_map(cast, values), all_of_them=True)
        with torch.autocast(kind, enabled=False):
            return self.call(*args, **kwargs)

    def below(self, values: list[Any]) -> Any:
        """Modes and subclasses, then the implementation."""
        tensors = tuple(tensors_in(values))
        args, kwargs = self.split(values, all_of_them=False)
        if self.dispatch_rules:
            answer = self._by_rule(tensors, args, kwargs)
            if answer is not NotImplemented:
                return answer
        answered = torch._C._dispatch(self.overload, tensors, args, kwargs)
        return answered[0] if answered is not None else self.run(values, tensors)

    def _by_rule(self, tensors: tuple[Any, ...], args: Any, kwargs: Any) -> Any:
        from torch.utils._python_dispatch import _get_current_dispatch_mode, _pop_mode_temporarily

        kinds = tuple(dict.fromkeys(type(t) for t in tensors if type(t).__torch_dispatch__ is not _PLAIN_DISPATCH))
        mode = _get_current_dispatch_mode()
        if mode is not None:
            rule = self.dispatch_rules.get(type(mode))
            if rule is None:
                return NotImplemented
            with _pop_mode_temporarily():
                return rule(mode, self.overload, kinds, args, kwargs)
        for kind in kinds:
            rule = self.dispatch_rules.get(kind)
            if rule is not None:
                return rule(kind, self.overload, kinds, args, kwargs)
        return NotImplemented

    def run(self, values: list[Any], tensors: tuple[Any, ...]) -> Any:
        """The implementation for the arguments' device."""
        device = next((t.device.type for t in tensors), "cpu")
        function = self.implementation(device)
        args, kwargs = self.split(values, all_of_them=True)
        if self.checked:
            with torch._C._AutoDispatchBelowAutograd():
                result = function(*args, **kwargs)
        else:
            result = function(*args, **kwargs)
        for i in self.written:
            for t in tensors_in([values[i]]):
                torch._C._increment_version(t)
        if self.checked:
            self._check_results(result, tensors)
        return result

    def implementation(self, device: str) -> Callable[..., Any]:
        if device == "meta" and "meta" not in self.kernels:
            if self.fake is not None:
                return self._run_fake
            if self.default is not None and not self.checked:
                return self.default
            if self.checked:
                raise RuntimeError(
                    f"There was no fake impl registered for {self.label}. This is necessary for "
                    "torch.compile/export/fx "
                    f"tracing to work. Please use `{self.name}.register_fake` to add an fake impl."
                )
            raise NotImplementedError(
                f"{self.qualname}: attempted to run this operator with Meta tensors, but there was no fake "
                "impl or Meta "
                "kernel registered. Use torch.library.register_fake to add one."
            )
        function = None if device in self.disabled else self.kernels.get(device)
        function = function or self.default
        if function is None:
            known = ", ".join(sorted(k.upper() for k in self.kernels)) or "none"
            raise NotImplementedError(
                f"Could not run '{self.qualname}' with arguments from the '{device.upper()}' backend. This "
                "could be because "
                "the operator doesn't exist for this backend, or was omitted during the selective/custom "
                "build process (if "
                f"using custom build). '{self.qualname}' is only available for these backends: [{known}]."
            )
        return function

    def _run_fake(self, *args: Any, **kwargs: Any) -> Any:
        from .fake_impl import FakeImplCtx, contexts

        assert self.fake is not None
        contexts.append(FakeImplCtx(self.qualname))
        try:
            return self.fake(*args, **kwargs)
        finally:
            contexts.pop()

    def _check_results(self, result: Any, tensors: tuple[Any, ...]) -> None:
        returns = self.schema.returns
        if len(returns) == 1:
            kind = returns[0].type.annotation_str
            if not _fits(result, kind):
                raise RuntimeError(f"Unable to cast {result} to {returns[0].type}")
        elif returns and (not isinstance(result, (tuple, list)) or len(result) != len(returns)):
            raise RuntimeError(f"{self.qualname}: expected {len(returns)} results, got {result!r}")
        seen = {_memory(t) for t in tensors} - {0}
        for t in tensors_in(result if isinstance(result, (tuple, list)) else [result]):
            if any(t is other for other in tensors) or _memory(t) in seen:
                raise RuntimeError(
                    f"{self.qualname}: The output of this custom operator (1) must not also be an input to this custom "
                    "operator and (2) may not alias any inputs to this custom operator or other returns. The "
                    "most common way "
                    "to trigger this error is if we have y = custom_op(x) and y and x are the same Tensor. "
                    "Please instead "
                    "return a clone of the offending output tensor(s) (e.g. return x.clone()) or refactor "
                    "the custom operator "
                    "to not return y."
                )
            if _memory(t):
                seen.add(_memory(t))


_PLAIN_DISPATCH = torch.Tensor.__torch_dispatch__


def _memory(t: torch.Tensor) -> int:
    """The address of a tensor's memory; 0 where there is none."""
    return 0 if t.layout is not torch.strided or t.is_meta else t.untyped_storage().data_ptr()


class _Choice:
    """What a packet calls: the first overload whose schema the arguments fit."""

    def __init__(self, packet: _ops.OpOverloadPacket) -> None:
        self._packet = packet

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        found = [getattr(self._packet, name)._op.__self__ for name in dict.fromkeys(self._packet._dir)]
        if len(found) == 1:
            return found[0].call(*args, **kwargs)
        refused = []
        for operation in found:
            try:
                operation.bind(args, kwargs)
            except RuntimeError as error:
                refused.append(str(error))
            else:
                return operation.call(*args, **kwargs)
        raise RuntimeError(
            "Overloaded torch operator invoked from Python failed to match any schema:\n" + "\n\n".join(refused)
        )
