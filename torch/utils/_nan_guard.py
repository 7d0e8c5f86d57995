"""nan_guard: the first operation that makes a NaN or an infinity, by name, module and line."""

from __future__ import annotations

import functools
import linecache
import re
import threading
import warnings
import weakref
from dataclasses import dataclass

import torch
from torch import _C
from torch.nn.modules._module_error import _name
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_post_hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    _Place = tuple[str, int, str, int] | None

__all__ = ["NonFiniteError", "NonFiniteFinding", "nan_guard"]

_NAN, _INF = 1, 2  # what torch._C._non_finite answers, added up

# Operations that carry numbers from one place to another: a NaN that they find was put there on purpose or never read.
_MOVES = frozenset(
    """
    as_strided_scatter atleast_1d block_diag cat clone column_stack combinations concat constant_pad_nd
    contiguous copy detach diag diag_embed diagonal_scatter dstack embedding expand_copy fill flip fliplr flipud full
    full_like gather hstack index index_copy index_fill index_put index_select lift_fresh masked_fill masked_scatter
    masked_select nan_to_num narrow_copy new_full pad put repeat repeat_interleave reshape roll rot90 scatter
    select_scatter slice_scatter sort stack take take_along_dim tile to tril triu unfold_copy unique vstack where
    """.split()
)


_NAMES = {"_to_copy": "to"}  # rows that programs call by another name


@dataclass(frozen=True)
class NonFiniteFinding:
    """What :func:`nan_guard` has found.

    Attributes:
        numbers: ``"NaN"``, ``"Inf"`` or ``"NaN and Inf"``.
        made: whether the operation made them; otherwise they came in from outside with ``argument``.
        phase: ``"forward"``, ``"backward"`` (then ``operation`` is a node of the graph) or ``"step"``.
        operation: ``"log"``, ``"LogBackward0"`` or, for a step, the optimizer's class. For a function that is made of
            others (``linear``) it is the one of them, here ``addmm``; ``message`` names both.
        argument: the argument, gradient or parameter that held the numbers; None if the operation made them.
        module: path of the module inside which the operation was called, ``""`` where there is none.
        file, line, function: where the program called the operation, in the forward pass; None if that is not known.
        message: all of it in words.
    """

    numbers: str
    made: bool
    phase: str
    operation: str
    argument: str | None
    module: str
    file: str | None
    line: int | None
    function: str | None
    message: str


class NonFiniteError(RuntimeError):
    """A NaN or an infinity came up inside :func:`nan_guard`; ``finding`` says where."""

    def __init__(self, finding: NonFiniteFinding) -> None:
        super().__init__(finding.message)
        self.finding = finding

    def __reduce__(self) -> tuple[Any, ...]:
        return NonFiniteError, (self.finding,)


# ---- which module is at work ----------------------------------------------------------------------------------------


