"""Train a Transformer to translate numbers from English into German.

    python examples/transformer.py --out out/transformer

Data: numbers below a million written out in both languages by their grammars' rules; those that the training never
shows are held out. German turns the tens around and writes one word: "four thousand two hundred thirty-one" is
"viertausendzweihunderteinunddreißig". The architecture is that of Vaswani et al. 2017, "Attention is all you need":
``torch.nn.Transformer`` with sinusoidal positions, a causal mask in the decoder, padding masks, label smoothing, and a
learning rate that rises and then falls with the root of the step. English is read word by word, German is written
letter by letter.

Prints the share of held-out numbers that are translated without any mistake, and some translations; draws the loss
curve, accuracy by length, and where the decoder looks at the English words (transformer.png). Exit status 1 below 80 %.
"""

import math
import re
import sys

import numpy as np
from _frame import Run, launch

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

STEPS = 360
BATCH = 32
HELD_OUT = 300
WIDTH = 96
PAD, START, END = 0, 1, 2
ENGLISH = """ one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen""".replace("\n", " ").split(" ")
ENGLISH_TENS = " ten twenty thirty forty fifty sixty seventy eighty ninety".split(" ")
GERMAN = """ ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn
achtzehn neunzehn""".replace("\n", " ").split(" ")
GERMAN_TENS = " zehn zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split(" ")
WORDS = ["", "<", ">", "hundred", "thousand", *ENGLISH[1:], *ENGLISH_TENS[2:]]
LETTERS = ["", "<", ">", *"abcdefghijklmnopqrstuvwxyzüöß"]


