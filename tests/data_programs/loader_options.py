"""What a loader's options do, and which exclude each other."""

import pickle
import warnings
from collections import OrderedDict, UserDict, UserList, defaultdict, namedtuple

import numpy as np
from programs import attempt, show

import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, SequentialSampler
from torch.utils.data._utils.collate import collate, default_collate, default_collate_fn_map, default_convert

warnings.filterwarnings("ignore", message="This DataLoader will create")


class Numbers(Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, i):
        return i


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(5))


class Whole(Numbers):
    def __getitems__(self, indices):
        return [i * 10 for i in indices]


d = Numbers()
for options in (
    {"num_workers": -1},
    {"timeout": -1},
    {"prefetch_factor": 2},
    {"num_workers": 1, "prefetch_factor": -1},
    {"persistent_workers": True},
    {"multiprocessing_context": "fork"},
    {"num_workers": 1, "multiprocessing_context": "bogus"},
    {"num_workers": 1, "multiprocessing_context": 3},
    {"shuffle": True, "sampler": SequentialSampler(d)},
    {"batch_sampler": [[0]], "batch_size": 2},
    {"batch_sampler": [[0]], "drop_last": True},
    {"batch_sampler": [[0]], "shuffle": True},
    {"batch_sampler": [[0]], "sampler": [0]},
    {"batch_size": None, "drop_last": True},
    {"batch_size": 0},
    {"batch_size": 1.5},
    {"drop_last": 1},
    {"num_workers": "1"},
    {"pin_memory": True},
):
    attempt(lambda: list(DataLoader(d, **options)))
for options in ({"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}, {"shuffle": False}):
    attempt(lambda: list(DataLoader(Stream(), **options)))
attempt(lambda: list(DataLoader(d, num_workers=1, prefetch_factor=0)))
attempt(lambda: len(DataLoader(Stream())))

loader = DataLoader(d, batch_size=2)
for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"):
    attempt(setattr, loader, name, None)
loader.collate_fn = list
show(list(loader), len(loader), loader.prefetch_factor, DataLoader(d, num_workers=1).prefetch_factor)
show(DataLoader(d, num_workers=1).multiprocessing_context, DataLoader(d, in_order=False).in_order)
loader = DataLoader(d, num_workers=1, multiprocessing_context="fork")
show(type(loader.multiprocessing_context).__name__)
loader.multiprocessing_context = "spawn"
show(type(loader.multiprocessing_context).__name__)
show(list(pickle.loads(pickle.dumps(DataLoader([1, 2, 3], batch_size=2)))))
attempt(pickle.dumps, iter(DataLoader([1])))

for options in (
    {"batch_size": 2},
    {"batch_size": 2, "drop_last": True},
    {"batch_size": None},
    {"batch_sampler": [[0, 1], [4], []]},
    {"sampler": [3, 1], "batch_size": 2},
    {"batch_sampler": BatchSampler(SequentialSampler(d), 3, True)},
):
    if options.get("batch_sampler") != [[0, 1], [4], []]:
        show(list(DataLoader(d, **options)), len(DataLoader(d, **options)))
    show([b for b in DataLoader(Whole(), **{**options, "collate_fn": lambda b: b})])
for options in ({"batch_size": 2}, {"batch_size": 2, "drop_last": True}, {"batch_size": None}):
    show(list(DataLoader(Stream(), **options)))

loader = DataLoader(d, num_workers=1, persistent_workers=True)
first = iter(loader)
show(len(first), iter(loader) is first, next(first))
show(list(loader), list(loader))

# ---- collating

Point = namedtuple("Point", "x y")
for batch in (
    [1, 2],
    [1.5, 2],
    [True, False],
    ["a", "b"],
    [b"a", b"b"],
    [torch.tensor(1), torch.tensor(2)],
    [np.float32(1), np.float32(2)],
    [np.int64(1), np.int64(2)],
    [np.arange(2), np.arange(2)],
    [np.array("a"), np.array("b")],
    [np.array(1.5), np.array(2.5)],
    [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    [OrderedDict(a=1), OrderedDict(a=2)],
    [(1, 2), (3, 4)],
    [[1, 2], [3, 4]],
    [Point(1, 2), Point(3, 4)],
    [{"a": [1, {"b": 2.0}]}, {"a": [3, {"b": 4.0}]}],
    [[1, 2], [3]],
    [{"a": 1}, {"b": 1}],
    [None, None],
    [object, object],
    [torch.ones(2), torch.ones(3)],
    [],
    [UserDict(a=1), UserDict(a=2)],
    [UserList([1]), UserList([2])],
    [range(2), range(2)],
    [1 + 2j, 3j],
):
    attempt(default_collate, batch)
kinds = defaultdict(list, a=1)
show(type(default_collate([kinds, kinds])).__name__, type(default_collate([OrderedDict(a=1)] * 2)).__name__)
for data in (
    np.arange(3), np.float64(2), [np.arange(2), 1], (np.arange(2), "s"), {"a": np.arange(2)}, Point(np.arange(1), 2),
    "text", 3, torch.ones(1), np.array("a"), range(3),
):  # fmt: skip
    attempt(default_convert, data)


def first(batch, *, collate_fn_map=None):
    return batch[0]


attempt(collate, [1, 2], collate_fn_map={int: first})
attempt(collate, ["a", 2], collate_fn_map={(int, str): first})
attempt(collate, [{"a": 1.0}, {"a": 2.0}], collate_fn_map={float: first})
attempt(collate, [1.0, 2.0], collate_fn_map={int: first})
attempt(collate, [True], collate_fn_map={int: first})
attempt(collate, [1, 2])
default_collate_fn_map[complex] = first
attempt(default_collate, [1j, 2j])
del default_collate_fn_map[complex]
