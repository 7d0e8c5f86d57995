"""state_dict and load_state_dict: keys, strictness, hooks, assign, extra state."""

from collections import OrderedDict

from programs import attempt, show

import torch
from torch import nn


def net():
    torch.manual_seed(1)
    return nn.Sequential(OrderedDict(a=nn.Linear(2, 3), n=nn.BatchNorm1d(3), b=nn.Linear(3, 1, bias=False)))


one, two = net(), net()
state = one.state_dict()
show(type(state).__name__, list(state), state._metadata)
show([v.requires_grad for v in state.values()], [v.requires_grad for v in one.state_dict(keep_vars=True).values()])
show(list(one.state_dict(prefix="x.")))
there = {"old": 1}
show(one.state_dict(destination=there, prefix="p.") is there, list(there))
attempt(one.state_dict, {}, "q.", True)
attempt(two.load_state_dict, state)
show(repr(two.load_state_dict(state)), two.load_state_dict(state)._fields)

for change in (
    lambda s: s.pop("a.weight"),
    lambda s: s.update(extra=torch.ones(1)),
    lambda s: (s.pop("a.weight"), s.pop("b.weight"), s.update(extra=torch.ones(1), other=torch.ones(1))),
    lambda s: s.update({"a.weight": torch.ones(2, 2)}),
    lambda s: s.update({"a.weight": torch.ones(2, 2), "b.weight": torch.ones(5)}),
    lambda s: s.update({"a.weight": torch.ones(2, 2), "z": torch.ones(5)}),
    lambda s: s.update({"a.weight": 3}),
    lambda s: s.update({"a.weight": "text", "a.bias": None}),
    lambda s: s.update({"n.num_batches_tracked": torch.tensor([3])}),
    lambda s: s.update({"n.num_batches_tracked": torch.tensor(3.0)}),
    lambda s: s.update({"a.weight": torch.ones(3, 2, dtype=torch.float64)}),
    lambda s: s.update({"a.weight": torch.ones(3, 2, device="meta")}),
    lambda s: s.update({"a.bias": torch.tensor(1.0)}),
    lambda s: s.update({"a": torch.ones(1)}),
    lambda s: s.update({"a.weight.x": torch.ones(1)}),
):
    for strict in (True, False):
        broken = OrderedDict(state)
        change(broken)
        attempt(two.load_state_dict, broken, strict=strict)
attempt(two.load_state_dict, [("a", 1)])
attempt(two.load_state_dict, 3)
attempt(two.load_state_dict, {})
attempt(two.load_state_dict, {}, strict=False)
show(two.a.weight.dtype, two.n.num_batches_tracked)

# assign
target = net().double()
target.a.weight.requires_grad_(False)
attempt(target.load_state_dict, state, assign=True)
show([p.dtype for p in target.parameters()], [p.requires_grad for p in target.parameters()])
show(target.a.weight.data_ptr() == state["a.weight"].data_ptr(), type(target.a.weight).__name__)
with torch.device("meta"):
    empty = nn.Linear(2, 3)
attempt(empty.load_state_dict, one.a.state_dict())
show(empty.weight)
attempt(empty.load_state_dict, one.a.state_dict(), assign=True)
show(empty.weight.device, empty.weight.requires_grad)
attempt(empty.load_state_dict, {"weight": torch.ones(5, 5), "bias": torch.ones(3)}, assign=True)
attempt(empty.load_state_dict, {"weight": nn.Parameter(torch.ones(3, 2)), "bias": torch.ones(3)}, assign=True)

# hooks
log = []
pre = one.register_state_dict_pre_hook(lambda m, prefix, keep: log.append(("pre", prefix, keep)))
post = one.register_state_dict_post_hook(lambda m, sd, prefix, meta: log.append(("post", len(sd), prefix, meta)))
changed = one._register_state_dict_hook(lambda m, sd, prefix, meta: OrderedDict(only=1))
show(one.state_dict(), log)
changed.remove()
returning = one.register_state_dict_post_hook(lambda m, sd, prefix, meta: 3)
attempt(one.state_dict)
returning.remove()
for handle in (pre, post):
    handle.remove()
log.clear()
pre = two.register_load_state_dict_pre_hook(
    lambda m, sd, prefix, meta, strict, missing, unexpected, errors: log.append(
        ("pre", prefix, strict, missing, unexpected, errors)
    )
)
post = two.register_load_state_dict_post_hook(lambda m, keys: log.append(("post", keys.missing_keys)))
attempt(two.load_state_dict, state)
show(log)
log.clear()
broken = OrderedDict(state)
broken.pop("b.weight")
attempt(two.load_state_dict, broken)
show(log)
clearing = two.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
attempt(two.load_state_dict, broken)
clearing.remove()
wrong = two.register_load_state_dict_post_hook(lambda m, keys: 3)
attempt(two.load_state_dict, broken, strict=False)
for handle in (pre, post, wrong):
    handle.remove()


# extra state
class Extra(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value
        self.w = nn.Parameter(torch.zeros(1))

    def get_extra_state(self):
        return self.value

    def set_extra_state(self, state):
        self.value = state


first, second = nn.ModuleList([Extra({"k": 1})]), nn.ModuleList([Extra(None)])
show(first.state_dict())
attempt(second.load_state_dict, first.state_dict())
show(second[0].value)
attempt(second.load_state_dict, {"0.w": torch.ones(1)})
attempt(nn.ModuleList([nn.Linear(1, 1)]).load_state_dict, {"0.weight": torch.ones(1, 1), "0._extra_state": 3})
attempt(nn.Module().get_extra_state)
attempt(nn.Module().set_extra_state, 1)


# buffers that are not persistent, None entries, and older versions
class Buffers(nn.Module):
    _version = 3

    def __init__(self):
        super().__init__()
        self.register_buffer("kept", torch.ones(1))
        self.register_buffer("loose", torch.ones(1), persistent=False)
        self.register_buffer("none", None)
        self.register_parameter("p", None)
        self.given = nn.Buffer(torch.ones(2))
        self.given_loose = nn.Buffer(torch.ones(2), persistent=False)

    def _load_from_state_dict(self, state, prefix, metadata, *rest):
        show("loads", prefix, metadata)
        super()._load_from_state_dict(state, prefix, metadata, *rest)


show(list(Buffers().state_dict()), Buffers().state_dict()._metadata)
attempt(Buffers().load_state_dict, Buffers().state_dict())
attempt(Buffers().load_state_dict, dict(Buffers().state_dict()))
attempt(Buffers().load_state_dict, {"kept": torch.ones(1), "given": torch.ones(2), "loose": torch.ones(1)})
norm = nn.BatchNorm1d(2)
old = norm.state_dict()
del old["num_batches_tracked"]
attempt(norm.load_state_dict, old)
old._metadata[""]["version"] = 1
attempt(norm.load_state_dict, old)
