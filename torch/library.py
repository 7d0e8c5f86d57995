"""Operations written in Python: names under ``torch.ops``, derivatives, and implementations for kinds of devices."""

from __future__ import annotations

from . import _schema
from ._library import operation as _operation
from ._library.custom_ops import CustomOpDef, custom_op, definitions, parse_namespace
from ._library.fake_impl import get_ctx
from ._library.infer_schema import infer_schema
from ._library.opcheck import opcheck
from ._missing import missing_function
from ._ops import OpOverload, OpOverloadPacket, ops, packet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = [
    "Library",
    "custom_op",
    "define",
    "fallthrough_kernel",
    "get_ctx",
    "get_kernel",
    "impl",
    "impl_abstract",
    "infer_schema",
    "opcheck",
    "register_autocast",
    "register_autograd",
    "register_fake",
    "register_kernel",
    "register_torch_dispatch",
    "register_vmap",
    "triton_op",
    "wrap_triton",
]

_TRITON = "there is no Triton backend"
triton_op = missing_function("torch.library.triton_op", _TRITON)
wrap_triton = missing_function("torch.library.wrap_triton", _TRITON)


def _operation_of(op: Any, function: str) -> _operation.Operation:
    """The operation that a registration is for: a CustomOpDef, an overload, or a qualified name."""
    if isinstance(op, CustomOpDef):
        return op._operation
    if isinstance(op, OpOverloadPacket):
        op = getattr(op, op.overloads()[0])
    if isinstance(op, OpOverload):
        name = op.name()
    elif isinstance(op, str):
        getattr(ops, parse_namespace(op)[0])  # loads what is provided
        name = op.removesuffix(".default")
    else:
        raise ValueError(f"{function}({op}): got unexpected type for op: {type(op)}")
    found = _operation.operations.get(name)
    if found is not None:
        return found
    if name.startswith("aten::"):
        raise NotImplementedError(f"{function}({name}): Tabula's own operations cannot be replaced")
    if function not in ("register_fake", "impl"):
        packet(*parse_namespace(name))  # AttributeError for a name that is not there
    raise RuntimeError(f"operator {name} does not exist")


def register_autograd(
    op: Any, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None, lib: Any = None
) -> None:
    """Give a custom operation a backward.

    ``setup_context(ctx, inputs, output)`` (with ``keyword_only_inputs`` if there are any) saves what it needs;
    ``backward(ctx, *grads)`` returns a gradient or None for each positional argument, a list of them for a list of
    tensors. RuntimeError for an operation that writes to its arguments.

    >>> @torch.library.custom_op("mylib::cube", mutates_args=())
    ... def cube(x: torch.Tensor) -> torch.Tensor:
    ...     return x**3
    >>> def save(ctx, inputs, output):
    ...     ctx.save_for_backward(*inputs)
    >>> def backward(ctx, grad):
    ...     (x,) = ctx.saved_tensors
    ...     return grad * 3 * x**2
    >>> torch.library.register_autograd("mylib::cube", backward, setup_context=save)
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    tensor(12.)
    """
    operation = _operation_of(op, "register_autograd")
    if operation.written:
        raise RuntimeError(
            f"Cannot register autograd formula for non-functional operator {operation.overload} with schema "
            f"{operation.schema}. Please create a functional operator and register an autograd formula for that."
        )
    operation.backward, operation.setup_context = backward, setup_context


def register_fake(
    op: Any,
    func: Callable[..., Any] | None = None,
    /,
    *,
    lib: Any = None,
    _stacklevel: int = 1,
    allow_override: bool = True,
) -> Any:
    """Give an operation an implementation for tensors without memory: shapes, dtypes and devices only.

    >>> torch.library.define("mylib::row_sums", "(Tensor x) -> Tensor")
    >>> @torch.library.register_fake("mylib::row_sums")
    ... def _(x):
    ...     return x.new_empty(x.shape[0])
    >>> torch.ops.mylib.row_sums(torch.empty(3, 4, device="meta")).shape
    torch.Size([3])
    """
    operation = _operation_of(op, "register_fake")
    if not allow_override and operation.fake is not None:
        raise RuntimeError(f"register_fake(...): the operator {operation.qualname} already has an fake impl registered")

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        operation.fake = function
        return function

    return register if func is None else register(func)


def impl_abstract(
    qualname: str, func: Callable[..., Any] | None = None, *, lib: Any = None, _stacklevel: int = 1
) -> Any:
    """The old name of ``register_fake``."""
    import warnings

    warnings.warn(
        "`torch.library.impl_abstract` was renamed to `torch.library.register_fake`. Please use that instead; we will "
        "remove `torch.library.impl_abstract` in a future version of PyTorch.",
        FutureWarning,
        stacklevel=2,
    )
    return register_fake(qualname, func, lib=lib)


