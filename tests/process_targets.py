"""What tests run in processes that are spawned: those must be able to import it, which they cannot of a test."""

import time

import numpy as np

import torch
from torch.utils.data import Dataset


def double(connection, t):
    t.mul_(2)
    connection.send([t, torch.arange(5)])
    connection.recv()


def fill(i, t):
    t[i] = i + 1


class Sub(torch.Tensor):
    pass


def as_it_is(batch):
    return batch


class Mixed(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        base = torch.arange(100_000.0)
        return {
            "part": base[10:20],
            "strided": base[15:30:2],
            "array": np.full((300, 300), i),
            "empty": torch.empty(0, 3),
            "sparse": torch.eye(3).to_sparse(),
            "conj": torch.tensor([1 + 2j]).conj(),
            "half": torch.ones(3, dtype=torch.bfloat16),
            "parameter": torch.nn.Parameter(torch.ones(2)),
            "storage": base.untyped_storage(),
            "transposed": torch.arange(6).reshape(2, 3).t(),
            "subclass": torch.ones(2, 3).as_subclass(Sub),
            "scalar": torch.tensor(i),
            "text": "x" * 100_000,
        }


class Slow(Dataset):
    """Whose third element takes a minute."""

    def __len__(self):
        return 8

    def __getitem__(self, i):
        time.sleep(0 if i < 2 else 60)
        return i
