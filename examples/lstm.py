"""Train an LSTM to write Python's documentation one character after the other.

    python examples/lstm.py --out out/lstm

Data: the texts of Python's own help (``pydoc_data.topics``, 465,000 characters of English), the last tenth held out.
The cell is that of Hochreiter & Schmidhuber 1997, "Long short-term memory"; a stack of them that predicts the next
character is Graves 2013, "Generating sequences with recurrent neural networks". The text is cut into parallel streams
that are read side by side: each batch goes on with the states that the one before it left, but gradients stop at its
first character (truncated back-propagation through time).

Prints the bits per character on the held-out text (a model of single letters needs 4.8) and a text that the network
writes, and draws the loss curve and how sure the network is of each character of a held-out passage (lstm.png). Exit
status 1 above 2.6 bits.
"""

import math
import sys
from pydoc_data.topics import topics

from _frame import Run, launch

import torch
from torch import nn
from torch.nn import functional as F

STREAMS = 32
LENGTH = 50  # characters per batch and stream, the reach of the gradient
EPOCHS = 2

State = tuple[torch.Tensor, torch.Tensor]


class CharacterLSTM(nn.Module):
    """An embedding, LSTM layers with dropout between them, and a score for each character that may follow.

    Shapes: characters (time, batch) -> scores (time, batch, letters), and the states of the layers.
    """

    def __init__(self, letters: int, width: int = 160, layers: int = 2, dropout: float = 0.1):
        super().__init__()
        self.embedding = nn.Embedding(letters, 64)
        self.lstm = nn.LSTM(64, width, layers, dropout=dropout)
        self.score = nn.Linear(width, letters)
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("weight_hh"):
                nn.init.orthogonal_(parameter)
            elif name.startswith("bias_hh"):  # the gates stand in the order i, f, g, o; a forget gate starts open
                nn.init.zeros_(parameter)
                nn.init.ones_(parameter.data[width : 2 * width])

    def forward(self, characters: torch.Tensor, state: State | None = None) -> tuple[torch.Tensor, State]:
        hidden, state = self.lstm(self.embedding(characters), state)
        return self.score(hidden), state


def streams(text: torch.Tensor, count: int) -> torch.Tensor:
    """Cut a text into pieces of equal length that stand side by side: (characters,) -> (time, count)."""
    return text[: len(text) // count * count].view(count, -1).t().contiguous()


@torch.no_grad()
def surprise(model: CharacterLSTM, text: torch.Tensor) -> torch.Tensor:
    """Return how many bits each character but the first costs, given all before it: (characters - 1,)."""
    model.eval()
    scores, _ = model(text[:-1, None])
    return F.cross_entropy(scores[:, 0], text[1:], reduction="none") / math.log(2)


@torch.no_grad()
def write(model: CharacterLSTM, start: torch.Tensor, length: int, temperature: float = 0.7) -> list[int]:
    """Go on after ``start``, drawing each character from what the network expects."""
    model.eval()
    written, state = start.tolist(), None
    scores, state = model(start[:, None], state)
    for _ in range(length):
        drawn = torch.multinomial(F.softmax(scores[-1, 0] / temperature, dim=0), 1)
        written.append(drawn.item())
        scores, state = model(drawn[:, None], state)
    return written


def main(run: Run) -> None:
    text = "\n".join(topics[name] for name in sorted(topics))
    alphabet = sorted(set(text))
    number = {letter: index for index, letter in enumerate(alphabet)}
    characters = torch.tensor([number[letter] for letter in text])
    training, held_out = characters.split([len(text) - len(text) // 10, len(text) // 10])
    parallel = streams(training, STREAMS)
    starts = range(0, len(parallel) - LENGTH, LENGTH)

    model = CharacterLSTM(len(alphabet))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.2 ** (1 / (EPOCHS * len(starts))))

    run.start(EPOCHS * len(starts))
    for _ in range(EPOCHS):
        state = None
        for start in starts:
            inputs, targets = parallel[start : start + LENGTH], parallel[start + 1 : start + LENGTH + 1]
            optimizer.zero_grad()
            scores, state = model(inputs, state)
            state = tuple(part.detach() for part in state)
            loss = F.cross_entropy(scores.flatten(0, 1), targets.flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            run.step(loss)

    bits = surprise(model, held_out)
    run.check("bits per character of the held-out text", bits.mean().item(), at_most=2.6)
    start = torch.tensor([number[letter] for letter in "The "])
    print("".join(alphabet[index] for index in write(model, start, 400)))

    with run.picture("lstm.png", 10, 6) as figure:
        upper, lower = figure.subplots(2, 1, height_ratios=[1, 1.3])
        upper.plot([loss / math.log(2) for (loss,) in run.losses], linewidth=0.7)
        upper.set(xlabel="step", ylabel="bits per character", title="training loss")
        rows, columns = 8, 72
        shown = bits[: rows * columns].view(rows, columns).numpy()
        image = lower.imshow(shown, cmap="Reds", aspect="auto", vmin=0, vmax=8)
        figure.colorbar(image, label="bits")
        for row in range(rows):
            for column in range(columns):
                letter = alphabet[held_out[row * columns + column + 1]].replace("\n", "↵")
                colour = "white" if shown[row, column] > 5 else "black"
                lower.text(column, row, letter, color=colour, ha="center", va="center", fontsize=8)
        lower.set(xticks=[], yticks=[], title="a held-out passage: the redder, the less the network expected it")


if __name__ == "__main__":
    sys.exit(launch(main))
