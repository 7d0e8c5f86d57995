"""What tensor classes share that are made of a dense tensor and something more: their autograd is that tensor's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# How handlers of __torch_function__ get to know operators; those that swap their operands and do not commute stay out.
_NAMES = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "div": "div", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "pow", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
}  # fmt: skip
OPERATORS = {
    **{f"__{name}__": method for name, method in _NAMES.items()},
    **{f"__i{name}__": f"{method}_" for name, method in _NAMES.items()},
    **{f"__r{name}__": _NAMES[name] for name in ("add", "mul", "and", "or", "xor")},
    **{f"__{name}__": name for name in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "abs", "getitem")},
    "__pos__": "positive",
    "__invert__": "bitwise_not",
    "__rsub__": "rsub",
}


class OverParts(Tensor):
    """A tensor whose values, gradients and history are those of ``_part``.

    Subclasses set ``_part``, and define ``like``, which wraps another tensor in the same way.
    """

    _part: Tensor

    def like(self, part: Tensor) -> Any:
        """Wrap another tensor."""
        raise NotImplementedError(f"{type(self).__name__}.like")

    @staticmethod
    def _plain(value: Any) -> Any:
        return value._part if isinstance(value, OverParts) else value

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the elements."""
        return self._part.dtype

    @property
    def device(self) -> torch.device:
        """Where the elements are."""
        return self._part.device

    def element_size(self) -> int:
        """The number of bytes of an element."""
        return self._part.element_size()

    def is_floating_point(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self._part.is_floating_point()

    def is_complex(self) -> bool:
        """Whether the elements are complex numbers."""
        return self._part.is_complex()

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.dim()

    def ndimension(self) -> int:
        """The number of dimensions."""
        return self.dim()

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are wanted."""
        return self._part.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self._part.requires_grad = value

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Want gradients, or not."""
        self._part.requires_grad_(requires_grad)
        return self

    @property
    def grad_fn(self) -> Any:
        """What made the values."""
        return self._part.grad_fn

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made the values."""
        return self._part.is_leaf

    @property
    def grad(self) -> Any:
        """The gradient, wrapped as this tensor is."""
        grad = self._part.grad
        return None if grad is None else self.like(grad)

    @grad.setter
    def grad(self, value: Any) -> None:
        self._part.grad = self._plain(value)

    @property
    def data(self) -> Any:
        """The same memory without history."""
        return self.like(self._part.data)

    def detach(self) -> Any:
        """The same memory without history."""
        return self.like(self._part.detach())

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Compute gradients from a gradient of the same shape."""
        targets = inputs if inputs is None else [self._plain(t) for t in inputs]
        self._part.backward(self._plain(gradient), retain_graph, create_graph, targets)

    def register_hook(self, hook: Any) -> Any:
        """Call ``hook`` with the gradient, wrapped as this tensor is, whenever there is one."""
        return self._part.register_hook(lambda grad: self._plain(hook(self.like(grad))))

    def retain_grad(self) -> None:
        """Keep the gradient although this is no leaf."""
        self._part.retain_grad()

    def item(self) -> Any:
        """The only element."""
        return self._part.item()

    def tolist(self) -> Any:
        """Raise RuntimeError: take the parts instead."""
        raise RuntimeError(f".tolist() is not supported for tensor subclasses, got {type(self).__name__}")

    def numpy(self, *, force: bool = False) -> Any:
        """Raise RuntimeError: take the parts instead."""
        raise RuntimeError(".numpy() is not supported for tensor subclasses.")

    def __deepcopy__(self, memo: Any) -> Any:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment."
            )
        result = self.like(self._part.detach().clone().requires_grad_(self.requires_grad))
        memo[id(self)] = result
        return result

    def __format__(self, spec: str) -> str:
        return object.__format__(self, spec)


def differentiate(func: Any, outputs: Any, inputs: Any, grad_outputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """``torch.autograd.grad`` for such tensors among dense ones."""

    def plain(value: Any) -> Any:
        return type(value)(map(plain, value)) if isinstance(value, (tuple, list)) else OverParts._plain(value)

    grads = func(plain(outputs), plain(inputs), plain(grad_outputs), *args, **kwargs)
    wanted = inputs if isinstance(inputs, (tuple, list)) else [inputs]
    pairs = zip(wanted, grads, strict=True)
    return tuple(x.like(g) if isinstance(x, OverParts) and g is not None else g for x, g in pairs)