def register_kernel(
    op: Any, device_types: str | Sequence[str] | None, func: Callable[..., Any] | None = None, /, *, lib: Any = None
) -> Any:
    """Give an operation an implementation for kinds of devices, or for all (None). Works as a decorator."""
    return CustomOpDef.register_kernel(_handle(op, "register_kernel"), device_types, func)


def register_vmap(op: Any, func: Callable[..., Any] | None = None, /, *, lib: Any = None) -> Any:
    """Give an operation a rule for vmap: ``func(info, in_dims, *args)`` returns the result and its batch dimensions."""
    return CustomOpDef.register_vmap(_handle(op, "register_vmap"), func)


def register_autocast(op: Any, device_type: str, cast_inputs: Any, /, *, lib: Any = None) -> None:
    """Under autocast on a kind of device, convert floating arguments of an operation to ``cast_inputs`` first."""
    CustomOpDef.register_autocast(_handle(op, "register_autocast"), device_type, cast_inputs)


def register_torch_dispatch(
    op: Any, torch_dispatch_class: Any, func: Callable[..., Any] | None = None, /, *, lib: Any = None
) -> Any:
    """Give an operation a rule for one dispatch mode or subclass, which then is called instead of its
    ``__torch_dispatch__``: ``func(mode_or_class, op, types, args, kwargs)``."""
    return CustomOpDef.register_torch_dispatch(_handle(op, "register_torch_dispatch"), torch_dispatch_class, func)


def _handle(op: Any, function: str) -> CustomOpDef:
    if isinstance(op, CustomOpDef):
        return op
    operation = _operation_of(op, function)
    label = operation.label
    handle = CustomOpDef(operation, operation.call)
    operation.label = label
    return handle


def get_kernel(op: Any, dispatch_key: Any) -> Callable[..., Any]:
    """The implementation of an operation for a kind of device ("cpu", or the dispatch key "CPU")."""
    return _operation_of(op, "get_kernel").implementation(str(dispatch_key).rpartition(".")[2].lower())


def fallthrough_kernel() -> Any:
    """A marker that PyTorch's dispatcher knows; nothing is dispatched by key here."""
    raise NotImplementedError("fallthrough_kernel() should never be called.")


# ---- operations by schema


def _check_types(schema: _schema.FunctionSchema) -> None:
    known = {*_operation._CHECKS, "Any", "Storage", "Stream"}
    for argument in (*schema.arguments, *schema.returns):
        base = argument.type.annotation_str.rstrip("?").partition("[")[0].rstrip("?")
        if base not in known:
            raise RuntimeError(
                f"unknown type specifier. Common valid schema types include Tensor, SymInt, int, float, bool, Scalar: "
                f"'{base}' in {schema}"
            )


def _define(namespace: str, text: str) -> _operation.Operation:
    schema = _schema.FunctionSchema(f"{namespace}::{text.strip()}")
    _check_types(schema)
    name = schema.name + (f".{schema.overload_name}" if schema.overload_name else "")
    if name in _operation.operations:
        raise RuntimeError(
            f"Tried to register an operator ({schema}) with the same name and overload name multiple times. "
            "Each overload's "
            "schema should only be registered with a single call to def()."
        )
    return _operation.Operation(schema)


def define(qualname: Any, schema: Any, *rest: Any, lib: Library | None = None, tags: Any = ()) -> Any:
    """Announce an operation by its schema; ``impl`` gives it implementations.

    >>> torch.library.define("mylib::plus", "(Tensor x, int n=1) -> Tensor")
    >>> @torch.library.impl("mylib::plus", "cpu")
    ... def _(x, n):
    ...     return x + n
    >>> torch.ops.mylib.plus(torch.zeros(2), n=3)
    tensor([3., 3.])
    """
    if isinstance(qualname, Library):
        name = qualname.define(schema, *rest)

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            qualname.impl(name, function)
            return function

        return register
    if not isinstance(qualname, str):
        raise ValueError(f"define(qualname, schema): expected qualname to be instance of str, got {type(qualname)}")
    namespace, name = parse_namespace(qualname)
    if not schema.lstrip().startswith("("):
        raise ValueError(
            f'define(qualname, schema, ...): expected schema to look like e.g. "(Tensor x) -> Tensor" but got '
            f'"{schema}"'
        )
    operation = _define(namespace, name + schema)
    if lib is not None:
        lib._own.append(operation)
    return None


