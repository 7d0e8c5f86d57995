"""What tests of calls between processes run in several of them."""

import gc
import time

import pytest

import torch
from torch import nn
from torch.distributed import autograd as dist_autograd
from torch.distributed import rpc
from torch.distributed.optim import DistributedOptimizer


def add(a, b):
    return a + b


def fails(text):
    raise ValueError(text)


def slow(seconds):
    time.sleep(seconds)


class Counter:
    def __init__(self, start):
        self.value = start

    def more(self, by=1):
        self.value += by
        return self.value


def value_of(ref):
    return ref.to_here().value if not ref.is_owner() else ref.local_value().value


def nested(to, a, b):
    return rpc.rpc_sync(to, add, args=(a, b)) * 10


@rpc.functions.async_execution
def later(to, a, b):
    return rpc.rpc_async(to, add, args=(a, b)).then(lambda done: done.wait() + 100)


def owned_values():
    return len(rpc._agent.current().owned)


def multiplied(ref, x):
    return ref.local_value() * x


def calls(rank, size, path):
    torch.set_num_threads(1)
    options = rpc.TensorPipeRpcBackendOptions(init_method=f"file://{path}", rpc_timeout=30)
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=size, rpc_backend_options=options)
    if rank == 0:
        for check in (plain, references, gradients, remote_modules):
            check()
    rpc.shutdown()
    with pytest.raises(RuntimeError, match="has not been initialized"):
        rpc.get_worker_info()


def plain():
    assert rpc.get_worker_info().name == "worker0" and rpc.get_worker_info("worker1").id == 1
    assert torch.equal(rpc.rpc_sync("worker1", add, args=(torch.ones(2), 3)), torch.full((2,), 4.0))
    assert rpc.rpc_sync(1, add, kwargs={"a": 1, "b": 2}) == 3
    assert rpc.rpc_sync("worker0", add, args=(1, 2)) == 3
    futures = [rpc.rpc_async("worker1", add, args=(i, i)) for i in range(20)]
    assert [future.wait() for future in futures] == [2 * i for i in range(20)]
    assert rpc.rpc_sync("worker1", nested, args=("worker0", 1, 2)) == 30
    assert rpc.rpc_sync("worker1", later, args=("worker0", 1, 2)) == 103
    with pytest.raises(ValueError, match="On WorkerInfo.id=1, name=worker1.:\nValueError..oh no"):
        rpc.rpc_sync("worker1", fails, args=("oh no",))
    with pytest.raises(RuntimeError, match="more than set timeout .200 ms."):
        rpc.rpc_sync("worker1", slow, args=(0.5,), timeout=0.2)
    with pytest.raises(RuntimeError, match="Unknown destination worker"):
        rpc.rpc_sync("nobody", add, args=(1, 2))


def references():
    ref = rpc.remote("worker1", Counter, args=(5,))
    assert not ref.is_owner() and ref.owner_name() == "worker1"
    assert ref.rpc_sync().more() == 6 and ref.rpc_async().more(4).wait() == 10
    assert ref.remote().more().to_here() == 11
    assert ref.to_here().value == 11
    with pytest.raises(RuntimeError, match="Call it on owner"):
        ref.local_value()
    assert rpc.rpc_sync("worker1", value_of, args=(ref,)) == 11
    mine = rpc.RRef(Counter(1))
    assert mine.is_owner() and mine.local_value().value == 1
    assert rpc.rpc_sync("worker1", value_of, args=(mine,)) == 1
    broken = rpc.remote("worker1", fails, args=("bad",))
    with pytest.raises(ValueError, match="bad"):
        broken.to_here()
    del ref, broken
    gc.collect()
    end = time.monotonic() + 10
    while rpc.rpc_sync("worker1", owned_values) and time.monotonic() < end:
        time.sleep(0.02)
    assert rpc.rpc_sync("worker1", owned_values) == 0


def gradients():
    a, b = torch.rand(3, 3, requires_grad=True), torch.rand(3, 3, requires_grad=True)
    there = rpc.remote("worker1", torch.full, args=((3, 3), 2.0), kwargs={"requires_grad": True})
    with dist_autograd.context() as number:
        c = rpc.rpc_sync("worker1", torch.mul, args=(a, b))
        d = rpc.rpc_sync("worker1", multiplied, args=(there, c)) + a
        dist_autograd.backward(number, [d.sum()])
        found = dist_autograd.get_gradients(number)
        assert torch.allclose(found[a], 2 * b + 1) and torch.allclose(found[b], 2 * a)
        assert a.grad is None
        optimizer = DistributedOptimizer(torch.optim.SGD, [there, rpc.RRef(a)], lr=0.5)
        before = a.detach().clone()
        optimizer.step(number)
    assert torch.allclose(a, before - 0.5 * (2 * b + 1))
    assert torch.allclose(there.to_here(), 2 - 0.5 * before * b)
    with pytest.raises(RuntimeError, match="Could not find autograd context"):
        dist_autograd.get_gradients(number)
    with dist_autograd.context() as number, pytest.raises(RuntimeError, match="must be scalars"):
        dist_autograd.backward(number, [a * 1])


def remote_modules():
    from torch.distributed.nn import RemoteModule

    module = RemoteModule("worker1/cpu", nn.Linear, args=(4, 2))
    assert module(torch.ones(3, 4)).shape == (3, 2)
    assert [tuple(ref.to_here().shape) for ref in module.remote_parameters()] == [(2, 4), (2,)]
