"""``DistributedDataParallel``: one replica of a module in each process, their gradients averaged."""

from __future__ import annotations

import contextlib
import itertools

import torch

from ..modules.module import Module
from .scatter_gather import gather, scatter_kwargs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from torch import Tensor

__all__ = ["DistributedDataParallel"]

_MEGABYTE = 1024 * 1024
_DEFAULT_BUCKET = 25


def _default_group() -> Any:
    """The default process group; ValueError if there is none."""
    distributed = _distributed()
    if distributed is None or not distributed.is_initialized():
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    return distributed.group.WORLD


def _distributed() -> Any:
    """``torch.distributed``, or None where this build has none: then no process group can exist either."""
    try:
        import torch.distributed
    except ModuleNotFoundError:
        return None
    return torch.distributed


class DistributedDataParallel(Module):
    """Runs ``module`` and averages its gradients over the processes of a group.

    Every process constructs it with the same module; parameters and buffers are made equal to those of rank 0, and
    buffers again before each ``forward`` unless ``broadcast_buffers`` is False. As soon as a parameter's gradient is
    ready in ``backward`` it is summed over the group and divided by its size, inside ``no_sync()`` it is only added
    up. Gradients are exchanged one by one, so all processes have to use the same parameters; the options about
    buckets are accepted and have no effect.

    Raises ValueError without a process group, and for devices given for a module on the CPU; RuntimeError for a
    module without parameters that need a gradient, or with uninitialised ones.
    """

    def __init__(
        self,
        module,
        device_ids=None,
        output_device=None,
        dim=0,
        broadcast_buffers=None,
        init_sync=True,
        process_group=None,
        bucket_cap_mb=None,
        find_unused_parameters=False,
        check_reduction=False,
        gradient_as_bucket_view=False,
        static_graph=False,
        delay_all_reduce_named_params=None,
        param_to_hook_all_reduce=None,
        mixed_precision=None,
        device_mesh=None,
        skip_all_reduce_unused_params=False,
        bucket_cap_mb_list=None,
        batched_grad_copy=False,
        forward_sync_buffers=None,
    ) -> None:
        super().__init__()
        if (delay_all_reduce_named_params is None) != (param_to_hook_all_reduce is None):
            raise ValueError(
                "delay_all_reduce_named_params and param_to_hook_all_reduce need to be set at the same time."
            )
        if mixed_precision is not None or delay_all_reduce_named_params is not None:
            raise NotImplementedError(
                "DistributedDataParallel: mixed_precision and delay_all_reduce_named_params are not supported; cast "
                "the module, or use torch.autocast"
            )
        if process_group is not None and device_mesh is not None:
            raise RuntimeError("Cannot specify both process_group and device_mesh arguments.")
        if device_mesh is not None:
            process_group = device_mesh.get_group(mesh_dim=0)
        self.process_group = _default_group() if process_group is None else process_group
        ignored = set(getattr(module, "_ddp_params_and_buffers_to_ignore", ()))
        self.parameters_to_ignore = ignored
        named = [(name, param) for name, param in module.named_parameters() if name not in ignored]
        self._module_parameters = [param for _, param in named]
        self._check_parameters(device_ids, output_device)
        devices = {param.device for param in self._module_parameters}
        self.device_type = next(iter(devices)).type
        self.device = self._module_parameters[0].device
        self.is_multi_device_module = len(devices) > 1
        if not device_ids or self.is_multi_device_module or self.device_type == "cpu":
            self.device_ids, self.output_device = None, None
        else:
            self.device_ids = [torch.device(self.device_type, d) if isinstance(d, int) else d for d in device_ids]
            self.output_device = self.device_ids[0] if output_device is None else output_device
        self.module = module
        self.dim = dim
        self.broadcast_buffers = True if broadcast_buffers is None else broadcast_buffers
        self.find_unused_parameters = find_unused_parameters
        self.gradient_as_bucket_view = gradient_as_bucket_view
        self.static_graph = static_graph
        self.mixed_precision = mixed_precision
        self.skip_all_reduce_unused_params = skip_all_reduce_unused_params
        self.bucket_bytes_cap_default = bucket_cap_mb is None
        self.bucket_bytes_cap = int((_DEFAULT_BUCKET if bucket_cap_mb is None else bucket_cap_mb) * _MEGABYTE)
        self.require_backward_grad_sync = True
        self.require_forward_param_sync = True
        self.named_module_buffers = [(name, b) for name, b in module.named_buffers() if name not in ignored]
        self.modules_buffers = [buffer for _, buffer in self.named_module_buffers]
        if init_sync and self._size > 1:
            self._broadcast(itertools.chain(self._module_parameters, self.modules_buffers))
        self._hooks = [
            param.register_post_accumulate_grad_hook(self._average)
            for param in self._module_parameters
            if param.requires_grad
        ]

    def _check_parameters(self, device_ids, output_device) -> None:
        params = self._module_parameters
        if not any(param.requires_grad for param in params):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a "
                "gradient."
            )
        if device_ids is not None and len(device_ids) > 1:
            raise ValueError("device_ids can only be None or contain a single element.")
        devices = {param.device for param in params}
        if device_ids and any(device.type == "cpu" for device in devices):
            raise ValueError(
                "DistributedDataParallel device_ids and output_device arguments only work with "
                "single-device/multiple-device GPU modules or CPU modules, but got device_ids "
                f"{device_ids}, output_device {output_device}, and module parameters {devices}."
            )
        if any(isinstance(param, torch.nn.parameter.UninitializedParameter) for param in params):
            raise RuntimeError(
                "Modules with uninitialized parameters can't be used with `DistributedDataParallel`. Run a dummy "
                "forward pass to correctly initialize the modules"
            )

    @property
    def _size(self) -> int:
        return self.process_group.size()

    def _broadcast(self, tensors) -> None:
        distributed = _distributed()
        source = distributed.get_global_rank(self.process_group, 0)
        with torch.no_grad():
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), source, group=self.process_group)

    def _average(self, param: Tensor) -> None:
        size = self._size
        if size == 1 or not self.require_backward_grad_sync or param.grad is None:
            return
        with torch.no_grad():
            param.grad.div_(size)
            _distributed().all_reduce(param.grad, group=self.process_group)

    def forward(self, *inputs, **kwargs):
        """Run the module, its buffers first made equal to those of rank 0."""
        if self.will_sync_module_buffers():
            self._broadcast(self.modules_buffers)
        if self.device_ids:
            parts, named = self.to_kwargs(inputs, kwargs, self.device_ids[0])
            inputs, kwargs = parts[0], named[0]
        return self.module(*inputs, **kwargs)

    def will_sync_module_buffers(self) -> bool:
        """Whether the next ``forward`` exchanges buffers."""
        return (
            self._size > 1
            and self.require_forward_param_sync
            and self.broadcast_buffers
            and len(self.modules_buffers) > 0
        )

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Inside the block gradients are added up in each process; the next backward pass outside exchanges them."""
        before = self.require_backward_grad_sync
        self.require_backward_grad_sync = False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    @contextlib.contextmanager
    def join(
        self,
        divide_by_initial_world_size: bool = True,
        enable: bool = True,
        throw_on_early_termination: bool = False,
    ) -> Iterator[None]:
        """Lets processes have different numbers of batches. With one process there is nothing to do.

        NotImplementedError for a larger group: give every process the same number of batches.
        """
        if enable and self._size > 1:
            raise NotImplementedError("DistributedDataParallel.join: only a group of one process is supported")
        yield

    def register_comm_hook(self, state: object, hook: Any) -> None:
        """Raise NotImplementedError: gradients are exchanged one by one, so there are no buckets to hand out."""
        raise NotImplementedError(
            "DistributedDataParallel.register_comm_hook: gradients are averaged one by one, without buckets"
        )

    def scatter(self, inputs, kwargs, device_ids):
        """Split the inputs among devices."""
        return scatter_kwargs(inputs, kwargs, device_ids, dim=self.dim)

    def to_kwargs(self, inputs, kwargs, device_id):
        """Move the inputs to one device."""
        return scatter_kwargs(inputs, kwargs, [device_id], dim=self.dim)

    def gather(self, outputs, output_device):
        """Join outputs on one device."""
        return gather(outputs, output_device, dim=self.dim)

    def train(self, mode: bool = True) -> DistributedDataParallel:
        """Set the module's mode too."""
        super().train(mode)
        return self
