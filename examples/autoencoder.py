"""Teach an autoencoder what faces look like, and use it to tell faces from other pictures.

    python examples/autoencoder.py --out out/autoencoder

Data: the 200 pictures of scikit-image's ``lfw_subset``, 100 faces and 100 that are none, cut to 24x24. It learns from
80 faces and their mirror images; it never sees the others. Architecture: Hinton & Salakhutdinov 2006, "Reducing the
dimensionality of data with neural networks", here with convolutions: 576 grey values become a code of 24 numbers, and
the decoder (transposed convolutions) draws the picture again. Noise on the input keeps it from learning the 80 faces
by heart (Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders").

Prints how much of the variance of held-out faces the drawn ones explain, and how well the error of the drawing tells
the other faces from what is no face (area under the ROC curve); draws both kinds with their reconstructions
(autoencoder.png). Exit status 1 if less than 50 % is explained or the area is below 0.85.
"""

import sys

from _frame import Run, launch
from skimage.data import lfw_subset
from sklearn.metrics import roc_auc_score

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 200
BATCH = 32
TRAINING_FACES = 80
NOISE = 0.1


class Autoencoder(nn.Module):
    """Pictures (batch, 1, 24, 24) with values from 0 to 1 to codes (batch, code) and back."""

    def __init__(self, code: int = 24, width: int = 16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1),  # 12 x 12
            nn.LeakyReLU(0.1),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),  # 6 x 6
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(2 * width * 6 * 6, code),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, 2 * width * 6 * 6),
            nn.LeakyReLU(0.1),
            nn.Unflatten(1, (2 * width, 6, 6)),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(pictures))


def load_data(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the faces to learn from, the held-out faces, and what is no face."""
    pictures = torch.from_numpy(lfw_subset()[:, :24, :24]).to(dtype).unsqueeze(1)
    faces, others = pictures[:100], pictures[100:]
    train = faces[:TRAINING_FACES]
    return torch.cat([train, train.flip(3)]), faces[TRAINING_FACES:], others


def main(run: Run) -> None:
    train, faces, others = load_data(run.dtype)
    loader = DataLoader(TensorDataset(train), batch_size=BATCH, shuffle=True)

    model = Autoencoder()
    criterion = nn.MSELoss()
    optimizer = torch.optim.NAdam(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=8)

    run.start(EPOCHS * len(loader))
    for _ in range(EPOCHS):
        total = 0.0
        for (pictures,) in loader:
            optimizer.zero_grad()
            loss = criterion(model(pictures + NOISE * torch.randn_like(pictures)), pictures)
            loss.backward()
            optimizer.step()
            total += loss.item()
            run.step(loss)
        scheduler.step(total / len(loader))

    with torch.no_grad():
        drawn_faces, drawn_others = model(faces), model(others)
    explained = 1 - (drawn_faces - faces).square().mean() / (train.mean(dim=0) - faces).square().mean()
    run.check("explained variance of held-out faces", explained.item(), at_least=0.5)
    # relative to the contrast: a flat grey wall is easy to draw, and no face
    strange = [
        (drawn - pictures).square().mean(dim=(1, 2, 3)) / (pictures.var(dim=(1, 2, 3)) + 1e-3)
        for drawn, pictures in ((drawn_faces, faces), (drawn_others, others))
    ]
    is_other = [0] * len(faces) + [1] * len(others)
    run.check("area under the ROC curve", float(roc_auc_score(is_other, torch.cat(strange).numpy())), at_least=0.85)

    with run.picture("autoencoder.png", 11, 5) as figure:
        left, right = figure.subfigures(1, 2, width_ratios=[1, 2])
        curve, histogram = left.subplots(2, 1)
        curve.plot(run.losses, linewidth=0.8)
        curve.set(xlabel="step", ylabel="squared error", yscale="log", title="training loss")
        bins = torch.linspace(0, 2, 30).tolist()
        for name, values in zip(("faces", "others"), strange, strict=True):
            histogram.hist(values.clamp(max=2).numpy(), bins=bins, alpha=0.6, label=name, density=True)
        histogram.set(xlabel="error / variance of the picture", ylabel="density")
        histogram.legend()
        right.suptitle("held-out faces and other pictures, each above what the autoencoder draws")
        rows = faces[:10], drawn_faces[:10], others[:10], drawn_others[:10]
        for axes, row in zip(right.subplots(4, 10), rows, strict=True):
            for axis, picture in zip(axes, row, strict=True):
                axis.imshow(picture[0].numpy(), cmap="gray", vmin=0, vmax=1)
                axis.axis("off")


if __name__ == "__main__":
    sys.exit(launch(main))
