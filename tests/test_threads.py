"""Several Python threads at once: forward, backward, hooks, random numbers, first uses.

Under `python dev.py build --sanitize thread` the same tests look for races (CONTRIBUTING.md).
"""

import subprocess
import sys
import threading
import time

import pytest

import torch
from torch import nn

THREADS = 6


@pytest.fixture(autouse=True)
def _switch_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_threads(function, count=THREADS):
    """Call function(i) in threads that start together; return the results, or raise what one raised."""
    results, barrier = [None] * count, threading.Barrier(count)

    def run(i):
        barrier.wait()
        try:
            results[i] = function(i)
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread hangs"
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def small_network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 8), nn.LayerNorm(8), nn.Tanh()
    )


def test_each_thread_trains_its_own_network():
    networks = [small_network(i) for i in range(THREADS)]
    inputs = [torch.randn(3, 2, 8, 8) for _ in range(THREADS)]

    def train(i):
        network = small_network(0)
        network.load_state_dict(networks[i].state_dict())
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        for _ in range(5):
            optimizer.zero_grad()
            network(inputs[i]).square().sum().backward()
            optimizer.step()
        return [p.detach().clone() for p in network.parameters()]

    alone = [train(i) for i in range(THREADS)]
    together = in_threads(train)
    for a, b in zip(alone, together, strict=True):
        for p, q in zip(a, b, strict=True):
            assert torch.equal(p, q)


def test_gradients_of_a_shared_leaf_add_up():
    weight = torch.ones(50, dtype=torch.float64, requires_grad=True)

    def work(i):
        for _ in range(20):
            (weight * (i + 1)).sin().mul(2).sum().backward()

    in_threads(work)
    expected = sum(20 * 2 * (i + 1) * torch.cos(torch.tensor(i + 1.0, dtype=torch.float64)) for i in range(THREADS))
    torch.testing.assert_close(weight.grad, expected.expand(50))


def test_backward_of_one_graph_from_several_threads():
    x = torch.linspace(0, 1, 100, requires_grad=True)
    y = (x * 2).exp()
    z = y.sin().sum()
    y.register_hook(lambda g: (time.sleep(0.001), g)[1])  # lets the other threads in

    def work(_):
        return torch.autograd.grad(z, x, retain_graph=True)[0]

    wanted = work(0)
    for got in in_threads(work):
        assert torch.equal(got, wanted)


def test_backward_of_a_python_function_lets_other_threads_in():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            time.sleep(0.0005)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            time.sleep(0.0005)
            with torch.enable_grad():
                inner = torch.ones(3, requires_grad=True)
                (inner * 3).sum().backward()  # a run inside a run
            return g * 2

    def work(i):
        x = torch.full((4,), float(i), requires_grad=True)
        out = x
        for _ in range(10):
            out = Twice.apply(out)
        out.sum().backward()
        return x.grad

    for got in in_threads(work):
        assert torch.equal(got, torch.full((4,), 1024.0))


def test_modes_belong_to_a_thread():
    def work(i):
        for _ in range(50):
            if i % 2:
                with torch.no_grad():
                    assert not (torch.ones(2, requires_grad=True) * 2).requires_grad
            else:
                assert (torch.ones(2, requires_grad=True) * 2).requires_grad
        return torch.is_grad_enabled()

    assert all(in_threads(work))


def test_tensors_made_in_one_thread_die_in_another():
    from queue import Queue

    queue = Queue()

    def work(i):
        if i % 2:
            for k in range(300):
                queue.put(torch.ones(k % 40 * 100 + 1, requires_grad=True) * 2)
            queue.put(None)
            return 0
        total = 0
        while (tensor := queue.get()) is not None:
            total += int(tensor.sum())
            del tensor
        return total

    assert sum(in_threads(work)) == THREADS // 2 * sum(2 * (k % 40 * 100 + 1) for k in range(300))


def test_generators():
    def own(i):
        generator = torch.Generator().manual_seed(i)
        return torch.cat([torch.randn(37, generator=generator) for _ in range(10)])

    alone = [own(i) for i in range(THREADS)]
    for a, b in zip(alone, in_threads(own), strict=True):
        assert torch.equal(a, b)
    torch.manual_seed(0)
    drawn = torch.cat(in_threads(lambda _: torch.cat([torch.rand(16, dtype=torch.float64) for _ in range(100)])))
    assert drawn.unique().numel() == drawn.numel()  # no state is handed out twice


def test_the_thread_pool_changes_its_size_while_it_works():
    x = torch.randn(300_000)
    wanted = x.exp().sum()

    def work(i):
        for k in range(10):
            if i == 0:
                torch.set_num_threads(k % 3 + 1)
            assert torch.equal(x.exp().sum(), wanted)

    before = torch.get_num_threads()
    try:
        in_threads(work)
    finally:
        torch.set_num_threads(before)


def test_errors_stay_in_their_thread():
    def work(i):
        for _ in range(50):
            if i % 2:
                with pytest.raises(RuntimeError, match="must match the size"):
                    torch.ones(2) + torch.ones(3)
            else:
                assert (torch.ones(2) + torch.ones(2)).sum() == 4

    in_threads(work)


def test_first_uses_at_once():
    """Everything that is found, loaded or built at its first use, by threads that come together."""
    program = """
import sys, threading
sys.setswitchinterval(1e-6)
import torch
uses = [
    lambda: torch.nn.functional.relu(torch.ones(2)), lambda: torch.ones(3).numpy(),
    lambda: torch.fft.fft(torch.ones(4)), lambda: torch.linalg.inv(torch.eye(2)), lambda: torch.ones(2).diff(),
    lambda: torch.from_numpy(torch.ones(2).numpy()), lambda: torch.optim.SGD([torch.ones(1, requires_grad=True)], 0.1),
    lambda: torch.max(torch.ones(2, 2), 0).values, lambda: repr(torch.ones(2)),
    lambda: torch.ones(70, 70) @ torch.ones(70, 70), lambda: torch.rand(200000).exp().sum(),
    lambda: torch.special.gammaln(torch.ones(2)), lambda: torch.einsum("ij,jk", torch.ones(2, 2), torch.ones(2, 2)),
]
barrier, failed = threading.Barrier(len(uses) * 2), []
def run(use):
    barrier.wait()
    try:
        use()
    except BaseException as error:
        failed.append(error)
threads = [threading.Thread(target=run, args=(use,)) for use in uses * 2]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not failed, failed
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
