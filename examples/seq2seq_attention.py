"""Train a recurrent encoder and decoder with attention to turn English words into pig latin.

    python examples/seq2seq_attention.py --out out/seq2seq_attention

Data: the words of Python's own help (``pydoc_data.topics``), a fifth of them held out, and their pig latin by rule: the
consonants before the first vowel move to the end, and "ay" follows ("string" -> "ingstray"; a word that begins with a
vowel gets "way"). The architecture is that of Bahdanau, Cho & Bengio 2015, "Neural machine translation by jointly
learning to align and translate": a bidirectional GRU reads the word, and before each letter that it writes the decoder
looks at all that was read, weighted by a small network.

Prints the share of held-out words that are spelled without any mistake, and a sentence; draws the loss curve and the
attention for four words: which letters were looked at while each letter was written (seq2seq_attention.png). Exit
status 1 below 80 %.
"""

import re
import sys
from pydoc_data.topics import topics

from _frame import Run, launch

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, random_split

EPOCHS = 14
BATCH = 64
PAD, START, END = 0, 1, 2
LETTERS = ["", "<", ">", *"abcdefghijklmnopqrstuvwxyz"]
NUMBER = {letter: index for index, letter in enumerate(LETTERS)}


class Encoder(nn.Module):
    """A bidirectional GRU: letters (batch, time), lengths (batch,) -> (batch, time, 2 width), last (batch, width)."""

    def __init__(self, embedding: int, width: int):
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), embedding, padding_idx=PAD)
        self.gru = nn.GRU(embedding, width, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * width, width)

    def forward(self, letters: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        packed = pack_padded_sequence(self.embedding(letters), lengths, batch_first=True, enforce_sorted=False)
        packed, last = self.gru(packed)
        return pad_packed_sequence(packed, batch_first=True)[0], torch.tanh(self.bridge(torch.cat([*last], dim=1)))


class AdditiveAttention(nn.Module):
    """Bahdanau's attention: how well a state and each place that was read fit is the score of a small network."""

    def __init__(self, width: int):
        super().__init__()
        self.of_state = nn.Linear(width, width)
        self.of_place = nn.Linear(2 * width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, state: torch.Tensor, read: torch.Tensor, projected: torch.Tensor, padding: torch.Tensor):
        """Return what the state gets to see, (batch, 2 width), and the weights, (batch, time)."""
        scores = self.score(torch.tanh(self.of_state(state)[:, None] + projected)).squeeze(2)
        weights = scores.masked_fill(padding, float("-inf")).softmax(dim=1)
        return torch.bmm(weights[:, None], read).squeeze(1), weights


class Speller(nn.Module):
    """Encoder, attention and a GRU cell that writes letter by letter."""

    def __init__(self, embedding: int = 32, width: int = 96):
        super().__init__()
        self.encoder = Encoder(embedding, width)
        self.attention = AdditiveAttention(width)
        self.embedding = nn.Embedding(len(LETTERS), embedding, padding_idx=PAD)
        self.cell = nn.GRUCell(embedding + 2 * width, width)
        self.score = nn.Sequential(nn.Linear(3 * width + embedding, width), nn.Tanh(), nn.Linear(width, len(LETTERS)))

    def forward(self, letters: torch.Tensor, lengths: torch.Tensor, target: torch.Tensor | None = None, most: int = 24):
        """Return scores (batch, steps, letters) and weights (batch, steps, time).

        With a target (batch, steps) each letter is written after the target's previous one ("teacher forcing");
        without one, after the letter that was written itself, until all words ended or have ``most`` letters.
        """
        read, state = self.encoder(letters, lengths)
        projected, padding = self.attention.of_place(read), letters == PAD
        written = letters.new_full((len(letters),), START)
        ended = written == END
        scores, weights = [], []
        for step in range(most if target is None else target.shape[1]):
            seen, looked = self.attention(state, read, projected, padding)
            embedded = self.embedding(written)
            state = self.cell(torch.cat([embedded, seen], dim=1), state)
            scores.append(self.score(torch.cat([state, seen, embedded], dim=1)))
            weights.append(looked)
            written = scores[-1].argmax(dim=1) if target is None else target[:, step]
            ended = ended | (written == END)
            if target is None and ended.all():
                break
        return torch.stack(scores, dim=1), torch.stack(weights, dim=1)


def pig_latin(word: str) -> str:
    """Return a word's pig latin; "y" is a vowel except in front."""
    before, after = re.fullmatch(r"(y?(?:qu|[^aeiouy])*)(.*)", word).groups()
    return f"{after}{before}ay" if before else f"{word}way"


def numbers(word: str) -> torch.Tensor:
    return torch.tensor([*(NUMBER[letter] for letter in word), END])


def spell(row: torch.Tensor) -> str:
    """Return the letters before END as text."""
    return re.match(r"[^>]*", "".join(LETTERS[index] for index in row))[0]


def collate(words: list[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return words and their pig latin as padded numbers, and the lengths of the words."""
    letters = [numbers(word) for word in words]
    targets = pad_sequence([numbers(pig_latin(word)) for word in words], batch_first=True)
    return pad_sequence(letters, batch_first=True), torch.tensor([len(word) for word in letters]), targets


def main(run: Run) -> None:
    words = sorted(set(re.findall(r"\b[a-z]{3,14}\b", " ".join(topics.values()).lower())))
    training, held_out = random_split(words, [0.8, 0.2])
    loader = DataLoader(training, BATCH, shuffle=True, collate_fn=collate, drop_last=True)

    model = Speller()
    optimizer = torch.optim.Adamax(model.parameters(), lr=8e-3)
    milestones = [EPOCHS * len(loader) * 6 // 10, EPOCHS * len(loader) * 8 // 10]
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.3)

    run.start(EPOCHS * len(loader))
    for _ in range(EPOCHS):
        for letters, lengths, target in loader:
            optimizer.zero_grad()
            scores, _ = model(letters, lengths, target)
            loss = F.cross_entropy(scores.flatten(0, 1), target.flatten(), ignore_index=PAD)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            run.step(loss)

    model.eval()
    right = 0
    with torch.no_grad():
        for some in DataLoader(held_out, 256, collate_fn=list):
            scores, _ = model(*collate(some)[:2])
            right += sum(spell(row) == pig_latin(word) for word, row in zip(some, scores.argmax(dim=2), strict=True))
        run.check("share of held-out words without a mistake", right / len(held_out), at_least=0.8)
        sentence = "the quick brown fox thinks that python strings are immutable".split()
        scores, _ = model(*collate(sentence)[:2])
        print(" ", *sentence, "\n ", *(spell(row) for row in scores.argmax(dim=2)))

        longest = sorted(held_out, key=len)[-40::10]
        scores, weights = model(*collate(longest)[:2])
    with run.picture("seq2seq_attention.png", 12, 7) as figure:
        left, right_side = figure.subfigures(1, 2, width_ratios=[1, 1.8])
        curve = left.subplots()
        curve.plot(run.losses, linewidth=0.7)
        curve.set(xlabel="step", ylabel="cross-entropy of a letter", yscale="log", title="training loss")
        right_side.suptitle("where the decoder looks (across) while it writes (down)")
        for axis, word, row, looked in zip(right_side.subplots(2, 2).flat, longest, scores, weights, strict=True):
            written = spell(row.argmax(dim=1))
            axis.imshow(looked[: len(written), : len(word)].numpy(), cmap="Greens", vmin=0, vmax=1)
            axis.set_xticks(range(len(word)), word)
            axis.set_yticks(range(len(written)), written)
            axis.set_title(f"{word}: {written}", fontsize=9)


if __name__ == "__main__":
    sys.exit(launch(main))
