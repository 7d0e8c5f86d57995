"""torch.nn.utils and torch.nn.init."""

import copy

from programs import attempt, show

import torch
from torch import nn
from torch.nn import init, utils
from torch.nn.utils import parametrizations, parametrize, prune, rnn


def filled(module):
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(torch.sin(torch.arange(p.numel(), dtype=torch.float32) + i).view_as(p))
    return module


# clipping
def grads(*values):
    out = []
    for value in values:
        p = nn.Parameter(torch.zeros(len(value)))
        p.grad = torch.tensor(value)
        out.append(p)
    return out


for call in (
    lambda p: utils.clip_grad_norm_(p, 1.0),
    lambda p: utils.clip_grad_norm_(p, 1.0, norm_type=1),
    lambda p: utils.clip_grad_norm_(p, 1.0, norm_type=float("inf")),
    lambda p: utils.clip_grad_norm_(p, 1.0, norm_type="inf"),
    lambda p: utils.clip_grad_norm_(p, 100.0, norm_type=3, foreach=True),
    lambda p: utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True),
    lambda p: utils.clip_grad_norm_(p[0], 1.0),
    lambda p: utils.clip_grad_norm_([], 1.0),
    lambda p: utils.clip_grad_norm_((q for q in p), torch.tensor(2.0)),
    lambda p: utils.clip_grad_norm(p, 1.0),
    lambda p: utils.clip_grad_value_(p, 1.5),
    lambda p: utils.clip_grad_value_(p[0], 0.5),
    lambda p: utils.clip_grad_value_(p, 1.5, foreach=True),
    lambda p: utils.get_total_norm([q.grad for q in p]),
    lambda p: utils.get_total_norm([]),
    lambda p: utils.get_total_norm([q.grad for q in p], 0.0),
    lambda p: utils.clip_grads_with_norm_(p, 1.0, torch.tensor(10.0)),
    lambda p: utils.clip_grad_norm_(3, 1.0),
):
    ps = grads([3.0, -4.0], [0.0, 12.0])
    attempt(call, ps)
    show([p.grad for p in ps])
bad = grads([float("nan"), 1.0])
attempt(utils.clip_grad_norm_, bad, 1.0)
attempt(utils.clip_grad_norm_, bad, 1.0, error_if_nonfinite=True)
attempt(utils.clip_grad_norm_, [nn.Parameter(torch.ones(1))], 1.0)

# vectors of parameters
net = filled(nn.Linear(2, 2))
vector = utils.parameters_to_vector(net.parameters())
show(vector)
attempt(utils.vector_to_parameters, vector * 2, net.parameters())
show(net.weight)
attempt(utils.vector_to_parameters, vector[:3], net.parameters())
attempt(utils.vector_to_parameters, [1.0], net.parameters())
attempt(utils.parameters_to_vector, [])

# weight and spectral norms, the older way
x = torch.tensor([[1.0, -2.0]])
for dim in (0, 1, None, -1):
    module = utils.weight_norm(filled(nn.Linear(2, 3)), dim=dim)
    show([n for n, _ in module.named_parameters()], module.weight_g, module(x))
    show(utils.remove_weight_norm(module), module.weight)
attempt(utils.remove_weight_norm, nn.Linear(1, 1))
attempt(utils.weight_norm, nn.Linear(1, 1), "nothing")
attempt(lambda: utils.weight_norm(utils.weight_norm(nn.Linear(1, 1))))
attempt(utils.weight_norm, nn.LazyLinear(2))
module = utils.weight_norm(filled(nn.Linear(2, 3)))
module(x).sum().backward()
show(module.weight_g.grad, module.weight_v.grad)
attempt(copy.deepcopy, utils.weight_norm(filled(nn.Linear(2, 3))))
torch.manual_seed(0)
module = utils.spectral_norm(filled(nn.Linear(2, 3)))
show([n for n, _ in module.named_parameters()], [n for n, _ in module.named_buffers()], list(module.state_dict()))
show(module(x), module(x), module.eval()(x), module.weight)
show(utils.remove_spectral_norm(module), module.weight)
attempt(utils.remove_spectral_norm, nn.Linear(1, 1))
attempt(utils.spectral_norm, nn.Linear(1, 1), n_power_iterations=0)
attempt(lambda: utils.spectral_norm(utils.spectral_norm(nn.Linear(1, 1))))
show(utils.spectral_norm(filled(nn.ConvTranspose2d(2, 3, 2))).weight_u.shape)

