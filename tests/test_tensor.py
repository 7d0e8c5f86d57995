"""Tensors: factories, dtypes, shapes and views that share memory."""

import gc
import weakref

import pytest

import torch

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
COMPLEX = [torch.complex64, torch.complex128]
ALL = [*FLOATS, *INTEGERS, *COMPLEX, torch.bool]


def same_memory(a, b):
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


@pytest.mark.parametrize(
    "value, dtype",
    [(1, torch.int64), (1.5, torch.float32), (True, torch.bool), (1j, torch.complex64), ([], torch.float32)],
)
def test_dtype_is_inferred(value, dtype):
    assert torch.tensor(value).dtype == dtype


def test_mixed_lists_take_the_widest_kind():
    assert torch.tensor([True, 2]).tolist() == [1, 2]
    assert torch.tensor([1, 2.5]).dtype == torch.float32
    assert torch.tensor([1, 2.5, 1j]).dtype == torch.complex64


def test_default_dtype_decides_for_floats():
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.tensor(1.5).dtype == torch.float64
        assert torch.tensor(1j).dtype == torch.complex128
        assert torch.zeros(2).dtype == torch.float64
        assert torch.tensor(1).dtype == torch.int64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
def test_factories(dtype, shape):
    for made, value in ((torch.zeros, 0), (torch.ones, 1)):
        t = made(shape, dtype=dtype)
        assert (t.shape, t.dtype, t.is_contiguous()) == (torch.Size(shape), dtype, True)
        assert bool((t == value).all())
    assert bool((torch.full(shape, 1, dtype=dtype) == 1).all())
    assert torch.empty(shape, dtype=dtype).numel() == torch.zeros(shape).numel()
    assert torch.zeros_like(torch.ones(shape, dtype=dtype)).dtype == dtype


def test_arange_and_linspace():
    assert torch.arange(5).tolist() == [0, 1, 2, 3, 4]
    assert torch.arange(5).dtype == torch.int64
    assert torch.arange(1, 2, 0.25).tolist() == [1.0, 1.25, 1.5, 1.75]
    assert torch.arange(5, 0, -2).tolist() == [5, 3, 1]
    assert torch.arange(3, 3).shape == (0,)
    assert torch.linspace(0, 1, 5).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert torch.linspace(3, 4, 1).tolist() == [3]
    assert torch.logspace(0, 2, 3).tolist() == [1, 10, 100]
    assert torch.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("source", ALL)
@pytest.mark.parametrize("target", ALL)
def test_conversion_between_all_dtypes(source, target):
    converted = torch.tensor([0, 1, 3]).to(source).to(target)
    assert converted.dtype == target
    one = torch.bool in (source, target)
    assert converted.tolist() == [0, 1, 1] if one else converted.tolist() == [0, 1, 3]


def test_integer_conversion_wraps_and_truncates():
    assert torch.tensor([300, -1]).to(torch.uint8).tolist() == [44, 255]
    assert torch.tensor([2.9, -2.9]).to(torch.int32).tolist() == [2, -2]
    assert torch.tensor([1e-8, float("nan")]).to(torch.bool).tolist() == [True, True]


@pytest.mark.parametrize("a", ALL)
@pytest.mark.parametrize("b", ALL)
def test_promotion_is_symmetric_and_an_upper_bound(a, b):
    common = torch.promote_types(a, b)
    assert common == torch.promote_types(b, a) == (torch.ones(2, dtype=a) + torch.ones(2, dtype=b)).dtype
    assert torch.promote_types(common, a) == common


def test_scalars_do_not_widen_tensors_of_the_same_kind():
    assert (torch.ones(2, dtype=torch.float16) + 1.5).dtype == torch.float16
    assert (torch.ones(2, dtype=torch.int8) + 1).dtype == torch.int8
    assert (torch.ones(2, dtype=torch.int8) + 1.5).dtype == torch.float32
    assert (torch.ones(2, dtype=torch.int8) + torch.tensor(1)).dtype == torch.int8
    assert (torch.ones(2, dtype=torch.float16) + torch.tensor(1.0, dtype=torch.float64)).dtype == torch.float16


