"""What tests of distributed tensors run in several processes."""

import itertools

import pytest
from ddp_targets import network
from distributed_targets import start

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import (
    DTensor,
    Partial,
    Replicate,
    Shard,
    distribute_module,
    distribute_tensor,
    ones,
    randn,
    zeros,
)  # fmt: skip
from torch.nn import functional as F


def dtensor(rank, size, path):
    start(rank, size, path)
    for check in (lying_otherwise, operations, gradients, training, factories_and_errors, tensor_parallel):
        check(rank, size)
        dist.barrier()
    dist.destroy_process_group()


def meshes(size):
    yield dist.init_device_mesh("cpu", (size,))
    if size == 4:
        yield dist.init_device_mesh("cpu", (2, 2), mesh_dim_names=("a", "b"))


def lying_otherwise(rank, size):
    """Every placement to every other, of lengths that do and do not divide."""
    for mesh in meshes(size):
        choices = [Replicate(), Shard(0), Shard(1)]
        for shape in ((8, 4), (5, 3), (1, 7)):
            x = torch.arange(float(shape[0] * shape[1])).view(shape)
            every = list(itertools.product(choices, repeat=mesh.ndim))
            for source, target in itertools.product(every, every):
                d = distribute_tensor(x, mesh, source)
                moved = d.redistribute(placements=target)
                direct = distribute_tensor(x, mesh, target)
                assert moved.placements == target and moved.shape == x.shape
                assert torch.equal(moved.to_local(), direct.to_local()), (source, target, shape)
            whole = torch.full(shape, rank + 1.0)
            part = DTensor.from_local(whole, mesh, [Partial()] * mesh.ndim)
            assert torch.equal(part.full_tensor(), torch.full(shape, size * (size + 1) / 2))
            for target in every:
                again = part.redistribute(placements=target)
                assert torch.equal(again.full_tensor(), part.full_tensor())


OPERATIONS = [
    lambda x, y: x + y, lambda x, y: x * 2 - y / 3, lambda x, y: (x * y).relu().sigmoid(), lambda x, y: x.sum(),
    lambda x, y: x.sum(0), lambda x, y: x.mean(1, keepdim=True), lambda x, y: x.mean(), lambda x, y: x.amax(0),
    lambda x, y: x.t() @ y, lambda x, y: x @ y.t(), lambda x, y: x.t().reshape(-1), lambda x, y: x.view(2, 4, 4),
    lambda x, y: x.softmax(1), lambda x, y: x.log_softmax(0), lambda x, y: F.layer_norm(x, (4,)), lambda x, y: x[2:5],
    lambda x, y: x[:, 1], lambda x, y: torch.cat([x, y], 1), lambda x, y: x.max(), lambda x, y: x.var(0),
    lambda x, y: x.unsqueeze(1).expand(8, 3, 4), lambda x, y: x.sort(0)[0], lambda x, y: x.pow(2).sum().sqrt(),
    lambda x, y: torch.where(x > y, x, y), lambda x, y: F.gelu(x), lambda x, y: x.norm(), lambda x, y: x.cumsum(0),
    lambda x, y: torch.stack(x.split(2)), lambda x, y: x.permute(1, 0).contiguous(), lambda x, y: x.abs().prod(1),
    lambda x, y: F.cross_entropy(x, torch.zeros_like(x).softmax(1)), lambda x, y: x.clone().mul_(2).add_(y),
    lambda x, y: torch.einsum("ij,kj->ik", x, y), lambda x, y: x.masked_fill(y > 0, 1.0), lambda x, y: x.std(),
    lambda x, y: torch.bmm(x.view(2, 4, 4), y.view(2, 4, 4)), lambda x, y: F.silu(x) * x.tanh(), lambda x, y: -x + 1,
]  # fmt: skip


