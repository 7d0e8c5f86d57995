"""Functions that are told when compiling starts and ends."""

from __future__ import annotations

import dataclasses
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CallbackArgs", "callback_handler", "on_compile_end", "on_compile_start"]


@dataclasses.dataclass
class CallbackArgs:
    """Which compilation it is."""

    callback_trigger: str
    compile_id: str


class CompilationCallbackHandler:
    """The functions to tell."""

    def __init__(self) -> None:
        self.start_callbacks: list[Callable[[CallbackArgs], None]] = []
        self.end_callbacks: list[Callable[[CallbackArgs], None]] = []

    def run(self, callbacks: list[Callable[[CallbackArgs], None]], number: int) -> None:
        """Tell some of them."""
        for callback in callbacks:
            callback(CallbackArgs("DYNAMO", str(number)))

    def register_start_callback(self, callback: Any) -> Any:
        """Tell a function when compiling starts."""
        self.start_callbacks.append(callback)
        return callback

    def register_end_callback(self, callback: Any) -> Any:
        """Tell a function when compiling ends."""
        self.end_callbacks.append(callback)
        return callback

    def remove_start_callback(self, callback: Any) -> None:
        """Tell a function no more."""
        self.start_callbacks.remove(callback)

    def remove_end_callback(self, callback: Any) -> None:
        """Tell a function no more."""
        self.end_callbacks.remove(callback)

    def clear(self) -> None:
        """Tell nobody."""
        self.start_callbacks.clear()
        self.end_callbacks.clear()


callback_handler = CompilationCallbackHandler()


def on_compile_start(callback: Any) -> Any:
    """Tell a function when compiling starts. Works as a decorator."""
    return callback_handler.register_start_callback(callback)


def on_compile_end(callback: Any) -> Any:
    """Tell a function when compiling ends. Works as a decorator."""
    return callback_handler.register_end_callback(callback)
