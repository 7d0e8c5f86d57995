"""Assignments: to variables, attributes, subscripts and several of them at once, plain, annotated and augmented."""

from __future__ import annotations

import ast

from ._ir import Value
from ._match import converted
from ._sugar import Sugar
from ._types import ClassType, InterfaceType, ListType, TensorType, Type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_IN_PLACE = {
    ast.Add: "add_",
    ast.Sub: "sub_",
    ast.Mult: "mul_",
    ast.Div: "div_",
    ast.Mod: "remainder_",
    ast.Pow: "pow_",
    ast.BitAnd: "__iand__",
    ast.BitOr: "__ior__",
    ast.BitXor: "__ixor__",
    ast.LShift: "__ilshift__",
    ast.RShift: "__irshift__",
    ast.FloorDiv: "floor_divide_",
}


class Assignments:
    """The part of the emitter that deals with assignments."""

    graph: Any
    frame: Any
    source: Any

    def do_Assign(self, s: ast.Assign) -> None:  # noqa: N802
        hint = None
        comment = getattr(s, "type_comment", None)
        if comment and not comment.startswith("ignore"):
            hint = self.type_of_syntax(ast.parse(comment.strip(), mode="eval").body, s)
        if len(s.targets) > 1 and any(not isinstance(t, ast.Name) for t in s.targets):
            self.fail(s, "Performing multiple assignments at once is only supported for variables")
        if hint is None and isinstance(s.targets[0], ast.Name):
            hint_for = self.frame.declared(s.targets[0].id)
        else:
            hint_for = hint
        if hint is None and isinstance(s.targets[0], ast.Attribute):
            hint_for = self.attribute_type(s.targets[0])
        thing = self.emit_any(s.value, hint_for)
        if hint is not None:
            thing = self.fitted(self.as_value(thing, s), hint, s)
        elif isinstance(thing, Value) is False and isinstance(s.targets[0], ast.Name) and hasattr(thing, "parts"):
            thing = self.settled(thing, s)
        for target in s.targets:
            self.at(s)
            self.set_target(target, thing, s, hint)

    def settled(self, thing: Any, node: ast.AST) -> Any:
        """A tuple of values as a value; one that holds modules or functions stays what it is."""
        parts = [self.settled(p, node) if hasattr(p, "parts") else p for p in thing.parts]
        return thing.value(self, node) if all(isinstance(p, Value) for p in parts) and thing.what == "tuple" else thing

    def attribute_type(self, node: ast.Attribute) -> Type | None:
        """The type of an attribute that is assigned to, as a hint for what is assigned."""
        owner = self.frame.find(node.value.id) if isinstance(node.value, ast.Name) else None
        concrete = getattr(owner, "concrete", None)
        kind = concrete.kind if concrete is not None else owner.type() if isinstance(owner, Value) else None
        found = kind.attributes.get(node.attr) if isinstance(kind, ClassType) else None
        return None if found is None else found.type


    def do_AnnAssign(self, s: ast.AnnAssign) -> None:  # noqa: N802
        kind = self.type_of_syntax(s.annotation, s)
        if s.value is None:
            self.fail(s, "Expected an assignment: a variable is declared without a value")
        value = self.as_value(self.emit_any(s.value, kind), s)  # type: ignore[arg-type]
        if isinstance(s.target, ast.Attribute):
            self.set_target(s.target, self.fitted(value, kind, s), s)
            return
        if isinstance(s.target, ast.Name) and s.target.id in self.frame.types:
            self.fail(s, f"Type annotations on reassigned variables are not supported: '{s.target.id}'")
        self.set_target(s.target, self.fitted(value, kind, s), s, kind)

    def fitted(self, value: Value, kind: Type, node: ast.AST, convert: bool = False) -> Value:
        found = converted(self.graph, value, kind, convert)
        if found is None:
            name = node.target.id if isinstance(getattr(node, "target", None), ast.Name) else ""  # type: ignore[attr-defined]
            self.fail(
                node,
                f"Variable '{name}' is annotated with type {kind.repr_str()} but is being assigned to a value "
                f"of type {value.type().repr_str()}",
            )
        assert found is not None
        return found

    def do_AugAssign(self, s: ast.AugAssign) -> None:  # noqa: N802
        target = s.target
        load = _loaded(target)
        if isinstance(target, ast.Subscript):
            owner = self.emit_any(target.value)
            if isinstance(owner, Value) and isinstance(owner.type(), TensorType):
                piece = self.tensor_piece(owner, target.slice, target)
                if piece is None:
                    old = self.as_value(self.emit_any(load), s)
                    new = self.binary(s.op, old, self.emit(s.value), s)
                    self.store_piece(owner, target.slice, new, s)
                else:
                    self.in_place(s.op, piece, self.emit(s.value), s)
                return
            new = self.binary(s.op, self.emit(load), self.emit(s.value), s)
            self.set_target(target, new, s)
            return
        old = self.as_value(self.emit_any(load), s)
        other = self.emit(s.value)
        self.at(s)
        if isinstance(old.type(), (TensorType, ListType)):
            new = self.in_place(s.op, old, other, s)
        else:
            new = self.binary(s.op, old, other, s)
        self.set_target(target, new, s)

    def in_place(self, op: ast.operator, old: Value, other: Value, node: ast.AST) -> Value:
        from ._schemas import overloads

        name = _IN_PLACE.get(type(op), "")
        if not name or not overloads(f"aten::{name}"):
            return self.binary(op, old, other, node)
        return self.builtin(f"aten::{name}", [old, other], {}, node)

    def do_Delete(self, s: ast.Delete) -> None:  # noqa: N802
        for target in s.targets:
            if isinstance(target, ast.Subscript):
                owner, key = self.emit(target.value), self.emit(target.slice)
                self.builtin("aten::Delete", [owner, key], {}, s)
            elif isinstance(target, ast.Name):
                self.frame.names.pop(target.id, None)
            else:
                self.fail(s, "del statements are only supported for deleting list and dict items and variables")

    # ---- targets

    def set_target(self, target: ast.AST, thing: Any, node: ast.AST, declared: Type | None = None) -> None:
        if isinstance(target, ast.Name):
            self.set(target.id, thing, node, declared)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self.unpack(target, thing, node)
        elif isinstance(target, ast.Subscript):
            owner = self.emit_any(target.value)
            value = self.as_value(thing, node)
            self.at(node)
            if isinstance(owner, Value) and isinstance(owner.type(), TensorType):
                self.store_piece(owner, target.slice, value, node)
            else:
                if isinstance(target.slice, ast.Slice):
                    self.fail(
                        node,
                        "Sliced expression not yet supported for subscripted assignment. File a bug if you want this",
                    )
                owned = self.as_value(owner, node)
                kind = owned.type()
                if isinstance(kind, (ClassType, InterfaceType)):
                    self.call(self.attribute(owned, "__setitem__", node), [self.emit(target.slice), value], {}, node)
                    return
                self.builtin("aten::_set_item", [owned, self.emit(target.slice), value], {}, node)
        elif isinstance(target, ast.Attribute):
            owner = self.emit_any(target.value)
            self.set_attribute(owner, target.attr, self.as_value(thing, node), node)
        else:
            self.source.unsupported(target)

    def unpack(self, target: ast.Tuple | ast.List, thing: Any, node: ast.AST) -> None:
        targets = target.elts
        star = next((i for i, t in enumerate(targets) if isinstance(t, ast.Starred)), None)
        items = self.static_items(thing, node)
        if items is None:
            value = self.as_value(thing, node)
            if isinstance(value.type(), TensorType):
                value = self.builtin("aten::unbind", [value, self.graph.constant(0)], {}, node)
            kind = value.type()
            if not isinstance(kind, ListType):
                self.fail(node, f"{kind.repr_str()} cannot be used as a tuple")
            if star is not None:
                self.fail(node, "Provided list cannot be unpacked into a starred target: its length is not known")
            assert isinstance(kind, ListType)
            unpacked = self.graph.create("prim::ListUnpack", [value], [kind.element] * len(targets))
            items = list(unpacked.output_values)
        if star is None and len(items) != len(targets):
            node = target
            if len(items) < len(targets):
                self.fail(node, f"need {len(targets)} values to unpack but found only {len(items)}")
            self.fail(node, f"too many values to unpack: need {len(targets)} but found {len(items)}")
        if star is not None:
            from ._sugar import TupleSugar

            after = len(targets) - star - 1
            middle = TupleSugar(items[star : len(items) - after])
            items = [*items[:star], middle, *items[len(items) - after :]]
        for t, item in zip(targets, items, strict=True):
            self.set_target(t.value if isinstance(t, ast.Starred) else t, item, node)

    def set_attribute(self, owner: Any, name: str, value: Value, node: ast.AST) -> None:
        if isinstance(owner, Sugar):
            setter = getattr(owner, "set_attribute", None)
            if setter is None:
                self.fail(node, f"Tried to set an attribute: {name} on a non-class: {owner.what}")
            assert setter is not None
            setter(self, name, value, node)
            return
        kind = owner.type()
        if not isinstance(kind, ClassType):
            self.fail(node, f"Tried to set an attribute: {name} on a non-class: {kind.repr_str()}")
        if name in kind.properties and kind.properties[name][1]:
            self.call(self.attribute(owner, kind.properties[name][1], node), [value], {}, node)
            return
        found = kind.attributes.get(name)
        if found is None:
            if (
                self.function_name.endswith("__init__")
                and not kind.is_module()
                and owner is self.graph.top.parameters[0]
            ):
                if self.graph.block is not self.graph.top:
                    self.fail(node, f"Assignment to attribute '{name}' of 'self' must not be in a control-flow block")
                kind.add_attribute(name, value.type())
                found = kind.attributes[name]
            else:
                hint = " in __init__, or" if not kind.is_module() else ""
                self.fail(
                    node,
                    f"Tried to set nonexistent attribute: {name}. Did you forget to initialize it{hint} in __init__()?"
                    if kind.is_module()
                    else f"Tried to set nonexistent attribute: {name}. Did you forget to initialize it in __init__()?",
                )
        assert found is not None
        fitting = converted(self.graph, value, found.type, False)
        if fitting is None:
            self.fail(
                node,
                f"Wrong type for attribute assignment. Expected {found.type.repr_str()} but got "
                f"{value.type().repr_str()}",
            )
        set_ = self.graph.create("prim::SetAttr", [owner, fitting], [])  # type: ignore[list-item]
        set_.attributes["name"] = name


def _loaded(target: ast.AST) -> ast.expr:
    """A target as an expression."""
    if isinstance(target, ast.Name):
        made: ast.expr = ast.Name(target.id, ast.Load())
    elif isinstance(target, ast.Attribute):
        made = ast.Attribute(target.value, target.attr, ast.Load())
    else:
        assert isinstance(target, ast.Subscript)
        made = ast.Subscript(target.value, target.slice, ast.Load())
    return ast.copy_location(made, target)
