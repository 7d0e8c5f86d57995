"""``torch.library``: operations written in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import List, Optional, Tuple, Union  # noqa: UP035  programs still write these

import numpy as np
import pytest

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

library = torch.library


def sine(name, **options):
    """A custom operation whose implementation autograd cannot see through."""

    @library.custom_op(f"tests::{name}", mutates_args=(), **options)
    def op(x: Tensor) -> Tensor:
        return torch.from_numpy(np.sin(x.detach().numpy()))

    return op


def with_gradient(op):
    def setup(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    op.register_autograd(lambda ctx, g: g * ctx.saved_tensors[0].cos(), setup_context=setup)
    return op


# ---- schemas


def full(x: Tensor, y: int, z: float = 1.5, *, s: Optional[Tensor] = None) -> Tensor: ...  # noqa: UP045
def lists(
    x: Tensor, ys: Sequence[int], b: bool = True, t: str = "hi", d: torch.dtype = torch.float32
) -> Tuple[Tensor, Tensor]: ...  # noqa: E501, UP006
def tensors(x: List[Tensor], n: Union[int, float, bool], o: Optional[int] = None) -> List[Tensor]: ...  # noqa: UP006, UP007, UP045
def nothing(x: Tensor) -> None: ...
def modern(x: Tensor, y: int | None = None, z: list[list[int]] | None = None) -> tuple[Tensor, int]: ...
def without(x) -> Tensor: ...
def of_dict(x: dict) -> Tensor: ...
def of_tuple(x: Tensor, y: Tuple[int, int]) -> Tensor: ...  # noqa: UP006
def no_result(x: Tensor): ...
def many(*x: Tensor) -> Tensor: ...


@pytest.mark.parametrize(
    ("function", "mutates", "schema"),
    [
        (full, (), "(Tensor x, SymInt y, float z=1.5, *, Tensor? s=None) -> Tensor"),
        (lists, (), '(Tensor x, SymInt[] ys, bool b=True, str t="hi", ScalarType d=float32) -> (Tensor, Tensor)'),
        (tensors, (), "(Tensor[] x, Scalar n, SymInt? o=None) -> Tensor[]"),
        (tensors, {"x"}, "(Tensor(a0!)[] x, Scalar n, SymInt? o=None) -> Tensor[]"),
        (nothing, {"x"}, "(Tensor(a0!) x) -> ()"),
        (nothing, "unknown", "(Tensor(a0!) x) -> ()"),
    ],
)
def test_schemas_follow_from_annotations(function, mutates, schema):
    assert library.infer_schema(function, mutates_args=mutates) == schema


@pytest.mark.parametrize(
    ("function", "mutates", "text"),
    [
        (without, (), "Parameter x must have a type annotation."),
        (of_dict, (), "Parameter x has unsupported type <class 'dict'>"),
        (of_tuple, (), "We do not support Tuple inputs in schema."),
        (no_result, (), "No return type annotation was provided. Please add one."),
        (many, (), "We do not support positional-only args, varargs, or varkwargs."),
        (nothing, {"z"}, "{'z'} in mutates_args were not found in the custom op's signature."),
        (nothing, "all", "mutates_args must either be a sequence of the names"),
        (full, {"y"}, "Parameter y is in mutable_args but only Tensors or collections of Tensors can be mutated"),
        (modern, (), "Parameter z has unsupported type"),
    ],
)
def test_annotations_that_give_no_schema(function, mutates, text):
    with pytest.raises(ValueError) as caught:
        library.infer_schema(function, mutates_args=mutates)
    assert text in str(caught.value)


# ---- custom_op


def test_a_custom_operation_is_an_overload():
    op = sine("plain")
    x = torch.randn(3)
    assert torch.equal(op(x), x.sin()) and torch.equal(torch.ops.tests.plain(x), x.sin())
    overload = torch.ops.tests.plain.default
    assert str(overload) == "tests.plain.default" and str(overload._schema) == "tests::plain(Tensor x) -> Tensor"
    assert repr(op) == "<CustomOpDef(tests::plain)>" and overload.name() == "tests::plain"


def test_wrong_calls_name_the_schema():
    op = sine("wrong")
    for call, text in (
        (lambda: op(torch.ones(1), 3), "tests::wrong() expected at most 1 argument(s) but received 2 argument(s)."),
        (lambda: op(), "tests::wrong() is missing value for argument 'x'."),
        (
            lambda: op(3),
            "tests::wrong() Expected a value of type 'Tensor' for argument 'x' but instead found type 'int'.",
        ),
    ):
        with pytest.raises(RuntimeError) as caught:
            call()
        assert str(caught.value).startswith(text) and "Declaration: tests::wrong(Tensor x) -> Tensor" in str(
            caught.value
        )


def test_gradients():
    op = with_gradient(sine("grad"))
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert op(x).grad_fn.name() == "GeneratedBackwardFor_tests_grad_defaultBackward"
    assert torch.autograd.gradcheck(op, (x,))


def test_without_a_derivative_backward_says_so():
    y = sine("bare")(torch.ones(2, requires_grad=True))
    with pytest.raises(
        RuntimeError, match="backward through tests.bare.default but no autograd formula was registered"
    ):
        y.sum().backward()


def test_derivatives_of_lists_and_keywords():
    @library.custom_op("tests::weighted", mutates_args=())
    def weighted(xs: List[Tensor], n: int, *, by: float = 2.0) -> Tuple[Tensor, Tensor]:  # noqa: UP006
        return sum(xs) * by, xs[0] * n

    def setup(ctx, inputs, keyword_only_inputs, output):
        ctx.count, ctx.n, ctx.by = len(inputs[0]), inputs[1], keyword_only_inputs["by"]

    def backward(ctx, g, h):
        grads = [g * ctx.by for _ in range(ctx.count)]
        grads[0] = grads[0] + h * ctx.n
        return grads, None

    weighted.register_autograd(backward, setup_context=setup)
    xs = [torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(lambda *t: weighted(list(t), 3, by=0.5), xs)


def test_results_must_be_new():
    @library.custom_op("tests::same", mutates_args=())
    def same(x: Tensor) -> Tensor:
        return x.view(-1)

    with pytest.raises(RuntimeError, match="may not alias any inputs to this custom operator"):
        same(torch.ones(2))


def test_operations_that_write():
    @library.custom_op("tests::bump", mutates_args={"x"})
    def bump(x: Tensor) -> None:
        x.add_(1)

    x = torch.zeros(2)
    version = x._version
    assert bump(x) is None and x.tolist() == [1, 1] and x._version > version
    with pytest.raises(RuntimeError, match="Cannot register autograd formula for non-functional operator"):
        bump.register_autograd(lambda ctx, g: g)
    leaf = torch.ones(2, requires_grad=True)
    y = leaf.exp()
    bump(y)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_kernels_by_device_and_fakes():
    op = sine("devices", device_types="cpu")
    meta = torch.empty(2, device="meta")
    with pytest.raises(RuntimeError, match="There was no fake impl registered for <CustomOpDef.tests::devices.>"):
        op(meta)

    @op.register_fake
    def _(x):
        return torch.empty_like(x)

    assert op(meta).is_meta

    @op.register_kernel("cpu")
    def _(x):
        return x + 10

    assert op(torch.zeros(1)).item() == 10
    only_cuda = library.custom_op(
        "tests::cuda", lambda x: x, mutates_args=(), device_types="cuda", schema="(Tensor x) -> Tensor"
    )
    with pytest.raises(NotImplementedError, match="Could not run 'tests::cuda' with arguments from the 'CPU' backend"):
        only_cuda(torch.ones(1))


def test_tensors_by_keyword_alone_are_refused():
    def f(x: Tensor, *, y: Tensor) -> Tensor: ...

    with pytest.raises(NotImplementedError, match="custom_op with kwarg-only Tensor args"):
        library.custom_op("tests::kw", f, mutates_args=())


def test_data_dependent_sizes_say_what_is_missing():
    op = sine("dynamic")
    op.register_fake(lambda x: x.new_empty(library.get_ctx().new_dynamic_size()))
    assert library.get_ctx() is None
    with pytest.raises(RuntimeError, match="symbolic sizes"):
        op(torch.empty(2, device="meta"))


# ---- modes and subclasses


class Log(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append((func, args, kwargs))
        return func(*args, **(kwargs or {}))


def test_modes_see_custom_operations_below_autograd():
    op = with_gradient(sine("moded"))
    x = torch.ones(2, requires_grad=True)
    with Log() as log:
        y = op(x)
    assert log.seen == [(torch.ops.tests.moded.default, (x,), {})] and y.requires_grad


def test_defaults_are_left_out_for_handlers():
    library.define("tests::defaults", "(Tensor x, int n=3, *, float a=0.5) -> Tensor")
    library.impl("tests::defaults", "cpu", lambda x, n, a: x * n + a)
    x = torch.ones(1)
    with Log() as log:
        assert torch.ops.tests.defaults(x).item() == 3.5
        assert torch.ops.tests.defaults(x, 4, a=1).item() == 5
    assert [(args[1:], kwargs) for func, args, kwargs in log.seen if func.namespace == "tests"] == [
        ((), {}),
        ((4,), {"a": 1}),
    ]


def test_subclasses_see_custom_operations():
    op = sine("subclassed")
    seen = []

    class Holder(torch.Tensor):
        @staticmethod
        def __new__(cls, inner):
            self = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
            self.inner = inner
            return self

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            seen.append((func, types))
            return cls(func(args[0].inner))

    result = op(Holder(torch.ones(2)))
    assert seen == [(torch.ops.tests.subclassed.default, (Holder,))] and torch.equal(result.inner, torch.ones(2).sin())


def test_torch_function_sees_the_overload():
    op, seen = sine("functioned"), []

    class Sub(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            seen.append(func)
            return 5

    assert op(torch.ones(1).as_subclass(Sub)) == 5 and seen == [torch.ops.tests.functioned.default]


def test_rules_for_one_mode():
    op = sine("ruled")

    class Mine(TorchDispatchMode):
        pass

    @op.register_torch_dispatch(Mine)
    def _(mode, func, types, args, kwargs):
        return func(*args) + 100

    x = torch.zeros(1)
    with Mine():
        y = op(x)
    assert y.item() == 100 and op(x).item() == 0


# ---- Library


@pytest.fixture
def lib():
    made = library.Library("testlib", "DEF")
    yield made
    made._destroy()


def test_define_and_impl(lib):
    assert lib.define("foo(Tensor x) -> Tensor") == "foo"
    assert repr(lib) == "Library(kind=DEF, ns=testlib, dispatch_key=)>"
    with pytest.raises(NotImplementedError, match="Could not run 'testlib::foo' with arguments from the 'CPU' backend"):
        torch.ops.testlib.foo(torch.ones(1))
    lib.impl("foo", lambda x: x + 1, "CPU")
    assert torch.ops.testlib.foo(torch.ones(1)).item() == 2
    with pytest.raises(NotImplementedError, match="no fake impl or Meta kernel registered"):
        torch.ops.testlib.foo(torch.ones(1, device="meta"))
    library.register_fake("testlib::foo", torch.empty_like)
    assert torch.ops.testlib.foo(torch.ones(1, device="meta")).is_meta
    with pytest.raises(RuntimeError, match="with the same name and overload name multiple times"):
        lib.define("foo(Tensor x) -> Tensor")
    with pytest.raises(RuntimeError, match="Only a single TORCH_LIBRARY can be used to register the namespace testlib"):
        library.Library("testlib", "DEF")
    lib._destroy()
    with pytest.raises(AttributeError, match="'_OpNamespace' 'testlib' object has no attribute 'foo'"):
        torch.ops.testlib.foo


def test_fragments_and_overloads(lib):
    fragment = library.Library("testlib", "FRAGMENT")
    fragment.impl("bar", lambda x: x * 2, "CPU")  # before it is defined
    assert fragment.define("bar.more(Tensor x, int y) -> Tensor") == "bar.more"
    fragment.define("bar(Tensor x) -> Tensor")
    fragment.impl("bar.more", lambda x, y: x + y, "CPU")
    assert torch.ops.testlib.bar.overloads() == ["more", "default"]
    assert torch.ops.testlib.bar(torch.ones(1), 3).item() == 4 and torch.ops.testlib.bar(torch.ones(1)).item() == 2
    with pytest.raises(RuntimeError, match="failed to match any schema"):
        torch.ops.testlib.bar("x")
    fragment._destroy()


def test_composites_are_differentiated_by_their_parts(lib):
    lib.define("five(Tensor x) -> Tensor")
    lib.impl("five", lambda x: x * 5, "CompositeImplicitAutograd")
    x = torch.ones(1, requires_grad=True)
    assert torch.ops.testlib.five(x).grad_fn.name() == "MulBackward0"


def test_decorators_with_a_library(lib):
    @library.define(lib, "six(Tensor x) -> Tensor")
    def six(x):
        return x * 6

    lib.define("seven(Tensor x) -> Tensor")

    @library.impl(lib, "seven", "CPU")
    def seven(x):
        return x * 7

    assert torch.ops.testlib.six(torch.ones(1)).item() == 6 and torch.ops.testlib.seven(torch.ones(1)).item() == 7


def test_wrong_registrations():
    with pytest.raises(ValueError, match="Unsupported kind: XX"):
        library.Library("testlib3", "XX")
    with pytest.raises(ValueError, match='of the form "namespace::name", but got noname'):
        library.define("noname", "(Tensor x) -> Tensor")
    with pytest.raises(RuntimeError, match="unknown type specifier"):
        library.define("testlib3::z", "(Tensr x) -> Tensor")
    with pytest.raises(RuntimeError, match="operator testlib3::nope does not exist"):
        library.register_fake("testlib3::nope", lambda x: x)
    with pytest.raises(NotImplementedError, match="own operations cannot be replaced"):
        library.Library("aten", "IMPL").impl("add.Tensor", lambda *a: None, "CPU")
    with pytest.raises(NotImplementedError, match="Triton"):
        library.triton_op("testlib3::t", lambda x: x, mutates_args=())


# ---- opcheck


def test_opcheck():
    op = with_gradient(sine("checked"))
    op.register_fake(lambda x: torch.empty_like(x))
    assert set(library.opcheck(op, (torch.ones(2, requires_grad=True),)).values()) == {"SUCCESS"}
    op.register_fake(lambda x: x.new_empty(7))
    with pytest.raises(Exception, match=r"opcheck\(op, ...\): test_faketensor failed with"):
        library.opcheck(op, (torch.ones(2),))
    results = library.opcheck(
        op, (torch.ones(2),), raise_exception=False, test_utils=("test_schema", "test_faketensor")
    )
    assert results["test_schema"] == "SUCCESS" and isinstance(results["test_faketensor"], AssertionError)
    with pytest.raises(ValueError, match="op must be instance of torch._ops.OpOverload"):
        library.opcheck(3, ())


def test_opcheck_notices_hidden_writes():
    @library.custom_op("tests::hidden", mutates_args=())
    def hidden(x: Tensor) -> Tensor:
        x.add_(1)
        return x.clone()

    with pytest.raises(Exception, match="Argument x is not defined as mutable but was mutated"):
        library.opcheck(hidden, (torch.ones(2),), test_utils="test_schema")


# ---- vmap


def test_under_vmap_examples_run_one_after_the_other_or_by_a_rule():
    op = with_gradient(sine("mapped"))
    x = torch.randn(3, 4, dtype=torch.float64)
    assert torch.allclose(torch.vmap(op)(x), x.sin())
    assert torch.allclose(torch.vmap(torch.vmap(op, in_dims=1, out_dims=1))(x[None]), x[None].sin())
    seen = []

    @op.register_vmap
    def _(info, in_dims, x):
        seen.append((info.batch_size, in_dims))
        return op(x), in_dims[0]

    assert torch.allclose(torch.vmap(op, in_dims=1)(x), x.sin().T) and seen == [(4, (1,))]
    leaf = x.clone().requires_grad_()
    torch.vmap(op)(leaf).sum().backward()
    assert torch.allclose(leaf.grad, x.cos())


def test_a_rule_for_several_results_and_lists():
    @library.custom_op("tests::pair", mutates_args=())
    def pair(xs: List[Tensor], by: float) -> Tuple[Tensor, Tensor]:  # noqa: UP006
        return xs[0] * by, xs[1].sum()

    @pair.register_vmap
    def _(info, in_dims, xs, by):
        assert in_dims == ([0, 1], None)
        return (xs[0] * by, xs[1].sum(0)), (0, 0)

    a, b = torch.randn(3), torch.randn(4, 3)
    first, second = torch.vmap(lambda x, y: pair([x, y], 2.0), in_dims=(0, 1))(a, b)
    assert torch.equal(first, a * 2) and torch.allclose(second, b.sum(0))


def test_dispatch_keys_have_known_names():
    library = torch.library.Library("keys_of_tests", "DEF")
    library.define("f(Tensor x) -> Tensor")
    for key in ("CPU", "AutogradCPU", "Meta", "CompositeExplicitAutograd", "SparseCPU", "PrivateUse1"):
        library.impl("f", lambda x: x + 1, key)
    with pytest.raises(RuntimeError, match="could not parse dispatch key: Nonsense"):
        library.impl("f", lambda x: x, "Nonsense")
    library._destroy()


def test_a_library_for_a_block():
    with torch.library._scoped_library("scoped_tests", "FRAGMENT") as library:
        library.define("nine(Tensor x) -> Tensor")
        library.impl("nine", lambda x: x * 9, "CPU")
        assert torch.ops.scoped_tests.nine(torch.ones(1)).item() == 9
    with pytest.raises(AttributeError):
        torch.ops.scoped_tests.nine(torch.ones(1))


def test_an_operation_with_an_effect_stays_in_graphs():
    @torch.library.custom_op("effect_tests::tell", mutates_args=())
    def tell(x: torch.Tensor, k: float = 2.0) -> torch.Tensor:
        return x * k

    assert str(torch.ops.effect_tests.tell.default._schema) == "effect_tests::tell(Tensor x, float k=2.) -> Tensor"

    def calls_left():
        graph = torch.fx.Graph()
        x = graph.placeholder("x")
        graph.call_function(torch.ops.effect_tests.tell.default, (x,))
        graph.output(x)
        graph.eliminate_dead_code()
        return sum(n.op == "call_function" for n in graph.nodes)

    assert calls_left() == 0
    tell.register_effect(torch.library.EffectType.ORDERED)
    assert calls_left() == 1
    tell.register_effect(None)
    assert calls_left() == 0