def operations(rank, size):
    generator = torch.Generator().manual_seed(3)
    x, y = (torch.randn(8, 4, dtype=torch.float64, generator=generator) for _ in range(2))
    for mesh in meshes(size):
        choices = [Replicate(), Shard(0), Shard(1)] if mesh.ndim == 1 else [Replicate(), Shard(0)]
        every = list(itertools.product(choices, repeat=mesh.ndim))
        for number, function in enumerate(OPERATIONS):
            if size == 4 and (number + mesh.ndim) % 4:
                continue  # a sample: two processes go through all of them
            a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
            expected = function(a, b)
            expected.square().sum().backward()
            for first, second in itertools.product(every, every):
                p = distribute_tensor(x, mesh, first).requires_grad_()
                q = distribute_tensor(y, mesh, second).requires_grad_()
                result = function(p, q)
                assert isinstance(result, DTensor) and result.shape == expected.shape, number
                assert torch.allclose(result.full_tensor(), expected), (number, first, second)
                result.square().sum().backward()
                for ours, plain in ((p, a), (q, b)):
                    if plain.grad is not None:
                        assert torch.allclose(ours.grad.full_tensor(), plain.grad), (number, first, second)
    # results keep their pieces where they can
    (mesh, *_) = meshes(size)
    p = distribute_tensor(x, mesh, [Shard(0)])
    assert (p * 2).placements == (Shard(0),) and p.t().placements == (Shard(1),)
    assert p.sum().placements == (Partial(),) and p.sum(1).placements == (Shard(0),)
    assert (p @ torch.zeros_like(p).t().redistribute(placements=[Replicate()])).placements == (Shard(0),)


def gradients(rank, size):
    (mesh, *_) = meshes(size)
    local = torch.full((2, 3), rank + 1.0, requires_grad=True)
    whole = DTensor.from_local(local, mesh, [Shard(0)])
    assert whole.shape == (2 * size, 3)
    back = whole.redistribute(placements=[Replicate()]).to_local()
    (back * torch.arange(2.0 * size).view(-1, 1)).sum().backward()
    assert torch.equal(local.grad[:, 0], torch.tensor([2.0 * rank, 2.0 * rank + 1]))


def training(rank, size):
    """Training with parameters in pieces is training with whole ones."""
    (mesh, *_) = meshes(size)
    torch.manual_seed(0)
    x = torch.randn(8, 6, dtype=torch.float64)
    for kind, options in (
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (torch.optim.Adam, {"lr": 0.01}),
        (torch.optim.AdamW, {"lr": 0.01, "foreach": True}),
    ):
        plain, spread = network(), network()

        def cut(name, module, mesh):
            for key, param in list(module.named_parameters(recurse=False)):
                setattr(module, key, nn.Parameter(distribute_tensor(param.detach(), mesh, [Shard(0)])))

        distribute_module(spread, mesh, cut)
        inputs = distribute_tensor(x, mesh, [Shard(0)])
        first, second = kind(plain.parameters(), **options), kind(spread.parameters(), **options)
        for _ in range(3):
            first.zero_grad()
            plain(x).square().mean().backward()
            total = nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
            first.step()
            second.zero_grad()
            spread(inputs).square().mean().backward()
            assert torch.allclose(nn.utils.clip_grad_norm_(spread.parameters(), 0.5).full_tensor(), total)
            second.step()
        for a, b in zip(spread.parameters(), plain.parameters(), strict=True):
            assert isinstance(a, DTensor) and a.placements == (Shard(0),)
            assert torch.allclose(a.full_tensor(), b)


def factories_and_errors(rank, size):
    (mesh, *_) = meshes(size)
    assert torch.equal(zeros(5, 2, device_mesh=mesh, placements=[Shard(0)]).full_tensor(), torch.zeros(5, 2))
    assert ones((3, 2), device_mesh=mesh, requires_grad=True).requires_grad
    torch.manual_seed(1)
    drawn = randn(5, 2, device_mesh=mesh, placements=[Shard(0)]).full_tensor()
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.randn(5, 2))
    d = ones(4, 2, device_mesh=mesh, placements=[Shard(0)])
    with pytest.raises(RuntimeError, match="got mixed torch.Tensor and DTensor"):
        d + torch.ones(4, 2)
    with pytest.raises(RuntimeError, match=r"Can not redistribute from S\(0\) to P\(sum\)"):
        d.redistribute(placements=[Partial()])
    with pytest.raises(ValueError, match="must have the same length"):
        distribute_tensor(torch.ones(2), mesh, [Shard(0), Shard(0)])
    from torch.distributed.tensor.experimental import implicit_replication, local_map

    with implicit_replication():
        assert torch.equal((d + torch.ones(4, 2)).full_tensor(), torch.full((4, 2), 2.0))
    double = local_map(lambda t: t * 2, out_placements=[Shard(0)], in_placements=([Shard(0)],))
    assert torch.equal(double(d).full_tensor(), torch.full((4, 2), 2.0))


