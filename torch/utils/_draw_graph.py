"""draw_graph: pictures of the graph that backward goes through, and of a model's modules."""

from __future__ import annotations

from collections import deque

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from ._graph_svg import Box, Drawing, render
from ._summary import _inputs, _meta_copy, _meta_inputs, _tensors

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from typing import Any

__all__ = ["draw_graph"]


def draw_graph(
    subject: Any, input: Any = None, *, kwargs: dict[str, Any] | None = None, dtype: Any = None, params: Any = None,
    saved: bool = True, max_nodes: int = 400, path: str | os.PathLike[str] | None = None,
) -> Drawing:  # fmt: skip
    """Draw a graph as SVG: of tensors what backward will go through, of a model its modules.

    The graph of tensors shows each operation's node with the shapes of its results and of what it has saved, and the
    leaves, which have names if ``params`` knows them. That of a model shows the calls of its innermost modules, with
    the operations between them, the parameters that those use, and the shapes; the model runs on the meta device, as in
    :func:`torch.summary`, or as it is if it cannot.

    The layout is made by the package fast-sugiyama (``pip install fast-sugiyama``).

    Args:
        subject: a tensor that requires grad, or a list, tuple or dictionary of such; or a module.
        input, kwargs, dtype: what the module is called with: tensors or shapes, as in :func:`torch.summary`.
        params: a module or a dictionary of tensors, for the names of leaves.
        saved: whether the shapes of saved tensors are shown.
        max_nodes: further nodes are left out, those farthest from the results (of a model: its last calls), and counted
            in a note.
        path: a file to write the picture to. It appears there whole or not at all.

    Raises:
        ModuleNotFoundError: fast-sugiyama is not installed.
        ValueError: there is nothing to draw: no tensor requires grad, or a module was given without an input.

    >>> x = torch.ones(3, requires_grad=True)
    >>> drawing = torch.utils.draw_graph((x.exp() * 2).sum(), params={"x": x})  # doctest: +SKIP
    >>> drawing.save("graph.svg")  # doctest: +SKIP
    """
    if max_nodes < 1:
        raise ValueError(f"draw_graph: max_nodes must be at least 1, but is {max_nodes}")
    if isinstance(subject, nn.Module):
        if input is None and not kwargs:
            raise ValueError("draw_graph: a module needs an input: tensors or shapes")
        drawing = _modules(subject, *_inputs(subject, input, kwargs, dtype), max_nodes)
    else:
        drawing = _backward(subject, params, saved, max_nodes)
    drawing.svg = render(drawing.nodes, drawing.edges, drawing.note)
    if path is not None:
        drawing.save(path)
    return drawing


def _shape(tensor: Any) -> str:
    return str(list(tensor.shape))


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


# ---- the graph of backward ------------------------------------------------------------------------------------------


def _results(subject: Any) -> list[tuple[str, torch.Tensor]]:
    if isinstance(subject, dict):
        named = [(str(name), tensor) for name, tensor in subject.items()]
    else:
        several = subject if isinstance(subject, (tuple, list)) else [subject]
        named = [(f"result {i}" if len(several) > 1 else "result", tensor) for i, tensor in enumerate(several)]
    found = [(name, t) for name, t in named if isinstance(t, torch.Tensor) and t.requires_grad]
    if not found:
        raise ValueError("draw_graph: nothing to draw: no tensor that requires grad and no module was given")
    return found


def _leaf_names(params: Any) -> dict[int, str]:
    named = params.named_parameters() if isinstance(params, nn.Module) else dict(params or {}).items()
    names: dict[int, str] = {}
    for name, tensor in named:
        names.setdefault(id(tensor), name)
    return names


def _saved_lines(node: Any) -> Iterator[str]:
    for name in dir(node):
        if not name.startswith("_saved_"):
            continue
        try:
            value = getattr(node, name)
        except RuntimeError:  # backward has freed it
            yield f"saved {name.removeprefix('_saved_')}: freed"
            continue
        tensors = [t for t in (value if isinstance(value, (tuple, list)) else [value]) if isinstance(t, torch.Tensor)]
        if tensors:
            shapes = ", ".join(map(_shape, tensors))
            yield f"saved {name.removeprefix('_saved_')}: {shapes}"
    if isinstance(node, torch._C._FunctionBase):  # of a function written in Python
        try:
            kept = [t for t in node.saved_tensors if t is not None]
        except RuntimeError:
            yield "saved tensors: freed"
        else:
            if kept:
                yield "saved: " + ", ".join(map(_shape, kept))


