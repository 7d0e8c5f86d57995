"""Gradients of several processes become one, bucket by bucket, while the backward pass goes on.

Parameters are put into buckets in the reverse of their order, which is about the order in which their gradients come. A
bucket whose gradients are all there is given to the group's thread at once; buckets go in their order, the same in all
processes. The gradient that completes the last one waits for all and puts the results where they belong.
Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", VLDB 2020.
"""

from __future__ import annotations

import torch

from ._options import BuiltinCommHookType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from torch import Tensor
    from torch.futures import Future

    from ._backends import ProcessGroup
    from ._work import Work

__all__ = ["GradBucket", "Logger", "Reducer"]

_DEFAULT_FIRST_BUCKET_BYTES = 1 << 20
_BROADCAST_BYTES = 250 << 20


def _compute_bucket_assignment_by_size(
    tensors: list[Tensor],
    bucket_size: list[int],
    expect_sparse_gradient: list[bool] | None = None,
    tensor_indices: list[int] | None = None,
    logger: Any = None,
) -> tuple[list[list[int]], list[int]]:
    """Put tensors into buckets by their order, dtype and device; returns indices and the limits, in bytes.

    The first bucket of each kind has the first limit, further ones the next, the last limit repeating.
    """
    sparse = [False] * len(tensors) if not expect_sparse_gradient else expect_sparse_gradient
    indices = list(range(len(tensors))) if not tensor_indices else tensor_indices
    done: list[tuple[list[int], int]] = []
    filling: dict[Any, tuple[list[int], int]] = {}
    used: dict[Any, int] = {}
    for position, (tensor, index) in enumerate(zip(tensors, indices, strict=True)):
        if sparse[position]:
            done.append(([index], 0))
            continue
        kind = tensor.dtype, tensor.device
        members, size = filling.get(kind, ([], 0))
        members, size = [*members, index], size + tensor.numel() * tensor.element_size()
        limit = bucket_size[min(used.get(kind, 0), len(bucket_size) - 1)]
        if size >= limit:
            done.append((members, limit))
            used[kind] = used.get(kind, 0) + 1
            filling.pop(kind, None)
        else:
            filling[kind] = members, size
    for kind, (members, _) in filling.items():
        done.append((members, bucket_size[min(used.get(kind, 0), len(bucket_size) - 1)]))
    if not tensor_indices:
        done.sort(key=lambda pair: min(pair[0]))
    return [members for members, _ in done], [limit for _, limit in done]


