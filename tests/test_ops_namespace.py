"""``torch.ops``: packets, overloads, their schemas, and what else is built on modes (fake tensors, counted "
"operations)."""

import copy
import pickle

import pytest

import torch
import torch.nn.functional as F
from torch._subclasses import FakeTensor, FakeTensorMode
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorDeviceMismatchError,
    is_fake,
)
from torch.utils.flop_counter import FlopCounterMode

aten = torch.ops.aten


# ---- names and schemas


def test_an_overload_names_itself_as_pytorchs():
    f = aten.add.Tensor
    assert (str(f), repr(f)) == ("aten.add.Tensor", "<OpOverload(op='aten.add', overload='Tensor')>")
    assert (f.name(), f.namespace, f.__name__, f._overloadname) == ("aten::add.Tensor", "aten", "add.Tensor", "Tensor")
    assert f.overloadpacket is aten.add and f is aten.add.Tensor and aten.mm.default.name() == "aten::mm"
    assert repr(aten.add) == "<OpOverloadPacket(op='aten.add')>" and {"Tensor", "Scalar", "out"} <= set(
        aten.add.overloads()
    )
    assert isinstance(f, torch._ops.OpOverload) and isinstance(aten.add, torch._ops.OpOverloadPacket)


def test_schemas():
    schema = aten.add.Tensor._schema
    assert str(schema) == "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor"
    assert (schema.name, schema.overload_name, schema.is_mutable) == ("aten::add", "Tensor", False)
    names = [(a.name, str(a.type), a.kwarg_only, a.default_value, a.has_default_value()) for a in schema.arguments]
    assert names == [
        ("self", "Tensor", False, None, False),
        ("other", "Tensor", False, None, False),
        ("alpha", "number", True, 1, True),
    ]
    written = aten.add_.Tensor._schema
    assert (
        written.is_mutable
        and written.arguments[0].alias_info.is_write
        and written.arguments[0].alias_info.before_set == {"a"}
    )
    assert str(aten.sum.dim_IntList._schema.arguments[1].type) == "Optional[List[int]]"
    assert str(aten.max.dim._schema).endswith("-> (Tensor values, Tensor indices)")
    out = aten.add.out._schema
    assert out.arguments[-1].is_out and str(out).endswith("*, Scalar alpha=1, Tensor(a!) out) -> Tensor(a!)")


def test_tags_and_views():
    assert {torch.Tag.core, torch.Tag.pointwise} <= set(aten.add.Tensor.tags)
    assert torch.Tag.dynamic_output_shape in aten.nonzero.default.tags
    assert torch.Tag.inplace_view in aten.t_.default.tags
    assert aten.view.default.is_view and not aten.add.Tensor.is_view
    assert str(torch.Tag.core) == "Tag.core" and repr(torch.Tag.pointwise) == "<Tag.pointwise: 16>"


def test_names_that_are_not_there():
    with pytest.raises(AttributeError, match="'_OpNamespace' 'aten' object has no attribute 'nope'"):
        aten.nope  # noqa: B018
    with pytest.raises(AttributeError, match="The underlying op of 'aten.add' has no overload name 'nope'"):
        aten.add.nope  # noqa: B018


def test_overloads_copy_and_pickle_as_themselves():
    f = aten.mul.Tensor
    assert copy.deepcopy(f) is f and pickle.loads(pickle.dumps(f)) is f and {f: 1}[aten.mul.Tensor] == 1
    assert copy.deepcopy(aten.mul) is aten.mul


# ---- calls

