"""Running several passes, in an order that fits."""

from __future__ import annotations

import functools
import inspect

import torch

from ...graph_module import GraphModule
from .pass_base import PassResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Pass = Callable[..., PassResult | None]
    Constraint = Callable[[Callable[..., Any], Callable[..., Any]], bool]

__all__ = ["PassManager", "pass_result_wrapper", "this_before_that_pass_constraint"]


def _name(fn: Any) -> str:
    return getattr(fn, "__name__", type(fn).__name__)


def pass_result_wrapper(fn: Callable[..., Any]) -> Callable[..., PassResult | None]:
    """A function that changes a module in place, or returns another one, as one that returns a ``PassResult``."""
    if fn is None:
        return None  # type: ignore[unreachable]

    @functools.wraps(fn)
    def wrapped(gm: Any) -> PassResult | None:
        result = fn(gm)
        if result is None:
            return PassResult(gm, True)
        if isinstance(result, PassResult):
            return result
        if isinstance(result, torch.nn.Module):
            return PassResult(result, True)
        return result  # type: ignore[no-any-return]

    if not inspect.isfunction(fn):
        wrapped.__name__ = type(fn).__name__
    return wrapped


def this_before_that_pass_constraint(this: Callable[..., Any], that: Callable[..., Any]) -> Constraint:
    """The condition that ``this`` runs before ``that``."""

    def holds(a: Callable[..., Any], b: Callable[..., Any]) -> bool:
        return not (a is that and b is this)

    return holds


class PassManager:
    """Runs passes one after another, up to ``steps`` times or until nothing changes.

    Args:
        passes: functions of a module that return a ``PassResult``.
        constraints: functions of two passes: whether the first may run before the second.
        run_checks_after_each_pass: check the module after each pass, by ``add_checks``.

    >>> from torch.fx.passes.infra.pass_manager import PassManager
    >>> from torch.fx.passes.infra.pass_base import PassResult
    >>> PassManager([lambda gm: PassResult(gm, False)])(torch.fx.symbolic_trace(lambda x: x)).modified
    False
    """

    def __init__(
        self,
        passes: list[Pass] | None = None,
        constraints: list[Constraint] | None = None,
        steps: int | None = None,
        run_checks_after_each_pass: bool = False,
        suppress_check_failures: bool = False,
    ) -> None:
        self.passes: list[Any] = list(passes or [])
        self.constraints: list[Any] = list(constraints or [])
        self.steps = steps or 1
        self._validated = False
        self.run_checks_after_each_pass = run_checks_after_each_pass
        self.suppress_check_failures = suppress_check_failures

    def add_pass(self, _pass: Pass) -> None:
        """Another pass, at the end."""
        self.passes.append(_pass)
        self._validated = False

    def add_constraint(self, constraint: Constraint) -> None:
        """Another condition on the order."""
        self.constraints.append(constraint)
        self._validated = False

    def validate_constraints(self) -> None:
        """Raise RuntimeError if the order breaks a condition."""
        if self._validated:
            return
        for constraint in self.constraints:
            for i, first in enumerate(self.passes):
                for j, second in enumerate(self.passes[i + 1 :], i + 1):
                    if not constraint(first, second):
                        raise RuntimeError(
                            f"pass schedule constraint violated. Expected {_name(first)} before {_name(second)} but "
                            f"found {_name(first)} at index {i} and {_name(second)} at index{j} in pass list."
                        )
        self._validated = True

    def solve_constraints(self) -> None:
        """Put the passes into an order that breaks no condition.

        Raises:
            RuntimeError: there is none.
        """
        waiting, done = list(self.passes), []
        while waiting:
            ready = next(
                (
                    p
                    for p in waiting
                    if all(c(p, other) for c in self.constraints for other in waiting if other is not p)
                ),
                None,
            )
            if ready is None:
                raise RuntimeError(
                    f"Circular dependency detected within the following passes: {[_name(p) for p in waiting]}"
                )
            waiting.remove(ready)
            done.append(ready)
        self.passes = done
        self._validated = True

    def add_checks(self, check: Callable[[torch.nn.Module], None]) -> None:
        """A check to run after each pass: a function of one argument, ``module``."""
        if len(inspect.signature(check).parameters) != 1:
            raise TypeError("PassManager check function should only take in one variable, a module")
        self.check = check  # type: ignore[method-assign, assignment]

    def check(self, module: torch.nn.Module) -> None:
        """What runs after each pass; nothing by default."""

    def __call__(self, module: GraphModule) -> PassResult:
        if not self._validated:
            self.solve_constraints()
        self.check(module)
        overall = False
        for _ in range(self.steps):
            modified = False
            for i, each in enumerate(self.passes):
                before = [_name(p) for p in self.passes[:i]]
                try:
                    result = each(module)
                    if not isinstance(result, PassResult) and not hasattr(result, "graph_module"):
                        raise TypeError(
                            f"The result of the pass {_name(each)} should be type PassResult. Please wrap it with "
                            "pass_result_wrapper()"
                        )
                except Exception as e:
                    raise Exception(f"An error occurred when running the '{_name(each)}' pass after the following "
                                  f"passes: {before}") from e  # fmt: skip
                module = result.graph_module
                modified = modified or result.modified
                if isinstance(module, GraphModule):
                    module.recompile()
                if self.run_checks_after_each_pass:
                    self.check(module)
            overall = overall or modified
            if not modified:
                break
        return PassResult(module, overall)
