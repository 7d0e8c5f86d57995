"""``__torch_dispatch__``: subclasses without memory, modes, and what autograd does above them."""

import copy
import gc
import pickle

import pytest

import torch
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,
    _get_current_dispatch_mode,
    is_traceable_wrapper_subclass,
    return_and_correct_aliasing,
    transform_subclass,
)
from torch.utils._pytree import tree_map, tree_map_only

aten = torch.ops.aten


class Wrapper(torch.Tensor):
    """Holds a plain tensor, and logs what it is asked for."""

    asked: list = []

    @staticmethod
    def __new__(cls, inner, requires_grad=False):
        self = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            dtype=inner.dtype,
            device=inner.device,
            requires_grad=requires_grad,
        )
        self.inner = inner
        return self

    def __repr__(self):
        return f"Wrapper({self.inner})"

    def __tensor_flatten__(self):
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(inner, context, size, stride):
        return Wrapper(inner["inner"])

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        cls.asked.append(str(func))
        args_, kwargs_ = tree_map_only(Wrapper, lambda w: w.inner, (args, kwargs or {}))
        out = tree_map_only(torch.Tensor, cls, func(*args_, **kwargs_))
        return return_and_correct_aliasing(func, args, kwargs or {}, out)


class Two(torch.Tensor):
    """Two tensors at once."""

    @staticmethod
    def __new__(cls, a, b, requires_grad=False):
        self = torch.Tensor._make_wrapper_subclass(cls, a.size(), dtype=a.dtype, requires_grad=requires_grad)
        self.a, self.b = a, b
        return self

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        def part(name):
            return tree_map_only(Two, lambda t: getattr(t, name), (args, kwargs or {}))

        (args_a, kwargs_a), (args_b, kwargs_b) = part("a"), part("b")
        out_a, out_b = func(*args_a, **kwargs_a), func(*args_b, **kwargs_b)
        if not isinstance(out_a, torch.Tensor):
            return out_a
        return return_and_correct_aliasing(func, args, kwargs or {}, Two(out_a, out_b))


class Scaled(torch.Tensor):
    """Eight-bit integers with a scale, as weight-only quantisation keeps them."""

    @staticmethod
    def __new__(cls, values, scale, requires_grad=False):
        return torch.Tensor._make_wrapper_subclass(cls, values.size(), dtype=scale.dtype, requires_grad=requires_grad)

    def __init__(self, values, scale, requires_grad=False):
        self.values_, self.scale = values, scale

    @classmethod
    def of(cls, t):
        scale = t.detach().abs().amax() / 127
        return cls((t.detach() / scale).round().to(torch.int8), scale)

    def dequantized(self):
        return self.values_.to(self.scale.dtype) * self.scale

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is aten.detach.default:
            return cls(args[0].values_, args[0].scale)
        if func is aten.t.default:
            return cls(args[0].values_.t(), args[0].scale)
        if func in (aten.mm.default, aten.addmm.default):
            args = tree_map_only(Scaled, Scaled.dequantized, args)
            return func(*args)
        raise NotImplementedError(f"{func}")


class Log(TorchDispatchMode):
    def __init__(self, name=""):
        super().__init__()
        self.name, self.seen = name, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append((func, types, args, kwargs))
        return func(*args, **(kwargs or {}))

    @property
    def names(self):
        return [self.name + str(func) for func, *_ in self.seen]


@pytest.fixture(autouse=True)
def empty_log():
    Wrapper.asked = []


def unwrapped(t):
    return t.inner if isinstance(t, Wrapper) else t


def logged(call):
    Wrapper.asked = []
    result = call()
    return Wrapper.asked, result


# ---- what a handler sees


