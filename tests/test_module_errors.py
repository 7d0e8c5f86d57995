"""An error inside a network keeps PyTorch's type and message, and carries a note that says where it arose."""

import pickle

import pytest

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
        self.loose = [nn.Linear(2, 3)]

    def forward(self, x, loose=False):
        return self.loose[0](x) if loose else self.head(self.encoder(x))


def note_of(call, kind):
    with pytest.raises(kind) as caught:
        call()
    (note,) = caught.value.__notes__
    return str(caught.value), note.split("\n")


def test_path_repr_and_shapes():
    net = Net()
    net.encoder.layers[3].linear1 = nn.Linear(9, 16)
    message, note = note_of(lambda: net(torch.randn(2, 3, 8)), RuntimeError)
    assert message.split("\n")[0] == "mat1 and mat2 shapes cannot be multiplied (6x8 and 9x16)"
    assert note == [
        "In encoder.layers.3.linear1 of Net: Linear(in_features=9, out_features=16, bias=True)",
        "  input: float32 [2, 3, 8]",
        "  weight: float32 [16, 9]",
        "  bias: float32 [16]",
    ]


def test_the_path_starts_at_the_module_that_was_called():
    net = Net()
    assert note_of(lambda: net.head(torch.ones(2, 7)), RuntimeError)[1][0].startswith("In 0 of Sequential: Linear(")
    assert note_of(lambda: net.head[0](torch.ones(2, 7)), RuntimeError)[1][0].startswith(
        "In the module called: Linear("
    )


def test_a_module_that_is_not_registered_is_named_by_its_class():
    assert note_of(lambda: Net()(torch.ones(2, 7), loose=True), RuntimeError)[1][0].startswith("In <Linear> of Net: ")


def test_a_large_module_is_shown_in_one_line():
    _, note = note_of(lambda: Net()(torch.ones(2, 3, 8), 1, 2), TypeError)
    assert note[0] == f"In the module called: Net(), with {sum(1 for _ in Net().modules()) - 1} modules inside"
    assert note[1:4] == ["  x: float32 [2, 3, 8]", "  loose: 1", "  argument 2: 2"]


def test_errors_of_hooks_and_of_replacements():
    net = nn.Sequential(nn.Linear(2, 2))

    def hook(module, args):
        raise KeyError("in a hook")

    net[0].register_forward_pre_hook(hook)
    message, note = note_of(lambda: net(torch.ones(1, 2)), KeyError)
    assert message == "'in a hook'" and note[0].startswith("In 0 of Sequential: Linear(")

    class Wrapping(nn.Module):
        def forward(self, x):
            try:
                return net(x)
            except KeyError as error:
                raise ValueError("replaced") from error

    assert note_of(lambda: Wrapping()(torch.ones(1, 2)), ValueError)[1][0] == "In the module called: Wrapping()"


def test_a_failing_repr_hides_nothing():
    class Odd(nn.Linear):
        def extra_repr(self):
            raise AssertionError("no repr today")

    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes"):
        Odd(2, 3)(torch.ones(1, 5))


def test_the_note_is_copied_as_plain_text():
    with pytest.raises(RuntimeError) as caught:
        nn.Linear(2, 3)(torch.ones(1, 5))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.__notes__ == caught.value.__notes__ and type(copy.__notes__[0]) is str


def test_the_end_of_an_iteration_carries_no_note():
    class Ending(nn.Module):
        def forward(self):
            raise StopIteration

    with pytest.raises(StopIteration) as caught:
        Ending()()
    assert not hasattr(caught.value, "__notes__")
