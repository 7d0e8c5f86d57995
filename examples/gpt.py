"""Train a GPT, a decoder-only Transformer, to write Python's documentation one character after the other.

    python examples/gpt.py --out out/gpt

Data: the texts of Python's own help (``pydoc_data.topics``, 465,000 characters of English), the last tenth held out.
The architecture is that of Radford et al. 2019, "Language models are unsupervised multitask learners" (GPT-2), small:
normalisation comes before attention and before the feed-forward layer, positions are learned, and the embedding of a
character serves again as its weights in the output layer. AdamW decays matrices only; the learning rate rises at
first and then falls along a cosine.

Prints the bits per character on the held-out text (a model of single letters needs 4.8) and a text that the model
writes, and draws the loss curve and what the heads of the last layer look at (gpt.png). Exit status 1 above 2.6 bits.
"""

import math
import sys
from pydoc_data.topics import topics

from _frame import Run, launch

import torch
from torch import nn
from torch.nn import functional as F

STEPS = 700
WARM_UP = 40
BATCH = 20
CONTEXT = 96  # characters that the model sees at once
WIDTH = 96
LAYERS = 3
HEADS = 4


class CausalAttention(nn.Module):
    """Multi-head self-attention; a place sees itself and what is before it: (batch, time, width) -> the same."""

    def __init__(self):
        super().__init__()
        self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH)
        self.join = nn.Linear(WIDTH, WIDTH)

    def heads(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return queries, keys and values: (batch, heads, time, width of a head) each."""
        batch, time, _ = x.shape
        parts = self.queries_keys_values(x).view(batch, time, 3, HEADS, WIDTH // HEADS)
        return parts.permute(2, 0, 3, 1, 4).unbind()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        queries, keys, values = self.heads(x)
        seen = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        return self.join(seen.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a feed-forward layer, each added to its input: (batch, time, width) -> the same."""

    def __init__(self):
        super().__init__()
        self.first_norm = nn.LayerNorm(WIDTH)
        self.attention = CausalAttention()
        self.second_norm = nn.LayerNorm(WIDTH)
        self.widen = nn.Linear(WIDTH, 4 * WIDTH)
        self.narrow = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.first_norm(x))
        return x + self.narrow(F.gelu(self.widen(self.second_norm(x)), approximate="tanh"))


class GPT(nn.Module):
    """Characters (batch, time up to CONTEXT) -> scores for the one after each (batch, time, letters)."""

    def __init__(self, letters: int):
        super().__init__()
        self.embedding = nn.Embedding(letters, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.score = nn.Linear(WIDTH, letters, bias=False)
        self.score.weight = self.embedding.weight
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                # what is added to the residual stream, twice per block, starts smaller the more there is of it
                shrink = math.sqrt(2 * LAYERS) if name.endswith(("join.weight", "narrow.weight")) else 1
                nn.init.normal_(parameter, std=0.02 / shrink)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def embed(self, characters: torch.Tensor) -> torch.Tensor:
        return self.embedding(characters) + self.positions(torch.arange(characters.shape[1]))

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        x = self.embed(characters)
        for block in self.blocks:
            x = block(x)
        return self.score(self.norm(x))


def make_optimizer(model: GPT) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return AdamW, which decays the matrices but no bias and no gain, and its schedule: warm-up, then a cosine."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=4e-3, betas=(0.9, 0.99))
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / WARM_UP, total_iters=WARM_UP)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS - WARM_UP, eta_min=2e-4)
    return optimizer, torch.optim.lr_scheduler.SequentialLR(optimizer, [warm_up, cosine], milestones=[WARM_UP])


@torch.no_grad()
def bits(model: GPT, text: torch.Tensor) -> float:
    """Return the mean bits per character of the second halves of the windows that a text is cut into."""
    half = CONTEXT // 2
    windows = text.unfold(0, CONTEXT + 1, half)
    scores = torch.cat([model(part[:, :-1])[:, half:] for part in windows.split(64)])
    return F.cross_entropy(scores.flatten(0, 1), windows[:, half + 1 :].flatten()).item() / math.log(2)


@torch.no_grad()
def write(model: GPT, text: torch.Tensor, length: int, temperature: float = 0.7) -> torch.Tensor:
    """Go on after ``text``, drawing each character from what the model expects."""
    for _ in range(length):
        scores = model(text[None, -CONTEXT:])[0, -1]
        text = torch.cat([text, torch.multinomial(F.softmax(scores / temperature, dim=0), 1)])
    return text


@torch.no_grad()
def attention_of_last_layer(model: GPT, characters: torch.Tensor) -> torch.Tensor:
    """Return the attention of each head: (time,) -> (heads, time of the query, time of the key)."""
    x = model.embed(characters[None])
    for block in model.blocks[:-1]:
        x = block(x)
    queries, keys, _ = model.blocks[-1].attention.heads(model.blocks[-1].first_norm(x))
    scores = queries[0] @ keys[0].transpose(1, 2) / math.sqrt(WIDTH // HEADS)
    hidden = torch.ones_like(scores, dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, -math.inf).softmax(dim=2)


def main(run: Run) -> None:
    text = "\n".join(topics[name] for name in sorted(topics))
    alphabet = sorted(set(text))
    number = {letter: index for index, letter in enumerate(alphabet)}
    characters = torch.tensor([number[letter] for letter in text])
    training, held_out = characters.split([len(text) - len(text) // 10, len(text) // 10])
    windows = training.unfold(0, CONTEXT + 1, 1)  # every place where a batch may begin; a view, nothing is copied

    model = GPT(len(alphabet))
    optimizer, scheduler = make_optimizer(model)

    run.start(STEPS)
    for _ in range(STEPS):
        batch = windows[torch.randint(len(windows), (BATCH,))]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        run.step(loss)

    run.check("bits per character of the held-out text", bits(model, held_out), at_most=2.6)
    start = torch.tensor([number[letter] for letter in "The "])
    print("".join(alphabet[index] for index in write(model, start, 400)))

    with run.picture("gpt.png", 13, 5.5) as figure:
        left, right = figure.subfigures(1, 2, width_ratios=[1, 1.6])
        curve = left.subplots()
        curve.plot([loss / math.log(2) for (loss,) in run.losses], linewidth=0.7)
        curve.set(xlabel="step", ylabel="bits per character", title="training loss")
        passage = held_out[100:148]
        letters = [alphabet[index].replace("\n", "↵") for index in passage]
        right.suptitle("what the heads of the last layer look at: from each row's character to earlier ones")
        for axis, head in zip(right.subplots(2, 2).flat, attention_of_last_layer(model, passage), strict=True):
            axis.imshow(head.sqrt().numpy(), cmap="Blues")
            axis.set_xticks(range(len(letters)), letters, fontsize=5)
            axis.set_yticks(range(len(letters)), letters, fontsize=5)
            axis.tick_params(length=0, pad=1)


if __name__ == "__main__":
    sys.exit(launch(main))
