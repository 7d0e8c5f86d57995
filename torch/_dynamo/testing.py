"""Backends that watch, and what programs that test compiled functions use."""

from __future__ import annotations

from typing import Any

import torch

from .backends.registry import lookup_backend
from .utils import same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["AotEagerAndRecordGraphs", "CompileCounter", "CompileCounterWithBackend", "EagerAndRecordGraphs",
           "InductorAndRecordGraphs", "collect_results", "normalize_gm", "rand_strided", "reduce_to_scalar_loss",
           "remove_optimized_module_prefix", "requires_bwd_pass", "reset_rng_state", "same"]  # fmt: skip


class CompileCounter:
    """A backend that counts graphs and their operations."""

    def __init__(self) -> None:
        self.frame_count: int | str = 0
        self.clear()

    def __call__(self, gm: torch.fx.GraphModule, example_inputs: list[torch.Tensor]) -> Callable[..., Any]:
        self.frame_count += 1  # type: ignore[operator]
        self.op_count += sum("call" in node.op for node in gm.graph.nodes)
        return gm.forward

    def clear(self) -> None:
        """Start again at zero."""
        self.frame_count = self.op_count = 0


class CompileCounterWithBackend:
    """A backend that counts and keeps graphs, and hands them on to another one."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.graphs: list[Any] = []
        self.clear()

    def __call__(self, gm: torch.fx.GraphModule, example_inputs: list[torch.Tensor]) -> Callable[..., Any]:
        self.frame_count += 1
        self.op_count += sum("call" in node.op for node in gm.graph.nodes)
        self.graphs.append(gm)
        return lookup_backend(self.backend)(gm, example_inputs)  # type: ignore[no-any-return]

    def clear(self) -> None:
        """Start again at zero."""
        self.frame_count = self.op_count = 0
        self.graphs = []


class EagerAndRecordGraphs:
    """A backend that keeps graphs."""

    def __init__(self) -> None:
        self.graphs: list[Any] = []

    def __call__(self, gm: torch.fx.GraphModule, example_inputs: list[torch.Tensor]) -> Callable[..., Any]:
        self.graphs.append(gm)
        return gm.forward


class AotEagerAndRecordGraphs(EagerAndRecordGraphs):
    """A backend that keeps graphs, and those of aten operations in ``fw_graphs``."""

    def __init__(self) -> None:
        super().__init__()
        self.fw_graphs: list[Any] = []

    def __call__(self, gm: torch.fx.GraphModule, example_inputs: list[torch.Tensor]) -> Callable[..., Any]:
        from torch.fx.experimental.proxy_tensor import make_fx

        with torch.no_grad():
            self.fw_graphs.append(make_fx(gm.forward, tracing_mode="fake")(*example_inputs))
        return super().__call__(gm, example_inputs)


class InductorAndRecordGraphs(EagerAndRecordGraphs):
    """A backend that keeps graphs, and runs them as the usual one does."""


def rand_strided(
    size: Sequence[int], stride: Sequence[int], dtype: torch.dtype = torch.float32, device: Any = "cpu",
    extra_size: int = 0,
) -> torch.Tensor:  # fmt: skip
    """Random numbers with a size and strides."""
    needed = sum((s - 1) * st for s, st in zip(size, stride, strict=True)) + 1 + extra_size
    if dtype.is_floating_point or dtype.is_complex:
        buffer = torch.randn(needed, dtype=dtype, device=device)
    else:
        buffer = torch.zeros(needed, dtype=dtype, device=device)
    return torch.as_strided(buffer, size, stride)


def reduce_to_scalar_loss(out: Any) -> Any:
    """One number that depends on all parts of a result."""
    if isinstance(out, torch.Tensor):
        return out.sum() / out.numel()
    if isinstance(out, (list, tuple)):
        return sum(reduce_to_scalar_loss(part) for part in out) / len(out)
    if isinstance(out, dict):
        return sum(reduce_to_scalar_loss(part) for part in out.values()) / len(out)
    if hasattr(out, "logits"):
        return reduce_to_scalar_loss(out.logits)
    raise NotImplementedError("Don't know how to reduce", type(out))


def requires_bwd_pass(out: Any) -> bool:
    """Whether a part of a result requires gradients."""
    if isinstance(out, torch.Tensor):
        return out.requires_grad
    if isinstance(out, (list, tuple)):
        return any(requires_bwd_pass(part) for part in out)
    if isinstance(out, dict):
        return any(requires_bwd_pass(part) for part in out.values())
    if out is None or isinstance(out, int):
        return False
    raise NotImplementedError("Don't know how to reduce", type(out))


def collect_results(model: torch.nn.Module, prediction: Any, loss: Any, example_inputs: Any) -> list[Any]:
    """What a training step left: the result, the loss, gradients, parameters and buffers."""
    grads = {f"{n}.grad": p.grad for n, p in model.named_parameters()}
    values = dict(model.named_parameters())
    given = example_inputs.values() if isinstance(example_inputs, dict) else example_inputs
    inputs = [v.grad for v in given if isinstance(v, torch.Tensor) and v.grad is not None]
    return [prediction, loss, grads, values, dict(model.named_buffers()), inputs]


def reset_rng_state(use_xla: bool = False) -> None:
    """Start all random numbers at the same place."""
    import random

    torch.manual_seed(1337)
    random.seed(1337)


def remove_optimized_module_prefix(name: str) -> str:
    """A parameter's name in the module that was compiled."""
    return name.removeprefix("_orig_mod.")


def normalize_gm(gm_str: str) -> str:
    """A graph's text without what differs from run to run: comments, and spaces at the end of lines."""
    import re

    return "\n".join(re.sub(r"\s*#.*$", "", line).rstrip() for line in gm_str.split("\n"))
