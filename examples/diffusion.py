"""Teach a diffusion model to draw digits.

    python examples/diffusion.py --out out/diffusion

Data: the 1,797 digits of 8x8 pixels that come with scikit-learn (``sklearn.datasets.load_digits``), 297 of them held
out. Architecture: Ho, Jain & Abbeel 2020, "Denoising diffusion probabilistic models". A picture is dissolved in noise
over 120 steps (Nichol & Dhariwal's 2021 cosine schedule); the network learns to tell the noise in a picture from the
picture and the step, and draws by taking that noise away step by step, from noise alone. The network is a small
U-shaped one of residual blocks with GroupNorm (Wu & He 2018), which hear of the step through a sinusoidal embedding;
what draws is the exponential moving average of its weights.

Prints how far the drawn digits are from held-out ones (Fréchet distance of the grey values), beside the distances of
real digits and of plain noise, and draws samples and how they come about (diffusion.png). Exit status 1 if the distance
is above 4.
"""

import math
import sys

from _frame import Run, launch
from _measures import frechet_distance
from sklearn.datasets import load_digits

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

STEPS = 1000
BATCH = 64
HELD_OUT = 297
NOISE_STEPS = 120


class Block(nn.Module):
    """A residual block that is told the step: (batch, channels, h, w), (batch, hint) -> (batch, out, h, w)."""

    def __init__(self, channels: int, out: int, hint: int):
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, out, 3, padding=1))
        self.hint = nn.Linear(hint, out)
        self.second = nn.Sequential(nn.GroupNorm(8, out), nn.SiLU(), nn.Conv2d(out, out, 3, padding=1))
        self.shortcut = nn.Conv2d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x: torch.Tensor, hint: torch.Tensor) -> torch.Tensor:
        inner = self.first(x) + self.hint(hint)[:, :, None, None]
        return self.shortcut(x) + self.second(inner)


class Denoiser(nn.Module):
    """Tells the noise in noisy pictures: (batch, 1, 8, 8), (batch,) steps -> (batch, 1, 8, 8)."""

    def __init__(self, width: int = 32, hint: int = 64):
        super().__init__()
        frequencies = torch.exp(-math.log(1000) * torch.arange(hint // 2) / (hint // 2 - 1))
        self.register_buffer("frequencies", frequencies)
        self.embed = nn.Sequential(nn.Linear(hint, hint), nn.SiLU(), nn.Linear(hint, hint), nn.SiLU())
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.down = Block(width, width, hint)
        self.middle = nn.ModuleList([Block(width, 2 * width, hint), Block(2 * width, 2 * width, hint)])
        self.up = Block(3 * width, width, hint)
        self.head = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, pictures: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        angles = steps[:, None] * self.frequencies
        hint = self.embed(torch.cat([angles.sin(), angles.cos()], dim=1))
        fine = self.down(self.stem(pictures), hint)
        coarse = F.avg_pool2d(fine, 2)
        for block in self.middle:
            coarse = block(coarse, hint)
        wide = F.interpolate(coarse, scale_factor=2, mode="nearest")
        return self.head(self.up(torch.cat([fine, wide], dim=1), hint))


class Diffusion:
    """The schedule: at step t a picture is ``signal[t] * picture + noise[t] * noise``."""

    def __init__(self, steps: int):
        time = torch.arange(steps + 1, dtype=torch.float64) / steps
        kept = torch.cos((time + 0.008) / 1.008 * math.pi / 2).square()
        betas = (1 - kept[1:] / kept[:-1]).clamp(max=0.999)
        remaining = torch.cumprod(1 - betas, dim=0)
        dtype = torch.get_default_dtype()
        self.steps, self.betas = steps, betas.to(dtype)
        self.signal, self.noise = remaining.sqrt().to(dtype), (1 - remaining).sqrt().to(dtype)

    def loss(self, model: nn.Module, pictures: torch.Tensor) -> torch.Tensor:
        """Return the squared error of the noise that the model sees, at a random step for each picture."""
        steps = torch.randint(self.steps, (len(pictures),))
        noise = torch.randn_like(pictures)
        noisy = self.signal[steps].view(-1, 1, 1, 1) * pictures + self.noise[steps].view(-1, 1, 1, 1) * noise
        return F.mse_loss(model(noisy, steps), noise)

    @torch.no_grad()
    def draw(self, model: nn.Module, count: int) -> list[torch.Tensor]:
        """Return pictures (count, 1, 8, 8) from noise alone, and before them what they were at each earlier step."""
        pictures = [torch.randn(count, 1, 8, 8)]
        for step in reversed(range(self.steps)):
            now, beta = pictures[-1], self.betas[step]
            noise = model(now, torch.full((count,), step))
            clean = ((now - self.noise[step] * noise) / self.signal[step]).clamp(-1, 1)
            if step:  # what the picture was one step earlier, if this is what it was before all noise
                before = self.noise[step - 1] / self.noise[step]
                mean = self.signal[step - 1] * beta / self.noise[step].square() * clean
                mean = mean + (1 - beta).sqrt() * before.square() * now
                clean = mean + before * beta.sqrt() * torch.randn_like(now)
            pictures.append(clean)
        return pictures


def main(run: Run) -> None:
    digits = torch.from_numpy(load_digits().images).to(run.dtype).unsqueeze(1) / 8 - 1  # from -1 to 1
    train, held_out = digits[HELD_OUT:], digits[:HELD_OUT]
    data = TensorDataset(train)
    sampler = RandomSampler(data, replacement=True, num_samples=STEPS * BATCH)
    loader = DataLoader(data, batch_size=BATCH, sampler=sampler)

    diffusion = Diffusion(NOISE_STEPS)
    model = Denoiser()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.995))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=STEPS)

    run.start(STEPS)
    for (pictures,) in loader:
        optimizer.zero_grad()
        loss = diffusion.loss(model, pictures)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        average.update_parameters(model)
        run.step(loss)

    average.eval()
    history = diffusion.draw(average, HELD_OUT)
    drawn = history[-1].clamp(-1, 1)
    print(f"distance of other real digits: {frechet_distance(train[:HELD_OUT], held_out):.4g}")
    print(f"distance of noise: {frechet_distance(history[0].clamp(-1, 1), held_out):.4g}")
    run.check("distance of drawn digits", frechet_distance(drawn, held_out), at_most=4)

    with run.picture("diffusion.png", 13, 4.6) as figure:
        left, middle, right = figure.subfigures(1, 3, width_ratios=[0.8, 1, 1])
        curve = left.subplots()
        curve.plot(run.losses, linewidth=0.4)
        curve.set(xlabel="step", ylabel="squared error of the noise", yscale="log", title="training loss")
        middle.suptitle("drawn digits")
        for axis, picture in zip(middle.subplots(8, 10).flat, drawn[:80, 0], strict=True):
            axis.imshow(picture.numpy(), cmap="gray_r", vmin=-1, vmax=1)
            axis.axis("off")
        right.suptitle("from noise to digits, every 15 steps")
        for axes, moment in zip(right.subplots(NOISE_STEPS // 15 + 1, 10), history[::15], strict=True):
            for axis, picture in zip(axes, moment[:10, 0], strict=True):
                axis.imshow(picture.numpy(), cmap="gray_r", vmin=-1, vmax=1)
                axis.axis("off")


if __name__ == "__main__":
    sys.exit(launch(main))
