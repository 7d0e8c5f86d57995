"""Exported programs: a graph without Python, what its inputs and outputs are, and the tensors that it needs."""

from __future__ import annotations

import copy
import dataclasses
from functools import partial
from typing import Any, NamedTuple

import torch
from torch.fx import Graph, GraphModule
from torch.fx.experimental._expressions import Symbol
from torch.fx.graph import _PyTreeCodeGen, _PyTreeInfo
from torch.utils import _pytree as pytree

from .graph_signature import ConstantArgument, ExportGraphSignature, InputKind, OutputKind, TensorArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._guards import Guard
    from .decomp_utils import CustomDecompTable

__all__ = ["CallSpec", "ExportedProgram", "ModuleCallEntry", "ModuleCallSignature", "default_decompositions"]


class CallSpec(NamedTuple):
    """How the arguments and the result of a program are nested."""

    in_spec: pytree.TreeSpec | None
    out_spec: pytree.TreeSpec | None

    def __repr__(self) -> str:
        return f"CallSpec(in_spec={self.in_spec!r}, out_spec={self.out_spec!r})"


@dataclasses.dataclass
class ModuleCallSignature:
    """How a submodule was called."""

    inputs: list[Any]
    outputs: list[Any]
    in_spec: pytree.TreeSpec
    out_spec: pytree.TreeSpec
    forward_arg_names: list[str] | None = None

    def replace_all_uses_with(self, original_node: Any, new_node: Any) -> None:
        """Rename a node among the inputs and outputs."""
        for argument in [*self.inputs, *self.outputs]:
            if argument.name == original_node.name:
                argument.name = new_node.name


@dataclasses.dataclass
class ModuleCallEntry:
    """A submodule that the program called, by its path."""

    fqn: str
    signature: ModuleCallSignature | None = None


def default_decompositions() -> CustomDecompTable:
    """The operations that ``run_decompositions`` takes apart unless told otherwise, with how.

    A dictionary from overloads to functions; entries may be removed, to keep an operation, and added.
    """
    from .decomp_utils import CustomDecompTable

    return CustomDecompTable()


