"""Optimizers: their options, errors, groups, hooks, states and steps."""

import copy
import inspect

from programs import attempt, show

import torch
from torch import nn, optim
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

NAMES = [
    "SGD", "Adam", "AdamW", "Adagrad", "Adadelta", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "Adafactor",
    "Muon", "SparseAdam", "LBFGS",
]  # fmt: skip


def params(matrix=True):
    torch.manual_seed(3)
    return [nn.Parameter(torch.randn(2, 3)), nn.Parameter(torch.randn(3, 2) if matrix else torch.randn(3))]


def train(optimizer, ps, steps=3, sparse=False):
    torch.manual_seed(4)
    for _ in range(steps):
        for p in ps:
            grad = torch.randn(p.shape)
            p.grad = grad.to_sparse() if sparse else grad
        optimizer.step((lambda: torch.tensor(1.0)) if isinstance(optimizer, optim.LBFGS) else None)
    return [p.detach().clone() for p in ps]


for name in NAMES:
    cls = getattr(optim, name)
    show(name, {n: None if p.default is p.empty else p.default for n, p in inspect.signature(cls).parameters.items()})
    ps = params()
    optimizer = cls(ps)
    show(repr(optimizer))
    show(optimizer.defaults)
    show(train(optimizer, ps, sparse=name == "SparseAdam"))
    state = optimizer.state_dict()
    show(list(state), state["param_groups"], {k: list(v) for k, v in state["state"].items()})
    if name != "LBFGS":
        show(state["state"])
    again = cls(params())
    again.load_state_dict(state)
    show(again.state_dict()["param_groups"])