def english(number: int) -> list[str]:
    """Write out a number from 1 to 999,999 as English words."""
    if number >= 1000:
        return [*english(number // 1000), "thousand", *(english(number % 1000) if number % 1000 else [])]
    if number >= 100:
        return [ENGLISH[number // 100], "hundred", *(english(number % 100) if number % 100 else [])]
    if number < 20:
        return [ENGLISH[number]]
    return [ENGLISH_TENS[number // 10], *(ENGLISH[n] for n in [number % 10] if n)]


def german(number: int, last: bool = True) -> str:
    """Write out a number from 1 to 999,999 as a German word; where nothing follows ("last"), "ein" is "eins"."""
    if number >= 1000:
        return german(number // 1000, last=False) + "tausend" + (german(number % 1000) if number % 1000 else "")
    if number >= 100:
        return GERMAN[number // 100] + "hundert" + (german(number % 100, last) if number % 100 else "")
    if number < 20:
        return GERMAN[number] + "s" * (number == 1 and last)
    return (GERMAN[number % 10] + "und" if number % 10 else "") + GERMAN_TENS[number // 10]


class Translator(nn.Module):
    """``nn.Transformer`` between an embedding of each language and scores for the next letter.

    Shapes: source (batch, words), target (batch, letters) -> scores (batch, letters, len(LETTERS)).
    """

    def __init__(self, heads: int = 4, layers: int = 2, dropout: float = 0.05):
        super().__init__()
        self.source = nn.Embedding(len(WORDS), WIDTH, padding_idx=PAD)
        self.target = nn.Embedding(len(LETTERS), WIDTH, padding_idx=PAD)
        self.transformer = nn.Transformer(WIDTH, heads, layers, layers, 4 * WIDTH, dropout, batch_first=True)
        self.score = nn.Linear(WIDTH, len(LETTERS))
        place = torch.arange(80)[:, None]
        angles = place * torch.exp(torch.arange(0, WIDTH, 2) * (-math.log(10000) / WIDTH))
        self.register_buffer("places", torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1))
        for parameter in self.transformer.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def embed(self, embedding: nn.Embedding, tokens: torch.Tensor) -> torch.Tensor:
        return embedding(tokens) + self.places[: tokens.shape[1]]

    def encode(self, source: torch.Tensor) -> torch.Tensor:
        return self.transformer.encoder(self.embed(self.source, source), src_key_padding_mask=source == PAD)

    def decode(self, memory: torch.Tensor, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        later = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)
        hidden = self.transformer.decoder(
            self.embed(self.target, target), memory, tgt_mask=later, memory_key_padding_mask=source == PAD
        )
        return self.score(hidden)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        later = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)
        hidden = self.transformer(
            self.embed(self.source, source),
            self.embed(self.target, target),
            tgt_mask=later,
            src_key_padding_mask=source == PAD,
            tgt_key_padding_mask=target == PAD,
            memory_key_padding_mask=source == PAD,
        )
        return self.score(hidden)


def collate(numbers: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the padded English words and the padded German letters between START and END."""
    words = [torch.tensor([WORDS.index(word) for word in english(number)]) for number in numbers]
    letters = [torch.tensor([START, *(LETTERS.index(x) for x in german(number)), END]) for number in numbers]
    return pad_sequence(words, batch_first=True), pad_sequence(letters, batch_first=True)


@torch.no_grad()
def translate(model: Translator, source: torch.Tensor, most: int = 75) -> list[str]:
    """Write the likeliest letter, again and again, until END."""
    model.eval()
    memory = model.encode(source)
    target = source.new_full((len(source), 1), START)
    ended = torch.zeros(len(source), dtype=torch.bool)
    while not ended.all() and target.shape[1] < most:
        letter = model.decode(memory, source, target)[:, -1].argmax(dim=1)
        target = torch.cat([target, letter[:, None]], dim=1)
        ended |= letter == END
    return [re.match(r"[^>]*", "".join(LETTERS[index] for index in row[1:]))[0] for row in target]


@torch.no_grad()
def looks(model: Translator, number: int) -> torch.Tensor:
    """Return the weights, (letters, words), of the last layer's attention to the English words, mean of the heads."""
    source, target = collate([number])
    last = model.transformer.decoder.layers[-1].multihead_attn
    seen = []
    hook = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[:2]))
    model.decode(model.encode(source), source, target[:, :-1])
    hook.remove()
    queries, memory = seen[0]
    return last(queries, memory, memory, need_weights=True)[1][0]


def main(run: Run) -> None:
    generator = np.random.default_rng(run.seed)
    # as many short numbers as long ones: uniform in the logarithm
    numbers = np.unique(np.exp(generator.uniform(0, math.log(1e6), 30000)).astype(int).clip(1, 999_999))
    numbers = generator.permutation(numbers)
    held_out, training = numbers[:HELD_OUT].tolist(), numbers[HELD_OUT:]

    model = Translator()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.98))
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 80, math.sqrt(80 / (step + 1)), (STEPS - step) / 100)
    )

    run.start(STEPS)
    for _ in range(STEPS):
        source, target = collate(generator.choice(training, BATCH).tolist())
        optimizer.zero_grad()
        scores = model(source, target[:, :-1])
        wanted = target[:, 1:].flatten()
        loss = F.cross_entropy(scores.flatten(0, 1), wanted, ignore_index=PAD, label_smoothing=0.05)
        loss.backward()
        optimizer.step()
        scheduler.step()
        run.step(loss)

    written = translate(model, collate(held_out)[0])
    right = [text == german(number) for text, number in zip(written, held_out, strict=True)]
    run.check("share of held-out numbers without a mistake", sum(right) / HELD_OUT, at_least=0.8)
    for number, text in list(zip(held_out, written, strict=True))[:6]:
        mistake = "" if text == german(number) else f"  (wrong: {german(number)})"
        print(f"  {number}: {' '.join(english(number))} -> {text}{mistake}")

    shown = 54_721
    weights = looks(model, shown)
    with run.picture("transformer.png", 12, 7) as figure:
        left, right_side = figure.subfigures(1, 2, width_ratios=[1.2, 1])
        upper, lower = left.subplots(2, 1)
        upper.plot(run.losses, linewidth=0.7)
        upper.set(xlabel="step", ylabel="cross-entropy of a letter", title="training loss (smoothed labels)")
        digits = [len(str(number)) for number in held_out]
        shares = [np.mean([r for r, d in zip(right, digits, strict=True) if d == length]) for length in range(3, 7)]
        lower.bar(range(3, 7), shares, color="tab:green")
        lower.set(xticks=range(3, 7), xlabel="digits of the number", ylabel="without a mistake", ylim=(0, 1.05))
        axis = right_side.subplots()
        axis.imshow(weights.numpy(), cmap="Purples", vmin=0, aspect="auto")
        axis.set_xticks(range(weights.shape[1]), english(shown), rotation=45, ha="right")
        axis.set_yticks(range(weights.shape[0]), [*german(shown), "end"])
        axis.set_title("where the decoder looks while it writes each letter")


if __name__ == "__main__":
    sys.exit(launch(main))