def _node_box(node: Any, names: dict[int, str], saved: bool) -> Box:
    leaf = getattr(node, "variable", None)
    if isinstance(leaf, torch.Tensor):
        name = names.get(id(leaf), "leaf")
        kind = "parameter" if isinstance(leaf, nn.Parameter) or id(leaf) in names else "input"
        return Box(kind, [name, f"{_dtype(leaf)} {_shape(leaf)}"])
    made = [str(list(meta.shape)) for meta in getattr(node, "_input_metadata", ()) if meta is not None]
    lines = [node.name(), " ".join(made)] if made else [node.name()]
    return Box("operation", lines + (list(_saved_lines(node)) if saved else []))


def _backward(subject: Any, params: Any, saved: bool, max_nodes: int) -> Drawing:
    results, names = _results(subject), _leaf_names(params)
    drawing = Drawing()
    numbers: dict[Any, int] = {}  # of nodes; the objects are held, so that they stay the same
    waiting: deque[Any] = deque()

    def number_of(node: Any) -> int:
        if node not in numbers:
            numbers[node] = len(numbers)
            waiting.append(node)
        return numbers[node]

    ends = [(name, t, number_of(torch.autograd.graph.get_gradient_edge(t).node)) for name, t in results]
    edges = []
    while waiting:
        node = waiting.popleft()
        edges += [(number_of(before), numbers[node]) for before, _ in node.next_functions if before is not None]
    # breadth first, so the first ones are the nearest
    shown = list(numbers)[:max_nodes]
    drawing.nodes = [_node_box(node, names, saved) for node in shown]
    left_out = len(numbers) - len(shown)
    cut = [edge for edge in edges if edge[0] >= max_nodes > edge[1]]
    drawing.edges = [edge for edge in edges if max(edge) < max_nodes]
    if left_out:
        drawing.note = f"{left_out} further nodes, farther from the results, are left out (max_nodes={max_nodes})"
        drawing.nodes.append(Box("note", [f"{left_out} further nodes"]))
        drawing.edges += [(len(drawing.nodes) - 1, after) for _, after in cut]
    for name, tensor, node in ends:
        drawing.nodes.append(Box("output", [name, f"{_dtype(tensor)} {_shape(tensor)}"]))
        if node < max_nodes:
            drawing.edges.append((node, len(drawing.nodes) - 1))
    drawing.edges = sorted(set(drawing.edges))
    return drawing


# ---- the graph of a model's modules ---------------------------------------------------------------------------------


def _is_innermost(module: nn.Module, model: nn.Module) -> bool:
    """Whether a module is a box; a model that is no layer of ``torch.nn`` never is one."""
    if isinstance(module, nn.MultiheadAttention):
        return True
    ours = type(module).__module__.startswith("torch.")
    return not any(True for _ in module.children()) and (module is not model or ours)