class _Calls:
    """Numbers for calls of modules inside calls of modules, which places in the program are kept with."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[int, int], int] = {}  # of (number of the outer call, id of the module)
        self.known: list[tuple[int, weakref.ref[torch.nn.Module]]] = []  # outer call and module of number i + 1
        self.local = threading.local()

    def enter(self, module: torch.nn.Module, args: Any) -> None:
        stack = self.local.__dict__.setdefault("stack", [])
        outer = stack[-1] if stack else 0
        number = self.numbers.get((outer, id(module)))
        if number is None or self.known[number - 1][1]() is not module:
            self.known.append((outer, weakref.ref(module)))
            number = self.numbers[outer, id(module)] = len(self.known)
        stack.append(number)
        _C._set_place_module(number)

    def leave(self, module: torch.nn.Module, args: Any, result: Any) -> None:
        stack = self.local.__dict__.get("stack")
        if stack:
            stack.pop()
            _C._set_place_module(stack[-1] if stack else 0)

    def depth(self) -> int:
        return len(self.local.__dict__.get("stack", ()))

    def cut(self, depth: int) -> None:
        """Forget calls that something other than an exception has ended."""
        stack = self.local.__dict__.setdefault("stack", [])
        del stack[depth:]
        _C._set_place_module(stack[-1] if stack else 0)

    def chain(self, number: int) -> list[torch.nn.Module | None]:
        """The modules whose calls were under way, the outermost first."""
        found = []
        while number:
            number, module = self.known[number - 1]
            found.append(module())
        return found[::-1]

    def path(self, number: int) -> tuple[str, torch.nn.Module | None]:
        """The path from the outermost module to the innermost one, and that one."""
        chain = self.chain(number)
        names = [_name(outer, inner) if outer is not None else "?" for outer, inner in zip(chain, chain[1:])]
        return ".".join(names), chain[-1] if chain else None

    def parameter(self, tensor: torch.Tensor) -> str | None:
        """The path of a parameter in a module that was called from outside any other."""
        for outer, ref in reversed(self.known):
            module = None if outer else ref()
            for name, one in module.named_parameters() if module is not None else ():
                if one is tensor:
                    return name
        return None


_calls = _Calls()
_hooks: list[Any] = []
_guards = 0  # in all threads
_lock = threading.Lock()


def _hooked(change: int) -> None:
    """Hooks on all modules and optimizers stand while any guard does."""
    global _guards
    with _lock:
        _guards += change
        if _guards and not _hooks:
            _hooks.extend(
                [
                    register_module_forward_pre_hook(_calls.enter),
                    register_module_forward_hook(_calls.leave, always_call=True),
                    register_optimizer_step_post_hook(_stepped),
                ]
            )
        elif not _guards:
            for handle in _hooks:
                handle.remove()
            _hooks.clear()


_active = threading.local()  # .guard: the innermost one of this thread that is enabled


def _stepped(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    guard = getattr(_active, "guard", None)
    if guard is not None and guard.step:
        guard._look_at_step(optimizer)


# ---- words ----------------------------------------------------------------------------------------------------------


def _words(bits: int) -> str:
    return {_NAN: "NaN", _INF: "Inf", _NAN | _INF: "NaN and Inf"}[bits]


def _bits(value: Any) -> int:
    """What is not finite in an argument."""
    if isinstance(value, torch.Tensor):
        return _C._non_finite(value)
    if isinstance(value, (tuple, list)):
        return functools.reduce(lambda bits, one: bits | _bits(one), value, 0)
    if isinstance(value, (float, complex)):
        parts = (value.real, value.imag)
        return _NAN * any(p != p for p in parts) | _INF * any(abs(p) == torch.inf for p in parts)
    return 0


def _shape(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers in a dtype that everything is implemented for."""
    return tensor.detach().to(torch.complex128 if tensor.is_complex() else torch.float64)


def _count(tensor: torch.Tensor) -> str:
    """How many of a tensor's numbers are not finite, and where the first one is."""
    tensor = _wide(tensor)
    wrong = ~torch.isfinite(tensor)
    first = wrong.nonzero()[0].tolist()
    value = tensor[tuple(first)].item()
    at = f", the first is {value} at {first}" if first else f": {value}"
    return f"{int(wrong.sum())} of {tensor.numel()} elements{at}"


def _first_bad(tensors: Iterable[Any]) -> tuple[int, torch.Tensor]:
    return next((i, t) for i, t in enumerate(tensors) if isinstance(t, torch.Tensor) and _bits(t))


def _argument(name: str, value: Any) -> str | None:
    if isinstance(value, (tuple, list)):
        lines = [_argument(f"{name}[{i}]", one) for i, one in enumerate(value)]
        return "\n".join(line for line in lines if line) or None
    if isinstance(value, torch.Tensor):
        if not (value.is_floating_point() or value.is_complex()):
            return None
        if value.numel() and _bits(value):
            return f"  {name}: {_shape(value)}, not finite in {_count(value)}"
        if value.numel() and not value.is_complex() and value.layout == torch.strided:
            low, high = torch.aminmax(_wide(value))
            return f"  {name}: {_shape(value)} between {low.item():.6g} and {high.item():.6g}"
        return f"  {name}: {_shape(value)}"
    return f"  {name}: {value}" if isinstance(value, (int, float, complex)) else None


def _operation(node: str) -> str:
    """The operation behind a node of the graph: nll_loss for NllLossBackward0."""
    name = re.sub(r"Backward\d*$", "", node)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _where(place: _Place) -> tuple[str, str, list[str]]:
    """Path of the module, a phrase for it, and lines that say where in the program that is."""
    if place is None:
        return "", "", []
    file, line, function, number = place
    path, module = _calls.path(number)
    lines = []
    if module is not None:
        kind = type(module).__name__
        root = _calls.chain(number)[0]
        lines.append(f"in module {path} ({kind}) of {type(root).__name__}" if path else f"in a call of {kind}")
    source = linecache.getline(file, line).strip()
    lines.append(f"at {file}:{line} in {function}" + (f": {source}" if source else ""))
    return path, lines[0], lines


# ---- the guard ------------------------------------------------------------------------------------------------------


