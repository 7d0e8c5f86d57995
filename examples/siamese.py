"""Teach a siamese network to put pictures of the same digit close together.

    python examples/siamese.py --out out/siamese

Data: the 1,797 digits of 8x8 pixels that come with scikit-learn (``sklearn.datasets.load_digits``), a quarter of them
held out. The network never hears which digit a picture shows, only whether two pictures show the same one.
Architecture: Hadsell, Chopra & LeCun 2006, "Dimensionality reduction by learning an invariant mapping": one network
maps both pictures of a pair to points in the plane; the contrastive loss draws equal pairs together and pushes others
apart until they are a margin away.

Prints how many held-out digits have most of their five nearest training digits of their own class, and draws the plane
(siamese.png). Exit status 1 if fewer than 94 % have.
"""

import sys

import numpy as np
from _frame import Run, launch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import ChainedScheduler, LinearLR, MultiStepLR
from torch.utils.data import DataLoader, Dataset

EPOCHS = 80
BATCH = 64
MARGIN = 2.0
NEIGHBOURS = 5


class Pairs(Dataset):
    """Pairs of pictures and whether they show the same digit; every second pair does.

    The i-th pair starts with the i-th picture; its partner is drawn anew each time.
    """

    def __init__(self, pictures: torch.Tensor, labels: torch.Tensor):
        self.pictures, self.labels = pictures, labels
        self.of_class = [(labels == digit).nonzero().squeeze(1) for digit in range(10)]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        digit, same = self.labels[index].item(), index % 2 == 0
        if not same:
            digit = (digit + torch.randint(1, 10, ()).item()) % 10
        choices = self.of_class[digit]
        partner = choices[torch.randint(len(choices), ())]
        return self.pictures[index], self.pictures[partner], torch.tensor(same)


class Embedding(nn.Module):
    """(batch, 1, 8, 8) pictures to (batch, size) points."""

    def __init__(self, size: int = 2, width: int = 24):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.PReLU(width),
            nn.Conv2d(width, 2 * width, 3, padding=1, stride=2),
            nn.PReLU(2 * width),
            nn.Dropout2d(0.05),
            nn.Flatten(),
            nn.Linear(2 * width * 16, 64),
            nn.PReLU(),
            nn.Linear(64, size, bias=False),  # moving all points alike changes no distance
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.layers(pictures)


def contrastive_loss(first: torch.Tensor, second: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Return the mean of distance^2 over equal pairs and of (margin - distance)^2 over others within the margin."""
    distance = F.pairwise_distance(first, second)
    return torch.where(same, distance.square(), (MARGIN - distance).clamp(min=0).square()).mean()


def load_data(dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Return pictures and labels for training, then those for the test."""
    digits = load_digits()
    parts = train_test_split(np.arange(len(digits.target)), stratify=digits.target, random_state=0)
    pictures = torch.from_numpy(digits.images / 16).to(dtype).unsqueeze(1)
    labels = torch.from_numpy(digits.target).long()
    return tuple(tensor[part] for part in parts for tensor in (pictures, labels))


def main(run: Run) -> None:
    train, labels, test, test_labels = load_data(run.dtype)
    loader = DataLoader(Pairs(train, labels), batch_size=BATCH, shuffle=True, drop_last=True)

    model = Embedding()
    # distances don't see most biases of the last layers: a large eps keeps their rounding noise from being a gradient
    optimizer = torch.optim.Adamax(model.parameters(), lr=4e-3, eps=1e-5)
    total = EPOCHS * len(loader)
    warm_up = LinearLR(optimizer, start_factor=0.02, total_iters=100)
    scheduler = ChainedScheduler([warm_up, MultiStepLR(optimizer, milestones=[total // 2, 3 * total // 4], gamma=0.3)])

    run.start(total)
    for _ in range(EPOCHS):
        for first, second, same in loader:
            optimizer.zero_grad()
            loss = contrastive_loss(*model(torch.cat([first, second])).chunk(2), same)
            loss.backward()
            optimizer.step()
            scheduler.step()
            run.step(loss)

    model.eval()
    with torch.no_grad():
        known, points = model(train), model(test)
    nearest = torch.cdist(points, known).topk(NEIGHBOURS, largest=False).indices
    guesses = labels[nearest].mode(dim=1).values
    run.check("accuracy of the nearest neighbours", (guesses == test_labels).float().mean().item(), at_least=0.94)

    with run.picture("siamese.png", 11, 5) as figure:
        curve, plane = figure.subplots(1, 2, width_ratios=[1.2, 1])
        curve.plot(run.losses, linewidth=0.8)
        curve.set(xlabel="step", ylabel="contrastive loss", yscale="log", title="training loss")
        plane.scatter(*known.T.numpy(), c=labels.numpy(), cmap="tab10", s=3, alpha=0.3)
        outlined = {"s": 14, "edgecolor": "k", "linewidth": 0.3}
        scatter = plane.scatter(*points.T.numpy(), c=test_labels.numpy(), cmap="tab10", **outlined)
        figure.colorbar(scatter, ax=plane, ticks=range(10), label="digit")
        plane.set(title="the learned plane; outlined: held-out digits", aspect="equal")


if __name__ == "__main__":
    sys.exit(launch(main))
