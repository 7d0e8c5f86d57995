"""From graphs to Python functions: straight-line code over local variables, one line a node.

The text that is compiled here is written from the graph's nodes alone, with names of its own; constants and operations
reach it by its namespace. Text of an archive never gets here but as a graph.
"""

from __future__ import annotations

import torch
import torch._ops as _ops
import torch._schema as aten_schemas

from . import _builtins
from ._numbers import member, number_of
from ._objects import instance_class, named_tuple
from ._types import (
    ANY,
    BOOL,
    COMPLEX,
    DEVICE,
    FLOAT,
    INT,
    NONE,
    NUMBER,
    STR,
    ClassType,
    DictType,
    EnumType,
    FutureType,
    InterfaceType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    UnionType,
    members,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._ir import Block, Node, Value
    from ._schemas import Argument, Schema
    from ._unit import Function

_FILE = "<TorchScript>"
_NEVER = _builtins.LARGEST


def is_native(schema: Schema) -> bool:
    """Whether a schema is one of ``torch.ops.aten``."""
    space, _, short = schema.name.partition("::")
    return space == "aten" and (schema.overload or "default") in aten_schemas.overloads(short)


class _Writer:
    def __init__(self, function: Function) -> None:
        self.function = function
        self.lines: list[str] = []
        self.ranges: dict[int, Any] = {}
        self.names: dict[Value, str] = {}
        self.space: dict[str, Any] = {"__name__": "torch.jit.generated", "Tensor": torch.Tensor}
        self.level = 1
        self._known: dict[Any, str] = {}

    # ---- names

    def name(self, value: Value) -> str:
        found = self.names.get(value)
        if found is None:
            found = self.names[value] = f"v{len(self.names)}"
        return found

    def outer(self, thing: Any, key: Any = None) -> str:
        """The name under which the namespace holds an object."""
        key = id(thing) if key is None else key
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = f"g{len(self._known)}"
            self.space[found] = thing
        return found

    def put(self, text: str) -> None:
        self.lines.append("    " * self.level + text)

    def constant(self, value: Any, type: Type) -> str:
        if value is None or value is True or value is False or value.__class__ is int:
            return repr(value) if value.__class__ is not int or value >= 0 else f"({value})"
        if value.__class__ is str:
            return repr(value)
        return self.outer(value, ("constant", id(value)))

    # ---- the function

    def compile(self) -> Callable[..., Any]:
        graph = self.function.graph
        parameters = ", ".join(self.name(v) for v in graph.top.parameters)
        head = f"def f({parameters}):"
        self.block(graph.top)
        results = [self.name(v) for v in graph.top.results]
        self.put(f"return {results[0] if len(results) == 1 else '(' + ', '.join(results) + ')'}")
        text = "\n".join([head, *self.lines])
        self.space["__ranges__"] = {line + 2: r for line, r in self.ranges.items()}
        self.space["__function__"] = self.function.name
        exec(compile(text, _FILE, "exec"), self.space)  # noqa: S102  the text is made above, of our own names
        return self.space["f"]  # type: ignore[no-any-return]

    def block(self, block: Block) -> None:
        self.nodes(block.nodes_)

    def nodes(self, nodes: list[Node]) -> None:
        at = 0
        while at < len(nodes):
            node = nodes[at]
            if node.kind_ == "prim::Enter":
                end = next(
                    (
                        i
                        for i in range(at + 1, len(nodes))
                        if nodes[i].kind_ == "prim::Exit" and nodes[i].input_values[0] is node.input_values[0]
                    ),
                    len(nodes),
                )
                self.enter(node, nodes[at + 1 : end], nodes[end] if end < len(nodes) else None)
                at = end + 1
                continue
            self.node(node)
            at += 1

    def enter(self, node: Node, inner: list[Node], leave: Node | None) -> None:
        manager = self.name(node.input_values[0])
        kind = node.input_values[0].type_
        result = self.name(node.output_values[0])
        enter, exit = (self.method(kind, name, manager) for name in ("__enter__", "__exit__"))
        self.put(f"{result} = {enter[0]}({enter[1]})")
        self.put("try:")
        self.level += 1
        if inner:
            self.nodes(inner)
        else:
            self.put("pass")
        self.level -= 1
        self.put("finally:")
        self.put(f"    {exit[0]}({exit[1]}, None, None, None)")
        if leave is not None and leave.output_values:
            self.put(f"{self.name(leave.output_values[0])} = None")

    def method(self, kind: Type, name: str, receiver: str) -> tuple[str, str]:
        """A callable and its first argument."""
        if isinstance(kind, ClassType):
            found = kind.find_method(name)
            if found is None:
                raise RuntimeError(f"{kind} has no method {name}")
            return self.callee(found), receiver
        # Behind an interface stands some class, known when the program runs.
        return self.outer(_call_interface), f"{receiver}, {name!r}"

    def callee(self, function: Function) -> str:
        if function.in_python:
            return self.outer(function.python_function)
        key = ("function", id(function))
        if key not in self._known:
            self.outer(function.run, key)
        return self._known[key]

    def node(self, node: Node) -> None:
        if node.range is not None:
            self.ranges[len(self.lines)] = node.range
        space, _, short = node.kind_.partition("::")
        handler = getattr(self, f"prim_{short}", None) if space == "prim" else None
        if handler is not None:
            start = len(self.lines)
            handler(node)
            if node.range is not None:
                for line in range(start, len(self.lines)):
                    self.ranges.setdefault(line, node.range)
            return
        self.operation(node, space, short)

    def assign(self, node: Node, text: str) -> None:
        outputs = node.output_values
        if not outputs:
            self.put(text)
        elif len(outputs) == 1:
            self.put(f"{self.name(outputs[0])} = {text}")
        else:
            self.put(f"{', '.join(self.name(v) for v in outputs)} = {text}")

    def inputs(self, node: Node, start: int = 0) -> list[str]:
        return [self.name(v) for v in node.input_values[start:]]

    # ---- operations

    def operation(self, node: Node, space: str, short: str) -> None:
        schema = node.schema
        if schema is None:
            schema = node.schema = _schema_for(node)
        args = self.inputs(node)
        if space == "aten" and schema is not None and is_native(schema):
            self.native(node, schema, short)
            return
        if space == "prim":
            if short in _builtins.ATTRIBUTES:
                self.assign(node, f"{args[0]}.{_builtins.ATTRIBUTES[short]}")
                return
            function = _builtins.PRIMITIVES.get(short)
        elif space == "aten":
            first = node.input_values[0].type_ if node.input_values else NONE
            if short == "__getitem__" and isinstance(first, DictType):
                function = _builtins.dict_get_item
            elif short == "__getitem__":
                self.assign(node, f"{args[0]}[{args[1]}]")
                return
            elif short == "append":
                self.put(f"{args[0]}.append({args[1]})")
                self.put(f"{self.name(node.output_values[0])} = {args[0]}")
                return
            elif short in _builtins.TEMPLATES:
                self.assign(node, _builtins.TEMPLATES[short].format(*args))
                return
            else:
                overload = schema.overload if schema is not None else ""
                function = _builtins.FUNCTIONS.get(f"{short}.{overload}", _builtins.FUNCTIONS.get(short))
            if function is None and schema is not None and _ops._find(short) is not None:
                self.native(node, schema, short)
                return
        else:
            function = getattr(getattr(torch.ops, space), short, None)
        if function is None:
            function = _unavailable(node.kind_)
        self.assign(node, f"{self.outer(function)}({', '.join(args)})")

    def native(self, node: Node, schema: Schema, short: str) -> None:
        """A call of one of PyTorch's tensor operations."""
        args = []
        inputs = node.input_values
        if short == "size":
            text = f"{self.name(inputs[0])}.size({', '.join(self.inputs(node, 1))})"
            self.assign(node, f"list({text})" if len(inputs) == 1 else text)
            return
        positional = [a for a in schema.arguments if not a.kwarg_only]
        needed = len(positional)
        while needed and self.is_default(schema.arguments[needed - 1], inputs[needed - 1]):
            needed -= 1
        for i, (argument, value) in enumerate(zip(schema.arguments, inputs, strict=True)):
            text = self.argument(argument, value)
            if argument.kwarg_only:
                if not self.is_default(argument, value):
                    args.append(f"{argument.name}={text}")
            elif i < needed:
                args.append(text)
        function = _ops._find(short)
        if function is None:
            function = _unavailable(node.kind_)
        text = f"{self.outer(function, ('aten', short))}({', '.join(args)})"
        outputs = node.output_values
        if len(outputs) == 1:
            if isinstance(outputs[0].type_, ListType):
                text = f"list({text})"
            elif _returns_enumerated(schema):
                text = f"{self.outer(number_of)}({text})"
        self.assign(node, text)

    def is_default(self, argument: Argument, value: Value) -> bool:
        if not argument.has_default:
            return False
        known, constant = value.constant()
        if known:
            default = argument.default
            return bool(constant is default or (type(constant) is type(default) and constant == default))
        node = value.node
        if getattr(node, "kind_", "") == "prim::ListConstruct" and isinstance(argument.default, list):
            parts = [v.constant() for v in node.input_values]  # type: ignore[union-attr]
            return all(k for k, _ in parts) and [c for _, c in parts] == argument.default
        return False

    def argument(self, argument: Argument, value: Value) -> str:
        kind = argument.enumerated or ("ScalarType" if argument.name == "dtype" else "")
        if kind and argument.type in (INT, OptionalType(INT)):
            known, constant = value.constant()
            if known:
                return self.constant(member(kind, constant), INT) if constant is not None else "None"
            return f"{self.outer(member)}({kind!r}, {self.name(value)})"
        return self.name(value)

    # ---- nodes of control

    def prim_Constant(self, node: Node) -> None:  # noqa: N802  the node's name
        value = node.output_values[0]
        self.names[value] = self.constant(node.attributes.get("value"), value.type_)

    def prim_If(self, node: Node) -> None:  # noqa: N802
        self.put(f"if {self.name(node.input_values[0])}:")
        then, other = node.blocks_
        self.branch(node, then)
        if other.nodes_ or other.results:
            self.put("else:")
            self.branch(node, other)

    def branch(self, node: Node, block: Block) -> None:
        self.level += 1
        start = len(self.lines)
        self.block(block)
        self.moved([self.name(v) for v in node.output_values], [self.name(v) for v in block.results])
        if len(self.lines) == start:
            self.put("pass")
        self.level -= 1

    def moved(self, to: list[str], source: list[str]) -> None:
        pairs = [(a, b) for a, b in zip(to, source, strict=True) if a != b]
        if pairs:
            self.put(f"{', '.join(a for a, _ in pairs)} = {', '.join(b for _, b in pairs)}")

    def prim_Loop(self, node: Node) -> None:  # noqa: N802
        limit, condition, *carried = node.input_values
        (body,) = node.blocks_
        index, *parameters = body.parameters
        # A node's results and its block's parameters are the same variables.
        for parameter, output in zip(parameters, node.output_values, strict=True):
            self.names[parameter] = self.name(output)
        self.moved([self.name(v) for v in parameters], [self.name(v) for v in carried])
        known, first = condition.constant()
        again_known, again = body.results[0].constant()
        endless, most = limit.constant()
        always = known and first is True and again_known and again is True
        flag = ""
        if not always:
            flag = self.name(body.results[0]) + "c"
            self.put(f"{flag} = {self.name(condition)}")
        if always:
            self.put(f"for {self.name(index)} in range({self.name(limit)}):")
        elif endless and most == _NEVER:
            if index.uses:
                self.put(f"{self.name(index)} = -1")
            self.put(f"while {flag}:")
            if index.uses:
                self.put(f"    {self.name(index)} += 1")
        else:
            self.put(f"for {self.name(index)} in range({self.name(limit)}):")
            self.put(f"    if not {flag}: break")
        self.level += 1
        start = len(self.lines)
        self.block(body)
        targets = [self.name(v) for v in parameters]
        values = [self.name(v) for v in body.results[1:]]
        if flag:
            targets.append(flag)
            values.append(self.name(body.results[0]))
        self.moved(targets, values)
        if len(self.lines) == start:
            self.put("pass")
        self.level -= 1

    def prim_CallMethod(self, node: Node) -> None:  # noqa: N802
        receiver = node.input_values[0]
        function, first = self.method(receiver.type_, node.attributes["name"], self.name(receiver))
        self.assign(node, f"{function}({', '.join([first, *self.inputs(node, 1)])})")

    def prim_CallFunction(self, node: Node) -> None:  # noqa: N802
        function = node.input_values[0].node.attributes["_function"]  # type: ignore[union-attr]
        self.assign(node, f"{self.callee(function)}({', '.join(self.inputs(node, 1))})")

    def prim_PythonOp(self, node: Node) -> None:  # noqa: N802
        self.assign(node, f"{self.outer(node.attributes['_function'])}({', '.join(self.inputs(node))})")

    def prim_fork(self, node: Node) -> None:
        function = node.attributes["_function"]
        self.assign(node, f"{self.outer(_fork)}({self.callee(function)}, {', '.join(self.inputs(node))})")

    prim_awaitable = prim_fork

    def prim_Exit(self, node: Node) -> None:  # noqa: N802
        raise RuntimeError("a block of 'with' is left that was not entered")

    # ---- nodes of data

    def attribute(self, node: Node) -> str:
        name, owner = node.attributes["name"], node.input_values[0]
        receiver = self.name(owner)
        kind = owner.type_
        if isinstance(kind, ClassType) and kind.is_module():
            found = kind.attributes.get(name)
            if found is not None and found.type is NONE:
                return "None"
            if found is not None and found.is_parameter:
                return f"{receiver}._parameters[{name!r}]"
            if found is not None and found.is_buffer:
                return f"{receiver}._buffers[{name!r}]"
            if found is not None and isinstance(found.type, (ClassType, InterfaceType)) and found.type.is_module():
                return f"{receiver}._modules[{name!r}]"
            if name != "training":
                return f"{receiver}._attributes[{name!r}]"
        return f"{receiver}.{name}"

    def prim_GetAttr(self, node: Node) -> None:  # noqa: N802
        self.assign(node, self.attribute(node))

    def prim_SetAttr(self, node: Node) -> None:  # noqa: N802
        self.put(f"{self.attribute(node)} = {self.name(node.input_values[1])}")

    def prim_CreateObject(self, node: Node) -> None:  # noqa: N802
        kind = node.output_values[0].type_
        assert isinstance(kind, ClassType)
        made = instance_class(kind)
        self.assign(node, f"{self.outer(made)}.__new__({self.outer(made)})")

    def prim_TupleConstruct(self, node: Node) -> None:  # noqa: N802
        args = self.inputs(node)
        kind = node.output_values[0].type_
        if isinstance(kind, TupleType) and kind.name:
            self.assign(node, f"{self.outer(named_tuple(kind))}({', '.join(args)})")
        else:
            self.assign(node, f"({', '.join(args)}{',' if len(args) == 1 else ''})")

    def prim_TupleUnpack(self, node: Node) -> None:  # noqa: N802
        if node.output_values:
            names = ", ".join(self.name(v) for v in node.output_values)
            self.put(f"{names}{',' if len(node.output_values) == 1 else ''} = {self.inputs(node)[0]}")

    def prim_TupleIndex(self, node: Node) -> None:  # noqa: N802
        self.assign(node, "{}[{}]".format(*self.inputs(node)))

    def prim_TupleSlice(self, node: Node) -> None:  # noqa: N802
        self.assign(node, f"{self.inputs(node)[0]}[{node.attributes['beg']}:{node.attributes['end']}]")

    def prim_ListConstruct(self, node: Node) -> None:  # noqa: N802
        self.assign(node, f"[{', '.join(self.inputs(node))}]")

    def prim_ListUnpack(self, node: Node) -> None:  # noqa: N802
        count = len(node.output_values)
        source = self.inputs(node)[0]
        self.put(f"if len({source}) != {count}: {self.outer(_wrong_length)}({count}, {source})")
        names = ", ".join(self.name(v) for v in node.output_values)
        if count:
            self.put(f"{names}{',' if count == 1 else ''} = {source}")

    def prim_DictConstruct(self, node: Node) -> None:  # noqa: N802
        args = self.inputs(node)
        pairs = (f"{k}: {v}" for k, v in zip(args[::2], args[1::2], strict=True))
        self.assign(node, "{" + ", ".join(pairs) + "}")

    def prim_unchecked_cast(self, node: Node) -> None:
        self.names[node.output_values[0]] = self.name(node.input_values[0])

    def prim_Uninitialized(self, node: Node) -> None:  # noqa: N802
        self.names[node.output_values[0]] = "None"

    def prim_isinstance(self, node: Node) -> None:
        test = self.outer(_instance_test(node.attributes["types"]))
        self.assign(node, f"{test}({self.inputs(node)[0]})")

    def prim_tolist(self, node: Node) -> None:
        test = self.outer(_list_of(node.output_values[0].type_))
        self.assign(node, f"{test}({self.inputs(node)[0]})")

    def prim_dtype(self, node: Node) -> None:
        self.assign(node, f"{self.outer(number_of)}({self.inputs(node)[0]}.dtype)")

    def prim_layout(self, node: Node) -> None:
        self.assign(node, f"{self.outer(number_of)}({self.inputs(node)[0]}.layout)")

    def prim_Print(self, node: Node) -> None:  # noqa: N802
        self.put(f"{self.outer(_builtins.print_)}({', '.join(self.inputs(node))})")

    def prim_min(self, node: Node) -> None:
        self.least(node, "min")

    def prim_max(self, node: Node) -> None:
        self.least(node, "max")

    def least(self, node: Node, name: str) -> None:
        args = ", ".join(self.inputs(node))
        text = f"{name}({args})"
        self.assign(node, f"float({text})" if node.output_values[0].type_ is FLOAT else text)


def _schema_for(node: Node) -> Schema | None:
    """The schema of a node that was made without one."""
    from ._match import MatchError, match
    from ._schemas import overloads

    for schema in overloads(node.kind_):
        if len(schema.arguments) == len(node.input_values):
            try:
                match(node.graph, schema, list(node.input_values), {}, False) if not any(
                    a.kwarg_only for a in schema.arguments
                ) else _fits(schema, node)
            except MatchError:
                continue
            return schema
    return None


def _fits(schema: Schema, node: Node) -> None:
    from ._match import MatchError, bind
    from ._types import is_subtype

    bound: dict[str, Type] = {}
    for argument, value in zip(schema.arguments, node.input_values, strict=True):
        wanted = bind(argument.type, value.type_, bound)
        if wanted is None or not is_subtype(value.type_, wanted):
            raise MatchError("")


def _returns_enumerated(schema: Schema) -> bool:
    return schema.text.endswith("-> ScalarType")


def _unavailable(kind: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{kind} is an operation that Tabula does not have")

    return function


def _call_interface(receiver: Any, name: str, *args: Any) -> Any:
    kind = receiver._type
    return kind.find_method(name).run(receiver, *args)


def _fork(function: Callable[..., Any], *args: Any) -> Any:
    from . import _run

    return _run(function, args, {})


def _wrong_length(count: int, values: list[Any]) -> None:
    raise RuntimeError(f"Expected {count} elements in a list but found {len(values)}")


def _list_of(type: Type) -> Callable[[Any], Any]:
    depth, element = 0, type
    while isinstance(element, ListType):
        depth, element = depth + 1, element.element

    def function(tensor: Any) -> Any:
        if tensor.dim() != depth:
            raise RuntimeError("Output annotation list dimension and runtime tensor dimension must match for tolist()")
        return tensor.tolist()

    return function


def _instance_test(types: list[Type]) -> Callable[[Any], bool]:
    tests = [tester(t) for t in types]
    return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


def tester(type: Type) -> Callable[[Any], bool]:
    """A function that says whether a value is of a type."""
    if type is ANY:
        return lambda value: True
    plain = {INT: int, FLOAT: float, BOOL: bool, STR: str, COMPLEX: complex}.get(type)
    if plain is not None:
        return lambda value: value.__class__ is plain
    if isinstance(type, TensorType):
        return lambda value: isinstance(value, torch.Tensor)
    if type is NONE:
        return lambda value: value is None
    if type is NUMBER:
        return lambda value: value.__class__ in (int, float, complex)
    if type is DEVICE:
        return lambda value: isinstance(value, torch.device)
    if isinstance(type, (OptionalType, UnionType)):
        tests = [tester(t) for t in members(type)]
        return lambda value: any(test(value) for test in tests)
    if isinstance(type, ListType):
        inner = tester(type.element)
        return lambda value: isinstance(value, list) and all(map(inner, value))
    if isinstance(type, DictType):
        key, item = tester(type.key), tester(type.value)
        return lambda value: isinstance(value, dict) and all(key(k) and item(v) for k, v in value.items())
    if isinstance(type, TupleType):
        parts = [tester(t) for t in type.types]
        return lambda value: (
            isinstance(value, tuple)
            and len(value) == len(parts)
            and all(p(v) for p, v in zip(parts, value, strict=True))
        )
    if str(type) == "list":
        return lambda value: isinstance(value, list)
    if str(type) == "tuple":
        return lambda value: isinstance(value, tuple)
    if isinstance(type, EnumType):
        return lambda value: getattr(value.__class__, "__name__", "") == type.name.rpartition(".")[2]
    if isinstance(type, ClassType):
        if type.is_module():
            return lambda value: getattr(value, "_type", None) is type
        made = instance_class(type)
        return lambda value: isinstance(value, made)
    if isinstance(type, InterfaceType):
        from ._types import is_subtype

        return lambda value: is_subtype(getattr(value, "_type", ANY), type)
    if isinstance(type, FutureType):
        return lambda value: isinstance(value, torch.futures.Future)
    raise NotImplementedError(f"isinstance of {type} is not known")


def compile_function(function: Function) -> Callable[..., Any]:
    """The Python function that runs a function's graph."""
    if function.in_python:
        found: Callable[..., Any] = function.python_function
        return found
    return _Writer(function).compile()


def compile_entry(function: Function) -> Callable[..., Any]:
    """The function for callers from Python."""
    from ._entry import make_entry

    return make_entry(function)
