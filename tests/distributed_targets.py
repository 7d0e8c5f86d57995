"""What tests of ``torch.distributed`` run in several processes: what is wrong there is an exception here."""

import time
from datetime import timedelta

import pytest

import torch
import torch.distributed as dist


def start(rank, size, path, **options):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=size, **options)


def everything(rank, size, path):
    """Each check in turn; all processes go through the same ones."""
    start(rank, size, path, timeout=timedelta(seconds=60))
    for check in (
        reductions, large_sums, gathers, all_to_alls, messages, objects, works, groups, coalescing, errors,
    ):  # fmt: skip
        check(rank, size)
        dist.barrier()
    dist.destroy_process_group()
    assert not dist.is_initialized()


FLOATING = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTEGRAL = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
Op = dist.ReduceOp


def reductions(rank, size):
    values = [torch.tensor([rank + 1, 2, 7 - rank, 3 * rank]) for rank in range(size)]
    folds = {
        Op.SUM: lambda a, b: a + b,
        Op.PRODUCT: lambda a, b: a * b,
        Op.MIN: torch.minimum,
        Op.MAX: torch.maximum,
        Op.BAND: lambda a, b: a & b,
        Op.BOR: lambda a, b: a | b,
        Op.BXOR: lambda a, b: a ^ b,
    }
    for op, fold in folds.items():
        expected = values[0]
        for value in values[1:]:
            expected = fold(expected, value)
        bitwise = op in (Op.BAND, Op.BOR, Op.BXOR)
        for dtype in INTEGRAL if bitwise else FLOATING + INTEGRAL:
            t = values[rank].to(dtype, copy=True)
            assert dist.all_reduce(t, op) is None
            assert torch.equal(t, expected.to(dtype)), (op, dtype, t)
            t = values[rank].to(dtype, copy=True)
            dist.reduce(t, size - 1, op)
            if rank == size - 1:
                assert torch.equal(t, expected.to(dtype)), (op, dtype, t)
    t = values[rank].double()
    dist.all_reduce(t, Op.AVG)
    assert torch.allclose(t, sum(values).double() / size)
    t = values[rank] * (1 + 2j)
    dist.all_reduce(t)
    assert torch.equal(t, sum(values) * (1 + 2j))
    t = torch.tensor([rank == 0, rank == 1, True, False])
    dist.all_reduce(t)
    assert t.tolist() == [True, True, True, False]
    # columns of a matrix, transposed, empty, a number
    t = torch.arange(12.0).view(3, 4) * (rank + 1)
    total = size * (size + 1) / 2
    dist.all_reduce(t[:, 1:3])
    assert torch.equal(t[:, 1:3], torch.arange(12.0).view(3, 4)[:, 1:3] * total)
    assert torch.equal(t[:, 0], torch.tensor([0.0, 4, 8]) * (rank + 1))
    t = (torch.arange(6.0).view(2, 3) * (rank + 1)).t()
    dist.all_reduce(t)
    assert torch.equal(t, torch.arange(6.0).view(2, 3).t() * total)
    dist.all_reduce(torch.empty(0, 3))
    t = torch.tensor(rank + 1.0)
    dist.all_reduce(t)
    assert t.item() == total
    t = torch.eye(4)[rank % 4].to_sparse()
    dist.all_reduce(t)
    assert torch.equal(t.to_dense(), sum(torch.eye(4)[other % 4] for other in range(size)))
    # a factor before the sum
    t = torch.full((3,), rank + 1.0)
    dist.all_reduce(t, dist._make_nccl_premul_sum(0.5))
    assert torch.equal(t, torch.full((3,), total / 2))
    # a sum takes its part: of (output, inputs)
    output = torch.zeros(2)
    dist.reduce_scatter(output, [torch.full((2,), float(10 * rank + part)) for part in range(size)])
    assert torch.equal(output, torch.full((2,), sum(10.0 * other + rank for other in range(size))))
    given = torch.arange(2.0 * size) + 100 * rank
    kept = given.clone()
    dist.reduce_scatter_single(output, given)
    sums = sum(torch.arange(2.0 * size) + 100 * other for other in range(size))
    assert torch.equal(output, sums[2 * rank : 2 * rank + 2])
    assert torch.equal(given, kept)


def large_sums(rank, size):
    """Sums that are cut into shares and blocks: the same bits everywhere, those of a sum in the order of the ranks."""
    for count in (30_001, 5_000_003):
        parts = [torch.randn(count, generator=torch.Generator().manual_seed(other)) for other in range(size)]
        expected = parts[0].clone()
        for part in parts[1:]:
            expected += part
        t = parts[rank].clone()
        work = dist.all_reduce(t, async_op=True)
        work.wait()
        assert torch.equal(t, expected)
        dist.reduce(parts[rank], 0)
        if rank == 0:
            assert torch.equal(parts[0], expected)


