# ruff: noqa: E501, I001
"""Graphs: what a TorchScript function is once it is compiled. Values are set once; control flow is a node with blocks.

A node has a kind (``aten::add``, ``prim::If``), inputs, attributes, outputs and blocks. A block has parameters, nodes
and results. Constants that are not numbers or text (tensors) are attributes of ``prim::Constant`` nodes too.
"""

from __future__ import annotations

import math

import torch

from ._types import (
    BOOL,
    COMPLEX,
    DEVICE,
    FLOAT,
    INT,
    NONE,
    STR,
    TENSOR,
    EnumType,
    FunctionType,
    ListType,
    TupleType,
    Type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any


class SourceRange:
    """A place in a source text."""

    __slots__ = ("text", "file", "first_line", "line", "column", "end", "last_line")

    def __init__(
        self, text: str, file: str, first_line: int, line: int, column: int, end: int, last_line: int = 0
    ) -> None:
        # ``line`` counts from 1 within the text; ``first_line`` is the line of the file at which the text begins.
        self.text, self.file, self.first_line = text, file, first_line
        self.line, self.column, self.end, self.last_line = line, column, end, last_line

    def where(self) -> str:
        return f"{self.file}:{self.first_line + self.line - 1}:{self.column}"

    def highlight(self, function: str = "") -> str:
        """The lines around the place, the place underlined, as PyTorch's messages have them."""
        lines = self.text.rstrip("\n").split("\n")
        first, last = self.line - 1, max(self.last_line, self.line) - 1
        shown = lines[max(0, first - 2) : first]
        for at in range(first, min(last + 1, len(lines))):
            line = lines[at]
            start = self.column if at == first else len(line) - len(line.lstrip())
            end = min(self.end, len(line)) if at == last else len(line)
            shown += [line, " " * start + "~" * max(end - start, 1) + (" <--- HERE" if at == last else "")]
        shown += lines[last + 1 : last + 3]
        at = first
        inside = f", in {function}" if function else ""
        place = f'  File "{self.file}", line {self.first_line + at}{inside}\n' if self.file else ""
        return place + "\n".join(shown)


class Value:
    """A value of a graph. ``uses`` are (node, position of the input)."""

    __slots__ = ("type_", "name", "node", "uses", "id", "offset")

    def __init__(self, type: Type, node: Node | Block, id: int, name: str = "", offset: int = 0) -> None:
        self.type_, self.node, self.id, self.name, self.offset = type, node, id, name, offset
        self.uses: list[tuple[Node, int]] = []

    def type(self) -> Type:
        return self.type_

    def setType(self, type: Type) -> Value:  # noqa: N802  PyTorch's spelling
        self.type_ = type
        return self

    def debugName(self) -> str:  # noqa: N802  PyTorch's spelling
        return self.name or str(self.id)

    def setDebugName(self, name: str) -> Value:  # noqa: N802  PyTorch's spelling
        self.name = name
        return self

    def hasDebugName(self) -> bool:  # noqa: N802  PyTorch's spelling
        return bool(self.name)

    def unique(self) -> int:
        return self.id

    def replaceAllUsesWith(self, other: Value) -> None:  # noqa: N802  PyTorch's spelling
        for node, at in self.uses:
            node.input_values[at] = other
            other.uses.append((node, at))
        self.uses.clear()

    def constant(self) -> tuple[bool, Any]:
        """(True, the value) of a constant, else (False, None)."""
        if isinstance(self.node, Node) and self.node.kind_ == "prim::Constant":
            return True, self.node.attributes.get("value")
        return False, None

    def toIValue(self) -> Any:  # noqa: N802  PyTorch's spelling
        return self.constant()[1]

    def __str__(self) -> str:
        return f"{self.debugName()} defined in ({self.node})"

    __repr__ = __str__


class Node:
    """One operation of a graph."""

    __slots__ = (
        "kind_",
        "input_values",
        "output_values",
        "attributes",
        "blocks_",
        "owner",
        "range",
        "graph",
        "schema",
        "scope",
    )

    def __init__(self, graph: Graph, kind: str, inputs: Iterable[Value] = (), range: SourceRange | None = None) -> None:
        self.graph, self.kind_, self.range = graph, kind, range
        self.input_values: list[Value] = []
        self.output_values: list[Value] = []
        self.attributes: dict[str, Any] = {}
        self.blocks_: list[Block] = []
        self.owner: Block | None = None
        self.schema: Any = None
        self.scope = ""
        for value in inputs:
            self.add_input(value)

    def add_input(self, value: Value) -> None:
        value.uses.append((self, len(self.input_values)))
        self.input_values.append(value)

    def remove_inputs(self) -> None:
        for at, value in enumerate(self.input_values):
            value.uses.remove((self, at))
        self.input_values.clear()

    def add_output(self, type: Type, name: str = "") -> Value:
        value = Value(type, self, self.graph.next_id(), name, len(self.output_values))
        self.output_values.append(value)
        return value

    def add_block(self) -> Block:
        block = Block(self.graph, self)
        self.blocks_.append(block)
        return block

    def destroy(self) -> None:
        """Take the node out of its block; its results may not be in use."""
        for block in self.blocks_:
            for node in reversed(list(block.nodes_)):
                node.destroy()
            block.result.remove_inputs()
        self.remove_inputs()
        if self.owner is not None:
            self.owner.nodes_.remove(self)
            self.owner = None

    # The names under which programs that look at PyTorch's graphs know these.
    def kind(self) -> str:
        return self.kind_

    def inputs(self) -> Iterator[Value]:
        return iter(self.input_values)

    def outputs(self) -> Iterator[Value]:
        return iter(self.output_values)

    def inputsSize(self) -> int:  # noqa: N802  PyTorch's spelling
        return len(self.input_values)

    def outputsSize(self) -> int:  # noqa: N802  PyTorch's spelling
        return len(self.output_values)

    def inputsAt(self, i: int) -> Value:  # noqa: N802  PyTorch's spelling
        return self.input_values[i]

    def outputsAt(self, i: int) -> Value:  # noqa: N802  PyTorch's spelling
        return self.output_values[i]

    def input(self) -> Value:
        if len(self.input_values) != 1:
            raise RuntimeError(f"the node has {len(self.input_values)} inputs, not one")
        return self.input_values[0]

    def output(self) -> Value:
        if len(self.output_values) != 1:
            raise RuntimeError(f"the node has {len(self.output_values)} outputs, not one")
        return self.output_values[0]

    def blocks(self) -> Iterator[Block]:
        return iter(self.blocks_)

    def hasAttribute(self, name: str) -> bool:  # noqa: N802  PyTorch's spelling
        return name in self.attributes

    def attributeNames(self) -> list[str]:  # noqa: N802  PyTorch's spelling
        return list(self.attributes)

    def s(self, name: str) -> Any:
        return self.attributes[name]

    i = f = t = ival = s

    def sourceRange(self) -> str:  # noqa: N802  PyTorch's spelling
        return self.range.highlight() if self.range is not None else ""

    def scopeName(self) -> str:  # noqa: N802  PyTorch's spelling
        return self.scope

    def __str__(self) -> str:
        lines: list[str] = []
        _Printer(lines).node(self, 0)
        return "\n".join(lines) + "\n"

    __repr__ = __str__


class Block:
    """A list of nodes with parameters and results."""

    __slots__ = ("graph", "owner", "parameters", "nodes_", "result")

    def __init__(self, graph: Graph, owner: Node | None = None) -> None:
        self.graph, self.owner = graph, owner
        self.parameters: list[Value] = []
        self.nodes_: list[Node] = []
        self.result = Node(graph, "prim::Return")
        self.result.owner = self

    def add_parameter(self, type: Type, name: str = "") -> Value:
        value = Value(type, self, self.graph.next_id(), name, len(self.parameters))
        self.parameters.append(value)
        return value

    def append(self, node: Node) -> Node:
        node.owner = self
        self.nodes_.append(node)
        return node

    @property
    def results(self) -> list[Value]:
        return self.result.input_values

    def inputs(self) -> Iterator[Value]:
        return iter(self.parameters)

    def outputs(self) -> Iterator[Value]:
        return iter(self.result.input_values)

    def nodes(self) -> Iterator[Node]:
        return iter(list(self.nodes_))

    def returnNode(self) -> Node:  # noqa: N802  PyTorch's spelling
        return self.result

    def all_nodes(self) -> Iterator[Node]:
        """The nodes of this block and of all blocks inside, in order."""
        for node in list(self.nodes_):
            yield node
            for block in node.blocks_:
                yield from block.all_nodes()


class Graph:
    """A function's body. New nodes go to the end of ``block``, the block at hand."""

    def __init__(self) -> None:
        self._ids = 0
        self.top = Block(self)
        self.block = self.top
        self.range: SourceRange | None = None
        self._constants: dict[Any, Value] = {}
        self._constants_end = 0
        self.name_counts: dict[str, int] = {}

    def next_id(self) -> int:
        self._ids += 1
        return self._ids - 1

    # ---- building

    def add_input(self, name: str, type: Type = TENSOR) -> Value:
        return self.top.add_parameter(type, self.fresh(name))

    def add_output(self, value: Value) -> None:
        self.top.result.add_input(value)

    def fresh(self, name: str) -> str:
        """A name for a value that no other has: ``x.1``, ``x.2``, as PyTorch numbers them."""
        base, dot, number = name.rpartition(".")
        if not dot or not number.isdigit():
            base = name
        count = self.name_counts.get(base, 0) + 1
        self.name_counts[base] = count
        return f"{base}.{count}"

    def create(self, kind: str, inputs: Iterable[Value] = (), outputs: Iterable[Type] = (TENSOR,)) -> Node:
        """A node at the end of the block at hand."""
        node = Node(self, kind, inputs, self.range)
        for type in outputs:
            node.add_output(type)
        return self.block.append(node)

    def insert(self, kind: str, inputs: Iterable[Value], type: Type = TENSOR, **attributes: Any) -> Value:
        """A node with one result, at the end of the block at hand; the result."""
        node = self.create(kind, inputs, (type,))
        node.attributes.update(attributes)
        return node.output_values[0]

    def constant(self, value: Any, type: Type | None = None) -> Value:
        """A constant; equal ones are one node, and all stand at the start of the graph."""
        if type is None:
            type = type_of_constant(value)
        key = _constant_key(value, type)
        found = self._constants.get(key)
        if found is None:
            node = Node(self, "prim::Constant", (), self.range)
            if type is not NONE:
                node.attributes["value"] = value
            found = self._constants[key] = node.add_output(type)
            node.owner = self.top
            self.top.nodes_.insert(self._constants_end, node)
            self._constants_end += 1
        return found

    insertConstant = constant  # noqa: N815  PyTorch's spelling

    def insert_call(self, name: str, args: Iterable[Any], kwargs: dict[str, Any] | None = None) -> Value:
        """A call of an operation, ``aten::add``; numbers and lists among the arguments become constants."""
        from ._match import insert_call

        return insert_call(self, name, args, kwargs)

    def insert_attribute(self, owner: Value, name: str) -> Value:
        """The attribute of an object, ``prim::GetAttr``."""
        kind = owner.type_.attributes[name].type  # type: ignore[attr-defined]
        return self.insert("prim::GetAttr", [owner], kind, name=name)

    def insert_method(self, owner: Value, name: str, args: Iterable[Value]) -> Value:
        """A call of a method with all its arguments, ``prim::CallMethod``."""
        method = owner.type_.find_method(name)  # type: ignore[attr-defined]
        if method is None:
            raise RuntimeError(f"{owner.type_} has no method {name}")
        return self.insert("prim::CallMethod", [owner, *args], getattr(method, "schema", method).returns, name=name)

    # ---- looking

    def inputs(self) -> Iterator[Value]:
        return iter(self.top.parameters)

    def outputs(self) -> Iterator[Value]:
        return iter(self.top.result.input_values)

    def nodes(self) -> Iterator[Node]:
        return iter(list(self.top.nodes_))

    def all_nodes(self) -> Iterator[Node]:
        return self.top.all_nodes()

    def findNode(self, kind: str, recurse: bool = True) -> Node | None:  # noqa: N802  PyTorch's spelling
        return next((n for n in (self.all_nodes() if recurse else self.nodes()) if n.kind_ == kind), None)

    def findAllNodes(self, kind: str, recurse: bool = True) -> list[Node]:  # noqa: N802  PyTorch's spelling
        return [n for n in (self.all_nodes() if recurse else self.nodes()) if n.kind_ == kind]

    def copy(self) -> Graph:
        from ._passes import copied

        return copied(self)

    def eraseInput(self, at: int) -> None:  # noqa: N802  PyTorch's spelling
        if self.top.parameters[at].uses:
            raise RuntimeError(f"input {at} of the graph is in use")
        del self.top.parameters[at]

    def lint(self) -> None:
        """Raise RuntimeError if a value is used before it is set."""
        _lint(self.top, set())

    def __str__(self) -> str:
        return _Printer([]).graph(self)

    __repr__ = __str__

    def str(self, print_source_ranges: bool = True) -> str:
        return _Printer([], print_source_ranges).graph(self)


def _lint(block: Block, known: set[Value]) -> None:
    known = known | set(block.parameters)
    for node in [*block.nodes_, block.result]:
        for value in node.input_values:
            if value not in known:
                raise RuntimeError(f"%{value.debugName()} is used before it is set, in {node}")
        for inner in node.blocks_:
            _lint(inner, known)
        known |= set(node.output_values)


def type_of_constant(value: Any) -> Type:
    """The type of a constant of a graph."""
    for kind, type in ((bool, BOOL), (int, INT), (float, FLOAT), (complex, COMPLEX), (str, STR)):
        if value.__class__ is kind:
            return type
    if value is None:
        return NONE
    if isinstance(value, torch.Tensor):
        return TENSOR
    if isinstance(value, torch.device):
        return DEVICE
    if isinstance(value, tuple):
        return TupleType([type_of_constant(v) for v in value])
    if isinstance(value, list):
        return ListType(type_of_constant(value[0]) if value else TENSOR)
    raise TypeError(f"a {type(value).__name__} cannot be a constant of a graph")


def _constant_key(value: Any, type: Type) -> Any:
    if isinstance(value, float):
        return type, repr(value), math.copysign(1, value)
    if isinstance(value, (torch.Tensor, list, dict)):
        return type, id(value)
    if isinstance(type, (EnumType, FunctionType)):
        return type, str(value)
    return type, repr(value)


def _g(number: float) -> str:
    """A floating-point number as graphs show it."""
    text = f"{number:.6g}"
    if text.lstrip("-").isdigit():
        text += "."
    return text


def text_of_constant(value: Any, type: Type) -> str:
    if isinstance(value, (int, float)) and type.kind() == "TensorType":
        # A number where PyTorch has a tensor without dimensions.
        return f"{{{_g(value) if isinstance(value, float) else int(value)}}}"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _g(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'
    if isinstance(value, torch.device):
        return f'"{value}"'
    if isinstance(value, torch.Tensor):
        if value.numel() == 1:
            return f"{{{_g(value.item()) if value.is_floating_point() else value.item()}}}"
        return "<Tensor>"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(
            text_of_constant(v, t)
            for v, t in zip(value, type.contained() * (len(value) if isinstance(type, ListType) else 1), strict=False)
        )
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    return f"{value}"


class _Printer:
    def __init__(self, lines: list[str], ranges: bool = True) -> None:
        self.lines, self.ranges = lines, ranges

    @staticmethod
    def declared(values: list[Value]) -> str:
        return ", ".join(f"%{v.debugName()} : {v.type_}" for v in values)

    @staticmethod
    def names(values: list[Value]) -> str:
        return ", ".join(f"%{v.debugName()}" for v in values)

    def graph(self, graph: Graph) -> str:
        shown = ",\n      ".join(f"%{v.debugName()} : {v.type_}" for v in graph.top.parameters)
        self.lines.append(f"graph({shown}):")
        for node in graph.top.nodes_:
            self.node(node, 1)
        self.lines.append(f"  return ({self.names(graph.top.results)})")
        return "\n".join(self.lines) + "\n"

    def node(self, node: Node, level: int) -> None:
        pad = "  " * level
        text = node.kind_
        shown = {k: v for k, v in node.attributes.items() if not k.startswith("_")}
        if shown:
            types = node.output_values[0].type_ if node.output_values else NONE
            text += "[" + ", ".join(f"{k}={text_of_constant(v, types)}" for k, v in shown.items()) + "]"
        text += f"({self.names(node.input_values)})"
        line = f"{pad}{self.declared(node.output_values)} = {text}"
        if self.ranges and node.range is not None and node.range.file:
            line += f" # {node.range.where()}"
        self.lines.append(line)
        for number, block in enumerate(node.blocks_):
            self.lines.append(f"{pad}  block{number}({self.declared(block.parameters)}):")
            for inner in block.nodes_:
                self.node(inner, level + 2)
            self.lines.append(f"{pad}    -> ({self.names(block.results)})")