def _broadcast_coalesced(
    process_group: ProcessGroup, tensors: list[Tensor], buffer_size: int = _BROADCAST_BYTES, src: int = 0
) -> None:
    """Give all processes the tensors of rank ``src`` of the group, joined into few messages."""
    from ._collectives import broadcast

    groups: dict[Any, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault((tensor.dtype, tensor.device), []).append(tensor.detach())
    for members in groups.values():
        for indices in _compute_bucket_assignment_by_size(members, [max(1, buffer_size)])[0]:
            part = [members[index] for index in indices]
            flat = torch.cat([tensor.reshape(-1) for tensor in part])
            broadcast(flat, group=process_group, group_src=src)
            for tensor, values in zip(part, flat.split([t.numel() for t in part]), strict=True):
                tensor.copy_(values.view(tensor.shape))


def _verify_params_across_processes(process_group: ProcessGroup, tensors: list[Tensor], logger: Any = None) -> None:
    """RuntimeError where the processes' lists of parameters differ in length or shapes."""
    from ._objects import all_gather_object

    found: list[Any] = [None] * process_group.size()
    all_gather_object(found, [tuple(tensor.shape) for tensor in tensors], group=process_group)
    me = process_group.rank()
    for rank, shapes in enumerate(found):
        if len(shapes) != len(found[me]):
            raise RuntimeError(
                f"DDP expects same model across all ranks, but Rank {me} has {len(found[me])} params, while rank "
                f"{rank} has inconsistent {len(shapes)} params."
            )
    for index, (mine, first) in enumerate(zip(found[me], found[0], strict=True)):
        if mine != first:
            raise RuntimeError(
                f"[{me}]: params[{index}] in this process with sizes {list(mine)} appears not to match sizes of the "
                "same param in process 0."
            )
    for rank, shapes in enumerate(found):
        if shapes != found[0]:
            # this process agrees with the first, but must not wait for one that does not
            raise RuntimeError(f"the shapes of the parameters of process {rank} differ from those of process 0")


class GradBucket:
    """Gradients that are exchanged together, as a communication hook sees them."""

    def __init__(self, index: int, parameters: list[Tensor], flat: Tensor, views: list[Tensor], last: bool) -> None:
        self._index = index
        self._parameters = parameters
        self._flat = flat
        self._views = views
        self._last = last

    def index(self) -> int:
        """The bucket's number; number 0 holds the last layers."""
        return self._index

    def buffer(self) -> Tensor:
        """All gradients, flat and one after another."""
        return self._flat

    def gradients(self) -> list[Tensor]:
        """A view of the buffer for each parameter, in its shape."""
        return self._views

    def parameters(self) -> list[Tensor]:
        """The parameters, in the order of their gradients."""
        return self._parameters

    def is_last(self) -> bool:
        """Whether it is the last bucket of the pass."""
        return self._last

    def set_buffer(self, buffer: Tensor) -> None:
        """Put another tensor of the same size into its place."""
        self._flat = buffer
        sizes = [parameter.numel() for parameter in self._parameters]
        parts = zip(buffer.split(sizes), self._parameters, strict=True)
        self._views = [part.view(parameter.shape) for part, parameter in parts]


class _Bucket:
    def __init__(self, index: int, members: list[int], params: list[Tensor], sparse: bool) -> None:
        self.index = index
        self.members = members
        self.params = params
        self.sparse = sparse
        self.sizes = [param.numel() for param in params]
        self.flat = params[0].new_zeros(0 if sparse else sum(self.sizes)).detach()
        self.views: list[Tensor] = []
        if not sparse:
            parts = zip(self.flat.split(self.sizes), params, strict=True)
            self.views = [part.view(param.shape) for part, param in parts]
        self.missing = 0
        self.future: Future | None = None
        self.work: Work | None = None


class Reducer:
    """Averages gradients over a group; ``DistributedDataParallel`` has one.

    ``prepare_for_backward(outputs)`` begins a pass. Gradients are divided by the group's size and summed, unless a
    communication hook does something else with the buckets.
    """

    def __init__(
        self,
        params: list[Tensor],
        bucket_indices: list[list[int]],
        per_bucket_size_limits: list[int],
        process_group: ProcessGroup,
        expect_sparse_gradients: list[bool] | None = None,
        bucket_bytes_cap: int = 25 << 20,
        find_unused_parameters: bool = False,
        gradient_as_bucket_view: bool = False,
        param_to_name_mapping: dict[int, str] | None = None,
        first_bucket_bytes_cap: int = _DEFAULT_FIRST_BUCKET_BYTES,
        skip_all_reduce_unused_params: bool = False,
    ) -> None:
        self.params = list(params)
        self.group = process_group
        self.find_unused = find_unused_parameters
        self.as_view = gradient_as_bucket_view
        self.names = param_to_name_mapping or {}
        self.skip_unused = skip_all_reduce_unused_params
        self.hook: Callable[[Any, GradBucket], Future] | None = None
        self.hook_state: Any = None
        self.divisor = process_group.size()
        self.static = False
        self._static_unused: set[int] | None = None
        sparse = expect_sparse_gradients or [False] * len(self.params)
        self.buckets = [
            _Bucket(index, members, [self.params[i] for i in members], sparse[members[0]])
            for index, members in enumerate(bucket_indices)
        ]
        self._place = {
            member: (bucket, at) for bucket in self.buckets for at, member in enumerate(bucket.members)
        }
        self._expecting = False  # of this pass: gradients are to be exchanged
        self._ready: set[int] = set()
        self._unused: set[int] = set()
        self._next = 0  # the bucket that goes next
        self._used_map: Tensor | None = None
        self._hooks = [
            param.register_post_accumulate_grad_hook(self._hook_for(index))  # type: ignore[attr-defined]
            for index, param in enumerate(self.params)
        ]

    def _hook_for(self, index: int) -> Callable[[Tensor], None]:
        def arrived(param: Tensor) -> None:
            if self._expecting:
                self._mark_ready(index)

        return arrived

    def _remove_autograd_hooks(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _set_static_graph(self) -> None:
        self.static = True

    def _register_hook(self, state: Any, hook: Callable[[Any, GradBucket], Future]) -> None:
        if self.hook is not None:
            raise RuntimeError("register_comm_hook or register_builtin_comm_hook can only be called once.")
        self.hook, self.hook_state = hook, state

    def prepare_for_forward(self) -> None:
        """Nothing is measured here; there for programs that call it."""

    def prepare_for_backward(self, outputs: Iterable[Tensor]) -> None:
        """Begin a pass that starts from ``outputs``; none have to be given where every parameter is used.

        Raises:
            RuntimeError: the pass before has not brought all gradients.
        """
        self._check_finished()
        self._expecting = True
        self._ready = set()
        self._next = 0
        self._used_map = None
        for bucket in self.buckets:
            bucket.missing = len(bucket.members)
            bucket.future = bucket.work = None
        if self.static and self._static_unused is not None:
            self._unused = self._static_unused
        elif self.find_unused or self.static:
            self._unused = self._not_reached(outputs)
            if self.static:
                self._static_unused = self._unused
        else:
            self._unused = set()
        for index in sorted(self._unused):
            self._mark_ready(index)

    def _not_reached(self, outputs: Iterable[Tensor]) -> set[int]:
        wanted = {id(param): index for index, param in enumerate(self.params)}
        nodes = [tensor.grad_fn for tensor in outputs if tensor.grad_fn is not None]
        for tensor in outputs:
            wanted.pop(id(tensor), None)
        seen = set(nodes)
        while nodes and wanted:
            node = nodes.pop()
            variable = getattr(node, "variable", None)
            if variable is not None:
                wanted.pop(id(variable), None)
            for following, _ in node.next_functions:
                if following is not None and following not in seen:
                    seen.add(following)
                    nodes.append(following)
        return set(wanted.values())

    def _check_finished(self) -> None:
        if not self._expecting or not self._ready - self._unused:
            return
        missing = [index for index in range(len(self.params)) if index not in self._ready]
        if not missing:
            return
        from ._options import DebugLevel, get_debug_level

        text = (
            "Expected to have finished reduction in the prior iteration before starting a new one. This error "
            "indicates that your module has parameters that were not used in producing loss. "
        )
        if not self.find_unused:
            text += (
                "You can enable unused parameter detection by passing the keyword argument "
                "`find_unused_parameters=True` to `torch.nn.parallel.DistributedDataParallel`, and by \n"
            )
        text += (
            "making sure all `forward` function outputs participate in calculating loss. \n"
            "If you already have done the above, then the distributed data parallel module wasn't able to locate the "
            "output tensors in the return value of your module's `forward` function. Please include the loss function "
            "and the structure of the return value of `forward` of your module when reporting this issue (e.g. list, "
            "dict, iterable).\n"
            f"Parameter indices which did not receive grad for rank {self.group.rank()}: "
            f"{' '.join(map(str, missing))}\n"
        )
        if get_debug_level() is DebugLevel.OFF:
            text += (
                " In addition, you can set the environment variable TORCH_DISTRIBUTED_DEBUG to either INFO or DETAIL "
                "to print out information about which particular parameters did not receive gradient on this rank as "
                "part of this error"
            )
        else:
            text += "Parameters: " + ", ".join(self.names.get(index, str(index)) for index in missing)
        self._expecting = False
        raise RuntimeError(text)

    def _mark_ready(self, index: int) -> None:
        if index in self._ready:
            self._expecting = False
            raise RuntimeError(
                f"Expected to mark a variable ready only once: parameter at index {index} "
                f"{self.names.get(index, '')} has been marked as ready twice. Its gradient comes in several backward "
                "passes, as with reentrant checkpointing, or it is shared by several modules that are checkpointed"
            )
        self._ready.add(index)
        bucket, at = self._place[index]
        if bucket.sparse:
            self._take_sparse(bucket, index)
        else:
            self._take(bucket, at, index)
        bucket.missing -= 1
        if bucket.missing == 0:
            while self._next < len(self.buckets) and self.buckets[self._next].missing == 0:
                self._send(self.buckets[self._next])
                self._next += 1
        if len(self._ready) == len(self.params):
            self._finish()

    def _take_sparse(self, bucket: _Bucket, index: int) -> None:
        grad = self.params[index].grad
        with torch.no_grad():
            if grad is None:
                param = self.params[index]
                empty = torch.zeros(1, 0, dtype=torch.int64)
                grad = torch.sparse_coo_tensor(empty, param.new_zeros(0, *param.shape[1:]), param.shape)
            bucket.flat = grad.detach().coalesce()
            if self.hook is None:
                bucket.flat = bucket.flat / self.divisor

    def _take(self, bucket: _Bucket, at: int, index: int) -> None:
        """Put a gradient into its bucket, divided by what the sum will be too large by."""
        view, param = bucket.views[at], self.params[index]
        grad = param.grad
        with torch.no_grad():
            if grad is None or index in self._unused:
                view.zero_()  # what earlier passes left stays out of this one's exchange
                return
            if grad.data_ptr() != view.data_ptr():
                if self.hook is None:
                    torch.mul(grad.detach(), 1.0 / self.divisor, out=view)
                else:
                    view.copy_(grad.detach())
                if self.as_view:
                    param.grad = view
            elif self.hook is None:
                view.mul_(1.0 / self.divisor)

    def _send(self, bucket: _Bucket) -> None:
        if self.hook is not None:
            last = bucket.index == len(self.buckets) - 1
            seen = GradBucket(bucket.index, bucket.params, bucket.flat, bucket.views, last)
            bucket.future = self.hook(self.hook_state, seen)
            if not hasattr(bucket.future, "wait"):
                raise RuntimeError(
                    "Expected the communication hook to return a torch.futures.Future, but got "
                    f"{type(bucket.future).__name__}"
                )
            return
        if self.group.size() > 1:
            bucket.work = self.group.allreduce([bucket.flat])

    def _finish(self) -> None:
        """All gradients of this process are there: wait for the others', and hand the sums out."""
        self._expecting = False
        used = None
        if self.find_unused and not self.static and self.group.size() > 1:
            used = torch.ones(len(self.params), dtype=torch.int32)
            used[list(self._unused)] = 0
            self.group.allreduce([used]).wait()
        with torch.no_grad():
            for bucket in self.buckets:
                if bucket.work is not None:
                    bucket.work.wait()
                if bucket.future is not None:
                    self._put_back(bucket, bucket.future.wait())
                self._hand_out(bucket, used)

    def _put_back(self, bucket: _Bucket, result: Any) -> None:
        if isinstance(result, (list, tuple)):
            result = result[0]
        if bucket.sparse:
            bucket.flat = result
        elif result.data_ptr() != bucket.flat.data_ptr():
            bucket.flat.copy_(result.reshape(-1))

    def _hand_out(self, bucket: _Bucket, used: Tensor | None) -> None:
        if bucket.sparse:
            self.params[bucket.members[0]].grad = bucket.flat
            return
        for view, index in zip(bucket.views, bucket.members, strict=True):
            if index in self._unused and (used is None or not used[index]):
                continue  # nobody used it: its gradient stays what it was
            param = self.params[index]
            if self.as_view:
                param.grad = view
            elif param.grad is None:
                param.grad = view.clone()
            else:
                param.grad.detach().copy_(view)

    def zeros(self) -> list[Tensor]:
        """A tensor for each bucket, as those have that exchange nothing of their own."""
        return [torch.zeros_like(bucket.flat) for bucket in self.buckets]

    def join_in(self) -> None:
        """Exchange zeros, for a process that has no more inputs."""
        works = []
        for bucket in self.buckets:
            flat = torch.zeros_like(bucket.flat)
            if self.hook is not None:
                last = bucket.index == len(self.buckets) - 1
                sizes = zip(flat.split(bucket.sizes), bucket.params, strict=True)
                views = [part.view(param.shape) for part, param in sizes]
                works.append(self.hook(self.hook_state, GradBucket(bucket.index, bucket.params, flat, views, last)))
            else:
                works.append(self.group.allreduce([flat]))  # type: ignore[arg-type]
        if self.find_unused and not self.static:
            used = torch.zeros(len(self.params), dtype=torch.int32)
            works.append(self.group.allreduce([used]))  # type: ignore[arg-type]
        for work in works:
            work.wait()


class Logger:
    """Facts about a ``DistributedDataParallel`` module, for those who look for what is slow."""

    def __init__(self, reducer: Reducer) -> None:
        self._reducer = reducer
        self._data: dict[str, Any] = {}

    def set_construction_data_and_log(self, module_name: str, *args: Any) -> None:
        """Note what the module was made with."""
        reducer = self._reducer
        self._data = {
            "module_name": module_name,
            "world_size": reducer.group.size(),
            "rank": reducer.group.rank(),
            "backend_name": reducer.group.name(),
            "num_parameter_tensors": len(reducer.params),
            "total_parameter_size_bytes": sum(p.numel() * p.element_size() for p in reducer.params),
            "bucket_sizes": ", ".join(str(b.flat.numel() * b.flat.element_size()) for b in reducer.buckets),
            "find_unused_parameters": int(reducer.find_unused),
            "gradient_as_bucket_view": int(reducer.as_view),
        }

    def _set_comm_hook_name(self, name: str) -> None:
        self._data["comm_hook"] = name

    def _set_static_graph(self) -> None:
        self._data["static_graph"] = 1

    def _get_ddp_logging_data(self) -> dict[str, Any]:
        return dict(self._data)


for _kind in (GradBucket, Logger, Reducer):
    _kind.__module__ = "torch._C._distributed_c10d"


def _register_comm_hook(reducer: Reducer, state: Any, hook: Callable[[Any, GradBucket], Future]) -> None:
    """Have a hook exchange the buckets."""
    reducer._register_hook(state, hook)


def _register_builtin_comm_hook(reducer: Reducer, kind: BuiltinCommHookType) -> None:
    """Have one of the hooks that are built in exchange the buckets."""
    from .algorithms.ddp_comm_hooks.default_hooks import allreduce_hook, fp16_compress_hook

    hook = allreduce_hook if kind is BuiltinCommHookType.ALLREDUCE else fp16_compress_hook
    reducer._register_hook(reducer.group, hook)