def gathers(rank, size):
    places = [torch.zeros(2, 3, dtype=torch.int32) for _ in range(size)]
    mine = torch.full((2, 3), rank, dtype=torch.int32)
    dist.all_gather(places, mine)
    assert [int(place.sum()) for place in places] == [6 * other for other in range(size)]
    whole = torch.zeros(2 * size, 3, dtype=torch.int32)
    dist.all_gather_single(whole, mine)
    assert torch.equal(whole, torch.cat(places))
    with pytest.warns(FutureWarning, match="all_gather_single"):
        dist.all_gather_into_tensor(whole, mine)
    for root in range(size):
        t = torch.full((1000, 3), float(rank))
        dist.broadcast(t, root)
        assert torch.equal(t, torch.full((1000, 3), float(root)))
        found = [torch.zeros(2) for _ in range(size)] if rank == root else None
        dist.gather(torch.full((2,), float(rank)), found, dst=root)
        if rank == root:
            assert [t[0].item() for t in found] == list(range(size))
        t = torch.zeros(3, 2).t()
        parts = [torch.full((2, 3), float(other + root)) for other in range(size)] if rank == root else None
        dist.scatter(t, parts, src=root)
        assert torch.equal(t, torch.full((2, 3), float(rank + root)))


def all_to_alls(rank, size):
    mine = torch.arange(size) + 10 * rank
    got = torch.empty_like(mine)
    dist.all_to_all_single(got, mine)
    assert got.tolist() == [10 * other + rank for other in range(size)]
    # rank r sends r + 1 numbers to everybody
    mine = torch.full((size * (rank + 1),), float(rank))
    sizes = [other + 1 for other in range(size)]
    got = torch.empty(sum(sizes))
    dist.all_to_all_single(got, mine, sizes, [rank + 1] * size)
    assert got.tolist() == [float(other) for other in range(size) for _ in range(other + 1)]
    outputs = [torch.zeros(2) for _ in range(size)]
    dist.all_to_all(outputs, [torch.full((2,), rank + other / 10) for other in range(size)])
    assert torch.allclose(torch.stack(outputs)[:, 0], torch.arange(size) + rank / 10)


def messages(rank, size):
    after, before = (rank + 1) % size, (rank - 1) % size
    # a ring of large messages, received after they were sent: nobody waits for ever
    got = torch.empty(300_000)
    send = dist.isend(torch.full((300_000,), float(rank)), after)
    receive = dist.irecv(got, before)
    assert send.wait() and receive.wait() and receive.is_completed()
    assert torch.equal(got, torch.full((300_000,), float(before)))
    # tags choose
    if rank == 0:
        for tag in (1, 2, 3):
            dist.send(torch.tensor([float(tag)]), 1, tag=tag)
    elif rank == 1:
        for tag in (3, 1, 2):
            t = torch.zeros(1)
            assert dist.recv(t, 0, tag=tag) == 0
            assert t.item() == tag
    # from anybody
    if rank == 0:
        sources = set()
        for _ in range(size - 1):
            t = torch.zeros(2, dtype=torch.int64)
            source = dist.recv(t, tag=9)
            assert t.tolist() == [source, source]
            sources.add(source)
        assert sources == set(range(1, size))
    else:
        dist.send(torch.tensor([rank, rank]), 0, tag=9)
    mine, got = torch.full((3, 2), float(rank)), torch.zeros(2, 3).t()
    for work in dist.batch_isend_irecv([dist.P2POp(dist.irecv, got, before), dist.P2POp(dist.isend, mine, after)]):
        work.wait()
    assert torch.equal(got, torch.full((3, 2), float(before)))


def objects(rank, size):
    mine = {"rank": rank, "text": "x" * (10 * rank), "tensor": torch.full((rank,), 1.0)}
    found = [None] * size
    dist.all_gather_object(found, mine)
    assert [one["rank"] for one in found] == list(range(size))
    assert [one["tensor"].numel() for one in found] == list(range(size))
    listed = [1, "two", {"three": 3}] if rank == 1 else [None] * 3
    dist.broadcast_object_list(listed, src=1)
    assert listed == [1, "two", {"three": 3}]
    found = [None] * size if rank == 0 else None
    dist.gather_object(rank * "a", found, dst=0)
    if rank == 0:
        assert found == [other * "a" for other in range(size)]
    out = [None]
    dist.scatter_object_list(out, [{"for": other} for other in range(size)] if rank == 0 else None, src=0)
    assert out == [{"for": rank}]
    if rank == 0:
        dist.send_object_list(["hello", 5], dst=1)
    elif rank == 1:
        listed = [None, None]
        assert dist.recv_object_list(listed, src=0) == 0
        assert listed == ["hello", 5]


