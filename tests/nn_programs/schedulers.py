"""Learning-rate schedules: values, warnings, errors, states, chaining."""

import copy
import inspect
import pickle

from programs import attempt, show

import torch
from torch import nn, optim
from torch.optim import lr_scheduler as S
from torch.optim import swa_utils


def sgd(lr=0.5, groups=1, momentum=0.9):
    if groups == 1:
        return optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr, momentum=momentum)
    return optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": lr * (i + 1)} for i in range(groups)], lr=lr)


def rates(make, steps=8, **options):
    optimizer = sgd(**options)
    scheduler = make(optimizer)
    values = [[g["lr"] for g in optimizer.param_groups]]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        values.append([g["lr"] for g in optimizer.param_groups])
    return values, scheduler.get_last_lr(), getattr(scheduler, "last_epoch", None)


MAKERS = {
    "LambdaLR": lambda o: S.LambdaLR(o, lambda e: 0.9**e),
    "MultiplicativeLR": lambda o: S.MultiplicativeLR(o, lambda e: 0.9),
    "StepLR": lambda o: S.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda o: S.MultiStepLR(o, [2, 4, 4], 0.5),
    "ConstantLR": lambda o: S.ConstantLR(o, 0.5, 3),
    "LinearLR": lambda o: S.LinearLR(o, 0.25, 1.0, 4),
    "ExponentialLR": lambda o: S.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: S.PolynomialLR(o, 5, 2.0),
    "CosineAnnealingLR": lambda o: S.CosineAnnealingLR(o, 5, 0.1),
    "CosineAnnealingWarmRestarts": lambda o: S.CosineAnnealingWarmRestarts(o, 2, 2, 0.01),
    "CyclicLR": lambda o: S.CyclicLR(o, 0.1, 1.0, 3),
    "CyclicLR triangular2": lambda o: S.CyclicLR(o, 0.1, 1.0, 2, 3, mode="triangular2"),
    "CyclicLR exp_range": lambda o: S.CyclicLR(o, 0.1, 1.0, 2, mode="exp_range", gamma=0.9),
    "CyclicLR scale_fn": lambda o: S.CyclicLR(o, 0.1, 1.0, 2, scale_fn=lambda x: 1 / x, scale_mode="cycle"),
    "OneCycleLR": lambda o: S.OneCycleLR(o, 1.0, total_steps=10),
    "OneCycleLR three": lambda o: S.OneCycleLR(o, 1.0, epochs=5, steps_per_epoch=2, three_phase=True),
    "OneCycleLR linear": lambda o: S.OneCycleLR(o, 1.0, total_steps=10, anneal_strategy="linear", cycle_momentum=False),
    "SequentialLR": lambda o: S.SequentialLR(o, [S.ConstantLR(o, 0.5, 10), S.ExponentialLR(o, 0.9)], [3]),
    "SequentialLR three": lambda o: S.SequentialLR(
        o, [S.LinearLR(o, 0.1, 1.0, 2), S.CosineAnnealingLR(o, 3), S.ConstantLR(o, 0.1, 9)], [2, 5]
    ),
    "ChainedScheduler": lambda o: S.ChainedScheduler([S.ConstantLR(o, 0.5, 4), S.ExponentialLR(o, 0.9)]),
    "LambdaLR list": lambda o: S.LambdaLR(o, [lambda e: 0.9**e] * len(o.param_groups)),
}
for name, make in MAKERS.items():
    attempt(rates, make)
    attempt(rates, make, groups=2)
    attempt(lambda make=make: rates(make, lr=torch.tensor(0.5)))
    show(name, {k: v for k, v in make(sgd()).state_dict().items() if not callable(v)})

for cls in sorted(n for n in S.__all__):
    show(cls, list(inspect.signature(getattr(S, cls)).parameters))

# closed forms and epochs
for name, make in MAKERS.items():
    optimizer = sgd()
    scheduler = make(optimizer)
    optimizer.step()
    attempt(scheduler.step, 3)
    show(name, optimizer.param_groups[0]["lr"], getattr(scheduler, "last_epoch", None))

# order of calls
optimizer = sgd()
scheduler = S.StepLR(optimizer, 1)
attempt(scheduler.step)
attempt(scheduler.step)
optimizer = sgd()
scheduler = S.StepLR(optimizer, 1)
optimizer.step = lambda: None
attempt(scheduler.step)
attempt(scheduler.get_lr)
attempt(S.StepLR(sgd(), 1).get_lr)
attempt(S.LambdaLR(sgd(), lambda e: 1.0).get_lr)
attempt(S.CosineAnnealingLR(sgd(), 3).get_lr)

