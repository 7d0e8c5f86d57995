"""What tests of checkpoints run in several processes."""

import pytest
from ddp_targets import network
from distributed_targets import start

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_state_dict,
)
from torch.distributed.tensor import Replicate, Shard, distribute_tensor


def checkpoints(rank, size, path):
    start(rank, size, f"{path}/meet")
    mesh = dist.init_device_mesh("cpu", (size,))
    x = torch.arange(15.0).view(5, 3)
    saved = {"a": distribute_tensor(x, mesh, [Shard(0)]), "b": distribute_tensor(x, mesh, [Replicate()]), "step": 3}
    dcp.save(saved, checkpoint_id=f"{path}/ck")
    # read back otherwise than it was written
    other = {"a": distribute_tensor(x * 0, mesh, [Shard(1)]), "b": torch.zeros(5, 3), "step": 0}
    dcp.load(other, checkpoint_id=f"{path}/ck")
    assert torch.equal(other["a"].full_tensor(), x) and torch.equal(other["b"], x) and other["step"] == 3
    with pytest.raises(dcp.CheckpointException, match="Missing key in checkpoint state_dict: c"):
        dcp.load({"c": torch.ones(1)}, checkpoint_id=f"{path}/ck")
    with pytest.raises(dcp.CheckpointException, match="Size mismatch"):
        dcp.load({"b": torch.ones(1)}, checkpoint_id=f"{path}/ck")
    partial = {"c": torch.ones(1), "step": 0}
    planner = dcp.DefaultLoadPlanner(allow_partial_load=True)
    dcp.load(partial, checkpoint_id=f"{path}/ck", planner=planner)
    assert partial == {"c": torch.ones(1), "step": 3}
    # in the background
    later = dcp.async_save({"t": x.clone()}, checkpoint_id=f"{path}/later", process_group=dist.new_group())
    later.result()
    # a model and its optimizer, in pieces
    model = network()
    for module in model:
        for key, param in list(module.named_parameters(recurse=False)):
            setattr(module, key, nn.Parameter(distribute_tensor(param.detach(), mesh, [Shard(0)])))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    inputs = distribute_tensor(torch.ones(2, 6).double(), mesh, [Replicate()])
    model(inputs).sum().backward()
    optimizer.step()
    weights, states = get_state_dict(model, optimizer)
    dcp.save({"model": weights, "optim": states}, checkpoint_id=f"{path}/model")
    fresh = network()
    again = torch.optim.Adam(fresh.parameters(), lr=0.5)
    weights, states = get_state_dict(fresh, again)
    loaded = {"model": weights, "optim": states}
    dcp.load(loaded, checkpoint_id=f"{path}/model")
    set_state_dict(fresh, again, model_state_dict=loaded["model"], optim_state_dict=loaded["optim"])
    assert again.param_groups[0]["lr"] == 0.1
    for (name, a), b in zip(fresh.named_parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b.full_tensor()), name
        assert torch.equal(again.state[a]["exp_avg"], optimizer.state[b]["exp_avg"].full_tensor())
    reader = dcp.FileSystemReader(f"{path}/model")
    early = dcp.load_sharded_optimizer_state_dict(model.state_dict(), "optim", reader)
    first = early["optim"]["state"]["0.weight"]["exp_avg"]
    assert first.placements == (Shard(0),)
    assert torch.equal(first.full_tensor(), again.state[fresh[0].weight]["exp_avg"])
    # as safetensors, in pieces and then whole
    for consolidates in (False, True):
        folder = f"{path}/hf{consolidates}"
        writer = dcp.HuggingFaceStorageWriter(folder, save_distributed=True, enable_consolidation=consolidates)
        dcp.save({"a": saved["a"]}, storage_writer=writer)
        dist.barrier()
        other = {"a": torch.zeros(5, 3)}
        dcp.load(other, storage_reader=dcp.HuggingFaceStorageReader(folder))
        assert torch.equal(other["a"], x)
    whole = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    assert (list(whole) == list(fresh.state_dict())) == (rank == 0)
    flat = get_optimizer_state_dict(model, optimizer, options=StateDictOptions(flatten_optimizer_state_dict=True))
    assert "state.0.weight.exp_avg" in flat and flat["param_groups.4.bias.lr"] == 0.1
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(model, {k: v * 2 for k, v in whole.items()}, options=options)
    assert torch.equal(model[0].weight.full_tensor(), fresh[0].weight * 2)
    dist.destroy_process_group()