def works(rank, size):
    """Collectives under way keep their order, whoever waits first."""
    tensors = [torch.full((1000,), float(index)) for index in range(20)]
    begun = [dist.all_reduce(t, async_op=True) for t in tensors]
    last = torch.ones(1)
    dist.all_reduce(last)
    for index, work in reversed(list(enumerate(begun))):
        assert work.wait() and work.is_completed() and work.is_success()
        assert torch.equal(tensors[index], torch.full((1000,), float(index * size)))
        assert work.result()[0] is tensors[index]
    assert last.item() == size
    t = torch.ones(2)
    doubled = dist.all_reduce(t, async_op=True).get_future().then(lambda done: done.value()[0] * 2)
    assert torch.equal(doubled.wait(), torch.full((2,), 2.0 * size))
    assert dist.barrier(async_op=True).wait()


def groups(rank, size):
    assert dist.get_rank() == rank and dist.get_world_size() == size and dist.get_backend() == "gloo"
    first = dist.new_group([0])
    ends = dist.new_group([size - 1, 0])
    assert (first == dist.GroupMember.NON_GROUP_MEMBER) == (rank != 0)
    if rank in (0, size - 1):
        assert dist.get_process_group_ranks(ends) == [0, size - 1]
        assert dist.get_global_rank(ends, 1) == size - 1
        t = torch.tensor([float(rank)])
        dist.all_reduce(t, group=ends)
        assert t.item() == size - 1
        t = torch.tensor([float(rank)])
        dist.broadcast(t, size - 1, group=ends)
        assert t.item() == size - 1
        dist.destroy_process_group(ends)
    else:
        assert dist.get_rank(ends) == -1
        with pytest.warns(UserWarning, match="does not belong to the given group"):
            dist.all_reduce(torch.ones(1), group=ends)
    mine, every = dist.new_subgroups(1)
    assert len(every) == size and dist.get_world_size(mine) == 1
    t = torch.ones(1)
    dist.all_reduce(t, group=mine)
    assert t.item() == 1


def coalescing(rank, size):
    tensors = [torch.full((index + 1,), float(rank)) for index in range(3)]
    with dist._coalescing_manager() as manager:
        for t in tensors:
            dist.all_reduce(t)
    assert len(manager.works) == 1
    for index, t in enumerate(tensors):
        assert torch.equal(t, torch.full((index + 1,), sum(range(size)) * 1.0))


def errors(rank, size):
    with pytest.raises(ValueError, match="twice"):
        dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    with pytest.raises(TypeError, match="Expected parameter `tensor` of type torch.Tensor"):
        dist.all_reduce(3)
    with pytest.raises(RuntimeError, match="Cannot use ReduceOp.BAND with non-integral dtype"):
        dist.all_reduce(torch.ones(1), Op.BAND)
    with pytest.raises(ValueError, match="does not support RedOpType.MAX on complex tensors"):
        dist.all_reduce(torch.ones(1) * 1j, Op.MAX)
    with pytest.raises(RuntimeError, match="invalid root rank: 7"):
        dist.broadcast(torch.ones(1), 7)
    with pytest.raises(RuntimeError, match="doesn't have NCCL built in"):
        dist.new_group(backend="nccl")
    with pytest.raises(ValueError, match="duplicate entries"):
        dist.new_group([0, 0])
    # shapes that differ between the processes
    with pytest.raises(RuntimeError, match="shapes or dtypes differ"):
        dist.all_reduce(torch.ones(2 + rank))
    # different collectives
    pair = dist.new_group([0, 1], timeout=timedelta(seconds=20))
    if rank < 2:
        with pytest.raises(RuntimeError, match="call different collectives"):
            if rank:
                dist.all_gather([torch.ones(1), torch.ones(1)], torch.ones(1), group=pair)
            else:
                dist.all_reduce(torch.ones(1), group=pair)
    # somebody is late
    late = dist.new_group(timeout=timedelta(milliseconds=300))
    if rank == 0:
        begin = time.monotonic()
        with pytest.raises(RuntimeError, match=r"Timed out waiting 300ms for recv.*from rank 1"):
            dist.all_reduce(torch.ones(1), group=late)
        assert time.monotonic() - begin < 5
        with pytest.raises(RuntimeError, match="Timed out waiting 300ms"):
            dist.recv(torch.ones(1), 1, group=late)
        with pytest.raises(RuntimeError, match="Rank 1 failed to pass monitoredBarrier in 200 ms"):
            dist.monitored_barrier(late, timeout=timedelta(milliseconds=200))


def leaves(rank, size, path):
    """One process ends; the other is told."""
    import os

    start(rank, size, path)
    dist.barrier()
    if rank == 1:
        os._exit(0)
    with pytest.raises(RuntimeError, match="Connection closed by peer"):
        dist.all_reduce(torch.ones(1))


def by_url(rank, size, method):
    dist.init_process_group("gloo", init_method=method, rank=rank, world_size=size)
    for again in range(2):  # a second group over the same address
        t = torch.ones(1)
        dist.all_reduce(t)
        assert t.item() == size
        dist.destroy_process_group()
        if again == 0:
            dist.init_process_group("gloo", init_method=method, rank=rank, world_size=size)


def free_socket():
    import socket

    return socket.create_server(("127.0.0.1", 0))


def rank_times(number):
    import os

    return number * int(os.environ["RANK"])
