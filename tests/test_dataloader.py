"""Workers of a loader: what passes between them and the loader, what they leave behind, and threads.

Seeds, order, errors and warnings are compared with PyTorch's in data_programs/.
"""

import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from process_targets import Mixed, Slow, Sub, as_it_is

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


class Images(Dataset):
    """Samples that are large enough for a batch to go through a file."""

    def __init__(self, n=40, side=64):
        self.x = torch.arange(n * side * side, dtype=torch.float32).reshape(n, side, side)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], i


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_every_kind_of_sample_arrives(context):
    for i, v in enumerate(
        DataLoader(Mixed(), batch_size=None, num_workers=1, collate_fn=as_it_is, multiprocessing_context=context)
    ):
        assert torch.equal(v["part"], torch.arange(10.0, 20)) and torch.equal(v["strided"], torch.arange(15.0, 30, 2))
        v["part"][5] = -1
        assert v["strided"][0] == -1, "tensors that shared memory share it still"
        assert v["array"].shape == (300, 300) and v["array"].flags.writeable and v["array"][0, 0] == i
        assert v["empty"].shape == (0, 3) and torch.equal(v["sparse"].to_dense(), torch.eye(3))
        assert v["conj"].is_conj() and v["conj"].item() == 1 - 2j
        assert v["half"].dtype is torch.bfloat16 and v["half"].sum() == 3
        assert type(v["parameter"]) is torch.nn.Parameter and v["parameter"].requires_grad
        assert v["storage"].nbytes() == 400_000
        assert v["transposed"].stride() == (1, 3) and v["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
        assert type(v["subclass"]) is Sub and v["subclass"].sum() == 6
        assert v["scalar"].shape == () and v["scalar"] == i and len(v["text"]) == 100_000


@pytest.mark.parametrize("worker_type", ["process", "thread"])
def test_ten_epochs_leave_nothing_behind(worker_type):
    data = Images(120)
    loader = DataLoader(data, batch_size=20, num_workers=2, shuffle=True, worker_type=worker_type)

    def epoch():
        seen = 0
        for x, i in loader:
            assert torch.equal(x, data.x[i])
            seen += len(i)
        assert seen == len(data)

    def left():
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE"), len(os.listdir("/proc/self/fd")), threading.active_count()

    epoch()
    epoch()
    before = left()
    for _ in range(10):
        epoch()
    after = left()
    # An epoch is 2 MB.
    assert after[0] - before[0] < 4e6 and after[1:] == before[1:]


def test_batches_are_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        before = len(os.listdir("/proc/self/fd"))
        iterator = iter(DataLoader(Images(), batch_size=4, num_workers=1))
        next(iterator)
        during = len(os.listdir("/proc/self/fd"))
        for _ in range(8):
            next(iterator)
        assert len(os.listdir("/proc/self/fd")) <= during + 1
        del iterator
        assert len(os.listdir("/proc/self/fd")) <= before
    finally:
        gc.enable()


def test_more_batches_than_descriptors():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 60, limits[1]))
    try:
        data = Images(120, 160)
        batches = list(DataLoader(data, batch_size=1, num_workers=1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(batches) == 120 and all(torch.equal(x[0], data.x[i]) for i, (x, _) in enumerate(batches))


class Counts(Dataset):
    def __getitems__(self, indices):
        return [len(indices), b"x" * 1_000_000]

    def __getitem__(self, i):
        raise AssertionError


def test_long_requests_and_long_answers_do_not_wait_for_each_other():
    requests = [list(range(200_000))] * 6
    loader = DataLoader(Counts(), batch_sampler=requests, num_workers=1, collate_fn=as_it_is, prefetch_factor=4)
    assert [batch[0] for batch in loader] == [200_000] * 6


class Local(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        class Here(Exception):
            pass

        if i:
            raise Here("mine")
        return lambda: None


def test_what_cannot_be_sent_is_an_error_that_says_so():
    iterator = iter(DataLoader(Local(), num_workers=1, batch_size=None, collate_fn=as_it_is))
    with pytest.raises(Exception, match=r"DataLoader worker process 0.\nOriginal(.|\n)*pickle local object"):
        next(iterator)
    with pytest.raises(RuntimeError, match=r"DataLoader worker process 0.\nOriginal(.|\n)*Here: mine"):
        next(iterator)


class Graph(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, i):
        return torch.ones(2, requires_grad=True) * 2


def test_a_graph_cannot_cross():
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor"):
        next(iter(DataLoader(Graph(), num_workers=1, batch_size=None)))


def test_an_epoch_can_be_left_and_begun_anew():
    loader = DataLoader(Images(), batch_size=4, num_workers=2, persistent_workers=True)
    pids = None
    for _ in range(3):
        iterator = iter(loader)
        assert next(iterator)[1].tolist() == [0, 1, 2, 3]
        now = [process.pid for process in iterator._workers]
        assert pids in (None, now)
        pids = now
    assert [i.tolist()[0] for _, i in loader] == list(range(0, 40, 4))


SEEDED = """
import sys, torch
from torch.utils.data import DataLoader, Dataset
class Draws(Dataset):
    def __len__(self): return 3
    def __getitem__(self, i):
        import numpy
        return float(numpy.random.rand())
assert "numpy" not in sys.modules
torch.manual_seed(0)
print(*DataLoader(Draws(), num_workers=2, batch_size=None))
assert "numpy" not in sys.modules
"""


def test_numpy_is_seeded_when_a_worker_loads_it():
    environment = os.environ | {"PYTHONPATH": str(Path(torch.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", SEEDED], capture_output=True, text=True, env=environment
    )
    # recorded
    assert done.stdout.split() == ["0.8371640508861415", "0.6702704958690073", "0.38757835109739946"], done.stderr


ORPHANS = """
import time, torch
from torch.utils.data import DataLoader, Dataset
class Endless(Dataset):
    def __len__(self): return 10**6
    def __getitem__(self, i): return torch.zeros(1000)
first = iter(DataLoader(Endless(), num_workers=1, batch_size=100))
second = iter(DataLoader(Endless(), num_workers=1, batch_size=100))
next(first), next(second)
print(first._workers[0].pid, second._workers[0].pid, flush=True)
time.sleep(60)
"""


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_no_worker_survives_the_loader():
    environment = os.environ | {"PYTHONPATH": str(Path(torch.__file__).parent.parent)}
    command = [sys.executable, "-P", "-W", "ignore", "-c", ORPHANS]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2 and not any(map(gone, workers))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 5
    while not all(map(gone, workers)) and time.monotonic() < end:
        time.sleep(0.01)
    assert all(map(gone, workers))


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_killed_worker_is_noticed_at_once(context):
    batches = iter(DataLoader(Slow(), num_workers=2, multiprocessing_context=context))
    assert [int(next(batches)), int(next(batches))] == [0, 1]
    pids = [worker.pid for worker in batches._workers]
    start = time.monotonic()
    threading.Timer(0.1, os.kill, (pids[0], signal.SIGKILL)).start()
    with pytest.raises(RuntimeError, match=rf"DataLoader worker \(pid\(s\) {pids[0]}\) exited unexpectedly"):
        next(batches)
    assert time.monotonic() - start < 5
    del batches
    assert all(map(gone, pids))


def test_workers_start_after_threads_have_computed():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        big = torch.ones(2_000_000)
        assert (big * 2).sum() == 4_000_000
        batches = list(DataLoader([big, big], num_workers=2, collate_fn=lambda batch: (batch[0] * 3).sum()))
    finally:
        torch.set_num_threads(threads)
    assert [batch.item() for batch in batches] == [6_000_000, 6_000_000]


# ---- threads


class Threaded(Dataset):
    def __init__(self):
        self.seen = []

    def __len__(self):
        return 6

    def __getitem__(self, i):
        info = get_worker_info()
        self.seen.append((i, info.id))
        drawn = torch.rand((), generator=info.rng.torch_generator), info.rng.random_generator.random()
        return i, info.id, info.seed, *drawn


def test_threads_share_the_dataset_and_draw_what_can_be_repeated():
    data = Threaded()
    runs = []
    for _ in range(2):
        torch.manual_seed(0)
        runs.append(list(DataLoader(data, num_workers=2, batch_size=None, worker_type="thread")))
    assert runs[0] == runs[1] and [sample[:2] for sample in runs[0]] == [[i, i % 2] for i in range(6)]
    # recorded: the base seed that PyTorch draws after manual_seed(0), and what its workers draw with it
    assert [sample[2] for sample in runs[0][:2]] == [900450186894289455, 900450186894289456]
    assert runs[0][0][3].item() == pytest.approx(0.7821398973464966, abs=0)
    assert runs[0][1][4] == 0.7733861492043289
    assert sorted(data.seen) == sorted([(i, i % 2) for i in range(6)] * 2)
    assert get_worker_info() is None


def test_errors_of_threads_have_their_traceback():
    class Bad(Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            if i == 1:
                raise KeyError("lost")
            return i

    iterator = iter(DataLoader(Bad(), num_workers=2, worker_type="thread", batch_size=None))
    assert next(iterator) == 0
    with pytest.raises(KeyError, match=r"(?s)Caught KeyError in DataLoader worker thread 1.\nOriginal.*__getitem__"):
        next(iterator)
    assert list(iterator) == [2]


def test_streams_in_threads():
    class Stream(IterableDataset):
        def __iter__(self):
            info = get_worker_info()
            return iter(range(info.id, 7, info.num_workers))

    loader = DataLoader(Stream(), num_workers=2, batch_size=2, worker_type="thread", persistent_workers=True)
    for _ in range(2):
        assert [b.tolist() for b in loader] == [[0, 2], [1, 3], [4, 6], [5]]


def test_threads_do_not_copy():
    x = torch.arange(6.0)
    (batch,) = next(iter(DataLoader(TensorDataset(x), batch_size=None, num_workers=1, worker_type="thread")))
    assert batch.data_ptr() == x.data_ptr()


def test_threads_time_out_and_stop():
    release = threading.Event()

    class Waits(Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, i):
            release.wait(2)
            return i

    iterator = iter(DataLoader(Waits(), num_workers=1, worker_type="thread", timeout=0.05))
    threads = iterator._workers
    with pytest.raises(RuntimeError, match="DataLoader timed out after 0.05 seconds"):
        next(iterator)
    release.set()
    del iterator
    assert not any(thread.is_alive() for thread in threads)


def test_options_of_worker_types():
    with pytest.raises(ValueError, match="worker_type should be 'process' or 'thread', but got worker_type='fibre'"):
        DataLoader([1], worker_type="fibre")
    with pytest.raises(ValueError, match="but got worker_type='thread'"):
        DataLoader([1], num_workers=1, worker_type="thread", multiprocessing_context="fork")