# errors
for call in (
    lambda: S.StepLR(3, 1),
    lambda: S.StepLR(nn.Linear(1, 1), 1),
    lambda: S.LRScheduler(sgd()),
    lambda: S.StepLR(sgd(), 1, last_epoch=3),
    lambda: S.LambdaLR(sgd(), [lambda e: 1.0, lambda e: 1.0]),
    lambda: S.LambdaLR(sgd(), 3),
    lambda: S.MultiplicativeLR(sgd(), [lambda e: 1.0, lambda e: 1.0]),
    lambda: S.ConstantLR(sgd(), 2.0),
    lambda: S.ConstantLR(sgd(), -1.0),
    lambda: S.LinearLR(sgd(), 0.0),
    lambda: S.LinearLR(sgd(), 1.5),
    lambda: S.LinearLR(sgd(), 0.5, 2.0),
    lambda: S.CosineAnnealingWarmRestarts(sgd(), 0),
    lambda: S.CosineAnnealingWarmRestarts(sgd(), 2, 0),
    lambda: S.CosineAnnealingWarmRestarts(sgd(), 2.5),
    lambda: S.CosineAnnealingWarmRestarts(sgd(), 2, 1, "x"),
    lambda: S.CyclicLR(sgd(), 0.1, 1.0, mode="x"),
    lambda: S.CyclicLR(sgd(), [0.1, 0.2], 1.0),
    lambda: S.CyclicLR(optim.Adam([nn.Parameter(torch.zeros(1))]), 0.1, 1.0, cycle_momentum=True),
    lambda: S.CyclicLR(optim.Adagrad([nn.Parameter(torch.zeros(1))]), 0.1, 1.0),
    lambda: S.OneCycleLR(sgd(), 1.0),
    lambda: S.OneCycleLR(sgd(), 1.0, total_steps=0),
    lambda: S.OneCycleLR(sgd(), 1.0, total_steps=2.5),
    lambda: S.OneCycleLR(sgd(), 1.0, epochs=0, steps_per_epoch=1),
    lambda: S.OneCycleLR(sgd(), 1.0, epochs=1, steps_per_epoch=0),
    lambda: S.OneCycleLR(sgd(), 1.0, total_steps=10, pct_start=2.0),
    lambda: S.OneCycleLR(sgd(), 1.0, total_steps=10, anneal_strategy="x"),
    lambda: S.OneCycleLR(optim.Adagrad([nn.Parameter(torch.zeros(1))]), 1.0, total_steps=10),
    lambda: S.OneCycleLR(sgd(), [1.0, 2.0], total_steps=10),
    lambda: rates(lambda o: S.OneCycleLR(o, 1.0, total_steps=3)),
    lambda: S.SequentialLR(sgd(), [], []),
    lambda: (lambda o: S.SequentialLR(o, [S.StepLR(o, 1)], [3]))(sgd()),
    lambda: (lambda o: S.SequentialLR(o, [S.StepLR(o, 1), S.StepLR(sgd(), 1)], [3]))(sgd()),
    lambda: (lambda o: S.SequentialLR(sgd(), [S.StepLR(o, 1), S.StepLR(o, 1)], [3]))(sgd()),
    lambda: (lambda o: S.SequentialLR(o, [S.StepLR(o, 1), S.ReduceLROnPlateau(o)], [3]))(sgd()),
    lambda: (lambda o: S.SequentialLR(o, [S.StepLR(o, 1), 3], [3]))(sgd()),
    lambda: S.ChainedScheduler([]),
    lambda: S.ChainedScheduler([S.StepLR(sgd(), 1), S.StepLR(sgd(), 1)]),
    lambda: S.ChainedScheduler([3]),
    lambda: S.ChainedScheduler(3),
    lambda: S.ReduceLROnPlateau(sgd(), factor=1.0),
    lambda: S.ReduceLROnPlateau(3),
    lambda: S.ReduceLROnPlateau(sgd(), mode="x"),
    lambda: S.ReduceLROnPlateau(sgd(), threshold_mode="x"),
    lambda: S.ReduceLROnPlateau(sgd(), min_lr=[0.1, 0.2]),
    lambda: S.ReduceLROnPlateau(sgd()).step(),
    lambda: S.ReduceLROnPlateau(sgd()).step("x"),
    lambda: S.ReduceLROnPlateau(sgd()).get_lr(),
    lambda: S.ReduceLROnPlateau(sgd(), verbose=True),
    lambda: S.StepLR(sgd(), 1, verbose=True),
    lambda: S.StepLR(sgd(), 0).step(),
    lambda: S.PolynomialLR(sgd(), 0).step(),
    lambda: S.MultiStepLR(sgd(), 3),
):
    attempt(call)

# plateau
optimizer = sgd(groups=2)
scheduler = S.ReduceLROnPlateau(optimizer, patience=1, cooldown=1, factor=0.5, min_lr=[0.1, 0.3])
for metric in (1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.4, 0.5, torch.tensor(0.5), 0.5, float("nan"), 0.5, 0.5):
    scheduler.step(metric)
    show([g["lr"] for g in optimizer.param_groups], scheduler.num_bad_epochs, scheduler.cooldown_counter)
