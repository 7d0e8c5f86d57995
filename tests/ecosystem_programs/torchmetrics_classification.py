"""torchmetrics.classification: every metric of binary, multiclass and multilabel predictions."""

import inspect

import torchmetrics.classification as classification
from programs import attempt, show

import torch

torch.manual_seed(0)
binary = [(torch.rand(20), torch.randint(0, 2, (20,))) for _ in range(2)]
multiclass = [(torch.rand(20, 4).softmax(1), torch.randint(0, 4, (20,))) for _ in range(2)]
multilabel = [(torch.rand(20, 3), torch.randint(0, 2, (20, 3))) for _ in range(2)]
groups = torch.arange(20) % 2
AT_LEAST = {"min_recall": 0.5, "min_precision": 0.4, "min_sensitivity": 0.5, "min_specificity": 0.4, "beta": 2.0}
CHOICES = (
    {},
    {"thresholds": 5},
    {"thresholds": [0.2, 0.5, 0.7]},
    {"average": "micro"},
    {"average": "weighted"},
    {"average": None},
    {"multidim_average": "samplewise"},
    {"ignore_index": 1},
    {"normalize": "true"},
    {"weights": "quadratic"},
    {"top_k": 2},
    {"norm": "l2", "n_bins": 4},
    {"fpr_range": (0.1, 0.7)},
    {"multiclass_mode": "one-vs-all", "squared": True},
    {"zero_division": 1.0},
)


def brief(result):
    """What is compared of a result: of a long tensor its shape and a weighted sum."""
    if isinstance(result, (tuple, list)):
        return [brief(item) for item in result]
    if isinstance(result, torch.Tensor) and result.numel() > 12:
        return result.shape, (
            result.double().nan_to_num() * torch.linspace(1, 2, result.numel()).view(result.shape)
        ).sum()
    return result


def value(metric, batches):
    for preds, target in batches:
        more = (groups,) if "groups" in inspect.signature(metric.update).parameters else ()
        if "samplewise" in str(getattr(metric, "multidim_average", "")):
            preds, target = preds[..., None].expand(*preds.shape, 2), target[..., None].expand(*target.shape, 2)
        metric.update(preds, target, *more)
    return brief(metric.compute())


for name in sorted(classification.__all__):
    kind = getattr(classification, name)
    batches = binary if name.startswith("Binary") else multiclass if name.startswith("Multiclass") else multilabel
    if not name.startswith(("Binary", "Multiclass", "Multilabel")):
        continue
    known = inspect.signature(kind.__init__).parameters
    needed = {option: given for option, given in AT_LEAST.items() if option in known}
    for option, given in (("num_classes", 4), ("num_labels", 3), ("num_groups", 2)):
        if option in known:
            needed[option] = given
    for choice in CHOICES:
        if all(option in known for option in choice):
            show(name, choice)
            attempt(lambda: value(kind(**needed, **choice), batches))

for name in (
    "Accuracy",
    "F1Score",
    "AUROC",
    "ConfusionMatrix",
    "StatScores",
    "Recall",
    "AveragePrecision",
    "JaccardIndex",
):
    kind = getattr(classification, name)
    for task, batches in (("binary", binary), ("multiclass", multiclass), ("multilabel", multilabel)):
        metric = kind(task=task, num_classes=4, num_labels=3)
        show(name, task, value(metric, batches), type(metric).__name__)
show(value(classification.BinaryAccuracy(), [(torch.randn(9) * 3, torch.arange(9) % 2)]))
show(value(classification.MulticlassAccuracy(4), [(torch.randn(9, 4, 5), torch.randint(0, 4, (9, 5)))]))
attempt(classification.Accuracy, task="none")
attempt(classification.BinaryAccuracy(), torch.rand(3), torch.tensor([0, 1, 2]))
attempt(classification.MulticlassAccuracy(4), torch.rand(3, 5), torch.tensor([0, 1, 2]))
attempt(classification.MulticlassAccuracy(3), torch.rand(2, 3), torch.tensor([0, 7]))
