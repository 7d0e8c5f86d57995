"""What goes wrong when a program is exported."""

from __future__ import annotations

import enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["UserError", "UserErrorType"]


HINT = (
    "\n\nThe error above occurred when calling torch.export.export. If you would like to view some more information "
    "about this error, and get a list of all other errors that may occur in your export call, you can replace your "
    "`export()` call with `draft_export()`."
)


class UserErrorType(enum.Enum):
    """The kinds of mistakes in a call of ``export``."""

    DYNAMIC_CONTROL_FLOW = enum.auto()
    ANTI_PATTERN = enum.auto()
    STANDARD_LIBRARY = enum.auto()
    CONSTRAINT_VIOLATION = enum.auto()
    DYNAMIC_DIM = enum.auto()
    INVALID_INPUT = enum.auto()
    INVALID_OUTPUT = enum.auto()
    UNSUPPORTED_ALIASED_MUTATED_DYNAMIC_INPUTS = enum.auto()


class UserError(RuntimeError):
    """The program or the arguments cannot be exported as they are."""

    def __init__(self, error_type: UserErrorType, msg: str, case_name: Any = None) -> None:
        super().__init__(msg)
        self.error_type, self.msg = error_type, msg
