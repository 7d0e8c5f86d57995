"""Worker processes of a loader: seeds, order, errors and warnings."""

import os
import random
import time
import warnings

import numpy  # seeded in workers only because it is loaded here
from programs import attempt, show

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

# says how many processors the machine has
warnings.filterwarnings("ignore", message="This DataLoader will create")


class Draws(Dataset):
    """What a worker draws from each generator."""

    def __len__(self):
        return 8

    def __getitem__(self, i):
        info = get_worker_info()
        drawn = (float(torch.rand(())), random.random(), float(numpy.random.rand()))
        return (i, info.id, info.seed, torch.initial_seed(), torch.get_num_threads(), *drawn)


torch.manual_seed(0)
for sample in DataLoader(Draws(), num_workers=2, batch_size=None):
    show(sample)
show(torch.rand(2))

torch.manual_seed(0)
loader = DataLoader(Draws(), num_workers=2, batch_size=2, shuffle=True, persistent_workers=True)
for _ in range(2):
    for batch in loader:
        show(batch)
show(torch.rand(2))

torch.manual_seed(0)
g = torch.Generator()
g.manual_seed(5)
loader = DataLoader(Draws(), num_workers=1, batch_size=4, shuffle=True, generator=g)
for _ in range(2):
    for batch in loader:
        show(batch)
show(torch.rand(2), torch.rand(2, generator=g))


class Uneven(IterableDataset):
    def __init__(self, lengths):
        self.lengths = lengths

    def __iter__(self):
        worker = get_worker_info().id
        return iter([(worker, k) for k in range(self.lengths[worker])])


for lengths in ([1, 5, 3], [0, 4, 2], [6, 0, 1]):
    for prefetch in (1, 2):
        loader = DataLoader(Uneven(lengths), num_workers=3, batch_size=None, prefetch_factor=prefetch)
        show(list(loader))
loader = DataLoader(Uneven([2, 4]), num_workers=2, batch_size=3, persistent_workers=True)
show(list(loader))
show(list(loader))
show(list(DataLoader(Uneven([2, 4]), num_workers=2, batch_size=3, drop_last=True)))


class Numbers(Dataset):
    def __init__(self, n=6):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i

    def __repr__(self):
        return "Numbers"


class FirstIsSlow(Numbers):
    seconds = 0.4

    def __getitem__(self, i):
        if i == 0:
            time.sleep(self.seconds)
        return i, get_worker_info().id


show(list(DataLoader(FirstIsSlow(), num_workers=2, batch_size=None, in_order=False)))
FirstIsSlow.seconds = 0.01
show(list(DataLoader(FirstIsSlow(), num_workers=2, batch_size=None)))


# ---- errors


def ends(function):
    """The first and the last line of an error that a worker sent."""
    try:
        return function()
    except Exception as error:
        lines = str(error).strip().split("\n")
        return f"{type(error).__name__}: {lines[0]} | {lines[1] if len(lines) > 1 else ''} | {lines[-1]}"


class Odd(Exception):
    def __init__(self, a, b):
        super().__init__(a)


class Failing(Numbers):
    def __init__(self, error):
        super().__init__(4)
        self.error = error

    def __getitem__(self, i):
        if i == 2:
            raise self.error
        return i


for error in (ValueError("boom"), KeyError("k"), Odd("a", "b"), StopIteration("x"), MemoryError()):
    show(ends(lambda: list(DataLoader(Failing(error), num_workers=2))))

iterator = iter(DataLoader(Failing(ValueError("once")), num_workers=2))
show([ends(lambda: next(iterator)) for _ in range(6)])


def bad_init(worker):
    raise RuntimeError(f"init {worker}")


show(ends(lambda: list(DataLoader(Numbers(), num_workers=2, worker_init_fn=bad_init))))
show(ends(lambda: list(DataLoader([object()], num_workers=1))))


class Leaving(Numbers):
    def __init__(self, how):
        super().__init__(4)
        self.how = how

    def __getitem__(self, i):
        if i == 1:
            self.how()
        time.sleep(0.02)
        return i


def died(how):
    text = ends(lambda: list(DataLoader(Leaving(how), num_workers=2)))
    return text if "pid" not in text else text.split("(pid")[0] + text.rpartition(")")[2]


show(died(lambda: os._exit(3)))
show(died(lambda: os.kill(os.getpid(), 9)))
show(died(lambda: exec("raise SystemExit(3)")))
attempt(lambda: list(DataLoader(Leaving(lambda: time.sleep(0.5)), num_workers=2, timeout=0.1)))


# ---- warnings


class Reported(IterableDataset):
    def __iter__(self):
        return iter(range(5))

    def __len__(self):
        return 4

    def __repr__(self):
        return "Reported"


for workers in (0, 1, 2):
    loader = DataLoader(Reported(), num_workers=workers, batch_size=None)
    show(len(loader))
    attempt(list, loader)
loader = DataLoader(Reported(), batch_size=3)
show(len(loader))
attempt(list, loader)


def told(worker):
    info = get_worker_info()
    assert info.id == worker and info.num_workers == 1 and repr(info.dataset) == "Numbers"
    assert info.rng is None and info.worker_method == "multiprocessing"


show(list(DataLoader(Numbers(3), num_workers=1, worker_init_fn=told)), get_worker_info())


# ---- when the base seed is drawn


class Drawing(torch.utils.data.Sampler):
    def __iter__(self):
        show("sampled", torch.rand(()))
        return iter([0, 1])

    def __len__(self):
        return 2


for workers in (0, 1):
    torch.manual_seed(0)
    iterator = iter(DataLoader(Numbers(), sampler=Drawing(), num_workers=workers))
    show("made", torch.rand(()))
    next(iterator)
    show("next", torch.rand(()))
