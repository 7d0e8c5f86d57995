"""Modules, optimizers and data loading, by what they do."""

import copy

import pytest

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)
        self.tail = nn.Sequential(nn.ReLU(), nn.Linear(3, 2, bias=False))
        self.register_buffer("scale", torch.tensor(2.0))
        self.register_buffer("cache", torch.zeros(1), persistent=False)
        self.extra = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return self.tail(self.norm(self.first(x))) * self.scale + self.extra


def test_parameters_buffers_and_modules_are_found_in_order():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == [
        "extra", "first.weight", "first.bias", "norm.weight", "norm.bias", "tail.1.weight",
    ]  # fmt: skip
    assert [name for name, _ in net.named_buffers()] == [
        "scale", "cache", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
    ]  # fmt: skip
    assert [name for name, _ in net.named_modules()] == ["", "first", "norm", "tail", "tail.0", "tail.1"]
    assert "cache" not in net.state_dict() and list(net.state_dict())[:2] == ["extra", "scale"]
    assert net.get_parameter("tail.1.weight") is net.tail[1].weight


def test_shared_parameters_are_listed_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert len(list(net.parameters())) == 3


def test_state_dict_round_trip_and_errors():
    net, other = Net(), Net()
    with torch.no_grad():
        net.extra.fill_(3)
    assert str(other.load_state_dict(net.state_dict())) == "<All keys matched successfully>"
    x = torch.randn(5, 4)
    assert torch.equal(net.eval()(x), other.eval()(x))
    state = net.state_dict()
    del state["extra"]
    state["bogus"] = torch.ones(1)
    result = other.load_state_dict(state, strict=False)
    assert result.missing_keys == ["extra"] and result.unexpected_keys == ["bogus"]
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "extra"(.|\n)*Unexpected .*"bogus"'):
        other.load_state_dict(state)


def test_state_dict_holds_the_same_memory():
    net = nn.Linear(2, 2)
    assert net.state_dict()["weight"].data_ptr() == net.weight.data_ptr()
    assert not net.state_dict()["weight"].requires_grad


def test_train_and_eval_reach_every_module():
    net = Net().eval()
    assert not any(module.training for module in net.modules())
    assert net.train() is net and all(module.training for module in net.modules())


def test_dtype_and_device_conversion():
    net = Net().double()
    assert all(p.dtype == torch.float64 for p in net.parameters())
    assert net.norm.num_batches_tracked.dtype == torch.int64
    weight = net.first.weight
    assert net.to(torch.float32).first.weight is weight, "parameters keep their identity"
    assert net.to("meta").first.weight.device.type == "meta"


def test_hooks_see_and_change_inputs_and_outputs():
    net, calls = nn.Linear(2, 2), []
    handles = [
        net.register_forward_pre_hook(lambda m, args: calls.append("pre") or (args[0] * 2,)),
        net.register_forward_hook(lambda m, args, out: calls.append("post") or out * 3),
        net.register_full_backward_hook(lambda m, gin, gout: calls.append(f"back {gout[0].tolist()}")),
    ]
    x = torch.ones(1, 2, requires_grad=True)
    out = net(x)
    torch.testing.assert_close(out, 3 * nn.functional.linear(x * 2, net.weight, net.bias))
    out.sum().backward()
    assert calls == ["pre", "post", "back [[1.0, 1.0]]"]
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(net(x), nn.functional.linear(x, net.weight, net.bias))


