"""Classes and functions from the texts of an archive, compiled when something first needs them."""

from __future__ import annotations

import ast

from ._schemas import Argument, Schema
from ._source import SourceText, TextResolver, default_of, make_function, signature
from ._sugar import CompileError
from ._type_text import AnnotationError, from_syntax
from ._types import INT, ClassType, EnumType, InterfaceType, TupleType, Type
from ._unit import CompilationUnit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Importer:
    """Finds types and functions by their qualified names.

    ``read`` brings the text of a file of the archive, ``code/a/b.py``, or None.
    """

    def __init__(
        self, unit: CompilationUnit, read: Callable[[str], str | None], constants: Any = (), version: int = 10
    ) -> None:
        self.unit, self._read = unit, read
        self._files: dict[str, tuple[SourceText, dict[str, ast.stmt]] | None] = {}
        self._resolver = TextResolver(unit, constants, self.find)
        self._resolver.version = version

    def _file(self, package: str) -> tuple[SourceText, dict[str, ast.stmt]] | None:
        if package not in self._files:
            path = f"code/{package.replace('.', '/')}.py"
            text = self._read(path)
            if text is None:
                self._files[package] = None
            else:
                source = SourceText(text, path)
                found: dict[str, ast.stmt] = {}
                for node in source.tree().body:
                    if not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                        self._refuse(source, node, "an archive's file holds classes and functions only")
                    found[node.name] = node  # type: ignore[attr-defined]
                self._files[package] = (source, found)
        return self._files[package]

    def _refuse(self, source: SourceText, node: ast.AST, message: str) -> None:
        place = source.range_of(node)
        raise CompileError(f"\n{message}:\n{place.highlight() if place else ''}\n")

    def find(self, name: str) -> Any:
        """The type or function of a qualified name; None if there is none."""
        found = self.unit._types.get(name) or self.unit._functions.get(name)
        if found is not None:
            return found
        package, _, short = name.rpartition(".")
        file = self._file(package) if package.startswith("__torch__") else None
        if file is None or short not in file[1]:
            return None
        source, nodes = file
        node = nodes[short]
        if isinstance(node, ast.FunctionDef):
            function = self.unit._functions[name] = make_function(node, name, source, self._resolver)
            return function
        assert isinstance(node, ast.ClassDef)
        return self._class(node, name, source)

    def type(self, name: str) -> Type:
        """The type of a qualified name.

        Raises:
            RuntimeError: the archive has none.
        """
        found = self.find(name)
        if not isinstance(found, Type):
            raise RuntimeError(f"Unknown type name '{name}'")
        return found

    def written(self, text: str) -> Type:
        """The type that a text writes."""
        tree = ast.parse(text.strip(), mode="eval").body
        return from_syntax(tree, lambda n: self._resolver.type_named(None, n))

    # ---- classes

    def _class(self, node: ast.ClassDef, name: str, source: SourceText) -> Type:
        base = ast.unparse(node.bases[0]) if node.bases else ""
        if base == "NamedTuple":
            return self._named_tuple(node, name, source)
        if base == "Enum":
            return self._enum(node, name, source)
        if base in ("Interface", "ModuleInterface"):
            return self._interface(node, name, source, base == "ModuleInterface")
        if base not in ("", "Module"):
            self._refuse(source, node, f"a class of an archive cannot have the base {base}")
        kind = ClassType(name, self.unit, is_module=base == "Module")
        # The class is known before its parts are read: they may mention it.
        self.unit._types[name] = kind
        methods: list[ast.FunctionDef] = []
        parameters: list[str] = []
        buffers: list[str] = []
        for part in node.body:
            if isinstance(part, ast.FunctionDef):
                methods.append(part)
            elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                self._attribute(kind, part.target.id, part, source, parameters, buffers)
            elif isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name):
                names = self._strings(part.value, source)
                known = {
                    "__parameters__": parameters,
                    "__buffers__": buffers,
                    "__forward_pre_hooks__": kind.pre_hooks,
                    "__forward_hooks__": kind.hooks,
                }
                if part.targets[0].id not in known:
                    self._refuse(source, part, "unexpected assignment in a class")
                known[part.targets[0].id].extend(names)
            elif isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Subscript):
                key = part.targets[0].slice
                if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                    self._refuse(source, part, "unexpected assignment in a class")
                self._add(kind, key.value, self._type(part.value, source), parameters, buffers)  # type: ignore[union-attr]
            elif not isinstance(part, ast.Pass):
                self._refuse(source, part, "unexpected statement in a class")
        for method in methods:
            made = make_function(method, f"{name}.{method.name}", source, self._resolver, kind, add_self=True)
            kind.methods[method.name] = made
            if method.name.startswith("__") and method.name.endswith("_getter"):
                known_name = method.name.removeprefix("__").removesuffix("_getter")
                setter = f"__{known_name}_setter"
                kind.properties[known_name] = (method.name, setter if any(m.name == setter for m in methods) else "")
        return kind

    def _type(self, node: ast.AST, source: SourceText) -> Type:
        try:
            return from_syntax(node, lambda n: self._resolver.type_named(None, n))
        except AnnotationError as error:
            self._refuse(source, node, str(error))
            raise

    def _attribute(
        self,
        kind: ClassType,
        name: str,
        node: ast.AnnAssign,
        source: SourceText,
        parameters: list[str],
        buffers: list[str],
    ) -> None:
        type = self._type(node.annotation, source)
        if node.value is not None:
            kind.constants[name] = default_of(node.value, type, source)
            kind.constant_types[name] = type
        else:
            self._add(kind, name, type, parameters, buffers)

    @staticmethod
    def _add(kind: ClassType, name: str, type: Type, parameters: list[str], buffers: list[str]) -> None:
        kind.add_attribute(name, type, name in parameters, name in buffers)

    def _strings(self, node: ast.expr, source: SourceText) -> list[str]:
        if not isinstance(node, ast.List) or not all(
            isinstance(e, ast.Constant) and isinstance(e.value, str) for e in node.elts
        ):
            self._refuse(source, node, "a list of names is expected")
        return [e.value for e in node.elts]  # type: ignore[attr-defined]

    def _named_tuple(self, node: ast.ClassDef, name: str, source: SourceText) -> Type:
        fields, kinds, defaults = [], [], []
        for part in node.body:
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                fields.append(part.target.id)
                kinds.append(self._type(part.annotation, source))
                if part.value is not None:
                    defaults.append(default_of(part.value, kinds[-1], source))
        found = self.unit._types[name] = TupleType(kinds, name, fields, defaults)
        return found

    def _enum(self, node: ast.ClassDef, name: str, source: SourceText) -> Type:
        from ._ir import type_of_constant

        members = []
        for part in node.body:
            if isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name):
                members.append((part.targets[0].id, default_of(part.value, INT, source)))
        value_type = type_of_constant(members[0][1]) if members else INT
        found = self.unit._types[name] = EnumType(name, value_type, members)
        return found

    def _interface(self, node: ast.ClassDef, name: str, source: SourceText, is_module: bool) -> Type:
        kind = InterfaceType(name, is_module)
        self.unit._types[name] = kind
        for part in node.body:
            if isinstance(part, ast.FunctionDef):
                schema, _ = signature(part, part.name, source, self._resolver, kind)
                kind.methods[part.name] = Schema(
                    part.name, [Argument("self", kind), *schema.arguments[1:]], schema.results
                )
        return kind
