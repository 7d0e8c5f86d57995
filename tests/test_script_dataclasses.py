"""Dataclasses in TorchScript: what Python writes for them is compiled too."""

import dataclasses

import pytest

import torch


@dataclasses.dataclass
class Scaled:
    x: torch.Tensor
    n: int = 2
    w: torch.Tensor | None = None

    def value(self):
        return self.x * self.n


@dataclasses.dataclass
class Checked:
    n: int

    def __post_init__(self):
        self.n = self.n + 1


@dataclasses.dataclass
class Own:
    n: int

    def __init__(self, n: int):
        self.n = 10 * n


@dataclasses.dataclass
class Fresh:
    x: list[int] = dataclasses.field(default_factory=list)


def scaled(x: torch.Tensor, n: int):
    return Scaled(x, n).value() + Scaled(x).value()


def numbers(n: int):
    return Checked(n).n, Own(n=n).n


def test_a_dataclass_is_made_inside_a_program():
    assert torch.jit.script(scaled)(torch.ones(2), 3).tolist() == [5.0, 5.0]
    assert torch.jit.script(numbers)(4) == (5, 40)


def test_a_compiled_dataclass_is_called_from_python():
    made = torch.jit.script(Scaled)(torch.ones(1), n=4)
    assert made.value().item() == 4.0 and made.w is None


def test_a_default_that_is_no_constant_is_refused():
    with pytest.raises(NotImplementedError, match="the default of Fresh.x is not a constant"):
        torch.jit.script(Fresh)
