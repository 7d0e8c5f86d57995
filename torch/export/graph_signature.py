"""What the inputs and outputs of an exported graph are: parameters, buffers, the user's, mutations."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Collection, Mapping
from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "ConstantArgument",
    "CustomObjArgument",
    "ExportBackwardSignature",
    "ExportGraphSignature",
    "InputKind",
    "InputSpec",
    "OutputKind",
    "OutputSpec",
    "SymBoolArgument",
    "SymFloatArgument",
    "SymIntArgument",
    "TensorArgument",
    "TokenArgument",
]


@dataclasses.dataclass
class TensorArgument:
    """A tensor, by the name of its node."""

    name: str


@dataclasses.dataclass
class TokenArgument:
    """A token that orders effects, by the name of its node."""

    name: str


@dataclasses.dataclass
class SymIntArgument:
    """An integer that depends on sizes, by the name of its node."""

    name: str


@dataclasses.dataclass
class SymFloatArgument:
    """A float that depends on sizes, by the name of its node."""

    name: str


@dataclasses.dataclass
class SymBoolArgument:
    """A truth value that depends on sizes, by the name of its node."""

    name: str


@dataclasses.dataclass
class CustomObjArgument:
    """An object, by the name of its node and its class."""

    name: str
    class_fqn: str
    fake_val: Any = None


@dataclasses.dataclass
class ConstantArgument:
    """A value that is part of the program."""

    name: str
    value: Any


class InputKind(enum.Enum):
    """What an input of the graph is."""

    USER_INPUT = enum.auto()
    PARAMETER = enum.auto()
    BUFFER = enum.auto()
    CONSTANT_TENSOR = enum.auto()
    CUSTOM_OBJ = enum.auto()
    TOKEN = enum.auto()


class OutputKind(enum.Enum):
    """What an output of the graph is."""

    USER_OUTPUT = enum.auto()
    LOSS_OUTPUT = enum.auto()
    BUFFER_MUTATION = enum.auto()
    PARAMETER_MUTATION = enum.auto()
    GRADIENT_TO_PARAMETER = enum.auto()
    GRADIENT_TO_USER_INPUT = enum.auto()
    USER_INPUT_MUTATION = enum.auto()
    TOKEN = enum.auto()


@dataclasses.dataclass
class InputSpec:
    """An input of the graph: what it is, its node, and the path that it stands for in the module."""

    kind: InputKind
    arg: Any
    target: str | None
    persistent: bool | None = None

    def __post_init__(self) -> None:
        if self.kind == InputKind.BUFFER and self.persistent is None:
            raise AssertionError("Failed to specify persistent flag on BUFFER.")

    def __str__(self) -> str:
        target = "" if self.target is None else f" target='{self.target}'"
        persistent = "" if self.persistent is None else f" persistent={self.persistent}"
        return f"{self.arg.name}: {self.kind.name}{target}{persistent}"


@dataclasses.dataclass
class OutputSpec:
    """An output of the graph: what it is, its node, and what it is written to."""

    kind: OutputKind
    arg: Any
    target: str | None

    def __str__(self) -> str:
        target = "" if self.target is None else f" target='{self.target}'"
        return f"{self.arg.name}: {self.kind.name}{target}"


@dataclasses.dataclass
class ExportBackwardSignature:
    """Which outputs are gradients, and of what."""

    gradients_to_parameters: dict[str, str]
    gradients_to_user_inputs: dict[str, str]
    loss_output: str


@dataclasses.dataclass
class ExportGraphSignature:
    """The inputs and outputs of an exported graph, in order.

    Parameters, buffers and constant tensors are inputs before those of the user; what the program writes to is an
    output before those of the user.
    """

    input_specs: list[InputSpec]
    output_specs: list[OutputSpec]

    def _inputs(self, *kinds: InputKind) -> list[InputSpec]:
        return [s for s in self.input_specs if s.kind in kinds]

    def _outputs(self, *kinds: OutputKind) -> list[OutputSpec]:
        return [s for s in self.output_specs if s.kind in kinds]

    def _targets(self, *kinds: InputKind) -> tuple[str, ...]:
        return tuple(str(s.target) for s in self._inputs(*kinds))

    @staticmethod
    def _by_name(specs: Any) -> Mapping[str, str]:
        return MappingProxyType({s.arg.name: str(s.target) for s in specs})

    @property
    def parameters(self) -> Collection[str]:
        """The paths of the parameters."""
        return self._targets(InputKind.PARAMETER)

    @property
    def buffers(self) -> Collection[str]:
        """The paths of the buffers."""
        return self._targets(InputKind.BUFFER)

    @property
    def non_persistent_buffers(self) -> Collection[str]:
        """The paths of the buffers that are not part of the state."""
        return tuple(str(s.target) for s in self._inputs(InputKind.BUFFER) if s.persistent is False)

    @property
    def lifted_tensor_constants(self) -> Collection[str]:
        """The names of the tensors that the program took from elsewhere."""
        return self._targets(InputKind.CONSTANT_TENSOR)

    @property
    def lifted_custom_objs(self) -> Collection[str]:
        """The names of the objects that the program took from elsewhere."""
        return self._targets(InputKind.CUSTOM_OBJ)

    @property
    def user_inputs(self) -> Collection[Any]:
        """The user's inputs: names of nodes, and values of constants."""
        return tuple(
            s.arg.value if isinstance(s.arg, ConstantArgument) else s.arg.name
            for s in self._inputs(InputKind.USER_INPUT)
        )

    @property
    def user_outputs(self) -> Collection[Any]:
        """The user's outputs: names of nodes, and values of constants."""
        return tuple(
            s.arg.value if isinstance(s.arg, ConstantArgument) else s.arg.name
            for s in self._outputs(OutputKind.USER_OUTPUT, OutputKind.LOSS_OUTPUT)
        )

    @property
    def inputs_to_parameters(self) -> Mapping[str, str]:
        """Input to path of a parameter."""
        return self._by_name(self._inputs(InputKind.PARAMETER))

    @property
    def inputs_to_buffers(self) -> Mapping[str, str]:
        """Input to path of a buffer."""
        return self._by_name(self._inputs(InputKind.BUFFER))

    @property
    def inputs_to_lifted_tensor_constants(self) -> Mapping[str, str]:
        """Input to name of a constant tensor."""
        return self._by_name(self._inputs(InputKind.CONSTANT_TENSOR))

    @property
    def inputs_to_lifted_custom_objs(self) -> Mapping[str, str]:
        """Input to name of an object."""
        return self._by_name(self._inputs(InputKind.CUSTOM_OBJ))

    @property
    def buffers_to_mutate(self) -> Mapping[str, str]:
        """Output to path of the buffer that it is the new value of."""
        return self._by_name(self._outputs(OutputKind.BUFFER_MUTATION))

    @property
    def parameters_to_mutate(self) -> Mapping[str, str]:
        """Output to path of the parameter that it is the new value of."""
        return self._by_name(self._outputs(OutputKind.PARAMETER_MUTATION))

    @property
    def user_inputs_to_mutate(self) -> Mapping[str, str]:
        """Output to name of the user's input that it is the new value of."""
        return self._by_name(self._outputs(OutputKind.USER_INPUT_MUTATION))

    @property
    def backward_signature(self) -> ExportBackwardSignature | None:
        """Which outputs are gradients; None where none is."""
        loss = next((s.arg.name for s in self._outputs(OutputKind.LOSS_OUTPUT)), None)
        if loss is None:
            return None
        return ExportBackwardSignature(
            {s.arg.name: str(s.target) for s in self._outputs(OutputKind.GRADIENT_TO_PARAMETER)},
            {s.arg.name: str(s.target) for s in self._outputs(OutputKind.GRADIENT_TO_USER_INPUT)},
            loss,
        )

    @property
    def assertion_dep_token(self) -> Mapping[int, str] | None:
        """Always None: assertions are nodes of the graph."""
        return None

    @property
    def input_tokens(self) -> Collection[str]:
        """The inputs that order effects."""
        return tuple(s.arg.name for s in self._inputs(InputKind.TOKEN))

    @property
    def output_tokens(self) -> Collection[str]:
        """The outputs that order effects."""
        return tuple(s.arg.name for s in self._outputs(OutputKind.TOKEN))

    def replace_all_uses(self, old: str, new: str) -> None:
        """Rename a node in the signature."""
        for spec in [*self.output_specs, *self.input_specs]:
            if getattr(spec.arg, "name", None) == old:
                spec.arg.name = new

    def get_replace_hook(self, replace_inputs: bool = False) -> Any:
        """A hook for ``GraphModule`` that keeps the outputs' names right when nodes are replaced."""

        def hook(old: Any, new: str, user: Any) -> None:
            if user.op == "output":
                for spec in self.output_specs:
                    if getattr(spec.arg, "name", None) == old.name:
                        spec.arg.name = new
            elif replace_inputs and old.op == "placeholder":
                self.replace_all_uses(old.name, new)

        return hook

    def __str__(self) -> str:
        inputs = "\n".join(str(s) for s in self.input_specs)
        outputs = "\n".join(str(s) for s in self.output_specs)
        return f"\n# inputs\n{inputs}\n\n# outputs\n{outputs}\n"
