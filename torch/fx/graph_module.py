"""Modules whose ``forward`` is generated from a graph."""

from __future__ import annotations

import contextlib
import copy
import itertools
import linecache
import os
import sys
import traceback
import warnings
from pathlib import Path

import torch

from ._names import _custom_builtins
from .graph import Graph, _PyTreeCodeGen, _PyTreeInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from typing_extensions import Self

    from ._codegen import PythonCode
    from .node import Node

__all__ = ["GraphModule", "reduce_graph_module"]


# ---- running generated code


class _EvalCacheLoader:
    """Keeps the source of generated code, so that tracebacks show its lines."""

    def __init__(self) -> None:
        self.eval_cache: dict[str, str] = {}
        self._numbers = itertools.count()

    def cache(self, src: str, globals: dict[str, Any], co_fields: dict[str, Any] | None = None) -> str:
        """Remember a source; the name of the file that its code should have."""
        key = f"<eval_with_key>.{next(self._numbers)}"
        if co_fields:
            key += f" from {co_fields['co_filename']}:{co_fields['co_firstlineno']} in {co_fields['co_name']}"
        self.eval_cache[key] = src
        globals_copy = dict(globals)
        globals_copy.update(__file__=key, __name__=key, __loader__=self)
        linecache.lazycache(key, globals_copy)
        return key

    def get_source(self, module_name: str) -> str | None:
        return self.eval_cache.get(module_name)


_loader = _EvalCacheLoader()


def _exec_with_source(src: str, globals: dict[str, Any], co_fields: dict[str, Any] | None = None) -> None:
    key = _loader.cache(src, globals, co_fields)
    exec(compile(src, key, "exec"), globals)


def _forward_from_src(src: str, globals: dict[str, Any], co_fields: dict[str, Any] | None = None) -> Any:
    return _method_from_src("forward", src, globals, co_fields)


def _method_from_src(
    method_name: str, src: str, globals: dict[str, Any], co_fields: dict[str, Any] | None = None
) -> Callable[..., Any]:
    space = dict(globals)
    _exec_with_source(src, space, co_fields)
    made: Callable[..., Any] = space[method_name]
    return made


# ---- attributes by path


def _split(target: str) -> tuple[list[str], str]:
    *way, name = target.split(".")
    return way, name


def _get_attr(model: Any, attr_name: str) -> Any:
    for part in attr_name.split("."):
        model = getattr(model, part)
    return model


def _has_attr(model: Any, attr_name: str) -> bool:
    for part in attr_name.split("."):
        if not hasattr(model, part):
            return False
        model = getattr(model, part)
    return True


def _del_attr(model: Any, attr_name: str) -> None:
    way, name = _split(attr_name)
    for part in way:
        model = getattr(model, part)
    delattr(model, name)


def _assign_attr(from_obj: Any, to_module: torch.nn.Module, target: str) -> None:
    """Put an object at a path; modules that are missing on the way are made."""
    way, name = _split(target)
    for part in way:
        child = getattr(to_module, part, None)
        if child is None:
            child = torch.nn.Module()
            setattr(to_module, part, child)
        to_module = child
    if isinstance(from_obj, torch.Tensor) and not isinstance(from_obj, torch.nn.Parameter):
        to_module.register_buffer(name, from_obj)
    else:
        setattr(to_module, name, from_obj)


def _copy_attr(from_module: Any, to_module: torch.nn.Module, target: str) -> None:
    """Put what stands at a path of one module at the same path of another, unless something is there."""
    if not _has_attr(from_module, target):
        return
    found = _get_attr(from_module, target)
    if _has_attr(to_module, target) and not isinstance(found, torch.Tensor):
        present = _get_attr(to_module, target)
        if present is not None and not _is_plain_container(present):
            return
    _assign_attr(found, to_module, target)


def _is_plain_container(module: Any) -> bool:
    return type(module) is torch.nn.Module and not any(True for _ in module.children())


# ---- printing


def _colour(text: str, colored: bool) -> str:
    return f"\033[33m{text}\033[0m" if colored else text


