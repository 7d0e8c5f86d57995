"""Python functions as programs: their source, their signatures, and what the names in them mean."""

from __future__ import annotations

import ast
import builtins
import enum
import functools
import inspect
import sys
import textwrap
import types
import warnings

import torch

from ._emit import Emitter
from ._passes import clean
from ._schemas import NO_DEFAULT, Argument, Schema, overloads
from ._source import SourceText, sugar_of_type
from ._sugar import Builtin, CompileError, FunctionValue, Overloaded, Special, Sugar, TypeRef
from ._type_text import AnnotationError, broadcast_size, from_object, from_syntax
from ._types import INFERRED, NONE, STR, TENSOR, Type
from ._unit import Function, python_unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_FORMS = {
    getattr(builtins, n): n
    for n in """len range print isinstance hasattr getattr int float bool str complex list dict tuple zip
    enumerate min max abs sum any all sorted reversed round divmod""".split()
}
_BUILTINS = {ord: "ord", chr: "chr", hex: "hex", oct: "oct", bin: "bin", pow: "pow", hash: "hash", id: "id"}
_MATH = {
    n: n
    for n in """sqrt log log2 log10 log1p exp expm1 sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh
    atanh ceil floor fabs gamma lgamma erf erfc degrees radians fmod frexp ldexp modf copysign gcd factorial isnan isinf
    isfinite pow""".split()
} | {"remainder": "mathremainder"}
_CONSTANT_TYPES = (
    int,
    float,
    bool,
    str,
    complex,
    type(None),
    torch.device,
    torch.dtype,
    torch.layout,
    torch.memory_format,
)


def qualified_name(obj: Any, name: str | None = None) -> str:
    """The name of a function or class in programs, ``__torch__.module.Name``."""
    module = getattr(obj, "__module__", None) or "__main__"
    short = name or getattr(obj, "_jit_override_qualname", None) or obj.__name__
    short = "_lambda" if short == "<lambda>" else short
    prefix = "__torch__" if module == "__main__" else f"__torch__.{module}"
    return f"{prefix}.{short}"


# ---- source


def source_of(obj: Any) -> tuple[SourceText, ast.AST]:
    """The text and the syntax tree of a function or a class.

    Raises:
        OSError: Python cannot find the source.
    """
    try:
        lines, first = inspect.getsourcelines(obj)
        file = inspect.getsourcefile(obj) or ""
    except OSError as error:
        raise OSError(
            f"Can't get source for {obj}. TorchScript requires source access in order to carry out compilation, "
            f"make sure "
            "original .py files are available."
        ) from error
    shown = "".join(lines)
    text = textwrap.dedent(shown)
    first_code = next(line for line in lines if line.strip())
    source = SourceText(text, file, first or 1)
    source.shift = len(first_code) - len(first_code.lstrip())
    source.shown = shown
    try:
        body = ast.parse(text, type_comments=True).body
    except SyntaxError:
        # A comment that looks like a type's but is none, or a lambda in the middle of an expression.
        try:
            body = ast.parse(text).body
        except SyntaxError as error:
            raise RuntimeError(f"Expected a single top-level function: {error}") from None
    if len(body) != 1 or not isinstance(body[0], (ast.FunctionDef, ast.ClassDef)):
        found = next((n for n in ast.walk(ast.Module(body, [])) if isinstance(n, ast.Lambda)), None)
        if found is None:
            raise RuntimeError(f"Expected a single top-level function: {file}:{first}")
        made = ast.FunctionDef("_lambda", found.args, [ast.copy_location(ast.Return(found.body), found.body)], [])
        return source, ast.copy_location(made, found)
    return source, body[0]


def names_around(function: Any) -> Callable[[str], Any]:
    """A function that finds what a name means inside a Python function; KeyError if it means nothing."""
    closure: dict[str, Any] = {}
    code = getattr(function, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=True):
        try:
            closure[name] = cell.cell_contents
        except ValueError:
            continue
    space = getattr(function, "__globals__", None) or getattr(sys.modules.get(function.__module__), "__dict__", {})

    def find(name: str) -> Any:
        for table in (closure, space, builtins.__dict__):
            if name in table:
                return table[name]
        raise KeyError(name)

    return find


