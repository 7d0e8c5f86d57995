"""The base class of optimizers."""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from copy import deepcopy
from functools import update_wrapper

import torch

from .._C import _optim_rule
from ..nn._hooks import RemovableHandle

__all__ = [
    "Optimizer",
    "register_optimizer_step_pre_hook",
    "register_optimizer_step_post_hook",
]

Tensor = torch.Tensor
_global_optimizer_pre_hooks: dict = OrderedDict()
_global_optimizer_post_hooks: dict = OrderedDict()


class _RequiredParameter:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _RequiredParameter()


def register_optimizer_step_pre_hook(hook) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before every step of every optimizer."""
    handle = RemovableHandle(_global_optimizer_pre_hooks)
    _global_optimizer_pre_hooks[handle.id] = hook
    return handle


def register_optimizer_step_post_hook(hook) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after every step of every optimizer."""
    handle = RemovableHandle(_global_optimizer_post_hooks)
    _global_optimizer_post_hooks[handle.id] = hook
    return handle


def _to_scalar(x):
    return x.squeeze() if isinstance(x, Tensor) and x.dim() != 0 else x


def _get_value(x):
    return x.item() if isinstance(x, Tensor) else x


def _refuse_scaling(grad_scale, found_inf) -> None:
    if grad_scale is not None or found_inf is not None:
        raise NotImplementedError(
            "scaled gradients are not supported: divide them first, as torch.amp.GradScaler.unscale_ does"
        )


def _params_type():
    """What an optimizer takes: tensors, groups, or tensors with names."""
    from typing import Any

    return Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


def __getattr__(name: str):
    if name == "ParamsT":
        return _params_type()
    if name == "StateDict":
        from typing import Any

        return dict[str, Any]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _get_capturable_supported_devices(supports_xla: bool = True) -> list[str]:
    """The devices that can capture a step."""
    return ["cuda", "xpu", "hpu", "privateuseone", *["xla"] * supports_xla]


def _default_to_fused_or_foreach(params, differentiable: bool, use_fused: bool = False) -> tuple[bool, bool]:
    """Whether a step shall be fused, and whether it shall go over lists (which no CPU tensor does by default)."""
    given = [p for p in params if p is not None]
    fused = use_fused and not differentiable and all(p.is_floating_point() for p in given)
    listed = not fused and not differentiable and all(p.device.type in ("cuda", "xpu") for p in given)
    return fused, listed


def _use_grad_for_differentiable(func):
    """A decorator of ``step``: gradients are recorded inside it only for ``differentiable=True``."""

    def wrapper(*args, **kwargs):
        before = torch.is_grad_enabled()
        try:
            torch.set_grad_enabled(args[0].defaults["differentiable"])
            return func(*args, **kwargs)
        finally:
            torch.set_grad_enabled(before)

    return update_wrapper(wrapper, func)


def _with_hooks(step):
    """Wrap a step so that hooks run around it; without hooks that costs one check.

    The arguments that hooks see, and may replace, begin with the optimizer.
    """

    def wrapper(self, *args, **kwargs):
        if self._optimizer_step_pre_hooks is None or not (
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or _global_optimizer_pre_hooks
            or _global_optimizer_post_hooks
        ):
            return step(self, *args, **kwargs)
        args = (self, *args)
        for hook in [*_global_optimizer_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()]:
            result = hook(self, args, kwargs)
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(
                        f"<function {type(self).__name__}.step at {id(step):#x}> must return None or a tuple of "
                        f"(new_args, new_kwargs), but got {result}."
                    )
                args, kwargs = result
        out = step(args[0], *args[1:], **kwargs)
        for hook in [*self._optimizer_step_post_hooks.values(), *_global_optimizer_post_hooks.values()]:
            hook(self, args, kwargs)
        return out

    wrapper.__name__ = "step"
    wrapper.__doc__ = step.__doc__
    wrapper.__wrapped__ = step
    wrapper.hooked = True
    return wrapper


