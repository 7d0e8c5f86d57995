"""Frozen modules: what does not change becomes a constant of the program, and what follows from it is computed once."""

from __future__ import annotations

import operator

import torch

from . import _deprecated
from ._ir import Block, Graph, Node, Value
from ._passes import clean, inlined
from ._script import RecursiveScriptModule, ScriptModule
from ._types import NONE, ClassType, OptionalType, mentions
from ._unit import Function, python_unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PLAIN = (bool, int, float, str, complex, type(None), torch.device)
_FOLDED = {
    "aten::__not__": operator.not_,
    "aten::eq": operator.eq,
    "aten::ne": operator.ne,
    "aten::lt": operator.lt,
    "aten::le": operator.le,
    "aten::gt": operator.gt,
    "aten::ge": operator.ge,
    "aten::add": operator.add,
    "aten::sub": operator.sub,
    "aten::mul": operator.mul,
    "aten::__is__": operator.is_,
    "aten::__isnot__": operator.is_not,
    "aten::__and__": operator.and_,
    "aten::__or__": operator.or_,
}


def _target(value: Value, roots: dict[Value, Any]) -> Any:
    """The module that a value of the graph is, if it is known."""
    if value in roots:
        return roots[value]
    node = value.node
    if isinstance(node, Node) and node.kind_ == "prim::GetAttr":
        owner = _target(node.input_values[0], roots)
        if owner is not None:
            return owner._modules.get(node.attributes["name"])
    return None


def _written(graph: Graph, roots: dict[Value, Any]) -> set[tuple[int, str]]:
    """The attributes that a program sets, and tensors that it changes in place."""
    found = set()
    for node in graph.all_nodes():
        if node.kind_ == "prim::SetAttr":
            owner = _target(node.input_values[0], roots)
            if owner is not None:
                found.add((id(owner), node.attributes["name"]))
        elif node.schema is not None:
            for argument, value in zip(node.schema.arguments, node.input_values, strict=False):
                source = value.node
                if argument.alias and isinstance(source, Node) and source.kind_ == "prim::GetAttr":
                    owner = _target(source.input_values[0], roots)
                    if owner is not None:
                        found.add((id(owner), source.attributes["name"]))
    return found


def _attributes_to_constants(
    graph: Graph, roots: dict[Value, Any], written: set[tuple[int, str]], kept: set[str]
) -> None:
    from ._save import attribute_value

    for node in list(graph.all_nodes()):
        if node.kind_ != "prim::GetAttr":
            continue
        owner = _target(node.input_values[0], roots)
        name = node.attributes["name"]
        if owner is None or (id(owner), name) in written or (node.input_values[0] in roots and name in kept):
            continue
        attribute = owner._type.attributes.get(name)
        if attribute is None or (isinstance(attribute.type, ClassType) and attribute.type.is_module()):
            continue
        value = None if attribute.type is NONE else attribute_value(owner, attribute)
        if isinstance(value, torch.Tensor):
            value = value.detach()
        elif not isinstance(value, _PLAIN) or mentions(attribute.type, ClassType):
            continue
        output = node.output_values[0]
        kind = attribute.type
        if isinstance(kind, OptionalType):
            kind = NONE if value is None else kind.element
        output.replaceAllUsesWith(graph.constant(value, kind))


def _fold(graph: Graph, block: Block) -> None:
    """Compute what depends on known numbers only, and keep the branch that is taken."""
    at = 0
    while at < len(block.nodes_):
        node = block.nodes_[at]
        before = len(block.nodes_)
        function = _FOLDED.get(node.kind_)
        if function is not None and len(node.output_values) == 1:
            parts = [v.constant() for v in node.input_values]
            if node.kind_ in ("aten::__is__", "aten::__isnot__"):
                parts = [p if p[0] else _never_none(v) for p, v in zip(parts, node.input_values, strict=True)]
            if all(known and not isinstance(value, torch.Tensor) for known, value in parts):
                made = graph.constant(function(*(value for _, value in parts)))
                node.output_values[0].replaceAllUsesWith(made)
        if node.kind_ == "prim::If":
            known, value = node.input_values[0].constant()
            if known:
                taken = node.blocks_[0 if value else 1]
                for output, result in zip(node.output_values, list(taken.results), strict=True):
                    output.replaceAllUsesWith(result)
                where = block.nodes_.index(node)
                moved = list(taken.nodes_)
                for inner in moved:
                    inner.owner = block
                taken.nodes_.clear()
                taken.result.remove_inputs()
                block.nodes_[where:where] = moved
                node.destroy()
                continue
        if node.kind_ == "prim::unchecked_cast":
            known, value = node.input_values[0].constant()
            if known and value is not None:
                node.output_values[0].replaceAllUsesWith(node.input_values[0])
        for inner_block in node.blocks_:
            _fold(graph, inner_block)
        # Constants are put at the start of the graph, before this node.
        at += 1 + (len(block.nodes_) - before if block is graph.top else 0)