class nan_guard:  # noqa: N801
    """Find the first operation that makes a NaN or an infinity, in forward, in backward or in an optimizer's step.

    A context manager and a decorator. The error names the operation, the path of the module it was called in, and the
    line of the program; for a derivative, the node of the graph and the line that called the operation in the forward
    pass. A NaN that no operation made is named with the argument that brought it in.

    What counts. A NaN or an infinity is *made* by an operation whose arguments have none. An infinity among the
    arguments, a number like ``float("-inf")`` included, explains one in the result: masks with ``-inf``, made by
    ``full``, ``masked_fill`` or ``where``, pass, and so does a softmax over them; a softmax over a row that is masked
    altogether does not, for it makes NaN. ``log(0)``, a division by zero and an overflow are reported. What the
    derivative of an operation does inside is not looked at, only the gradients that it gives.

    The guard belongs to the thread that enters it; backward passes run in the thread that calls them. Operations that
    only move numbers (``copy_``, ``cat``, indexing, ...) are not blamed for NaN that they find, nor is memory that
    nobody has written yet (``empty``). Integers, sparse tensors and the meta device are not looked at. Under
    ``torch.amp.GradScaler``, whose first steps overflow on purpose, use ``inf=False, backward=False``.

    Args:
        action: ``"raise"`` (:class:`NonFiniteError`), ``"warn"``, or a function of the :class:`NonFiniteFinding`.
        inf: whether infinities are reported too; NaN always are.
        forward, backward, step: which phases are looked at.
        ignore: names of operations (``"log"``) and of nodes (``"LogBackward0"``) that may make what they like. The name
            of a function that is made of others stands for all of them.
        enabled: False switches an outer guard off for the block.

    After a NaN that was not raised for, NaN that come into operations are no longer reported, only new ones.

    Raises:
        NonFiniteError: a RuntimeError, at the operation.
        ValueError: for another ``action``.

    >>> x = torch.tensor([1.0, 0.0], requires_grad=True)
    >>> with torch.utils.nan_guard():
    ...     mask = torch.tensor([0.0, float("-inf")])
    ...     y = torch.softmax(x + mask, 0)  # an infinity on purpose
    ...     try:
    ...         x.sqrt().sum().backward()
    ...     except torch.utils.NonFiniteError as error:
    ...         print(error.finding.operation, error.finding.numbers, error.finding.phase)
    SqrtBackward0 Inf backward

    >>> @torch.utils.nan_guard(inf=False)
    ... def ratio(a, b):
    ...     return a / b
    >>> ratio(torch.tensor(0.0), torch.tensor(0.0))
    Traceback (most recent call last):
    ...
    torch.utils.NonFiniteError: div made NaN in 1 of 1 elements: nan, from finite arguments
    ...
    """

    def __init__(
        self, action: str | Callable[[NonFiniteFinding], Any] = "raise", *, inf: bool = True, forward: bool = True,
        backward: bool = True, step: bool = True, ignore: Iterable[str] = (), enabled: bool = True,
    ) -> None:  # fmt: skip
        if not callable(action) and action not in ("raise", "warn"):
            raise ValueError(f"nan_guard: action must be 'raise', 'warn' or a function, but is {action!r}")
        self.action, self.inf = action, inf
        self.forward, self.backward, self.step = forward, backward, step
        self.ignore = frozenset([ignore] if isinstance(ignore, str) else ignore)
        self.enabled = enabled
        self._excused = False  # a NaN is under way that was not raised for
        self._outer: list[tuple[Any, Any, int]] = []

    def __enter__(self) -> nan_guard:
        _hooked(1)
        self._excused = False
        outer = getattr(_active, "guard", None)
        watch = self._found if self.enabled else None
        before = _C._watch_numbers(watch, self.forward, self.backward)
        self._outer.append((outer, before, _calls.depth()))
        _active.guard = self if self.enabled else None
        return self

    def __exit__(self, *exception: Any) -> None:
        outer, before, depth = self._outer.pop()
        _active.guard = outer
        _C._watch_numbers(*before)
        _calls.cut(depth)
        _hooked(-1)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            with nan_guard(
                self.action, inf=self.inf, forward=self.forward, backward=self.backward, step=self.step,
                ignore=self.ignore, enabled=self.enabled,
            ):  # fmt: skip
                return function(*args, **kwargs)

        return guarded

    # ---- what the core has found ----

    def _found(self, kind: str, *more: Any) -> None:
        with torch.no_grad():
            if kind == "result":
                self._look_at_result(*more)
            else:
                self._look_at_gradient(kind, *more)

    def _look_at_result(
        self, operation: str, outer: str, place: _Place, named: tuple, results: tuple, before: int, target: int
    ) -> None:
        operation = _NAMES.get(operation, operation)
        if outer in self.ignore:
            operation = outer
        shown = f"{operation} inside {outer}" if outer and outer != operation else operation
        came_in = {name: before if i == target else _bits(value) for i, (name, value) in enumerate(named)}
        old = functools.reduce(int.__or__, came_in.values(), 0)
        bits = _bits(results)
        new = bits & ~old & (_NAN | (_INF if self.inf else 0))
        if not new and (not bits & _NAN or self._excused or operation.rstrip("_") in _MOVES):
            return
        lines = []
        if new:
            argument = None
            _, bad = _first_bad(results)
            explained = "arguments with infinities" if old & _INF else "finite arguments"
            lines.append(f"{shown} made {_words(new)} in {_count(bad)}, from {explained}")
        else:
            argument = next(name for name, found in came_in.items() if found & _NAN)
            lines.append(f"NaN came into {shown} with its argument '{argument}'; no operation under the guard made it")
        path, _, where = _where(place)
        lines += [f"  {line}" for line in where]
        described = (_argument(name, value) for i, (name, value) in enumerate(named) if i != target)
        lines += [line for line in described if line]
        self._report(new or _NAN, bool(new), "forward", operation, argument, path, place, lines)

    def _look_at_gradient(
        self, kind: str, node: str, place: _Place, came_in: tuple, made: tuple, root: bool
    ) -> None:
        old, bits = _bits(came_in), _bits(made)
        new = bits & ~old & (_NAN | (_INF if self.inf else 0))
        if not new and (not bits & _NAN or self._excused):
            return
        index, bad = _first_bad(made)
        argument = None
        called = _operation(node)
        if kind == "accumulated":
            lines = [
                f".grad of a leaf of shape {list(bad.shape)} has {_words(new)} in {_count(bad)}, a sum of what it was "
                "and a finite gradient"
            ]
        elif kind == "sum":
            lines = [f"the sum of the gradients of a result of {called} ({node}) has {_words(new)} in {_count(bad)}"]
        elif new:
            explained = "gradients with infinities" if old & _INF else "finite gradients"
            lines = [
                f"the derivative of {called} ({node}) made {_words(new)} in {_count(bad)} of the gradient of its input "
                f"number {index}, {_shape(bad)}, from {explained}"
            ]
        else:
            argument = "gradient" if root else "the gradient of its result"
            source = "which backward() was called with" if root else "from a hook or another gradient than backward's"
            lines = [f"NaN came into the derivative of {called} ({node}) with {argument}, {source}"]
        path, _, where = _where(place)
        if where:
            lines.append(f"  {called} was called {where[0]}")
            lines += [f"  {line}" for line in where[1:]]
        else:
            lines.append("  the operation was called outside of the guard: enter it before the forward pass")
        self._report(new or _NAN, bool(new), "backward", node, argument, path, place, lines)

    def _look_at_step(self, optimizer: torch.optim.Optimizer) -> None:
        name = type(optimizer).__name__
        for number, group in enumerate(optimizer.param_groups):
            for index, parameter in enumerate(group["params"]):
                bits = _C._non_finite(parameter) & (_NAN | (_INF if self.inf else 0))
                if not bits:
                    continue
                with torch.no_grad():
                    path = _calls.parameter(parameter)
                    title = path or f"number {index} of group {number}"
                    from_grad = parameter.grad is not None and _bits(parameter.grad)
                    if from_grad and self._excused:
                        return
                    cause = "its gradient had them before" if from_grad else "its gradient is finite"
                    lines = [f"after {name}.step, parameter {title} has {_words(bits)} in {_count(parameter)}; {cause}"]
                    place = _C._place_of_caller()
                    lines += [f"  {line}" for line in _where(place)[2]]
                    argument = f"gradient of {title}" if from_grad else None
                    self._report(bits, not from_grad, "step", name, argument, path or "", place, lines)
                return

    def _report(
        self, bits: int, made: bool, phase: str, operation: str, argument: str | None, path: str, place: _Place,
        lines: list[str],
    ) -> None:  # fmt: skip
        ignored = operation in self.ignore or operation.rstrip("_") in self.ignore
        if bits & _NAN and (ignored or self.action != "raise"):
            self._excused = True
        if ignored:
            return
        file, line, function, _ = place or (None, None, None, 0)
        found = NonFiniteFinding(
            _words(bits), made, phase, operation, argument, path, file, line, function, "\n".join(lines)
        )
        if self.action == "raise":
            raise NonFiniteError(found)
        if self.action == "warn":
            if file is None:
                warnings.warn(found.message, RuntimeWarning, stacklevel=2)
            else:
                warnings.warn_explicit(found.message, RuntimeWarning, file, line)
        else:
            self.action(found)


NonFiniteError.__module__ = NonFiniteFinding.__module__ = nan_guard.__module__ = "torch.utils"
