"""Fake tensors: sizes, strides, a dtype and a device, but no memory. Operations run on meta tensors behind them."""

from __future__ import annotations

import contextlib
import functools
import operator

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack
from torch.utils.weak import WeakTensorKeyDictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = [
    "DataDependentOutputException",
    "DynamicOutputShapeException",
    "FakeCopyMode",
    "FakeTensor",
    "FakeTensorDeviceMismatchError",
    "FakeTensorMode",
    "UnsupportedFakeTensorException",
    "UnsupportedOperatorException",
    "is_fake",
    "maybe_get_fake_mode",
    "unset_fake_temporarily",
]


class _OfOperation(RuntimeError):
    def __init__(self, func: Any) -> None:
        super().__init__(func)
        self.func = func


class UnsupportedFakeTensorException(RuntimeError):
    """A tensor of a kind that cannot be fake."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DynamicOutputShapeException(_OfOperation):
    """The result's size depends on elements that are not there."""


class DataDependentOutputException(_OfOperation):
    """The result depends on elements that are not there."""


class UnsupportedOperatorException(_OfOperation):
    """The operation has no form without memory."""


class FakeTensorDeviceMismatchError(RuntimeError):
    """The tensors of an operation are on several devices."""


def _with_index(device: torch.device) -> torch.device:
    return device if device.type in ("cpu", "meta") or device.index is not None else torch.device(device.type, 0)


_plain_shape = torch.Tensor.shape.__get__
# Not zero while an operation runs on the example's sizes.
_running = [0]


def _is_plain(t: FakeTensor) -> bool:
    return t._sizes is None or _running[0] > 0


@contextlib.contextmanager
def plain_sizes() -> Iterator[None]:
    """Inside, fake tensors with symbolic sizes show those of the example."""
    _running[0] += 1
    try:
        yield
    finally:
        _running[0] -= 1


class FakeTensor(torch.Tensor):
    """A tensor without memory that says which device it is on. Made by a ``FakeTensorMode``."""

    fake_device: torch.device
    fake_mode: FakeTensorMode
    constant: Any
    _meta: torch.Tensor
    # Sizes and strides as a traced program sees them, where some are symbolic; the tensor itself has the example's.
    _sizes: Any = None
    _steps: Any = None

    @staticmethod
    def __new__(cls, fake_mode: FakeTensorMode, elem: torch.Tensor, device: Any, constant: Any = None) -> FakeTensor:
        if elem.device.type != "meta":
            raise AssertionError(f"expected the properties as a meta tensor, got one on {elem.device}")
        device = _with_index(torch.device(device))
        self: FakeTensor = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, tuple(elem.shape), strides=tuple(elem.stride()), storage_offset=elem.storage_offset(),
            dtype=elem.dtype, device=device, requires_grad=elem.requires_grad,
        )  # fmt: skip
        self._meta = elem.detach()
        self.fake_mode, self.fake_device, self.constant = fake_mode, device, constant
        return self

    @staticmethod
    def from_tensor(t: torch.Tensor, fake_mode: FakeTensorMode) -> FakeTensor:
        return fake_mode.from_tensor(t)

    @property
    def shape(self) -> torch.Size:  # type: ignore[override]
        return _plain_shape(self) if _is_plain(self) else torch.Size(self._sizes)

    def size(self, dim: int | None = None) -> Any:  # type: ignore[override]
        if _is_plain(self):
            return super().size() if dim is None else super().size(dim)
        return torch.Size(self._sizes) if dim is None else self._sizes[dim]

    def stride(self, dim: int | None = None) -> Any:  # type: ignore[override]
        if _is_plain(self):
            return super().stride() if dim is None else super().stride(dim)
        return tuple(self._steps) if dim is None else self._steps[dim]

    def numel(self) -> Any:  # type: ignore[override]
        if _is_plain(self):
            return super().numel()
        return functools.reduce(operator.mul, self._sizes, 1)

    nelement = numel  # type: ignore[assignment]

    def __len__(self) -> int:
        return super().__len__() if _is_plain(self) else int(self._sizes[0])

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        from torch import _tensor_str

        parts = ["..."]
        if self.fake_device.type != "cpu":
            parts.append(f"device='{self.fake_device}'")
        parts.append(f"size={tuple(self.shape)}")
        if self.dtype != torch.get_default_dtype():
            parts.append(f"dtype={self.dtype}")
        name = _tensor_str._grad_fn_name(self)
        if name is not None:
            parts.append(f"grad_fn=<{name}>")
        elif self.requires_grad:
            parts.append("requires_grad=True")
        text = f"FakeTensor({', '.join(parts)})"
        return f"Parameter({text})" if isinstance(self, torch.nn.Parameter) else text

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        modes = {
            id(t.fake_mode): t.fake_mode for t in pytree.arg_tree_leaves(args, kwargs) if isinstance(t, FakeTensor)
        }
        if len(modes) > 1:
            raise AssertionError("Mixing fake modes NYI")
        (mode,) = modes.values()
        with mode:
            return func(*args, **(kwargs or {}))