show({k: v for k, v in scheduler.state_dict().items()}, scheduler.in_cooldown, scheduler.get_last_lr())
for mode in ("min", "max"):
    for kind in ("rel", "abs"):
        s = S.ReduceLROnPlateau(sgd(), mode=mode, threshold=0.1, threshold_mode=kind)
        show([s._is_better(a, 1.0) for a in (0.5, 0.89, 0.95, 1.0, 1.05, 1.11, 1.5)])
again = S.ReduceLROnPlateau(sgd(groups=2))
attempt(again.load_state_dict, scheduler.state_dict())
show(again.factor, again.best, again.min_lrs)
attempt(scheduler.step, 0.5, 30)

# states
for name, make in MAKERS.items():
    if name == "CyclicLR scale_fn":
        continue
    optimizer, other = sgd(), sgd()
    scheduler, second = make(optimizer), make(other)
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    second.load_state_dict(copy.deepcopy(scheduler.state_dict()))
    other.load_state_dict(optimizer.state_dict())
    for _ in range(3):
        for o, s in ((optimizer, scheduler), (other, second)):
            o.step()
            s.step()
    show(name, optimizer.param_groups[0]["lr"], other.param_groups[0]["lr"])


class Growing:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, epoch):
        return self.factor**epoch


show(S.LambdaLR(sgd(), Growing(2)).state_dict())
target = S.LambdaLR(sgd(), Growing(3))
target.load_state_dict(S.LambdaLR(sgd(), Growing(2)).state_dict())
show(target.lr_lambdas[0].factor)
show(S.MultiplicativeLR(sgd(), Growing(2)).state_dict())
attempt(lambda: pickle.loads(pickle.dumps(S.StepLR(sgd(), 3).state_dict())))

# resuming by last_epoch
optimizer = sgd()
optimizer.param_groups[0]["initial_lr"] = 0.5
attempt(lambda: S.StepLR(optimizer, 2, 0.1, last_epoch=3).get_last_lr())
attempt(lambda: S.ExponentialLR(optimizer, 0.5, last_epoch=1).get_last_lr())
show(optimizer.param_groups[0]["initial_lr"], S.StepLR(optimizer, 1).base_lrs)
show([c.__name__ for c in S.StepLR.__mro__], issubclass(S.ReduceLROnPlateau, S.LRScheduler))

# averaged models
torch.manual_seed(5)
net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
for make in (
    lambda: swa_utils.AveragedModel(net),
    lambda: swa_utils.AveragedModel(net, use_buffers=True),
    lambda: swa_utils.AveragedModel(net, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9)),
    lambda: swa_utils.AveragedModel(net, avg_fn=swa_utils.get_ema_avg_fn(0.9)),
    lambda: swa_utils.AveragedModel(net, avg_fn=lambda a, p, n: a + p),
    lambda: swa_utils.AveragedModel(net, multi_avg_fn=swa_utils.get_swa_multi_avg_fn()),
):
    averaged = make()
    for k in range(3):
        with torch.no_grad():
            for p in net.parameters():
                p.add_(0.5 + k)
        averaged.update_parameters(net)
    show(averaged.n_averaged, [p.detach() for p in averaged.parameters()], list(averaged.state_dict()))
attempt(swa_utils.AveragedModel, net, avg_fn=lambda a, p, n: a, multi_avg_fn=lambda a, p, n: None)
attempt(swa_utils.get_ema_avg_fn, 2.0)
attempt(swa_utils.get_ema_multi_avg_fn, -1.0)
data = [torch.randn(4, 2) for _ in range(3)]
swa_utils.update_bn(data, net)
show(net[1].running_mean, net[1].running_var, net[1].num_batches_tracked, net.training)
swa_utils.update_bn([(d, 0) for d in data], net)
show(net[1].running_mean)
attempt(swa_utils.update_bn, data, nn.Linear(2, 2))
for call in (
    lambda: rates(lambda o: swa_utils.SWALR(o, 0.05, 4)),
    lambda: rates(lambda o: swa_utils.SWALR(o, 0.05, 4, "linear")),
    lambda: rates(lambda o: swa_utils.SWALR(o, 0.05, 0)),
    lambda: rates(lambda o: swa_utils.SWALR(o, [0.05, 0.1], 4), groups=2),
    lambda: swa_utils.SWALR(sgd(), [0.1, 0.2]),
    lambda: swa_utils.SWALR(sgd(), 0.1, anneal_strategy="x"),
    lambda: swa_utils.SWALR(sgd(), 0.1, anneal_epochs=-1),
    lambda: swa_utils.SWALR(sgd(), 0.1, anneal_epochs=1.5),
):
    attempt(call)