class ExportedProgram:
    """A program that was exported. ``module()`` is a module that runs it.

    Its graph calls only aten operations; parameters and buffers are inputs, as the ``graph_signature`` says. It is
    made by ``torch.export.export`` or ``torch.export.load``.
    """

    def __init__(
        self,
        root: torch.nn.Module | dict[str, Any],
        graph: Graph,
        graph_signature: ExportGraphSignature,
        state_dict: dict[str, torch.Tensor],
        range_constraints: dict[Symbol, Any],
        module_call_graph: list[ModuleCallEntry],
        example_inputs: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
        constants: dict[str, Any] | None = None,
        *,
        verifiers: list[Any] | None = None,
    ) -> None:
        self._graph_module = GraphModule(root, graph)
        self._graph_signature, self._state_dict = graph_signature, state_dict
        self._range_constraints, self._module_call_graph = range_constraints, module_call_graph
        self._example_inputs, self._constants = example_inputs, constants or {}
        self._verifiers = verifiers or []
        self._dialect = "TRAINING"
        self._guards: list[Guard] = []
        self._input_names: list[str] = []
        self._decisions: list[str] = []
        self._report: Any = None

    # ---- parts

    @property
    def graph_module(self) -> GraphModule:
        """The graph, and those inside it, as a module; parameters and buffers are arguments."""
        return self._graph_module

    @graph_module.setter
    def graph_module(self, value: Any) -> None:
        raise RuntimeError("Unable to set ExportedProgram's graph_module attribute.")

    @property
    def graph(self) -> Graph:
        """The graph."""
        return self._graph_module.graph

    @graph.setter
    def graph(self, value: Any) -> None:
        raise RuntimeError("Unable to set ExportedProgram's graph attribute.")

    @property
    def graph_signature(self) -> ExportGraphSignature:
        """What the inputs and outputs of the graph are."""
        return self._graph_signature

    @graph_signature.setter
    def graph_signature(self, value: Any) -> None:
        raise RuntimeError("Unable to set ExportedProgram's graph_signature attribute.")

    @property
    def state_dict(self) -> dict[str, Any]:
        """The parameters and buffers by path."""
        return self._state_dict

    @state_dict.setter
    def state_dict(self, value: Any) -> None:
        raise RuntimeError("Unable to set ExportedProgram's state_dict attribute.")

    @property
    def range_constraints(self) -> dict[Symbol, Any]:
        """Between which numbers the open sizes lie."""
        return self._range_constraints

    @property
    def module_call_graph(self) -> list[ModuleCallEntry]:
        """The submodules that the program called."""
        return self._module_call_graph

    @property
    def example_inputs(self) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """The arguments that the program was exported with."""
        return self._example_inputs

    @example_inputs.setter
    def example_inputs(self, value: Any) -> None:
        if value is not None and not (
            isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], tuple) and isinstance(value[1], dict)
        ):
            raise ValueError(
                f"Example inputs should be a tuple containing example arguments (as a tuple), and example kwargs (as a "
                f"dictionary), got {value}"
            )
        self._example_inputs = value

    @property
    def call_spec(self) -> CallSpec:
        """How the arguments and the result are nested."""
        signature = self.module_call_graph[0].signature if self.module_call_graph else None
        return CallSpec(None, None) if signature is None else CallSpec(signature.in_spec, signature.out_spec)

    @property
    def constants(self) -> dict[str, Any]:
        """Tensors that are neither parameters nor persistent buffers, by name."""
        return self._constants

    @property
    def tensor_constants(self) -> dict[str, Any]:
        """The constants."""
        return self._constants

    @property
    def dialect(self) -> str:
        """Which operations the graph may have: TRAINING keeps what is made of others, ATEN does not."""
        return self._dialect

    @property
    def verifiers(self) -> list[Any]:
        """Further checks of the graph; none unless given."""
        return self._verifiers

    @property
    def verifier(self) -> Any:
        return self._verifiers[0] if self._verifiers else None

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """The parameters."""
        for _, parameter in self.named_parameters():
            yield parameter

    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """The parameters with their paths."""
        for name in self.graph_signature.parameters:
            yield name, self.state_dict[name]

    def buffers(self) -> Iterator[torch.Tensor]:
        """The buffers."""
        for _, buffer in self.named_buffers():
            yield buffer

    def named_buffers(self) -> Iterator[tuple[str, torch.Tensor]]:
        """The buffers with their paths."""
        transient = set(self.graph_signature.non_persistent_buffers)
        for name in self.graph_signature.buffers:
            yield name, self.constants[name] if name in transient else self.state_dict[name]

    # ---- use

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Unable to call ExportedProgram directly. You should use `exported_program.module()` instead."
        )

    def module(self, check_guards: bool = True) -> GraphModule:
        """A module that runs the program, with parameters and buffers as its own.

        With ``check_guards`` it raises an AssertionError for arguments that the program was not exported for.
        """
        module = _unlifted(self, check_guards)
        in_spec = self.call_spec.in_spec
        if in_spec is not None:
            module.register_forward_pre_hook(partial(_check_structure, in_spec), with_kwargs=True)
        module.train = partial(_refuse, "train")  # type: ignore[method-assign]
        module.eval = partial(_refuse, "eval")  # type: ignore[method-assign]
        return module

    def run_decompositions(
        self, decomp_table: dict[Any, Callable[..., Any]] | None = None, decompose_custom_triton_ops: bool = False
    ) -> ExportedProgram:
        """The program with operations taken apart and without writes: what it changes becomes an output.

        Args:
            decomp_table: which operations, and how; ``default_decompositions()`` if None, none if empty.

        >>> program = torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))
        >>> [str(n.target) for n in program.run_decompositions().graph.nodes if n.op == "call_function"]
        ['aten.permute.default', 'aten.addmm.default']
        """
        from ._decompose import decompose

        return decompose(self, default_decompositions() if decomp_table is None else decomp_table)

    def validate(self) -> None:
        """Check that the graph fits its signature; raises RuntimeError or AssertionError."""
        self.graph.lint()
        inputs = [n.name for n in self.graph.nodes if n.op == "placeholder"]
        if inputs != [s.arg.name for s in self.graph_signature.input_specs]:
            raise AssertionError("the inputs of the graph are not those of its signature")
        outputs = self.graph.output_node().args[0]
        if len(outputs) != len(self.graph_signature.output_specs):
            raise AssertionError("the outputs of the graph are not those of its signature")

    def __str__(self) -> str:
        code = self.graph_module.print_readable(print_output=False)
        body = code.replace("\n", "\n    ")
        signature = str(self.graph_signature).replace("\n", "\n    ")
        return (
            f"ExportedProgram:\n    {body}\nGraph signature: {signature}\nRange constraints: {self.range_constraints}\n"
        )

    def _update(
        self, graph_module: GraphModule, graph_signature: ExportGraphSignature, **changes: Any
    ) -> ExportedProgram:
        """This program with another graph."""
        made = ExportedProgram(
            graph_module, graph_module.graph, graph_signature, changes.get("state_dict", self.state_dict),
            dict(self.range_constraints), self.module_call_graph, self.example_inputs,
            changes.get("constants", self.constants), verifiers=changes.get("verifiers", self.verifiers),
        )  # fmt: skip
        made._input_names = self._input_names
        made._guards, made._dialect = self._guards, changes.get("dialect", self._dialect)
        return made


