"""A model's operations, by module, as TensorFlow's GraphDef: what they are is found by running it once."""

from __future__ import annotations

import contextlib

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ._protos import proto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class _Recorder(TorchDispatchMode):
    """A node for each operation, under the path of the module that calls it."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.nodes: list[Any] = []
        self._root = type(model).__name__
        self._paths = {id(module): self._path(model, name) for name, module in model.named_modules()}
        self._open = [self._root]
        self._made_by: dict[int, str] = {}
        self._alive: list[Any] = []  # an identity means a tensor only as long as that is there
        self._parameters = {
            id(tensor): name for name, tensor in [*model.named_parameters(), *model.named_buffers()]
        }
        self._owners = {name: module for name, module in model.named_modules()}
        self._counts: dict[str, int] = {}

    def _path(self, model: torch.nn.Module, name: str) -> str:
        parts, module = [self._root], model
        for part in filter(None, name.split(".")):
            module = getattr(module, part)
            parts.append(f"{type(module).__name__}[{part}]")
        return "/".join(parts)

    def enter(self, module: torch.nn.Module, args: Any) -> None:
        self._open.append(self._paths.get(id(module), self._open[-1]))

    def leave(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        self._open.pop()

    def _fresh(self, name: str) -> str:
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return name if count == 1 else f"{name}_{count - 1}"

    def _add(self, name: str, op: str, inputs: list[str], tensor: Any, text: str = "{}") -> str:
        name = self._fresh(name)
        attributes = proto("attr_value")
        attr = {"attr": attributes.AttrValue(s=text.encode())}
        if isinstance(tensor, torch.Tensor):
            shapes = proto("tensor_shape").TensorShapeProto
            shape = shapes(dim=[shapes.Dim(size=size) for size in tensor.shape])
            attr["_output_shapes"] = attributes.AttrValue(list=attributes.AttrValue.ListValue(shape=[shape]))
        self.nodes.append(proto("node_def").NodeDef(name=name, op=op, input=inputs, attr=attr))
        return name

    def know(self, tensor: Any, name: str) -> None:
        self._made_by[id(tensor)] = name
        self._alive.append(tensor)

    def source(self, tensor: Any) -> str:
        """The node that a tensor comes from; parameters and constants become one when they are first used."""
        if id(tensor) not in self._made_by:
            if id(tensor) in self._parameters:
                owner, _, short = self._parameters[id(tensor)].rpartition(".")
                path = self._paths[id(self._owners[owner])]
                name = self._add(f"{path}/{short}", "prim::GetAttr", [], tensor, f"{{ name :  {short} }}")
            else:
                name = self._add(f"{self._open[-1]}/constant", "prim::Constant", [], tensor)
            self.know(tensor, name)
        return self._made_by[id(tensor)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        inputs = [self.source(leaf) for leaf in leaves if isinstance(leaf, torch.Tensor)]
        rest = [leaf for leaf in leaves if not isinstance(leaf, torch.Tensor)]
        out = func(*args, **kwargs)
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        short = func._opname
        text = "{" + ", ".join(map(str, rest)) + "}"
        name = self._add(f"{self._open[-1]}/{short}", f"aten::{short}", inputs, made[0] if made else None, text)
        for tensor in made:
            self.know(tensor, name)
        return out

    def add_ends(self, tensors: Any, kind: str) -> None:
        for number, tensor in enumerate(t for t in tree_leaves(tensors) if isinstance(t, torch.Tensor)):
            inputs = [self.source(tensor)] if kind == "output" else []
            name = self._add(f"{kind}/{kind}.{number + 1}", "IO Node", inputs, tensor, "")
            if kind == "input":
                self.know(tensor, name)


@contextlib.contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def graph(model: torch.nn.Module, args: Any, verbose: bool = False, use_strict_trace: bool = True) -> Any:
    """(GraphDef, RunMetadata) of ``model(*args)``, in evaluation mode."""
    inputs = args if isinstance(args, (tuple, list)) else (args,)
    recorder = _Recorder(model)
    hooks = torch.nn.modules.module
    handles = [
        hooks.register_module_forward_pre_hook(recorder.enter),
        hooks.register_module_forward_hook(recorder.leave, always_call=True),
    ]
    try:
        recorder.add_ends(inputs, "input")
        with torch.no_grad(), _evaluating(model), recorder:
            result = model(*inputs)
        recorder.add_ends(result, "output")
    finally:
        for handle in handles:
            handle.remove()
    if verbose:
        for node in recorder.nodes:
            print(f"{node.name} = {node.op}({', '.join(node.input)})")
    steps, configs = proto("step_stats"), proto("config")
    stats = steps.StepStats(dev_stats=[steps.DeviceStepStats(device="/device:CPU:0")])
    versions = proto("versions").VersionDef(producer=22)
    return proto("graph").GraphDef(node=recorder.nodes, versions=versions), configs.RunMetadata(step_stats=stats)