# parametrisations
for make in (
    lambda: parametrizations.weight_norm(filled(nn.Linear(2, 3))),
    lambda: parametrizations.weight_norm(filled(nn.Linear(2, 3)), dim=None),
    lambda: parametrizations.spectral_norm(filled(nn.Linear(2, 3)).eval()),
    lambda: parametrizations.orthogonal(filled(nn.Linear(2, 3))),
    lambda: parametrizations.orthogonal(filled(nn.Linear(3, 2)), orthogonal_map="cayley"),
    lambda: parametrizations.orthogonal(filled(nn.Linear(3, 3)), orthogonal_map="matrix_exp"),
    lambda: parametrizations.orthogonal(filled(nn.Linear(3, 3)), orthogonal_map="householder"),
    lambda: parametrizations.orthogonal(filled(nn.Linear(3, 3)), use_trivialization=False),
):
    torch.manual_seed(0)
    module = make()
    show(module)
    show(type(module).__name__, [n for n, _ in module.named_parameters()], [n for n, _ in module.named_buffers()])
    show(list(module.state_dict()), parametrize.is_parametrized(module), parametrize.is_parametrized(module, "bias"))
    weight = module.weight
    show(weight.shape, (weight @ weight.mT if weight.shape[0] <= weight.shape[1] else weight.mT @ weight).detach())
    show(parametrize.type_before_parametrizations(module).__name__)
    attempt(parametrize.remove_parametrizations, module, "weight")
    show(type(module).__name__, [n for n, _ in module.named_parameters()])
for call in (
    lambda: parametrizations.orthogonal(nn.Linear(2, 2), orthogonal_map="x"),
    lambda: parametrizations.orthogonal(nn.Linear(2, 2), "nothing"),
    lambda: parametrizations.orthogonal(nn.Linear(2, 2), "bias"),
    lambda: parametrizations.orthogonal(nn.Linear(2, 2).to(torch.complex64), orthogonal_map="householder"),
    lambda: parametrizations.spectral_norm(nn.Linear(2, 2), "nothing"),
    lambda: parametrizations.spectral_norm(nn.Linear(2, 2), n_power_iterations=0),
    lambda: parametrizations.spectral_norm(nn.Linear(2, 2), dim=5),
    lambda: parametrizations.weight_norm(nn.Linear(2, 2), "nothing"),
):
    attempt(call)


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).mT

    def right_inverse(self, w):
        return w.triu()


class Twice(nn.Module):
    def forward(self, w):
        return w * 2


class Wrong(nn.Module):
    def __init__(self, result):
        super().__init__()
        self.result = result

    def forward(self, w):
        return self.result(w)


module = filled(nn.Linear(2, 2))
parametrize.register_parametrization(module, "weight", Symmetric())
parametrize.register_parametrization(module, "weight", Twice())
show(module, module.weight, list(module.state_dict()))
attempt(lambda: setattr(module, "weight", torch.ones(2, 2)))
with parametrize.cached():
    show(module.weight is module.weight)
show(module.weight is module.weight)
attempt(lambda: copy.deepcopy(module).weight)
import pickle  # noqa: E402

