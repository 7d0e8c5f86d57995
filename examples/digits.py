"""Train a small convolutional network on the handwritten digits that come with scikit-learn.

    python examples/digits.py --out out/digits

Prints the accuracy on held-out digits, writes a picture (digits.png) with the loss curve and some predictions, and a
checkpoint (digits.pt), which is loaded again and must predict the same. Exit status 1 if the accuracy is below 97 %.
"""

import argparse
import sys
from pathlib import Path

import matplotlib
from sklearn.datasets import load_digits
from tqdm import tqdm

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  the backend has to be chosen first


class DigitNet(nn.Module):
    """Two convolutions and two linear layers for 8x8 grey pictures."""

    def __init__(self, classes: int = 10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, 64),
            nn.ReLU(),
            nn.Dropout(0.25),
            nn.Linear(64, classes),
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(pictures))


def load_data(seed: int):
    """Return (training set, test set): 1,437 and 360 pictures with values from 0 to 1."""
    digits = load_digits()
    pictures = torch.from_numpy(digits.images).float().unsqueeze(1) / 16
    labels = torch.from_numpy(digits.target).long()
    return random_split(TensorDataset(pictures, labels), [0.8, 0.2], generator=torch.Generator().manual_seed(seed))


def train(model, data, epochs: int) -> list[float]:
    """Train with Adam; return the loss of every batch."""
    loader = DataLoader(data, batch_size=32, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    criterion = nn.CrossEntropyLoss()
    losses = []
    model.train()
    with tqdm(total=epochs * len(loader), unit="batch") as progress:
        for epoch in range(epochs):
            for pictures, labels in loader:
                optimizer.zero_grad()
                loss = criterion(model(pictures), labels)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                progress.set_description(f"epoch {epoch + 1}/{epochs}", refresh=False)
                progress.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
                progress.update()
    return losses


@torch.no_grad()
def predict(model, data):
    """Return the pictures, their labels and the predicted labels."""
    model.eval()
    pictures, labels, guesses = [], [], []
    for batch, truth in DataLoader(data, batch_size=128):
        pictures.append(batch)
        labels.append(truth)
        guesses.append(model(batch).argmax(dim=1))
    return torch.cat(pictures), torch.cat(labels), torch.cat(guesses)


def draw(path: Path, losses, pictures, labels, guesses) -> None:
    """Save the loss curve and twelve pictures with their predictions, wrong ones first and in red."""
    figure = plt.figure(figsize=(10, 4))
    left, right = figure.subfigures(1, 2)
    curve = left.subplots()
    curve.plot(losses, linewidth=0.8)
    curve.set(xlabel="batch", ylabel="loss", yscale="log", title="training loss")
    shown = torch.argsort((labels == guesses).to(torch.uint8), stable=True)[:12].tolist()
    for axis, index in zip(right.subplots(3, 4, gridspec_kw={"hspace": 0.5}).flat, shown, strict=True):
        truth, guess = labels[index].item(), guesses[index].item()
        axis.imshow(pictures[index, 0].numpy(), cmap="gray_r")
        axis.set_title(f"{guess}" if guess == truth else f"{guess} (is {truth})", color="k" if guess == truth else "r")
        axis.axis("off")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out/digits"), help="folder for picture and checkpoint")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(arguments.seed)
    training, held_out = load_data(arguments.seed)
    model = DigitNet()
    losses = train(model, training, arguments.epochs)
    pictures, labels, guesses = predict(model, held_out)
    accuracy = (guesses == labels).float().mean().item()
    print(f"test accuracy: {accuracy:.1%} of {len(held_out)} digits")
    draw(arguments.out / "digits.png", losses, pictures, labels, guesses)

    checkpoint = arguments.out / "digits.pt"
    torch.save({"model": model.state_dict(), "accuracy": accuracy}, checkpoint)
    again = DigitNet()
    again.load_state_dict(torch.load(checkpoint)["model"])
    if not torch.equal(predict(again, held_out)[2], guesses):
        print("the loaded checkpoint predicts something else", file=sys.stderr)
        return 1
    print(f"wrote {arguments.out / 'digits.png'} and {checkpoint}")
    return 0 if accuracy >= 0.97 else 1


if __name__ == "__main__":
    sys.exit(main())