CALLS = {
    "w + 1": ["aten.add.Tensor"],
    "torch.add(w, x, alpha=2)": ["aten.add.Tensor"],
    "w.sum(0, keepdim=True)": ["aten.sum.dim_IntList"],
    "w.sum()": ["aten.sum.default"],
    "w > 2": ["aten.gt.Scalar"],
    "w * w": ["aten.mul.Tensor"],
    "w[0]": ["aten.select.int"],
    "w[:, 1]": ["aten.select.int"],
    "w[w > 2]": ["aten.gt.Scalar", "aten.index.Tensor"],
    "w.to(torch.float64)": ["aten._to_copy.default"],
    "w.clone()": ["aten.clone.default"],
    "w.detach()": ["aten.detach.default"],
    "w.add_(1)": ["aten.add_.Tensor"],
    "torch.zeros_like(w)": ["aten.zeros_like.default"],
    "w.new_zeros(3)": ["aten.new_zeros.default"],
    "torch.cat([w, w])": ["aten.cat.default"],
    "w.split(1)": ["aten.split.Tensor"],
    "w.max(1)": ["aten.max.dim"],
    "torch.softmax(w, 1)": ["aten._softmax.default"],
    "w.unbind()": ["aten.unbind.int"],
    "w @ x.T": ["aten.mm.default"],
    "torch.relu(w)": ["aten.relu.default"],
    "w.T": ["aten.permute.default"],
    "torch.equal(w, w)": ["aten.equal.default"],
    "torch.nn.functional.linear(w, x, x[:, 0])": ["aten.addmm.default"],
    "torch.nn.functional.layer_norm(w, (3,))": ["aten.native_layer_norm.default"],
    "torch.pow(w, 2)": ["aten.pow.Tensor_Scalar"],
    "w.view(3, 2)": ["aten.view.default"],
    "w.transpose(0, 1)": ["aten.transpose.int"],
    "w.mean(dim=1)": ["aten.mean.dim"],
    "w.clamp(min=1)": ["aten.clamp.default"],
    "torch.where(w > 1, w, 0.0)": ["aten.gt.Scalar", "aten.where.ScalarOther"],
}


@pytest.mark.parametrize("text", CALLS)
def test_overloads_that_a_subclass_sees_are_pytorchs(text):
    x = torch.arange(6.0).reshape(2, 3)
    names = {"w": Wrapper(x.clone()), "x": x, "torch": torch}
    if "linear" in text:
        names["x"] = torch.ones(3, 3)
    log, result = logged(lambda: eval(text, names))
    assert log == CALLS[text]
    plain = eval(text, {**names, "w": x.clone()})
    unwrapped = tree_map_only(Wrapper, lambda w: w.inner, result)
    for got, expected in zip(
        torch.utils._pytree.tree_leaves(unwrapped), torch.utils._pytree.tree_leaves(plain), strict=True
    ):
        assert torch.equal(got, expected) if isinstance(got, torch.Tensor) else got == expected


def test_arguments_come_in_the_overloads_order_without_defaults():
    mode = Log()
    x = torch.ones(2, 3)
    with mode:
        torch.add(x, x, alpha=2)
        x.sum(0)
        x.sum(0, True)
        torch.zeros(2)
        x.to(torch.float64)
        torch.nn.functional.softmax(x, dim=1)
    calls = [(str(func), args[1:] if args and args[0] is x else args, kwargs) for func, _, args, kwargs in mode.seen]
    cpu = {"device": torch.device("cpu"), "pin_memory": False}
    assert calls[0][2] == {"alpha": 2} and calls[0][1][0] is x
    assert calls[1] == ("aten.sum.dim_IntList", ([0],), {})
    assert calls[2] == ("aten.sum.dim_IntList", ([0], True), {})
    assert calls[3] == ("aten.zeros.default", ([2],), cpu)
    assert calls[4] == ("aten._to_copy.default", (), {"dtype": torch.float64})
    assert calls[5] == ("aten._softmax.default", (1, False), {})


def test_elements_are_asked_for_by_local_scalar_dense():
    w = Wrapper(torch.tensor(3.0))
    assert logged(w.item) == (["aten._local_scalar_dense.default"], 3.0)
    assert logged(lambda: bool(w > 2)) == (["aten.gt.Scalar", "aten._local_scalar_dense.default"], True)
    assert float(w) == 3.0 and int(w) == 3


def test_out_and_in_place_results_are_the_arguments_themselves():
    w, into = Wrapper(torch.ones(2)), Wrapper(torch.zeros(2))
    assert torch.add(w, 1, out=into) is into and into.inner.tolist() == [2, 2]
    version = w._version
    assert w.mul_(3) is w and w.inner.tolist() == [3, 3]
    assert w._version == version + 1
    w[0] = 7.0
    assert w.inner.tolist() == [7, 3]


# ---- no memory