attempt(pickle.dumps, module)
attempt(parametrize.transfer_parametrizations_and_params, module, nn.Linear(2, 2))
attempt(parametrize.transfer_parametrizations_and_params, nn.Linear(2, 2), nn.Linear(2, 2))
attempt(parametrize.transfer_parametrizations_and_params, module, nn.Linear(2, 2), "bias")
attempt(parametrize.remove_parametrizations, module, "weight", leave_parametrized=False)
for call in (
    lambda: parametrize.register_parametrization(nn.Linear(2, 2), "nothing", Twice()),
    lambda: parametrize.register_parametrization(nn.Linear(2, 2), "weight", Wrong(lambda w: w[:1])),
    lambda: parametrize.register_parametrization(nn.Linear(2, 2), "weight", Wrong(lambda w: w.double())),
    lambda: parametrize.register_parametrization(nn.Linear(2, 2), "weight", Wrong(lambda w: 3)),
    lambda: parametrize.register_parametrization(nn.Linear(2, 2), "weight", Wrong(lambda w: w[:1]), unsafe=True),
    lambda: parametrize.register_parametrization(nn.Linear(2, 2), "weight", 3),
    lambda: parametrize.remove_parametrizations(nn.Linear(2, 2), "weight"),
    lambda: parametrize.ParametrizationList([], torch.ones(1)),
):
    attempt(call)

# pruning
for method, arguments in (
    (prune.identity, ()),
    (prune.l1_unstructured, (2,)),
    (prune.l1_unstructured, (0.5,)),
    (prune.random_unstructured, (3,)),
    (prune.ln_structured, (1, 2, 0)),
    (prune.random_structured, (1, 1)),
    (prune.custom_from_mask, (torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),)),
):
    torch.manual_seed(0)
    module = filled(nn.Linear(2, 3))
    attempt(lambda method=method, arguments=arguments, module=module: method(module, "weight", *arguments))
    show([n for n, _ in module.named_parameters()], [n for n, _ in module.named_buffers()], module.weight)
    show(prune.is_pruned(module), [type(h).__name__ for h in module._forward_pre_hooks.values()])
    attempt(prune.remove, module, "weight")
    show(prune.is_pruned(module), [n for n, _ in module.named_parameters()])
module = filled(nn.Linear(2, 3))
prune.l1_unstructured(module, "weight", 2)
prune.random_unstructured(module, "weight", 1)
show(module.weight_mask.sum(), type(next(iter(module._forward_pre_hooks.values()))).__name__)
first, second = filled(nn.Linear(2, 2)), filled(nn.Linear(2, 2))
prune.global_unstructured([(first, "weight"), (second, "weight")], prune.L1Unstructured, amount=3)
show(first.weight, second.weight)
for call in (
    lambda: prune.l1_unstructured(nn.Linear(2, 3), "nothing", 1),
    lambda: prune.l1_unstructured(nn.Linear(2, 3), "weight", 100),
    lambda: prune.l1_unstructured(nn.Linear(2, 3), "weight", -1),
    lambda: prune.l1_unstructured(nn.Linear(2, 3), "weight", 1.5),
    lambda: prune.l1_unstructured(nn.Linear(2, 3), "weight", "x"),
    lambda: prune.ln_structured(nn.Linear(2, 3), "weight", 1, 2, 5),
    lambda: prune.ln_structured(nn.Linear(2, 3), "bias", 1, 2, 0),
    lambda: prune.remove(nn.Linear(2, 3), "weight"),
    lambda: prune.global_unstructured(3, prune.L1Unstructured, amount=1),
    lambda: prune.global_unstructured([(nn.Linear(1, 1), "weight")], prune.LnStructured, amount=1),
    lambda: prune.custom_from_mask(nn.Linear(2, 3), "weight", torch.ones(1)),
    lambda: prune.PruningContainer(3),
    lambda: prune.L1Unstructured(1).prune(torch.tensor([1.0, -3.0, 2.0])),
    lambda: prune.RandomStructured(1, 0).prune(torch.ones(2, 2)).sum(),
):
    attempt(call)

