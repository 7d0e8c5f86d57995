"""Train a graph attention network to recognise digits of which only one in thirty-six carries a label.

    python examples/graph_attention.py --out out/graph_attention

Data: the 1,797 digits of scikit-learn (``sklearn.datasets.load_digits``). Each is a node of a graph, joined to the six
pictures that are most like it; five pictures of each digit have a label, all others are told by their neighbourhood.
The layer is that of Veličković et al. 2018, "Graph attention networks": a node takes from its neighbours by weights
that depend on both ends, normalised over the edges that arrive. Edges are two lists of node numbers; sums over them
are ``index_add``, maxima ``scatter_reduce``.

Prints the accuracy on the nodes without a label, beside that of a classifier that knows the labelled pictures only;
draws the loss curve and the graph, its nodes where t-SNE puts what the network made of them (graph_attention.png). Exit
status 1 below 88 %.
"""

import sys

import numpy as np
from _frame import Run, launch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

import torch
from torch import nn
from torch.nn import functional as F

STEPS = 200
NEIGHBOURS = 6
LABELLED = 5  # pictures of each digit


def edge_softmax(scores: torch.Tensor, ends: torch.Tensor, nodes: int) -> torch.Tensor:
    """Normalise the scores of the edges that end at the same node: (edges, heads), (edges,) -> (edges, heads)."""
    index = ends[:, None].expand_as(scores)
    largest = scores.new_zeros(nodes, scores.shape[1]).scatter_reduce(0, index, scores, "amax", include_self=False)
    powers = (scores - largest.detach()[ends]).exp()  # the maximum is subtracted so that nothing overflows
    return powers / torch.zeros_like(largest).index_add(0, ends, powers)[ends]


class GraphAttention(nn.Module):
    """Each node becomes a weighted mean of its neighbours, once per head.

    Shapes: nodes (nodes, features), edges (2, edges) from first to second -> (nodes, heads, width).
    """

    def __init__(self, features: int, width: int, heads: int, dropout: float):
        super().__init__()
        self.project = nn.Linear(features, heads * width, bias=False)
        self.of_start = nn.Parameter(torch.empty(heads, width))
        self.of_end = nn.Parameter(torch.empty(heads, width))
        self.bias = nn.Parameter(torch.zeros(heads, width))
        self.dropout = nn.Dropout(dropout)
        for parameter in (self.project.weight, self.of_start, self.of_end):
            nn.init.xavier_uniform_(parameter)

    def forward(self, nodes: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        starts, ends = edges
        h = self.project(self.dropout(nodes)).unflatten(1, self.bias.shape)
        scores = (h * self.of_start).sum(dim=2)[starts] + (h * self.of_end).sum(dim=2)[ends]
        weights = self.dropout(edge_softmax(F.leaky_relu(scores, 0.2), ends, len(nodes)))
        return torch.zeros_like(h).index_add(0, ends, weights[:, :, None] * h[starts]) + self.bias


class GAT(nn.Module):
    """Two layers: the first one's heads stand side by side, the second one's give the mean of their scores."""

    def __init__(self, features: int, classes: int, width: int = 16, heads: int = 4, dropout: float = 0.5):
        super().__init__()
        self.first = GraphAttention(features, width, heads, dropout)
        self.norm = nn.LayerNorm(heads * width)
        self.second = GraphAttention(heads * width, classes, heads, dropout)

    def hidden(self, nodes: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        return F.elu(self.norm(self.first(nodes, edges).flatten(1)))

    def forward(self, nodes: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        return self.second(self.hidden(nodes, edges), edges).mean(dim=1)


def load_graph(dtype: torch.dtype, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return nodes (nodes, 64), labels, edges (2, edges) in both directions and to oneself, and who shows its label."""
    pictures, labels = load_digits(return_X_y=True)
    # a tree meets equally distant pictures in one order, where threads that share the work do not
    near = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="kd_tree").fit(pictures).kneighbors_graph()
    edges = np.stack(((near + near.T) > 0).tolil().nonzero())
    edges = np.concatenate([edges, np.arange(len(labels))[None].repeat(2, axis=0)], axis=1)
    order = np.random.default_rng(seed).permutation(len(labels))
    shows = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        shows[order[labels[order] == digit][:LABELLED]] = True
    return (
        torch.from_numpy(pictures / 16).to(dtype),
        torch.from_numpy(labels).long(),
        torch.from_numpy(edges).long(),
        torch.from_numpy(shows),
    )


def main(run: Run) -> None:
    nodes, labels, edges, shows = load_graph(run.dtype, run.seed)
    model = GAT(nodes.shape[1], 10)
    optimizer = torch.optim.RAdam(model.parameters(), lr=1e-2, weight_decay=1e-2)

    run.start(STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(nodes, edges)[shows], labels[shows])  # all nodes take part, few have a target
        loss.backward()
        optimizer.step()
        run.step(loss)

    model.eval()
    with torch.no_grad():
        guesses = model(nodes, edges).argmax(dim=1)
        hidden = model.hidden(nodes, edges)
    classifier = KNeighborsClassifier(1).fit(nodes[shows].numpy(), labels[shows].numpy())
    alone = (classifier.predict(nodes[~shows].numpy()) == labels[~shows].numpy()).mean()
    accuracy = (guesses == labels)[~shows].to(run.dtype).mean().item()
    run.check("accuracy of the nearest labelled picture, without the graph", alone)
    run.check("accuracy on the nodes without a label", accuracy, at_least=0.88)

    with run.picture("graph_attention.png", 13, 7) as figure:
        from matplotlib.collections import LineCollection
        from sklearn.manifold import TSNE

        left, right = figure.subplots(1, 2, width_ratios=[1, 2])
        left.plot(run.losses, linewidth=0.7)
        left.set(xlabel="step", ylabel="cross-entropy of the labelled nodes", yscale="log", title="training loss")
        places = TSNE(random_state=0).fit_transform(hidden.numpy())
        right.add_collection(LineCollection(places[edges.T.numpy()], colors="grey", linewidths=0.1, alpha=0.5))
        right.scatter(*places.T, c=labels.numpy(), cmap="tab10", s=6)
        right.scatter(*places[shows].T, c=labels[shows].numpy(), cmap="tab10", s=60, edgecolors="black")
        wrong = guesses != labels
        right.scatter(*places[wrong].T, marker="x", c="black", s=25, linewidths=0.8)
        for digit in range(10):
            right.text(*np.median(places[labels == digit], axis=0), str(digit), fontsize=22, weight="bold")
        right.set(xticks=[], yticks=[], title="colour: the digit; large: had its label; crosses: told wrongly")


if __name__ == "__main__":
    sys.exit(launch(main))
