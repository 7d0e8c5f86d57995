"""Changes of graphs: what is not used goes, copies, calls replaced by what they call."""

from __future__ import annotations

from ._ir import Block, Graph, Node, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EFFECTS = frozenset(
    """
    prim::Print prim::RaiseException prim::SetAttr prim::CallMethod prim::CallFunction prim::Enter prim::Exit prim::fork
    prim::PythonOp aten::wait aten::warn aten::set_grad_enabled aten::manual_seed aten::save prim::AddStatValue
    prim::awaitable_wait aten::_unwrap_optional prim::unchecked_unwrap_optional
    """.split()
)


def has_effect(node: Node) -> bool:
    """Whether a node does more than compute its results."""
    if node.kind_ in _EFFECTS:
        return True
    if node.blocks_:
        return any(has_effect(n) for b in node.blocks_ for n in b.nodes_) or node.kind_ not in (
            "prim::If",
            "prim::Loop",
        )
    if node.kind_.startswith("prim::"):
        return node.kind_ == "prim::ListUnpack"
    if node.schema is not None:
        return not node.schema.results or any(a.alias for a in node.schema.arguments)
    space = node.kind_.partition("::")[0]
    in_place = node.kind_.endswith("_") and not node.kind_.endswith("__")
    return space != "aten" or in_place or not node.output_values


def remove_dead(block: Block) -> None:
    """Remove nodes whose results nobody uses, and results of branches and loops that nobody uses."""
    for node in reversed(list(block.nodes_)):
        if node.kind_ == "prim::If":
            _trim_if(node)
        elif node.kind_ == "prim::Loop":
            _trim_loop(node)
        for inner in node.blocks_:
            remove_dead(inner)
        if not any(v.uses for v in node.output_values) and not has_effect(node):
            if node.kind_ == "prim::Constant":
                graph = node.graph
                graph._constants = {k: v for k, v in graph._constants.items() if v.node is not node}
                graph._constants_end -= 1
            node.destroy()


def _drop_input(node: Node, at: int) -> None:
    values = list(node.input_values)
    node.remove_inputs()
    for i, value in enumerate(values):
        if i != at:
            node.add_input(value)


def _trim_if(node: Node) -> None:
    for at in range(len(node.output_values) - 1, -1, -1):
        output = node.output_values[at]
        values = [b.results[at] for b in node.blocks_]
        if values[0] is values[1] and output.uses:
            output.replaceAllUsesWith(values[0])
        if not output.uses:
            del node.output_values[at]
            for block in node.blocks_:
                _drop_input(block.result, at)


def _trim_loop(node: Node) -> None:
    (body,) = node.blocks_
    for at in range(len(node.output_values) - 1, -1, -1):
        output, parameter = node.output_values[at], body.parameters[at + 1]
        final = body.results[at + 1]
        if final is parameter and parameter.type_ == node.input_values[at + 2].type_:
            # The variable stays what it was.
            start = node.input_values[at + 2]
            parameter.replaceAllUsesWith(start)
            output.replaceAllUsesWith(start)
            unused = True
        else:
            unused = not output.uses and not _feeds(parameter, body, at)
        if unused:
            del node.output_values[at]
            del body.parameters[at + 1]
            _drop_input(body.result, at + 1)
            _drop_input(node, at + 2)


def _feeds(parameter: Value, body: Block, at: int) -> bool:
    """Whether something besides the next round's value of the same variable uses a loop's parameter."""
    return any(not (node is body.result and place == at + 1) for node, place in parameter.uses)


def clean(graph: Graph) -> Graph:
    """Remove what is not used, until nothing is left to remove."""
    count = -1
    while True:
        remove_dead(graph.top)
        now = sum(1 for _ in graph.all_nodes())
        if now == count:
            return graph
        count = now


# ---- copies