# sequences of different lengths
a, b, c = torch.arange(4.0), torch.arange(2.0) + 10, torch.arange(3.0) + 20
for call in (
    lambda: rnn.pad_sequence([a, b, c]),
    lambda: rnn.pad_sequence([a, b, c], batch_first=True, padding_value=-1.0),
    lambda: rnn.pad_sequence([a, b, c], batch_first=True, padding_side="left"),
    lambda: rnn.pad_sequence([a, b], padding_side="x"),
    lambda: rnn.pad_sequence([]),
    lambda: rnn.pad_sequence(3),
    lambda: rnn.unpad_sequence(rnn.pad_sequence([a, b, c]), torch.tensor([4, 2, 3])),
    lambda: rnn.pack_sequence([a, c, b]),
    lambda: rnn.pack_sequence([b, a]),
    lambda: rnn.pack_sequence([b, a], enforce_sorted=False),
    lambda: rnn.unpack_sequence(rnn.pack_sequence([b, a], enforce_sorted=False)),
    lambda: rnn.pack_padded_sequence(torch.ones(3, 2, 1), [3, 1]),
    lambda: rnn.pack_padded_sequence(torch.ones(3, 2, 1), [1, 3]),
    lambda: rnn.pack_padded_sequence(torch.ones(2, 3, 1), torch.tensor([3, 2]), batch_first=True),
    lambda: rnn.pack_padded_sequence(torch.ones(3, 2, 1), [3, 0]),
    lambda: rnn.pack_padded_sequence(torch.ones(3, 2, 1), [3]),
    lambda: rnn.pack_padded_sequence(torch.ones(3), [3, 1]),
    lambda: rnn.pad_packed_sequence(rnn.pack_sequence([a, c, b])),
    lambda: rnn.pad_packed_sequence(rnn.pack_sequence([a, c, b]), batch_first=True, padding_value=9.0, total_length=5),
    lambda: rnn.pad_packed_sequence(rnn.pack_sequence([a, c, b]), total_length=2),
    lambda: rnn.PackedSequence(a),
    lambda: rnn.PackedSequence(a, torch.tensor([1, 1, 1, 1])),
    lambda: rnn.pack_sequence([a, c]).to(torch.float64).data.dtype,
    lambda: rnn.pack_sequence([a, c]).double().data.dtype,
    lambda: rnn.pack_sequence([a, c]).is_cuda,
    lambda: rnn.invert_permutation(torch.tensor([2, 0, 1])),
    lambda: rnn.invert_permutation(None),
):
    attempt(call)

# fusion, memory format, stateless calls
torch.manual_seed(0)
conv, norm = filled(nn.Conv2d(1, 2, 2)).eval(), filled(nn.BatchNorm2d(2)).eval()
fused = utils.fuse_conv_bn_eval(conv, norm)
image = torch.arange(9.0).view(1, 1, 3, 3)
show(fused, fused(image))
lin, norm1 = filled(nn.Linear(2, 3)).eval(), filled(nn.BatchNorm1d(3)).eval()
show(utils.fuse_linear_bn_eval(lin, norm1)(x))
attempt(utils.fuse_conv_bn_eval, nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2))
attempt(utils.fuse_linear_bn_eval, nn.Linear(2, 3).eval(), nn.BatchNorm1d(4).eval())
converted = utils.convert_conv2d_weight_memory_format(nn.Conv2d(3, 4, 2), torch.channels_last)
show(converted.weight.stride())
show(utils.convert_conv3d_weight_memory_format(nn.Conv3d(3, 4, 2), torch.channels_last_3d).weight.stride())
call = torch.func.functional_call
net = nn.Sequential(filled(nn.Linear(2, 2)), nn.Tanh(), nn.BatchNorm1d(2).eval())
for arguments in (
    (net, {"0.weight": torch.zeros(2, 2)}, (torch.ones(2, 2),)),
    (net, {"0.weight": torch.zeros(2, 2)}, torch.ones(2, 2)),
    (net, ({"0.weight": torch.zeros(2, 2)}, {"0.bias": torch.ones(2)}), torch.ones(2, 2)),
    (net, ({"0.weight": torch.zeros(2, 2)}, {"0.weight": torch.ones(2)}), torch.ones(2, 2)),
    (net, {"nothing": torch.zeros(2, 2)}, torch.ones(2, 2)),
    (net, {"x.weight": torch.zeros(2, 2)}, torch.ones(2, 2)),
    (net, {"0.weight": 3}, torch.ones(2, 2)),
    (net, 3, torch.ones(2, 2)),
):
    attempt(call, *arguments)
