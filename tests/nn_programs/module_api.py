"""What modules offer beside forward: registration, walks, conversion, repr, containers."""

import copy

from programs import attempt, show

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(2, 2)
        self.again = self.l
        self.s = nn.Sequential(nn.ReLU(), nn.Dropout(0.25, inplace=True))
        self.register_buffer("b", torch.zeros(2))
        self.p = nn.Parameter(torch.ones(2))

    def extra_repr(self):
        return "first line\nsecond line"


net = Net()
show(repr(net))
for walk in ("named_parameters", "named_buffers", "named_modules", "named_children"):
    show(walk, [name for name, _ in getattr(net, walk)()])
show([n for n, _ in net.named_parameters(remove_duplicate=False)], [n for n, _ in net.named_parameters("x", False)])
show([n for n, _ in net.named_modules(prefix="top", remove_duplicate=False)])
show([n for n, _ in net.named_modules(memo={net.l})])
show(len(list(net.parameters())), len(list(net.modules())), len(list(net.children())), len(list(net.buffers())))

# registration errors
for call in (
    lambda: net.register_buffer("a.b", None),
    lambda: net.register_buffer("", None),
    lambda: net.register_buffer(3, None),
    lambda: net.register_buffer("l", None),
    lambda: net.register_buffer("x", 3),
    lambda: net.register_buffer("forward", torch.ones(1)),
    lambda: net.register_parameter("a.b", None),
    lambda: net.register_parameter("", None),
    lambda: net.register_parameter(3, None),
    lambda: net.register_parameter("b", None),
    lambda: net.register_parameter("x", torch.ones(1)),
    lambda: net.register_parameter("x", net.p * 2),
    lambda: net.register_parameter("extra_repr", net.p),
    lambda: net.add_module("a.b", None),
    lambda: net.add_module("", None),
    lambda: net.add_module(3, None),
    lambda: net.add_module("p", nn.ReLU()),
    lambda: net.add_module("x", 3),
    lambda: setattr(net, "p", torch.ones(2)),
    lambda: setattr(net, "l", 3),
    lambda: setattr(net, "b", 3),
    lambda: setattr(net, "b", "x"),
    lambda: setattr(net, "p", None),
    lambda: net.p,
    lambda: delattr(net, "nothing"),
    lambda: net.nothing,
    lambda: delattr(net, "b"),
    lambda: net.b,
    lambda: net.get_submodule("s.0"),
    lambda: net.get_submodule("s.9"),
    lambda: net.get_submodule("l.weight"),
    lambda: net.get_submodule(""),
    lambda: net.get_parameter("l.weight").shape,
    lambda: net.get_parameter("l.nothing"),
    lambda: net.get_parameter("s.0"),
    lambda: net.get_buffer("l.weight"),
    lambda: net.get_buffer("nothing"),
    lambda: net.set_submodule("s.0", nn.Tanh()),
    lambda: net.set_submodule("s.new", nn.Tanh()),
    lambda: net.set_submodule("s.new", nn.Tanh(), strict=True),
    lambda: net.set_submodule("", nn.Tanh()),
    lambda: net.set_submodule("q.w", nn.Tanh()),
    lambda: net.set_submodule("s.0", 3),
    lambda: net.train("yes"),
    lambda: net.train(1),
    lambda: net.to(float).l.weight.dtype,
    lambda: net.to(torch.int32),
    lambda: net.to(),
    lambda: net.to("nowhere"),
    lambda: net.to(torch.float64, torch.float32),
    lambda: net.type(torch.float64).l.weight.dtype,
    lambda: net.half().l.weight.dtype,
    lambda: net.bfloat16().l.weight.dtype,
    lambda: net.float().l.weight.dtype,
    lambda: net.to_empty(device="meta").l.weight,
    lambda: net.to_empty().l.weight,
    lambda: net.to("cpu"),
    lambda: net.apply(3),
    lambda: net.cuda(),
    lambda: net(1, 2),
    lambda: nn.Module(3),
    lambda: nn.Module(a=3),
    lambda: nn.Module.__call__(nn.Module(), 1),
    lambda: nn.Linear(2, 3)(torch.ones(2, 4)),
    lambda: nn.Linear("a", 3),
    lambda: nn.Linear(-1, 3),
    lambda: nn.Linear(2),
    lambda: nn.Linear(0, 3).weight.shape,
    lambda: nn.Linear(2, 3, dtype=torch.int32),
    lambda: nn.Linear(2, 3, device="nowhere"),
):
    attempt(call)


