"""Exporting: a module runs once with fake tensors, and what it does becomes an ``ExportedProgram``."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import inspect
import operator
import re
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental._expressions import Expr, Symbol
from torch.fx.experimental._function_trace import set_sizes
from torch.fx.experimental._program_trace import ProgramTracer
from torch.fx.experimental._trace_helpers import user_stack
from torch.fx.experimental.symbolic_shapes import ConstraintViolationError, ShapeEnv, ValueRanges, int_oo
from torch.fx.node import Node
from torch.utils import _pytree as pytree

from . import _gradient_regions, _guards
from ._errors import UserError, UserErrorType
from .dynamic_shapes import (
    AdditionalInputs,
    Dim,
    ShapesCollection,
    _DerivedDim,
    _DimHint,
    _DimHintType,
    combine_args,
    specifications,
)
from .exported_program import ExportedProgram, ModuleCallEntry, ModuleCallSignature, output_argument
from .graph_signature import (
    ConstantArgument,
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    SymIntArgument,
    TensorArgument,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["export_module"]

_HINT = (
    "\n\nThe error above occurred when calling torch.export.export. If you would like to view some more information "
    "about this error, and get a list of all other errors that may occur in your export call, you can replace your "
    "`export()` call with `draft_export()`."
)
_exporting = [0]


def is_exporting() -> bool:
    """Whether a module is being exported."""
    return _exporting[0] > 0


def export_module(
    mod: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None, dynamic_shapes: Any
) -> ExportedProgram:
    """``torch.export.export`` after its arguments were checked."""
    if not isinstance(args, tuple):
        raise UserError(
            UserErrorType.INVALID_INPUT,
            f"Expecting `args` to be a tuple of example positional inputs, got {type(args)}" + _HINT,
        )
    kwargs = dict(kwargs or {})
    if isinstance(dynamic_shapes, (ShapesCollection, AdditionalInputs)):
        dynamic_shapes = dynamic_shapes.dynamic_shapes(mod, args, kwargs)
    return _Export(mod, args, kwargs, dynamic_shapes).run()


class _Export:
    """The export of one module."""

    def __init__(self, mod: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], shapes: Any) -> None:
        self.mod, self.args, self.kwargs = mod, args, kwargs
        self.env = ShapeEnv()
        self.fake_mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.tracer = ProgramTracer(
            self.env, self.fake_mode, whole=True, constant=self.constant, describe=self.describe
        )
        self.tracer.states_metadata = True
        self.combined = combine_args(mod, args, kwargs)
        self.specs = specifications(list(self.combined), self.combined, shapes)
        self.input_specs: list[InputSpec] = []
        self.constants: dict[str, Any] = {}
        self.module_stack: collections.OrderedDict[str, tuple[str, str]] = collections.OrderedDict()
        self.called: list[str] = []
        self.first_user_input: Node | None = None
        self.named: dict[Symbol, Dim] = {}
        self.hinted: dict[Symbol, tuple[str, _DimHint]] = {}
        self.sources: dict[Symbol, str] = {}
        self.symbols_of_dims: dict[str, Symbol] = {}

    def run(self) -> ExportedProgram:
        paths = self._place_state()
        self._place_inputs()
        with self._traced_module(paths), self.tracer.running():
            _exporting[0] += 1
            try:
                result = self.mod(*self.fake_args, **self.fake_kwargs)
            finally:
                _exporting[0] -= 1
        self._check_constraints()
        self.tracer.assertions()
        return self._program(result)

    # ---- parameters, buffers and constants

    def _place_state(self) -> dict[str, FakeTensor]:
        """Inputs for all parameters and buffers; the fake tensors by path."""
        found: dict[str, FakeTensor] = {}
        self.real: dict[str, torch.Tensor] = {}
        self.transient = {
            f"{prefix}.{name}" if prefix else name
            for prefix, module in self.mod.named_modules()
            for name in module._non_persistent_buffers_set
        }
        for kind, named in (
            (InputKind.PARAMETER, self.mod.named_parameters(remove_duplicate=False)),
            (InputKind.BUFFER, self.mod.named_buffers(remove_duplicate=False)),
        ):
            for path, tensor in named:
                name = ("p_" if kind is InputKind.PARAMETER else "b_") + re.sub(r"[^a-zA-Z0-9]", "_", path)
                node = self.tracer.graph.placeholder(name.lower())
                fake = self.fake_mode.from_tensor(tensor)
                self.tracer.bind(fake, node)
                found[path], self.real[path] = fake, tensor
                persistent = None if kind is InputKind.PARAMETER else path not in self.transient
                self.input_specs.append(InputSpec(kind, TensorArgument(node.name), path, persistent))
        return found

    def constant(self, tensor: torch.Tensor) -> Node:
        """The input that stands for a tensor that the program took from elsewhere."""
        path = next((p for p, t in _plain_tensors(self.mod) if t is tensor), None)
        if path is None:
            path = f"lifted_tensor_{sum(n.startswith('lifted_tensor_') for n in self.constants)}"
        graph = self.tracer.graph
        name = f"c_{re.sub(r'[^a-zA-Z0-9]', '_', path)}".lower()
        if self.first_user_input is not None:
            with graph.inserting_before(self.first_user_input):
                node = graph.placeholder(name)
        else:
            node = graph.placeholder(name)
        self.constants[path] = tensor
        at = next((i for i, s in enumerate(self.input_specs) if s.kind is InputKind.USER_INPUT), len(self.input_specs))
        self.input_specs.insert(at, InputSpec(InputKind.CONSTANT_TENSOR, TensorArgument(node.name), path))
        node.meta["val"] = self.fake_mode.from_tensor(tensor)
        if not path.startswith("lifted_tensor_"):
            return node
        # The program makes the tensor each time it runs, and may write to it.
        copy = graph.call_function(torch.ops.aten.lift_fresh_copy.default, (node,), name="lift_fresh_copy")
        copy.meta["val"] = node.meta["val"]
        self.describe(copy)
        return copy

    # ---- inputs

    def _place_inputs(self) -> None:
        leaves, spec = pytree.tree_flatten(self.combined)
        with_paths = pytree.tree_flatten_with_path(self.combined)[0]
        self.names = [_source(path) for path, _ in with_paths]
        fakes = []
        if len(self.specs) != len(leaves):
            raise UserError(UserErrorType.INVALID_INPUT, "`dynamic_shapes` does not have the structure of the inputs")
        for (path, leaf), wanted, source in zip(with_paths, self.specs, self.names, strict=True):
            name = _input_name(path)
            node = self.tracer.graph._create_named("placeholder", name, (), {}, name)
            if self.first_user_input is None:
                self.first_user_input = node
            fakes.append(self._input(node, leaf, wanted, source))
        self.leaves = fakes
        by_name = pytree.tree_unflatten(fakes, spec)
        signature = inspect.signature(self.mod.forward).parameters
        positional = [name for name in by_name if name not in self.kwargs]
        self.fake_args: list[Any] = []
        for name in positional:
            kind = signature[name].kind if name in signature else None
            self.fake_args.extend(by_name[name] if kind is inspect.Parameter.VAR_POSITIONAL else [by_name[name]])
        self.fake_kwargs = {name: by_name[name] for name in by_name if name not in positional}

    def _input(self, node: Node, leaf: Any, wanted: Any, source: str) -> Any:
        if not isinstance(leaf, torch.Tensor):
            if isinstance(wanted, _DimHint) and type(leaf) is int:
                return self._open_number(node, leaf, source)
            self.input_specs.append(InputSpec(InputKind.USER_INPUT, ConstantArgument(node.name, leaf), None))
            node.meta["val"] = leaf
            return leaf
        self.input_specs.append(InputSpec(InputKind.USER_INPUT, TensorArgument(node.name), None))
        fake = self.fake_mode.from_tensor(leaf)
        sizes: list[Any] = list(fake.shape)
        for dim, spec in (wanted or {}).items():
            sizes[dim] = self._size(node, dim, sizes[dim], spec, f"L['{source}'].size()[{dim}]")
        set_sizes(self.tracer, fake, sizes)
        self.tracer.bind(fake, node)
        return fake

    def _open_number(self, node: Node, value: int, source: str) -> Any:
        made = self.env.create_symint(value, self._symbol_name(f"L[{source!r}]"))
        (symbol,) = made.node.expr.symbols
        self.tracer.sizes[Expr.of(symbol)] = node
        node.meta["val"] = made
        self.sources[symbol] = source
        self.input_specs.append(InputSpec(InputKind.USER_INPUT, SymIntArgument(node.name), None))
        return made

    def _size(self, node: Node, dim: int, size: int, spec: Any, source: str) -> Any:
        """A size of an input as it was specified: a number, or symbolic."""
        if isinstance(spec, int):
            if spec != size:
                raise ConstraintViolationError(
                    f"Static shape constraint of {spec} does not match input size of {size}, for {source}" + _HINT
                )
            return size
        if isinstance(spec, _DimHint):
            if spec.type is _DimHintType.STATIC or (spec.type is _DimHintType.AUTO and size in (0, 1)):
                return size
            made = self._symbol(node, dim, size, spec.min or 0, int_oo if spec.max is None else spec.max, source)
            (symbol,) = made.node.expr.symbols
            self.hinted[symbol] = (source, spec)
            if size in (0, 1):
                self.env.specialise(Expr.of(symbol))
            return made
        if not isinstance(spec, Dim):
            raise UserError(UserErrorType.INVALID_INPUT, f"Unexpected dynamic shape specification {spec!r}")
        if not spec.min <= size <= spec.max:
            raise ConstraintViolationError(f"{size} not in range [{spec.min}, {spec.max}]" + _HINT)
        return self._named_size(node, dim, size, spec, source)

    def _named_size(self, node: Node, dim: int, size: int, spec: Dim, source: str) -> Any:
        root, factor, offset = spec, 1, 0
        if isinstance(spec, _DerivedDim):
            root, factor, offset = spec.root, spec.factor, spec.offset
        known = self.symbols_of_dims.get(root.__name__)
        if known is not None:
            expected = self.env.var_to_val[known] * factor + offset
            if expected != size:
                raise UserError(
                    UserErrorType.CONSTRAINT_VIOLATION,
                    f"{source} = {size} is not equal to {self.sources[known]} = {self.env.var_to_val[known]}" + _HINT,
                )
            made = self.env.symint(Expr.of(known) * factor + offset)
            if factor == 1 and offset == 0:
                self.tracer.size_sources[known] = (node, dim, self.tracer.size_sources[known][2] + 1)
            return made
        if (size - offset) % factor:
            raise UserError(
                UserErrorType.CONSTRAINT_VIOLATION, f"{source} = {size} is not of the form {spec!r}" + _HINT
            )
        made = self._symbol(node, dim, (size - offset) // factor, root.min, root.max, source)
        (symbol,) = made.node.expr.symbols
        self.named[symbol], self.symbols_of_dims[root.__name__] = root, symbol
        if size in (0, 1) and factor == 1:
            self.env.specialise(Expr.of(symbol))
        return self.env.symint(Expr.of(symbol) * factor + offset)

    def _symbol_name(self, source: str) -> str:
        """A symbol's name follows from its place, so that it is the same in every run, and the one of PyTorch."""
        number = int(hashlib.sha256(source.encode()).hexdigest(), 16) % 100
        used = {s.name for s in self.env.var_to_val}
        while f"s{number}" in used:
            number += 1
        return f"s{number}"

    def _symbol(self, node: Node, dim: int, value: int, lower: Any, upper: Any, source: str) -> Any:
        made = self.env.create_symint(value, self._symbol_name(_place_of(source)), lower, upper)
        (symbol,) = made.node.expr.symbols
        number = len(self.tracer.size_sources) + 1
        self.tracer.size_sources[symbol] = (node, dim, number)
        self.sources[symbol] = source
        return made

    # ---- running

    @contextlib.contextmanager
    def _traced_module(self, paths: dict[str, FakeTensor]) -> Iterator[None]:
        """Inside, parameters and buffers are the fake ones, and calls of submodules are noted."""
        saved = []
        modules = {id(m): name for name, m in self.mod.named_modules()}
        for prefix, module in self.mod.named_modules():
            for table in (module._parameters, module._buffers):
                for name, value in list(table.items()):
                    path = f"{prefix}.{name}" if prefix else name
                    if value is not None:
                        saved.append((table, name, value))
                        table[name] = paths[path]
        plain_call = torch.nn.Module.__call__

        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            path = modules.get(id(module))
            if path is None:
                return plain_call(module, *args, **kwargs)
            key = f"L__self__{path.replace('.', '_')}"
            if path and path not in self.called:
                self.called.append(path)
            before = self.module_stack.copy()
            kind = type(module)
            self.module_stack[key] = (path, f"{kind.__module__}.{kind.__qualname__}")
            try:
                return plain_call(module, *args, **kwargs)
            finally:
                self.module_stack = before

        torch.nn.Module.__call__ = call  # type: ignore[method-assign]
        try:
            yield
        finally:
            torch.nn.Module.__call__ = plain_call  # type: ignore[method-assign]
            for table, name, value in saved:
                table[name] = value

    def describe(self, node: Node) -> None:
        """Note which modules and which line of the program a node comes from."""
        node.meta["nn_module_stack"] = dict(self.module_stack)
        stack = user_stack()
        if stack:
            node.meta["stack_trace"] = stack

    # ---- results

    def _check_constraints(self) -> None:
        """Compare what the program requires of its sizes with what was declared."""
        problems, fixes, about = [], [], []
        for symbol, known in self.env.var_to_range.items():
            now = self.env.simplify(Expr.of(symbol))
            declared = self.named.get(symbol)
            hint = self.hinted.get(symbol)
            label = declared.__name__ if declared is not None else self.sources.get(symbol, symbol.name)
            if declared is None and (hint is None or hint[1].type is not _DimHintType.DYNAMIC):
                continue
            if now.constant is not None:
                problems.append(
                    f"  - You marked {label} as dynamic but your code specialized it to be a constant "
                    f"({now.constant}). If you're using mark_dynamic, either remove it or use maybe_mark_dynamic. "
                    "If you're using Dim.DYNAMIC, replace it with either Dim.STATIC or Dim.AUTO."
                )
                fixes += [f"  {label} = {now.constant}"] if declared is not None else []
                about.append(label)
            elif declared is not None:
                self._compare(symbol, declared, known, now, problems, fixes, about)
        if problems:
            text = f"Constraints violated ({', '.join(dict.fromkeys(about))})! For more information, run with " + (
                'TORCH_LOGS="+dynamic".\n' + "\n".join(problems)
            )
            suggestion = "\nSuggested fixes:\n" + "\n".join(fixes) + "\n" if fixes else "\n"
            raise UserError(UserErrorType.CONSTRAINT_VIOLATION, text + suggestion + _HINT[1:])

    def _compare(self, symbol: Symbol, declared: Dim, known: ValueRanges, now: Expr, problems: list[str],
                 fixes: list[str], about: list[str]) -> None:  # fmt: skip
        label, source = declared.__name__, self.sources[symbol]
        bounds = [f"{declared.min} <= "] if declared.min > 0 else []
        wanted = f"{''.join(bounds)}{label}" + (f" <= {declared.max}" if declared.max != int_oo else "")
        head = f"  - Not all values of {label} = {source} in the specified range {wanted} satisfy the generated guard "
        if known.lower > declared.min or (known.upper != declared.max and known.upper < declared.max):
            upper = "" if known.upper == int_oo else f" and {source} <= {known.upper}"
            lower = f"{known.lower} <= {source}" if known.lower > 0 else ""
            problems.append(head + (lower + upper).removeprefix(" and "))
            limits = f", min={known.lower}" + (f", max={known.upper}" if known.upper != int_oo else "")
            fixes.append(f"  {label} = Dim('{label}'{limits})")
            about.append(label)
        factor = self.tracer.multiples.get(symbol, 1)
        if factor > 1:
            problems.append(head + f"({source} % {factor}) == 0.")
            high = "" if declared.max == int_oo else f", max={declared.max // factor}"
            fixes += [f"  _{label} = Dim('_{label}', min={-(-max(declared.min, 1) // factor)}{high})",
                      f"  {label} = {factor}*_{label}"]  # fmt: skip
            about.append(label)
        if now != Expr.of(symbol):
            other = next(iter(now.symbols), None)
            named = self.named.get(other) if other is not None else None
            if named is not None and named.__name__ != label:
                problems.append(
                    f"  - The values of {label} = {source} and {named.__name__} = {self.sources[other]} must always be "
                    "equal."
                )
                fixes.append(f"  {label} = {named.__name__}")
                about += [label, named.__name__]

    def _program(self, result: Any) -> ExportedProgram:
        result = pytree.tree_map_only(torch.Size, tuple, result, is_leaf=lambda v: isinstance(v, torch.Size))
        leaves, out_spec = pytree.tree_flatten(result)
        outputs = tuple(self._output(leaf) for leaf in leaves)
        graph = self.tracer.graph
        graph.output(outputs)
        _drop_unused(graph)
        root = torch.nn.Module()
        for name, part in self.tracer.parts.items():
            root.add_module(name, torch.fx.GraphModule(torch.nn.Module(), part, name))
        _gradient_regions.separate(graph, root, torch.is_grad_enabled())
        outputs = graph.output_node().args[0]
        signature = ExportGraphSignature(
            self.input_specs, [OutputSpec(OutputKind.USER_OUTPUT, output_argument(v), None) for v in outputs]
        )
        in_spec = pytree.tree_structure((self.args, self._ordered_kwargs()))
        entry = ModuleCallSignature([], [], in_spec, out_spec, self._parameter_names())
        calls = [ModuleCallEntry("", entry), *(ModuleCallEntry(path) for path in self._paths_called())]
        state = {
            path: self.real[path]
            for path in [s.target for s in self.input_specs if s.target in self.real]
            if path not in self.transient
        }
        constants = dict(self.constants) | {path: self.real[path] for path in self.real if path in self.transient}
        program = ExportedProgram(
            root, graph, signature, state, self._ranges(), calls, (self.args, self.kwargs), constants
        )
        program._guards = _guards.collect(self.env, self.leaves, self.names)
        program._input_names = self.names
        return program

    def _output(self, leaf: Any) -> Any:
        if isinstance(leaf, (torch.Tensor, torch.SymInt, torch.SymFloat, torch.SymBool)):
            return self.tracer.argument(leaf)
        if leaf is None or isinstance(leaf, (int, float, bool, str)):
            return leaf
        raise UserError(
            UserErrorType.INVALID_OUTPUT,
            f"Found output {leaf} of type {type(leaf)}: outputs of an exported program are tensors, numbers, strings "
            "and None, in structures that pytree knows",
        )

    def _ordered_kwargs(self) -> dict[str, Any]:
        return {name: self.kwargs[name] for name in self.combined if name in self.kwargs}

    def _parameter_names(self) -> list[str]:
        names = []
        parameters = inspect.signature(self.mod.forward).parameters
        for name, value in self.combined.items():
            kind = parameters[name].kind if name in parameters else None
            if kind is inspect.Parameter.VAR_POSITIONAL:
                names += [f"{name}_{i}" for i in range(len(value))]
            else:
                names.append(name)
        return names

    def _paths_called(self) -> list[str]:
        return [name for name, _ in self.mod.named_modules() if name and name in self.called] + [
            name for name, m in self.mod.named_modules()
            if name and name not in self.called and any(True for _ in m.parameters(recurse=False))
        ]  # fmt: skip

    def _ranges(self) -> dict[Any, ValueRanges]:
        found: dict[Any, ValueRanges] = {}
        for symbol, known in self.env.var_to_range.items():
            if symbol in self.env.replacements:
                continue
            found[symbol] = known
        return found


