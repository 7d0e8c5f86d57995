"""Which modules are at work."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

__all__ = ["ModuleTracker"]


class ModuleTracker:
    """Inside the block, ``parents`` holds the names of all modules whose forward or backward pass is under way.

    >>> from torch.utils.module_tracker import ModuleTracker
    >>> with ModuleTracker() as tracker:
    ...     model = torch.nn.Sequential(torch.nn.Identity())
    ...     handle = model[0].register_forward_pre_hook(lambda *_: print(sorted(tracker.parents)))
    ...     result = model(torch.ones(1))
    ['Global', 'Sequential', 'Sequential.0']
    """

    parents: set[str]

    def __init__(self) -> None:
        self.parents = {"Global"}
        self._names: weakref.WeakKeyDictionary[torch.nn.Module, str] = weakref.WeakKeyDictionary()
        self._handles: list[Any] = []
        self._backward = 0

    @property
    def is_bw(self) -> bool:
        """Whether a backward pass is under way."""
        return torch._C._current_graph_task_id() != -1

    def _name(self, module: torch.nn.Module) -> str:
        if module not in self._names:
            self._names[module] = root = type(module).__name__
            for path, child in module.named_modules():
                if path:
                    self._names[child] = f"{root}.{path}"
        return self._names[module]

    def _enters(self, module: torch.nn.Module, inputs: Any) -> None:
        name = self._name(module)
        self.parents.add(name)
        tensors = [
            t for t in torch.utils._pytree.tree_leaves(inputs) if isinstance(t, torch.Tensor) and t.requires_grad
        ]
        if tensors:
            self._handles.append(
                torch.autograd.graph.register_multi_grad_hook(tensors, lambda grads: self.parents.discard(name))
            )

    def _leaves(self, module: torch.nn.Module, inputs: Any, outputs: Any) -> None:
        name = self._name(module)
        self.parents.discard(name)
        for t in torch.utils._pytree.tree_leaves(outputs):
            if isinstance(t, torch.Tensor) and t.requires_grad:
                self._handles.append(t.register_hook(lambda grad: self.parents.add(name)))

    def __enter__(self) -> ModuleTracker:
        import torch.utils._pytree  # noqa: F401

        self.parents = {"Global"}
        self._handles += [
            register_module_forward_pre_hook(self._enters),
            register_module_forward_hook(self._leaves, always_call=True),
        ]
        return self

    def __exit__(self, *exception: Any) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
