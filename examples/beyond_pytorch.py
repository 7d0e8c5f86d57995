"""Four tools that PyTorch lacks, on a small network for real handwritten digits: a model's summary, pictures of its
graphs, the guard that names what makes a NaN, and an error about memory that says what holds it.

    python examples/beyond_pytorch.py --out out/beyond

The pictures need fast-sugiyama. Unlike the other examples this one needs Tabula: PyTorch has no such functions.
"""

import argparse
import sys
from pathlib import Path

from sklearn.datasets import load_digits

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.head = nn.Linear(256, 10)

    def forward(self, images):
        return self.head(self.body(images))


def careless_loss(logits, labels):
    """Cross entropy as it should not be written: the probability of a wrong class can round to zero."""
    return -torch.log(torch.softmax(logits, 1))[range(len(labels)), labels].mean()


def train(model, images, labels, loss_of, steps):
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    for step in range(steps):
        rows = torch.arange(step * 64, step * 64 + 64) % len(images)
        optimizer.zero_grad()
        loss_of(model(images[rows]), labels[rows]).backward()
        optimizer.step()


def main(options: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out/beyond"))
    out = parser.parse_args(options).out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)  # 0 to 16: nobody has scaled them
    labels = torch.tensor(digits.target)
    model = Net()

    print(torch.summary(model, images[:64]), end="\n\n")

    try:
        torch.utils.draw_graph(model, images[:64], path=out / "modules.svg")
        loss = F.cross_entropy(model(images[:64]), labels[:64])
        torch.utils.draw_graph(loss, params=model, path=out / "backward.svg")
        print(f"pictures of the modules and of the graph of backward: {out}", end="\n\n")
    except ModuleNotFoundError as missing:
        print(missing, end="\n\n")

    found = None
    try:
        with torch.utils.nan_guard():
            train(model, images, labels, careless_loss, 200)
    except torch.utils.NonFiniteError as error:
        found = error.finding
        print(error, end="\n\n")

    many = [torch.stack([images] * 50) for _ in range(3)]
    try:
        torch.empty(1 << 50)
    except RuntimeError as error:
        print(error)
    held = sum(t.nbytes for t in many)
    passed = found is not None and found.operation == "log"
    print(f"\n{held:,} bytes in the tensors made last; the guard found {found.operation if found else 'nothing'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
