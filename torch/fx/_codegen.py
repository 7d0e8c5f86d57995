"""Python code from a graph: one line for each node."""

from __future__ import annotations

import contextlib
import enum
import re
import types
import typing
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch.utils import _pytree as pytree

from . import _calls
from ._names import _custom_builtins, _Namespace
from .node import Node, _get_qualified_name, _type_repr, map_arg

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

_OPERATORS = "add + sub - mul * floordiv // truediv / div / mod % pow ** lshift << rshift >> and_ & or_ | xor ^".split()

reflectable_magic_methods = {
    **{name: f"{{}} {sign} {{}}" for name, sign in zip(_OPERATORS[::2], _OPERATORS[1::2], strict=True)},
    "getitem": "{}[{}]",
    "matmul": "{} @ {}",
}
magic_methods = {
    **{
        name: f"{{}} {sign} {{}}"
        for name, sign in (("eq", "=="), ("ne", "!="), ("lt", "<"), ("gt", ">"), ("le", "<="), ("ge", ">="))
    },
    "pos": "+{}",
    "neg": "-{}",
    "invert": "~{}",
    **reflectable_magic_methods,
}
_IN_PLACE = (
    "iadd + iand & ifloordiv // ilshift << imod % imul * imatmul @ ior | ipow ** irshift >> isub - itruediv / ixor ^"
)
inplace_methods = {
    **{name: f"{{}} {sign}= {{}}" for name, sign in zip(_IN_PLACE.split()[::2], _IN_PLACE.split()[1::2], strict=True)},
    "setitem": "{}[{}] = {}",
}

_ABBREVIATIONS = """
    bfloat16 bf16 float64 f64 float32 f32 float16 f16 float8_e4m3fn f8e4m3fn float8_e5m2 f8e5m2 float8_e4m3fnuz
    f8e4m3fnuz float8_e5m2fnuz f8e5m2fnuz float8_e8m0fnu f8e8m0fnu float4_e2m1fn_x2 f4e2m1fnx2 complex32 c32 complex64
    c64 complex128 c128 int8 i8 int16 i16 int32 i32 int64 i64 bool b8 uint8 u8 uint16 u16 uint32 u32 uint64 u64
    bits16 b16x1 bits8 b8x1 bits1x8 b1x8 bits2x4 b2x4 bits4x2 b4x2
""".split()
dtype_abbrs = {
    getattr(torch, name): short
    for name, short in zip(_ABBREVIATIONS[::2], _ABBREVIATIONS[1::2], strict=True)
    if hasattr(torch, name)
}


@dataclass
class PythonCode:
    """Generated source, the globals that it needs, and which node each of its lines comes from."""

    src: str
    globals: dict[str, Any]
    _lineno_map: dict[int, int | None] | None = field(default=None)
    _prologue_start: int = 0


class _PyTreeInfo(NamedTuple):
    """How the arguments and the result of generated code are nested."""

    orig_args: list[str]
    in_spec: pytree.TreeSpec
    out_spec: pytree.TreeSpec | None


@dataclass(frozen=True)
class _ParsedStackTrace:
    """The innermost place that a stack trace names."""

    file: str
    lineno: str
    name: str
    code: str

    def get_summary_str(self) -> str:
        return f"File: {self.file}:{self.lineno} in {self.name}, code: {self.code}"


_FRAME = re.compile(r'^File "(.+)", line (\d+), in (.+)$')


def _parse_stack_trace(
    stack_trace: str, filter_fn: Callable[[str, str, str], bool] | None = None
) -> _ParsedStackTrace | None:
    if stack_trace is None:
        return None
    lines = stack_trace.strip().split("\n")
    for index in range(len(lines) - 2, -1, -1):
        match = _FRAME.match(lines[index].strip())
        if match and (filter_fn is None or filter_fn(match[1], match[3], lines[index + 1].strip())):
            return _ParsedStackTrace(match[1], match[2], match[3], lines[index + 1].strip())
    return None