def _never_none(value: Value) -> tuple[bool, Any]:
    kind = value.type_
    return (False, None) if isinstance(kind, OptionalType) or kind is NONE else (True, object())


def freeze(mod: Any, preserved_attrs: list[str] | None = None, optimize_numerics: bool = True) -> Any:
    """A module whose parameters and attributes are constants of its program.

    Args:
        mod: A compiled module in eval mode.
        preserved_attrs: Methods and attributes to keep besides ``forward``.
        optimize_numerics: Also run :func:`run_frozen_optimizations`.

    Raises:
        RuntimeError: the module is not compiled, or is in training mode.
    """
    _deprecated("freeze")
    if not isinstance(mod, ScriptModule):
        raise RuntimeError(
            "Freezing expects a ScriptModule as input. Please use torch.jit.script or torch.jit.trace to script your "
            "'nn.Module'."
        )
    if "training" in mod._type.attributes and mod.training:
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. Please call .eval() on your "
            "module before "
            "freezing."
        )
    preserved = list(preserved_attrs or [])
    methods = [n for n in ("forward", *preserved) if mod._type.find_method(n) is not None]
    for name in preserved:
        if name not in methods and not hasattr(mod, name):
            raise RuntimeError(f"attribute '{name}' does not exist in the module, so that it cannot be preserved")
    kept = {n for n in preserved if n not in methods}
    graphs = {name: inlined(mod._type.find_method(name).graph) for name in methods}
    written: set[tuple[int, str]] = set()
    for graph in graphs.values():
        written |= _written(graph, {graph.top.parameters[0]: mod})
    old = mod._type
    kind = ClassType(python_unit.fresh(old.qualified_name), python_unit, is_module=True)
    python_unit._types[kind.qualified_name] = kind
    used: set[str] = set(kept)
    for name, graph in graphs.items():
        this = graph.top.parameters[0]
        _attributes_to_constants(graph, {this: mod}, written, kept)
        for _ in range(4):
            _fold(graph, graph.top)
            clean(graph)
        used |= {n.attributes["name"] for n, _ in this.uses if "name" in n.attributes}
        this.type_ = kind
        schema = old.find_method(name).schema
        defaults = {a.name: a.default for a in schema.arguments if a.has_default}
        kind.methods[name] = Function.from_graph(f"{kind.qualified_name}.{name}", graph, defaults)
        for made, before in zip(kind.methods[name].schema.arguments, schema.arguments, strict=True):
            made.name, made.kwarg_only, made.alias = before.name, before.kwarg_only, before.alias
    frozen = RecursiveScriptModule(kind)
    for name, attribute in old.attributes.items():
        if name not in used:
            continue
        kind.attributes[name] = attribute
        for table in ("_parameters", "_buffers", "_modules", "_attributes"):
            if name in mod.__dict__[table]:
                frozen.__dict__[table][name] = mod.__dict__[table][name]
    frozen.__dict__.pop("training", None)
    if optimize_numerics:
        run_frozen_optimizations(frozen, optimize_numerics, preserved)
    return frozen


def run_frozen_optimizations(
    mod: Any, optimize_numerics: bool = True, preserved_methods: list[str] | None = None
) -> None:
    """Remove from a frozen module's program what is not used, and dropout, which does nothing in eval mode."""
    for name in ("forward", *(preserved_methods or [])):
        function = mod._type.find_method(name)
        if function is None:
            continue
        graph = function.graph
        for node in list(graph.all_nodes()):
            if node.kind_ in ("aten::dropout", "aten::feature_dropout"):
                if node.input_values[2].constant() == (True, False):
                    node.output_values[0].replaceAllUsesWith(node.input_values[0])
        function.graph = clean(graph)


def optimize_for_inference(mod: Any, other_methods: list[str] | None = None) -> Any:
    """A module for inference: frozen, if it is not yet.

    Raises:
        RuntimeError: the module is not compiled.
    """
    _deprecated("optimize_for_inference")
    if not isinstance(mod, ScriptModule):
        raise RuntimeError(
            "optimize_for_inference expects a ScriptModule as input. Please use torch.jit.script or "
            "torch.jit.trace to script your 'nn.Module'."
        )
    if "training" in mod._type.attributes:
        mod = freeze(mod.eval(), preserved_attrs=other_methods)
    return mod


def export_opnames(m: Any) -> list[str]:
    """The names of the operations that a module's programs use, with their overloads."""
    found: set[str] = set()
    seen: set[int] = set()

    def visit(module: Any) -> None:
        kind = module._type
        if id(kind) not in seen:
            seen.add(id(kind))
            for function in kind.methods.values():
                for node in inlined(function.graph).all_nodes():
                    if node.kind_.startswith("aten::"):
                        overload = node.schema.overload if node.schema is not None else ""
                        found.add(node.kind_ + (f".{overload}" if overload else ""))
        for sub in module._modules.values():
            if sub is not None:
                visit(sub)

    visit(m)
    return sorted(found)
