"""Datasets and samplers."""

import warnings

from programs import attempt, show

import torch
from torch.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)

warnings.simplefilter("always")


class Stream(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))


class Sized(Stream):
    def __len__(self):
        return self.n


attempt(lambda: Dataset()[0])
attempt(lambda: len(Dataset()))
attempt(lambda: iter(IterableDataset()))
t = TensorDataset(torch.arange(6).view(3, 2), torch.arange(3))
show(t[1], len(t), t[-1], t[0:2])
attempt(TensorDataset, torch.ones(2), torch.ones(3))
attempt(TensorDataset)
for args, kwargs in (((), {}), (([1, 2], [3]), {}), (([1],), {"a": [1]}), ((), {"a": [1, 2], "b": [3]})):
    attempt(StackDataset, *args, **kwargs)
s = StackDataset([1, 2, 3], "abc")
show(s[1], len(s), s.__getitems__([0, 2]))
s = StackDataset(a=[1, 2, 3], b=t)
show(s[1], len(s), s.__getitems__([0, 2]))

c = ConcatDataset([[1, 2], (3,), "ab"])
show(len(c), [c[i] for i in range(5)], c[-1], c[-5], c.cumulative_sizes)
attempt(lambda: c[-6])
attempt(lambda: c[5])
attempt(ConcatDataset, [])
attempt(ConcatDataset, [Stream(1)])
attempt(lambda: c.cummulative_sizes)
show(type(t + t).__name__, len(t + t), type(Stream(1) + Stream(2)).__name__, list(Stream(1) + Stream(2)))
attempt(lambda: len(ChainDataset([Sized(2), Sized(3)])))
attempt(lambda: list(ChainDataset([Sized(2), [3]])))
attempt(lambda: len(ChainDataset([[1]])))
sub = Subset(list("abcdef"), [5, 0, 2])
show(sub[0], sub.__getitems__([0, 1]), len(sub), list(sub.indices))
attempt(lambda: sub[3])
attempt(lambda: sub[[0, 1]])
show(Subset(t, [2, 0]).__getitems__([1]), Subset(t, [2, 0])[[0, 1]])

torch.manual_seed(3)
for lengths in ([3, 3, 4], [0.5, 0.25, 0.25], [0.3, 0.3], [11], [0.99, 0.01], [0, 10], [0.5, 0.6], [-0.5, 1.5]):
    attempt(lambda: [list(part.indices) for part in random_split(range(10), lengths)])
show([list(part) for part in random_split(range(5), [2, 3], generator=torch.Generator().manual_seed(1))])
show(torch.rand(1))

# ---- samplers

attempt(lambda: iter(Sampler()))
attempt(Sampler, [1])
show(list(SequentialSampler("abc")), len(SequentialSampler("abc")))
torch.manual_seed(0)
for kwargs in (
    {}, {"num_samples": 3}, {"num_samples": 12}, {"replacement": True}, {"replacement": True, "num_samples": 40},
    {"generator": torch.Generator().manual_seed(2)},
    {"generator": torch.Generator().manual_seed(2), "replacement": True, "num_samples": 33},
):  # fmt: skip
    sampler = RandomSampler(range(5), **kwargs)
    show(list(sampler), len(sampler))
show(torch.rand(1))
for kwargs in ({"replacement": 1}, *({"num_samples": n} for n in (0, -1, 1.5, True))):
    attempt(lambda: len(RandomSampler(range(5), **kwargs)))
attempt(RandomSampler, [])
torch.manual_seed(0)
show(list(SubsetRandomSampler([4, 7, 9])), len(SubsetRandomSampler([4, 7, 9])))
show(list(SubsetRandomSampler("abc", generator=torch.Generator().manual_seed(1))))
for args in (
    ([0.1, 0.9], 4), ([1, 2, 3], 3, False), ([1, 0], 2, False), ([[1.0]], 1), ([1], 0), ([1], 1, 2), ([1], True),
):  # fmt: skip
    attempt(lambda: list(WeightedRandomSampler(*args)))
for args in ((range(5), 2, False), (range(5), 2, True), (range(4), 2, True), (range(2), 3, True), ([], 2, False)):
    sampler = BatchSampler(*args)
    show(list(sampler), len(sampler))
for args in ((range(5), 0, False), (range(5), True, False), (range(5), 1.0, False), (range(5), 1, 0)):
    attempt(BatchSampler, *args)
for n, replicas, drop in ((10, 3, False), (10, 3, True), (2, 5, False), (9, 3, True)):
    for shuffle in (False, True):
        samplers = [DistributedSampler(range(n), replicas, rank, shuffle, 7, drop) for rank in range(replicas)]
        for sampler in samplers:
            sampler.set_epoch(2)
        show([list(sampler) for sampler in samplers], len(samplers[0]))
attempt(DistributedSampler, range(3), 2, 2)
attempt(DistributedSampler, range(3), 2, -1)
