"""Drawings of graphs, as text in the DOT language."""

from __future__ import annotations

import hashlib

import torch

from ..graph_module import GraphModule
from ..node import Node, _format_arg, _get_qualified_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["DotGraph", "FxGraphDrawer"]

_FIXED = {"placeholder": "AliceBlue", "get_attr": "LightGrey", "output": "PowderBlue"}
_COLOURS = (
    "CadetBlue1 Coral DarkOliveGreen1 DarkSeaGreen1 GhostWhite Khaki1 LavenderBlush1 LightSkyBlue MistyRose1 Plum1"
)
_FILES = frozenset("create_svg write_svg create_png write_png create_pdf write_pdf".split())


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


class DotGraph:
    """A drawing: ``to_string()`` gives the text, which Graphviz turns into a picture."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lines: list[str] = []

    def node(self, name: str, label: str, colour: str, shape: str) -> None:
        """Add a box."""
        self._lines.append(
            f"{_quoted(name)} [label={_quoted(label)}, shape={shape}, style={_quoted('filled,rounded')}, "
            f"fillcolor={_quoted(colour)}, fontcolor={_quoted('#000000')}];"
        )

    def edge(self, start: str, end: str) -> None:
        """Add an arrow."""
        self._lines.append(f"{_quoted(start)} -> {_quoted(end)};")

    def to_string(self) -> str:
        """The drawing in the DOT language."""
        body = "".join(f"  {line}\n" for line in self._lines)
        return f"digraph {_quoted(self.name)} {{\n  rankdir=TB;\n{body}}}\n"

    def write_raw(self, path: str) -> None:
        """Write the text to a file."""
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.to_string())

    write_dot = write_raw

    def __getattr__(self, name: str) -> Any:
        if name in _FILES:
            raise RuntimeError(
                f"{name}() needs Graphviz: write the text by write_raw(path) and run `dot -Tsvg path` on it"
            )
        raise AttributeError(f"'DotGraph' object has no attribute '{name}'")


class FxGraphDrawer:
    """Draws the graph of a module, and those of modules inside it.

    Args:
        graph_module: the module.
        name: of the drawing.
        ignore_getattr: leave attributes of the module out.
        ignore_parameters_and_buffers: do not list the parameters of submodules.
        skip_node_names_in_args: write arguments that are nodes as %, since an arrow shows them.
        dot_graph_shape: of the boxes; "box" by default.

    >>> from torch.fx.passes.graph_drawer import FxGraphDrawer
    >>> drawing = FxGraphDrawer(torch.fx.symbolic_trace(lambda x: x.relu()), "f").get_dot_graph()
    >>> drawing.to_string().splitlines()[-3:]
    ['  "x" -> "relu";', '  "relu" -> "output";', '}']
    """

    def __init__(
        self,
        graph_module: GraphModule,
        name: str,
        ignore_getattr: bool = False,
        ignore_parameters_and_buffers: bool = False,
        skip_node_names_in_args: bool = True,
        parse_stack_trace: bool = False,
        dot_graph_shape: str | None = None,
        normalize_args: bool = False,
    ) -> None:
        self._name, self._shape = name, dot_graph_shape or "box"
        self._options = (ignore_getattr, ignore_parameters_and_buffers, skip_node_names_in_args, parse_stack_trace)
        self._normalize = normalize_args
        self._dot_graphs: dict[str, DotGraph] = {}
        self._add(graph_module, name)

    def get_dot_graph(self, submod_name: str | None = None) -> DotGraph:
        """The drawing of the module, or of one inside it."""
        return self._dot_graphs[self._name if submod_name is None else submod_name]

    def get_main_dot_graph(self) -> DotGraph:
        """The drawing of the module."""
        return self._dot_graphs[self._name]

    def get_submod_dot_graph(self, submod_name: str) -> DotGraph:
        """The drawing of a module inside it, by ``NAME_PATH``."""
        return self._dot_graphs[f"{self._name}_{submod_name}"]

    def get_all_dot_graphs(self) -> dict[str, DotGraph]:
        """All drawings by name."""
        return self._dot_graphs

    def _add(self, module: GraphModule, name: str) -> None:
        drawing = DotGraph(name)
        self._dot_graphs[name] = drawing
        for node in module.graph.nodes:
            if self._options[0] and node.op == "get_attr":
                continue
            drawing.node(node.name, self._label(module, node), self._colour(node), self._shape)
            if node.op == "call_module":
                inner = module.get_submodule(node.target)
                if isinstance(inner, GraphModule):
                    self._add(inner, f"{name}_{node.target}")
        for node in module.graph.nodes:
            if self._options[0] and node.op == "get_attr":
                continue
            for user in node.users:
                drawing.edge(node.name, user.name)

    def _colour(self, node: Node) -> str:
        if node.op in _FIXED:
            return _FIXED[node.op]
        target = node._pretty_print_target(node.target)
        colours = _COLOURS.split()
        return colours[hashlib.md5(target.encode()).digest()[0] % len(colours)]

    def _label(self, module: GraphModule, node: Node) -> str:
        lines = [f"name=%{node.name}", f"op_code={node.op}"]
        if node.op == "call_module":
            inner = module.get_submodule(node.target)
            lines += [
                torch.typename(inner),
                *(f"{n}: {getattr(inner, n)}" for n in getattr(inner, "__constants__", ())),
            ]
            if not self._options[1]:
                lines += [f"{n}: {p.dtype}{list(p.shape)}" for n, p in inner.named_parameters()]
        elif node.op == "call_function":
            lines.append(f"target={_get_qualified_name(node.target)}")
        else:
            lines.append(f"target={node.target}")
        if node.op in ("call_function", "call_method"):
            args, kwargs = node.args, node.kwargs
            if self._normalize and (found := node.normalized_arguments(module)) is not None:
                args, kwargs = found.args, found.kwargs
            shown = _format_arg(args) if not self._options[2] else _format_arg(torch.fx.map_arg(args, lambda n: "%"))
            lines += [f"args={shown}", *([f"kwargs={_format_arg(kwargs)}"] if kwargs else [])]
        lines.append(f"num_users={len(node.users)}")
        if self._options[3] and node.stack_trace:
            lines.append(node.stack_trace.strip().splitlines()[-1])
        meta = node.meta.get("tensor_meta")
        if meta is not None and hasattr(meta, "dtype"):
            lines.append(f"{meta.dtype}{list(meta.shape)}")
        return "\n".join(lines)