def test_nothing_reads_the_memory_of_a_wrapper():
    w = Wrapper(torch.ones(3))
    assert w.data_ptr() == 0
    with pytest.raises(RuntimeError, match="numpy.. is not supported for tensor subclasses"):
        w.numpy()
    with pytest.raises(RuntimeError, match="tolist.. is not supported for tensor subclasses, got Wrapper"):
        w.tolist()
    with torch._C._DisableTorchDispatch(), pytest.raises(RuntimeError, match="data is not allocated"):
        w + 1
    with torch._C._DisableTorchDispatch(), pytest.raises(RuntimeError, match="data is not allocated"):
        w.item()


def test_properties_of_a_wrapper():
    w = torch.Tensor._make_wrapper_subclass(
        Wrapper, (2, 3), strides=(1, 2), dtype=torch.float16, device="cuda", requires_grad=True
    )
    assert (w.shape, w.stride(), w.dtype, w.device.type, w.requires_grad) == (
        (2, 3),
        (1, 2),
        torch.float16,
        "cuda",
        True,
    )
    assert type(w) is Wrapper and w.layout is torch.strided and w.is_leaf


def test_wrong_wrappers_are_refused():
    class Plain(torch.Tensor):
        pass

    with pytest.raises(TypeError, match="Plain must define __torch_dispatch__"):
        torch.Tensor._make_wrapper_subclass(Plain, (2,))
    with pytest.raises(TypeError, match=r"argument 'size' \(position 2\) must be tuple of ints, not int"):
        torch.Tensor._make_wrapper_subclass(Wrapper, 2)
    with pytest.raises(RuntimeError, match=r"dimensionality of sizes \(1\) must match dimensionality of strides \(2\)"):
        torch.Tensor._make_wrapper_subclass(Wrapper, (2,), strides=(1, 2))


def test_a_subclass_over_memory_can_fall_back_to_it():
    class Logged(torch.Tensor):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            Wrapper.asked.append(str(func))
            return super().__torch_dispatch__(func, types, args, kwargs or {})

    x = torch.Tensor._make_subclass(Logged, torch.ones(2))
    result = x + 1
    assert Wrapper.asked == ["aten.add.Tensor"] and type(result) is torch.Tensor and result.tolist() == [2, 2]


# ---- autograd above dispatch


