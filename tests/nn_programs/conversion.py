"""How modules exchange their tensors: torch.__future__, module_load, swap_tensors, whole models saved and copied."""

import copy
import io
import pickle

from programs import attempt, show

import torch
import torch.__future__ as future
from torch import nn


def kept(change):
    """Change a module, and tell which of its tensors are still the same objects."""
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    module(torch.tensor([[1.0, 2.0], [3.0, 5.0]])).square().sum().backward()
    weight, gradient, mean = module[0].weight, module[0].weight.grad, module[1].running_mean
    change(module)
    new = module[0].weight
    return new is weight, new.grad is gradient, module[1].running_mean is mean, new.dtype, new.requires_grad


changes = {
    "double": lambda m: m.double(),
    "float": lambda m: m.float(),
    "meta": lambda m: m.to("meta"),
    "load": lambda m: m.load_state_dict(m.double().state_dict()),
    "assign": lambda m: m.load_state_dict(copy.deepcopy(m).double().state_dict(), assign=True),
    "apply": lambda m: m._apply(lambda t: t.clone()),
}
for switch in ("none", "overwrite", "swap"):
    future.set_overwrite_module_params_on_conversion(switch == "overwrite")
    for name, change in changes.items():
        future.set_swap_module_params_on_conversion(switch == "swap")
        attempt(kept, change)
        future.set_swap_module_params_on_conversion(False)
future.set_overwrite_module_params_on_conversion(False)
show(future.get_swap_module_params_on_conversion(), future.get_overwrite_module_params_on_conversion())
attempt(torch.ones(2).module_load, torch.zeros(2, dtype=torch.float64))
attempt(lambda: torch.ones(2).module_load(torch.zeros(2, dtype=torch.float64), assign=True))
a, b = torch.ones(2), torch.zeros(3)
torch.utils.swap_tensors(a, b)
show(a, b)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 2), nn.Dropout(0.5)])
        self.own = {"a": [1, 2]}
        self.register_buffer("b", torch.arange(2.0))

    def forward(self, x):
        return self.layers[0](x) + self.b


def hook(module, args, output):
    return output * 2


torch.manual_seed(0)
model = Model().eval()
model.register_forward_hook(hook)
x = torch.ones(1, 2)
for clone in (copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m))):
    twin = clone(model)
    show(torch.equal(twin(x), model(x)), twin.training, twin.own, twin.layers[0].weight is model.layers[0].weight)
    twin.own["a"].append(3)
    show(model.own)
buffer = io.BytesIO()
torch.save(model.state_dict(), buffer)
buffer.seek(0)
other = Model()
attempt(other.load_state_dict, torch.load(buffer))
show(torch.equal(other.eval()(x) * 2, model(x)))
model.layers[0].weight.grad = torch.ones(2, 2)
twin = copy.deepcopy(model)
show(twin.layers[0].weight.grad)
attempt(copy.deepcopy, model(x))
with torch.no_grad():
    attempt(copy.deepcopy, model(x).sum().item())
with torch.device("meta"):
    built = Model()
show(built.layers[0].weight, built.b)
attempt(lambda: built.to_empty(device="cpu").b.shape)
with torch.device("cpu"):
    show(nn.Linear(1, 1).weight.device, torch.ones(1).device)
torch.set_default_dtype(torch.float64)
show(nn.Linear(1, 1).weight.dtype, nn.BatchNorm1d(1).running_mean.dtype, nn.LSTM(1, 1).weight_ih_l0.dtype)
torch.set_default_dtype(torch.float32)
show(nn.Linear(1, 1, dtype=torch.bfloat16).weight.dtype)
attempt(lambda: nn.factory_kwargs({"device": "cpu", "foo": 1}))
attempt(lambda: nn.factory_kwargs({"device": "cpu", "factory_kwargs": {"device": "cpu"}}))