def _print_readable(
    module: Any,
    module_name: str,
    print_output: bool = True,
    include_stride: bool = False,
    include_device: bool = False,
    colored: bool = False,
    expanded_def: bool = False,
    additional_meta: list[str] | None = None,
) -> str:
    graph = module.graph
    code = graph.python_code(
        "self", verbose=True, include_stride=include_stride, include_device=include_device,
        expanded_def=expanded_def, additional_meta=additional_meta,
    ).src  # fmt: skip
    lines = code.lstrip("\n")
    text = f"class {module_name}(torch.nn.Module):\n" + _indent(lines, 4)
    parts = [text]
    for name, child in module.named_children():
        if hasattr(child, "graph"):
            inner = _print_readable(
                child, name, False, include_stride, include_device, colored, expanded_def, additional_meta
            )
            parts.append(_indent(inner, 4))
    output = "\n".join(p.rstrip(" ") if p.endswith(" ") else p for p in parts)
    if print_output:
        print(_colour(output, colored))
    return output


def _indent(text: str, by: int) -> str:
    return "\n".join(" " * by + line if line.strip() else "" for line in text.split("\n"))


class _WrappedCall:
    """Calls the module, and shows the generated line in which an error occurred."""

    def __init__(self, cls: type, cls_call: Callable[..., Any] | None) -> None:
        self.cls, self.cls_call = cls, cls_call

    @staticmethod
    def _generate_error_message(frame_summary: traceback.FrameSummary) -> str:
        number = frame_summary.lineno or 0
        lines = linecache.getlines(frame_summary.filename)
        before = "".join(lines[max(0, number - 2) : number])
        after = "".join(lines[number : number + 2])
        return (
            f"Call using an FX-traced Module, line {number} of the traced Module's generated forward function:\n"
            f"{before}\n~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~ <--- HERE\n{after}\n"
        )

    def __call__(self, obj: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if self.cls_call is not None:
                return self.cls_call(obj, *args, **kwargs)
            return super(self.cls, obj).__call__(*args, **kwargs)  # type: ignore[misc]
        except Exception as e:
            assert e.__traceback__ is not None
            frames = traceback.extract_tb(e.__traceback__)
            if frames and frames[-1].filename.startswith("<eval_with_key"):
                print(self._generate_error_message(frames[-1]), file=sys.stderr)
                raise e.with_traceback(None)  # noqa: B904
            raise


class GraphModule(torch.nn.Module):
    """A module that runs a graph. Its ``forward`` is Python code made from the graph, which ``code`` shows.

    Args:
        root: the module, or the dictionary of paths, that the parts which the graph refers to are taken from.
        graph: the program. It is used as it is, not copied.
        class_name: the name of the class of the new module.

    Raises:
        RuntimeError: ``root`` is neither, or a dictionary that lacks a part.

    >>> module = torch.fx.symbolic_trace(lambda x: torch.relu(x) + 1)
    >>> print(module.code.strip())
    def forward(self, x):
        relu = torch.relu(x);  x = None
        add = relu + 1;  relu = None
        return add
    """

    _graph: Graph
    _code: str

    def __new__(cls: type[Self], *args: Any, **kwargs: Any) -> Self:
        # Each instance has a class of its own, for its own forward.
        for base in cls.__mro__:
            if "_is_impl" in base.__dict__:
                cls = base.__bases__[0]
                break

        class GraphModuleImpl(cls):  # type: ignore[misc, valid-type]
            _is_impl = True

        return super().__new__(GraphModuleImpl)

    def __init__(self, root: torch.nn.Module | dict[str, Any], graph: Graph, class_name: str = "GraphModule") -> None:
        super().__init__()
        self.__class__.__name__ = class_name
        if isinstance(root, torch.nn.Module):
            if hasattr(root, "training"):
                self.training = root.training
            paths = [n.target for n in graph.nodes if n.op in ("get_attr", "call_module")]
            for path in paths:
                _copy_attr(root, self, path)
        elif isinstance(root, dict):
            targets = []
            for node in graph.nodes:
                if node.op in ("get_attr", "call_module"):
                    if node.target not in root:
                        raise RuntimeError(
                            f"Node {node} referenced target {node.target} but that target was not provided in ``root``!"
                        )
                    targets.append(node.target)
            for path in sorted(targets, key=lambda t: t.count(".")):
                _assign_attr(root[path], self, path)
        else:
            raise RuntimeError(f"Unsupported type {root} passed for root!")
        self._create_node_hooks: list[Any] = []
        self._erase_node_hooks: list[Any] = []
        self._replace_hooks: list[Any] = []
        self._deepcopy_hooks: list[Any] = []
        self.graph = graph
        self._tracer_cls = None
        if graph._tracer_cls is not None and "<locals>" not in graph._tracer_cls.__qualname__:
            self._tracer_cls = graph._tracer_cls
        self._tracer_extras = dict(graph._tracer_extras) if graph._tracer_extras else {}
        self.meta: dict[str, Any] = {}

    # ---- the graph and its code

    @property
    def graph(self) -> Graph:
        """The program. After a change to it, ``recompile()`` makes the code anew; assigning a graph does so at once."""
        return self._graph

    @graph.setter
    def graph(self, g: Graph) -> None:
        if not isinstance(g, Graph):
            raise AssertionError(f"Expected a Graph instance, but got {type(g)}")
        self._graph = g
        g.owning_module = self
        self.recompile()

    @property
    def code(self) -> str:
        """The Python source of ``forward``."""
        if not hasattr(self, "_code"):
            raise RuntimeError("Code has not been generated! Please report a bug to PyTorch")
        return self._code

    def recompile(self) -> PythonCode:
        """Generate ``forward`` from the graph as it is now."""
        codegen = self._graph._codegen
        if isinstance(codegen, _PyTreeCodeGen) and codegen.pytree_info is not None:
            self._in_spec, self._out_spec = codegen.pytree_info.in_spec, codegen.pytree_info.out_spec
        code = self._graph.python_code(root_module="self")
        self._code = code.src
        self._lineno_map = code._lineno_map
        cls: Any = type(self)
        fields = self._graph._co_fields if hasattr(self._graph, "_co_fields") else {}
        cls.forward = _forward_from_src(self._code, code.globals, fields)
        if "_wrapped_call" not in vars(cls):
            own_call = cls.__call__ if "__call__" in vars(cls) else None
            cls._wrapped_call = _WrappedCall(cls, own_call)

            def call_wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
                return self._wrapped_call(self, *args, **kwargs)

            cls.__call__ = call_wrapped
        return code

    def print_readable(
        self,
        print_output: bool = True,
        include_stride: bool = False,
        include_device: bool = False,
        colored: bool = False,
        *,
        fast_sympy_print: bool = False,
        expanded_def: bool = False,
        additional_meta: list[str] | None = None,
    ) -> str:
        """The code of the module and of those inside it, with where each line comes from; printed, and returned."""
        return _print_readable(
            self, self._get_name(), print_output, include_stride, include_device, colored, expanded_def,
            additional_meta,
        )  # fmt: skip

    def __str__(self) -> str:
        hint = "# To see more debug info, please use `graph_module.print_readable()`"
        return "\n".join([super().__str__(), self._code, hint])

    # ---- parts

    def add_submodule(self, target: str, m: torch.nn.Module) -> bool:
        """Put a module at a path, making the modules on the way; False where something else stands in it."""
        way, name = _split(target)
        module: Any = self
        for part in way:
            child = getattr(module, part, None)
            if child is None:
                child = torch.nn.Module()
                setattr(module, part, child)
            elif not isinstance(child, torch.nn.Module):
                return False
            module = child
        module.add_module(name, m)
        return True

    def delete_submodule(self, target: str) -> bool:
        """Remove the module at a path; False if there is none."""
        way, name = _split(target)
        module: Any = self
        for part in way:
            module = getattr(module, part, None)
            if not isinstance(module, torch.nn.Module):
                return False
        if not isinstance(getattr(module, name, None), torch.nn.Module):
            return False
        delattr(module, name)
        return True

    def delete_all_unused_submodules(self) -> None:
        """Remove the modules that the graph neither calls nor takes attributes from."""
        used: set[str] = set()
        for node in self.graph.nodes:
            if node.op not in ("call_module", "get_attr"):
                continue
            parts = node.target.split(".")
            used.update(".".join(parts[:i]) for i in range(1, len(parts) + 1))
            if node.op == "call_module":
                try:
                    module = self.get_submodule(node.target)
                except AttributeError:
                    continue
                used.update(f"{node.target}.{name}" for name, _ in module.named_modules() if name)
        for name in [name for name, _ in self.named_modules() if name and name not in used]:
            self.delete_submodule(name)

    def to_folder(self, folder: str | os.PathLike[str], module_name: str = "FxModule") -> None:
        """Write the module to a folder, as a package that can be imported: its code, and its parameters in files."""
        place = Path(folder)
        place.mkdir(exist_ok=True)
        torch.save(self.state_dict(), place / "state_dict.pt")
        tab = " " * 4
        imports = "\n".join(builtin.import_str for builtin in _custom_builtins.values())
        text = (
            f"\nimport torch\n{imports}\n\nfrom torch.nn import *\n"
            f"class {module_name}(torch.nn.Module):\n{tab}def __init__(self):\n{tab * 2}super().__init__()\n"
        )
        blobs = []
        for name, module in self.named_children():
            written = _constructor(module)
            if written is None:
                blobs.append(name)
                file = place / f"{name}.pt"
                torch.save(module, file)
                shown = repr(module).replace("\r", " ").replace("\n", " ")
                written = f"torch.load(r'{file}', weights_only=False)"
                text += f"{tab * 2}setattr(self, '{name}', {written}) # {shown}\n"
                continue
            text += f"{tab * 2}setattr(self, '{name}', {written})\n"
        for name, buffer in self._buffers.items():
            if buffer is not None:
                text += (
                    f"{tab * 2}self.register_buffer('{name}', torch.empty({list(buffer.shape)}, dtype={buffer.dtype}))"
                    "\n"
                )
        for name, parameter in self._parameters.items():
            if parameter is not None:
                text += (
                    f"{tab * 2}self.{name} = torch.nn.Parameter(torch.empty({list(parameter.shape)}, "
                    f"dtype={parameter.dtype}))\n"
                )
        text += f"{tab * 2}self.load_state_dict(torch.load(r'{place / 'state_dict.pt'}'))\n"
        text += "\n".join(tab + line if line.strip() else line for line in self.code.split("\n")).rstrip() + "\n"
        (place / "module.py").write_text(text, encoding="utf-8")
        (place / "__init__.py").write_text("from .module import *", encoding="utf-8")
        if blobs:
            warnings.warn(
                "Was not able to save the following children modules as reprs -saved as pickled files instead: "
                f"{blobs}",
                stacklevel=2,
            )

    # ---- copies and files

    def __reduce__(self) -> Any:
        fields = self.__dict__.copy()
        code = self._graph.python_code(root_module="self")
        fields.pop("_graph")
        for name in ("_create_node_hooks", "_erase_node_hooks", "_replace_hooks", "_deepcopy_hooks"):
            fields.pop(name, None)
        return reduce_graph_module, (fields, _import_block(code.globals))

    def _deepcopy_init(self) -> Callable[..., None]:
        return GraphModule.__init__

    def __deepcopy__(self, memo: dict[int, Any]) -> GraphModule:
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        holder = _CodeOnlyModule(copy.deepcopy({k: v for k, v in self.__dict__.items() if k not in _OWN}, memo))
        self._deepcopy_init()(made, holder, copy.deepcopy(self.graph, memo), self._get_name())
        extra = [
            "_state_dict_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks", "_parameters",
            "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks", "training",
        ]  # fmt: skip
        for name in extra:
            if name in holder.__dict__:
                made.__dict__[name] = holder.__dict__[name]
        for name, value in holder.__dict__.items():
            made.__dict__.setdefault(name, value)
        made.meta = copy.copy(self.meta)
        made._deepcopy_hooks = list(self._deepcopy_hooks)
        for hook in self._deepcopy_hooks:
            hook(made)
        return made

    def __copy__(self) -> GraphModule:
        made = GraphModule(self, self.graph)
        made.meta = self.meta
        return made

    # ---- watching changes to the graph

    def _register_create_node_hook(self, f: Callable[[Node], object]) -> None:
        self._create_node_hooks.append(f)

    def _unregister_create_node_hook(self, f: Callable[[Node], object]) -> None:
        self._create_node_hooks.remove(f)

    def _register_erase_node_hook(self, f: Callable[[Node], object]) -> None:
        self._erase_node_hooks.append(f)

    def _unregister_erase_node_hook(self, f: Callable[[Node], object]) -> None:
        self._erase_node_hooks.remove(f)

    def _register_replace_node_hook(self, f: Callable[[Node, str, Node], object]) -> None:
        self._replace_hooks.append(f)

    def _unregister_replace_node_hook(self, f: Callable[[Node, str, Node], object]) -> None:
        self._replace_hooks.remove(f)

    def _register_deepcopy_hook(self, f: Callable[[GraphModule], object]) -> None:
        self._deepcopy_hooks.append(f)

    def _unregister_deepcopy_hook(self, f: Callable[[GraphModule], object]) -> None:
        self._deepcopy_hooks.remove(f)

    @contextlib.contextmanager
    def _set_replace_hook(self, f: Callable[[Node, str, Node], object]) -> Iterator[None]:
        self._register_replace_node_hook(f)
        try:
            yield
        finally:
            self._unregister_replace_node_hook(f)


# What a copy of a graph module makes anew instead of copying.
_OWN = frozenset(
    {"_graph", "_code", "_lineno_map", "_create_node_hooks", "_erase_node_hooks", "_replace_hooks", "_deepcopy_hooks"}
)


class _CodeOnlyModule(torch.nn.Module):
    """The attributes of a module without its program."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__()
        self.__dict__ = body


_PLAIN = frozenset(
    """
    Linear Conv1d Conv2d Conv3d ReLU Dropout Dropout1d Dropout2d Dropout3d BatchNorm1d BatchNorm2d BatchNorm3d
    """.split()
)


def _constructor(module: torch.nn.Module) -> str | None:
    """The expression that makes a module anew, if its text is one."""
    return (
        f"{type(module).__name__}{repr(module)[len(type(module).__name__) :]}"
        if type(module).__name__ in _PLAIN
        else None
    )


def _import_block(globals: dict[str, Any]) -> str:
    """The lines that bring back what generated code refers to."""
    lines = []
    for name, obj in globals.items():
        if name in _custom_builtins:
            lines.append(_custom_builtins[name].import_str)
            continue
        module = getattr(obj, "__module__", None)
        own = getattr(obj, "__qualname__", getattr(obj, "__name__", None))
        owner = getattr(obj, "__objclass__", None)
        if owner is not None or module == "torch._C.TensorBase":
            home = "torch.Tensor" if owner is None or owner.__module__.startswith("torch") else owner.__qualname__
            lines.append(f"import torch\n{name} = {home}.{obj.__name__}")
        elif module == "builtins" or module is None:
            lines.append(f"import builtins\n{name} = builtins.{own}" if own else f"{name} = {obj!r}")
        elif module == "typing" and getattr(obj, "_name", None):
            lines.append(f"from typing import {obj._name} as {name}")
        elif own is None or "." in own:
            lines.append(f"import {module}\n{name} = {module}.{own}")
        else:
            lines.append(f"from {module} import {own} as {name}")
    return "\n".join(lines)


def reduce_graph_module(body: dict[str, Any], import_block: str) -> torch.nn.Module:
    """The graph module that was pickled: its code runs again, symbolically, to give the graph."""
    space: dict[str, Any] = {}
    body = dict(body)
    forward = _forward_from_src(import_block + body["_code"], space)
    return _deserialize_graph_module(forward, body)


def _deserialize_graph_module(
    forward: Callable[..., Any], body: dict[str, Any], graph_module_cls: type | None = None
) -> torch.nn.Module:
    from ._symbolic_trace import Tracer

    body = dict(body)
    name = body.pop("_graphmodule_cls_name", "GraphModule")
    tracer_cls = body.get("_tracer_cls") or Tracer
    codegen_in, codegen_out = body.get("_in_spec"), body.get("_out_spec")
    holder = _CodeOnlyModule(body)
    _CodeOnlyModule.forward = forward  # type: ignore[method-assign]

    class _KeepModules(tracer_cls):  # type: ignore[misc, valid-type]
        def is_leaf_module(self, m: torch.nn.Module, module_qualified_name: str) -> bool:
            return True

    try:
        if codegen_in is not None:
            graph = _retrace_nested(_KeepModules(), holder, forward, codegen_in, codegen_out)
        else:
            graph = _KeepModules(**(body.get("_tracer_extras") or {})).trace(holder)
    finally:
        del _CodeOnlyModule.forward
    graph._tracer_cls = tracer_cls
    made = (graph_module_cls or GraphModule)(holder, graph, name)
    for key, value in body.items():
        if not hasattr(made, key):
            setattr(made, key, value)
    return made  # type: ignore[no-any-return]


def _retrace_nested(tracer: Any, holder: Any, forward: Any, in_spec: Any, out_spec: Any) -> Graph:
    """Trace generated code that takes nested arguments apart."""
    import inspect

    from ._symbolic_trace import PH

    names = [n for n in inspect.signature(forward).parameters if n != "self"]
    values = torch.utils._pytree.tree_unflatten([PH] * in_spec.num_leaves, in_spec)
    if len(values) == 2 and isinstance(values[0], tuple) and isinstance(values[1], dict):
        values = (*values[0], *values[1].values())
    graph: Graph = tracer.trace(holder, dict(zip(names, values, strict=True)))
    graph.set_codegen(_PyTreeCodeGen(_PyTreeInfo(names, in_spec, out_spec)))
    return graph
