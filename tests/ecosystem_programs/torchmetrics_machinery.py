"""torchmetrics: the life of a metric, collections, wrappers, arithmetic, saved states, metrics of one's own."""

import copy
import io
import pickle

import torchmetrics
from programs import attempt, show
from torchmetrics import Metric, MetricCollection, wrappers

import torch
from torch import nn

torch.manual_seed(0)
preds, target = torch.rand(4, 10, 3).softmax(-1), torch.randint(0, 3, (4, 10))
accuracy = torchmetrics.classification.MulticlassAccuracy(3, average="micro")
show(repr(accuracy), accuracy.update_called, accuracy.update_count)
for p, t in zip(preds, target, strict=True):
    show(accuracy(p, t), accuracy.update_count)
show(accuracy.compute(), accuracy.metric_state)
accuracy.persistent(True)
show(accuracy.state_dict())
file = io.BytesIO()
torch.save(accuracy.state_dict(), file)
file.seek(0)
other = torchmetrics.classification.MulticlassAccuracy(3, average="micro")
show(other.load_state_dict(torch.load(file)), other.compute())
show(pickle.loads(pickle.dumps(accuracy)).compute(), copy.deepcopy(accuracy).compute(), accuracy.clone().compute())
show(hash(accuracy) == hash(accuracy.clone()), accuracy.device, accuracy.dtype)
accuracy.reset()
show(accuracy.update_count, accuracy.metric_state)
attempt(accuracy.update, preds[0], target)
attempt(setattr, accuracy, "higher_is_better", 1)


class Largest(Metric):
    full_state_update = False

    def __init__(self):
        super().__init__()
        self.add_state("best", default=torch.tensor(-1.0), dist_reduce_fx="max")
        self.add_state("all", default=[], dist_reduce_fx="cat")

    def update(self, x):
        self.best = torch.maximum(self.best, x.max())
        self.all.append(x)

    def compute(self):
        return self.best, torchmetrics.utilities.dim_zero_cat(self.all).sum()


largest = Largest()
show(largest(torch.tensor([1.0, 3.0])), largest(torch.tensor([2.0])), largest.compute())
largest.set_dtype(torch.float64)
show(largest.best.dtype, largest.all[0].dtype, largest.double().best.dtype)
net = nn.Module()
net.metric = Largest()
show(net, [*net.state_dict()], [*net.half().children()][0].best.dtype)
attempt(largest.add_state, "bad", default=[1])
attempt(largest.add_state, "bad", default=torch.zeros(1), dist_reduce_fx="other")
attempt(Metric)
merged = Largest()
merged.update(torch.tensor([7.0]))
merged.merge_state(largest)
show(merged.compute())
show(torchmetrics.MeanMetric(sync_on_compute=False)(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0])))

square, absolute = torchmetrics.MeanSquaredError(), torchmetrics.MeanAbsoluteError()
for made in (
    square + absolute,
    square * 2,
    1 - square,
    square / absolute,
    abs(-square),
    square**0.5,
    square > absolute,
    square[None],
    ~(square > 0),
):
    made.update(preds[0, :, 0], preds[1, :, 0])
    show(made.compute())
    made.reset()

collection = MetricCollection(
    {
        "accuracy": torchmetrics.classification.MulticlassAccuracy(3),
        "precision": torchmetrics.classification.MulticlassPrecision(3),
        "recall": torchmetrics.classification.MulticlassRecall(3, average=None),
        "matrix": torchmetrics.classification.MulticlassConfusionMatrix(3),
    },
    prefix="val/",
)
show(repr(collection))
for p, t in zip(preds, target, strict=True):
    show(collection(p, t))
show(collection.compute(), collection.compute_groups, [*collection.keys()])
show([*collection.clone(prefix="test_").keys()], collection.clone(postfix="_x").compute())
collection.persistent(True)
show([*collection.state_dict()])
collection.reset()
collection.add_metrics(torchmetrics.classification.MulticlassF1Score(3))
collection.update(preds[0], target[0])
show(collection.compute())
attempt(MetricCollection, [nn.Linear(1, 1)])
attempt(MetricCollection, [square, torchmetrics.MeanSquaredError()])

for kind in (
    torchmetrics.MeanMetric,
    torchmetrics.SumMetric,
    torchmetrics.MaxMetric,
    torchmetrics.MinMetric,
    torchmetrics.CatMetric,
):
    metric = kind(nan_strategy="ignore")
    metric.update(torch.tensor([1.0, float("nan"), 3.0]))
    metric.update(5)
    show(kind.__name__, metric.compute())
attempt(torchmetrics.MeanMetric(nan_strategy="error").update, float("nan"))
running = torchmetrics.RunningMean(window=2)
show([running(torch.tensor(float(i))) for i in range(4)], running.compute())
show(torchmetrics.RunningSum(window=3)(torch.tensor([1.0, 2.0])))

tracker = wrappers.MetricTracker(torchmetrics.MeanSquaredError(), maximize=False)
for p in preds:
    tracker.increment()
    tracker.update(p[:, 0], preds[0, :, 1])
show(tracker.compute_all(), tracker.best_metric(return_step=True), tracker.n_steps)
extremes = wrappers.MinMaxMetric(torchmetrics.MeanAbsoluteError())
show([extremes(p[:, 0], preds[0, :, 1]) for p in preds])
outputs = wrappers.MultioutputWrapper(torchmetrics.R2Score(), 3)
show(outputs(preds[0], preds[1]), outputs.compute())
named = wrappers.ClasswiseWrapper(
    torchmetrics.classification.MulticlassAccuracy(3, average=None), labels=["a", "b", "c"]
)
show(named(preds[0], target[0]))
tasks = wrappers.MultitaskWrapper(
    {"one": torchmetrics.MeanSquaredError(), "two": torchmetrics.classification.BinaryAccuracy()}
)
tasks.update({"one": preds[0, :, 0], "two": preds[0, :, 0]}, {"one": preds[1, :, 0], "two": target[0].clamp(max=1)})
show(tasks.compute())
changed = wrappers.LambdaInputTransformer(torchmetrics.MeanSquaredError(), lambda p: p * 2, lambda t: t + 1)
show(changed(preds[0, :, 0], preds[1, :, 0]))
show(
    wrappers.BinaryTargetTransformer(torchmetrics.classification.BinaryAccuracy(), threshold=1)(
        preds[0, :, 0], target[0]
    )
)
boot = wrappers.BootStrapper(
    torchmetrics.MeanSquaredError(), num_bootstraps=5, quantile=torch.tensor([0.1, 0.9]), raw=True
)
boot.update(preds[0, :, 0], preds[1, :, 0])
show({name: item.shape for name, item in boot.compute().items()})

loss = torchmetrics.functional.mean_squared_error(preds[0, :, 0].requires_grad_(), preds[1, :, 0])
show(loss.requires_grad, torchmetrics.functional.pairwise_cosine_similarity(preds[0], preds[1])[0])
leaf = torch.linspace(0, 1, 6, requires_grad=True)
torchmetrics.functional.image.structural_similarity_index_measure(
    leaf.expand(1, 1, 32, 6).repeat(1, 1, 1, 4), torch.rand(1, 1, 32, 24), data_range=1.0
).backward()
show(leaf.grad)
for name in ("pairwise_euclidean_distance", "pairwise_linear_similarity", "pairwise_manhattan_distance"):
    show(getattr(torchmetrics.functional, name)(preds[0], reduction="sum"))