CALLS = {
    "aten.add.Tensor(x, x, alpha=2)": "x + 2 * x",
    "aten.add.Tensor(self=x, other=x)": "x + x",
    "aten.add.Scalar(x, 1)": "x + 1",
    "aten.mm.default(x, x.t())": "x @ x.t()",
    "aten.sum.dim_IntList(x, [0], True)": "x.sum(0, keepdim=True)",
    "aten.view.default(x, [3, 2])": "x.view(3, 2)",
    "aten.slice.Tensor(x, 1, 0, 2)": "x[:, :2]",
    "aten.select.int(x, 0, 1)": "x[1]",
    "aten.index.Tensor(x, [torch.tensor([1]), None])": "x[torch.tensor([1])]",
    "aten._softmax.default(x, 1, False)": "x.softmax(1)",
    "aten.native_layer_norm.default(x, [3], None, None, 1e-5)[0]": "torch.nn.functional.layer_norm(x, (3,))",
    "aten._to_copy.default(x, dtype=torch.float64)": "x.double()",
    "aten._unsafe_view.default(x, [6])": "x.view(6)",
    "aten.clone.default(x, memory_format=torch.contiguous_format)": "x.clone()",
    "aten.zeros.default([2, 3], dtype=torch.long, device='cpu', pin_memory=False)": "torch.zeros(2, 3).long()",
    "aten.empty_like.default(x).fill_(3)": "torch.full_like(x, 3)",
    "aten.relu.default(x)": "x.relu()",
    "aten.gelu.default(x, approximate='tanh')": "torch.nn.functional.gelu(x, approximate='tanh')",
    "aten.expand.default(x[:1], [4, 3])": "x[:1].expand(4, 3)",
    "aten.cat.default([x, x], 1)": "torch.cat([x, x], 1)",
    "aten.where.self(x > 1, x, x)": "x",
    "aten.nll_loss_forward.default(x, torch.tensor([0, 2]), None, 1, -100)[0]": "F.nll_loss(x, torch.tensor([0, 2]))",
    "aten.upsample_bilinear2d.vec(x[None, None], [4, 6], False, None)": "bilinear(x)",
    "aten.sym_size.int(x, 1)": "3",
    "aten._local_scalar_dense.default(x[0, 1])": "1.0",
    "aten.linalg_vector_norm.default(x)": "torch.linalg.vector_norm(x)",
    "aten.special_entr.default(x)": "torch.special.entr(x)",
    "aten.copy.default(x, x + 1)": "x + 1",
    "torch.ops.prim.device.default(x)": "torch.device('cpu')",
}


@pytest.mark.parametrize("text", CALLS)
def test_calls_give_what_the_public_function_gives(text):
    def bilinear(x):
        return F.interpolate(x[None, None], (4, 6), mode="bilinear")

    names = {"aten": aten, "torch": torch, "F": F, "bilinear": bilinear, "x": torch.arange(6.0).reshape(2, 3)}
    got, expected = eval(text, names), eval(CALLS[text], names)
    if isinstance(expected, torch.Tensor):
        assert torch.equal(got, expected) and got.dtype == expected.dtype
    else:
        assert got == expected


def test_calls_that_write():
    x = torch.ones(2)
    assert aten.add_.Tensor(x, 1) is x and x.tolist() == [2, 2]
    into = torch.empty(0)
    assert aten.mul.out(x, x, out=into) is into and into.tolist() == [4, 4]
    assert aten.copy_.default(x, torch.zeros(2)) is x and x.tolist() == [0, 0]


def test_wrong_calls_name_the_schema():
    with pytest.raises(RuntimeError) as caught:
        aten.mm.default(torch.ones(2, 2))
    assert (
        str(caught.value)
        == "aten::mm() is missing value for argument 'mat2'. Declaration: aten::mm(Tensor self, Tensor mat2) -> Tensor"
    )
    with pytest.raises(RuntimeError, match="expected at most 3 argument.s. but received 5 argument.s."):
        aten.add.Tensor(1, 2, 3, 4, 5)


def test_overloads_record_gradients():
    x = torch.ones(2, requires_grad=True)
    aten.mul.Tensor(x, 3).sum().backward()
    assert x.grad.tolist() == [3, 3]


# Operations that programs name, by shared/parity's scan of packages.
NAMED = """
mul.Tensor cat.default view.default _to_copy.default slice.Tensor unsqueeze.default clone.default div.Tensor
expand.default alias.default any.dim eq.Tensor amax.default sub.Tensor amin.default logical_and.default
remainder.Scalar conv2d.default neg.default copy_.default linear.default detach.default t.default addmm.default
mm.default bmm.default transpose.int permute.default select.int index.Tensor index_put_.default _unsafe_view.default
_local_scalar_dense.default sym_size.int _pin_memory.default _assert_async.msg _assert_scalar.default
_assert_tensor_metadata.default _is_all_true.default _embedding_bag_forward_only.default _fft_c2c.default
copy.default hardtanh_.default upsample_bilinear2d.default sym_numel.default embedding.default split.Tensor
zeros_like.default new_zeros.default full.default arange.start _native_batch_norm_legit_no_training.default
""".split()


@pytest.mark.parametrize("name", NAMED)
def test_overloads_that_programs_name_exist(name):
    packet, _, overload = name.partition(".")
    assert str(getattr(getattr(aten, packet), overload)) == f"aten.{name}"


# ---- fake tensors


