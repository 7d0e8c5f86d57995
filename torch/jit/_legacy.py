"""Operations as archives of old versions mean them."""

from __future__ import annotations

import functools

from ._sugar import Builtin, FunctionValue, Overloaded
from ._unit import CompilationUnit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Before version 4 of the format, dividing whole numbers cut off.
_DIVISIONS = """
def div_tensor(self: Tensor, other: Tensor) -> Tensor:
    if torch.is_floating_point(self) or torch.is_floating_point(other):
        return torch.true_divide(self, other)
    return torch.divide(self, other, rounding_mode="trunc")
def div_scalar(self: Tensor, other: number) -> Tensor:
    if torch.is_floating_point(self) or isinstance(other, float):
        return torch.true_divide(self, other)
    return torch.divide(self, other, rounding_mode="trunc")
"""


@functools.lru_cache(None)
def _unit() -> CompilationUnit:
    made = CompilationUnit(_DIVISIONS)
    for name, function in made._functions.items():
        function.qualified_name = f"__torch__.{name}"
    return made


def operation(name: str, version: int) -> Any:
    """What ``torch.NAME`` means in the text of an archive of a version, where that is not what it means now."""
    if name == "div" and version < 4:
        functions = _unit()._functions
        tensors = [FunctionValue(functions[n]) for n in ("div_tensor", "div_scalar")]
        return Overloaded([*tensors, Builtin("aten::div")])
    return None
