"""What a dataclass defines by itself, as source that can be compiled: Python makes these methods without any."""

from __future__ import annotations
import __future__

import ast
import dataclasses
import linecache
import reprlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Made by Python too, but with no use in a program that has no text and no tables of objects.
_LEFT_OUT = frozenset({"__repr__", "__hash__", "__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__replace__"})

_MAKERS = ("<string>", dataclasses.__file__, reprlib.__file__)


def is_generated(cls: type, name: str, function: Any) -> bool:
    """Whether a method of a class is one that ``dataclasses`` made."""
    made = function.__code__.co_filename in _MAKERS and (name == "__init__" or name in _LEFT_OUT)
    return made and dataclasses.is_dataclass(cls)


def written(cls: type, name: str, tree: ast.ClassDef) -> Any:
    """The method as a function with source; None for one that programs have no use for.

    Raises:
        NotImplementedError: a field's default is no constant.
    """
    if name != "__init__":
        return None
    parameters, lines = ["self"], []
    for part in tree.body:
        if not isinstance(part, ast.AnnAssign) or not isinstance(part.target, ast.Name):
            continue
        field = part.target.id
        if part.value is not None and not _is_constant(part.value):
            raise NotImplementedError(
                f"the default of {cls.__name__}.{field} is not a constant: write __init__ for TorchScript"
            )
        default = "" if part.value is None else f" = {ast.unparse(part.value)}"
        parameters.append(f"{field}: {ast.unparse(part.annotation)}{default}")
        lines.append(f"    self.{field} = {field}\n")
    if hasattr(cls, "__post_init__"):
        lines.append("    self.__post_init__()\n")
    text = f"def __init__({', '.join(parameters)}):\n{''.join(lines) or '    pass' + chr(10)}"
    # inspect finds the text of a function by its file's name, which linecache may know without a file.
    file = f"<__init__ of {cls.__module__}.{cls.__qualname__}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {}
    exec(compile(text, file, "exec", flags=__future__.annotations.compiler_flag), namespace)
    function = namespace["__init__"]
    function.__module__ = cls.__module__
    return function


def _is_constant(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True