class Early(nn.Module):
    def __init__(self, what):
        if what == "parameter":
            self.p = nn.Parameter(torch.ones(1))
        elif what == "module":
            self.m = nn.ReLU()
        elif what == "buffer":
            self.register_buffer("b", torch.ones(1))
        elif what == "register":
            self.register_parameter("p", None)
        elif what == "add":
            self.add_module("m", None)
        elif what == "given":
            self.b = nn.Buffer(torch.ones(1))


for what in ("parameter", "module", "buffer", "register", "add", "given"):
    attempt(Early, what)
attempt(Early("plain").parameters)
attempt(lambda: list(Early("plain").parameters()))

# conversion keeps what can be kept
mixed = nn.Module()
mixed.register_buffer("i", torch.arange(3))
mixed.register_buffer("z", torch.zeros(2, dtype=torch.complex64))
mixed.w = nn.Parameter(torch.ones(2))
attempt(lambda: [t.dtype for t in mixed.double().buffers()])
attempt(lambda: [t.dtype for t in mixed.to(torch.complex128).buffers()])
attempt(lambda: mixed.w.dtype)
image = nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last)
show(image.weight.is_contiguous(memory_format=torch.channels_last))
with torch.device("meta"):
    show(nn.LSTM(2, 3).weight_ih_l0, nn.BatchNorm1d(2).running_mean, nn.Embedding(3, 2).weight)
show(nn.utils.skip_init(nn.Linear, 2, 3).weight.shape, torch.get_default_device())
attempt(nn.utils.skip_init, dict)
attempt(nn.utils.skip_init, nn.ReLU)

# copies and pickles
import pickle  # noqa: E402

twin = copy.deepcopy(Net())
show(twin.l is twin.again, [n for n, _ in twin.named_parameters()])
back = pickle.loads(pickle.dumps(nn.Sequential(nn.Linear(1, 1), nn.Dropout())))
show(back)
show(copy.copy(nn.Linear(1, 1)))

# containers
seq = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
for call in (
    lambda: seq[0],
    lambda: seq[-1],
    lambda: seq[5],
    lambda: seq[-5],
    lambda: seq[0:2],
    lambda: seq["0"],
    lambda: len(seq),
    lambda: seq + nn.Sequential(nn.Tanh()),
    lambda: seq + [nn.Tanh()],
    lambda: seq * 2,
    lambda: 2 * seq,
    lambda: seq * -1,
    lambda: seq * 1.5,
    lambda: seq.append(nn.Tanh()),
    lambda: seq.append(3),
    lambda: seq.insert(1, nn.Sigmoid()),
    lambda: seq.insert(99, nn.Sigmoid()),
    lambda: seq.insert(0, 3),
    lambda: seq.extend([nn.ReLU()]),
    lambda: seq.extend(nn.Sequential(nn.ReLU())),
    lambda: seq.extend(3),
    lambda: seq.pop(0),
    lambda: seq.pop(-1),
    lambda: seq.pop(99),
    lambda: seq.__delitem__(0),
    lambda: seq.__delitem__(slice(0, 1)),
    lambda: seq.__setitem__(0, nn.GELU()),
    lambda: seq.__setitem__(99, nn.GELU()),
    lambda: seq,
    lambda: nn.Sequential(3),
    lambda: nn.Sequential({"a": 3}),
    lambda: nn.Sequential()(4),
    lambda: [n for n in dir(seq) if n.isdigit()],
    lambda: nn.ModuleList([nn.ReLU() for _ in range(5)] + [nn.Linear(1, 1)]),
    lambda: nn.ModuleList([nn.ReLU()])[1],
    lambda: nn.ModuleList([nn.ReLU()])["a"],
    lambda: nn.ModuleList([nn.ReLU(), nn.Tanh()])[::-1],
    lambda: nn.ModuleList(3),
    lambda: nn.ModuleList([3]),
    lambda: nn.ModuleList([nn.ReLU()]).extend(nn.ReLU()),
    lambda: nn.ModuleList([nn.ReLU()]) + [nn.Tanh()],
    lambda: nn.ModuleList([nn.ReLU()]).__iadd__([nn.Tanh()]),
    lambda: nn.ModuleList([nn.ReLU()])(1),
    lambda: nn.ModuleList([nn.ReLU(), nn.Tanh()]).pop(0),
    lambda: nn.ModuleList([nn.ReLU(), nn.Tanh()]).insert(1, nn.GELU()),
    lambda: nn.ModuleDict({"a": nn.ReLU(), "b": nn.Tanh()}),
    lambda: nn.ModuleDict([["a", nn.ReLU()]]),
    lambda: nn.ModuleDict([["a"]]),
    lambda: nn.ModuleDict([3]),
    lambda: nn.ModuleDict(3),
    lambda: nn.ModuleDict({"a": 3}),
    lambda: nn.ModuleDict({"a.b": nn.ReLU()}),
    lambda: nn.ModuleDict({"a": nn.ReLU()})["z"],
    lambda: list(nn.ModuleDict({"a": nn.ReLU()}).items()),
    lambda: nn.ModuleDict({"a": nn.ReLU()}).pop("a"),
    lambda: "a" in nn.ModuleDict({"a": nn.ReLU()}),
    lambda: nn.ParameterList([torch.ones(2), nn.Parameter(torch.ones(1)), 3, "text"]),
    lambda: nn.ParameterList([torch.ones(2)]) + [torch.ones(1)],
    lambda: nn.ParameterList([torch.ones(2)])[1],
    lambda: nn.ParameterList(torch.ones(2)),
    lambda: nn.ParameterList(3),
    lambda: nn.ParameterList([torch.ones(2)])(3),
    lambda: nn.ParameterList([torch.ones(2)]).extend(torch.ones(2)),
    lambda: nn.ParameterList([torch.ones(2), torch.ones(1)])[0:1],
    lambda: nn.ParameterDict({"a": torch.ones(2), "n": 3, "t": "x"}),
    lambda: nn.ParameterDict({"a": torch.ones(2)})["z"],
    lambda: nn.ParameterDict({"a": torch.ones(2)})(1),
    lambda: nn.ParameterDict([("b", torch.ones(1)), ("a", torch.ones(1))]),
    lambda: nn.ParameterDict({"a": torch.ones(1)}) | nn.ParameterDict({"b": torch.ones(1)}),
    lambda: {"q": torch.ones(1)} | nn.ParameterDict({"b": torch.ones(1)}),
    lambda: nn.ParameterDict({"a": torch.ones(1)}).pop("a"),
    lambda: nn.ParameterDict({"a": torch.ones(1)}).popitem(),
    lambda: nn.ParameterDict({"a": torch.ones(1)}).setdefault("q", torch.zeros(1)),
    lambda: nn.ParameterDict({"a": torch.ones(1)}).get("q", 5),
    lambda: nn.ParameterDict().fromkeys(["a", "b"], torch.ones(1)),
    lambda: nn.ParameterDict({"a": torch.ones(1)}).update(3),
    lambda: nn.ParameterDict({"a": torch.ones(1)}).update([[1, 2, 3]]),
    lambda: nn.ParameterDict({"a": torch.ones(1)}).copy(),
    lambda: list(reversed(nn.ParameterDict({"a": torch.ones(1), "b": torch.ones(1)}))),
):
    attempt(call)