def tensor_parallel(rank, size):
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        PrepareModuleInput,
        PrepareModuleInputOutput,
        PrepareModuleOutput,
        RowwiseParallel,
        SequenceParallel,
        loss_parallel,
        parallelize_module,
    )  # fmt: skip

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(2)
            self.norm = nn.LayerNorm(8)
            self.up = nn.Linear(8, 12)
            self.down = nn.Linear(12, 8)
            self.words = nn.Embedding(10, 8)
            self.head = nn.Linear(8, 12)

        def forward(self, tokens):
            x = self.words(tokens)
            x = x + self.down(F.relu(self.up(self.norm(x))))
            return self.head(x)

    (mesh, *_) = meshes(size)
    tokens = torch.arange(8).view(2, 4)
    plain, spread = Block().double(), Block().double()
    plan = {
        "words": RowwiseParallel(input_layouts=Replicate(), output_layouts=Replicate()),
        "up": ColwiseParallel(),
        "down": RowwiseParallel(),
        "head": ColwiseParallel(output_layouts=Replicate()),
    }
    assert parallelize_module(spread, mesh, plan) is spread
    assert spread.up.weight.placements == (Shard(0),) and spread.down.weight.placements == (Shard(1),)
    assert spread.up.bias.placements == (Shard(0),) and spread.down.bias.placements == (Replicate(),)
    expected, found = plain(tokens), spread(tokens)
    assert torch.allclose(found, expected)
    expected.square().sum().backward()
    found.square().sum().backward()
    for (name, a), (_, b) in zip(spread.named_parameters(), plain.named_parameters(), strict=True):
        grad = a.grad.full_tensor() if isinstance(a.grad, DTensor) else a.grad
        assert torch.allclose(grad, b.grad), name
    # with pieces of the sequence between the layers
    spread = Block().double()
    plan = {
        "words": RowwiseParallel(input_layouts=Replicate(), output_layouts=Shard(1)),
        "norm": SequenceParallel(),
        "up": ColwiseParallel(input_layouts=Shard(1)),
        "down": RowwiseParallel(output_layouts=Shard(1)),
        "head": ColwiseParallel(input_layouts=Shard(1), output_layouts=Shard(-1), use_local_output=False),
    }
    parallelize_module(spread, mesh, plan)
    logits = spread(tokens)
    assert isinstance(logits, DTensor) and torch.allclose(logits.full_tensor(), expected)
    targets = torch.arange(8) % 12
    with loss_parallel():
        loss = F.cross_entropy(logits.flatten(0, 1), targets)
        loss.backward()
    plain.zero_grad()
    wanted = F.cross_entropy(plain(tokens).flatten(0, 1), targets)
    wanted.backward()
    assert torch.allclose(loss.full_tensor() if isinstance(loss, DTensor) else loss, wanted)
    assert torch.allclose(spread.up.weight.grad.full_tensor(), plain.up.weight.grad)
    for style in (
        PrepareModuleInput(input_layouts=(Shard(0),), desired_input_layouts=(Replicate(),)),
        PrepareModuleInputOutput(
            input_layouts=(Shard(0),), desired_input_layouts=(Replicate(),), output_layouts=Replicate(),
            desired_output_layouts=Replicate(),
        ),
    ):  # fmt: skip
        module = parallelize_module(nn.Identity(), mesh, style)
        assert module(torch.ones(2, 3)).shape == (2 * size, 3)
    module = parallelize_module(
        nn.Identity(), mesh, PrepareModuleOutput(output_layouts=Replicate(), desired_output_layouts=Shard(0))
    )
    assert module(torch.ones(2 * size, 3)).shape == (2, 3)
