"""Train a small BERT to fill in words that are missing from sentences of Python's documentation.

    python examples/bert.py --out out/bert

Data: the sentences of Python's own help (``pydoc_data.topics``), a tenth of them held out; words that occur less than
five times are one and the same unknown word. The architecture and the task are those of Devlin et al. 2019, "BERT:
pre-training of deep bidirectional transformers for language understanding": a Transformer encoder reads the sentence in
both directions; of the 15 % of the words that it has to name, 80 % are masked, 10 % replaced by others and 10 % left.

Prints how many of the missing words of held-out sentences are named rightly, beside the share of the most frequent
word, and some sentences with what the model fills in; draws the loss curve and the model's five best guesses for the
first gap of held-out sentences (bert.png). Exit status 1 below 16 %.
"""

import re
import sys
from collections import Counter
from pydoc_data.topics import topics

from _frame import Run, launch

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, random_split

EPOCHS = 20
BATCH = 64
LONGEST = 32  # words per sentence
RARE = 5  # occurrences from which on a word has an embedding of its own
PAD, MASK, UNKNOWN = 0, 1, 2
FIRST_WORD = 3


class BERT(nn.Module):
    """A Transformer encoder over words and their places, and scores for the words of the places that are asked for.

    Shapes: words (batch, time), asked for (batch, time, bool) -> scores (places asked for, vocabulary).
    """

    def __init__(self, vocabulary: int, width: int = 96, heads: int = 4, layers: int = 2, dropout: float = 0.1):
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.places = nn.Parameter(torch.empty(LONGEST, width))
        self.embedded = nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout))
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.score = nn.Linear(width, vocabulary)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2 and "encoder" not in name:
                nn.init.trunc_normal_(parameter, std=0.05)
        self.score.weight = self.words.weight

    def forward(self, words: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        x = self.embedded(self.words(words) + self.places[: words.shape[1]])
        x = self.encoder(x, src_key_padding_mask=words == PAD)
        return self.score(self.head(x[asked]))


def load_sentences() -> tuple[list[torch.Tensor], list[str]]:
    """Return the sentences as word numbers, and the vocabulary."""
    text = "\n\n".join(topics[name] for name in sorted(topics))
    sentences = []
    for passage in re.split(r"\n\s*\n|(?<=[.:?!])\s+(?=[A-Z])", text):
        words = re.findall(r"[a-z]+|[.,:;()]", passage.lower())
        if 6 <= len(words) <= LONGEST and passage.rstrip().endswith("."):
            sentences.append(words)
    counts = Counter(word for words in sentences for word in words)
    known = sorted((word for word in counts if counts[word] >= RARE), key=lambda word: (-counts[word], word))
    vocabulary = ["<pad>", "____", "<unknown>", *known]
    number = {word: index for index, word in enumerate(vocabulary)}
    return [torch.tensor([number.get(word, UNKNOWN) for word in words]) for words in sentences], vocabulary


def hide(words: torch.Tensor, vocabulary: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Hide some words; return what the model reads and which of its places it has to name."""
    chosen = (torch.rand(words.shape) < 0.15) & (words >= FIRST_WORD)
    fate = torch.rand(words.shape)
    read = words.masked_fill(chosen & (fate < 0.8), MASK)
    read = torch.where(chosen & (fate >= 0.9), torch.randint(FIRST_WORD, vocabulary, words.shape), read)
    return read, chosen


def main(run: Run) -> None:
    sentences, vocabulary = load_sentences()
    training, held_out = random_split(sentences, [0.9, 0.1])
    batches = BatchSampler(RandomSampler(training), BATCH, drop_last=True)
    loader = DataLoader(training, batch_sampler=batches, collate_fn=lambda few: pad_sequence(few, batch_first=True))

    model = BERT(len(vocabulary))
    optimizer = torch.optim.NAdam(model.parameters(), lr=3e-3, weight_decay=0.01, decoupled_weight_decay=True)
    total = EPOCHS * len(loader)
    scheduler = torch.optim.lr_scheduler.LambdaLR(  # as BERT has it: up in a straight line, and down in another
        optimizer, lambda step: min((step + 1) / (0.1 * total), (total - step) / (0.9 * total))
    )

    run.start(total)
    for _ in range(EPOCHS):
        for words in loader:
            read, chosen = hide(words, len(vocabulary))
            optimizer.zero_grad()
            loss = F.cross_entropy(model(read, chosen), words[chosen])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            run.step(loss)

    model.eval()
    words = pad_sequence(list(held_out), batch_first=True)
    chosen = (torch.rand(words.shape) < 0.15) & (words >= FIRST_WORD)
    read = words.masked_fill(chosen, MASK)
    with torch.no_grad():
        scores = torch.cat([model(*part) for part in zip(read.split(BATCH), chosen.split(BATCH), strict=True)])
    right = (scores.argmax(dim=1) == words[chosen]).to(run.dtype).mean().item()
    run.check("share of the most frequent word", (words[chosen] == FIRST_WORD).to(run.dtype).mean().item())
    run.check("share of the missing words that are named rightly", right, at_least=0.16)

    guesses = []  # (sentence with its gaps, the first word missing, the five best words for it, their probabilities)
    first = chosen.sum(dim=1).cumsum(dim=0) - chosen.sum(dim=1)  # of each sentence's gaps, where in the scores
    gaps, lengths = chosen.sum(dim=1), (words != PAD).sum(dim=1)
    for row in ((gaps > 0) & (gaps < 3) & (lengths < 22)).nonzero()[:8, 0].tolist():
        sentence = [vocabulary[word] for word in read[row][words[row] != PAD]]
        missing = vocabulary[words[row][chosen[row]][0]]
        best = scores[first[row]].softmax(dim=0).topk(5)
        names = [vocabulary[word] for word in best.indices]
        guesses.append((" ".join(sentence), missing, names, best.values))
        print(f"  {guesses[-1][0]}\n    {', '.join(names)} (it was: {missing})")

    with run.picture("bert.png", 15, 8) as figure:
        left, right_side = figure.subfigures(1, 2, width_ratios=[1, 2])
        curve = left.subplots()
        curve.plot(run.losses, linewidth=0.7)
        curve.set(xlabel="step", ylabel="cross-entropy of a missing word", title="training loss")
        for axis, (sentence, missing, names, values) in zip(right_side.subplots(4, 2).flat, guesses, strict=True):
            colours = ["tab:green" if name == missing else "tab:grey" for name in names]
            axis.barh(range(5), values.numpy(), color=colours)
            axis.set_yticks(range(5), names)
            axis.invert_yaxis()
            axis.set(xlim=(0, 1), title=re.sub(r"(.{20,60}?) ", r"\1\n", f"{sentence} ({missing})", count=2))
            axis.title.set_fontsize(8)


if __name__ == "__main__":
    sys.exit(launch(main))
