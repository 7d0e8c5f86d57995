"""``DistributedDataParallel``: one replica of a module in each process, their gradients averaged."""

from __future__ import annotations

import contextlib

import torch
from torch.distributed.algorithms.join import Join, Joinable, JoinHook

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


def _tensors_in(value: Any) -> list[Tensor]:
    """All tensors of an output, however deep."""
    from torch.utils import _pytree

    return [leaf for leaf in _pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)]


class _JoinedModule(JoinHook):
    """A process without inputs goes through the collectives of the others' iterations."""

    def __init__(self, module: DistributedDataParallel, divide_by_initial_world_size: bool) -> None:
        module._divide_by_initial_world_size = divide_by_initial_world_size
        self.module = module

    def main_hook(self) -> None:
        module = self.module
        if module._agree_on_sync(0):
            if module.will_sync_module_buffers():
                module._share_buffers(module._active_rank(joined=True))
            module.reducer.join_in()
        elif module.will_sync_module_buffers():
            module._share_buffers(module._active_rank(joined=True))

    def post_hook(self, is_last_joiner: bool) -> None:
        module = self.module
        # one that took part in the last iteration has the parameters that all get
        source = module._common_rank(is_last_joiner)
        module._broadcast(module._module_parameters, source)
        module._broadcast(module.modules_buffers, source)


