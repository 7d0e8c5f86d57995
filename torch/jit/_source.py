"""TorchScript's textual language: the text of archives and of ``define``."""

from __future__ import annotations

import ast
import textwrap

from ._emit import Emitter
from ._ir import Graph, SourceRange, Value
from ._passes import clean
from ._schemas import NO_DEFAULT, Argument, Schema, overloads
from ._sugar import Builtin, ClassRef, CompileError, EnumRef, FunctionValue, NamedTupleRef, Special, Sugar
from ._types import NONE, TENSOR, ClassType, EnumType, TupleType, Type
from ._unit import CompilationUnit, Function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _end(node: ast.AST) -> tuple[int, int]:
    """Line and column where the marks under a node end: closing brackets and quotes are not marked."""
    line: int = node.end_lineno  # type: ignore[attr-defined]
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.arg)):
        return line, node.end_col_offset  # type: ignore[return-value]
    start = (node.lineno, node.col_offset)  # type: ignore[attr-defined]
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return node.lineno, node.col_offset + len(node.value) + 1
        return node.lineno, node.col_offset + len(str(node.value))
    inside = {id(c) for n in ast.walk(node) if isinstance(n, ast.JoinedStr) for c in n.values}
    ends = [_end(c) for c in ast.walk(node) if c is not node and _is_leaf(c) and id(c) not in inside]
    return max([(start[0], start[1] + 1), *ends])


def _is_leaf(node: ast.AST) -> bool:
    return isinstance(node, (ast.Name, ast.Attribute, ast.Constant, ast.Subscript))


class SourceText:
    """A text with the file and the line that it comes from."""

    def __init__(self, text: str, file: str = "", first_line: int = 1) -> None:
        self.text, self.file, self.first_line = text, file, first_line
        # Columns that were taken from each line before it was parsed.
        self.shift = 0
        self.shown = text

    def range_of(self, node: ast.AST) -> SourceRange | None:
        line = getattr(node, "lineno", None)
        if line is None:
            return None
        column: int = node.col_offset  # type: ignore[attr-defined]
        last, end = _end(node)
        return SourceRange(self.shown, self.file, self.first_line, line, column + self.shift, end + self.shift, last)

    def unsupported(self, node: ast.AST) -> None:
        from .frontend import UnsupportedNodeError

        raise UnsupportedNodeError(self, node)

    def refuse(self, node: ast.AST, message: str) -> None:
        from .frontend import NotSupportedError

        raise NotSupportedError(self.range_of(node), message)

    def tree(self) -> ast.Module:
        try:
            return ast.parse(self.text, type_comments=True)
        except SyntaxError as error:
            place = SourceRange(self.shown, self.file, self.first_line, error.lineno or 1, (error.offset or 1) - 1, 0)
            raise CompileError(f"\n{error.msg}:\n{place.highlight()}\n") from None


class _Torch(Sugar):
    """``torch`` in a text: its attributes are operations."""

    what = "module"

    def attribute(self, em: Emitter, name: str, node: ast.AST) -> Any:
        if name in ("jit", "nn", "ops", "functional"):
            return _Ops() if name == "ops" else self
        if name in ("fork", "wait", "annotate", "is_scripting", "unchecked_cast", "uninitialized"):
            return Special(name)
        if name == "_unwrap_optional":
            return Special("unwrap_optional")
        version = em.resolver.version
        if version < 4:
            from ._legacy import operation

            found = operation(name, version)
            if found is not None:
                return found
        return Builtin(f"aten::{name}")


class _Ops(Sugar):
    """``ops`` in a text: namespaces of operations."""

    what = "module"

    def __init__(self, space: str = "") -> None:
        self.space = space

    def attribute(self, em: Emitter, name: str, node: ast.AST) -> Any:
        if not self.space:
            return _Ops(name)
        if self.space == "prim":
            special = {
                "unchecked_unwrap_optional": "unwrap_optional",
                "annotate": "annotate",
                "min": "min",
                "max": "max",
                "rpc_async": "",
                "Print": "print",
            }.get(name)
            if special:
                return Special(special)
        return Builtin(f"{self.space}::{name}")


class _Qualified(Sugar):
    """The start of a qualified name, ``__torch__.a.b``."""

    what = "module"

    def __init__(self, name: str) -> None:
        self.name = name

    def attribute(self, em: Emitter, name: str, node: ast.AST) -> Any:
        found = em.resolver.qualified(f"{self.name}.{name}")
        return _Qualified(f"{self.name}.{name}") if found is None else found


