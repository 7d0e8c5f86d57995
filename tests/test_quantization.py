"""Quantised tensors, torch.ops.quantized, observers and quantised models are what PyTorch 2.13 gives."""

import copy
import io
import pickle

import pytest
import support

import torch
import torch.ao.quantization as tq
from torch import nn


def outcomes(name):
    """Parametrise a test over the cases of a file and what was recorded for each."""
    expected = support.recorded(name)
    return pytest.mark.parametrize("case, expected", [(case, expected[case]) for case in support.read_cases(name)])


# The scales of a histogram's range come from sums of float32, which round as they are grouped.
@outcomes("quantization")
def test_recorded(case, expected):
    support.assert_same(support.to_json(support.run_case(case)), expected, rtol=1e-6, atol=1e-7)


# A number that lies between two levels may fall to either when a scale's last bit differs.
@outcomes("quantization_models")
def test_models(case, expected):
    support.assert_same(support.to_json(support.run_case(case)), expected, rtol=1e-4, atol=1e-5)


@outcomes("quantization_errors")
def test_errors(case, expected):
    with pytest.raises(Exception) as caught:
        support.run_case(case)
    assert type(caught.value).__name__ == expected["type"]
    message = str(caught.value).split(" This could be because")[0].split("\n")[0]
    assert support.normalise(message) == support.normalise(expected["message"])


@pytest.mark.parametrize("name", ["quantization", "quantization_models", "quantization_errors"])
def test_every_case_is_recorded(name):
    assert set(support.read_cases(name)) == support.recorded(name).keys()


# ---- files


def _tensors():
    q = torch.quantize_per_tensor(torch.arange(6.0).reshape(2, 3), 0.5, 1, torch.quint8)
    c = torch.quantize_per_channel(
        torch.arange(6.0).reshape(2, 3), torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.qint8
    )
    return [q, c, q.t(), q[1], torch.quantize_per_tensor(torch.arange(6.0), 0.5, 1, torch.qint32)]


@pytest.mark.parametrize("index", range(5))
def test_tensors_travel(index):
    tensor = _tensors()[index]
    buffer = io.BytesIO()
    torch.save({"a": tensor}, buffer)
    buffer.seek(0)
    for other in (torch.load(buffer)["a"], pickle.loads(pickle.dumps(tensor)), copy.deepcopy(tensor)):
        assert other.equal(tensor) and str(other) == str(tensor)
        assert other.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr()


def test_views_share_memory():
    q = _tensors()[0]
    q.view(6)[4:].fill_(0.0)
    assert q.dequantize().tolist() == [[0, 1, 2], [3, 0, 0]]
    assert q.detach().data_ptr() == q.data_ptr() and q.clone().data_ptr() != q.data_ptr()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.quant, self.dequant = tq.QuantStub(), tq.DeQuantStub()
        self.conv1, self.bn1, self.relu1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.add, self.fc = torch.ao.nn.quantized.FloatFunctional(), nn.Linear(8, 5)

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(self.quant(x))))
        x = self.add.add_relu(x, self.bn2(self.conv2(x)))
        return self.dequant(self.fc(x.mean((2, 3))))


def _quantised():
    torch.manual_seed(0)
    net = tq.fuse_modules(Net().eval(), [["conv1", "bn1", "relu1"], ["conv2", "bn2"]])
    net.qconfig = tq.get_default_qconfig("x86")
    prepared = tq.prepare(net)
    for _ in range(3):
        prepared(torch.randn(4, 3, 8, 8))
    return net, tq.convert(prepared)


def test_quantised_net_is_near_the_float_net():
    net, quantised = _quantised()
    x = torch.randn(4, 3, 8, 8)
    assert (quantised(x) - net(x)).abs().max() < 0.03 * net(x).abs().max() + 0.02
    assert not any(hasattr(m, "qconfig") or hasattr(m, "activation_post_process_0") for m in quantised.modules())


def test_models_travel():
    net, quantised = _quantised()
    x = torch.randn(4, 3, 8, 8)
    buffer = io.BytesIO()
    torch.save(quantised.state_dict(), buffer)
    buffer.seek(0)
    other = tq.convert(tq.prepare(net))
    other.load_state_dict(torch.load(buffer))
    assert torch.equal(other(x), quantised(x))
    again = pickle.loads(pickle.dumps(quantised))
    assert torch.equal(again(x), quantised(x)) and torch.equal(copy.deepcopy(quantised)(x), quantised(x))


def test_dynamic_models_travel():
    model = tq.quantize_dynamic(nn.Sequential(nn.LSTM(5, 4)))
    x = torch.randn(3, 2, 5)
    again = pickle.loads(pickle.dumps(model))
    assert torch.equal(again(x)[0], model(x)[0])
    other = tq.quantize_dynamic(nn.Sequential(nn.LSTM(5, 4)))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x)[0], model(x)[0])


def test_training_moves_the_weights_past_the_rounding():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)).train()
    model.qconfig = tq.get_default_qat_qconfig("x86")
    prepared = tq.prepare_qat(model)
    x = torch.randn(64, 4)
    y = x.sum(1, keepdim=True)
    optimizer = torch.optim.Adam(prepared.parameters(), lr=0.05)
    losses = []
    for _ in range(100):
        loss = (prepared(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


# ---- old and new places


def test_old_places_hold_the_same_objects():
    import torch.nn.quantized.dynamic
    import torch.nn.quantized.modules.linear as old
    import torch.quantization

    assert torch.nn.quantized.Linear is torch.ao.nn.quantized.Linear is old.Linear
    assert torch.nn.quantized.dynamic.Linear is torch.ao.nn.quantized.dynamic.Linear
    assert torch.nn.intrinsic.qat.ConvBn2d is torch.ao.nn.intrinsic.qat.ConvBn2d
    assert torch.nn.quantizable.LSTM is torch.ao.nn.quantizable.LSTM
    assert torch.quantization.quantize is tq.quantize and callable(torch.quantization.fuse_modules)
    assert torch.quantization.observer.MinMaxObserver is tq.MinMaxObserver


def test_graph_mode_says_that_it_is_missing():
    from torch.ao.quantization import quantize_fx

    with pytest.raises(NotImplementedError, match="torch.fx"):
        quantize_fx.prepare_fx(nn.Linear(1, 1), {}, (torch.ones(1),))
    module = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="input must be a script module"):
        tq.convert_jit(module)
    with pytest.raises(NotImplementedError, match="quantising TorchScript programs is no part"):
        tq.convert_jit(torch.jit.script(module))


def test_equalities_of_qconfigs():
    one = tq.QConfig(tq.MinMaxObserver.with_args(dtype=torch.qint8), tq.default_weight_observer)
    other = tq.QConfig(tq.MinMaxObserver.with_args(dtype=torch.qint8), tq.default_weight_observer)
    assert tq.qconfig_equals(one, other) and not tq.qconfig_equals(one, tq.default_qconfig)


def test_arithmetic_of_dense_tensors_is_not_touched():
    assert not torch.ones(2).is_quantized and torch.ones(2).dequantize().dtype is torch.float32
