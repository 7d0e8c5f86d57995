"""torch.summary: figures against counts by hand, by other means and by the operating system; and nothing is changed."""

import copy
import subprocess
import sys
import textwrap

import pytest

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def mlp():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 16)
        self.rnn = nn.LSTM(16, 16, num_layers=2, batch_first=True)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(16, 100)
        self.head.weight = self.embedding.weight
        self.alias = self.head

    def forward(self, tokens, scale=1.0):
        x, (hidden, cell) = self.rnn(self.embedding(tokens))
        x = self.attention(x, x, x, need_weights=False)[0]
        return {"one": self.head(self.drop(x)) * scale, "two": self.alias(self.drop(x)), "state": (hidden, cell)}


class LooksAtNumbers(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.linear, self.calls = nn.BatchNorm1d(3), nn.Linear(3, 5), 0

    def forward(self, x):
        self.calls += 1
        self.last = x = self.norm(x)
        return self.linear(x) if x.sum().item() > -1e9 else x


def test_by_hand():
    result = torch.summary(mlp(), (3, 4))
    assert [(one.path, one.kind, one.depth, one.output) for one in result.layers] == [
        ("", "Sequential", 0, (3, 2)), ("0", "Linear", 1, (3, 8)), ("1", "ReLU", 1, (3, 8)), ("2", "Linear", 1, (3, 2)),
    ]  # fmt: skip
    assert [one.parameters for one in result.layers] == [58, 40, 0, 18]
    assert [one.flops for one in result.layers] == [288, 3 * 4 * 8 * 2, 0, 3 * 8 * 2 * 2]
    assert (result.parameter_bytes, result.buffer_bytes, result.input_bytes) == (232, 0, 48)
    # both weights, and the input of the second layer
    assert result.backward_flops == 2 * 3 * (4 * 8 + 8 * 2 + 8 * 2)
    # parameters, input, and the input and the result of the ReLU
    assert result.inference_bytes == 232 + 48 + 2 * (3 * 8 * 4)
    assert result.training_bytes >= 2 * 232 + 48 + 3 * 8 * 4


def test_counts_by_other_means():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, groups=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=4),
        nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Flatten(), nn.Linear(4 * 28 * 28, 10),
    )  # fmt: skip
    x = torch.randn(2, 3, 16, 16)
    result = torch.summary(model, x)
    outputs = []
    handles = [child.register_forward_hook(lambda m, a, out: outputs.append(out.shape)) for child in model]
    with FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    for handle in handles:
        handle.remove()
    assert [one.output for one in result.layers[1:]] == outputs
    assert result.flops + result.backward_flops == counter.get_total_flops()
    assert result.parameters == sum(p.numel() for p in model.parameters())
    assert result.buffer_bytes == sum(b.numel() * b.element_size() for b in model.buffers())
    assert result["1"].parameters == 16 and result["1"].flops == 0


MEASURED = """
    import resource
    import torch
    from torch import nn

    torch.set_num_threads(1)
    training = {training}
    model = nn.Sequential(*[layer for _ in range(4) for layer in (nn.Linear(512, 512), nn.Tanh())])
    x = torch.randn(16384, 512)
    figures = torch.summary(model, x)
    torch.tanh(nn.functional.linear(x[:512], model[0].weight))  # what the first call loads
    peak = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
    open("/proc/self/clear_refs", "w").write("5")  # the peak is what is held now
    before = peak() - x.numel() * 4 - figures.parameter_bytes
    with torch.set_grad_enabled(training):
        y = model(x)
        if training:
            y.sum().backward()
    print(figures.training_bytes if training else figures.inference_bytes, peak() - before)
"""


@pytest.mark.parametrize("training", [False, True])
def test_peaks_are_what_the_system_measures(training):
    program = textwrap.dedent(MEASURED.format(training=training))
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told, measured = map(int, done.stdout.split())
    assert told > 100 << 20 and measured == pytest.approx(told, rel=0.1)


def test_shared_and_reused():
    model = Tied()
    result = torch.summary(model, (2, 7))
    assert result.parameters == sum(p.numel() for p in model.parameters())  # which counts shared ones once
    assert (result["head"].parameters, result["head"].shared, result["head"].calls) == (100, 1600, 2)
    assert (result["alias"].parameters, result["alias"].same_as) == (0, "head")
    assert sum(one.parameters for one in result.layers if one.depth == 1) == result.parameters
    assert result["drop"].calls == 2
    assert result["rnn"].output == ((2, 7, 16), ((2, 2, 16), (2, 2, 16)))
    assert result["rnn"].flops == 2 * 7 * 2 * (4 * 16 * (16 + 16)) * 2  # examples, steps, layers, gates
    assert result["attention.out_proj"].output is None and result["attention.out_proj"].parameters == 16 * 17
    assert result[""].output["one"] == (2, 7, 100)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, 7, dtype=torch.int64))
    assert result.flops == counter.get_total_flops()