# values of the options
for name, options in [
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True}),
    ("SGD", {"lr": torch.tensor(0.1), "fused": True}),
    ("SGD", {"lr": torch.tensor(0.1), "foreach": True}),
    ("SGD", {"lr": 0.1, "differentiable": True}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    ("Adam", {"maximize": True, "foreach": True}),
    ("Adam", {"fused": True}),
    ("Adam", {"lr": torch.tensor(0.01), "foreach": False}),
    ("Adam", {"lr": torch.tensor(0.01), "foreach": True}),
    ("Adam", {"lr": torch.tensor(0.01), "foreach": True, "capturable": True}),
    ("Adam", {"capturable": True}),
    ("Adam", {"betas": (torch.tensor(0.9), torch.tensor(0.99)), "foreach": False}),
    ("Adam", {"betas": (torch.tensor(0.9), 0.99)}),
    ("Adam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("AdamW", {"amsgrad": True}),
    ("AdamW", {"weight_decay": 0.0, "maximize": True, "fused": True}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
    ("Adagrad", {"fused": True}),
    ("Adagrad", {"maximize": True, "foreach": True}),
    ("Adadelta", {"rho": 0.5, "weight_decay": 0.1, "foreach": True}),
    ("Adamax", {"weight_decay": 0.1, "maximize": True}),
    ("ASGD", {"lr": 0.1, "t0": 1.0, "weight_decay": 0.1}),
    ("NAdam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("NAdam", {"momentum_decay": 0.01, "foreach": True}),
    ("RAdam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("RMSprop", {"centered": True, "momentum": 0.9, "weight_decay": 0.1}),
    ("RMSprop", {"foreach": True, "maximize": True}),
    ("Rprop", {"etas": (0.4, 1.3), "step_sizes": (1e-4, 1.0)}),
    ("Adafactor", {"lr": 0.1, "weight_decay": 0.1, "d": 2.0}),
    ("Muon", {"lr": 0.1, "nesterov": False, "ns_steps": 3}),
    ("Muon", {"adjust_lr_fn": "match_rms_adamw"}),
]:
    ps = params()

    def run(name=name, options=options, ps=ps):
        optimizer = getattr(optim, name)(ps, **options)
        return train(optimizer, ps, 4), optimizer

    attempt(run)

# errors of constructors
for name, options in [
    ("SGD", {"lr": -1}),
    ("SGD", {"lr": torch.ones(2)}),
    ("SGD", {"momentum": -1}),
    ("SGD", {"weight_decay": -1}),
    ("SGD", {"nesterov": True}),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    ("SGD", {"fused": True, "foreach": True}),
    ("SGD", {"fused": True, "differentiable": True}),
    ("SGD", {"unknown": 1}),
    ("Adam", {"lr": -1}),
    ("Adam", {"lr": torch.ones(2)}),
    ("Adam", {"eps": -1}),
    ("Adam", {"betas": (-1, 0.9)}),
    ("Adam", {"betas": (0.9, 1.0)}),
    ("Adam", {"betas": (torch.ones(2), 0.9)}),
    ("Adam", {"betas": 3}),
    ("Adam", {"weight_decay": -1}),
    ("Adam", {"fused": True, "foreach": True}),
    ("Adam", {"fused": True, "differentiable": True}),
    ("Adam", {"foreach": True, "lr": torch.tensor(0.1)}),
    ("AdamW", {"lr": -1}),
    ("Adagrad", {"lr": -1}),
    ("Adagrad", {"lr_decay": -1}),
    ("Adagrad", {"weight_decay": -1}),
    ("Adagrad", {"initial_accumulator_value": -1}),
    ("Adagrad", {"eps": -1}),
    ("Adagrad", {"fused": True, "foreach": True}),
    ("Adagrad", {"fused": True, "differentiable": True}),
    ("Adadelta", {"lr": -1}),
    ("Adadelta", {"rho": 2}),
    ("Adadelta", {"eps": -1}),
    ("Adadelta", {"weight_decay": -1}),
    ("Adamax", {"lr": -1}),
    ("Adamax", {"eps": -1}),
    ("Adamax", {"betas": (2, 0.9)}),
    ("Adamax", {"betas": (0.9, 2)}),
    ("Adamax", {"weight_decay": -1}),
    ("ASGD", {"lr": -1}),
    ("ASGD", {"weight_decay": -1}),
    ("ASGD", {"lr": torch.tensor(0.1), "foreach": True}),
    ("NAdam", {"lr": -1}),
    ("NAdam", {"eps": -1}),
    ("NAdam", {"betas": (2, 0.9)}),
    ("NAdam", {"momentum_decay": -1}),
    ("NAdam", {"weight_decay": -1}),
    ("RAdam", {"lr": -1}),
    ("RAdam", {"eps": -1}),
    ("RAdam", {"betas": (0.9, 2)}),
    ("RAdam", {"weight_decay": -1}),
    ("RMSprop", {"lr": -1}),
    ("RMSprop", {"eps": -1}),
    ("RMSprop", {"momentum": -1}),
    ("RMSprop", {"weight_decay": -1}),
    ("RMSprop", {"alpha": -1}),
    ("Rprop", {"lr": -1}),
    ("Rprop", {"etas": (1.5, 2)}),
    ("Rprop", {"etas": (0.5, 0.9)}),
    ("Adafactor", {"lr": -1}),
    ("Adafactor", {"beta2_decay": 1}),
    ("Adafactor", {"eps": (-1, 1)}),
    ("Adafactor", {"eps": (None, -1)}),
    ("Adafactor", {"d": 0.5}),
    ("Adafactor", {"weight_decay": -1}),
    ("Adafactor", {"lr": torch.ones(2)}),
    ("Muon", {"lr": -1}),
    ("Muon", {"momentum": -1}),
    ("Muon", {"weight_decay": -1}),
    ("Muon", {"adjust_lr_fn": "x"}),
    ("Muon", {"ns_steps": 100}),
    ("Muon", {"ns_coefficients": (1, 2)}),
    ("SparseAdam", {"lr": -1}),
    ("SparseAdam", {"eps": -1}),
    ("SparseAdam", {"betas": (2, 0.9)}),
    ("SparseAdam", {"lr": torch.tensor(0.1)}),
    ("LBFGS", {"lr": -1}),
    ("LBFGS", {"line_search_fn": "x"}),
]:
    attempt(getattr(optim, name), params(), **options)

for given in (
    lambda: [],
    lambda: torch.ones(1),
    lambda: nn.Parameter(torch.ones(1)),
    lambda: [3],
    lambda: [torch.ones(1)],
    lambda: [torch.ones(1, requires_grad=True) * 2],
    lambda: [torch.ones(1, requires_grad=True)],
    lambda: {"a": nn.Parameter(torch.ones(1))},
    lambda: {nn.Parameter(torch.ones(1))},
    lambda: [{"params": []}],
    lambda: [{"lr": 3}],
    lambda: [{"params": {nn.Parameter(torch.ones(1))}}],
    lambda: [{"params": nn.Parameter(torch.ones(1)), "lr": 5}, {"params": params(), "momentum": 0.5}],
    lambda: [{"params": "x"}],
    lambda: iter(params()),
    lambda: nn.Linear(1, 1).parameters(),
    lambda: nn.Linear(1, 1).named_parameters(),
    lambda: [("a", nn.Parameter(torch.ones(1))), nn.Parameter(torch.ones(1))],
    lambda: [("a", nn.Parameter(torch.ones(1))), ("a", nn.Parameter(torch.ones(1)))],
    lambda: [("a", 3)],
    lambda: [{"params": [("a", nn.Parameter(torch.ones(1)))]}, {"params": [nn.Parameter(torch.ones(1))]}],
    lambda: [{"params": [nn.Parameter(torch.ones(1))]}, {"params": [("a", nn.Parameter(torch.ones(1)))]}],
    lambda: (lambda p: [p, p])(nn.Parameter(torch.ones(1))),
    lambda: (lambda p: [{"params": [p]}, {"params": [p]}])(nn.Parameter(torch.ones(1))),
    lambda: 3,
    lambda: None,
    lambda: "text",
    lambda: [torch.zeros(1, dtype=torch.int64)],
):
    attempt(lambda given=given: optim.SGD(given(), lr=0.1))
    attempt(lambda given=given: optim.SGD(given(), lr=0.1).param_groups)
attempt(optim.SparseAdam, [nn.Parameter(torch.ones(2).to_sparse())])
attempt(optim.LBFGS, [{"params": params()}, {"params": params()}])
attempt(optim.Muon, params(matrix=False))
attempt(optim.Optimizer, params(), {})
attempt(optim.Optimizer(params(), {"x": 1}).step)

# groups
optimizer = optim.SGD(params(), lr=0.1)
for group in (
    {"params": params()[0], "lr": 0.5},
    {"params": params(), "weight_decay": 1},
    {"params": optimizer.param_groups[0]["params"]},
    {"params": {nn.Parameter(torch.ones(1))}},
    {"params": [3]},
    {"params": [("n", nn.Parameter(torch.ones(1)))]},
    {"lr": 3},
    3,
    [3],
    {"params": []},
    {"params": (lambda p: [p, p])(nn.Parameter(torch.ones(1)))},
):
    attempt(optimizer.add_param_group, group)
show(len(optimizer.param_groups), optimizer)
named = optim.Adam(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)).named_parameters())
show(named.param_groups[0]["param_names"], named.state_dict()["param_groups"])
attempt(named.add_param_group, {"params": params()})
attempt(named.add_param_group, {"params": list(nn.Linear(1, 2).named_parameters())})

# loading states
ps = params()
first = optim.Adam(ps, lr=0.5)
train(first, ps)
state = first.state_dict()
for change in (
    lambda s: None,
    lambda s: s.pop("state"),
    lambda s: s.pop("param_groups"),
    lambda s: s["param_groups"].append(dict(s["param_groups"][0])),
    lambda s: s["param_groups"][0].update(params=[0]),
    lambda s: s["param_groups"][0].update(lr=7, new="x"),
    lambda s: s["state"].pop(0),
    lambda s: s["state"].update({5: {"a": 1}}),
    lambda s: s["state"][0].update(exp_avg=torch.ones(2, 3, dtype=torch.float64)),
    lambda s: s["param_groups"][0].pop("amsgrad"),
):
    broken = copy.deepcopy(state)
    change(broken)
    target = optim.Adam(params())
    attempt(target.load_state_dict, broken)
    show({k: v for k, v in target.param_groups[0].items() if k != "params"}, len(target.state))
doubles = optim.Adam([p.detach().double().requires_grad_() for p in params()])
doubles.load_state_dict(state)
show([{k: v.dtype for k, v in s.items()} for s in doubles.state.values()])
attempt(first.load_state_dict, 3)
attempt(first.load_state_dict, {})

# hooks
log = []
ps = params()
optimizer = optim.SGD(ps, lr=0.1)
handles = [
    optimizer.register_step_pre_hook(lambda o, args, kwargs: log.append(("pre", args, kwargs))),
    optimizer.register_step_post_hook(lambda o, args, kwargs: log.append(("post", args, kwargs))),
    register_optimizer_step_pre_hook(lambda o, a, k: log.append("global pre")),
    register_optimizer_step_post_hook(lambda o, a, k: log.append("global post")),
    optimizer.register_state_dict_pre_hook(lambda o: log.append("save pre")),
    optimizer.register_state_dict_post_hook(lambda o, s: log.append(("save post", list(s)))),
    optimizer.register_load_state_dict_pre_hook(lambda o, s: log.append(("load pre", list(s)))),
    optimizer.register_load_state_dict_post_hook(lambda o: log.append("load post")),
    optimizer.register_step_pre_hook(lambda o, a, k: log.append("second")),
    optimizer.register_state_dict_post_hook(lambda o, s: log.append("save first"), prepend=True),
    optimizer.register_load_state_dict_post_hook(lambda o: log.append("load first"), prepend=True),
]
attempt(optimizer.step)
attempt(optimizer.step, closure=lambda: 5.0)
attempt(optimizer.step, lambda: 6.0)
optimizer.load_state_dict(optimizer.state_dict())
show(log)
for handle in handles:
    handle.remove()
log.clear()
optimizer.step()
show(log)
for result in (3, (), ((), {}), ((optimizer,), {}), (1, 2, 3)):
    with optimizer.register_step_pre_hook(lambda o, a, k, result=result: result):
        attempt(optimizer.step)
with optimizer.register_state_dict_post_hook(lambda o, s: {"replaced": 1}):
    attempt(optimizer.state_dict)
with optimizer.register_load_state_dict_pre_hook(lambda o, s: {"state": {}, "param_groups": s["param_groups"]}):
    attempt(optimizer.load_state_dict, optimizer.state_dict())

# steps
attempt(optimizer.step, 3)
attempt(optim.LBFGS(params()).step)
attempt(optim.LBFGS(params()).step, lambda: 3.0)
ps = params()
optimizer = optim.Adam(ps)
ps[0].grad = torch.randn(2, 3).to_sparse()
attempt(optimizer.step)
optimizer = optim.SGD(ps, momentum=0.9)
attempt(optimizer.step)
optimizer = optim.SparseAdam(ps)
ps[1].grad = torch.ones(3, 2)
attempt(optimizer.step)
for name in ("Adagrad", "Adadelta", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "Adafactor", "Muon"):
    attempt(getattr(optim, name)(ps).step)
z = nn.Parameter(torch.tensor([1 + 2j, 3 - 1j]))
for name in ("SGD", "Adam", "Adagrad", "Adadelta", "RMSprop", "Rprop", "Adamax", "NAdam", "RAdam", "ASGD"):
    copied = nn.Parameter(z.detach().clone())
    optimizer = getattr(optim, name)([copied])
    copied.grad = torch.tensor([0.5 - 1j, 2j])
    attempt(optimizer.step)
    show(name, copied)
attempt(optim.Adafactor([z]).step)
attempt(optim.Muon, [z])
empty = nn.Parameter(torch.empty(0))
optimizer = optim.Adam([empty, *params()])
empty.grad = torch.empty(0)
attempt(optimizer.step)
optimizer = optim.Adam(params())
attempt(optimizer.zero_grad)
ps = params()
optimizer = optim.SGD(ps, lr=0.1)
for p in ps:
    p.grad = torch.ones_like(p)
optimizer.zero_grad(set_to_none=False)
show([p.grad for p in ps])
optimizer.zero_grad()
show([p.grad for p in ps])


def closure():
    optimizer.zero_grad()
    loss = sum((p**2).sum() for p in ps)
    loss.backward()
    return loss


attempt(optimizer.step, closure)
show(ps)

# differentiable steps
w = torch.tensor([1.0, 2.0], requires_grad=True)
lr = torch.tensor(0.1, requires_grad=True)
leaf = w.clone()
for name in ("SGD", "Adam", "AdamW", "Adagrad", "Adadelta", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop"):
    p = torch.tensor([1.0, 2.0], requires_grad=True)
    x = torch.tensor([0.5, 1.5], requires_grad=True)

    def step(name=name, p=p, x=x):
        optimizer = getattr(optim, name)([p], lr=0.1, differentiable=True)
        inner = p.clone()
        optimizer.param_groups[0]["params"] = [inner]
        inner.grad = x * 2
        optimizer.step()
        return torch.autograd.grad(inner.sum(), x)[0].round(decimals=5)

    attempt(step)
    rate = torch.tensor(0.1, requires_grad=True)

    def by_rate(name=name, p=p, rate=rate):
        optimizer = getattr(optim, name)([p], lr=rate, differentiable=True)
        inner = p.clone()
        optimizer.param_groups[0]["params"] = [inner]
        for _ in range(2):
            inner.grad = torch.tensor([1.0, 2.0])
            optimizer.step()
        return torch.autograd.grad(inner.sum(), rate)[0].round(decimals=4)

    if name in ("SGD", "Adam", "AdamW", "RAdam"):
        attempt(by_rate)
attempt(lambda: optim.SGD([w], lr=lr, differentiable=False).step())

# copies
show(optim.SGD(params(), lr=0.1).__getstate__().keys())
twin = copy.deepcopy(optim.SGD(params(), lr=0.1, momentum=0.9))
show(twin)