def _cast(param, value, param_id=None, param_groups=None, key=None):
    """Bring a loaded value of a parameter's state to the parameter's device, and its dtype if that is floating."""
    if isinstance(value, Tensor):
        return Optimizer._process_value_according_to_param_policy(param, value, param_id, param_groups, key)
    if isinstance(value, dict):
        return {k: _cast(param, v, param_id, param_groups, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return type(value)(_cast(param, v, param_id, param_groups) for v in value)
    return value


class Optimizer:
    """Holds groups of parameters with their options, and a state for each parameter."""

    # Classes that wrap another optimizer, such as accelerate's, leave __init__ out: their step has no hooks.
    _optimizer_step_pre_hooks: dict | None = None

    def __init__(self, params, defaults: dict) -> None:
        self.defaults = defaults
        self._optimizer_step_pre_hooks = OrderedDict()
        self._optimizer_step_post_hooks: dict = OrderedDict()
        self._optimizer_state_dict_pre_hooks: dict = OrderedDict()
        self._optimizer_state_dict_post_hooks: dict = OrderedDict()
        self._optimizer_load_state_dict_pre_hooks: dict = OrderedDict()
        self._optimizer_load_state_dict_post_hooks: dict = OrderedDict()
        self._warned_capturable_if_run_uncaptured = True
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + torch.typename(params)
            )
        self.state: defaultdict = defaultdict(dict)
        self.param_groups: list[dict] = []
        groups = list(params)
        if len(groups) == 0:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs) -> None:
        super().__init_subclass__(**kwargs)
        step = cls.__dict__.get("step")
        if step is not None and not getattr(step, "hooked", False):
            cls.step = _with_hooks(step)

    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state) -> None:
        self.__dict__.update(state)
        for name in (
            "_optimizer_step_pre_hooks",
            "_optimizer_step_post_hooks",
            "_optimizer_state_dict_pre_hooks",
            "_optimizer_state_dict_post_hooks",
            "_optimizer_load_state_dict_pre_hooks",
            "_optimizer_load_state_dict_post_hooks",
        ):
            self.__dict__.setdefault(name, OrderedDict())
        self.defaults.setdefault("differentiable", False)

    def __repr__(self) -> str:
        text = self.__class__.__name__ + " ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            for key in sorted(group.keys()):
                if key != "params":
                    text += f"    {key}: {group[key]}\n"
        return text + ")"

    def _register(self, table: dict, hook, prepend: bool = False) -> RemovableHandle:
        handle = RemovableHandle(table)
        table[handle.id] = hook
        if prepend:
            table.move_to_end(handle.id, last=False)
        return handle

    def register_step_pre_hook(self, hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before every step."""
        return self._register(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after every step."""
        return self._register(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before ``state_dict``."""
        return self._register(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` after ``state_dict``; it may return another."""
        return self._register(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before a state is loaded; it may return another."""
        return self._register(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after a state is loaded."""
        return self._register(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    def state_dict(self) -> dict:
        """Return the state and the groups, with numbers in place of the parameters."""
        for pre_hook in self._optimizer_state_dict_pre_hooks.values():
            pre_hook(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            packed = {k: v for k, v in group.items() if k != "params"}
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {(numbers[id(k)] if isinstance(k, Tensor) else k): v for k, v in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for post_hook in self._optimizer_state_dict_post_hooks.values():
            changed = post_hook(self, result)
            if changed is not None:
                result = changed
        return result

    @staticmethod
    def _process_value_according_to_param_policy(param, value, param_id=None, param_groups=None, key=None):
        if key == "step":
            group = next((g for g in param_groups or () if param_id in g["params"]), {})
            if group.get("capturable", False) or group.get("fused", False):
                return value.to(dtype=torch.float32, device=param.device)
            return value
        if param.is_floating_point():
            return value.to(dtype=param.dtype, device=param.device)
        return value.to(device=param.device)

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over the state and the options of another optimizer of the same parameters."""
        state_dict = state_dict.copy()
        for pre_hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = pre_hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        groups, saved_groups = self.param_groups, deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(g["params"]) != len(s["params"]) for g, s in zip(groups, saved_groups, strict=True)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        params = {
            number: p
            for g, s in zip(groups, saved_groups, strict=True)
            for number, p in zip(s["params"], g["params"], strict=True)
        }
        state: defaultdict = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in params:
                param = params[key]
                state[param] = _cast(param, value, key, state_dict["param_groups"])
            else:
                state[key] = value
        merged = []
        for group, saved in zip(groups, saved_groups, strict=True):
            saved["params"] = group["params"]
            if "param_names" in group and "param_names" not in saved:
                saved["param_names"] = group["param_names"]
            merged.append(saved)
        self.__setstate__({"state": state, "param_groups": merged})
        for post_hook in self._optimizer_load_state_dict_post_hooks.values():
            post_hook(self)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                grad = p.grad
                if grad is None:
                    continue
                if set_to_none:
                    p.grad = None
                else:
                    if grad.grad_fn is not None:
                        grad.detach_()
                    else:
                        grad.requires_grad_(False)
                    grad.zero_()

    def step(self, closure=None):
        """Update the parameters; for subclasses to define."""
        raise NotImplementedError

    def _closure_loss(self, closure):
        if closure is None:
            return None
        with torch.enable_grad():
            return closure()

    @staticmethod
    def _group_tensors_by_device_and_dtype(tensorlistlist, with_indices: bool = False) -> dict:
        """Lists of tensors parted by the device and dtype of the first list's; with their places if asked for."""
        groups: dict = {}
        for i, first in enumerate(tensorlistlist[0]):
            lists, places = groups.setdefault((first.device, first.dtype), ([[] for _ in tensorlistlist], []))
            for part, tensors in zip(lists, tensorlistlist, strict=True):
                if tensors:
                    part.append(tensors[i])
            places.append(i)
        return {key: (lists, places if with_indices else []) for key, (lists, places) in groups.items()}

    # What has to lie on a device that captures, and whether XLA is one: for single steps, and with foreach=True.
    _captured = ("params and state_steps", "params and state_steps")
    _captured_by_xla = (True, False)

    def _check_capturable(self, group: dict) -> None:
        if not group.get("capturable", False):
            return
        foreach = bool(group.get("foreach"))
        devices = _get_capturable_supported_devices(self._captured_by_xla[foreach])
        if any(p.grad is not None and p.device.type not in devices for p in group["params"]):
            raise AssertionError(
                f"If capturable=True, {self._captured[foreach]} must be on supported devices: {devices}."
            )

    def add_param_group(self, param_group: dict) -> None:
        """Add a group of parameters with options of its own."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            param_group["params"] = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        else:
            param_group["params"] = list(params)
        members, names = [], []
        for item in param_group["params"]:
            if isinstance(item, tuple):
                names.append(item[0])
                members.append(item[1])
            else:
                members.append(item)
        if names:
            if len(names) != len(members):
                raise ValueError("all optimizer params should be with/without names. Some param names are missing")
            param_group["param_names"] = names
        param_group["params"] = members
        for p in members:
            if not isinstance(p, Tensor):
                raise TypeError("optimizer can only optimize Tensors, but one of the params is " + torch.typename(p))
            if not self.defaults.get("differentiable", None) and not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        if len(members) != len(set(members)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        known: set = set()
        for group in self.param_groups:
            known.update(group["params"])
            if ("param_names" in param_group) != ("param_names" in group):
                with_or_without = "with names" if "param_names" in param_group else "without names"
                raise ValueError(
                    "all optimizer param groups should be with/without names. "
                    f"cannot add param group {with_or_without} to the optimizer"
                )
        if not known.isdisjoint(members):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)


def _check_lr(lr, foreach=None, capturable: bool = False) -> None:
    """Raise unless a learning rate is a number of at least zero, or a tensor that holds one number."""
    if isinstance(lr, Tensor):
        if foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        if lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
    if not lr >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")


def _check(name: str, value, ok: bool) -> None:
    if not ok:
        raise ValueError(f"Invalid {name}: {value}")


def _check_betas(betas) -> None:
    for index in (0, 1):
        beta = betas[index]
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}")


def _zeros(p: Tensor) -> Tensor:
    return torch.zeros_like(p, memory_format=torch.preserve_format)


def _scalar_dtype(fused: bool = False) -> torch.dtype:
    """Return the dtype of what an optimizer counts: double where that is the default, except for fused kernels."""
    return torch.float64 if not fused and torch.get_default_dtype() == torch.float64 else torch.float32


def _step_tensor(p: Tensor, on_device: bool = False, fused: bool = False) -> Tensor:
    return torch.zeros((), dtype=_scalar_dtype(fused), device=p.device if on_device or fused else "cpu")


def _real(*tensors):
    """Return complex tensors as real ones with one more dimension; they share memory."""
    return [torch.view_as_real(t) if torch.is_complex(t) else t for t in tensors]


def _numbers(value):
    return value if isinstance(value, (tuple, list)) else (value,)


class ByGroup(Optimizer):
    """An optimizer that updates the parameters of a group by one native call, in ``_step_group(group)``."""

    # Options that a loaded group doesn't get from the defaults when it lacks them.
    _not_filled_in: tuple[str, ...] = ("lr",)

    def step(self, closure=None):
        """Update every parameter that has a gradient; return the closure's loss."""
        loss = self._closure_loss(closure)
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for key, default in self.defaults.items():
                if key not in self._not_filled_in:
                    group.setdefault(key, default)

    def _started(self, group):
        """Return a group's parameters that have a gradient, the gradients, and what is kept for each, made if new."""
        params = [p for p in group["params"] if p.grad is not None]
        grads = [p.grad for p in params]
        states = [self.state[p] for p in params]
        with torch.no_grad():
            for p, grad, state in zip(params, grads, states, strict=True):
                self._check(p, grad)
                if not state:
                    self._start(p, grad, state, group)
        return params, grads, states

    def _step_group(self, group) -> None:
        raise NotImplementedError

    def _start(self, p, grad, state, group) -> None:
        raise NotImplementedError

    def _check(self, p, grad) -> None:
        """Raise an error for a gradient that the optimizer cannot take."""


class SingleTensor(ByGroup):
    """An optimizer with a native rule, and ``_update(p, grad, state, group)`` for what needs operations."""

    # The native step's name, the arrays that it keeps for each parameter, and the numbers; the options that it takes.
    _rule = ""
    _arrays: tuple[str, ...] = ()
    _own: tuple[str, ...] = ()
    _options: tuple[str, ...] = ()

    def _step_group(self, group) -> None:
        self._check_capturable(group)
        if not group.get("differentiable", False) and self._step_natively(group):
            return
        # With differentiable=True the update itself is part of the graph.
        with torch.set_grad_enabled(bool(group.get("differentiable", False)) and torch.is_grad_enabled()):
            for p in group["params"]:
                grad = p.grad
                if grad is not None:
                    self._update(p, -grad if group.get("maximize", False) else grad, self.state[p], group)

    def _step_natively(self, group) -> bool:
        """Update all parameters of a group by one call. False, with nothing updated, if only operations can."""
        if any(p.grad is not None and p.grad.is_sparse for p in group["params"]):
            return False
        params, grads, states = self._started(group)
        values = [float(number) for name in self._options for number in _numbers(_get_value(group[name]))]
        kept = [[state[name] for state in states if name in state] for name in self._arrays]
        own = [[state[name] for state in states] for name in self._own]
        return _optim_rule(
            self._rule, params, grads, [state["step"] for state in states], *kept, *[[]] * (3 - len(kept)),
            *own, *[[]] * (2 - len(own)), values, bool(group.get("maximize", False)),
            bool(group.get("decoupled_weight_decay", False)),
        )  # fmt: skip

    def _update(self, p, grad, state, group) -> None:
        raise NotImplementedError
