"""From graphs to text in TorchScript's language, which archives hold and ``code`` shows.

A value that is used once, by the statement that follows, is written where it is used; others get a name. Long
expressions are taken apart.
"""

from __future__ import annotations

import keyword

import torch

from ._types import (
    INT,
    NONE,
    AnyType,
    ClassType,
    DictType,
    EnumType,
    FunctionType,
    InterfaceType,
    ListType,
    TensorType,
    TupleType,
    Type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._ir import Block, Node, Value
    from ._unit import Function

_LONG = 40
# Operations that meant something else in archives before a version.
_VERSIONS = {"div": 4, "full": 5, "linspace": 8, "logspace": 9, "gelu": 10}
_LARGEST = 9223372036854775807
_RESERVED = frozenset(keyword.kwlist) | frozenset(
    "torch ops CONSTANTS annotate inf nan getattr isinstance print range "
    "unchecked_cast uninitialized fork Tensor int float bool str complex Device List Dict Optional Tuple".split()
)


def number_text(value: float) -> str:
    """A float with all its digits."""
    text = f"{value:.17g}"
    return text + "." if text.lstrip("-").isdigit() else text


def quoted(text: str) -> str:
    """A string literal."""
    out = []
    plain = {
        "\\": "\\\\",
        '"': '\\"',
        "\n": "\\n",
        "\t": "\\t",
        "\r": "\\r",
        "'": "\\'",
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\v": "\\v",
    }
    for byte in text.encode("utf-8").decode("latin-1"):
        if byte in plain:
            out.append(plain[byte])
        elif " " <= byte <= "~":
            out.append(byte)
        else:
            out.append(f"\\{ord(byte):03o}")
    return '"' + "".join(out) + '"'


class Names:
    """What a text refers to: types and functions that have to be written too, and tensors among the constants."""

    def __init__(self) -> None:
        self.types: dict[str, Type] = {}
        self.functions: dict[str, Function] = {}
        self.constants: list[Any] = []
        # The least version of the format whose operations are those of the text.
        self.version = 3

    def constant(self, value: Any) -> str:
        for i, known in enumerate(self.constants):
            if known is value or (type(known) is type(value) is not torch.Tensor and known == value):
                return f"CONSTANTS.c{i}"
        self.constants.append(value)
        return f"CONSTANTS.c{len(self.constants) - 1}"

    def type(self, kind: Type) -> str:
        self.note(kind)
        return kind.annotation_str

    def note(self, kind: Type) -> None:
        if isinstance(kind, (ClassType, InterfaceType)):
            self.types.setdefault(kind.qualified_name, kind)
        elif isinstance(kind, EnumType) or (isinstance(kind, TupleType) and kind.name):
            self.types.setdefault(kind.name, kind)
        for part in kind.contained():
            self.note(part)


class FunctionPrinter:
    """Writes one function."""

    def __init__(self, function: Function, names: Names, class_level: int = 0, typed_self: bool = False) -> None:
        self.function, self.names = function, names
        self.lines: list[str] = []
        self.level = class_level
        self.typed_self = typed_self
        self.texts: dict[Value, str] = {}
        self.taken: set[str] = set(_RESERVED)
        self.counts: dict[str, int] = {}
        self.inline: set[Node] = set()
        self.temporaries = 0

    # ---- names

    def put(self, text: str) -> None:
        self.lines.append("  " * self.level + text)

    def temporary(self) -> str:
        while True:
            name = f"_{self.temporaries}"
            self.temporaries += 1
            if name not in self.taken:
                self.taken.add(name)
                return name

    def named(self, value: Value) -> str:
        """A name for a value."""
        base, dot, number = value.name.rpartition(".")
        base = base if dot and number.isdigit() else value.name
        if not base:
            return self.temporary()
        base = "".join(c if c.isalnum() or c == "_" else "_" for c in base)
        if base[0].isdigit():
            base = "_" + base
        name = base
        while name in self.taken:
            name = f"{base}{self.counts.get(base, 0)}"
            self.counts[base] = self.counts.get(base, 0) + 1
        self.taken.add(name)
        return name

    def name(self, value: Value) -> str:
        found = self.texts.get(value)
        if found is None:
            found = self.texts[value] = self.named(value)
        return found

    # ---- the function

    def write(self, counter: int = 0) -> list[str]:
        graph = self.function.graph
        schema = self.function.schema
        self.temporaries = counter
        parameters = []
        for value, argument in zip(graph.top.parameters, schema.arguments, strict=True):
            name = argument.name
            if name in _RESERVED:
                name = self.named(value)
            self.taken.add(name)
            self.texts[value] = name
            text = name
            is_self = (
                isinstance(argument.type, (ClassType, InterfaceType))
                and not parameters
                and (self.function.qualified_name.rpartition(".")[0] == str(argument.type))
            )
            if not is_self or self.typed_self:
                text += f": {self.names.type(argument.type)}"
            if argument.has_default:
                text += f"={self.literal(argument.default, argument.type)}"
            parameters.append(text)
        joined = ",\n    ".join(parameters) if self.level == 0 else (",\n" + "  " * self.level + "  ").join(parameters)
        self.put(f"def {self.function.name}({joined}) -> {self.names.type(schema.returns)}:")
        self.level += 1
        self.scan(graph.top)
        self.block(graph.top)
        results = graph.top.results
        if len(results) == 1:
            text = self.statement_text(graph.top.result)[0]
        else:
            text = f"({', '.join(self.statement_text(graph.top.result))})"
        self.put(f"return {text}")
        return self.lines

    # ---- what is written where it is used

    def scan(self, block: Block) -> None:
        nodes = [n for n in block.nodes_ if n.kind_ != "prim::Constant"]
        point = self._scan_inputs(block.result, nodes, len(nodes) - 1)
        while point >= 0:
            node = nodes[point]
            for inner in node.blocks_:
                self.scan(inner)
            point = self._scan_inputs(node, nodes, point - 1)

    def _scan_inputs(self, node: Node, nodes: list[Node], point: int) -> int:
        for value in reversed(node.input_values):
            if point >= 0 and nodes[point] is value.node and self._may_inline(value, node):
                self.inline.add(value.node)  # type: ignore[arg-type]
                point = self._scan_inputs(value.node, nodes, point - 1)  # type: ignore[arg-type]
        return point

    def _may_inline(self, value: Value, user: Node) -> bool:
        node: Any = value.node
        if node.blocks_ or len(node.output_values) != 1 or len(value.uses) != 1:
            return False
        if node.kind_ in (
            "prim::Enter",
            "prim::Exit",
            "prim::fork",
            "prim::CreateObject",
            "prim::Uninitialized",
            "prim::ModuleContainerIndex",
        ):
            return False
        if user.kind_ == "prim::Loop" or user.kind_ in ("prim::Enter", "prim::Exit", "prim::fork"):
            return user.kind_ == "prim::Loop" and value.uses[0][1] < 2 and not value.name
        return not value.name or user.kind_ == "prim::Return"

    # ---- expressions

    def statement_text(self, node: Node) -> list[str]:
        """The texts of a statement's inputs; what is too long is set beforehand."""
        self._take_apart(node)
        return [self.text(v) for v in node.input_values]

    def _take_apart(self, node: Node) -> None:
        values = node.input_values
        last = -1
        for i, value in enumerate(values):
            inner: Any = value.node
            if inner in self.inline and value not in self.texts and (self._long(value) or self._has_long(inner)):
                last = i
        for i, value in enumerate(values[: last + 1]):
            inner = value.node
            if inner not in self.inline or value in self.texts:
                continue
            self._take_apart(inner)
            if i < last or self._long(value):
                text = self.expression(inner)
                name = self.texts[value] = self.temporary()
                self.put(f"{name} = {text}")

    def _long(self, value: Value) -> bool:
        return len(self.text(value)) + self.level * 2 >= _LONG

    def _has_long(self, node: Node) -> bool:
        return any(
            v.node in self.inline and v not in self.texts and (self._long(v) or self._has_long(v.node))  # type: ignore[arg-type]
            for v in node.input_values
        )

    def text(self, value: Value) -> str:
        found = self.texts.get(value)
        if found is not None:
            return found
        node: Any = value.node
        if getattr(node, "kind_", "") == "prim::Constant":
            return self.constant(node)
        if node in self.inline:
            return self.expression(node)
        return self.name(value)

    def constant(self, node: Node) -> str:
        value = node.output_values[0]
        kind = value.type_
        if isinstance(kind, FunctionType):
            function = node.attributes["_function"]
            self.names.functions.setdefault(function.qualified_name, function)
            return str(function.qualified_name)
        return self.literal(node.attributes.get("value"), kind)

    def literal(self, value: Any, kind: Type) -> str:
        if value is None:
            return "None"
        if value is True or value is False:
            return str(value)
        if isinstance(kind, EnumType):
            self.names.note(kind)
            return f"{kind.name}.{value.name}"
        if isinstance(kind, TensorType) and not isinstance(value, torch.Tensor):
            return self.names.constant(value)  # traces have tensors for the numbers of a program
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            return number_text(value)
        if isinstance(value, complex):
            sign = "-" if str(value.imag).startswith("-") else "+"
            return f"({number_text(value.real)}{sign}{number_text(abs(value.imag))}j)"
        if isinstance(value, str):
            return quoted(value)
        if isinstance(value, torch.device):
            return f'torch.device("{value}")'
        if isinstance(value, torch.Tensor):
            return self.names.constant(value)
        if isinstance(value, tuple):
            parts = kind.types if isinstance(kind, TupleType) else (INT,) * len(value)
            inner = ", ".join(self.literal(v, t) for v, t in zip(value, parts, strict=True))
            return f"({inner}{',' if len(value) == 1 else ''})"
        if isinstance(value, list):
            element = kind.element if isinstance(kind, ListType) else INT
            inner = ", ".join(self.literal(v, element) for v in value)
            return f"[{inner}]" if value else f"annotate({self.names.type(kind)}, [])"
        raise TypeError(f"a {type(value).__name__} cannot be written as text")

    def arguments(self, texts: list[str]) -> str:
        return "".join(f"{t}, " for t in texts) if texts else ""

    def expression(self, node: Node) -> str:
        """A node with one result, or none, as an expression."""
        space, _, short = node.kind_.partition("::")
        method = getattr(self, f"on_{short}", None) if space in ("prim", "aten") else None
        texts = [self.text(v) for v in node.input_values]
        if method is not None:
            found = method(node, texts)
            if found is not None:
                return str(found)
        return self.operation(node, space, short, texts)

    def operation(self, node: Node, space: str, short: str, texts: list[str]) -> str:
        schema = node.schema
        if schema is None:
            from ._codegen import _schema_for

            schema = node.schema = _schema_for(node)
        parts = list(texts)
        if schema is not None:
            arguments = schema.arguments
            positional = [a for a in arguments if not a.kwarg_only]
            needed = len(positional)
            while needed and self._is_default(arguments[needed - 1], node.input_values[needed - 1]):
                needed -= 1
            named = list(zip(arguments, node.input_values, texts, strict=False))[len(positional) :]
            while named and self._is_default(*named[-1][:2]):
                named.pop()
            # Behind what is given by name nothing is left out by position.
            parts = texts[: len(positional) if named else needed]
            parts += [f"{argument.name}={text}" for argument, _, text in named]
            if schema.variadic:
                parts = texts
        if node.kind_ == "aten::Int":
            return f"int({texts[0]})"
        if node.kind_ == "aten::ScalarImplicit":
            return f"annotate(number, {texts[0]})"
        if space == "aten":
            self.names.version = max(self.names.version, _VERSIONS.get(short.rstrip("_"), 3))
        head = f"torch.{short}" if space == "aten" else f"ops.{space}.{short}"
        return f"{head}({', '.join(parts)})"

    @staticmethod
    def _is_default(argument: Any, value: Value) -> bool:
        known, constant = value.constant()
        if not known or not argument.has_default:
            return False
        return type(constant) is type(argument.default) and constant == argument.default

    def on_GetAttr(self, node: Node, texts: list[str]) -> str:  # noqa: N802  the node's name
        self.names.note(node.input_values[0].type_)
        return self.place(texts[0], node.attributes["name"])

    @staticmethod
    def place(owner: str, name: str) -> str:
        if name.isidentifier() and not keyword.iskeyword(name):
            return f"{owner}.{name}" if owner.isidentifier() else f"({owner}).{name}"
        return f"getattr({owner}, {quoted(name)})"

    def on_CallMethod(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        self.names.note(node.input_values[0].type_)
        return f"({texts[0]}).{node.attributes['name']}({self.arguments(texts[1:])})"

    def on_CallFunction(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        return f"{texts[0]}({self.arguments(texts[1:])})"

    def on_PythonOp(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        raise RuntimeError(
            f"Could not export Python function call '{node.attributes.get('name', '')}'. Remove calls to Python "
            f"functions "
            "before export. Did you forget to add @script or @script_method annotation? If this is a "
            "nn.ModuleList, add "
            "it to __constants__"
        )

    def on_CreateObject(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        name = self.names.type(node.output_values[0].type_)
        return f"{name}.__new__({name})"

    def on_ListConstruct(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        kind = node.output_values[0].type_
        text = f"[{', '.join(texts)}]"
        element = kind.element if isinstance(kind, ListType) else None
        plain = texts and all(_same(v.type_, element) for v in node.input_values)
        if isinstance(element, TensorType) and not texts:
            return f"annotate({self.names.type(kind)}, [])"
        return text if plain else f"annotate({self.names.type(kind)}, {text})"

    def on_DictConstruct(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        kind = node.output_values[0].type_
        text = "{" + ", ".join(f"{k}: {v}" for k, v in zip(texts[::2], texts[1::2], strict=True)) + "}"
        assert isinstance(kind, DictType)
        plain = texts and all(_same(v.type_, kind.value) for v in node.input_values[1::2])
        return text if plain else f"annotate({self.names.type(kind)}, {text})"

    def on_TupleConstruct(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        kind = node.output_values[0].type_
        if isinstance(kind, TupleType) and kind.name:
            return f"{self.names.type(kind)}({', '.join(texts)})"
        return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"

    def on_TupleIndex(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        return f"({texts[0]})[{texts[1]}]"

    def on_TupleSlice(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        return f"({texts[0]})[{node.attributes['beg']}:{node.attributes['end']}]"

    def on___getitem__(self, node: Node, texts: list[str]) -> str | None:
        return f"{texts[0]}[{texts[1]}]"

    def on_unchecked_cast(self, node: Node, texts: list[str]) -> str:
        return f"unchecked_cast({self.names.type(node.output_values[0].type_)}, {texts[0]})"

    def on_tolist(self, node: Node, texts: list[str]) -> str:
        return f"annotate({self.names.type(node.output_values[0].type_)}, ({texts[0]}).tolist())"

    def on_Uninitialized(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        return f"uninitialized({self.names.type(node.output_values[0].type_)})"

    def on_isinstance(self, node: Node, texts: list[str]) -> str:
        kinds = [self.names.type(t) for t in node.attributes["types"]]
        return f"isinstance({texts[0]}, {kinds[0] if len(kinds) == 1 else '(' + ', '.join(kinds) + ')'})"

    def on_EnumName(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        return f"({texts[0]}).name"

    def on_EnumValue(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        return f"({texts[0]}).value"

    def on__unwrap_optional(self, node: Node, texts: list[str]) -> str:
        return f"ops.prim.unchecked_unwrap_optional({texts[0]})"

    def on_unchecked_unwrap_optional(self, node: Node, texts: list[str]) -> str:
        return f"ops.prim.unchecked_unwrap_optional({texts[0]})"

    def on_Print(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        return f"print({', '.join(texts)})"

    def on_RaiseException(self, node: Node, texts: list[str]) -> str:  # noqa: N802
        return f"ops.prim.RaiseException({', '.join(t for t in texts if t != 'None')})"

    # ---- statements

    def block(self, block: Block) -> None:
        nodes = block.nodes_
        at = 0
        while at < len(nodes):
            node = nodes[at]
            if node.kind_ == "prim::Constant":
                text = self.constant(node)
                if len(text) + self.level * 2 >= _LONG and not isinstance(node.output_values[0].type_, NONE.__class__):
                    name = self.texts[node.output_values[0]] = self.temporary()
                    self.put(f"{name} = {text}")
            elif node.kind_ == "prim::Enter":
                at = self.with_(nodes, at)
                continue
            elif node not in self.inline:
                self.statement(node)
            at += 1

    def with_(self, nodes: list[Node], at: int) -> int:
        enter = nodes[at]
        end = next(
            (
                i
                for i in range(at + 1, len(nodes))
                if nodes[i].kind_ == "prim::Exit" and nodes[i].input_values[0] is enter.input_values[0]
            ),
            len(nodes),
        )
        (manager,) = self.statement_text(enter)
        bound = enter.output_values[0]
        self.put(f"with {manager}{' as ' + self.name(bound) if bound.uses else ''}:")
        self.level += 1
        inner = type(enter.graph.top)(enter.graph)
        inner.nodes_ = nodes[at + 1 : end]
        start = len(self.lines)
        self.block(inner)
        if len(self.lines) == start:
            self.put("pass")
        self.level -= 1
        return end + 1

    def statement(self, node: Node) -> None:
        method = getattr(self, f"do_{node.kind_.partition('::')[2]}", None) if node.kind_.startswith("prim::") else None
        if method is not None:
            method(node)
            return
        self._take_apart(node)
        text = self.expression(node)
        outputs = node.output_values
        if not outputs:
            self.put(text)
        elif len(outputs) == 1:
            self.put(f"{self.name(outputs[0])} = {text}")
        else:
            self.put(f"{', '.join(self.name(v) for v in outputs)} = {text}")

    def do_ModuleContainerIndex(self, node: Node) -> None:  # noqa: N802
        owner, index = self.statement_text(node)
        (chosen,) = node.output_values
        self.put(f"{self.name(chosen)} : {self.names.type(chosen.type_)} = {owner}[{index}]")

    def do_TupleUnpack(self, node: Node) -> None:  # noqa: N802
        (text,) = self.statement_text(node)
        names = "".join(f"{self.name(v)}, " for v in node.output_values)
        if names:
            self.put(f"{names}= {text}")

    do_ListUnpack = do_TupleUnpack  # noqa: N815

    def do_SetAttr(self, node: Node) -> None:  # noqa: N802
        self.names.note(node.input_values[0].type_)
        owner, value = self.statement_text(node)
        self.put(f"{self.place(owner, node.attributes['name'])} = {value}")

    def do_If(self, node: Node) -> None:  # noqa: N802
        (condition,) = self.statement_text(node)
        for output in node.output_values:
            self.name(output)
        self.put(f"if {condition}:")
        self.branch(node, node.blocks_[0])
        self.put("else:")
        self.branch(node, node.blocks_[1])

    def branch(self, node: Node, block: Block) -> None:
        self.level += 1
        start = len(self.lines)
        self.block(block)
        self.set_all(node.output_values, block.result, 0)
        if len(self.lines) == start:
            self.put("pass")
        self.level -= 1

    def set_all(self, outputs: list[Value], result: Node, skip: int) -> None:
        """Give variables the values of a block's results."""
        texts = self.statement_text(result)[skip:]
        values = result.input_values[skip:]
        pairs = [(o, v, t) for o, v, t in zip(outputs, values, texts, strict=True) if self.name(o) != t]
        if any(not _same(v.type_, o.type_) and v.type_ is not NONE for o, v, _ in pairs):
            # A wider type has to be said, which only single assignments can; none of them may be read by another.
            names = {self.name(o) for o, _, _ in pairs}
            if not any(name in _words(t) for _, _, t in pairs for name in names):
                for o, v, t in pairs:
                    kind = "" if _same(v.type_, o.type_) or v.type_ is NONE else f" : {self.names.type(o.type_)}"
                    self.put(f"{self.name(o)}{kind} = {t}")
                return
        if pairs:
            self.put(f"{', '.join(self.name(o) for o, _, _ in pairs)} = {', '.join(t for _, _, t in pairs)}")

    def do_Loop(self, node: Node) -> None:  # noqa: N802
        (body,) = node.blocks_
        limit, condition, *carried = node.input_values
        index, *parameters = body.parameters
        self._take_apart(node)
        for start, parameter, output in zip(carried, parameters, node.output_values, strict=True):
            name = self.texts[parameter] = self.name(output)
            kind = "" if _same(start.type_, parameter.type_) else f" : {self.names.type(parameter.type_)}"
            self.put(f"{name}{kind} = {self.text(start)}")
        (_, most), (_, first), (_, again) = limit.constant(), condition.constant(), body.results[0].constant()
        counted = None
        flag = None
        if first is True and again is True:
            self.put(f"for {self.name(index)} in range({self.text(limit)}):")
        elif most == _LARGEST and not index.uses:
            flag = self.temporary()
            self.put(f"{flag} = {self.text(condition)}")
            self.put(f"while {flag}:")
        else:
            counted, flag = self.temporary(), self.temporary()
            self.put(f"{counted} = 0")
            self.put(f"{flag} = torch.__and__(torch.gt({self.text(limit)}, 0), {self.text(condition)})")
            self.put(f"while {flag}:")
            self.texts[index] = counted
        self.level += 1
        start_line = len(self.lines)
        self.block(body)
        texts = self.statement_text(body.result)
        targets = [self.name(p) for p in parameters]
        pairs = [(a, b) for a, b in zip(targets, texts[1:], strict=True) if a != b]
        if counted is not None and flag is not None:
            following = self.temporary()
            self.put(f"{following} = torch.add({counted}, 1)")
            test = f"torch.__and__(torch.lt({following}, {self.text(limit)}), {texts[0]})"
            pairs = [(flag, test), *pairs, (counted, following)]
        elif flag is not None:
            pairs = [(flag, texts[0]), *pairs]
        if pairs:
            self.put(f"{', '.join(a for a, _ in pairs)} = {', '.join(b for _, b in pairs)}")
        if len(self.lines) == start_line:
            self.put("pass")
        self.level -= 1

    def do_fork(self, node: Node) -> None:
        texts = self.statement_text(node)
        function = node.attributes["_function"]
        name = "__forked_function"
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        owner = node.input_values[0].type_ if node.input_values else NONE
        self.put(f"def {name}():")
        if isinstance(owner, ClassType) and owner.find_method(function.name) is function:
            self.names.note(owner)
            self.put(f"  return ({texts[0]}).{function.name}({self.arguments(texts[1:])})")
        else:
            self.names.functions.setdefault(function.qualified_name, function)
            self.put(f"  return {function.qualified_name}({self.arguments(texts)})")
        self.put(f"{self.name(node.output_values[0])} = fork({name})")


def _words(text: str) -> set[str]:
    import re

    return set(re.findall(r"\w+", text))


def _same(a: Type, b: Type | None) -> bool:
    if isinstance(a, TensorType) and isinstance(b, TensorType):
        return True
    return a == b or isinstance(b, AnyType)


def code_of(function: Function) -> tuple[str, Any]:
    """The text of a function, and the tensors that it names."""
    names = Names()
    text = "\n".join(FunctionPrinter(function, names).write()) + "\n"
    return text, {f"c{i}": value for i, value in enumerate(names.constants)}
