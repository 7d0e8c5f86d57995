"""Train a GRU to expect the next word of a sentence of Python's documentation.

    python examples/gru.py --out out/gru

Data: the sentences of Python's own help (``pydoc_data.topics``), a tenth of them held out; words that occur less than
three times are one and the same unknown word. The cell is that of Cho et al. 2014, "Learning phrase representations
using RNN encoder-decoder for statistical machine translation". The embedding of a word serves again as its weights in
the output layer (Press & Wolf 2017, "Using the output embedding to improve language models"). Sentences differ in
length: packed sequences spare the network the padding.

Prints the perplexity on held-out sentences beside that of a model that knows only how frequent each word is, and
sentences that the network writes; draws the loss curve and the embeddings of frequent words, projected on their first
two principal components (gru.png). Exit status 1 above a perplexity of 100.
"""

import re
import sys
from collections import Counter
from pydoc_data.topics import topics

from _frame import Run, launch

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence
from torch.utils.data import DataLoader, random_split

EPOCHS = 5
BATCH = 32
LONGEST = 50  # words per sentence
RARE = 3  # occurrences from which on a word has an embedding of its own
END, UNKNOWN = 0, 1  # END stands before the first word too


class WordGRU(nn.Module):
    """An embedding, one GRU layer, and scores for the next word from the same embedding.

    Takes and returns packed sequences: of word numbers, and of scores (words of the batch, vocabulary).
    """

    def __init__(self, vocabulary: int, width: int = 192, dropout: float = 0.3):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(width, width)
        self.score = nn.Linear(width, vocabulary)
        self.score.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=0.05)
        nn.init.zeros_(self.score.bias)

    def forward(self, words: PackedSequence) -> PackedSequence:
        hidden, _ = self.gru(repacked(self.dropout(self.embedding(words.data)), words))
        return repacked(self.score(self.dropout(hidden.data)), words)


def repacked(data: torch.Tensor, like: PackedSequence) -> PackedSequence:
    """Pack other data in the order of a packed sequence."""
    return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)


def load_sentences() -> tuple[list[torch.Tensor], list[str]]:
    """Return the sentences as word numbers, END at either end, and the vocabulary."""
    text = "\n\n".join(topics[name] for name in sorted(topics))
    sentences = []
    for passage in re.split(r"\n\s*\n|(?<=[.:?!])\s+(?=[A-Z])", text):
        words = re.findall(r"[a-z]+|[.,:;()]", passage.lower())
        if 4 <= len(words) <= LONGEST and passage.rstrip().endswith("."):
            sentences.append(words)
    counts = Counter(word for words in sentences for word in words)
    known = sorted((word for word in counts if counts[word] >= RARE), key=lambda word: (-counts[word], word))
    vocabulary = ["<end>", "<unknown>", *known]
    number = {word: index for index, word in enumerate(vocabulary)}
    return [torch.tensor([END, *(number.get(w, UNKNOWN) for w in words), END]) for words in sentences], vocabulary


def collate(sentences: list[torch.Tensor]) -> tuple[PackedSequence, PackedSequence]:
    """Pack all words but the last, which are the inputs, and all but the first, which are to be foretold."""
    inputs = pack_sequence([sentence[:-1] for sentence in sentences], enforce_sorted=False)
    return inputs, pack_sequence([sentence[1:] for sentence in sentences], enforce_sorted=False)


@torch.no_grad()
def perplexity(model: WordGRU, loader: DataLoader) -> float:
    """Return e to the mean cross-entropy of a word."""
    model.eval()
    total, count = 0.0, 0
    for inputs, targets in loader:
        total += F.cross_entropy(model(inputs).data, targets.data, reduction="sum").item()
        count += len(targets.data)
    model.train()
    return torch.tensor(total / count).exp().item()


@torch.no_grad()
def write(model: WordGRU, count: int, temperature: float = 0.7) -> list[list[int]]:
    """Draw sentences word by word."""
    model.eval()
    sentences = []
    for _ in range(count):
        sentence = [END]
        while len(sentence) < LONGEST:
            scores, lengths = pad_packed_sequence(model(pack_sequence([torch.tensor(sentence)])))
            probabilities = F.softmax(scores[lengths[0] - 1, 0] / temperature, dim=0)
            probabilities[UNKNOWN] = 0
            word = torch.multinomial(probabilities, 1).item()
            if word == END:
                break
            sentence.append(word)
        sentences.append(sentence[1:])
    return sentences


def main(run: Run) -> None:
    sentences, vocabulary = load_sentences()
    training, held_out = random_split(sentences, [0.9, 0.1])
    loader = DataLoader(training, batch_size=BATCH, shuffle=True, collate_fn=collate)
    test_loader = DataLoader(held_out, batch_size=BATCH, collate_fn=collate)
    counts = torch.cat([sentence[1:] for sentence in training]).bincount(minlength=len(vocabulary)) + 1

    model = WordGRU(len(vocabulary))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=0, threshold=0.03)

    run.start(EPOCHS * len(loader))
    for _ in range(EPOCHS):
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs).data, targets.data)
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), 0.1)
            optimizer.step()
            run.step(loss)
        scheduler.step(perplexity(model, test_loader))

    frequencies = (counts / counts.sum()).log()
    unigram = -torch.cat([frequencies[sentence[1:]] for sentence in held_out]).mean()
    run.check("perplexity of held-out sentences by the words' frequencies alone", unigram.exp().item())
    run.check("perplexity of held-out sentences", perplexity(model, test_loader), at_most=100)
    for sentence in write(model, 5):
        print(" ", re.sub(r" (?=[.,:;)])|(?<=\() ", "", " ".join(vocabulary[word] for word in sentence)))

    with run.picture("gru.png", 12, 6) as figure:
        left, right = figure.subplots(1, 2, width_ratios=[1, 2])
        left.plot(run.losses, linewidth=0.7)
        left.set(xlabel="step", ylabel="cross-entropy of a word", title="training loss")
        vectors = F.normalize(model.embedding.weight.detach()[2:122])
        places = torch.pca_lowrank(vectors, q=8)[0][:, :2].numpy()
        right.scatter(*places.T, s=2, color="lightgrey")
        for place, word in zip(places, vocabulary[2:], strict=False):
            right.text(*place, word, ha="center", va="center", fontsize=8)
        right.set(xticks=[], yticks=[], title="embeddings of the 120 most frequent words")


if __name__ == "__main__":
    sys.exit(launch(main))