def impl(qualname: Any, types: str | Sequence[str], func: Any = None, *rest: Any, lib: Library | None = None) -> Any:
    """Give an announced operation an implementation for kinds of devices, or "default" for all."""
    if isinstance(qualname, Library):

        def register_key(function: Callable[..., Any]) -> Callable[..., Any]:
            qualname.impl(types, function, func or "")
            return function

        return register_key
    parse_namespace(qualname)

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        operation = _operation_of(qualname, "impl")
        for kind in [types] if isinstance(types, str) else types:
            operation.implement(kind, function)
        return function

    return register if func is None else register(func)


class Library:
    """Operations of one namespace: "DEF" for its one owner, "FRAGMENT" for others that add to it, "IMPL" for
    implementations alone. The operations live as long as the program, or until ``_destroy``.

    >>> lib = torch.library.Library("mylib2", "DEF")
    >>> lib.define("neg_sum(Tensor x) -> Tensor")
    'neg_sum'
    >>> lib.impl("neg_sum", lambda x: -x.sum(), "CPU")
    >>> torch.ops.mylib2.neg_sum(torch.ones(3))
    tensor(-3.)
    """

    _owners: set[str] = set()

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("DEF", "IMPL", "FRAGMENT"):
            raise ValueError(f"Unsupported kind: {kind}")
        if kind != "FRAGMENT" and ns in ("prim", "prims"):
            raise ValueError(f"{ns} is a reserved namespace. Please try creating a library with another name.")
        if kind == "DEF":
            if ns in self._owners or ns in ("aten", "tabula"):
                raise RuntimeError(
                    f"Only a single TORCH_LIBRARY can be used to register the namespace {ns}; please put all of your "
                    "definitions in a single TORCH_LIBRARY block.  If you were trying to specify "
                    "implementations, consider "
                    "using TORCH_LIBRARY_IMPL (which can be duplicated).  If you really intended to define "
                    "operators for a "
                    "single namespace in a distributed way, you can use TORCH_LIBRARY_FRAGMENT to explicitly "
                    "indicate this."
                )
            self._owners.add(ns)
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key
        self._own: list[_operation.Operation] = []

    def __repr__(self) -> str:
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})>"

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Announce an operation by its schema; returns its name. RuntimeError if it is there already."""
        if alias_analysis not in ("", "FROM_SCHEMA", "CONSERVATIVE"):
            raise RuntimeError(f"Invalid alias_analysis type {alias_analysis}")
        if self.kind == "IMPL":
            raise RuntimeError("define(...): a library of kind IMPL holds implementations alone")
        operation = _define(self.ns, schema)
        operation.tags = tuple(tags) if isinstance(tags, (list, tuple)) else (tags,)
        self._own.append(operation)
        return operation.name + (f".{operation.schema.overload_name}" if operation.schema.overload_name else "")

    def impl(
        self,
        op_name: Any,
        fn: Callable[..., Any],
        dispatch_key: str = "",
        *,
        with_keyset: bool = False,
        allow_override: bool = False,
    ) -> None:
        """Give an operation an implementation for a dispatch key, such as "CPU" or "CompositeExplicitAutograd"."""
        if not callable(fn):
            raise TypeError(f"Input function is required to be a callable but found type {type(fn)}")
        name = op_name if isinstance(op_name, str) else op_name.name()
        qualname = name if "::" in name else f"{self.ns}::{name}"
        key = dispatch_key or self.dispatch_key or "CompositeImplicitAutograd"
        if with_keyset:
            raise NotImplementedError("impl(..., with_keyset=True): there are no sets of dispatch keys")
        if fn is fallthrough_kernel:
            return
        if qualname.startswith("aten::"):
            raise NotImplementedError(f"impl({qualname}): Tabula's own operations cannot be replaced")
        operation = _operation.operations.get(qualname)
        if operation is None:
            _operation.early.setdefault(qualname, []).append((key, fn))
        else:
            operation.implement(key, fn)

    def fallback(self, fn: Any, dispatch_key: str = "", *, with_keyset: bool = False) -> None:
        """Not available: nothing is dispatched by key."""
        raise NotImplementedError("Library.fallback: operations are not dispatched by key; use a TorchDispatchMode")

    def _destroy(self) -> None:
        """Withdraw the operations that this library has announced."""
        for operation in self._own:
            operation.withdraw()
            definitions.pop(operation.qualname, None)
        self._own.clear()
        if self.kind == "DEF":
            self._owners.discard(self.ns)