class _Follow(TorchFunctionMode):
    """Which call made which tensor, while a model runs."""

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        super().__init__()
        self.boxes: list[Box] = []
        self.edges: list[tuple[int, int]] = []
        self.makers: dict[int, int] = {}  # id of a tensor to its box
        self.held: list[torch.Tensor] = []  # so that no other tensor gets the id of one that is gone
        self.inside = 0  # calls of innermost modules
        self.names = {id(t): name for name, t in (*model.named_parameters(), *model.named_buffers())}
        args, kwargs = inputs
        for name, value in (*((f"input {i}", one) for i, one in enumerate(args)), *kwargs.items()):
            for tensor in _tensors(value):
                self.add(Box("input", [name, f"{_dtype(tensor)} {_shape(tensor)}"]), [], [tensor])

    def add(self, box: Box, read: list[torch.Tensor], made: list[torch.Tensor]) -> None:
        number = len(self.boxes)
        self.boxes.append(box)
        for tensor in read:
            if id(tensor) not in self.makers and id(tensor) in self.names:
                self.makers[id(tensor)] = len(self.boxes)
                self.boxes.append(Box("parameter", [self.names[id(tensor)], f"{_dtype(tensor)} {_shape(tensor)}"]))
            if id(tensor) in self.makers and self.makers[id(tensor)] != number:
                self.edges.append((self.makers[id(tensor)], number))
        for tensor in made:
            self.makers[id(tensor)] = number
            self.held.append(tensor)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if self.inside:
            return out
        read, made = _tensors((args, kwargs)), _tensors(out)
        name = getattr(func, "__name__", str(func))
        known = all(id(t) in self.makers for t in made)
        if made and not (known and not name.endswith("_")) and name not in ("__get__", "detach"):
            self.add(Box("operation", [name.strip("_"), ", ".join(_shape(t) for t in made)]), read, made)
        return out

    def hook(self, model: nn.Module) -> list[Any]:
        handles = []
        for path, module in model.named_modules():
            if not _is_innermost(module, model):
                continue

            def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
                self.inside += 1

            def leave(module: nn.Module, args: Any, kwargs: Any, output: Any, path: str = path) -> None:
                self.inside -= 1
                made = _tensors(output)
                lines = [path or module._get_name(), module._get_name(), ", ".join(_shape(t) for t in made)]
                if not self.inside:
                    title = f"{path}: {module!r}"
                    self.add(Box("module", lines if path else lines[1:], title), _tensors((args, kwargs)), made)

            handles += [
                module.register_forward_pre_hook(enter, with_kwargs=True),
                module.register_forward_hook(leave, with_kwargs=True),
            ]
        return handles


def _follow(model: nn.Module, inputs: Any) -> tuple[_Follow, Any]:
    follow = _Follow(model, inputs)
    handles = follow.hook(model)
    try:
        with torch.no_grad(), follow:
            return follow, model(*inputs[0], **inputs[1])
    finally:
        for handle in handles:
            handle.remove()


def _modules(model: nn.Module, args: tuple, kwargs: dict[str, Any], max_nodes: int) -> Drawing:
    state = torch.get_rng_state()
    try:
        followed = None
        try:
            with torch.device("meta"):
                followed = _follow(_meta_copy(model), _meta_inputs((args, kwargs)))
        except Exception:
            if any(t.is_meta for t in (*model.parameters(), *model.buffers())):
                raise  # there are no numbers to run it on
        follow, output = followed or _on_copy(model, args, kwargs)
    finally:
        torch.set_rng_state(state)
    boxes, edges = follow.boxes, follow.edges
    drawing = Drawing(boxes[:max_nodes], [edge for edge in edges if max(edge) < max_nodes])
    left_out = len(boxes) - len(drawing.nodes)
    if left_out:
        drawing.note = f"{left_out} later nodes are left out (max_nodes={max_nodes})"
        number = len(drawing.nodes)
        drawing.nodes.append(Box("note", [f"{left_out} later nodes"]))
        drawing.edges += [(before, number) for before, after in edges if before < max_nodes <= after]
    for name, tensor in _named_outputs(output):
        maker = follow.makers.get(id(tensor))
        drawing.nodes.append(Box("output", [name, f"{_dtype(tensor)} {_shape(tensor)}"]))
        if maker is not None:
            before = maker if maker < max_nodes else max_nodes
            drawing.edges.append((before, len(drawing.nodes) - 1))
    drawing.edges = sorted(set(drawing.edges))
    return drawing


def _on_copy(model: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[_Follow, Any]:
    """Run a copy on numbers, for a model that looks at them."""
    import copy

    inputs = pytree.tree_map_only(
        torch.Tensor, lambda t: torch.zeros(t.shape, dtype=t.dtype) if t.is_meta else t.detach().clone(), (args, kwargs)
    )
    return _follow(copy.deepcopy(model), inputs)


def _named_outputs(output: Any) -> list[tuple[str, torch.Tensor]]:
    tensors = _tensors(output)
    if isinstance(output, dict):
        return [(str(key), t) for key, value in output.items() for t in _tensors(value)]
    return [(f"output {i}" if len(tensors) > 1 else "output", t) for i, t in enumerate(tensors)]


draw_graph.__module__ = "torch.utils"
