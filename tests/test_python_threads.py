"""Two Python threads at once: long loops let the other one run, and what both touch comes out right."""

import sys
import threading
import time

import torch


def run_beside(function):
    """Run it in a thread of its own while this one counts; return how far the counting came, and the seconds."""
    thread = threading.Thread(target=function)
    ticks = 0
    start = time.perf_counter()
    thread.start()
    while thread.is_alive():
        ticks += 1
        time.sleep(0.001)
    return ticks, time.perf_counter() - start


def test_a_long_loop_lets_other_threads_run():
    a = torch.randn(1500, 1500)
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(1000)  # nobody gives up the interpreter unless asked to
        ticks, seconds = run_beside(lambda: [a @ a for _ in range(4)])
    finally:
        sys.setswitchinterval(before)
    assert ticks >= min(3, seconds / 0.01)


def test_threads_do_not_disturb_each_other():
    w = torch.randn(64, 64, dtype=torch.float64)
    expected = None
    results = []

    def work():
        x = torch.arange(200_000.0, dtype=torch.float64).reshape(-1, 64).sin().requires_grad_()
        for _ in range(5):
            loss = torch.tanh(x @ w).square().mean()
            (grad,) = torch.autograd.grad(loss, x)
        results.append((loss.detach(), grad))

    work()
    expected = results.pop()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 4
    for loss, grad in results:
        assert torch.equal(loss, expected[0]) and torch.equal(grad, expected[1])


def test_gradients_of_several_threads_add_up():
    w = torch.zeros(600, 600, requires_grad=True)

    def work():
        for _ in range(10):
            (w * 1.0).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert torch.equal(w.grad, torch.full((600, 600), 40.0))


def test_random_numbers_are_drawn_one_operation_at_a_time():
    torch.manual_seed(3)
    expected = {tuple(torch.rand(300_000)[:3].tolist()) for _ in range(8)}
    torch.manual_seed(3)
    drawn = []
    threads = [threading.Thread(target=lambda: drawn.append(torch.rand(300_000))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {tuple(d[:3].tolist()) for d in drawn} == expected


def test_exceptions_of_long_loops_arrive():
    index = torch.zeros(400_000, dtype=torch.int64)
    index[-1] = 7
    try:
        torch.zeros(5)[index]
    except IndexError as error:
        assert "out of bounds" in str(error)
    else:
        raise AssertionError("no IndexError")
    assert run_beside(lambda: None)
