"""torch.multiprocessing: tensors in shared memory, and processes started together."""

import gc
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
from process_targets import double, fill

import torch
import torch.multiprocessing as mp

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")

STRATEGIES = sorted(mp.get_all_sharing_strategies())


@pytest.fixture(params=STRATEGIES)
def strategy(request):
    before = mp.get_sharing_strategy()
    mp.set_sharing_strategy(request.param)
    yield request.param
    mp.set_sharing_strategy(before)


def named_files(pid=None):
    gc.collect()
    return {path for folder in ("/dev/shm", "/tmp") for path in Path(folder).glob(f"torch_{pid or os.getpid()}_*")}


def through_a_pipe(value):
    ours, theirs = mp.Pipe()
    ours.send(value)
    return theirs.recv()


def test_strategies():
    assert STRATEGIES == ["file_descriptor", "file_system"]
    with pytest.raises(AssertionError, match="invalid sharing strategy 'x', expected one of {"):
        mp.set_sharing_strategy("x")


# ---- what is shared


def test_share_memory(strategy):
    t = torch.arange(6.0)
    assert not t.is_shared() and not t.untyped_storage().is_shared()
    assert t.share_memory_() is t and t.is_shared() and t.tolist() == list(range(6))
    storage = t.untyped_storage()
    assert storage.is_shared() and not storage.resizable() and storage.share_memory_() is storage
    assert t.share_memory_().untyped_storage() is storage
    assert t[2:].is_shared() and t.detach().is_shared() and not t.clone().is_shared()


def test_a_view_shares_its_base():
    base = torch.arange(5.0)
    view = base[1:3].share_memory_()
    assert base.is_shared() and view.untyped_storage().nbytes() == 20
    view[0] = 7
    assert base.tolist() == [0, 7, 2, 3, 4]


def test_parameters_and_modules():
    m = torch.nn.Linear(2, 3)
    weight, before = m.weight, m.weight.detach().clone()
    assert m.share_memory() is m and m.weight is weight and type(weight) is torch.nn.Parameter
    assert all(p.is_shared() and p.is_leaf and p.requires_grad for p in m.parameters())
    assert torch.equal(weight, before)
    m(torch.ones(1, 2)).sum().backward()
    assert m.weight.grad is not None


def test_what_cannot_be_shared():
    with pytest.raises(RuntimeError, match="_share_fd_: only available on CPU"):
        torch.empty(2, device="meta").share_memory_()
    with pytest.raises(NotImplementedError, match="Cannot access storage of SparseTensorImpl"):
        torch.eye(2).to_sparse().share_memory_()
    with pytest.raises(RuntimeError, match="a storage cannot move to shared memory by itself"):
        torch.UntypedStorage(4).share_memory_()
    assert (torch.ones(2, requires_grad=True) * 2).share_memory_().is_shared()
    assert torch.UntypedStorage._new_shared(10).is_shared() and torch.FloatStorage._new_shared(3).is_shared()


def test_memory_lives_as_long_as_a_tensor(strategy):
    files, descriptors = named_files(), len(os.listdir("/proc/self/fd"))
    t = torch.ones(1000).share_memory_()
    assert len(named_files()) == len(files) + (strategy == "file_system")
    view = t[10:20]
    del t
    assert view.sum() == 10
    del view
    assert named_files() == files and len(os.listdir("/proc/self/fd")) == descriptors


def test_a_descriptor_for_each_tensor():
    before = len(os.listdir("/proc/self/fd"))
    tensors = [torch.ones(3).share_memory_() for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) - before == len(tensors)


# ---- what is sent


def test_the_same_memory_comes_back(strategy):
    t = torch.arange(4.0)
    back = through_a_pipe([t, t[1:], t])
    assert t.is_shared() and back[0].data_ptr() == t.data_ptr() == back[1].data_ptr() - 4 == back[2].data_ptr()
    back[1][0] = 9
    assert t.tolist() == [0, 9, 2, 3]


def test_every_kind_of_tensor_is_sent(strategy):
    m = through_a_pipe(torch.nn.Linear(2, 2))
    assert type(m.weight) is torch.nn.Parameter and m.weight.is_shared() and m.weight.requires_grad
    assert through_a_pipe(torch.tensor([1 + 2j]).conj()).tolist() == [1 - 2j]
    for make in (torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr, torch.Tensor.to_sparse_csc):
        sparse = through_a_pipe(make(torch.eye(2)))
        assert sparse.layout is make(torch.eye(2)).layout and sparse.values().is_shared()
        assert torch.equal(sparse.to_dense(), torch.eye(2))
    nested = through_a_pipe(torch.nested.nested_tensor([torch.ones(2), torch.zeros(3)]))
    assert [part.tolist() for part in nested.unbind()] == [[1, 1], [0, 0, 0]]
    meta = through_a_pipe(torch.empty(2, 3, device="meta").t())
    assert meta.device.type == "meta" and meta.shape == (3, 2) and meta.stride() == (1, 3)
    assert through_a_pipe(torch.empty(0, 3)).shape == (0, 3)
    assert through_a_pipe(torch.ones(2, requires_grad=True)).requires_grad
    assert through_a_pipe(torch.arange(6).reshape(2, 3).t()[1:]).tolist() == [[1, 4], [2, 5]]
    assert through_a_pipe(torch.ones(3).untyped_storage()).nbytes() == 12
    assert through_a_pipe(torch.FloatStorage([1, 2])).tolist() == [1, 2]


def test_what_is_not_sent():
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor which requires_grad"):
        through_a_pipe(torch.ones(2, requires_grad=True) * 2)


