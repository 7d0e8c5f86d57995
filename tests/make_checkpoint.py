"""Writes the checkpoints that test_checkpoints.py reads: run it under the reference PyTorch or under this library.

REFERENCE/bin/python tests/make_checkpoint.py tests/data
"""

import collections
import sys
import warnings
from pathlib import Path

import torch

DTYPES = (
    "uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128 bool uint16 uint32 uint64 "
    "float8_e4m3fn float8_e5m2"
).split()


def model():
    """Return a small network whose weights are small integers."""
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2), torch.nn.ReLU())
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(torch.arange(p.numel()).view(p.shape) - i)
    return net


def state():
    """Return one of everything that a checkpoint may hold."""
    base = torch.arange(12.0).view(3, 4)
    net = model()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.5)
    net[0].weight.grad = torch.ones(2, 3)
    optimizer.step()
    return {
        "dtypes": {name: torch.tensor([[0, 1], [2, 3]]).to(getattr(torch, name)) for name in DTYPES},
        "shared": [base, base[1:, ::2], base.t()],
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "frozen": torch.nn.Parameter(torch.ones(2), requires_grad=False),
        "leaf": torch.ones(2, requires_grad=True),
        "conjugate": torch.tensor([1 + 2j]).conj(),
        "model": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "plain": [1, 2.5, "text", None, True, (1, 2), {"a": b"bytes"}, {1, 2}, 1 + 2j, 2**70],
        "size": torch.Size([1, 2]),
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "ordered": collections.OrderedDict(b=1, a=2),
        "counter": collections.Counter("aab"),
    }


def write(folder: Path) -> None:
    """Write the current format, the one before it, and a whole module."""
    torch.save(state(), folder / "checkpoint.pt")
    old = {"weight": torch.arange(6.0).view(2, 3), "view": torch.arange(6)[2:4], "lr": 0.1}
    torch.save(old, folder / "checkpoint_legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(model(), folder / "checkpoint_module.pt")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    write(Path(sys.argv[1]))