def test_gradients_flow_through_a_wrapper():
    x = torch.randn(3, 4, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    ((leaf * 2).exp() @ torch.ones(4, 2, dtype=torch.float64)).tanh().sum().backward()
    w = Wrapper(x.clone(), requires_grad=True)
    loss = ((w * 2).exp() @ torch.ones(4, 2, dtype=torch.float64)).tanh().sum()
    assert type(loss) is Wrapper and loss.grad_fn.name() == "SumBackward0"
    Wrapper.asked = []
    loss.backward()
    assert type(w.grad) is Wrapper
    assert torch.allclose(w.grad.inner, leaf.grad)
    assert {"aten.ones_like.default", "aten.mm.default", "aten.mul.Tensor"} <= set(Wrapper.asked)


def test_handlers_run_below_autograd():
    inner = torch.ones(2, requires_grad=True)
    w = Wrapper(inner, requires_grad=True)
    y = w * 3
    assert y.requires_grad and not y.inner.requires_grad


def test_double_backward_through_a_wrapper():
    w = Wrapper(torch.tensor([0.5, 2.0], dtype=torch.float64), requires_grad=True)
    (grad,) = torch.autograd.grad((w**3).sum(), w, create_graph=True)
    (second,) = torch.autograd.grad(grad.sum(), w)
    assert torch.allclose(second.inner, 6 * w.inner)


def test_gradients_accumulate_and_hooks_see_the_subclass():
    w = Wrapper(torch.ones(2), requires_grad=True)
    kinds = []
    w.register_hook(lambda g: kinds.append(type(g)))
    for _ in range(2):
        (w * 2).sum().backward()
    assert w.grad.inner.tolist() == [4, 4] and kinds == [Wrapper, Wrapper]


def test_views_of_a_wrapper_are_views():
    w = Wrapper(torch.ones(2, 2))
    v = w.view(4)
    assert v._is_view() and v._base is w
    version = w._version
    v.add_(1)
    assert w._version == version + 1 and w.inner.tolist() == [[2, 2], [2, 2]]


def test_saved_results_survive_and_changes_are_noticed():
    w = Wrapper(torch.ones(2), requires_grad=True)
    y = w.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_in_place_operations_are_recorded():
    w = Wrapper(torch.tensor([1.0, 2.0]), requires_grad=True)
    y = w * 1
    y.mul_(3).sigmoid_()
    y.sum().backward()
    s = torch.sigmoid(3 * w.inner)
    assert torch.allclose(w.grad.inner, 3 * s * (1 - s))


def test_two_tensors_at_once():
    a, b = torch.randn(3, 3), torch.randn(3, 3)
    t = Two(a, b, requires_grad=True)
    loss = torch.nn.functional.gelu(t @ t.T).mean()
    loss.backward()
    for inner, grad in ((a, t.grad.a), (b, t.grad.b)):
        leaf = inner.clone().requires_grad_()
        torch.nn.functional.gelu(leaf @ leaf.T).mean().backward()
        assert torch.allclose(grad, leaf.grad, atol=1e-6)


def test_a_quantised_weight_in_a_module():
    torch.manual_seed(0)
    linear, x = torch.nn.Linear(8, 4), torch.randn(2, 8, requires_grad=True)
    expected = linear(x)
    linear.weight = torch.nn.Parameter(Scaled.of(linear.weight), requires_grad=False)
    assert isinstance(linear.weight, torch.nn.Parameter) and type(linear.weight) is Scaled
    result = linear(x)
    assert type(result) is torch.Tensor and (result - expected).abs().max() < 0.05
    result.sum().backward()
    assert torch.allclose(x.grad, linear.weight.dequantized().sum(0).expand(2, 8))


def test_parameters_of_a_subclass_train():
    model = torch.nn.Linear(2, 1)
    model.weight = torch.nn.Parameter(Wrapper(torch.ones(1, 2)))
    model.bias = None
    assert [type(p) for p in model.parameters()] == [Wrapper] and type(model.state_dict()["weight"]) is Wrapper
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert model.weight.inner.tolist() == [[0.5, 0.5]]


def test_detach_must_keep_the_class_of_a_parameter():
    class Careless(Wrapper):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return torch.ones(2)

    w = Careless(torch.ones(2))
    with pytest.raises(RuntimeError, match="requires that detach.. returns an instance of the same type"):
        torch.nn.Parameter(w)
    with pytest.raises(RuntimeError, match="wrapper subclasses only works for subclass types that implement clone"):
        copy.deepcopy(w)


def test_wrappers_copy_and_pickle():
    w = Wrapper(torch.ones(2), requires_grad=True)
    for other in (copy.deepcopy(w), pickle.loads(pickle.dumps(w))):
        assert type(other) is Wrapper and other.requires_grad and other is not w
        assert torch.equal(other.inner, w.inner) and other.inner is not w.inner


def test_the_graph_keeps_a_wrapper_and_its_attributes():
    w = Wrapper(torch.full((2,), 3.0), requires_grad=True)
    y = (w * 2) ** 2
    gc.collect()
    y.sum().backward()
    assert w.grad.inner.tolist() == [24, 24]


def test_wrappers_are_freed():
    import weakref

    w = Wrapper(torch.ones(2), requires_grad=True)
    y = (w.exp() * 2).sum()
    alive = weakref.ref(w.inner)
    del w, y
    gc.collect()
    assert alive() is None


# ---- refusing


def test_all_handlers_refuse():
    class Refusing(Wrapper):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return NotImplemented

    with pytest.raises(TypeError) as caught:
        torch.mm(Refusing(torch.ones(1, 1)), Refusing(torch.ones(1, 1)))
    assert str(caught.value).startswith(
        "Multiple dispatch failed for 'torch._ops.aten.mm.default'; all __torch_dispatch__ handlers returned "
        f"NotImplemented:\n\n  - tensor subclass {Refusing}\n"
    )


def test_results_that_are_no_tensors_are_refused():
    class Three(Wrapper):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return 3

    with pytest.raises(RuntimeError, match="Unable to cast 3 to Tensor"):
        torch.exp(Three(torch.ones(2)))


def test_subclasses_are_asked_before_their_bases():
    order = []

    class Base(Wrapper):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            order.append((cls.__name__, [t.__name__ for t in types]))
            return NotImplemented

    class Derived(Base):
        pass

    class Other(Base):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            order.append(("Other", [t.__name__ for t in types]))
            return torch.ones(1)

    torch.cat([Base(torch.ones(1)), Derived(torch.ones(1)), Other(torch.ones(1))])
    assert order == [(name, ["Derived", "Other", "Base"]) for name in ("Derived", "Other")]


# ---- modes


def test_modes_nest_and_see_factories_and_backward():
    outer, inner = Log("outer "), Log("inner ")
    x = torch.ones(2, requires_grad=True)
    with outer, inner:
        assert _get_current_dispatch_mode() is inner
        (x * torch.ones(2)).sum().backward()
    names = [name.removeprefix("inner ") for name in inner.names]
    assert names[:3] == ["aten.ones.default", "aten.mul.Tensor", "aten.sum.default"]
    assert "aten.ones_like.default" in names and "aten.mul.Tensor" in names[3:]
    assert [name.removeprefix("outer ") for name in outer.names] == names
    assert _get_current_dispatch_mode() is None


def test_a_mode_sees_subclasses_first():
    w, mode = Wrapper(torch.ones(2)), Log()
    with mode:
        w + 1
    assert mode.names == ["aten.add.Tensor"] and mode.seen[0][1] == (Wrapper,) and mode.seen[0][2] == (w, 1)
    assert Wrapper.asked == ["aten.add.Tensor"]


def test_a_mode_that_refuses_leaves_the_call_to_subclasses():
    class No(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return NotImplemented

    class Answers(Wrapper):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return x

    x = torch.ones(2)
    w = Answers(x)
    with No() as mode:
        assert torch.exp(w) is x
        with pytest.raises(TypeError, match="mode object <"):
            torch.exp(x)
        with pytest.raises(NotImplementedError), TorchDispatchMode():
            torch.exp(x)
        with _disable_current_modes() as off:
            assert off == [mode] and torch.exp(x).shape == (2,)


def test_an_exception_leaves_the_stack_as_it_was():
    class Fails(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            raise KeyError("no")

    x = torch.ones(1)
    with Log() as log, pytest.raises(KeyError), Fails():
        x + 1
    with log:
        x + 1
    assert log.names == ["aten.add.Tensor"]


def test_modes_can_change_what_operations_do():
    class Halved(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            return out / 2 if func is aten.mul.Tensor else out

    x = torch.tensor([4.0], requires_grad=True)
    with Halved():
        y = x * 3
    assert y.item() == 6
    y.backward()
    assert x.grad.item() == 3


def test_printing_is_not_seen_by_modes():
    x = torch.ones(2)
    with Log() as log:
        assert repr(x) == "tensor([1., 1.])"
    assert log.names == []


def test_new_data_and_modules_in_a_mode():
    with Log() as log:
        torch.tensor([1.0, 2.0])
        torch.nn.functional.linear(torch.ones(2, 3), torch.ones(4, 3), torch.ones(4))
    assert log.names == ["aten.lift_fresh.default", *["aten.ones.default"] * 3, "aten.t.default", "aten.addmm.default"]


def test_generators_reach_the_handler():
    generator = torch.Generator().manual_seed(1)
    with Log() as log:
        a = torch.rand(3, generator=generator)
    assert log.seen[0][3]["generator"] is generator
    assert torch.equal(a, torch.rand(3, generator=torch.Generator().manual_seed(1)))


def test_plain_calls_are_not_dispatched_after_a_mode():
    x = torch.ones(2)
    with Log() as log:
        pass
    (x + 1).exp()
    assert log.names == []


# ---- torch function and dispatch together


def test_a_class_that_dispatches_leaves_the_default_torch_function_out():
    w = Wrapper(torch.ones(2))
    assert not torch.overrides.has_torch_function((w,))
    assert torch.overrides.is_tensor_like(w)


def test_torch_function_comes_before_dispatch():
    order = []

    class Both(Wrapper):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            order.append(("function", func.__name__))
            return super().__torch_function__(func, types, args, kwargs or {})

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            order.append(("dispatch", str(func)))
            return super().__torch_dispatch__(func, types, args, kwargs)

    result = torch.exp(Both(torch.zeros(2)))
    assert order == [("function", "exp"), ("dispatch", "aten.exp.default")] and type(result) is Both


# ---- helpers


def test_transform_and_traceable():
    w = Wrapper(torch.ones(2))
    assert is_traceable_wrapper_subclass(w) and not is_traceable_wrapper_subclass(torch.ones(1))
    assert transform_subclass(w, lambda name, t: t + 1).inner.tolist() == [2, 2]
    assert tree_map(lambda t: t, [w])[0] is w


def test_alias_information():
    info = torch.utils._python_dispatch.get_alias_info(aten.view.default)
    assert [a.alias_set for a in info.args] == [{"a"}, set()] and info.outs[0].alias_set == {"a"}
    assert info.read_only_alias_match_indexes == [(0, 0)] and info.outs_write_aliases is None


# ---- every kind of operation


def _everything():
    import test_meta

    return test_meta.calls(test_meta.CALLS), test_meta.inputs


EVERY_CALL, _INPUTS = _everything()


def _run(text, wrapped):
    """Evaluate a call of test_meta's table, plainly or over wrappers; its results and gradients."""
    torch.manual_seed(0)
    names = {"torch": torch, "F": torch.nn.functional}
    leaves = []
    for name, value in _INPUTS("cpu").items():
        if isinstance(value, torch.Tensor):
            wanted = value.is_floating_point()
            value = Wrapper(value, requires_grad=wanted) if wrapped else value.requires_grad_(wanted)
            leaves.append(value)
        names[name] = value
    result = eval(text, names)
    outputs = [t for t in torch.utils._pytree.tree_leaves(result) if isinstance(t, torch.Tensor) and t.requires_grad]
    if any(t.grad_fn is not None and t.grad_fn.name() == "FloorDivideBackward0" for t in outputs):
        with pytest.raises(RuntimeError, match="^derivative for aten::floor_divide is not implemented"):
            sum(t.sum() for t in outputs).backward()
    elif outputs:
        sum((t.abs() * 1.5).sum() for t in outputs).backward()
    return tree_map_only(Wrapper, lambda w: w.inner.detach(), [result, [leaf.grad for leaf in leaves]])


@pytest.mark.filterwarnings("ignore")
def test_wrappers_give_values_and_gradients_of_plain_tensors():
    for text in EVERY_CALL:
        if "empty_like" in text:  # no values
            continue
        plain, wrapped = (torch.utils._pytree.tree_leaves(_run(text, kind)) for kind in (False, True))
        assert len(plain) == len(wrapped), text
        for expected, got in zip(plain, wrapped, strict=True):
            if isinstance(expected, torch.Tensor):
                torch.testing.assert_close(
                    got, expected.detach(), equal_nan=True, msg=lambda m, text=text: f"{text}: {m}"
                )
            else:
                assert got == expected, text


def test_writes_to_views_of_a_wrapper_reach_the_gradient():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    grads = []
    for leaf in (x.clone().requires_grad_(), Wrapper(x.clone(), requires_grad=True)):
        y = leaf * 1
        y[0].mul_(3)
        y[:, 1].exp_()
        (y**2).sum().backward()
        grads.append(unwrapped(leaf.grad))
    assert torch.allclose(*grads)


def test_sizes_change_in_place():
    w = Wrapper(torch.ones(2, 3))
    assert w.t_() is w and w.shape == (3, 2) and w.inner.shape == (3, 2)
    assert w.unsqueeze_(0).shape == (1, 3, 2)


def test_modules_convert_their_wrapped_parameters():
    model = torch.nn.Linear(2, 2)
    model.weight = torch.nn.Parameter(Wrapper(torch.ones(2, 2)))
    model.half()
    weight = model.weight
    assert type(weight) is Wrapper and weight.inner.dtype == weight.dtype == torch.float16 and weight.requires_grad
    with pytest.raises(RuntimeError, match="subclass without memory cannot be replaced"):
        weight.data = torch.ones(1)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop])
def test_optimizers_step_wrapped_parameters(kind):
    options = {"lr": 0.1, "weight_decay": 0.1} | ({"momentum": 0.9} if kind is torch.optim.SGD else {})
    found = []
    for weight in (torch.ones(1, 2), Wrapper(torch.ones(1, 2))):
        parameter = torch.nn.Parameter(weight)
        optimizer = kind([parameter], **options)
        for _ in range(3):
            optimizer.zero_grad()
            (torch.nn.functional.linear(torch.tensor([[1.0, 2.0]]), parameter) ** 2).sum().backward()
            optimizer.step()
        found.append(unwrapped(parameter).detach())
    assert torch.allclose(*found)
