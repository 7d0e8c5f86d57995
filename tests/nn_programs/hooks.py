"""Hooks of modules, of every kind."""

from programs import attempt, show

import torch
from torch import nn
from torch.nn.modules import module as M


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)
        self.b = nn.Linear(2, 1)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.arange(p.numel()).view_as(p) / 4 + 0.25)

    def forward(self, x, scale=1.0):
        return self.b(self.a(x) * scale)


x = torch.tensor([[1.0, -2.0]], requires_grad=True)
net = Two()
order = []


def say(word):
    def hook(*args, **kwargs):
        order.append((word, type(args[0]).__name__, [type(a).__name__ for a in args[1:]]))

    return hook


# order, prepend and removal
handles = [
    net.register_forward_pre_hook(say("pre 1")),
    net.register_forward_pre_hook(say("pre 2"), prepend=True),
    net.register_forward_pre_hook(say("pre kw"), with_kwargs=True),
    net.register_forward_hook(say("post 1")),
    net.register_forward_hook(say("post 2"), prepend=True),
    net.register_forward_hook(say("post kw"), with_kwargs=True),
    net.register_forward_hook(say("always"), always_call=True),
    net.a.register_forward_hook(say("a")),
    M.register_module_forward_pre_hook(say("global pre")),
    M.register_module_forward_hook(say("global post")),
    M.register_module_forward_hook(say("global kw"), with_kwargs=True),
    M.register_module_forward_hook(say("global always"), always_call=True),
]
attempt(net, x)
show(order)
order.clear()
attempt(net, x, scale=2.0)
show(order)
order.clear()
attempt(net, torch.ones(1, 3))
show(order)
for handle in handles:
    handle.remove()
    handle.remove()
order.clear()
attempt(net, x)
show(order)

# hooks that change arguments and results
with net.register_forward_pre_hook(lambda m, args: (args[0] * 2,)):
    attempt(net, x)
with net.register_forward_pre_hook(lambda m, args: args[0] * 3):
    attempt(net, x)
with net.register_forward_pre_hook(lambda m, args, kwargs: (args, {"scale": 5.0}), with_kwargs=True):
    attempt(net, x)
with net.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True):
    attempt(net, x)
with net.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True):
    attempt(net, x)
with net.register_forward_hook(lambda m, args, out: out + 1):
    attempt(net, x)
with net.register_forward_hook(lambda m, args, kwargs, out: out * kwargs.get("scale", 7), with_kwargs=True):
    attempt(net, x, scale=2.0)
with net.register_forward_hook(lambda m, args, out: None):
    attempt(net, x)
with net.register_forward_hook(lambda m, args: None):
    attempt(net, x)


def failing(*args):
    raise ValueError("from a hook")


with net.register_forward_hook(failing, always_call=True):
    attempt(net, x)
    attempt(net, torch.ones(1, 3))
with M.register_module_forward_hook(failing, always_call=True):
    attempt(net.a, torch.ones(1, 3))

# backward hooks
grads = []


def keep(word):
    def hook(module, grad_input, grad_output):
        grads.append((word, grad_input, grad_output))

    return hook


def backward(module=net, value=None):
    grads.clear()
    module.zero_grad()
    leaf = x.detach().clone().requires_grad_() if value is None else value
    try:
        out = module(leaf)
        (out[0] if isinstance(out, tuple) else out).sum().backward()
    except Exception as error:
        show(type(error).__name__, str(error))
    show(grads, leaf.grad if isinstance(leaf, torch.Tensor) else None)


with net.register_full_backward_hook(keep("full")):
    backward()
    backward(value=torch.ones(1, 2))
with net.a.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10,)):
    backward()
with net.a.register_full_backward_hook(lambda m, gi, go: gi[0] * 10):
    backward()
with net.a.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0])):
    backward()
with net.a.register_full_backward_pre_hook(lambda m, go: (go[0] * 3,)):
    backward()
with net.a.register_full_backward_pre_hook(lambda m, go: (go[0], go[0])):
    backward()
with net.a.register_full_backward_pre_hook(lambda m, go: go[0] * 4):
    backward()
a, b = net.register_full_backward_hook(keep("1")), net.register_full_backward_hook(keep("2"), prepend=True)
c = net.register_full_backward_pre_hook(lambda m, go: grads.append(("pre", go)))
d = net.register_full_backward_pre_hook(lambda m, go: grads.append(("pre first", go)), prepend=True)
backward()
attempt(net.register_backward_hook, keep("old"))
for handle in (a, b, c, d):
    handle.remove()
attempt(net.register_backward_hook, keep("old"))
old = Two()
handle = old.register_backward_hook(keep("old"))
attempt(old.register_full_backward_hook, keep("full"))
handle.remove()
single = nn.Linear(2, 1, bias=False)
with torch.no_grad():
    single.weight.fill_(0.5)
with single.register_backward_hook(keep("plain")):
    backward(single)


class Pair(nn.Module):
    def forward(self, x):
        return x * 2, x * 3


class Many(nn.Module):
    def forward(self, x, y, z=None):
        return {"out": x * y}


with Pair().register_full_backward_hook(keep("pair")):
    pass
pair = Pair()
pair.register_full_backward_hook(keep("pair"))
backward(pair)
pair = Pair()
pair.register_backward_hook(keep("old pair"))
backward(pair)
many = Many()
many.register_full_backward_hook(keep("many"))
grads.clear()
out = many(x.detach().requires_grad_(), 3.0)
out["out"].sum().backward()
show(grads)
with M.register_module_full_backward_hook(keep("global")):
    backward()
    attempt(M.register_module_backward_hook, keep("old"))
with M.register_module_full_backward_pre_hook(lambda m, go: grads.append(("global pre", type(m).__name__, go))):
    backward()


# registration hooks
def on_parameter(module, name, param):
    show("parameter", type(module).__name__, name, type(param).__name__)


def on_buffer(module, name, buffer):
    show("buffer", name, buffer)
    return buffer + 1


def on_module(module, name, sub):
    show("module", name, type(sub).__name__)


handles = [
    M.register_module_parameter_registration_hook(on_parameter),
    M.register_module_buffer_registration_hook(on_buffer),
    M.register_module_module_registration_hook(on_module),
]
made = nn.Sequential(nn.Linear(1, 1))
made.register_buffer("b", torch.ones(1))
made.b = torch.zeros(1)
made.c = nn.Buffer(torch.full((1,), 3.0))
made.p = nn.Parameter(torch.ones(1))
made.register_parameter("none", None)
made.add_module("m", None)
made.m = nn.ReLU()
made.append(nn.Identity())
for handle in handles:
    handle.remove()
show(made.b, made.c, made)

# handles
handle = net.register_forward_hook(say("x"))
show(type(handle).__name__, isinstance(handle.id, int), handle.id in net._forward_hooks)
handle.remove()
show(handle.id in net._forward_hooks, list(net._forward_hooks))