def _format_target(base: str, target: str) -> str:
    """The expression for an attribute: names that Python does not take become ``getattr``."""
    for part in target.split("."):
        base = f"{base}.{part}" if part.isidentifier() else f'getattr({base}, "{part}")'
    return base


def _last_uses(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """For each node, those that nobody needs after it."""
    found: dict[Node, list[Node]] = {}
    seen: set[Node] = set()

    def visit(node: Node, user: Node) -> None:
        if node not in seen:
            seen.add(node)
            found.setdefault(user, []).append(node)

    for node in reversed(list(nodes)):
        map_arg(node.args, lambda n, user=node: visit(n, user))  # type: ignore[misc]
        map_arg(node.kwargs, lambda n, user=node: visit(n, user))  # type: ignore[misc]
    return found


def _shape_text(shape: Iterable[Any]) -> str:
    return ", ".join(str(s) for s in shape)


def _value_text(value: Any, strides: bool, device: bool) -> str:
    """What the code of a graph says about a result: ``f32[2, 3]``."""
    if isinstance(value, (list, tuple)) and not hasattr(value, "dtype"):
        return ""
    if isinstance(value, (torch.SymInt, torch.SymBool, torch.SymFloat)):
        return f'"Sym({value})"'
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is None or shape is None:
        return ""
    text = f"{dtype_abbrs[dtype]}[{_shape_text(shape)}]"
    if strides:
        steps = value.stride() if callable(value.stride) else value.stride
        text += f"[{_shape_text(steps)}]"
    if device and hasattr(value, "device"):
        text += f"{value.device}"
    return f'"{text}"'


class _Writer:
    """The state of writing one function."""

    def __init__(self, codegen: CodeGen, root: str, namespace: _Namespace, options: dict[str, Any]) -> None:
        self.codegen, self.root, self.namespace, self.options = codegen, root, namespace, options
        self.globals: dict[str, Any] = {}
        self.wrapped: dict[str, None] = {}
        self.inputs: list[str] = []
        self.body: list[str] = []
        self.result = ""
        self.trace: str | None = None
        for name, (_, obj) in _custom_builtins.items():
            self.add_global(name, obj)
        for name, obj in codegen.additional_globals():
            self.add_global(name, obj)

    def add_global(self, hint: str, obj: Any) -> str:
        if _calls.is_path(obj) and obj is not torch.device:
            return _get_qualified_name(obj)
        name = self.namespace.create_name(hint.replace(".", "_"), _Key(obj))
        self.globals.setdefault(name, obj)
        return name

    def type_text(self, t: Any) -> str:
        """A type annotation; what it names becomes a global."""
        if t == ():
            return "()"
        origin = typing.get_origin(t)
        if origin is None or isinstance(t, str):
            if t is torch.Tensor:
                return "torch.Tensor"
            return self.add_global(_type_repr(t), t)
        arguments = [self.type_text(a) for a in typing.get_args(t)]
        if isinstance(t, types.UnionType) or origin is typing.Union:
            head = self.add_global("typing_Union", typing.Union)
        elif type(t).__module__ == "typing":
            public = getattr(typing, t._name, origin) if getattr(t, "_name", None) else origin
            head = self.add_global(f"typing_{t._name}" if public is not origin else _type_repr(origin), public)
        else:
            head = self.add_global(_type_repr(origin), origin)
        return f"{head}[{','.join(arguments)}]"

    def value(self, arg: Any) -> str:
        """The expression for an argument."""
        if isinstance(arg, Node):
            return repr(arg)
        if isinstance(arg, tuple):
            if hasattr(arg, "_fields"):
                name = self.add_global(_get_qualified_name(type(arg)), type(arg))
                return f"{name}({', '.join(self.value(a) for a in arg)})"
            if type(arg) is torch.Size:
                arg = tuple(arg)
            inner = ", ".join(self.value(a) for a in arg)
            return f"({inner},)" if len(arg) == 1 else f"({inner})"
        if isinstance(arg, list):
            return f"[{', '.join(self.value(a) for a in arg)}]"
        if isinstance(arg, dict):
            return "{" + ", ".join(f"{k!r}: {self.value(v)}" for k, v in arg.items()) + "}"
        if isinstance(arg, slice):
            return f"slice({self.value(arg.start)}, {self.value(arg.stop)}, {self.value(arg.step)})"
        if isinstance(arg, (torch._ops.OpOverload, torch._ops.OpOverloadPacket, torch._ops.HigherOrderOperator)):
            return _get_qualified_name(arg)
        if isinstance(arg, enum.Enum):
            kind = type(arg)
            return f"{self.add_global(kind.__name__, kind)}.{arg.name}"
        if isinstance(arg, torch.Tensor):
            size = list(arg.size())
            return f"Tensor(size={size}, dtype={arg.dtype})"
        return repr(arg)

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        return ", ".join([*(self.value(a) for a in args), *(f"{k} = {self.value(v)}" for k, v in kwargs.items())])

    def annotation(self, node: Node) -> str:
        text = "" if node.type is None else f" : {self.type_text(node.type)}"
        if self.options["verbose"]:
            meta = node.meta
            value = meta.get("val", meta.get("example_value", meta.get("tensor_meta")))
            shown = _value_text(value, self.options["include_stride"], self.options["include_device"])
            if shown:
                text = f": {shown}"
        return text

    def emit(self, node: Node) -> None:
        kind = self.annotation(node)
        if node.op == "placeholder":
            default = f" = {self.value(node.args[0])}" if node.args else ""
            self.inputs.append(f"{node.target}{kind}{default}")
            raw = str(node.target).replace("*", "")
            if raw != repr(node):
                self.body.append(f"{node!r} = {raw}\n")
            return
        if node.op == "output":
            if node.type is not None:
                self.result = f" -> {self.type_text(node.type)}"
            self.body.append(self.codegen._output_text(node, self) + "\n")
            return
        self.body.append(self.line(node, kind))

    def line(self, node: Node, kind: str) -> str:
        target = node.target
        if node.op == "call_method":
            called = _format_target(self.value(node.args[0]), target)
            return f"{node!r}{kind} = {called}({self.arguments(node.args[1:], node.kwargs)})"
        if node.op == "call_module":
            return f"{node!r}{kind} = {_format_target(self.root, target)}({self.arguments(node.args, node.kwargs)})"
        if node.op == "get_attr":
            return f"{node!r}{kind} = {_format_target(self.root, target)}"
        name = target.__name__
        if getattr(target, "__module__", None) == "_operator":
            if name in magic_methods:
                return f"{node!r}{kind} = {magic_methods[name].format(*map(self.value, node.args))}"
            if name in inplace_methods:
                write = inplace_methods[name].format(*map(self.value, node.args))
                return f"{write};  {node!r}{kind} = {self.value(node.args[0])}"
        path = _get_qualified_name(target)
        called = self.add_global(f"_{path}" if path.startswith("operator.") else path, target)
        if (
            called == "getattr"
            and len(node.args) == 2
            and isinstance(node.args[1], str)
            and node.args[1].isidentifier()
        ):
            return f"{node!r}{kind} = {_format_target(self.value(node.args[0]), node.args[1])}"
        if node.meta.get("is_wrapped", False):
            self.wrapped.setdefault(called)
        return f"{node!r}{kind} = {called}({self.arguments(node.args, node.kwargs)})"

    def comment(self, node: Node) -> None:
        """Say, before a node, where in the program it stands."""
        if node.op in ("placeholder", "output"):
            return
        trace = node.stack_trace
        if trace:
            if trace != self.trace:
                self.trace = trace
                place = _parse_stack_trace(trace)
                blank = "\n" if any(self.body) else ""
                self.body.append(f"{blank}# {place.get_summary_str() if place else ''}\n")
        elif self.trace != "":
            self.trace = ""
            self.body.append("# No stacktrace found for following nodes\n")


class _Key:
    """An object as the key of a dictionary: by equality where it can be hashed, else by identity."""

    def __init__(self, obj: Any) -> None:
        self.obj = obj
        try:
            self.hash = hash(obj)
        except TypeError:
            self.hash = id(obj)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and (
            self.obj is other.obj or type(self.obj) is type(other.obj) and self._same(other)
        )

    def _same(self, other: _Key) -> bool:
        try:
            return bool(self.obj == other.obj)
        except Exception:
            return False


class CodeGen:
    """Writes the function of a graph. Subclasses change its head, its results, or what it is called with."""

    def __init__(self) -> None:
        self._body_transformer: Callable[[list[str]], list[str]] | None = None
        self._func_name = "forward"

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str, *, expanded_def: bool = False) -> str:
        """The line that starts the function. ``free_vars`` are its parameters; ``self`` is put before them."""
        if not free_vars or free_vars[0] != "self":
            free_vars.insert(0, "self")
        parameters = self._format_multiline_args(free_vars) if expanded_def else ", ".join(free_vars)
        return f"def {self._func_name}({parameters}){maybe_return_annotation}:"

    def generate_output(
        self, output_args: Any, *, descs: Sequence[str] | None = None, repr_fn: Callable[[object], str] | None = None
    ) -> str:
        """The line that returns the result."""
        return f"return {repr_fn(output_args) if repr_fn is not None else repr(output_args)}"

    def _output_text(self, node: Node, writer: _Writer) -> str:
        method = self.generate_output
        if getattr(method, "__func__", None) in (CodeGen.generate_output, _PyTreeCodeGen.generate_output):
            return method(node.args[0], repr_fn=writer.value)
        return method(node.args[0])

    def process_inputs(self, *args: Any) -> Any:
        """The arguments that the graph's inputs get when the function is called with ``args``."""
        return args

    def process_outputs(self, outputs: Any) -> Any:
        """What the function returns for the graph's result."""
        return outputs

    def additional_globals(self) -> list[tuple[str, Any]]:
        """Further names that the code uses, and what they are."""
        return []

    def _format_multiline_args(self, args: list[str]) -> str:
        return "\n" + "".join(f"    {a},\n" for a in args)

    def _gen_python_code(
        self,
        nodes: Iterable[Node],
        root_module: str,
        namespace: _Namespace,
        *,
        verbose: bool = False,
        include_stride: bool = False,
        include_device: bool = False,
        colored: bool = False,
        expanded_def: bool = False,
        record_func: bool = False,
        additional_meta: list[str] | None = None,
    ) -> PythonCode:
        nodes = list(nodes)
        options = {"verbose": verbose, "include_stride": include_stride, "include_device": include_device}
        writer = _Writer(self, root_module, namespace, options)
        last_uses = _last_uses(nodes)
        lines_of: list[int | None] = []
        for number, node in enumerate(nodes):
            if verbose:
                writer.comment(node)
            before = len(writer.body)
            writer.emit(node)
            if node.op not in ("placeholder", "output"):
                done = last_uses.get(node, [])
                if not node.users:
                    done = [*done, node]
                freed = " = ".join([*(repr(n) for n in done), "None"]) if done else ""
                extra = "".join(f"  # {key}: {node.meta[key]}" for key in additional_meta or () if key in node.meta)
                writer.body.append((f";  {freed}" if freed else "") + extra + "\n")
            lines_of += [number] * (len(writer.body) - before)
        body = writer.body if writer.body or writer.inputs else ["pass\n"]
        if self._body_transformer is not None:
            body = self._body_transformer(body)
        for name, value in self.additional_globals():
            writer.add_global(name, value)
        head = self._head(writer, expanded_def)
        text = "".join(body)
        code = "\n".join("    " + line for line in text.split("\n"))
        wrapped = "\n".join(f'torch.fx._symbolic_trace.wrap("{name}")' for name in writer.wrapped)
        source = f"\n{wrapped}\n\n{head}\n{code}"
        start = source.count("\n", 0, len(source) - len(code)) + 1
        return PythonCode(source, writer.globals, _line_map(nodes, text, start), start - head.count("\n") - 1)

    def _head(self, writer: _Writer, expanded_def: bool) -> str:
        if not expanded_def:
            return self.gen_fn_def(writer.inputs, writer.result)
        return self.gen_fn_def(writer.inputs, writer.result, expanded_def=True)


