"""Walking a tree of modules, and converting all its tensors."""

from __future__ import annotations

import sys

import torch

from ..parameter import Parameter


def _overwrites_parameters() -> bool:
    future = sys.modules.get("torch.__future__")
    return future is not None and future.get_overwrite_module_params_on_conversion()


def swaps_parameters() -> bool:
    """Whether tensors shall be exchanged rather than copied or put in place (``torch.__future__``)."""
    future = sys.modules.get("torch.__future__")
    return future is not None and future.get_swap_module_params_on_conversion()


_TAIL = "bool non_blocking = False, bool copy = False, *, torch.memory_format memory_format = None)"
_FORMS = (
    f"(torch.device device = None, torch.dtype dtype = None, {_TAIL}",
    f"(torch.dtype dtype, {_TAIL}",
    f"(Tensor tensor, {_TAIL}",
)


# Python's types stand for dtypes.
_PYTHON_TYPES = {float: torch.float64, int: torch.int64, bool: torch.bool, complex: torch.complex128}


def _kind(value) -> str:
    return {torch.dtype: "torch.dtype", torch.device: "torch.device"}.get(type(value), type(value).__name__)


def _bound(names: tuple[str, ...], args: tuple, kwargs: dict) -> dict | None:
    """The arguments by their names, if there are places for all of them."""
    if len(args) > len(names):
        return None
    given = dict(zip(names, args, strict=False))
    if given.keys() & kwargs.keys() or not kwargs.keys() <= {*names, "memory_format"}:
        return None
    return given | kwargs


def _fits(given: dict) -> bool:
    kinds = {
        "device": (type(None), str, int, torch.device),
        "dtype": (type(None), torch.dtype, type),
        "tensor": torch.Tensor,
        "non_blocking": bool,
        "copy": bool,
        "memory_format": (type(None), torch.memory_format),
    }
    types = [value for value in given.values() if isinstance(value, type)]
    return all(isinstance(value, kinds[name]) for name, value in given.items()) and all(
        value in _PYTHON_TYPES for value in types
    )


def _parse_to(args: tuple, kwargs: dict):
    """Read the overloads of ``to``: a device (and a dtype), a dtype, a tensor, or a memory format."""
    for first in (("device", "dtype"), ("dtype",), ("tensor",)):
        given = _bound((*first, "non_blocking", "copy"), args, kwargs)
        required = () if len(first) == 2 else first
        if given is not None and _fits(given) and all(given.get(name) is not None for name in required):
            break
    else:
        shown = [_kind(value) for value in args] + [f"{name}={_kind(value)}" for name, value in kwargs.items()]
        listed = ", ".join(shown) + (", " if kwargs and not args else "")
        forms = "".join(f" * {form}\n" for form in _FORMS)
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({listed}), but expected one of:\n{forms}"
        )
    if given.get("copy"):
        raise RuntimeError(".to() does not accept copy argument")
    device, dtype = given.get("device"), given.get("dtype")
    dtype = _PYTHON_TYPES.get(dtype, dtype)
    if "tensor" in given:
        device, dtype = given["tensor"].device, given["tensor"].dtype
    if device is not None:
        device = torch.device(device)
    return device, dtype, given.get("non_blocking", False), given.get("memory_format")


def _takes_data(tensor, value) -> bool:
    """Whether a tensor can stay the object that it is with another's memory; to and from the meta device it can't."""
    return tensor.is_meta == value.is_meta and torch._has_compatible_shallow_copy_type(tensor, value)


def _exchange(param, applied, fn) -> None:
    """Give a parameter and its gradient the contents of what ``fn`` makes of them; both stay the objects they are."""
    grad, param.grad = param.grad, None
    torch.utils.swap_tensors(param, Parameter(applied, param.requires_grad))
    if grad is not None:
        with torch.no_grad():
            converted = fn(grad).requires_grad_(grad.requires_grad)
        torch.utils.swap_tensors(grad, converted)
        param.grad = grad