class _Closure(Sugar):
    """A function inside a text's function, which ``fork`` runs: what it uses of the outer one are its parameters."""

    what = "closure"

    def __init__(self, em: Emitter, tree: ast.FunctionDef) -> None:
        names = dict.fromkeys(n.id for n in ast.walk(tree) if isinstance(n, ast.Name))
        self.captured = {n: v for n in names if isinstance(v := em.frame.find(n), Value)}
        inner = Emitter(em.source, em.resolver, tree.name)
        graph = inner.function(tree, [(n, v.type(), None) for n, v in self.captured.items()], None)
        unit = em.resolver.unit
        name = unit.fresh(f"__torch__.{tree.name}")
        arguments = [Argument(n, v.type()) for n, v in self.captured.items()]
        self.function = unit._functions[name] = Function(
            name, Schema(tree.name, arguments, [inner.returned_type or NONE]), graph
        )

    def forked(self, em: Emitter, args: list[Any], node: ast.AST) -> tuple[Function, list[Any]]:
        return self.function, [*self.captured.values(), *args]


class _Constants(Sugar):
    """``CONSTANTS`` in a text: the archive's tensors."""

    what = "module"

    def __init__(self, values: Any) -> None:
        self.values = values

    def attribute(self, em: Emitter, name: str, node: ast.AST) -> Any:
        number = int(name.removeprefix("c"))
        if not 0 <= number < len(self.values):
            em.fail(node, f"the archive has no constant {name}")
        value = self.values[number]
        try:
            return em.graph.constant(value)
        except TypeError:
            em.fail(node, f"{name} is a {type(value).__name__}, which cannot be a constant")


_FORMS = {
    "annotate",
    "unchecked_cast",
    "uninitialized",
    "getattr",
    "isinstance",
    "hasattr",
    "range",
    "enumerate",
    "zip",
    "len",
    "list",
    "dict",
    "print",
    "min",
    "max",
    "abs",
    "int",
    "float",
    "bool",
    "str",
    "complex",
    "tuple",
    "reversed",
    "sorted",
    "any",
    "all",
    "sum",
    "fork",
    "round",
    "divmod",
}


def sugar_of_type(kind: Type) -> Sugar | None:
    """What a type's name stands for in an expression."""
    if isinstance(kind, ClassType):
        return ClassRef(kind)
    if isinstance(kind, EnumType):
        return EnumRef(kind)
    if isinstance(kind, TupleType):
        return NamedTupleRef(kind)
    return None


class TextResolver:
    """What names of a text stand for; ``find`` brings the type or function of a qualified name, if there is one."""

    # The version of the archive that a text comes from.
    version = 10

    def __init__(
        self,
        unit: CompilationUnit,
        constants: Any = (),
        find: Callable[[str], Any] | None = None,
        names: Callable[[str], Any] | None = None,
    ) -> None:
        self.unit, self.constants, self._find, self._names = unit, constants, find, names

    def resolve(self, em: Emitter, name: str, node: ast.AST) -> Any:
        if name == "torch":
            return _Torch()
        if name == "ops":
            return _Ops()
        if name == "CONSTANTS":
            return _Constants(self.constants)
        if name in ("inf", "nan", "infj", "nanj"):
            return em.graph.constant(complex(0, float(name[:-1])) if name.endswith("j") else float(name))
        if name.startswith("__torch__"):
            return _Qualified(name)
        if name in _FORMS:
            return Special(name)
        function = self.unit._functions.get(name)
        if function is not None:
            return FunctionValue(function)
        kind = self.unit._types.get(name)
        if kind is not None:
            return sugar_of_type(kind)
        if self._names is not None:
            return self._names(name)
        if overloads(f"aten::{name}"):
            return Builtin(f"aten::{name}")
        return None

    def qualified(self, name: str) -> Any:
        found = self._find(name) if self._find is not None else None
        if found is None:
            found = self.unit._types.get(name) or self.unit._functions.get(name)
        if isinstance(found, Function):
            return FunctionValue(found)
        return sugar_of_type(found) if found is not None else None

    def type_named(self, em: Any, node: ast.AST) -> Type | None:
        name = ast.unparse(node)
        found = self.unit._types.get(name)
        if found is None and self._find is not None:
            found = self._find(name)
        if isinstance(found, Type):
            return found
        if name == "torch.Tensor":
            return TENSOR
        return None

    closure = staticmethod(_Closure)

    def exception(self, em: Any, node: ast.AST) -> str | None:
        import builtins

        if isinstance(node, ast.Name):
            found = getattr(builtins, node.id, None)
            if isinstance(found, type) and issubclass(found, Exception):
                return f"builtins.{node.id}"
        return None


# ---- definitions