# ---- names


class PythonResolver:
    """What names of a Python function stand for."""

    def __init__(self, find: Callable[[str], Any], owner: Any = None) -> None:
        self.find = find
        self.owner = owner

    def resolve(self, em: Emitter, name: str, node: ast.AST) -> Any:
        try:
            obj = self.find(name)
        except KeyError:
            return None
        return to_sugar(em, obj, node)

    def object_of(self, node: ast.AST) -> Any:
        """The Python object that a dotted name means; KeyError if none."""
        if isinstance(node, ast.Name):
            return self.find(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.object_of(node.value)
            try:
                return getattr(owner, node.attr)
            except AttributeError:
                raise KeyError(node.attr) from None
        raise KeyError(ast.dump(node))

    def type_named(self, em: Any, node: ast.AST) -> Type | None:
        try:
            obj = self.object_of(node)
        except KeyError:
            return None
        return from_object(obj, class_type, self.type_of_text)

    def type_of_text(self, text: str) -> Type:
        return from_syntax(ast.parse(text.strip(), mode="eval").body, lambda n: self.type_named(None, n))

    def exception(self, em: Any, node: ast.AST) -> str | None:
        try:
            found = self.object_of(node)
        except KeyError:
            return None
        if isinstance(found, type) and issubclass(found, BaseException):
            return (
                f"{found.__module__}.{found.__name__}"
                if found.__module__ != "__main__"
                else f"__main__.{found.__name__}"
            )
        return None

    def types_named(self, em: Any, node: ast.expr) -> list[Type] | None:
        """The types that ``isinstance`` asks for; a tuple of types may have a name."""
        try:
            obj = self.object_of(node)
        except KeyError:
            return None
        if isinstance(obj, tuple):
            return [from_object(o, class_type, self.type_of_text) for o in obj]
        return None


class PythonModule(Sugar):
    """A Python module, or something like one."""

    what = "module"

    def __init__(self, module: Any) -> None:
        self.module = module

    def attribute(self, em: Emitter, name: str, node: ast.AST) -> Any:
        if type(self.module).__name__ == "_OpNamespace" and not name.startswith("__"):
            return Builtin(f"{self.module.name}::{name}")
        try:
            found = getattr(self.module, name)
        except AttributeError:
            em.fail(node, f"module has no attribute '{name}'")
            raise
        operation = operation_at(self.module, name)
        if operation is not None:
            return operation
        return to_sugar(em, found, node, constant=True)


def operation_at(module: Any, name: str) -> Any:
    """The operation that an attribute of one of our modules is."""
    title = getattr(module, "__name__", "")
    if title == "torch.nn.functional":
        return functional(name)
    prefix = {
        "torch": "",
        "torch._C": "",
        "torch._C._nn": "",
        "torch.linalg": "linalg_",
        "torch.fft": "fft_",
        "torch.special": "special_",
        "torch._VF": "",
    }.get(title)
    if prefix is None or isinstance(getattr(module, name, None), (type, types.ModuleType)):
        return None
    if title == "torch" and name in ("device", "Size", "tensor"):
        return Builtin(f"aten::{name}")
    if callable(getattr(module, name, None)) and overloads(f"aten::{prefix}{name}"):
        return Builtin(f"aten::{prefix}{name}")
    if title == "torch._C._nn":
        return functional(name)
    return None


# Functions of torch.nn.functional that PyTorch has as operations under the same name, or another.
_DIRECT = {
    n: n
    for n in """conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d conv_tbc avg_pool1d avg_pool2d
    avg_pool3d adaptive_avg_pool1d linear bilinear gelu hardshrink softplus softshrink one_hot pdist pixel_shuffle
    pixel_unshuffle channel_shuffle native_channel_shuffle cosine_similarity scaled_dot_product_attention prelu
    relu_ elu_ celu_ selu_ leaky_relu_ hardtanh_ threshold_ rrelu_""".split()
} | {"logsigmoid": "log_sigmoid"}


@functools.lru_cache(None)
def functional(name: str) -> Any:
    """A function of ``torch.nn.functional``: an operation, or a program of its own."""
    if name in _DIRECT:
        return Builtin(f"aten::{_DIRECT[name]}")
    from . import _functional_forms

    form = getattr(_functional_forms, name, None)
    if form is None or not isinstance(form, types.FunctionType):
        return None
    return FunctionValue(compiled_function(form, f"__torch__.torch.nn.functional.{name}"))


def operation_of(obj: Any) -> Any:
    """The operation that a callable of our package is, wherever it was imported from."""
    name = getattr(obj, "__name__", "")
    if not name:
        return None
    for module in (torch.nn.functional, torch, torch.linalg, torch.special, torch.fft):
        if getattr(module, name, None) is obj:
            found = operation_at(module, name)
            if found is not None:
                return found
    owner = getattr(torch.Tensor, name, None)
    if owner is obj and overloads(f"aten::{name}"):
        return Builtin(f"aten::{name}")
    return None


class PythonCall(Sugar):
    """A function that stays in Python: the program calls it."""

    what = "function"

    def __init__(self, function: Any, receiver: Any = None) -> None:
        self.function, self.receiver = function, receiver

    def call(self, em: Emitter, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        schema, _ = python_signature(self.function, self.receiver is not None)
        if schema.results[0] is NONE and "return" not in getattr(self.function, "__annotations__", {}):
            schema.results[0] = TENSOR
        given = list(args)
        if self.receiver is not None:
            schema.arguments.insert(0, Argument("self", self.receiver.type()))
            given.insert(0, self.receiver)
        matched = em.match_schemas([schema], given, kwargs, node)
        made = em.graph.create("prim::PythonOp", matched.inputs, schema.results)
        made.attributes["name"] = self.function.__name__
        made.attributes["_function"] = _checked_call(self.function, schema)
        return made.output_values[0]


def _checked_call(function: Any, schema: Schema) -> Any:
    from ._entry import converter

    convert = converter(schema.results[0])
    return lambda *args: convert(function(*args))


class Refused(Sugar):
    """A function marked ``torch.jit.unused``: calling it raises."""

    what = "function"

    def __init__(self, function: Any, receiver: Any = None) -> None:
        self.function, self.receiver = function, receiver

    def call(self, em: Emitter, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        schema, _ = python_signature(self.function, self.receiver is not None)
        text = f"This Python function is annotated to be ignored and cannot be run: {self.function.__name__}"
        em.raise_(em.graph.constant(text), None)
        kind = schema.results[0] if "return" in getattr(self.function, "__annotations__", {}) else TENSOR
        return em.graph.constant(None) if kind is NONE else em.graph.insert("prim::Uninitialized", [], kind)


def _jit_special(obj: Any) -> str | None:
    import torch.jit as jit

    table = {
        jit.annotate: "annotate",
        jit.is_scripting: "is_scripting",
        jit.is_tracing: "is_tracing",
        jit.fork: "fork",
        jit.wait: "wait",
        jit.isinstance: "isinstance",
    }
    try:
        found = table.get(obj)
    except TypeError:
        return None
    name = getattr(obj, "__name__", "")
    if found is None and getattr(obj, "__module__", "").startswith("torch"):
        return {
            "_unwrap_optional": "unwrap_optional",
            "is_scripting": "is_scripting",
            "is_tracing": "is_tracing",
            "_is_tracing": "is_tracing",
            "is_compiling": "is_tracing",
            "is_dynamo_compiling": "is_tracing",
            "has_torch_function": "is_tracing",
            "has_torch_function_unary": "is_tracing",
            "has_torch_function_variadic": "is_tracing",
        }.get(name)
    return found


def to_sugar(em: Any, obj: Any, node: ast.AST, constant: bool = False) -> Any:
    """What a Python object means in a program."""
    from ._script import ScriptFunction

    if isinstance(obj, (types.ModuleType,)) or type(obj).__name__ in ("_OpNamespace", "_Ops"):
        return PythonModule(obj)
    hashable = isinstance(obj, (types.FunctionType, types.BuiltinFunctionType, type))
    if hashable and obj in _FORMS:
        if obj in (int, float, bool, str):
            return _Cast(_FORMS[obj])
        return Special(_FORMS[obj])
    if hashable and obj in _BUILTINS:
        return Builtin(f"aten::{_BUILTINS[obj]}")
    if getattr(obj, "__module__", None) == "math" and getattr(obj, "__name__", "") in _MATH:
        return Builtin(f"aten::{_MATH[obj.__name__]}")
    if obj is warnings.warn:
        return _Warn()
    special = _jit_special(obj) if callable(obj) else None
    if special is not None:
        return Special(special)
    if isinstance(obj, (torch.dtype, torch.layout, torch.memory_format)):
        return em.constant_of(obj)
    if isinstance(obj, torch.device):
        return em.graph.constant(obj)
    if isinstance(obj, ScriptFunction):
        return FunctionValue(obj._function)
    if type(obj).__name__ in ("OpOverloadPacket", "OpOverload"):
        packet = getattr(obj, "_overloadpacket", obj)
        return Builtin(packet._qualified_op_name)
    if isinstance(obj, type):
        return class_sugar(em, obj, node)
    if isinstance(obj, enum.Enum):
        kind = class_type(type(obj))
        assert kind is not None
        return em.graph.constant(obj, kind)
    if isinstance(obj, functools.partial):
        em.fail(node, "functools.partial objects are not supported")
    operation = operation_of(obj) if callable(obj) else None
    if operation is not None:
        return operation
    if isinstance(obj, types.FunctionType):
        modifier = getattr(obj, "_torchscript_modifier", "")
        if modifier == "ignore":
            return PythonCall(obj)
        if modifier == "unused":
            return Refused(obj)
        known = signatures_of(obj)
        if known:
            return Overloaded([FunctionValue(_overload(obj, number, s)) for number, s in enumerate(known)])
        if obj.__module__ == "torch.nn.utils.rnn":
            from . import _rnn_forms

            form = getattr(_rnn_forms, obj.__name__, None)
            if form is not None:
                return FunctionValue(compiled_function(form, qualified_name(obj)))
        wrapped = getattr(obj, "_script_if_tracing_original", None)
        return FunctionValue(compiled_function(wrapped or obj))
    if isinstance(obj, types.MethodType) and isinstance(obj.__self__, type):
        return FunctionValue(compiled_function(obj.__func__))
    if constant and isinstance(obj, _CONSTANT_TYPES):
        return em.constant_of(obj)
    if constant and isinstance(obj, tuple):
        return em.constant_of(obj)
    em.fail(
        node,
        f"python value of type '{type(obj).__name__}' cannot be used as a value. Perhaps it is a closed over "
        "global variable? If so, please consider passing it in as an argument or use a local variable instead.",
    )
    return None


class _Cast(Special):
    """``int`` and its like: a function, and a type for ``isinstance``."""


class _Warn(Sugar):
    what = "function"

    def call(self, em: Emitter, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        return em.builtin("aten::warn", [em.as_value(args[0], node)], {}, node)


def class_sugar(em: Any, obj: type, node: ast.AST) -> Any:
    """What a Python class means in a program."""
    if obj is torch.device:
        return Builtin("aten::device")
    if obj is torch.Size:
        return Builtin("aten::Size")
    if obj is torch.set_grad_enabled:
        return Builtin("aten::set_grad_enabled")
    if obj is torch.Generator:
        return Builtin("aten::Generator")
    if issubclass(obj, torch.Tensor):
        return TypeRef(TENSOR)
    if issubclass(obj, BaseException):
        return TypeRef(STR)
    if issubclass(obj, torch.nn.Module):
        em.source.refuse(node, f"Cannot instantiate class '{obj.__name__}' in a script function")
    kind = class_type(obj)
    found = sugar_of_type(kind) if kind is not None else None
    if found is None:
        em.fail(node, f"python value of type 'type' cannot be used as a value: {obj}")
    return found


def class_type(obj: Any) -> Type | None:
    """The type of a Python class: a NamedTuple, an enum, an interface or a class that is compiled."""
    if not isinstance(obj, type):
        return None
    found = obj.__dict__.get("__torch_script_interface__")
    if found is not None:
        return found() if callable(found) and not isinstance(found, Type) else found
    from . import _classes

    return _classes.type_of(obj)


# ---- functions


def python_signature(
    function: Any,
    is_method: bool,
    resolver: PythonResolver | None = None,
    tree: ast.FunctionDef | None = None,
    source: SourceText | None = None,
) -> tuple[Schema, bool]:
    """The schema of a Python function, without ``self``; and whether it says what it returns."""
    resolver = resolver or PythonResolver(names_around(function))
    if tree is None:
        try:
            source, found = source_of(function)
        except (OSError, RuntimeError):
            found = None
        tree = found if isinstance(found, ast.FunctionDef) else None
    if tree is None:
        return _inspected(function, is_method, resolver), True
    spec = tree.args

    def fail(node: ast.AST | None, message: str) -> None:
        from .frontend import NotSupportedError

        assert source is not None
        place = source.range_of(node) if node is not None else None
        if place is not None and isinstance(node, ast.arg):
            # The stars belong to it.
            place.column -= 1 if node is tree.args.vararg else 2
        raise NotSupportedError(place, message)

    given = [d for d in spec.kw_defaults if d is not None]
    if spec.vararg is not None or spec.kwarg is not None or given:
        fail(
            spec.vararg or spec.kwarg or given[0],
            "Compiled functions can't take variable number of arguments or use keyword-only arguments with defaults",
        )

    def type_of(node: ast.AST) -> Type:
        try:
            return from_syntax(node, lambda n: resolver.type_named(None, n))
        except AnnotationError as error:
            assert source is not None
            place = source.range_of(node)
            raise CompileError(f"\n{error}:\n{place.highlight() if place else ''}\n") from None

    plain = [*spec.posonlyargs, *spec.args]
    # A method's own name for the object has no type.
    drop = 1 if is_method else 0
    comment = getattr(tree, "type_comment", None)
    commented: list[Type] | None = None
    returned = None if tree.returns is None else type_of(tree.returns)
    if comment:
        parsed = ast.parse(comment.strip(), mode="func_type")
        commented = [type_of(a) for a in parsed.argtypes]
        returned = type_of(parsed.returns)
        drop_comment = len(plain) - drop + len(spec.kwonlyargs)
        if len(commented) == drop_comment + 1:
            commented = commented[1:]
    values = _defaults(function)
    arguments = []
    for i, parameter in enumerate([*plain[drop:], *spec.kwonlyargs]):
        inferred = parameter.annotation is None and commented is None
        kind = commented[i] if commented is not None else INFERRED if inferred else type_of(parameter.annotation)  # type: ignore[arg-type]
        value = values.get(parameter.arg, NO_DEFAULT)
        if isinstance(value, (list, dict, set)):
            fail(
                tree,
                "Mutable default parameters are not supported because Python binds them to the function and they "
                "persist across function calls.\n As a workaround, make the default None and instantiate the default "
                f"parameter within the body of the function. Found {type(value)} on parameter {parameter.arg}",
            )
        if value is not NO_DEFAULT:
            value = _fitting_default(value, kind)
        argument = Argument(parameter.arg, kind, value, i >= len(plain) - drop)
        argument.alias = "inferred" if inferred else ""
        argument.size = broadcast_size(parameter.annotation)
        arguments.append(argument)
    return Schema(function.__name__, arguments, [NONE if returned is None else returned]), returned is not None


def _fitting_default(value: Any, kind: Type) -> Any:
    if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
        from ._numbers import number_of

        return number_of(value)
    if isinstance(value, tuple) and str(kind).rstrip("?").endswith("]"):
        return list(value)
    if str(kind) in ("float", "float?") and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _defaults(function: Any) -> dict[str, Any]:
    found: dict[str, Any] = dict(getattr(function, "__kwdefaults__", None) or {})
    code = getattr(function, "__code__", None)
    if code is not None and function.__defaults__:
        names = code.co_varnames[: code.co_argcount]
        found.update(zip(names[-len(function.__defaults__) :], function.__defaults__, strict=True))
    return found


def _inspected(function: Any, is_method: bool, resolver: PythonResolver) -> Schema:
    """The schema of a callable without source."""
    spec = inspect.signature(function)
    parameters = list(spec.parameters.values())[1 if is_method else 0 :]
    arguments = []
    for p in parameters:
        kind = TENSOR if p.annotation is p.empty else from_object(p.annotation, class_type, resolver.type_of_text)
        arguments.append(Argument(p.name, kind, NO_DEFAULT if p.default is p.empty else p.default))
    returned = spec.return_annotation
    return Schema(
        function.__name__,
        arguments,
        [TENSOR if returned is spec.empty else from_object(returned, class_type, resolver.type_of_text)],
    )


_compiled: dict[Any, Function] = {}


def _overload(function: Any, number: int, signature: Any) -> Function:
    found = _compiled.get((function, number))
    if found is None:
        full = python_unit.fresh(f"{qualified_name(function)}__{number}")
        found = _compiled[function, number] = make(function, full, signature=signature)
        python_unit._functions[full] = found
    return found


def compiled_function(function: Any, name: str | None = None, resolver: PythonResolver | None = None) -> Function:
    """The compiled form of a Python function, made at first use."""
    found = _compiled.get(function)
    if found is None:
        full = python_unit.fresh(name or qualified_name(function))
        found = make(function, full, resolver)
        _compiled[function] = found
        python_unit._functions[full] = found
    return found


def signatures_of(function: Any) -> list[Any]:
    """The signatures that ``torch.jit._overload`` noted for a function."""
    from . import _overloads

    return _overloads.get((function.__module__, function.__qualname__), [])


def make(
    function: Any, name: str, resolver: PythonResolver | None = None, this: Any = None, signature: Any = None
) -> Function:
    """A function that is compiled from Python source at first use.

    ``this`` is the type of ``self`` and what ``self`` means in the program, for methods. ``signature`` is a
    function whose annotations hold instead of the function's own.
    """
    short = name.rpartition(".")[2]

    def compile(target: Function) -> None:
        source, tree = source_of(function)
        assert isinstance(tree, ast.FunctionDef)
        known = resolver or PythonResolver(names_around(function))
        if signature is None:
            schema, complete = python_signature(function, this is not None, known, tree, source)
        else:
            schema, complete = python_signature(signature, this is not None, known)
            own = [*tree.args.posonlyargs, *tree.args.args][0 if this is None else 1 :]
            values = _defaults(function)
            for argument, parameter in zip(schema.arguments, own, strict=True):
                argument.name = parameter.arg
                argument.default = values.get(parameter.arg, argument.default)
        schema.name = short
        parameters: list[Any] = [(a.name, a.type, None) for a in schema.arguments]
        if this is not None:
            label = [*tree.args.posonlyargs, *tree.args.args][0].arg
            schema.arguments.insert(0, Argument(label, this[0]))
            parameters.insert(0, (label, *this))
        if complete:
            target._schema = schema
        em = Emitter(source, known, ".".join(name.split(".")[-2:]) if this is not None else short)
        graph = em.function(tree, parameters, schema.results[0] if complete else None)
        if not complete:
            schema.results[0] = em.returned_type or NONE
        target._schema = schema
        target._graph = clean(graph)

    made = Function(name, None, None, compile)
    made.python_function = function
    made.doc = function.__doc__
    return made