def _check_structure(in_spec: Any, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """ValueError unless arguments are nested as the example's were; keyword arguments are put into its order."""
    names = list(in_spec.children_specs[1].context)
    if set(kwargs) != set(names):
        raise ValueError(
            f"Ran into a kwarg keyword mismatch: Got the following keywords {list(kwargs)} but expected {names}"
        )
    ordered = {name: kwargs[name] for name in names}
    found = pytree.tree_structure((args, ordered))
    if found != in_spec:
        raise ValueError(
            f"Trying to flatten user inputs with exported input tree spec: \n{in_spec}\nbut actually got inputs with "
            f"tree spec of: \n{found}.\nPlease check that the inputs have the same number and type of args and "
            "kwargs as the ones you used when tracing."
        )
    return args, ordered


def _refuse(method: str, mode: bool = True) -> Any:
    """What ``train`` and ``eval`` of an exported program do: it has the one behaviour that it was exported with."""
    raise NotImplementedError(f"Calling {method}() is not supported yet.")


def _unlifted(program: ExportedProgram, check_guards: bool) -> GraphModule:
    """The program's graph with parameters, buffers and constants as attributes instead of inputs."""
    from ._guards import GuardsFn

    signature = program.graph_signature
    root = torch.nn.Module()
    for name, child in program.graph_module.named_children():
        root.add_module(name, child)
    for entry in program.module_call_graph:
        if entry.fqn and "@" not in entry.fqn:
            _module_at(root, entry.fqn)
    specs = {s.arg.name: s for s in signature.input_specs}
    graph = Graph()
    graph._codegen = copy.copy(program.graph._codegen)
    values: dict[Any, Any] = {}
    users: list[Any] = []
    placeholders = [n for n in program.graph.nodes if n.op == "placeholder"]
    for node in placeholders:
        if specs[node.name].kind is InputKind.USER_INPUT:
            values[node] = graph.node_copy(node)
            users.append(values[node])
    for node in placeholders:
        spec = specs[node.name]
        if spec.kind is not InputKind.USER_INPUT:
            path = str(spec.target)
            _attach(root, path, _tensor_of(program, spec))
            values[node] = graph.create_node("get_attr", path, name=path.replace(".", "_"))
            values[node].meta = copy.copy(node.meta)
    if check_guards and program._guards:
        root._guards_fn = GuardsFn(program._guards)
        graph.call_module("_guards_fn", tuple(users))
    for node in program.graph.nodes:
        if node.op not in ("placeholder", "output"):
            values[node] = graph.node_copy(node, lambda n: values[n])
    _write_back(program, graph, values)
    in_spec, out_spec = program.call_spec
    assert in_spec is not None
    entry_signature = program.module_call_graph[0].signature
    names = list(entry_signature.forward_arg_names or []) if entry_signature is not None else []
    graph.set_codegen(_PyTreeCodeGen(_PyTreeInfo(names, in_spec, out_spec)))
    return GraphModule(root, graph)


def _tensor_of(program: ExportedProgram, spec: Any) -> Any:
    if spec.kind is InputKind.PARAMETER or (spec.kind is InputKind.BUFFER and spec.persistent):
        return program.state_dict[spec.target]
    return program.constants[spec.target]


def _write_back(program: ExportedProgram, graph: Graph, values: dict[Any, Any]) -> None:
    """Write the new values of buffers and inputs to them, and return the user's results."""
    signature = program.graph_signature
    by_target = {s.target: s.arg.name for s in signature.input_specs}
    nodes = {n.name: n for n in program.graph.nodes}
    results, written = [], {}
    for spec, value in zip(signature.output_specs, program.graph.output_node().args[0], strict=True):
        if spec.kind in (OutputKind.BUFFER_MUTATION, OutputKind.PARAMETER_MUTATION, OutputKind.USER_INPUT_MUTATION):
            name = spec.target if spec.kind is OutputKind.USER_INPUT_MUTATION else by_target[spec.target]
            write = graph.call_function(torch.ops.aten.copy_.default, (values[nodes[str(name)]], values[value]),
                                        name="copy__default")  # fmt: skip
            written[value] = write
        else:
            results.append(value)
    graph.output(tuple(written.get(v, values.get(v, v)) if isinstance(v, torch.fx.Node) else v for v in results))


def _module_at(root: torch.nn.Module, path: str) -> torch.nn.Module:
    for part in path.split("."):
        child = getattr(root, part, None)
        if not isinstance(child, torch.nn.Module):
            child = torch.nn.Module()
            root.add_module(part, child)
        root = child
    return root


def _attach(root: torch.nn.Module, path: str, value: Any) -> None:
    way, _, name = path.rpartition(".")
    holder = _module_at(root, way) if way else root
    if isinstance(value, torch.nn.Parameter):
        holder.register_parameter(name, value)
    elif isinstance(value, torch.Tensor):
        holder.register_buffer(name, value)
    else:
        setattr(holder, name, value)


def output_argument(value: Any) -> Any:
    """How the signature names an output: a node, or the value of a constant."""
    from torch import SymBool, SymFloat, SymInt

    from .graph_signature import SymBoolArgument, SymFloatArgument, SymIntArgument

    if not isinstance(value, torch.fx.Node):
        return ConstantArgument(name="", value=value)
    example = value.meta.get("val")
    for kind, made in ((SymInt, SymIntArgument), (SymFloat, SymFloatArgument), (SymBool, SymBoolArgument)):
        if isinstance(example, kind):
            return made(name=value.name)
    return TensorArgument(name=value.name)
