"""What a function is called, and how a call of it is written down.

PyTorch writes many functions of ``nn.functional`` in Python, and what ``__torch_function__`` sees of a call of these is
always the same: the parameters without a default by position, the others by keyword, all of them. Graphs keep to it,
so that a program that edits them finds the arguments where it looks for them.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
import types

from ._call_forms import FORMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Python functions of torch.functional whose calls are kept as they are.
_AS_GIVEN = frozenset(
    "atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors cartesian_prod chain_matmul einsum meshgrid".split()
)
# Functions of PyTorch's own native module for neural networks that keep their place there; the native module of
# Tabula also holds what PyTorch has in ``torch`` and what it writes in Python.
_NATIVE_NN = frozenset(
    """
    avg_pool2d avg_pool3d elu_ gelu hardtanh_ leaky_relu_ linear log_sigmoid one_hot scaled_dot_product_attention
    softplus softshrink
    """.split()
)
_NATIVE_RENAMED = {"logsigmoid": "log_sigmoid"}
# Where functions live that are found in several places.
_HOMES = {"vmap": "torch.func.vmap"}


class _Form:
    """The parameters that go by position, those that go by keyword, and their defaults."""

    def __init__(self, text: str) -> None:
        call = ast.parse(f"def {text}: 0").body[0]
        assert isinstance(call, ast.FunctionDef)
        self.name = call.name
        self.positional = [a.arg for a in call.args.args]
        self.keyword = [a.arg for a in call.args.kwonlyargs]
        self.defaults = {
            a.arg: ast.literal_eval(d)
            for a, d in zip(call.args.kwonlyargs, call.args.kw_defaults, strict=True)
            if d is not None
        }

    def apply(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        names = self.positional + self.keyword
        if len(args) > len(names) or any(name not in names for name in kwargs):
            return args, kwargs
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        if any(name not in given for name in self.positional):
            return args, kwargs
        known = {**self.defaults, **given}
        by_name = {name: known[name] for name in self.keyword if name in known}
        return tuple(given[name] for name in self.positional), by_name


@functools.lru_cache(None)
def _forms() -> dict[str, _Form]:
    forms = {}
    for module, text in FORMS.items():
        for entry in re.findall(r"\w+\([^)]*\)", text):
            form = _Form(entry)
            forms[f"{module}.{form.name}"] = form
    return forms


def _native_name(module: str, name: str) -> str:
    """The path of a native function of Tabula."""
    space = module.removeprefix("torch._C.")
    if space == "_nn":
        if f"torch.nn.functional.{name}" in _forms():
            return f"torch.nn.functional.{name}"
        name = _NATIVE_RENAMED.get(name, name)
        return f"torch._C._nn.{name}" if name in _NATIVE_NN else f"torch.{name}"
    prefix = {"_linalg": "linalg_", "_fft": "fft_", "_special": "special_"}.get(space)
    if prefix is not None:
        return f"{module}.{name if name.startswith(prefix) else prefix + name}"
    if f"torch.functional.{name}" in _forms():
        return f"torch.functional.{name}"
    return f"torch.{name}"


def module_of(function: Callable[..., Any]) -> str:
    """The module of a function that does not say it itself."""
    name = function.__name__
    module = getattr(function, "__module__", None)
    if module is not None:
        return str(module)
    import torch

    for guess in (torch, getattr(torch.nn, "functional", None)):
        if getattr(guess, name, None) is function:
            return str(guess.__name__)  # type: ignore[union-attr]
    raise RuntimeError(f"cannot find module for {function}")


def qualified_name(function: Any) -> str:
    """The path under which generated code finds a function.

    >>> import operator
    >>> torch.fx.node._get_qualified_name(operator.add)
    'operator.add'
    """
    import builtins

    name = function.__name__
    module = getattr(function, "__module__", None)
    if getattr(builtins, name, None) is function:
        return str(name)
    if isinstance(function, (types.MethodDescriptorType, types.WrapperDescriptorType)) or (
        module == "torch._C.TensorBase"
    ):
        owner = getattr(function, "__objclass__", None)
        if module == "torch._C.TensorBase" or (owner is not None and owner.__module__.partition(".")[0] == "torch"):
            return f"torch.Tensor.{name}"
        return f"{owner.__module__}.{owner.__name__}.{name}"  # type: ignore[union-attr]
    if name == "<lambda>":
        import inspect

        try:
            name = inspect.getsource(function).split("=")[0].strip()
        except Exception as e:
            raise RuntimeError("Unable to represent lambda") from e
    module = module_of(function)
    if type(function).__name__ == "Function" and module.partition(".")[0] == "torch":
        return _native_name(module, name)
    if module.startswith("torch.nn._functional"):
        return f"torch.nn.functional.{name}"
    if module.startswith("torch.ops_py."):
        if f"torch.functional.{name}" in _forms() or name in _AS_GIVEN:
            return f"torch.functional.{name}"
        return f"torch.{name}"
    if module.startswith("torch") and name in _HOMES:
        return _HOMES[name]
    if module.startswith("torch._") and getattr(sys.modules["torch"], name, None) is function:
        return f"torch.{name}"
    module = module.replace("torch._ops", "torch.ops")
    if module == "torch" and name == "segment_reduce":
        name = f"_{name}"
    if module in ("_operator",):
        module = "operator"
    if module.startswith("torch.nn._"):
        public = sys.modules.get("torch.nn")
        if getattr(public, name, None) is function:
            module = "torch.nn"
    return f"{module}.{name}"


def short_name(function: Any) -> str:
    """What a node that calls the function is named after."""
    if type(function).__name__ == "Function":
        return qualified_name(function).rpartition(".")[2]
    return str(function.__name__)


def target_text(target: object) -> str:
    """A node's target as the text of a graph shows it."""
    if isinstance(target, str) or not hasattr(target, "__name__"):
        return str(target)
    name = qualified_name(target)
    if getattr(target, "__module__", None) == "builtins":
        return f"builtins.{target.__name__}"
    return name


def is_path(function: Any) -> bool:
    """Whether generated code can reach the function by its path, from ``torch``."""
    module = getattr(function, "__module__", None)
    if module is None or module == "torch._C.TensorBase":
        return False
    return module.partition(".")[0] == "torch" and not module.startswith(("torch._dynamo.", "torch._inductor."))


def canonical(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The function and the arguments of a call as PyTorch hands them to ``__torch_function__``."""
    if type(function).__name__ not in ("Function", "function"):
        return function, args, kwargs
    if not str(getattr(function, "__module__", "")).startswith("torch"):
        return function, args, kwargs
    name = qualified_name(function)
    form = _forms().get(name)
    if form is None:
        return function, args, kwargs
    args, kwargs = form.apply(args, kwargs)
    if kwargs.get("return_indices") is True and f"{name}_with_indices" in _forms():
        import torch

        function = getattr(torch.nn.functional, f"{function.__name__}_with_indices")
    return function, args, kwargs