def copy_block(block: Block, into: Graph, target: Block, mapped: dict[Value, Value]) -> None:
    """Copy a block's nodes to the end of another block; ``mapped`` gets the new values."""
    for node in block.nodes_:
        if node.kind_ == "prim::Constant":
            old = node.output_values[0]
            before = into.range
            into.range = node.range
            if "_function" in node.attributes:
                made = into.constant(node.attributes["name"], old.type_)
                made.node.attributes.update(node.attributes)  # type: ignore[union-attr]
                made.node.attributes.pop("value", None)  # type: ignore[union-attr]
            else:
                made = into.constant(node.attributes.get("value"), old.type_)
            into.range = before
            mapped[old] = made
            continue
        copy_node(node, into, target, mapped)


def copy_node(node: Node, into: Graph, target: Block, mapped: dict[Value, Value]) -> Node:
    made = Node(into, node.kind_, [mapped[v] for v in node.input_values], node.range)
    made.attributes, made.schema, made.scope = dict(node.attributes), node.schema, node.scope
    target.append(made)
    for inner in node.blocks_:
        block = made.add_block()
        for parameter in inner.parameters:
            mapped[parameter] = block.add_parameter(parameter.type_, _renamed(into, parameter))
        copy_block(inner, into, block, mapped)
        for value in inner.results:
            block.result.add_input(mapped[value])
    for output in node.output_values:
        mapped[output] = made.add_output(output.type_, _renamed(into, output))
    return made


def _renamed(graph: Graph, value: Value) -> str:
    return graph.fresh(value.name) if value.name else ""


def copied(graph: Graph) -> Graph:
    """A graph like this one, with nodes and values of its own."""
    made = Graph()
    mapped: dict[Value, Value] = {}
    for parameter in graph.top.parameters:
        mapped[parameter] = made.top.add_parameter(parameter.type_, _renamed(made, parameter))
    copy_block(graph.top, made, made.top, mapped)
    for value in graph.top.results:
        made.add_output(mapped[value])
    return made


def inlined(graph: Graph) -> Graph:
    """A copy in which calls of functions and methods are replaced by what they call."""
    made = Graph()
    mapped: dict[Value, Value] = {}
    for parameter in graph.top.parameters:
        mapped[parameter] = made.top.add_parameter(parameter.type_, _renamed(made, parameter))
    _inline_block(graph.top, made, made.top, mapped)
    for value in graph.top.results:
        made.add_output(mapped[value])
    return clean(made)


def _called(node: Node) -> Any:
    if node.kind_ == "prim::CallMethod":
        return getattr(node.input_values[0].type_, "find_method", lambda name: None)(node.attributes["name"])
    if node.kind_ == "prim::CallFunction":
        return node.input_values[0].node.attributes["_function"]  # type: ignore[union-attr]
    return None


def _inline_block(block: Block, into: Graph, target: Block, mapped: dict[Value, Value]) -> None:
    for node in block.nodes_:
        function = _called(node)
        if function is not None and hasattr(function, "graph") and not function.in_python:
            inner = function.graph
            skip = 1 if node.kind_ == "prim::CallFunction" else 0
            inside = dict(zip(inner.top.parameters, (mapped[v] for v in node.input_values[skip:]), strict=True))
            _inline_block(inner.top, into, target, inside)
            mapped[node.output_values[0]] = inside[inner.top.results[0]]
        elif node.blocks_:
            made = Node(into, node.kind_, [mapped[v] for v in node.input_values], node.range)
            made.attributes, made.schema, made.scope = dict(node.attributes), node.schema, node.scope
            target.append(made)
            for source in node.blocks_:
                fresh = made.add_block()
                for parameter in source.parameters:
                    mapped[parameter] = fresh.add_parameter(parameter.type_, _renamed(into, parameter))
                _inline_block(source, into, fresh, mapped)
                for value in source.results:
                    fresh.result.add_input(mapped[value])
            for output in node.output_values:
                mapped[output] = made.add_output(output.type_, _renamed(into, output))
        elif node.kind_ == "prim::Constant":
            only = Block(block.graph)
            only.nodes_ = [node]
            copy_block(only, into, target, mapped)
        else:
            copy_node(node, into, target, mapped)
