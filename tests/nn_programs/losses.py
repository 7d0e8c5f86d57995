"""Losses: repr, options, deprecated arguments and errors."""

import inspect

from programs import attempt, show

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.sin(torch.arange(12.0)).view(4, 3).requires_grad_()
y = torch.cos(torch.arange(12.0)).view(4, 3)
p = torch.sigmoid(y)
c = torch.tensor([0, 2, 1, 0])
s = torch.tensor([1.0, -1.0, 1.0, -1.0])
logs = torch.log_softmax(x, 1)

CASES = {
    "L1Loss": (x, y),
    "MSELoss": (x, y),
    "SmoothL1Loss": (x, y),
    "HuberLoss": (x, y),
    "NLLLoss": (logs, c),
    "CrossEntropyLoss": (x, c),
    "PoissonNLLLoss": (x, p),
    "GaussianNLLLoss": (x, y, p),
    "KLDivLoss": (logs, p),
    "BCELoss": (torch.sigmoid(x), p),
    "BCEWithLogitsLoss": (x, p),
    "HingeEmbeddingLoss": (x, y.sign()),
    "MultiLabelMarginLoss": (x, torch.tensor([[0, 2, -1]] * 4)),
    "SoftMarginLoss": (x, y.sign()),
    "MultiLabelSoftMarginLoss": (x, p.round()),
    "CosineEmbeddingLoss": (x, y, s),
    "MarginRankingLoss": (x[:, 0], x[:, 1], s),
    "MultiMarginLoss": (x, c),
    "TripletMarginLoss": (x, y, p),
    "TripletMarginWithDistanceLoss": (x, y, p),
}
OPTIONS = {
    "SmoothL1Loss": [{"beta": 0.5}, {"beta": 0.0}, {"beta": -1.0}],
    "HuberLoss": [{"delta": 0.5}, {"delta": -1.0}],
    "NLLLoss": [{"weight": torch.tensor([0.5, 1.0, 2.0])}, {"ignore_index": 2}, {"weight": torch.ones(2)}],
    "CrossEntropyLoss": [
        {"weight": torch.tensor([0.5, 1.0, 2.0])},
        {"ignore_index": 2},
        {"label_smoothing": 0.2},
        {"label_smoothing": 2.0},
        {"weight": torch.ones(2)},
    ],
    "PoissonNLLLoss": [{"log_input": False}, {"full": True}],
    "GaussianNLLLoss": [{"full": True}, {"eps": 1.0}],
    "KLDivLoss": [{"log_target": True}],
    "BCELoss": [{"weight": torch.ones(3) * 2}],
    "BCEWithLogitsLoss": [{"pos_weight": torch.tensor([1.0, 2.0, 3.0])}, {"weight": torch.ones(3) * 2}],
    "HingeEmbeddingLoss": [{"margin": 2.0}],
    "MultiLabelSoftMarginLoss": [{"weight": torch.tensor([1.0, 2.0, 3.0])}],
    "CosineEmbeddingLoss": [{"margin": 0.5}],
    "MarginRankingLoss": [{"margin": 0.5}],
    "MultiMarginLoss": [{"p": 2, "margin": 0.5}, {"p": 3}, {"weight": torch.ones(3)}, {"weight": torch.ones(2)}],
    "TripletMarginLoss": [{"swap": True, "p": 1.0}, {"margin": -1.0}],
    "TripletMarginWithDistanceLoss": [
        {"swap": True},
        {"distance_function": nn.PairwiseDistance(1.0)},
        {"margin": -1.0},
    ],
}
for name, inputs in CASES.items():
    cls = getattr(nn, name)
    show(name, list(inspect.signature(cls).parameters))
    for options in [{}, {"reduction": "sum"}, {"reduction": "none"}, {"reduction": "x"}, *OPTIONS.get(name, [])]:

        def value(cls=cls, options=options, inputs=inputs):
            loss = cls(**options)
            out = loss(*inputs)
            return out, loss

        attempt(value)
    if "size_average" in inspect.signature(cls).parameters:
        for old in ({"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True}):
            attempt(lambda cls=cls, old=old: cls(**old).reduction)
show([n for n, _ in nn.BCEWithLogitsLoss(pos_weight=torch.ones(1)).named_buffers()], nn.CrossEntropyLoss().state_dict())

# wrong inputs
for call in (
    lambda: F.mse_loss(x, y[:, :2]),
    lambda: F.mse_loss(x, y[:, :1]),
    lambda: F.l1_loss(x, y[:1]),
    lambda: F.smooth_l1_loss(x, y[:1]),
    lambda: F.huber_loss(x, y[:1]),
    lambda: F.mse_loss(x, y, weight=torch.ones(4, 3)),
    lambda: F.mse_loss(x, y, weight=torch.ones(3)),
    lambda: F.nll_loss(logs, torch.tensor([0, 1, 2, 3])),
    lambda: F.nll_loss(logs, torch.tensor([0, 1])),
    lambda: F.nll_loss(logs, c.float()),
    lambda: F.nll_loss(logs, c.int()),
    lambda: F.nll_loss(logs[0], c[0]),
    lambda: F.nll_loss(torch.ones(2, 3, 4), torch.zeros(2, 3).long()),
    lambda: F.nll_loss(torch.ones(2, 3, 4), torch.zeros(2, 4).long()),
    lambda: F.nll_loss(logs, torch.tensor([-100] * 4)),
    lambda: F.nll_loss(torch.tensor(1.0), torch.tensor(0)),
    lambda: F.cross_entropy(x, torch.tensor([0, 1, 2, 3])),
    lambda: F.cross_entropy(x, torch.tensor([0, 1, 2, -1])),
    lambda: F.cross_entropy(x, c[:2]),
    lambda: F.cross_entropy(x, p),
    lambda: F.cross_entropy(x, p[:, :2]),
    lambda: F.cross_entropy(x, p, ignore_index=1),
    lambda: F.cross_entropy(x[0], c[0]),
    lambda: F.cross_entropy(x, c.float()),
    lambda: F.cross_entropy(x, c.int()),
    lambda: F.cross_entropy(torch.empty(0, 3), torch.empty(0).long()),
    lambda: F.binary_cross_entropy(x, p),
    lambda: F.binary_cross_entropy(p, p[:1]),
    lambda: F.binary_cross_entropy(p, x + 5),
    lambda: F.binary_cross_entropy_with_logits(x, p[:, :1]),
    lambda: F.kl_div(logs, p, reduction="mean"),
    lambda: F.kl_div(logs, p, reduction="batchmean"),
    lambda: F.poisson_nll_loss(x, y, reduction="x"),
    lambda: F.gaussian_nll_loss(x, y, -p),
    lambda: F.gaussian_nll_loss(x, y, p[:, 0]),
    lambda: F.gaussian_nll_loss(x, y, p[:2]),
    lambda: F.gaussian_nll_loss(x, y, 0.5),
    lambda: F.gaussian_nll_loss(x, y, -0.5),
    lambda: F.cosine_embedding_loss(x, y, s[:2]),
    lambda: F.cosine_embedding_loss(x[0], y[0], s),
    lambda: F.cosine_embedding_loss(x, y[:, :2], s),
    lambda: F.margin_ranking_loss(x, y, s),
    lambda: F.margin_ranking_loss(x[:, 0], x[:, 1], s[:2]),
    lambda: F.multi_margin_loss(x, c[:2]),
    lambda: F.multi_margin_loss(x, c + 3),
    lambda: F.multilabel_margin_loss(x, c),
    lambda: F.triplet_margin_loss(x, y, p[0]),
    lambda: F.triplet_margin_loss(x[0], y[0], p[0]),
    lambda: F.triplet_margin_with_distance_loss(x, y, p, distance_function=lambda a, b: (a - b).abs().sum(1)),
    lambda: F.hinge_embedding_loss(x, y[:1]),
    lambda: F.soft_margin_loss(x, y[:, :2]),
    lambda: nn.CTCLoss(blank=-1)(logs.view(4, 1, 3), torch.tensor([[1]]), torch.tensor([4]), torch.tensor([1])),
    lambda: nn.CTCLoss()(logs.view(4, 1, 3), torch.tensor([[1, 2]]), torch.tensor([4]), torch.tensor([2])),
    lambda: nn.CTCLoss(reduction="none")(logs.view(4, 1, 3), torch.tensor([1, 2]), (4,), (2,)),
    lambda: nn.CTCLoss(reduction="sum")(logs, torch.tensor([1, 2]), (4,), (2,)),
    lambda: nn.CTCLoss()(logs.view(4, 1, 3), torch.tensor([[1, 1, 1]]), torch.tensor([4]), torch.tensor([3])),
    lambda: nn.CTCLoss(zero_infinity=True)(logs.view(4, 1, 3), torch.tensor([[1, 1, 1]]), (4,), (3,)),
    lambda: nn.CTCLoss()(logs.view(4, 1, 3), torch.tensor([[1.0, 2.0]]), torch.tensor([4]), torch.tensor([2])),
    lambda: nn.CTCLoss()(logs.view(4, 1, 3), torch.tensor([[1, 2]]), torch.tensor([4.0]), torch.tensor([2])),
    lambda: nn.CTCLoss(),
    lambda: nn.NLLLoss2d(),
    lambda: nn.NLLLoss2d(weight=torch.ones(3)),
    lambda: nn.LinearCrossEntropyLoss(3, 2),
):
    attempt(call)
