"""Fit a normalizing flow to points in the plane whose true density is known.

    python examples/flow.py --out out/flow

Data: points drawn evenly from the silhouette of a horse that comes with scikit-image (``skimage.data.horse``), so the
best density is known: one over the area inside, nothing outside. Architecture: Dinh, Sohl-Dickstein & Bengio 2017,
"Density estimation using Real NVP": coupling layers, each of which moves one coordinate by a map that it computes from
the other one, which is undone as easily as it is done; between them the coordinates are mixed by a rotation that is
learned (orthogonal, so it leaves areas alone). How much each layer stretches adds up to the exact log density.

Prints how many nats the flow is away from the best log density on held-out points, beside a Gaussian's, and draws the
density, drawn points, and how they come about (flow.png). Exit status 1 if it is more than 0.25 nats away.
"""

import math
import sys

import numpy as np
from _frame import Run, launch
from skimage.data import horse

import torch
from torch import nn
from torch.nn.utils.parametrizations import orthogonal

STEPS = 4000
BATCH = 512
SCALE = 100.0  # pixels per unit


class Coupling(nn.Module):
    """Scale and shift the second coordinate by functions of the first: (batch, 2) -> (batch, 2), (batch,)."""

    def __init__(self, hidden: int = 48):
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(1, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2),
        )
        nn.init.normal_(self.network[-1].weight, std=0.02)  # at first the layer changes little
        nn.init.zeros_(self.network[-1].bias)

    def terms(self, first: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logarithm of the scale, between -2 and 2, and the shift."""
        log_scale, shift = self.network(first).chunk(2, dim=1)
        return 2 * torch.tanh(log_scale / 2), shift

    def forward(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first, second = points.chunk(2, dim=1)
        log_scale, shift = self.terms(first)
        return torch.cat([first, second * log_scale.exp() + shift], dim=1), log_scale.squeeze(1)

    def inverse(self, points: torch.Tensor) -> torch.Tensor:
        first, second = points.chunk(2, dim=1)
        log_scale, shift = self.terms(first)
        return torch.cat([first, (second - shift) * (-log_scale).exp()], dim=1)


class RealNVP(nn.Module):
    """Couplings with rotations between them, which together make points of the data normally distributed."""

    def __init__(self, layers: int = 10):
        super().__init__()
        self.couplings = nn.ModuleList(Coupling() for _ in range(layers))
        # none at the end: a normal distribution looks the same from all sides
        self.rotations = nn.ModuleList(
            orthogonal(nn.Linear(2, 2, bias=False), orthogonal_map="cayley") for _ in range(layers - 1)
        )

    def log_density(self, points: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the density at each point: (batch, 2) -> (batch,)."""
        stretched = points.new_zeros(len(points))
        for coupling, rotation in zip(self.couplings, [*self.rotations, nn.Identity()], strict=True):
            points, log_scale = coupling(points)
            points = rotation(points)
            stretched = stretched + log_scale
        return stretched - 0.5 * points.square().sum(dim=1) - math.log(2 * math.pi)

    def stages(self, points: torch.Tensor) -> list[torch.Tensor]:
        """Return normally distributed points with none, one, two ... layers undone; the last are like the data."""
        history = [self.couplings[-1].inverse(points)]
        for coupling, rotation in zip(self.couplings[-2::-1], self.rotations[::-1], strict=True):
            history.append(coupling.inverse(history[-1] @ rotation.weight))  # its transpose undoes a rotation
        return [points, *history]


def main(run: Run) -> None:
    inside = ~horse()
    rows, columns = inside.nonzero()
    middle = np.array([columns.mean(), rows.mean()])
    pixels = torch.from_numpy((np.stack([columns, rows], axis=1) - middle) / SCALE).to(run.dtype)
    best = -math.log(len(pixels) / SCALE**2)  # log density of the uniform distribution over the silhouette

    def draw(count: int) -> torch.Tensor:
        """Return points of the silhouette: a pixel at random and a place in it at random."""
        return pixels[torch.randint(len(pixels), (count,))] + (torch.rand(count, 2) - 0.5) / SCALE

    model = RealNVP()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, amsgrad=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)

    run.start(STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = -model.log_density(draw(BATCH)).mean()
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        run.step(loss)

    test = draw(5000)
    gaussian = -1 - math.log(2 * math.pi) - 0.5 * torch.logdet(torch.cov(pixels.T)).item()  # its mean log density
    height, width = inside.shape
    grid = torch.cartesian_prod(torch.arange(0.0, height, 2), torch.arange(0.0, width, 2)).flip(1)
    with torch.no_grad():
        print(f"nats from the best density, a Gaussian: {best - gaussian:.4g}")
        run.check("nats from the best density, the flow", best - model.log_density(test).mean().item(), at_most=0.25)
        density = model.log_density((grid - torch.from_numpy(middle).to(run.dtype)) / SCALE).exp()
        stages = model.stages(torch.randn(3000, 2))

    with run.picture("flow.png", 13, 5) as figure:
        top, bottom = figure.subfigures(2, 1, height_ratios=[1.4, 1])
        curve, learned, points = top.subplots(1, 3)
        curve.plot(run.losses, linewidth=0.6)
        curve.axhline(-best, color="k", linestyle="--", linewidth=0.8, label="best possible")
        curve.set(xlabel="step", ylabel="negative log density", title="training loss")
        curve.legend()
        learned.imshow(density.view(height // 2, width // 2).numpy(), cmap="viridis", extent=(0, width, height, 0))
        learned.set_title("learned density")
        points.imshow(inside, cmap="gray_r", alpha=0.3)
        points.scatter(*(stages[-1] * SCALE + torch.from_numpy(middle)).T.numpy(), s=1)
        points.set(title="3,000 drawn points over the silhouette", xlim=(0, width), ylim=(height, 0))
        bottom.suptitle("from normal points to the silhouette, layer by layer")
        for axis, stage in zip(bottom.subplots(1, len(stages)), stages, strict=True):
            axis.scatter(*stage.T.numpy(), s=0.3)
            axis.invert_yaxis()
            axis.set(xticks=[], yticks=[], aspect="equal")


if __name__ == "__main__":
    sys.exit(launch(main))
