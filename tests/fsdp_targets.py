"""What tests of parameters in pieces run in several processes."""

import pytest
from ddp_targets import batches, network, train_alone
from distributed_targets import start

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import (
    FSDPModule,
    FullStateDictConfig,
    FullyShardedDataParallel,
    MixedPrecision,
    MixedPrecisionPolicy,
    ShardingStrategy,
    StateDictType,
    fully_shard,
)
from torch.distributed.fsdp.wrap import ModuleWrapPolicy, size_based_auto_wrap_policy
from torch.distributed.tensor import DTensor, Shard


def fsdp(rank, size, path):
    start(rank, size, path)
    for check in (in_place, accumulation, precision, meshes, wrapped):
        check(rank, size)
        dist.barrier()
    dist.destroy_process_group()


def sharded(**options):
    model = network()
    for layer in model[:3:2]:
        fully_shard(layer, **options)
    return fully_shard(model, **options)


def in_place(rank, size):
    inputs = batches(4, size)
    alone = network()
    train_alone(alone, inputs)
    model = sharded()
    assert isinstance(model, FSDPModule) and isinstance(model, nn.Sequential)
    assert type(model).__name__ == "FSDPSequential"
    for name, param in model.named_parameters():
        assert isinstance(param, DTensor) and param.placements == (Shard(0),), name
    assert model[0].weight.to_local().shape[0] < 8
    train_alone(model, [x.chunk(size)[rank] for x in inputs])
    for a, b in zip(model.parameters(), alone.parameters(), strict=True):
        assert isinstance(a, DTensor) and torch.allclose(a.full_tensor(), b)
    found = model.state_dict()
    assert list(found) == list(alone.state_dict()) and isinstance(found["0.weight"], DTensor)
    model.unshard()
    assert not isinstance(model[4].weight, DTensor) and model[4].weight.shape == (3, 8)
    model.reshard()
    with torch.no_grad():
        assert torch.allclose(model(inputs[0]), alone(inputs[0]))
    with pytest.raises(ValueError, match="containers"):
        fully_shard(nn.ModuleList([nn.Linear(2, 2)]))


def accumulation(rank, size):
    (x,) = batches(1, size)
    alone = network()
    alone(x).square().sum().backward()
    model = sharded()
    parts = x.chunk(size)[rank].chunk(2)
    model.set_requires_gradient_sync(False)
    model(parts[0]).square().sum().backward()
    assert model[0].weight.grad is None
    model.set_requires_gradient_sync(True)
    model(parts[1]).square().sum().backward()
    for a, b in zip(model.parameters(), alone.parameters(), strict=True):
        assert torch.allclose(a.grad.full_tensor() * size, b.grad)
    total = nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    wanted = nn.utils.clip_grad_norm_(alone.parameters(), 0.1) / size
    assert torch.allclose(total.full_tensor(), wanted)


def precision(rank, size):
    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, output_dtype=torch.float32)
    model = fully_shard(nn.Linear(4, 2), mp_policy=policy)
    seen = []
    model.register_forward_hook(lambda part, args, out: seen.append((args[0].dtype, part.weight.dtype)), prepend=True)
    out = model(torch.ones(1, 4))
    out.sum().backward()
    assert seen == [(torch.bfloat16, torch.bfloat16)] and out.dtype is torch.float32
    assert model.weight.grad.dtype is torch.float32
    assert torch.equal(model.weight.grad.full_tensor(), torch.ones(2, 4))


def meshes(rank, size):
    """Copies of pieces."""
    mesh = dist.init_device_mesh("cpu", (size, 1), mesh_dim_names=("copies", "pieces"))
    inputs = batches(3, size)
    alone = network()
    train_alone(alone, inputs)
    model = sharded(mesh=mesh)
    train_alone(model, [x.chunk(size)[rank] for x in inputs])
    for a, b in zip(model.parameters(), alone.parameters(), strict=True):
        assert torch.allclose(a.full_tensor(), b)


def wrapped(rank, size):
    inputs = batches(4, size)
    alone = network()
    train_alone(alone, inputs)
    for options in (
        {},
        {"auto_wrap_policy": ModuleWrapPolicy({nn.Linear}), "sync_module_states": True},
        {"sharding_strategy": ShardingStrategy.NO_SHARD},
        {"auto_wrap_policy": lambda module, recurse, nonwrapped_numel: size_based_auto_wrap_policy(
            module, recurse, nonwrapped_numel, min_num_params=50)},
    ):  # fmt: skip
        model = network()
        if rank and "sync_module_states" in options:
            nn.init.zeros_(model[0].weight)
        model = FullyShardedDataParallel(model, **options)
        if isinstance(options.get("auto_wrap_policy"), ModuleWrapPolicy):
            assert len(model.fsdp_modules(model)) == 4 and len(model.fsdp_modules(model, root_only=True)) == 1
        train_alone(model, [x.chunk(size)[rank] for x in inputs])
        whole = model.state_dict()
        assert list(whole) == list(alone.state_dict())
        for name, value in alone.state_dict().items():
            assert torch.allclose(whole[name], value), name
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    plain = torch.optim.Adam(alone.parameters(), lr=0.1)
    model.zero_grad()
    model(inputs[0].chunk(size)[rank]).square().mean().backward()
    alone.zero_grad()
    alone(inputs[0]).square().mean().backward()
    optimizer.step()
    plain.step()
    states = FullyShardedDataParallel.full_optim_state_dict(model, optimizer, rank0_only=False)
    assert torch.allclose(states["state"]["0.weight"]["exp_avg"], plain.state[alone[0].weight]["exp_avg"])
    other = FullyShardedDataParallel(network())
    again = torch.optim.Adam(other.parameters(), lr=0.5)
    again.load_state_dict(FullyShardedDataParallel.optim_state_dict_to_load(other, again, states))
    assert again.param_groups[0]["lr"] == 0.1
    other.load_state_dict(model.state_dict())
    with FullyShardedDataParallel.state_dict_type(other, StateDictType.SHARDED_STATE_DICT):
        assert isinstance(other.state_dict()["0.weight"], DTensor)
    config = FullStateDictConfig(rank0_only=True)
    with FullyShardedDataParallel.state_dict_type(other, StateDictType.FULL_STATE_DICT, config):
        assert bool(other.state_dict()) == (rank == 0)
    with FullyShardedDataParallel.summon_full_params(other):
        assert other.module[0].weight.shape == (8, 6)
        nn.init.ones_(other.module[0].weight)
    assert torch.equal(other.state_dict()["0.weight"], torch.ones(8, 6, dtype=torch.float64))
    low = FullyShardedDataParallel(nn.Linear(4, 2), mixed_precision=MixedPrecision(torch.bfloat16))
    assert low(torch.ones(1, 4)).dtype is torch.bfloat16