class DistributedDataParallel(Module, Joinable):
    """Runs ``module`` in every process of a group, each with its part of the batch, and averages the gradients.

    Parameters and buffers are made equal to those of rank 0 when it is constructed, and buffers again before each
    ``forward`` unless ``broadcast_buffers`` is False. Gradients are put into buckets of ``bucket_cap_mb`` MiB (25) and
    averaged while the backward pass goes on; inside ``no_sync()`` they are only added up. The result of training is
    that of one process that sees the joined batch, where the loss is a mean over equal parts.

    ``find_unused_parameters`` looks, after each ``forward``, for parameters that the outputs do not depend on;
    ``static_graph`` looks in the first iteration only. ``gradient_as_bucket_view`` saves the memory of the gradients.

    Raises ValueError without a process group, and for devices given for a module on the CPU; RuntimeError for a
    module without parameters that need a gradient, with uninitialised ones, or with other shapes than elsewhere.
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
        Joinable.__init__(self)
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
        if process_group is None:
            from torch.distributed.distributed_c10d import _get_default_group

            process_group = _get_default_group()
        self.process_group = process_group
        self.device_mesh = device_mesh
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
        self._divide_by_initial_world_size = True
        self._comm_hooks: list[tuple[Any, Any]] = []
        self.named_module_buffers = [(name, b) for name, b in module.named_buffers() if name not in ignored]
        self.modules_buffers = [buffer for _, buffer in self.named_module_buffers]
        if init_sync and self._size > 1:
            from torch.distributed._reducer import _verify_params_across_processes

            _verify_params_across_processes(self.process_group, self._module_parameters)
            self._broadcast(self._module_parameters, 0)
            self._broadcast(self.modules_buffers, 0)
        self._make_reducer()

    def _make_reducer(self) -> None:
        from torch.distributed._reducer import (
            _DEFAULT_FIRST_BUCKET_BYTES,
            Logger,
            Reducer,
            _compute_bucket_assignment_by_size,
        )

        names = {id(param): name for name, param in self.module.named_parameters()}
        params = [param for param in self._module_parameters if param.requires_grad]
        sparse_of = {
            id(module.weight)
            for module in self.module.modules()
            if isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag)) and module.sparse
        }
        sparse = [id(param) in sparse_of for param in params]
        limits = [self.bucket_bytes_cap]
        if self.bucket_bytes_cap_default:
            limits.insert(0, _DEFAULT_FIRST_BUCKET_BYTES)
        # the last layers' gradients come first
        turned = list(reversed(range(len(params))))
        buckets, sizes = _compute_bucket_assignment_by_size(
            [params[i] for i in turned], limits, [sparse[i] for i in turned], turned
        )
        self.reducer = Reducer(
            params,
            buckets,
            sizes,
            self.process_group,
            sparse,
            self.bucket_bytes_cap,
            self.find_unused_parameters,
            self.gradient_as_bucket_view,
            {index: names.get(id(param), "") for index, param in enumerate(params)},
            skip_all_reduce_unused_params=self.skip_all_reduce_unused_params,
        )
        self.logger = Logger(self.reducer)
        self.logger.set_construction_data_and_log(type(self.module).__name__)
        if self.static_graph:
            self._set_static_graph()

    def _set_static_graph(self) -> None:
        """Say that every iteration uses the same parameters."""
        self.static_graph = True
        self.reducer._set_static_graph()
        self.logger._set_static_graph()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for name in ("process_group", "reducer", "logger", "device_mesh"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        from torch.distributed.distributed_c10d import _get_default_group

        super().__setstate__(state)
        self.process_group, self.device_mesh = _get_default_group(), None
        self.require_forward_param_sync = self.require_backward_grad_sync = True
        self._make_reducer()

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

    @property
    def _size(self) -> int:
        return self.process_group.size()

    def _broadcast(self, tensors: list[Tensor], source: int) -> None:
        from torch.distributed._reducer import _broadcast_coalesced

        _broadcast_coalesced(self.process_group, list(tensors), src=source)

    def _share_buffers(self, source: int) -> None:
        for name, buffer in self.module.named_buffers():
            if name not in self.parameters_to_ignore and not any(buffer is one for one in self.modules_buffers):
                # a buffer was replaced since
                self.named_module_buffers = [
                    pair for pair in self.module.named_buffers() if pair[0] not in self.parameters_to_ignore
                ]
                self.modules_buffers = [one for _, one in self.named_module_buffers]
                break
        self._broadcast(self.modules_buffers, source)

    # What processes that are done and those that are not tell each other, within ``join``

    def _agree_on_sync(self, wanted: int) -> bool:
        """Whether the processes that have inputs exchange gradients in this iteration."""
        from torch.distributed import all_reduce

        flag = torch.tensor([wanted], dtype=torch.int32)
        all_reduce(flag, group=self.process_group)
        return bool(flag.item())

    def _common_rank(self, mine: bool) -> int:
        """The largest rank of the group for which ``mine`` is true."""
        from torch.distributed import ReduceOp, all_reduce

        rank = torch.tensor([self.process_group.rank() if mine else -1], dtype=torch.int32)
        all_reduce(rank, ReduceOp.MAX, group=self.process_group)
        if rank.item() < 0:
            raise ValueError("no process has inputs any more, so nobody's buffers are those to take")
        return int(rank.item())

    def _active_rank(self, joined: bool) -> int:
        return self._common_rank(not joined)

    @property
    def join_device(self) -> torch.device:
        return self.device

    @property
    def join_process_group(self) -> Any:
        return self.process_group

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """What a process does in a ``Join`` block when it has no more inputs."""
        return _JoinedModule(self, kwargs.get("divide_by_initial_world_size", True))

    def forward(self, *inputs, **kwargs):
        """Run the module, its buffers first made equal to those of rank 0."""
        joining = self._join_config.enable
        syncs = torch.is_grad_enabled() and self.require_backward_grad_sync
        if joining:
            work = Join.notify_join_context(self)
            if work is not None and not self._divide_by_initial_world_size:
                work.wait()
                self.reducer.divisor = int(work.result()[0])
            self._agree_on_sync(int(syncs))
        if self.will_sync_module_buffers():
            self._share_buffers(self._active_rank(joined=False) if joining else 0)
        if self.device_ids:
            parts, named = self.to_kwargs(inputs, kwargs, self.device_ids[0])
            inputs, kwargs = parts[0], named[0]
        result = self.module(*inputs, **kwargs)
        if syncs:
            self.require_forward_param_sync = True
            looks = self.find_unused_parameters or self.static_graph
            self.reducer.prepare_for_backward(_tensors_in(result) if looks else ())
        else:
            self.require_forward_param_sync = False
        return result

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

    def join(
        self,
        divide_by_initial_world_size: bool = True,
        enable: bool = True,
        throw_on_early_termination: bool = False,
    ) -> Join:
        """A block in which the processes may have different numbers of batches.

        One that is done goes through the collectives of the others with zeros. Sums are divided by the group's size,
        or, without ``divide_by_initial_world_size``, by how many processes still have inputs.
        """
        return Join(
            [self], enable, throw_on_early_termination, divide_by_initial_world_size=divide_by_initial_world_size
        )

    def register_comm_hook(self, state: object, hook: Any) -> None:
        """Have ``hook(state, bucket)`` exchange the gradients of each bucket; it returns a future with the result.

        Raises:
            TypeError: it cannot be called.
            ValueError: its annotations are other than ``dist.GradBucket`` and a future of a tensor.
            RuntimeError: there is a hook already.
        """
        import inspect

        from torch.distributed import GradBucket

        if not callable(hook):
            raise TypeError("Communication hook must be callable.")
        bucket = inspect.signature(hook).parameters["bucket"].annotation
        if bucket not in (inspect.Parameter.empty, GradBucket) and not isinstance(bucket, str):
            raise ValueError("Communication hook: bucket annotation should be dist.GradBucket.")
        self.reducer._register_hook(state, hook)
        self._comm_hooks.append((hook, state))
        self.logger._set_comm_hook_name(getattr(hook, "__qualname__", type(hook).__name__))

    def _register_builtin_comm_hook(self, comm_hook_type: Any) -> None:
        """Have a hook that is built in exchange the gradients."""
        from torch.distributed._reducer import _register_builtin_comm_hook

        _register_builtin_comm_hook(self.reducer, comm_hook_type)
        self.logger._set_comm_hook_name(str(comm_hook_type))

    def _get_ddp_logging_data(self) -> dict[str, Any]:
        return self.logger._get_ddp_logging_data()

    @staticmethod
    def _set_params_and_buffers_to_ignore_for_model(module: Module, params_and_buffers_to_ignore: Any) -> None:
        """Leave parameters and buffers with these names out; to be called before the module is wrapped."""
        module._ddp_params_and_buffers_to_ignore = params_and_buffers_to_ignore

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
