"""Train a U-Net to mark the coins in a photograph.

    python examples/unet.py --out out/unet

Data: scikit-image's photograph of Greek coins (``skimage.data.coins``, 303 x 384). What is coin and what is background
is found by a classical method, a watershed on the edges between what is surely dark and surely bright. The network
sees crops of the left two thirds, mirrored at random, with random contrast and brightness; the right third is the
test. Architecture: Ronneberger, Fischer & Brox 2015, "U-Net: convolutional networks for biomedical image
segmentation": a path down that halves the picture and doubles the channels, a path up by transposed convolutions, and
at each level the way across that brings the details back. It learns from crops and is then shown the whole photograph.

Prints the intersection over union on the test part, beside that of the best plain threshold, and draws the masks
(unet.png). Exit status 1 if it is below 0.96.
"""

import sys

import numpy as np
from _frame import Run, launch
from scipy.ndimage import binary_fill_holes
from skimage.data import coins
from skimage.filters import sobel
from skimage.segmentation import watershed

import torch
from torch import nn
from torch.nn import functional as F

STEPS = 300
BATCH = 8
CROP = 64
SEEN = 256  # columns of the photograph that are for training


def double_convolution(channels: int, out: int) -> nn.Sequential:
    """Two 3x3 convolutions that keep the size of the picture."""
    layers: list[nn.Module] = []
    for _ in range(2):
        layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.SiLU()]
        channels = out
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """(batch, 1, h, w) pictures to (batch, 1, h, w) logits of "coin"; h and w are multiples of ``2 ** levels``."""

    def __init__(self, width: int = 8, levels: int = 3):
        super().__init__()
        widths = [width * 2**level for level in range(levels + 1)]
        self.down = nn.ModuleList(double_convolution(*pair) for pair in zip([1, *widths], widths, strict=False))
        self.widen = nn.ModuleList(nn.ConvTranspose2d(w, w // 2, 2, stride=2) for w in reversed(widths[1:]))
        self.up = nn.ModuleList(double_convolution(w, w // 2) for w in reversed(widths[1:]))
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        across, x = [], pictures
        for block in self.down[:-1]:
            x = block(x)
            across.append(x)
            x = F.max_pool2d(x, 2)
        x = self.down[-1](x)
        for widen, block in zip(self.widen, self.up, strict=True):
            x = block(torch.cat([across.pop(), widen(x)], dim=1))
        return self.head(x)


def load_data(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the photograph with values from 0 to 1 and its mask, both (296, 384)."""
    photograph = coins()[:296]
    seeds = np.zeros(photograph.shape, dtype=int)
    seeds[photograph < 30] = 1
    seeds[photograph > 150] = 2
    mask = binary_fill_holes(watershed(sobel(photograph), seeds) == 2)
    return torch.from_numpy(photograph / 255).to(dtype), torch.from_numpy(mask).to(dtype)


def random_crops(photograph: torch.Tensor, mask: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``count`` crops of the photograph and of the mask, (count, 1, CROP, CROP), mirrored and re-lit."""
    both = torch.stack([photograph, mask])
    crops = []
    for _ in range(count):
        row = torch.randint(both.shape[1] - CROP + 1, ()).item()
        column = torch.randint(both.shape[2] - CROP + 1, ()).item()
        crop = both[:, row : row + CROP, column : column + CROP]
        crops.append(crop.flip([axis for axis in (1, 2) if torch.rand(()) < 0.5]))
    pictures, masks = torch.stack(crops).split(1, dim=1)
    contrast = torch.empty(count, 1, 1, 1).uniform_(0.7, 1.3)
    brightness = torch.empty(count, 1, 1, 1).uniform_(-0.2, 0.2)
    return pictures * contrast + brightness, masks


def dice_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return one minus the overlap 2 |A and B| / (|A| + |B|) of what is marked and what should be."""
    marked = logits.sigmoid()
    return 1 - (2 * (marked * masks).sum() + 1) / (marked.sum() + masks.sum() + 1)


def intersection_over_union(marked: torch.Tensor, mask: torch.Tensor) -> float:
    """Return |A and B| / |A or B| of two masks of ones and zeros."""
    marked, mask = marked.bool(), mask.bool()
    return ((marked & mask).sum() / (marked | mask).sum()).item()


def main(run: Run) -> None:
    photograph, mask = load_data(run.dtype)
    model = UNet()
    optimizer = torch.optim.AdamW(model.parameters())
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=STEPS)

    run.start(STEPS)
    for _ in range(STEPS):
        pictures, masks = random_crops(photograph[:, :SEEN], mask[:, :SEEN], BATCH)
        optimizer.zero_grad()
        logits = model(pictures)
        loss = F.binary_cross_entropy_with_logits(logits, masks) + dice_loss(logits, masks)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        run.step(loss)

    model.eval()
    with torch.no_grad():
        chance = model(photograph[None, None]).sigmoid()[0, 0]
    unseen = slice(SEEN, None)
    thresholds = torch.linspace(0.1, 0.9, 81)
    plain = max(intersection_over_union(photograph[:, unseen] > level, mask[:, unseen]) for level in thresholds)
    print(f"intersection over union of the best threshold: {plain:.4g}")
    reached = intersection_over_union(chance[:, unseen] > 0.5, mask[:, unseen])
    run.check("intersection over union of the U-Net, on the unseen part", reached, at_least=0.96)

    with run.picture("unet.png", 12, 3.2) as figure:
        axes = figure.subplots(1, 4)
        axes[0].plot(run.losses, linewidth=0.8)
        axes[0].set(xlabel="step", ylabel="cross-entropy + dice", title="training loss")
        wrong = (chance > 0.5) != mask.bool()
        shown = {
            "photograph, unseen right of the line": photograph,
            "U-Net: chance of coin": chance,
            "where it differs from the mask": wrong,
        }
        for axis, (title, picture) in zip(axes[1:], shown.items(), strict=True):
            axis.imshow(picture.numpy(), cmap="gray")
            axis.axvline(SEEN, color="red", linewidth=1)
            axis.set_title(title, fontsize=10)
            axis.axis("off")


if __name__ == "__main__":
    sys.exit(launch(main))