class Module:
    """The part of ``Module`` that walks over submodules, parameters and buffers.

    It has the same name, because packages that replace ``_apply`` find out what is asked of them by the qualified name
    of the function that they get, such as ``Module.half.<locals>.<lambda>``.
    """

    def _apply(self, fn, recurse=True):
        if recurse:
            for module in self.children():
                module._apply(fn)
        no_grad = torch.no_grad
        overwrite, swap = _overwrites_parameters(), swaps_parameters()
        for key, param in self._parameters.items():
            if param is None:
                continue
            with no_grad():
                applied = fn(param)
            if swap:
                _exchange(param, applied, fn)
                continue
            if not overwrite and _takes_data(param, applied):
                param.data = applied
                kept = param
            else:
                kept = self._parameters[key] = Parameter(applied, param.requires_grad)
            grad = param.grad
            if grad is not None:
                with no_grad():
                    grad_applied = fn(grad)
                if not overwrite and _takes_data(grad, grad_applied) and kept.grad is not None:
                    kept.grad.data = grad_applied
                else:
                    kept.grad = grad_applied.requires_grad_(grad.requires_grad)
        for key, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[key] = fn(buffer)
        return self

    def apply(self, fn):
        """Call ``fn`` on every submodule, then on this module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def cuda(self, device=None):
        """Move all parameters and buffers to the GPU."""
        return self._apply(lambda t: t.cuda(device))

    def ipu(self, device=None):
        """Move all parameters and buffers to the IPU."""
        return self._apply(lambda t: t.ipu(device))

    def xpu(self, device=None):
        """Move all parameters and buffers to the XPU."""
        return self._apply(lambda t: t.xpu(device))

    def mtia(self, device=None):
        """Move all parameters and buffers to the MTIA."""
        return self._apply(lambda t: t.mtia(device))

    def cpu(self):
        """Move all parameters and buffers to the CPU."""
        return self._apply(lambda t: t.cpu())

    def type(self, dst_type):
        """Cast all parameters and buffers to ``dst_type``."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self):
        """Cast all floating-point parameters and buffers to float32."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self):
        """Cast all floating-point parameters and buffers to float64."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self):
        """Cast all floating-point parameters and buffers to float16."""
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def bfloat16(self):
        """Cast all floating-point parameters and buffers to bfloat16."""
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    def to_empty(self, *, device, recurse=True):
        """Move to a device without copying the values."""
        return self._apply(lambda t: torch.empty_like(t, device=device), recurse=recurse)

    def to(self, *args, **kwargs):
        """Move or cast all parameters and buffers, in place. Integer tensors keep their dtype."""
        device, dtype, non_blocking, memory_format = _parse_to(args, kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )
        if dtype is not None and dtype.is_complex:
            import warnings

            warnings.warn(
                "Complex modules are a new feature under active development whose design may change, and some modules "
                "might not work as expected when using complex tensors as parameters or buffers. Please file an issue "
                "at https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml if a complex module does not "
                "work as expected.",
                stacklevel=2,
            )

        def convert(t):
            cast = dtype if t.is_floating_point() or t.is_complex() else None
            places = {name: value for name, value in (("device", device), ("dtype", cast)) if value is not None}
            if memory_format is not None and t.dim() in (4, 5):
                places["memory_format"] = memory_format
            return t.to(**places, non_blocking=non_blocking) if places else t

        return self._apply(convert)

    def share_memory(self):
        """Move all tensors to shared memory."""
        return self._apply(lambda t: t.share_memory_())

    def _named_members(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for module_prefix, module in modules:
            for key, value in get_members_fn(module):
                if value is None or value in seen:
                    continue
                if remove_duplicate:
                    seen.add(value)
                yield (f"{module_prefix}.{key}" if module_prefix else key), value

    def parameters(self, recurse=True):
        """Iterate over the parameters."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Iterate over (name, parameter)."""
        yield from self._named_members(
            lambda module: module._parameters.items(),
            prefix=prefix,
            recurse=recurse,
            remove_duplicate=remove_duplicate,
        )

    def buffers(self, recurse=True):
        """Iterate over the buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Iterate over (name, buffer)."""
        yield from self._named_members(
            lambda module: module._buffers.items(),
            prefix=prefix,
            recurse=recurse,
            remove_duplicate=remove_duplicate,
        )

    def children(self):
        """Iterate over the immediate submodules."""
        for _, module in self.named_children():
            yield module

    def named_children(self):
        """Iterate over (name, immediate submodule)."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def modules(self, remove_duplicate=True):
        """Iterate over all modules in the tree, this one first."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Iterate over (name, module) of the whole tree, this one first."""
        if memo is None:
            memo = set()
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                inner = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, inner, remove_duplicate)

    def get_submodule(self, target: str):
        """Return the submodule at a dotted path."""
        module = self
        if target == "":
            return module
        for item in target.split("."):
            if not hasattr(module, item):
                raise AttributeError(f"{module._get_name()} has no attribute `{item}`")
            module = getattr(module, item)
            if not isinstance(module, torch.nn.Module):
                raise AttributeError(f"`{item}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module, strict: bool = False) -> None:
        """Put ``module`` at a dotted path; with ``strict`` only where one is already."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        *path, name = target.split(".")
        if not isinstance(module, torch.nn.Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        parent = self if not path else self.get_submodule(".".join(path))
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), torch.nn.Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str):
        """Return the parameter at a dotted path."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        param = getattr(module, name)
        if not isinstance(param, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return param

    def get_buffer(self, target: str):
        """Return the buffer at a dotted path."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        buffer = getattr(module, name)
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return buffer

    def train(self, mode: bool = True):
        """Set the training flag of the whole tree."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """The same as ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True):
        """Set ``requires_grad`` of all parameters."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters."""
        if getattr(self, "_is_replica", False):
            import warnings

            warnings.warn(
                "Calling .zero_grad() from a module created with nn.DataParallel() has no effect. "
                "The parameters are copied (in a differentiable manner) from the original module. "
                "This means they are not leaf nodes in autograd and so don't accumulate gradients. "
                "If you need gradients in your forward method, consider using autograd.grad instead.",
                stacklevel=2,
            )
        for param in self.parameters():
            grad = param.grad
            if grad is None:
                continue
            if set_to_none:
                param.grad = None
            else:
                if grad.grad_fn is not None:
                    grad.detach_()
                else:
                    grad.requires_grad_(False)
                grad.zero_()

    def _replicate_for_data_parallel(self):
        replica = self.__new__(type(self))
        replica.__dict__ = self.__dict__.copy()
        replica._parameters = {}
        replica._buffers = replica._buffers.copy()
        replica._modules = replica._modules.copy()
        replica._is_replica = True
        return replica