def test_fake_tensors_have_everything_but_elements():
    with FakeTensorMode() as mode:
        a, b = torch.empty(512, 256, device="cuda"), torch.ones(256, 10, device="cuda", dtype=torch.float32)
        c = a @ b
    assert (repr(c), c.device, c.shape) == (
        "FakeTensor(..., device='cuda:0', size=(512, 10))",
        torch.device("cuda:0"),
        (512, 10),
    )
    assert isinstance(c, FakeTensor) and is_fake(c) and c.fake_mode is mode and c.data_ptr() == 0
    assert repr(c.half()) == "FakeTensor(..., device='cuda:0', size=(512, 10), dtype=torch.float16)"
    assert repr(c.sum(0) + 1) == "FakeTensor(..., device='cuda:0', size=(10,))"
    assert c.add_(1) is c and c.cpu().device.type == "cpu" and c.to("cuda").device == c.device


def test_what_needs_elements_is_refused():
    with FakeTensorMode():
        a = torch.ones(3)
        for call, kind in (
            (a.sum().item, DataDependentOutputException),
            (lambda: bool(a.sum() > 0), DataDependentOutputException),
            (a.nonzero, DynamicOutputShapeException),
            (lambda: a + torch.ones(3, device="cuda"), FakeTensorDeviceMismatchError),
            (a.numpy, RuntimeError),
        ):
            with pytest.raises(kind):
                call()


def test_real_tensors_do_not_mix_with_fake_ones():
    real, mode = torch.ones(3), FakeTensorMode()
    with (
        mode,
        pytest.raises(
            AssertionError, match="Please convert all Tensors to FakeTensors first .* Found in aten.add.Tensor"
        ),
    ):
        real + 1
    fake = mode.from_tensor(real)
    assert mode.from_tensor(real) is fake and repr(fake + 1) == "FakeTensor(..., size=(3,))"
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert is_fake(real + 1)
    parameter = mode.from_tensor(torch.nn.Parameter(torch.ones(2)))
    assert isinstance(parameter, torch.nn.Parameter) and parameter.requires_grad


def test_a_model_without_memory():
    with FakeTensorMode():
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        y = model(torch.ones(5, 3))
        y.sum().backward()
    assert repr(y) == "FakeTensor(..., size=(5, 2), grad_fn=<AddmmBackward0>)"
    weight = model[0].weight
    assert isinstance(weight, torch.nn.Parameter) and is_fake(weight) and weight.grad.shape == (4, 3)


# ---- counted operations


def test_operations_are_counted_by_module():
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    with FlopCounterMode(display=False) as counter:
        model(torch.ones(3, 4)).sum().backward()
    counts = {name: {str(op): n for op, n in ops.items()} for name, ops in counter.get_flop_counts().items()}
    # as PyTorch counts: no gradient of the input is computed
    assert counts == {
        "Global": {"aten.addmm": 288, "aten.mm": 384},
        "Sequential": {"aten.addmm": 288, "aten.mm": 384},
        "Sequential.0": {"aten.addmm": 192, "aten.mm": 192},
        "Sequential.2": {"aten.addmm": 96, "aten.mm": 192},
    }
    assert counter.get_total_flops() == 672
    assert "Sequential.2" in counter.get_table() and "Sequential.2" not in counter.get_table(depth=1)


def test_convolutions_count_forwards_and_backwards(capsys):
    conv = torch.nn.Conv2d(3, 6, 3, padding=1)
    with FlopCounterMode() as counter:
        conv(torch.ones(2, 3, 8, 8, requires_grad=True)).sum().backward()
    assert counter.get_total_flops() == 3 * 41472
    assert "Conv2d" in capsys.readouterr().out


def test_own_formulas():
    mapping = {aten.cumsum: lambda shape, dim, out_shape=None: shape.numel()}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        torch.cumsum(torch.ones(5), 0)
    assert counter.get_total_flops() == 5


def test_conversions_with_a_layout_or_a_memory_format_by_position():
    x, to = torch.ones(1, 2, 3, 3), torch.ops.aten.to
    assert to.dtype_layout(x, dtype=torch.int64, layout=torch.strided, device="cpu").dtype == torch.int64
    assert to.dtype(x, torch.float64, False, False, torch.channels_last).stride() == (18, 1, 6, 2)
    assert to.device(x, torch.device("cpu"), torch.float16).dtype == torch.float16
    assert to.dtype(x, torch.float32) is x and to.dtype(x, torch.float32, False, True) is not x
    with pytest.raises(NotImplementedError, match="layout"):
        to.dtype_layout(x, layout=torch.sparse_coo)