# parameters and buffers themselves
p = nn.Parameter(torch.ones(2))
for call in (
    lambda: p,
    lambda: repr(p),
    lambda: repr(nn.Parameter(torch.ones(1), False)),
    lambda: nn.Parameter(torch.arange(3)),
    lambda: nn.Parameter(torch.arange(3), requires_grad=False),
    lambda: nn.Parameter(3),
    lambda: nn.Parameter(p),
    lambda: nn.Parameter(),
    lambda: copy.deepcopy(p),
    lambda: type(p.data).__name__,
    lambda: type(p + 1).__name__,
    lambda: isinstance(torch.ones(1), nn.Parameter),
    lambda: repr(nn.Buffer(torch.ones(1))),
    lambda: nn.Buffer(torch.ones(1), persistent=False).persistent,
    lambda: isinstance(torch.ones(1), nn.Buffer),
    lambda: type(nn.Buffer(torch.ones(1))).__name__,
    lambda: nn.Buffer(3),
    lambda: repr(nn.UninitializedParameter()),
    lambda: repr(nn.UninitializedBuffer()),
    lambda: nn.UninitializedParameter() + 1,
    lambda: nn.UninitializedParameter().shape,
    lambda: nn.UninitializedParameter(dtype=torch.float64).dtype,
    lambda: copy.deepcopy(nn.UninitializedParameter()),
):
    attempt(call)

# zero_grad, requires_grad_, share_memory
lin = nn.Linear(2, 1)
lin(torch.ones(1, 2)).sum().backward()
lin.zero_grad(set_to_none=False)
show(lin.weight.grad)
lin.zero_grad()
show(lin.weight.grad, [p.requires_grad for p in lin.requires_grad_(False).parameters()])
show(lin.xpu.__name__, lin.ipu.__name__, lin.mtia.__name__)
show(lin.dump_patches)


class Mixin:
    def __init__(self, word="none"):
        self.word = word


class Cooperative(nn.Module, Mixin):
    call_super_init = True


show(Cooperative(word="given").word)
