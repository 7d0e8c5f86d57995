"""Sizes and numbers that depend on elements of tensors: each gets a symbol without a value for the example."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, unset_fake_temporarily

from ..node import Node, has_side_effect
from ._expressions import Expr, Symbol
from .symbolic_shapes import int_oo

__all__ = ["DYNAMIC", "UnbackedOperations"]

# Functions that may give results whose size depends on elements.
DYNAMIC = {
    "nonzero": "nonzero", "argwhere": "argwhere", "where": "where", "masked_select": "masked_select",
    "repeat_interleave": "repeat_interleave", "unique": "unique", "_unique2": "unique", "__getitem__": "getitem",
    "__setitem__": "setitem",
}  # fmt: skip

_COMPARISONS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
                ">=": operator.ge}  # fmt: skip

for _op in (torch.ops.aten._assert_scalar.default, torch.ops.aten._assert_tensor_metadata.default):
    has_side_effect(_op)


class UnbackedOperations:
    """The part of ``ProgramTracer`` that records operations whose results' sizes or values depend on elements."""

    graph: Any
    env: Any
    fake_mode: Any
    sizes: dict[Expr, Node]
    size_sources: dict[Symbol, tuple[Node, int, int]]
    argument: Any
    bind: Any
    _describe: Any
    _name_function: Any
    _run_parts: Any
    _made_fake: Any

    def element(self, func: Any, tensor: FakeTensor) -> Any:
        """The node of ``tensor.item()``, and the symbolic number that it gives."""
        node = self._record(func, torch.ops.aten.item.default, (tensor,), {})
        if tensor.dtype.is_floating_point:
            value = self.env.create_unbacked(-int_oo, int_oo, floating=True)
        elif tensor.dtype == torch.bool:
            value = self.env.create_unbacked(0, 1)
        else:
            value = self.env.create_unbacked(-int_oo, int_oo)
        (symbol,) = value.node.expr.symbols
        self.sizes[Expr.of(symbol)] = node
        node.meta["val"] = value
        if tensor.dtype == torch.bool:
            return value == 1
        return value

    def elements(self, func: Any, tensor: FakeTensor) -> Any:
        """The symbolic numbers of ``tensor.tolist()``."""
        if tensor.dim() == 0:
            return self.element(func, tensor)
        return [self.elements(func, part) for part in tensor.unbind(0)]

    def dynamic(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An operation whose result has a size that depends on elements; NotImplemented for others."""
        maker = getattr(self, f"_dynamic_{name.strip('_')}", None)
        return NotImplemented if maker is None else maker(func, *args, **kwargs)

    def _dynamic_nonzero(self, func: Any, input: Any, *, as_tuple: bool = False) -> Any:
        if as_tuple:
            return self._places(func, torch.ops.aten.nonzero_numpy.default, input)
        size = self._size_up_to(_count(input))
        return self._single(func, torch.ops.aten.nonzero.default, (input,), {}, [size, input.dim()], torch.int64)

    def _dynamic_argwhere(self, func: Any, input: Any) -> Any:
        size = self._size_up_to(_count(input))
        return self._single(func, torch.ops.aten.argwhere.default, (input,), {}, [size, input.dim()], torch.int64)

    def _dynamic_where(self, func: Any, condition: Any, *rest: Any, **kwargs: Any) -> Any:
        if rest or kwargs:
            return NotImplemented
        return self._places(func, torch.ops.aten.where.default, condition)

    def _places(self, func: Any, op: Any, input: Any) -> Any:
        size = self._size_up_to(_count(input))
        node = self._record(func, op, (input,), {})
        parts = []
        for i in range(input.dim()):
            item = self.graph.call_function(operator.getitem, (node, i))
            self._describe(item)
            parts.append(self._tie(item, [size], torch.int64, input.fake_device))
        node.meta["val"] = tuple(parts)
        return tuple(parts)

    def _dynamic_masked_select(self, func: Any, input: Any, mask: Any) -> Any:
        size = self._size_up_to(_count(input) if tuple(input.shape) == tuple(mask.shape) else None)
        op = torch.ops.aten.masked_select.default
        return self._single(func, op, (input, mask), {}, [size], input.dtype)

    def _dynamic_repeat_interleave(
        self, func: Any, input: Any, repeats: Any = None, dim: Any = None, **rest: Any
    ) -> Any:
        if repeats is None or not isinstance(repeats, torch.Tensor) or rest:
            return NotImplemented
        size = self._size_up_to(None)
        shape = [size]
        if dim is not None:
            shape = [size if i == dim % input.dim() else s for i, s in enumerate(input.shape)]
        op = torch.ops.aten.repeat_interleave.self_Tensor
        given = (input, repeats) if dim is None else (input, repeats, dim)
        return self._single(func, op, given, {}, shape, input.dtype)

    def _dynamic_unique(
        self, func: Any, input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
        dim: Any = None,
    ) -> Any:  # fmt: skip
        if dim is not None:
            return NotImplemented
        size = self._size_up_to(_count(input))
        args = [input, sorted, return_inverse, return_counts]
        while len(args) > 1 and args[-1] is (len(args) == 2):
            args.pop()
        node = self._record(func, torch.ops.aten._unique2.default, tuple(args), {})
        shapes = [[size], list(input.shape) if return_inverse else [0], [size] if return_counts else [0]]
        parts = []
        for i, shape in enumerate(shapes):
            item = self.graph.call_function(operator.getitem, (node, i))
            self._describe(item)
            dtype = input.dtype if i == 0 else torch.int64
            parts.append(self._tie(item, shape, dtype, input.fake_device))
        node.meta["val"] = tuple(parts)
        wanted = [p for p, asked in zip(parts, (True, return_inverse, return_counts), strict=True) if asked]
        return wanted[0] if len(wanted) == 1 else tuple(wanted)

    def _dynamic_getitem(self, func: Any, input: Any, index: Any) -> Any:
        """``x[mask]``: the mask becomes as many indices as it has true elements."""
        found = _only_mask(input, index)
        if found is None:
            return NotImplemented
        mask, at = found
        size = self._size_up_to(_count(mask))
        shape = [*input.shape[:at], size, *input.shape[at + mask.dim() :]]
        given = [None] * at + [mask]
        return self._single(func, torch.ops.aten.index.Tensor, (input, given), {}, shape, input.dtype)

    def _dynamic_setitem(self, func: Any, input: Any, index: Any, value: Any) -> Any:
        """``x[mask] = value``."""
        found = _only_mask(input, index)
        if found is None:
            return NotImplemented
        mask, at = found
        if not isinstance(value, torch.Tensor):
            with unset_fake_temporarily():
                value = torch.tensor(value, dtype=input.dtype)
            value = self._made_fake(value)
        given = [None] * at + [mask]
        node = self._record(func, torch.ops.aten.index_put_.default, (input, given, value), {})
        self.bind(input, node)
        return None

    # ---- nodes

    def _size_up_to(self, most: Any) -> Any:
        upper = int(most) if isinstance(most, int) else int_oo
        return self.env.create_unbacked(0, upper)

    def _record(self, func: Any, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Node:
        node = self.graph.call_function(
            op, self.argument(args), self.argument(kwargs), name=self.graph._target_to_str(op._opname)
        )
        self._name_function(node, func)
        self._describe(node)
        return node  # type: ignore[no-any-return]

    def _single(self, func: Any, op: Any, args: Any, kwargs: Any, shape: list[Any], dtype: torch.dtype) -> FakeTensor:
        node = self._record(func, op, args, kwargs)
        return self._tie(node, shape, dtype, args[0].fake_device)

    def _tie(self, node: Node, shape: list[Any], dtype: torch.dtype, device: torch.device) -> FakeTensor:
        """A contiguous fake tensor of these sizes, as the result of a node."""
        steps: list[Any] = []
        step = Expr.of(1)
        for size in reversed(shape):
            steps.insert(0, self.env.symint(step))
            step = step * (size.node.expr if isinstance(size, torch.SymInt) else Expr.of(size))
        plain = [[s.node.hint if isinstance(s, torch.SymInt) else s for s in v] for v in (shape, steps)]
        with unset_fake_temporarily():
            made = FakeTensor(self.fake_mode, torch.empty_strided(*plain, dtype=dtype, device="meta"), device)
        if any(isinstance(s, torch.SymInt) for s in shape):
            made._sizes, made._steps = tuple(shape), tuple(steps)
        self.bind(made, node)
        return made

    def condition_node(self, value: Any) -> Node:
        """The node of a comparison of sizes."""
        relation = value.node
        if relation.sign in ("and", "or"):
            parts = [self.condition_node(torch.SymBool(r)) for r in (relation.left, relation.right)]
            made = self.graph.call_function(operator.and_ if relation.sign == "and" else operator.or_, tuple(parts))
        else:
            sides = tuple(self.argument(side) for side in (relation.left, relation.right))
            made = self.graph.call_function(_COMPARISONS[relation.sign], sides)
        made.meta["val"] = value
        self._describe(made)
        return made  # type: ignore[no-any-return]

    # ---- checks that the program does when it runs

    def assertions(self) -> None:
        """Add what has to hold of the numbers that depend on elements, where they are made."""
        stated: set[str] = set()
        for symbol, known in list(self.env.var_to_range.items()):
            if symbol not in self.env.unbacked or symbol in self.env.replacements or symbol in self.env.floating:
                continue
            value = self._node_of_symbol(symbol)
            if value is None:
                continue
            after = value
            for sign, bound in ((">=", known.lower), ("<=", known.upper)):
                if isinstance(bound, int):
                    text = f"{symbol} {sign} {bound}"
                    stated.add(text)
                    after = self._assertion(after, _COMPARISONS[sign], (value, bound), text)
            for relation in self.env.expected:
                symbols = relation.left.symbols | relation.right.symbols if relation.sign in _COMPARISONS else set()
                if symbol in symbols and max(symbols, key=self._age) == symbol and str(relation) not in stated:
                    stated.add(str(relation))
                    after = self._expected(after, relation)

    def _age(self, symbol: Symbol) -> int:
        return list(self.env.var_to_range).index(symbol)

    def _node_of_symbol(self, symbol: Symbol) -> Node | None:
        """The node of a symbol; for a size it is made right behind the tensor's."""
        expr = Expr.of(symbol)
        if expr in self.sizes:
            return self.sizes[expr]
        if symbol not in self.size_sources:
            return None
        self.sizes[expr] = self._size_node_behind(symbol)
        return self.sizes[expr]

    def _size_node_behind(self, symbol: Symbol) -> Node:
        source, dim, _ = self.size_sources[symbol]
        with self.graph.inserting_after(source):
            node = self.graph.call_function(torch.ops.aten.sym_size.int, (source, dim), name="sym_size_int")
        node.meta["val"] = self.env.symint(Expr.of(symbol))
        return node  # type: ignore[no-any-return]

    def _expected(self, after: Node, relation: Any) -> Node:
        with self.graph.inserting_after(after):
            sides = []
            for side in (relation.left, relation.right):
                known = side.constant
                found = known if known is not None else self.sizes.get(self.env.simplify(side), self.sizes.get(side))
                if found is None:
                    return after
                sides.append(found)
        return self._assertion(after, _COMPARISONS[relation.sign], tuple(sides), str(relation))

    def _assertion(self, after: Node, function: Any, args: tuple[Any, ...], text: str) -> Node:
        from torch._symbolic import SymBool

        from .sym_node import RelationNode

        with self.graph.inserting_after(after):
            made = self.graph.call_function(function, args)
        sides = [self._expr_of(a) for a in args]
        sign = next(s for s, f in _COMPARISONS.items() if f is function)
        made.meta["val"] = SymBool(RelationNode(sign, *sides, self.env))
        message = f"Runtime assertion failed for expression {text} on node '{made.name}'"
        with self.graph.inserting_after(made):
            check = self.graph.call_function(
                torch.ops.aten._assert_scalar.default, (made, message), name="_assert_scalar_default"
            )
        for node in (made, check):
            for key in ("nn_module_stack", "stack_trace"):
                if key in after.meta:
                    node.meta[key] = after.meta[key]
        return check  # type: ignore[no-any-return]

    @staticmethod
    def _expr_of(value: Any) -> Expr:
        return value.meta["val"].node.expr if isinstance(value, Node) else Expr.of(value)


def _only_mask(input: Any, index: Any) -> tuple[Any, int] | None:
    """The mask of an index that is nothing but a mask behind whole dimensions, and the dimension that it is for."""
    indices = list(index) if isinstance(index, tuple) else [index]
    places = [i for i, v in enumerate(indices) if isinstance(v, torch.Tensor) and v.dtype in (torch.bool, torch.uint8)]
    whole = all(i in places or (isinstance(v, slice) and v == slice(None)) for i, v in enumerate(indices))
    if len(places) != 1 or not whole or not isinstance(input, FakeTensor):
        return None
    return indices[places[0]], places[0]


def _count(tensor: Any) -> Any:
    """The number of elements; None where it is open."""
    count = 1
    for size in tensor.shape:
        if not isinstance(size, int):
            return None
        count *= size
    return count