attempt(call, net, {"0.weight": torch.zeros(2, 2)}, torch.ones(2, 2), strict=True)
attempt(call, net, {**dict(net.named_parameters()), **dict(net.named_buffers()), "q": torch.ones(1)}, x, strict=True)
tied = nn.Module()
tied.a = nn.Linear(1, 1, bias=False)
tied.b = tied.a
tied.forward = lambda x: tied.a(x) + tied.b(x)
attempt(call, tied, {"a.weight": torch.full((1, 1), 3.0)}, torch.ones(1, 1))
attempt(call, tied, {"a.weight": torch.ones(1, 1), "b.weight": torch.zeros(1, 1)}, torch.ones(1, 1))
attempt(call, tied, {"a.weight": torch.full((1, 1), 3.0)}, torch.ones(1, 1), tie_weights=False)
attempt(utils.stateless.functional_call, net, {"0.weight": torch.zeros(2, 2)}, torch.ones(2, 2))

# initial values
for name, arguments in (
    ("uniform_", (-1.0, 1.0)),
    ("normal_", (1.0, 2.0)),
    ("trunc_normal_", (0.0, 1.0, -0.5, 0.5)),
    ("trunc_normal_", (5.0, 1.0, -0.5, 0.5)),
    ("constant_", (0.3,)),
    ("ones_", ()),
    ("zeros_", ()),
    ("eye_", ()),
    ("dirac_", ()),
    ("xavier_uniform_", (2.0,)),
    ("xavier_normal_", ()),
    ("kaiming_uniform_", ()),
    ("kaiming_uniform_", (0.1, "fan_out", "relu")),
    ("kaiming_normal_", (0, "fan_in", "tanh")),
    ("orthogonal_", (2.0,)),
    ("sparse_", (0.5,)),
    ("kaiming_normal_", (0, "x")),
    ("kaiming_normal_", (0, "fan_in", "x")),
    ("nothing_", ()),
):
    for shape in ((2, 3), (3,), (2, 3, 2), (4, 2, 3, 3), (0, 3)):
        torch.manual_seed(0)
        attempt(lambda name=name, shape=shape, args=arguments: getattr(init, name)(torch.empty(shape), *args))
torch.manual_seed(0)
attempt(init.dirac_, torch.empty(4, 2, 3), 2)
attempt(init.dirac_, torch.empty(5, 2, 3), 2)
generator = torch.Generator().manual_seed(7)
for name in ("uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "kaiming_normal_", "orthogonal_"):
    attempt(lambda name=name: getattr(init, name)(torch.empty(2, 2), generator=generator))
for name, parameter in (
    *((n, None) for n in ("linear", "conv1d", "conv_transpose2d", "sigmoid", "tanh", "relu", "selu", "leaky_relu")),
    ("leaky_relu", 0.2),
    ("leaky_relu", True),
    ("leaky_relu", "x"),
    ("gelu", None),
):
    attempt(init.calculate_gain, name, parameter)
for old in ("uniform", "normal", "constant", "eye", "dirac", "xavier_uniform", "xavier_normal", "orthogonal"):
    torch.manual_seed(0)
    attempt(lambda old=old: getattr(init, old)(torch.empty(2, 2, 1 if old == "dirac" else 2).squeeze(-1)))