def _place_of(source: str) -> str:
    """The place of a size as PyTorch writes it: only the parameter's name is quoted by L."""
    inner, _, rest = source.removeprefix("L['").rpartition("'].size()")
    head = re.match(r"\w+", inner)
    name = head[0] if head else inner
    return f"L['{name}']{inner[len(name) :]}.size(){rest}"


def _drop_unused(graph: Any) -> None:
    """Erase arithmetic of sizes that nobody uses. Operations on tensors stay, as the program does them."""
    for node in reversed(graph.nodes):
        if node.op != "call_function" or node.users or node.is_impure() or node.target is operator.getitem:
            continue
        # Autograd takes the results that it saves out of their history, which is no part of the program.
        saved = node.target is torch.ops.aten.detach.default
        if saved or not any(isinstance(v, torch.Tensor) for v in pytree.tree_leaves(node.meta.get("val"))):
            graph.erase_node(node)


def _plain_tensors(mod: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors that are plain attributes of a module or of those inside it."""
    for prefix, module in mod.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor):
                yield (f"{prefix}.{name}" if prefix else name), value


def _keys(path: Any) -> list[Any]:
    return [getattr(k, "key", getattr(k, "idx", getattr(k, "name", None))) for k in path]


def _input_name(path: Any) -> str:
    """The name of an input: the parameter's, and the way to the leaf."""
    return "_".join(re.sub(r"[^a-zA-Z0-9]", "_", str(key)) for key in _keys(path)).lower()


def _source(path: Any) -> str:
    """An input as an expression of the parameters."""
    head, *rest = path
    text = str(_keys([head])[0])
    for key in rest:
        name = getattr(key, "name", None)
        text += f".{name}" if name is not None else f"[{_keys([key])[0]!r}]"
    return text