def test_requires_grad_and_zero_grad():
    net = Net()
    net(torch.randn(3, 4)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(torch.randn(3, 4)).requires_grad


def test_deepcopy_is_independent():
    net = Net()
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin.extra.add_(1)
    assert net.extra.tolist() == [0, 0] and isinstance(twin.extra, nn.Parameter)


def test_containers():
    layers = nn.ModuleList([nn.Linear(1, 1)])
    layers.append(nn.ReLU())
    layers.insert(0, nn.Tanh())
    assert [type(m).__name__ for m in layers] == ["Tanh", "Linear", "ReLU"]
    assert isinstance(layers[1:], nn.ModuleList) and len(layers[1:]) == 2
    named = nn.ModuleDict({"a": nn.ReLU()})
    named["b"] = nn.Tanh()
    assert list(named) == ["a", "b"] and named.pop("a").__class__ is nn.ReLU
    sequence = nn.Sequential(nn.ReLU(), nn.Tanh())
    assert isinstance(sequence[:1], nn.Sequential) and len(sequence) == 2


def test_batch_norm_statistics():
    norm = nn.BatchNorm2d(3, momentum=0.1)
    x = torch.randn(4, 3, 5, 5) * 3 + 1
    out = norm(x)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(norm.running_mean, 0.1 * x.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * x.var((0, 2, 3)))
    assert norm.num_batches_tracked.item() == 1


def test_dropout_scales_and_is_off_in_eval():
    x = torch.ones(10000)
    out = nn.Dropout(0.25)(x)
    assert set(out.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert 0.70 < (out > 0).float().mean().item() < 0.80
    assert nn.Dropout(0.25).eval()(x) is x or torch.equal(nn.Dropout(0.25).eval()(x), x)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_layers_agree_with_their_cells(kind):
    layer = kind(3, 4)
    cell = {nn.RNN: nn.RNNCell, nn.GRU: nn.GRUCell, nn.LSTM: nn.LSTMCell}[kind](3, 4)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    x = torch.randn(5, 2, 3)
    out, _ = layer(x)
    state = None
    for step, row in zip(x, out, strict=True):
        state = cell(step, state)
        torch.testing.assert_close(state[0] if kind is nn.LSTM else state, row)


def test_attention_agrees_with_its_formula():
    q, k, v = (torch.randn(2, 3, 5, 4) for _ in range(3))
    expected = (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v
    torch.testing.assert_close(nn.functional.scaled_dot_product_attention(q, k, v), expected)
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    masked = (q @ k.transpose(-1, -2) / 2).masked_fill(~mask, -float("inf")).softmax(-1) @ v
    torch.testing.assert_close(nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True), masked)


def test_convolution_agrees_with_unfolded_product():
    x, w, b = torch.randn(2, 4, 7, 6), torch.randn(6, 2, 3, 2), torch.randn(6)
    out = nn.functional.conv2d(x, w, b, stride=2, padding=1, groups=2)
    columns = nn.functional.unfold(x, (3, 2), padding=1, stride=2).view(2, 2, 2 * 6, -1)
    expected = torch.einsum("gok,bgkl->bgol", w.view(2, 3, 12), columns).reshape(2, 6, *out.shape[2:])
    torch.testing.assert_close(out, expected + b.view(1, 6, 1, 1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam", "Adamax"])
def test_optimizers_resume_exactly(name):
    def make():
        torch.manual_seed(1)
        net = nn.Linear(3, 2)
        options = {"momentum": 0.9} if name == "SGD" else {}
        return net, getattr(torch.optim, name)(net.parameters(), lr=0.05, **options)

    def steps(net, optimizer, count, seed):
        torch.manual_seed(seed)
        for _ in range(count):
            optimizer.zero_grad()
            net(torch.randn(4, 3)).square().sum().backward()
            optimizer.step()

    whole, optimizer = make()
    steps(whole, optimizer, 3, 7)
    half, half_optimizer = make()
    half.load_state_dict(whole.state_dict())
    half_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(whole, optimizer, 3, 8)
    steps(half, half_optimizer, 3, 8)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), half.parameters(), strict=True))


def test_training_reduces_the_loss():
    x = torch.linspace(-1, 1, 64).unsqueeze(1)
    model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(200):
        loss = nn.functional.mse_loss(model(x), x**2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-3


def test_gradient_clipping():
    p = nn.Parameter(torch.zeros(4))
    p.grad = torch.full((4,), 3.0)
    assert nn.utils.clip_grad_norm_([p], 1.0).item() == pytest.approx(6.0)
    assert p.grad.norm().item() == pytest.approx(1.0, rel=1e-4)


def test_data_loader_batches_and_collates():
    class Pairs(Dataset):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return {"x": torch.full((2,), float(index)), "y": index, "name": f"n{index}", "z": (index, index * 0.5)}

    batches = list(DataLoader(Pairs(), batch_size=2))
    assert [len(batch["name"]) for batch in batches] == [2, 2, 1]
    assert batches[1]["x"].tolist() == [[2, 2], [3, 3]] and batches[1]["y"].tolist() == [2, 3]
    assert batches[1]["name"] == ["n2", "n3"] and batches[1]["z"][1].dtype == torch.float64
    assert len(DataLoader(Pairs(), batch_size=2, drop_last=True)) == 2
    assert next(iter(DataLoader(Pairs(), batch_size=None)))["y"] == 0


def test_iterable_dataset():
    class Count(IterableDataset):
        def __iter__(self):
            return iter(range(5))

    assert [batch.tolist() for batch in DataLoader(Count(), batch_size=2)] == [[0, 1], [2, 3], [4]]


def test_shuffling_visits_everything_once():
    loader = DataLoader(TensorDataset(torch.arange(20)), batch_size=6, shuffle=True)
    first, second = (torch.cat([batch[0] for batch in loader]).tolist() for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(20)) and first != second
