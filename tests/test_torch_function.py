"""``__torch_function__``: what subclasses, other classes and modes see of the public functions."""

import numpy as np
import pytest

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


class Names(TorchFunctionMode):
    def __init__(self):
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.seen.append(getattr(func, "__name__", str(func)))
        return func(*args, **(kwargs or {}))


class Tagged(torch.Tensor):
    """Keeps what it was called with, and its class."""

    seen: list = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.seen.append(func)
        return super().__torch_function__(func, types, args, kwargs or {})


def tagged(*sizes):
    with torch._C.DisableTorchFunctionSubclass():
        return torch.ones(*sizes).as_subclass(Tagged)


MODE_CALLS = {
    "torch.tensor([1.])": ["tensor"],
    "torch.as_tensor([1.])": ["as_tensor"],
    "torch.asarray([1.])": ["asarray"],
    "torch.scalar_tensor(1.)": ["scalar_tensor"],
    "torch.zeros(2)": ["zeros"],
    "torch.hann_window(3)": ["hann_window"],
    "torch.meshgrid(x, x, indexing='ij')": ["meshgrid"],
    "torch.vander(x)": ["vander"],
    "torch.linalg.inv(x.diag())": ["diag", "linalg_inv"],
    "torch.fft.fft(x)": ["fft_fft"],
    "F.interpolate(x[None, None])": None,
    "x[0]": ["__getitem__"],
    "x.shape": ["__get__"],
    "x + 1": ["add"],
    "1 + x": ["add"],
    "-x": ["neg"],
    "len(x)": ["__len__"],
    "torch.ops.aten.add.Tensor(x, 1)": ["add.Tensor"],
    "x.sum().item()": ["sum", "item"],
}


@pytest.mark.parametrize("text", [text for text, names in MODE_CALLS.items() if names is not None])
def test_a_mode_sees_each_public_call_once(text):
    x = torch.ones(3)
    with Names() as mode:
        eval(text, {"torch": torch, "F": F, "x": x})
    expected = MODE_CALLS[text]
    assert [name.removeprefix("linalg_").removeprefix("fft_") for name in mode.seen] == [
        name.removeprefix("linalg_").removeprefix("fft_") for name in expected
    ]


# functions written in Python, from each namespace that has some
PYTHON_FUNCTIONS = {
    "torch.meshgrid(t, indexing='ij')": lambda: torch.meshgrid,
    "torch.einsum('i->', t)": lambda: torch.einsum,
    "torch.hstack([t, t])": lambda: torch.hstack,
    "torch.det(t.reshape(1, 3)[:, :1])": lambda: torch.det,
    "torch.linalg.norm(t)": lambda: torch.linalg.norm,
    "torch.fft.rfft(t)": lambda: torch.fft.rfft,
    "F.local_response_norm(t.reshape(1, 3, 1), 2)": lambda: F.local_response_norm,
    "F.soft_margin_loss(t, t)": lambda: F.soft_margin_loss,
    "torch.nn.init.constant_(t, 2.0)": lambda: torch.nn.init.constant_,
    "torch.select_scatter(t, torch.tensor(5.0), 0, 1)": lambda: torch.select_scatter,
}


@pytest.mark.parametrize("text", PYTHON_FUNCTIONS)
def test_functions_written_in_python_are_seen_as_themselves(text):
    t = tagged(3)
    Tagged.seen = []
    result = eval(text, {"torch": torch, "F": F, "t": t})
    assert Tagged.seen[-1] is PYTHON_FUNCTIONS[text]()
    first = result[0] if isinstance(result, (tuple, list)) else result
    assert type(first) is Tagged


def test_methods_written_in_python_are_seen_as_themselves():
    t = tagged(3)
    Tagged.seen = []
    t.unique()
    assert [f.__name__ for f in Tagged.seen] == ["unique"]


def test_other_classes_answer_too():
    class Diagonal:
        def __init__(self, n, value):
            self.n, self.value = n, value

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func is torch.mean:
                return args[0].value / args[0].n
            if func is torch.linalg.norm:
                return args[0].value * args[0].n ** 0.5
            return NotImplemented

    d = Diagonal(4, 2.0)
    assert torch.mean(d) == 0.5 and torch.linalg.norm(d) == 4.0
    with pytest.raises(TypeError, match="Multiple dispatch failed for 'torch.exp'"):
        torch.exp(d)
    with pytest.raises(TypeError, match="no implementation found for 'torch.*einsum' on types that implement"):
        torch.einsum("ii", d)


def test_mixed_classes_are_asked_most_derived_first():
    order = []

    class Base(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            order.append(cls.__name__)
            return NotImplemented

    class Derived(Base):
        pass

    class Unrelated:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            order.append("Unrelated")
            return 7

    with torch._C.DisableTorchFunctionSubclass():
        base, derived = torch.ones(1).as_subclass(Base), torch.ones(1).as_subclass(Derived)
    assert torch.stack([base, Unrelated(), derived]) == 7
    assert order == ["Derived", "Base", "Unrelated"]


def test_modes_stack_and_disable():
    x = torch.ones(2)
    with Names() as outer, Names() as inner:
        x + 1
    assert outer.seen == inner.seen == ["add"]
    with Names() as mode:
        with torch._C.DisableTorchFunction():
            x + 1
        with torch._C.DisableTorchFunctionSubclass():
            x * 1
    assert mode.seen == ["mul"]


def test_a_device_as_a_mode():
    from torch.utils._device import DeviceContext, set_device

    with DeviceContext("meta"):
        assert torch.ones(2).is_meta and torch.tensor([1]).is_meta and torch.ones(1, device="cpu").device.type == "cpu"
        assert torch.nn.Linear(2, 2).weight.is_meta
    assert set_device("meta")(lambda: torch.zeros(1))().is_meta and not torch.zeros(1).is_meta


def test_names_of_functions():
    names = torch.overrides
    assert names.resolve_name(torch.Tensor.add) == "torch.Tensor.add"
    assert names.resolve_name(torch.nn.functional.interpolate) == "torch.nn.functional.interpolate"
    assert names.is_tensor_method_or_property(torch.Tensor.add) and not names.is_tensor_method_or_property(torch.add)
    functions = names.get_overridable_functions()
    assert torch.add in functions[torch] and torch.Tensor.add in functions[torch.Tensor]
    overrides = names.get_testing_overrides()
    assert overrides[torch.add](1, 2) == -1 and torch.einsum in overrides
    assert torch.tensor in names.get_ignored_functions()


def test_arrays_and_numbers_do_not_override():
    assert not torch.overrides.has_torch_function((np.ones(2), 1, "a", None, torch.ones(1)))