class FakeTensorMode(TorchDispatchMode):
    """Inside ``with mode:`` factories make fake tensors, and operations on them compute properties alone.

    ``from_tensor`` makes the fake tensor of a real one. Where a result would depend on elements (``item``, ``nonzero``)
    there is an exception; an operation over a fake and a real tensor is an AssertionError unless
    ``allow_non_fake_inputs``.

    >>> from torch._subclasses import FakeTensorMode
    >>> with FakeTensorMode():
    ...     a, b = torch.empty(512, 256, device="cuda"), torch.empty(256, 10, device="cuda")
    >>> a @ b
    FakeTensor(..., device='cuda:0', size=(512, 10))
    """

    def __init__(
        self,
        *,
        allow_fallback_kernels: bool = True,
        allow_non_fake_inputs: bool = False,
        shape_env: Any = None,
        static_shapes: bool | None = None,
        export: bool = False,
    ) -> None:
        super().__init__()
        if shape_env is not None:
            raise NotImplementedError("FakeTensorMode(shape_env=...): there are no symbolic sizes")
        self.allow_fallback_kernels = allow_fallback_kernels
        self.allow_non_fake_inputs = allow_non_fake_inputs
        self.shape_env, self.static_shapes = None, True
        self._known = WeakTensorKeyDictionary()
        self._entered: list[bool] = []

    def __enter__(self) -> FakeTensorMode:
        inside = any(mode is self for mode in _get_current_dispatch_mode_stack())
        self._entered.append(not inside)
        return self if inside else super().__enter__()

    def __exit__(self, *exc: Any) -> None:
        if self._entered.pop():
            super().__exit__(*exc)

    def from_tensor(self, tensor: torch.Tensor, *, static_shapes: Any = None, **options: Any) -> FakeTensor:
        """The fake tensor of a real one; the same again for the same tensor."""
        if isinstance(tensor, FakeTensor):
            if tensor.fake_mode is not self:
                raise AssertionError("Mixing fake modes NYI")
            return tensor
        if tensor.layout is not torch.strided:
            raise UnsupportedFakeTensorException(f"fake tensors are strided, got layout {tensor.layout}")
        known = self._known.get(tensor)
        if known is not None:
            return known  # type: ignore[no-any-return]
        with unset_fake_temporarily():
            elem = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
            fake = FakeTensor(self, elem, tensor.device)
            if tensor.requires_grad:
                fake.requires_grad_()
        if isinstance(tensor, torch.nn.Parameter):
            fake._is_param = True  # type: ignore[attr-defined]
        self._known[tensor] = fake
        return fake

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tags = func.tags
        if any(issubclass(kind, torch.Tensor) and kind is not FakeTensor for kind in types):
            return NotImplemented
        if func in (torch.ops.aten.lift_fresh.default, torch.ops.aten.lift_fresh_copy.default):
            return self.from_tensor(args[0])
        if func._opname == "_local_scalar_dense":
            raise DataDependentOutputException(func)
        tensors = [t for t in pytree.arg_tree_leaves(args, kwargs) if isinstance(t, torch.Tensor)]
        if torch.Tag.data_dependent_output in tags and tensors:
            raise DataDependentOutputException(func)
        if torch.Tag.dynamic_output_shape in tags:
            raise DynamicOutputShapeException(func)
        real = [t for t in tensors if not isinstance(t, FakeTensor)]
        if real and not self.allow_non_fake_inputs:
            shown = ", ".join(map(_describe, pytree.arg_tree_leaves(args, kwargs)))
            raise AssertionError(
                "Please convert all Tensors to FakeTensors first or instantiate FakeTensorMode with "
                f"'allow_non_fake_inputs'. Found in {func}({shown})"
            )
        args, kwargs = pytree.tree_map_only(torch.Tensor, self.from_tensor, (args, kwargs))
        device = self._device(args, kwargs)
        if func._opname in ("index_put", "index_put_") and _has_mask(args[1]):
            # How many elements are written depends on the mask; the result's size does not.
            return args[0] if func._opname == "index_put_" else args[0].clone()
        return self._run(func, args, kwargs, device)

    def _run(self, func: Any, args: Any, kwargs: Any, device: torch.device) -> Any:
        on_meta = pytree.tree_map_only(FakeTensor, lambda t: t._meta, (args, kwargs))
        if "device" in kwargs:
            on_meta[1]["device"] = torch.device("meta")
        given = pytree.arg_tree_leaves(args, kwargs)
        by_meta = {id(t._meta): t for t in given if isinstance(t, FakeTensor)}
        with unset_fake_temporarily():
            result = func(*on_meta[0], **on_meta[1])
        for fake in by_meta.values():
            if fake.shape != fake._meta.shape or fake.stride() != fake._meta.stride():
                raise UnsupportedOperatorException(func)  # it changed an argument's sizes in place

        def wrap(t: torch.Tensor) -> torch.Tensor:
            same = by_meta.get(id(t))
            return same if same is not None else FakeTensor(self, t, device)

        return pytree.tree_map_only(torch.Tensor, wrap, result)

    def _device(self, args: Any, kwargs: Any) -> torch.device:
        """Where the results are: as the arguments say, else as the tensors are, of which numbers count least."""
        if kwargs.get("device") is not None:
            return torch.device(kwargs["device"])
        found: FakeTensor | None = None
        for t in pytree.arg_tree_leaves(args, kwargs):
            if not isinstance(t, FakeTensor):
                continue
            if found is None or (found.dim() == 0 and found.fake_device.type == "cpu"):
                found = t
            elif t.fake_device != found.fake_device and not (t.dim() == 0 and t.fake_device.type == "cpu"):
                raise FakeTensorDeviceMismatchError(
                    "Expected all tensors to be on the same device, but found at least two devices, "
                    f"{found.fake_device} and {t.fake_device}!"
                )
        return torch.get_default_device() if found is None else found.fake_device