def test_plain_pickles_copy():
    t = torch.ones(2)
    pickle.loads(pickle.dumps(t))
    assert not t.is_shared()


# ---- other processes


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_see_the_same_memory(method, strategy):
    files = named_files()
    context = mp.get_context(method)
    ours, theirs = context.Pipe()
    t = torch.ones(4).share_memory_()
    process = context.Process(target=double, args=(theirs, t))
    process.start()
    theirs.close()  # so that the child's death ends the wait
    again, new = ours.recv()
    ours.send(None)
    process.join()
    assert process.exitcode == 0 and t.tolist() == [2] * 4 and again.data_ptr() == t.data_ptr()
    assert new.is_shared() and new.tolist() == [0, 1, 2, 3, 4]
    pid = process.pid
    del t, again, new, process
    assert named_files() == files and not named_files(pid)


def send_and_leave(queue):
    mp.set_sharing_strategy("file_system")
    queue.put(torch.arange(3))


def test_a_named_tensor_outlives_its_sender():
    context = mp.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=send_and_leave, args=(queue,))
    process.start()
    process.join()
    t = queue.get()
    assert t.tolist() == [0, 1, 2]
    path = Path(torch.multiprocessing._shared_memory.mapping_of(t.untyped_storage()).name)
    assert path.exists()
    del t
    gc.collect()
    assert not path.exists()


def test_fork_after_threads_have_run():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    a = torch.ones(2_000_000)
    total = (a * 2).sum()
    try:
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                os._exit(0 if torch.equal((a * 2).sum(), total) else 1)
            end = time.monotonic() + 10
            while (done := os.waitpid(pid, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
                time.sleep(0.001)
            if done == (0, 0):
                os.kill(pid, 9)
                os.waitpid(pid, 0)
            assert done == (pid, 0)
    finally:
        torch.set_num_threads(threads)


SMALL = """
import os, torch, torch.multiprocessing as mp
assert os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize <= 1 << 20
for strategy in mp.get_all_sharing_strategies():
    mp.set_sharing_strategy(strategy)
    t = torch.ones(1_000_000).share_memory_()
    assert t.is_shared() and t.sum() == 1_000_000
batch = next(iter(torch.utils.data.DataLoader([torch.ones(1_000_000)], num_workers=1)))
assert batch.sum() == 1_000_000
print("done")
"""


def test_a_small_dev_shm_does_not_matter():
    environment = os.environ | {"PYTHONPATH": str(Path(torch.__file__).parent.parent), "PROGRAM": SMALL}
    inside = f'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec {sys.executable} -P -c "$PROGRAM"'
    done = subprocess.run(["unshare", "-rm", "sh", "-c", inside], capture_output=True, text=True, env=environment)
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip("mount namespaces are not allowed here")
    assert done.stdout == "done\n", done.stderr


# ---- processes started together


def fail(i):
    if i == 1:
        raise ValueError("boom")
    time.sleep(20)


def leave(i):
    if i == 1:
        os._exit(3)
    time.sleep(20)


def die(i):
    if i == 1:
        os.kill(os.getpid(), 9)
    time.sleep(20)


def interrupt(i):
    raise KeyboardInterrupt


def test_spawn():
    t = torch.zeros(2)
    assert mp.spawn(fill, (t,), nprocs=2) is None
    assert t.tolist() == [1, 2]
    with pytest.warns(FutureWarning, match=r"only supports start_method=spawn \(got: fork\)"):
        assert mp.spawn(fill, (t,), nprocs=0, start_method="fork") is None


def test_the_first_error_ends_all():
    with pytest.raises(mp.ProcessRaisedException) as caught:
        mp.start_processes(fail, nprocs=2, start_method="fork")
    text = str(caught.value)
    assert text.startswith("\n\n-- Process 1 terminated with the following error:\nTraceback (most recent call last)")
    assert text.endswith("ValueError: boom\n") and caught.value.error_index == 1 and caught.value.error_pid > 0
    for function, message, code, name in (
        (leave, "process 1 terminated with exit code 3", 3, None),
        (die, "process 1 terminated with signal SIGKILL", -9, "SIGKILL"),
    ):
        with pytest.raises(mp.ProcessExitedException) as caught:
            mp.start_processes(function, nprocs=2, start_method="fork")
        assert str(caught.value) == message
        assert (caught.value.exit_code, caught.value.signal_name) == (code, name)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == message and again.error_pid == caught.value.error_pid
    assert mp.start_processes(interrupt, start_method="fork") is None


def wait(i):
    time.sleep(0.2)


def test_a_context_is_joined_step_by_step():
    context = mp.start_processes(wait, nprocs=2, join=False, start_method="fork")
    assert type(context) is mp.ProcessContext and len(context.pids()) == 2
    assert context.join(timeout=0.01) is False
    while not context.join():
        pass
    assert context.join() is True and [process.exitcode for process in context.processes] == [0, 0]


PARENT = """
import time, torch.multiprocessing as mp
def run(i):
    print(mp.current_process().pid, flush=True)
    time.sleep(60)
mp.start_processes(run, nprocs=2, start_method="fork")
"""


def test_processes_do_not_survive_their_parent():
    environment = os.environ | {"PYTHONPATH": str(Path(torch.__file__).parent.parent)}
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    children = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    # The pipe ends when the last of them does.
    assert parent.stdout.read() == b""
    parent.stdout.close()
    for pid in children:
        stat = Path(f"/proc/{pid}/stat")
        end = time.monotonic() + 5
        while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z" and time.monotonic() < end:
            time.sleep(0.01)
        assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