def test_views_share_memory_and_copies_do_not():
    base = torch.arange(12.0)
    views = [
        base.view(3, 4), base.reshape(3, 4), base[2:5], base[::2], base.view(3, 4).t(), base.unsqueeze(0),
        base.view(3, 4).diagonal(), base.expand(2, 12), base.unfold(0, 3, 1), base.narrow(0, 1, 2), base.detach(),
        base.view(3, 4)[:, 1], base.view(3, 4).permute(1, 0), base.split(5)[1], base.chunk(3)[2],
        base.view(torch.int32),
    ]  # fmt: skip
    assert all(same_memory(base, view) for view in views)
    copies = [base.clone(), base[torch.tensor([0, 1])], base[base > 3], base + 0, base.view(3, 4).t().contiguous()]
    assert not any(same_memory(base, copy) for copy in copies)


def test_writes_are_seen_through_views():
    base = torch.zeros(2, 3)
    base.t()[0].fill_(5)
    base[:, 2] += 1
    base.view(-1)[1::2] *= 2
    assert base.tolist() == [[5, 0, 1], [10, 0, 2]]
    column = base.select(1, 0)
    base.zero_()
    assert column.tolist() == [0, 0]


def test_strides_and_contiguity():
    t = torch.zeros(2, 3, 4)
    assert t.stride() == (12, 4, 1)
    assert t.transpose(0, 2).stride() == (1, 4, 12)
    assert not t.transpose(0, 2).is_contiguous()
    assert t[:, 1].storage_offset() == 4
    assert t.expand(5, 2, 3, 4).stride() == (0, 12, 4, 1)
    assert t[:0].is_contiguous()
    assert torch.zeros(1, 3, 2, 2).contiguous(memory_format=torch.channels_last).stride() == (12, 1, 6, 3)


def test_view_of_a_transposed_tensor_is_refused_but_reshape_copies():
    t = torch.arange(6).view(2, 3).t()
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        t.view(6)
    assert t.reshape(6).tolist() == [0, 3, 1, 4, 2, 5]


def test_operations_on_non_contiguous_tensors_agree_with_contiguous_ones():
    a = torch.randn(5, 7, 3)
    for view in (a.transpose(0, 2), a[::2, ::3], a.flip(1)[:, 1:], a.expand(2, 5, 7, 3), a.permute(2, 0, 1)[1:]):
        copy = view.contiguous()
        for f in (torch.exp, torch.sum, torch.sort, lambda t: t + t, lambda t: t.cumsum(-1), lambda t: t.max(-1)[1]):
            got, expected = f(view), f(copy)
            got, expected = (got[0], expected[0]) if isinstance(got, tuple) else (got, expected)
            assert torch.equal(got, expected) or torch.allclose(got, expected)


def test_in_place_operations_return_self():
    t = torch.ones(3)
    assert t.add_(1) is t and t.mul_(2) is t and t.zero_() is t and t.copy_(torch.ones(3)) is t
    before = t.data_ptr()
    t += 1
    assert t.data_ptr() == before and t.tolist() == [2, 2, 2]


def test_out_argument():
    out = torch.empty(0)
    assert torch.add(torch.ones(3), 1, out=out) is out
    assert out.tolist() == [2, 2, 2]


def test_overlapping_copy_inside_one_tensor():
    t = torch.arange(5)
    t[1:] = t[:-1].clone()
    assert t.tolist() == [0, 0, 1, 2, 3]


def test_cat_stack_and_split_are_inverse():
    parts = [torch.randn(2, n, 3) for n in (1, 0, 4)]
    whole = torch.cat(parts, dim=1)
    assert whole.shape == (2, 5, 3)
    assert all(torch.equal(a, b) for a, b in zip(whole.split([1, 0, 4], dim=1), parts, strict=True))
    assert torch.equal(torch.stack([parts[0], parts[0]], -1)[..., 1], parts[0])