def default_of(node: ast.AST, kind: Type, source: SourceText, resolver: Any = None) -> Any:
    """The value of a parameter's default; only literals, and names of constants, may stand there."""
    import torch

    if isinstance(node, ast.Name) and node.id in ("inf", "nan"):
        return float(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -default_of(node.operand, kind, source, resolver)
    if isinstance(node, ast.Constant):
        value = node.value
        if str(kind).startswith("Device") and isinstance(value, str):
            return torch.device(value)
        return float(value) if str(kind) in ("float", "float?") and value.__class__ is int else value
    if isinstance(node, (ast.List, ast.Tuple)):
        inner = (kind.contained() or (NONE,))[0]
        values = [default_of(e, inner, source, resolver) for e in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    if isinstance(node, ast.Dict) and not node.keys:
        return {}
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.device", "annotate"):
        return default_of(node.args[-1], kind, source, resolver)
    if isinstance(node, ast.Attribute) and isinstance(kind, EnumType):
        from ._objects import enum_class

        return enum_class(kind)[node.attr]
    place = source.range_of(node)
    raise CompileError(f"\nDefault values of parameters have to be literals:\n{place.highlight() if place else ''}\n")


def signature(
    tree: ast.FunctionDef, name: str, source: SourceText, resolver: Any, this: Type | None = None
) -> tuple[Schema, bool]:
    """The schema that a definition writes, and whether it says what it returns."""
    from ._type_text import AnnotationError, from_syntax

    def type_of(node: ast.AST) -> Type:
        try:
            return from_syntax(node, lambda n: resolver.type_named(None, n))
        except AnnotationError as error:
            place = source.range_of(node)
            raise CompileError(f"\n{error}:\n{place.highlight() if place else ''}\n") from None

    spec = tree.args
    if spec.vararg is not None or spec.kwarg is not None:
        place = source.range_of(spec.vararg or spec.kwarg)  # type: ignore[arg-type]
        raise CompileError(
            "\nCompiled functions can't take variable number of arguments or use keyword-only arguments with defaults"
            f":\n{place.highlight() if place else ''}\n"
        )
    plain = [*spec.posonlyargs, *spec.args]
    defaults: list[Any] = [None] * (len(plain) - len(spec.defaults)) + list(spec.defaults)
    arguments = []
    for i, (parameter, default) in enumerate(
        [*zip(plain, defaults, strict=True), *zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    ):
        if i == 0 and this is not None:
            kind = this
        else:
            kind = TENSOR if parameter.annotation is None else type_of(parameter.annotation)
        value = NO_DEFAULT if default is None else default_of(default, kind, source, resolver)
        argument = Argument(parameter.arg, kind, value, i >= len(plain))
        if parameter.annotation is None and not (i == 0 and this is not None):
            argument.alias = "inferred"
        arguments.append(argument)
    returned = NONE if tree.returns is None else type_of(tree.returns)
    return Schema(name, arguments, [returned]), tree.returns is not None


def make_function(
    tree: ast.FunctionDef,
    name: str,
    source: SourceText,
    resolver: Any,
    this: Type | None = None,
    add_self: bool = False,
) -> Function:
    """A function that is compiled at first use; its schema is known at once if the definition says what it returns."""
    if add_self and not tree.args.args:
        raise CompileError(f"methods must have a self argument: {name}")
    schema, complete = signature(tree, name.rpartition(".")[2], source, resolver, this)

    def make(function: Function) -> None:
        em = Emitter(source, resolver, name.rpartition(".")[2])
        parameters = [(a.name, a.type, None) for a in schema.arguments]
        graph: Graph = em.function(tree, parameters, schema.results[0] if complete else None)
        if not complete:
            schema.results[0] = em.returned_type or NONE
            function._schema = schema
        function._graph = clean(graph)

    return Function(name, schema if complete else None, None, make)


def define_functions(unit: CompilationUnit, text: str, names: Any = None) -> None:
    """Compile the functions of a text into a unit."""
    source = SourceText(textwrap.dedent(text), "<string>")
    resolver = TextResolver(unit, names=names)
    made = []
    for tree in source.tree().body:
        if not isinstance(tree, ast.FunctionDef):
            raise CompileError(f"\nexpected a function definition:\n{source.range_of(tree).highlight()}\n")  # type: ignore[union-attr]
        function = make_function(tree, tree.name, source, resolver)
        unit._functions[tree.name] = function
        made.append(function)
    for function in made:
        function.ensure()


def define_methods(kind: ClassType, text: str, names: Any = None) -> list[Function]:
    """Compile the methods of a text into a class."""
    source = SourceText(textwrap.dedent(text), "<string>")
    assert kind.unit is not None
    resolver = TextResolver(kind.unit, names=names)
    made = []
    for tree in source.tree().body:
        if not isinstance(tree, ast.FunctionDef):
            raise CompileError(f"\nexpected a function definition:\n{source.range_of(tree).highlight()}\n")  # type: ignore[union-attr]
        function = make_function(tree, f"{kind.qualified_name}.{tree.name}", source, resolver, kind, add_self=True)
        kind.methods[tree.name] = function
        made.append(function)
    for function in made:
        function.ensure()
    return made