def _has_mask(indices: Any) -> bool:
    return any(isinstance(i, torch.Tensor) and i.dtype in (torch.bool, torch.uint8) for i in indices)


def _describe(leaf: Any) -> str:
    if isinstance(leaf, torch.Tensor) and not isinstance(leaf, FakeTensor):
        return f"tensor([...], size={tuple(leaf.shape)})"
    return str(leaf)


class FakeCopyMode(torch.overrides.TorchFunctionMode):
    """Inside, ``copy.deepcopy`` of modules and tensors makes fake ones."""

    def __init__(self, fake_mode: FakeTensorMode) -> None:
        self.fake_mode = fake_mode

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch._C.TensorBase.clone:
            return func(self.fake_mode.from_tensor(args[0]), **kwargs)
        if getattr(func, "__name__", "") == "__deepcopy__":
            tensor, memo = args
            if id(tensor) not in memo:
                memo[id(tensor)] = self.fake_mode.from_tensor(tensor)
            return memo[id(tensor)]
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs)


@contextlib.contextmanager
def unset_fake_temporarily() -> Iterator[Any]:
    """No fake mode is active inside the block. Gives the innermost that was."""
    from torch.utils._python_dispatch import _pop_mode, _push_mode

    modes = [_pop_mode() for _ in _get_current_dispatch_mode_stack()][::-1]
    kept = [mode for mode in modes if not isinstance(mode, FakeTensorMode)]
    for mode in kept:
        _push_mode(mode)
    try:
        yield next((mode for mode in reversed(modes) if isinstance(mode, FakeTensorMode)), None)
    finally:
        for _ in kept:
            _pop_mode()
        for mode in modes:
            _push_mode(mode)


def is_fake(x: object) -> bool:
    """Whether this is a fake tensor, or a wrapper subclass around one."""
    from torch.utils._python_dispatch import is_traceable_wrapper_subclass

    if isinstance(x, FakeTensor):
        return True
    if is_traceable_wrapper_subclass(x):
        names, _ = x.__tensor_flatten__()  # type: ignore[attr-defined]
        return all(is_fake(getattr(x, name)) for name in names)
    return False


def maybe_get_fake_mode(t: object) -> FakeTensorMode | None:
    """The mode of a fake tensor, or None."""
    return t.fake_mode if isinstance(t, FakeTensor) else None