def test_scalars():
    assert torch.tensor([3]).item() == 3
    assert float(torch.tensor(2.5)) == 2.5 and int(torch.tensor(7.9)) == 7 and bool(torch.tensor([[0]])) is False
    assert [10, 20, 30][torch.tensor(1)] == 20
    assert list(range(torch.tensor(3))) == [0, 1, 2]


def test_comparison_with_scalars_and_broadcasting():
    a = torch.arange(3)
    assert (a < 2).tolist() == [True, True, False]
    assert (a.view(3, 1) == a).tolist() == [[i == j for j in range(3)] for i in range(3)]
    assert (a == "a") is False
    assert (a != None) is True  # noqa: E711  the operator itself is under test


def test_reductions_of_empty_tensors():
    empty = torch.empty(0, 3)
    assert empty.sum().item() == 0 and empty.prod().item() == 1
    assert empty.sum(0).tolist() == [0, 0, 0]
    assert torch.isnan(empty.mean()) and empty.all().item() is True and empty.any().item() is False


def test_sums_are_accurate():
    assert torch.full((1_000_000,), 0.1).sum().item() == pytest.approx(100000.0015, rel=1e-6)
    assert torch.ones(3000, dtype=torch.bfloat16).sum().item() == 3008  # the nearest bfloat16 to 3000
    assert torch.full((70000,), 255, dtype=torch.uint8).sum().item() == 255 * 70000


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_do_not_depend_on_the_number_of_threads(threads):
    before = torch.get_num_threads()
    a, b = torch.randn(300, 4001), torch.randn(300, 500)
    try:
        torch.set_num_threads(1)
        alone = [a.sum(), a.sum(0), a.softmax(1), b.t() @ a, a.exp(), a.norm(), a.cumsum(1)]
        torch.set_num_threads(threads)
        together = [a.sum(), a.sum(0), a.softmax(1), b.t() @ a, a.exp(), a.norm(), a.cumsum(1)]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(x, y) for x, y in zip(alone, together, strict=True))


def test_python_identity_and_weak_references():
    t = torch.ones(2)
    t.note = "kept"
    assert [t][0].note == "kept"
    reference = weakref.ref(t)
    assert reference() is t
    del t
    gc.collect()
    assert reference() is None


def test_subclass_keeps_its_type():
    class Marked(torch.Tensor):
        pass

    marked = torch.ones(2).as_subclass(Marked)
    assert type(marked) is Marked and isinstance(marked, torch.Tensor)
    assert type(marked + 1) is Marked


def test_iteration_length_and_membership():
    t = torch.arange(6).view(3, 2)
    assert len(t) == 3 and [row.tolist() for row in t] == [[0, 1], [2, 3], [4, 5]]
    assert 5 in t and 6 not in t
    assert hash(t) == id(t)


def test_size_is_a_tuple():
    size = torch.ones(2, 3).shape
    assert size == (2, 3) and isinstance(size, tuple) and size.numel() == 6
    assert isinstance(size + (4,), torch.Size) and isinstance(size[:1], torch.Size)


def test_lazy_conjugation():
    z = torch.tensor([1 + 2j, 3 - 1j])
    assert z.conj().is_conj() and same_memory(z, z.conj())
    assert z.conj().tolist() == [1 - 2j, 3 + 1j]
    assert (z.conj() * z).real.tolist() == [5, 10]
    assert z.conj().imag.tolist() == [-2, 1]


def test_meta_tensors_have_shapes_but_no_data():
    t = torch.empty(1000, 1000, 1000, 1000, device="meta")
    assert (t + t).sum(0).shape == (1000, 1000, 1000)
    assert (t[0, 0] @ t[0, 0]).device.type == "meta"
