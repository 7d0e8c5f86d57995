"""What tests of ``DistributedDataParallel`` and its like run in several processes."""

import copy

import pytest
from distributed_targets import start

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def batches(count, size):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(4 * size, 6, dtype=torch.float64, generator=generator) for _ in range(count)]


def train_alone(model, inputs, **options):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x in inputs:
        optimizer.zero_grad(**options)
        model(x).square().mean().backward()
        optimizer.step()


def train_together(model, inputs, rank, size, **options):
    train_alone(model, [x.chunk(size)[rank] for x in inputs], **options)


def same(model, other):
    assert all(torch.allclose(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def ddp(rank, size, path):
    start(rank, size, path)
    for check in (
        like_one_process, accumulation, unused_parameters, hooks, buffers, uneven_inputs, batch_norm, differing_models,
        sparse_gradients, averaging, spread_optimizer, collectives_with_derivatives,
    ):  # fmt: skip
        check(rank, size)
        dist.barrier()
    dist.destroy_process_group()


def like_one_process(rank, size):
    inputs = batches(4, size)
    alone = network()
    train_alone(alone, inputs)
    for options in (
        {},
        {"gradient_as_bucket_view": True},
        {"static_graph": True},
        {"find_unused_parameters": True},
        {"bucket_cap_mb": 0.0002},
    ):
        torch.manual_seed(rank)
        model = network()
        if rank:  # the first process's parameters are everybody's
            nn.init.zeros_(model[0].weight)
        model = DDP(model, **options)
        if "bucket_cap_mb" in options:
            assert len(model.reducer.buckets) > 2
        for to_none in (True, False):
            trained = copy.deepcopy(model.module)
            both = DDP(trained, **options)
            train_together(both, inputs, rank, size, set_to_none=to_none)
            same(trained, alone)
        found = [torch.zeros_like(trained[4].weight) for _ in range(size)]
        dist.all_gather(found, trained[4].weight.detach())
        assert all(torch.equal(one, found[0]) for one in found)


def accumulation(rank, size):
    (x,) = batches(1, size)
    alone = network()
    alone(x).square().sum().backward()
    model = DDP(network())
    parts = x.chunk(size)[rank].chunk(2)
    with model.no_sync():
        model(parts[0]).square().sum().backward()
    local = model.module[0].weight.grad.clone()
    model(parts[1]).square().sum().backward()
    for a, b in zip(model.parameters(), alone.parameters(), strict=True):
        assert torch.allclose(a.grad * size, b.grad)
    assert not torch.allclose(local, model.module[0].weight.grad)
    with torch.no_grad():
        assert torch.equal(model(x), model.module(x))


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.a, self.b, self.c = (nn.Linear(2, 2) for _ in range(3))

    def forward(self, x, which):
        return {"out": [(self.a if which == 0 else self.b)(x)]}


def unused_parameters(rank, size):
    x = torch.ones(1, 2)
    model = DDP(Branches(), find_unused_parameters=True)
    model(x, rank % 2)["out"][0].sum().backward()
    # half of the processes use a, the others b, nobody c
    users = [(size + 1) // 2, size // 2]
    assert torch.allclose(model.module.a.weight.grad, torch.ones(2, 2) * users[0] / size)
    assert torch.allclose(model.module.b.weight.grad, torch.ones(2, 2) * users[1] / size)
    assert model.module.c.weight.grad is None
    model.zero_grad()
    model(x, 0)["out"][0].sum().backward()
    assert model.module.b.weight.grad is None
    model = DDP(Branches())
    model(x, 0)["out"][0].sum().backward()
    with pytest.raises(RuntimeError, match=r"(?s)Expected to have finished reduction.*did not receive grad.*: 2 3 4 5"):
        model(x, 0)


def hooks(rank, size):
    from torch.distributed.algorithms.ddp_comm_hooks import DDPCommHookType, default_hooks, register_ddp_comm_hook
    from torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook

    inputs = batches(3, size)
    alone = network()
    train_alone(alone, inputs)
    seen = []

    def own(state, bucket: dist.GradBucket) -> torch.futures.Future:
        seen.append((state, bucket.index(), len(bucket.gradients()), bucket.is_last()))
        return default_hooks.allreduce_hook(None, bucket)

    model = DDP(network())
    model.register_comm_hook("mine", own)
    train_together(model, inputs, rank, size)
    same(model.module, alone)
    assert seen == [("mine", 0, 6, True)] * 3
    with pytest.raises(RuntimeError, match="can only be called once"):
        model.register_comm_hook(None, own)
    with pytest.raises(TypeError, match="must be callable"):
        model.register_comm_hook(None, 3)
    for kind in (DDPCommHookType.FP16_COMPRESS, DDPCommHookType.BF16_COMPRESS):
        model = DDP(network())
        register_ddp_comm_hook(kind, model)
        train_together(model, inputs, rank, size)
        for a, b in zip(model.parameters(), alone.parameters(), strict=True):
            assert torch.allclose(a, b, atol=5e-3) and not torch.equal(a, b)
    model = DDP(network())
    model._register_builtin_comm_hook(dist.BuiltinCommHookType.ALLREDUCE)
    train_together(model, inputs, rank, size)
    same(model.module, alone)
    # matrices of rank 1 are sent whole by one thin matrix: each part of the batch has one row here
    wide = nn.Linear(40, 40, bias=False).double()
    nn.init.ones_(wide.weight)
    model = DDP(wide)
    state = PowerSGDState(None, matrix_approximation_rank=2, start_powerSGD_iter=2)
    model.register_comm_hook(state, powerSGD_hook)
    rows = torch.randn(size, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    for _ in range(8):
        model.zero_grad()
        model(rows[rank : rank + 1]).mul(torch.arange(40.0)).sum().backward()
    expected = torch.outer(torch.arange(40.0, dtype=torch.float64), rows.mean(0))
    assert torch.allclose(wide.weight.grad, expected, atol=1e-6)
    assert state.compression_stats()[0] > 5


def buffers(rank, size):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    both = DDP(model)
    both(torch.full((4, 2), float(rank)) + torch.arange(8.0).view(4, 2))
    first = [t.clone() for t in model.buffers()]
    both(torch.zeros(4, 2))  # the first process's buffers come before the forward pass
    dist.broadcast(first[0], 0)
    expected = 0.9 * first[0] + 0.1 * model[0](torch.zeros(4, 2)).mean(0)
    assert torch.allclose(model[1].running_mean, expected)


def uneven_inputs(rank, size):
    from torch.distributed.algorithms.join import Join

    model = DDP(nn.Linear(1, 1, bias=False))
    nn.init.ones_(model.module.weight)
    with model.join():
        for _ in range(2 + rank):
            model.zero_grad()
            model(torch.ones(1, 1)).sum().backward()
            grads = model.module.weight.grad.item()
    assert grads == pytest.approx((1.0 if rank == 0 else size - rank) / size if rank else 1.0)
    with model.join(divide_by_initial_world_size=False):
        for _ in range(1 + rank):
            model.zero_grad()
            model(torch.ones(1, 1)).sum().backward()
            assert model.module.weight.grad.item() == pytest.approx(1.0)
    with pytest.raises(RuntimeError, match="exhausted"):
        with model.join(throw_on_early_termination=True):
            for _ in range(1 + rank):
                model(torch.ones(1, 1)).sum().backward()
    with pytest.raises(TypeError):
        Join([3])


def batch_norm(rank, size):
    """Statistics over the joined batch."""
    torch.manual_seed(7)
    x = torch.randn(3 * size + 1, 4, 2, dtype=torch.float64)
    alone = nn.BatchNorm1d(4).double()
    y = x.clone().requires_grad_()
    (alone(y) ** 3).sum().backward()
    model = nn.SyncBatchNorm.convert_sync_batchnorm(nn.BatchNorm1d(4)).double()
    assert isinstance(model, nn.SyncBatchNorm)
    part = x.tensor_split(size)[rank].clone().requires_grad_()
    (model(part) ** 3).sum().backward()
    assert torch.allclose(model.running_mean, alone.running_mean)
    assert torch.allclose(model.running_var, alone.running_var)
    assert torch.allclose(part.grad, y.grad.tensor_split(size)[rank])
    total = model.weight.grad.clone()
    dist.all_reduce(total)
    assert torch.allclose(total, alone.weight.grad)


def differing_models(rank, size):
    with pytest.raises(RuntimeError, match="differ from those of process 0" if rank == 0 else "appears not to match"):
        DDP(nn.Linear(2, 2 + rank))
    with pytest.raises(RuntimeError, match="DDP expects same model across all ranks"):
        DDP(nn.Linear(2, 2, bias=rank == 0))


def sparse_gradients(rank, size):
    model = DDP(nn.Embedding(6, 2, sparse=True))
    model(torch.tensor([rank, 5])).sum().backward()
    grad = model.module.weight.grad
    assert grad.is_sparse
    expected = torch.zeros(6, 2)
    expected[:size] = 1 / size
    expected[5] = 1
    assert torch.allclose(grad.to_dense(), expected)


def averaging(rank, size):
    from torch.distributed.algorithms.model_averaging.averagers import PeriodicModelAverager
    from torch.distributed.optim import PostLocalSGDOptimizer

    weight = nn.Parameter(torch.full((2,), float(rank)))
    averager = PeriodicModelAverager(period=2, warmup_steps=1)
    optimizer = PostLocalSGDOptimizer(torch.optim.SGD([weight], lr=1.0), averager)
    middle = (size - 1) / 2
    for step, expected in enumerate((rank, middle, middle, middle)):
        weight.grad = torch.zeros(2)
        optimizer.step()
        assert torch.allclose(weight, torch.full((2,), float(expected))), step
    assert optimizer.state_dict()["step"] == 4


def spread_optimizer(rank, size):
    from torch.distributed.optim import ZeroRedundancyOptimizer

    def train(model, optimizer, inputs, part):
        for x in inputs:
            optimizer.zero_grad()
            model(part(x)).square().mean().backward()
            optimizer.step()

    inputs = batches(4, size)
    alone = network()
    plain = torch.optim.Adam(alone.parameters(), lr=0.01)
    train(alone, plain, inputs, lambda x: x)
    model = DDP(network())
    spread = ZeroRedundancyOptimizer(model.parameters(), torch.optim.Adam, lr=0.01)
    train(model, spread, inputs, lambda x: x.chunk(size)[rank])
    same(model, alone)
    assert 0 < len(spread.optim.state) < 6
    spread.consolidate_state_dict(to=1)
    if rank != 1:
        with pytest.raises(RuntimeError, match="has not been consolidated"):
            spread.state_dict()
    shared = [spread.state_dict() if rank == 1 else None]
    dist.broadcast_object_list(shared, 1)
    plain.load_state_dict(shared[0])
    again = ZeroRedundancyOptimizer(model.parameters(), torch.optim.Adam, lr=1.0)
    again.load_state_dict(shared[0])
    assert again.param_groups[0]["lr"] == 0.01
    train(alone, plain, inputs, lambda x: x)
    train(model, again, inputs, lambda x: x.chunk(size)[rank])
    same(model, alone)


def collectives_with_derivatives(rank, size):
    """The gradient of the processes' sum of losses is what each gets: by central differences."""
    import torch.distributed.nn.functional as F

    weights = [torch.arange(1.0, 5.0).double() * (other + 1) for other in range(size)]
    values = [torch.linspace(-1, 1, 4).double() + other for other in range(size)]

    def losses(name, x):
        w = weights[rank]
        if name == "all_reduce":
            return F.all_reduce(x) @ w
        if name == "all_gather":
            return sum((part @ w) * (index + 1) for index, part in enumerate(F.all_gather(x)))
        if name == "broadcast":
            return F.broadcast(x, 1) @ w
        if name == "reduce":
            out = F.reduce(x * 2, 1)
            return out @ w if rank == 1 else out.sum() * 0
        if name == "reduce_scatter":
            parts = [x * (index + 1) for index in range(size)]
            return F.reduce_scatter(torch.empty_like(x), parts) @ w
        if name == "gather":
            return sum((part @ w) * (index + 1) for index, part in enumerate(F.gather(x, 1)))
        if name == "scatter":
            return F.scatter([x * (index + 1) for index in range(size)], 0) @ w
        if name == "all_to_all":
            parts = [x * (index + 1) for index in range(size)]
            places = [torch.empty_like(part) for part in parts]
            return sum((part @ w) * (index + 2) for index, part in enumerate(F.all_to_all(places, parts)))
        mine = torch.cat([x * (index + 1) for index in range(size)])
        return F.all_to_all_single(torch.empty_like(mine), mine) @ w.repeat(size)

    for name in (
        "all_reduce", "all_gather", "broadcast", "reduce", "reduce_scatter", "gather", "scatter", "all_to_all",
        "all_to_all_single",
    ):  # fmt: skip
        x = values[rank].clone().requires_grad_()
        losses(name, x).backward()
        for index in range(4):
            for owner in range(size):
                found = []
                for step in (0.5, -0.5):  # everything is linear, so the step may be large
                    y = values[rank].clone()
                    if rank == owner:
                        y[index] += step
                    total = losses(name, y).detach()
                    dist.all_reduce(total)
                    found.append(total)
                if rank == owner:
                    assert torch.allclose(found[0] - found[1], x.grad[index]), (name, rank)
