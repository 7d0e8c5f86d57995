"""Subscripts: elements and slices of lists, tuples, dictionaries, text and tensors, read and written."""

from __future__ import annotations

import ast

from ._ir import Value
from ._sugar import Sugar
from ._types import (
    BOOL,
    INT,
    NONE,
    STR,
    TENSOR,
    ClassType,
    DictType,
    InterfaceType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Indexing:
    """The part of the emitter that deals with subscripts."""

    graph: Any

    def on_Subscript(self, node: ast.Subscript, hint: Type | None) -> Any:  # noqa: N802  the node's name
        em: Any = self
        owner = em.emit_any(node.value)
        key = node.slice
        if isinstance(owner, Sugar):
            if isinstance(key, ast.Slice):
                return self._slice_parts(owner, key, node)
            return owner.item(em, em.emit(key), node)  # type: ignore[func-returns-value]
        kind = owner.type()
        if isinstance(kind, TensorType):
            em.at(node)
            return self.tensor_item(owner, key, node)
        if isinstance(kind, TupleType):
            if isinstance(key, ast.Slice):
                return self._tuple_slice(owner, key, node)
            return self._tuple_element(owner, key, node)
        if isinstance(kind, (ClassType, InterfaceType)):
            return em.call(em.attribute(owner, "__getitem__", node), [em.emit(key)], {}, node)
        if isinstance(key, ast.Slice):
            if not isinstance(kind, ListType) and kind is not STR:
                em.fail(node, f"'{kind.repr_str()}' object is not subscriptable")
            return em.builtin("aten::slice", [owner, *self.bounds(key)], {}, node)
        if isinstance(kind, (ListType, DictType)) or kind is STR:
            index = em.emit(key)
            em.at(node)
            return em.builtin("aten::__getitem__", [owner, index], {}, node)
        em.fail(node, f"'{kind.repr_str()}' object is not subscriptable")
        return None

    def bounds(self, key: ast.Slice) -> list[Value]:
        em: Any = self
        parts = [self.graph.constant(None) if p is None else em.emit(p) for p in (key.lower, key.upper)]
        return [*parts, self.graph.constant(1) if key.step is None else em.emit(key.step)]

    def _known_bounds(self, key: ast.Slice, length: int, node: ast.AST) -> range:
        em: Any = self
        numbers = []
        for part in (key.lower, key.upper, key.step):
            known, number = (True, None) if part is None else em.emit(part).constant()
            if not known:
                em.fail(node, "tuple slice indices must be integer constants")
            numbers.append(number)
        return range(*slice(*numbers).indices(length))

    def _slice_parts(self, owner: Sugar, key: ast.Slice, node: ast.AST) -> Any:
        em: Any = self
        items = owner.items(em, node)
        if items is None:
            em.fail(node, f"'{owner.what}' object is not subscriptable")
        assert items is not None
        kept = [items[i] for i in self._known_bounds(key, len(items), node)]
        slicer = getattr(owner, "sliced", None)
        if slicer is not None:
            return slicer(kept)
        from ._sugar import TupleSugar

        return TupleSugar(kept)

    def _tuple_slice(self, owner: Value, key: ast.Slice, node: ast.AST) -> Value:
        em: Any = self
        kind = owner.type()
        assert isinstance(kind, TupleType)
        values = [em.tuple_item(owner, i) for i in self._known_bounds(key, len(kind.types), node)]
        return self.graph.insert("prim::TupleConstruct", values, TupleType(v.type() for v in values))  # type: ignore[no-any-return]

    def _tuple_element(self, owner: Value, key: ast.expr, node: ast.AST) -> Value:
        em: Any = self
        kind = owner.type()
        assert isinstance(kind, TupleType)
        index = em.emit(key)
        known, number = index.constant()
        if index.type() is not INT:
            em.fail(node, "tuple index must be an integer")
        if not known:
            if len(set(kind.types)) != 1:
                em.fail(
                    node,
                    "Cannot index into a tuple with a non-integer literal because we cannot resolve the output type",
                )
            return self.graph.insert("prim::TupleIndex", [owner, index], kind.types[0])  # type: ignore[no-any-return]
        if not -len(kind.types) <= number < len(kind.types):
            em.fail(node, f"Tuple index out of range. Tuple is length {len(kind.types)} and index is {number}")
        return em.tuple_item(owner, number % len(kind.types))  # type: ignore[no-any-return]

    # ---- tensors

    def tensor_item(self, owner: Value, key: ast.expr, node: ast.AST) -> Value:
        """A piece of a tensor: views, and then a gather where tensors are among the indices."""
        em: Any = self
        piece, tensors = self._views(owner, key, node)
        if not tensors:
            if piece is owner:
                return self.graph.insert("aten::alias", [owner], TENSOR)  # type: ignore[no-any-return]
            return piece
        made: Value = em.builtin("aten::index", [piece, self._index_list(tensors)], {}, node)
        return made

    def tensor_piece(self, owner: Value, key: ast.expr, node: ast.AST) -> Value | None:
        """The piece as a view of the tensor; None if it is none."""
        piece, tensors = self._views(owner, key, node)
        return None if tensors else piece

    def store_piece(self, owner: Value, key: ast.expr, value: Value, node: ast.AST) -> None:
        em: Any = self
        piece, tensors = self._views(owner, key, node)
        number = not isinstance(value.type(), TensorType)
        if number and not (value.type() in (INT, BOOL) or str(value.type()) in ("float", "complex", "Scalar")):
            em.fail(node, f"a {value.type().repr_str()} cannot be assigned to a piece of a tensor")
        if number:
            dtype = self.graph.insert("prim::dtype", [piece], INT)
            device = em.builtin("prim::device", [piece], {}, node)
            value = em.builtin("aten::tensor", [value], {"dtype": dtype, "device": device}, node)
        if tensors:
            em.builtin("aten::index_put_", [piece, self._index_list(tensors), value], {}, node)
        else:
            em.builtin("aten::copy_", [piece, value], {}, node)

    def _index_list(self, tensors: dict[int, Value]) -> Value:
        none = self.graph.constant(None)
        values = [tensors.get(i, none) for i in range(max(tensors) + 1)]
        kind = ListType(OptionalType(TENSOR))
        return self.graph.insert("prim::ListConstruct", values, kind)  # type: ignore[no-any-return]

    def _views(self, owner: Value, key: ast.expr, node: ast.AST) -> tuple[Value, dict[int, Value]]:
        """The tensor after numbers, slices and None, and the tensors that index its dimensions."""
        em: Any = self
        parts = list(key.elts) if isinstance(key, ast.Tuple) else [key]
        spread: list[Any] = []
        for part in parts:
            if isinstance(part, ast.Starred):
                spread += em.spread(part)
            elif isinstance(part, ast.Slice) or (isinstance(part, ast.Constant) and part.value is Ellipsis):
                spread.append(part)
            else:
                thing = em.emit_any(part)
                items = (
                    em.static_items(thing, node)
                    if not isinstance(thing, Value) or isinstance(thing.type(), TupleType)
                    else None
                )
                if items is not None and len(parts) == 1:
                    spread += items
                else:
                    spread.append(em.as_value(thing, part))
        tensors: dict[int, Value] = {}
        dim, from_end = 0, False
        after = 0
        dots = [i for i, p in enumerate(spread) if isinstance(p, ast.Constant)]
        if len(dots) > 1:
            em.fail(node, "An index can only have a single ellipsis ('...')")
        if dots:
            rest = spread[dots[0] + 1 :]
            after = sum(1 for p in rest if not (isinstance(p, Value) and p.type() is NONE))
        piece = owner
        for at, part in enumerate(spread):
            if isinstance(part, ast.Constant):
                if any(isinstance(p, Value) and isinstance(p.type(), TensorType) for p in spread[at + 1 :]):
                    em.fail(node, "Ellipses followed by tensor indexing is currently not supported")
                from_end, dim = True, -after
                continue
            where = self.graph.constant(dim)
            em.at(node)
            if isinstance(part, ast.Slice):
                start, end, step = self.bounds(part)
                zero_or = start if start.constant() != (True, None) or dim else self.graph.constant(None)
                piece = em.builtin("aten::slice", [piece, where, zero_or, end, step], {}, node)
                dim += 1
            elif part.type() is NONE:
                here = self.graph.constant(dim - 1) if from_end else where
                piece = em.builtin("aten::unsqueeze", [piece, here], {}, node)
                dim += 0 if from_end else 1
            elif part.type() is INT:
                piece = em.builtin("aten::select", [piece, where, part], {}, node)
                dim += 1 if from_end else 0
            elif isinstance(part.type(), TensorType):
                tensors[dim] = part
                dim += 1
            elif isinstance(part.type(), OptionalType):
                em.fail(
                    node,
                    f"Unsupported operation: indexing tensor with unsupported index type '{part.type()}'. "
                    "Only ints, slices, lists and tensors are supported",
                )
            elif isinstance(part.type(), ListType):
                tensors[dim] = em.builtin("aten::tensor", [part], {}, node)
                dim += 1
            elif part.type() is BOOL:
                piece = em.builtin("aten::unsqueeze", [piece, where], {}, node)
                tensors[dim] = em.builtin("aten::tensor", [part], {}, node)
                dim += 1
            else:
                em.fail(
                    node,
                    f"Unsupported operation: indexing tensor with unsupported index type "
                    f"'{part.type().repr_str()}'. Only ints, slices, lists and tensors are supported",
                )
        return piece, tensors