def _line_map(nodes: list[Node], text: str, start: int) -> dict[int, int | None]:
    """Line of the source to number of the node that it assigns."""
    numbers = {repr(node): i for i, node in enumerate(nodes) if node.op not in ("placeholder", "output")}
    found: dict[int, int | None] = {}
    for offset, line in enumerate(text.split("\n")):
        name = re.match(r"\s*(?:.*;  )?(\w+)(?:\s*:[^=]*)? = ", line)
        found[start + offset] = numbers.get(name[1]) if name else None
    return found


class _BoxedCodeGen(CodeGen):
    """The function takes one list of arguments and empties it, so that the caller need not keep them."""

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str, *, expanded_def: bool = False) -> str:
        names = [v.partition(":")[0].partition("=")[0].strip() for v in free_vars if v != "self"]
        head = f"def {self._func_name}(self, args_list){maybe_return_annotation}:"
        if names:
            head += f"\n    {', '.join(names)}, = args_list"
        return head + "\n    args_list.clear()"


class _PyTreeCodeGen(CodeGen):
    """The function takes and returns nested values; the graph has their leaves."""

    def __init__(self, pytree_info: _PyTreeInfo) -> None:
        super().__init__()
        self.pytree_info = pytree_info

    def process_inputs(self, *inputs: Any) -> Any:
        return pytree.arg_tree_leaves(*inputs)

    def process_outputs(self, out: Any) -> Any:
        if self.pytree_info.out_spec is None:
            return out
        if not isinstance(out, (list, tuple)):
            out = [out]
        return pytree.tree_unflatten(list(out), self.pytree_info.out_spec)

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str, *, expanded_def: bool = False) -> str:
        if self.pytree_info is None:
            return super().gen_fn_def(free_vars, maybe_return_annotation, expanded_def=expanded_def)
        names = list(self.pytree_info.orig_args)
        if not names or names[0] != "self":
            names.insert(0, "self")
        head = super().gen_fn_def(names, maybe_return_annotation, expanded_def=expanded_def)
        if free_vars:
            head += self.gen_var_bindings(names, free_vars, expanded_def)
        return head

    def gen_var_bindings(self, fn_args: list[str], free_vars: list[str], expanded_def: bool) -> str:
        """The lines that take the arguments apart."""
        leaves = [v.partition(":")[0].partition("=")[0].strip() for v in free_vars]
        plain = [v.partition(":")[0].partition("=")[0].strip() for v in fn_args if v != "self"]
        spec = self.pytree_info.in_spec
        if spec.type is tuple and spec.num_children == 2 and spec.child(0).type is tuple and spec.child(1).type is dict:
            count = spec.child(0).num_children
            names = list(spec.child(1).context)
            given = ", ".join(f"'{key}':{name}" for key, name in zip(names, plain[count:], strict=False))
            values = f"([{', '.join(plain[:count])}], {{{given}}})"
        else:
            values = f"[{', '.join(plain)}]"
        return f"\n    {', '.join(leaves)}, = fx_pytree.tree_flatten_spec({values}, self._in_spec)"

    def generate_output(
        self, output_args: Any, *, descs: Sequence[str] | None = None, repr_fn: Callable[[object], str] | None = None
    ) -> str:
        write = repr_fn or repr
        if self.pytree_info is not None and self.pytree_info.out_spec is not None:
            results = output_args if isinstance(output_args, (list, tuple)) else [output_args]
            return f"return pytree.tree_unflatten({write(results)}, self._out_spec)"
        return f"return {write(output_args)}"


@contextlib.contextmanager
def _own_transformer(codegen: CodeGen, transformer: Any) -> Iterator[None]:
    before = codegen._body_transformer
    codegen._body_transformer = transformer
    try:
        yield
    finally:
        codegen._body_transformer = before