def test_inputs_of_every_kind():
    model = Tied()
    expected = torch.summary(model, (2, 7)).flops
    tokens = torch.zeros(2, 7, dtype=torch.int64)
    for result in (
        torch.summary(model, tokens), torch.summary(model, [tokens, 2.0]), torch.summary(model, [(2, 7)]),
        torch.summary(model, {"tokens": (2, 7), "scale": 0.5}), torch.summary(model, kwargs={"tokens": tokens}),
        torch.summary(model, tokens, kwargs={"scale": 2.0}),
        torch.summary(model, torch.Size([2, 7]), dtype=torch.int32),
    ):  # fmt: skip
        assert result.flops == expected and not result.note
    two = nn.Bilinear(3, 4, 5)
    assert torch.summary(two, [(2, 3), (2, 4)]).layers[0].output == (2, 5)
    double = nn.Linear(3, 4, dtype=torch.float64)
    assert torch.summary(double, (2, 3)).input_bytes == 48 and torch.summary(double, (2, 3)).parameter_bytes == 128
    half = nn.Linear(3, 4, dtype=torch.bfloat16)
    assert torch.summary(half, (2, 3)).inference_bytes == 2 * (16 + 6 + 8)


def test_without_an_input():
    result = torch.summary(mlp())
    assert result.parameters == 58 and result.flops is None and result.inference_bytes is None
    assert "FLOPs:" not in str(result)


def test_lazy_modules_stay_lazy():
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(5))
    result = torch.summary(model, (2, 3, 8, 8))
    assert result.parameters == (3 * 9 + 1) * 4 + 2 * 4 + (4 * 36 + 1) * 5
    assert model[0].has_uninitialized_params() and model[3].has_uninitialized_params()
    assert type(model[0]) is nn.LazyConv2d
    assert "lazy parameters" in torch.summary(model).note


def test_a_model_larger_than_any_memory():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(1_000_000, 1_000_000), nn.Linear(1_000_000, 10))
    result = torch.summary(model, (1, 1_000_000))
    assert result.parameters == 1_000_000 * 1_000_001 + 10_000_010
    assert result.training_bytes >= 2 * result.parameter_bytes


@pytest.mark.parametrize(
    ("make", "shape"),
    [(mlp, (3, 4)), (Tied, (2, 7)), (LooksAtNumbers, (5, 3)), (lambda: nn.BatchNorm2d(3), (2, 3, 4, 4))],
)
@pytest.mark.parametrize("training", [True, False])
def test_nothing_changes(make, shape, training):
    model = make().train(training)
    model.requires_grad_(training)
    before, hooks = copy.deepcopy(model.state_dict()), [dict(vars(m)) for m in model.modules()]
    torch.manual_seed(3)
    state = torch.get_rng_state()
    x = torch.randn(shape) if shape != (2, 7) else torch.zeros(shape, dtype=torch.int64)
    torch.set_rng_state(state)
    given = x.clone()
    torch.summary(model, x)
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(x, given)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert all(m.training == training for m in model.modules())
    assert all(p.grad is None and p.requires_grad == training for p in model.parameters())
    for module, values in zip(model.modules(), hooks, strict=True):
        assert vars(module).keys() == values.keys() and all(vars(module)[k] is v for k, v in values.items())


def test_a_model_that_looks_at_numbers_runs_as_it_is():
    model = LooksAtNumbers()
    result = torch.summary(model, (4, 3))
    assert result.layers[0].output == (4, 5) and result.flops == 4 * 3 * 5 * 2
    assert "does not run on the meta device" in result.note and result.training_bytes is None
    assert model.calls == 0 and not hasattr(model, "last")
    with torch.device("meta"):
        model = LooksAtNumbers()
    with pytest.raises(RuntimeError, match="meta"):
        torch.summary(model, (4, 3))


def test_packed_sequences():
    packed = nn.utils.rnn.pack_padded_sequence(torch.randn(3, 5, 4), torch.tensor([5, 3, 2]), batch_first=True)
    result = torch.summary(nn.GRU(4, 8, batch_first=True), packed)
    assert result.flops == 10 * 2 * 3 * 8 * (4 + 8) and result[""].output[1] == (1, 3, 8)


def test_errors():
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module, but is a function"):
        torch.summary(mlp, (1, 2))
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        torch.summary(mlp(), (3, 5))


def test_text_and_html():
    model = nn.Sequential(mlp(), nn.Sequential(nn.Linear(2, 2)))
    result = torch.summary(model, (3, 4))
    lines = str(result).splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["Sequential", "├─"]
    assert lines[4].startswith("│  ├─ 0: Linear") and lines[8].startswith("   └─ 0: Linear")
    shallow = str(torch.summary(model, (3, 4), depth=1))
    assert "Linear" not in shallow and "58" in shallow
    page = result._repr_html_()
    assert page.count("<tr>") == 1 + len(result.layers) and "1: Sequential" in page and "[3, 2]" in page
