"""Indexing agrees with NumPy's, reading and writing."""

import pytest

import torch

np = pytest.importorskip("numpy")

INDICES = [
    (0,), (-1,), (slice(1, 3),), (slice(None, None, 2),), (slice(2, 100),), (slice(3, 1),), (Ellipsis,), (None,),
    (0, 1), (slice(None), 1), (Ellipsis, 0), (0, Ellipsis), (None, 1, None), (slice(1, 3), slice(None), slice(0, 2)),
    ([0, 2],), ([0, 2], [1, 1]), ([0, 2], slice(None), [1, 1]), (slice(None), [2, 0]), (slice(None), [[0, 1], [1, 0]]),
    ([[0], [1]], [[0, 2]]), (0, [1, 2]), ([0, 1], 1), (slice(1, 2), [0, 0, 0], 3), (Ellipsis, [1, 3]), (None, [0, 1]),
    ([], ), ([-1, -3],), ([0, 1], slice(None), 1), ([0, 1], None, [1, 2]),
]  # fmt: skip


def as_torch(index):
    return tuple(torch.tensor(i, dtype=torch.int64) if isinstance(i, list) else i for i in index)


def as_numpy(index):
    return tuple(np.array(i, dtype=np.int64) if isinstance(i, list) else i for i in index)


@pytest.fixture
def array():
    return np.arange(60.0).reshape(3, 5, 4).astype(np.float32)


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_reading(array, index):
    expected = array[as_numpy(index)]
    got = torch.from_numpy(array)[as_torch(index)]
    assert got.shape == expected.shape
    assert np.array_equal(got.numpy(), expected)


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_writing_a_scalar(array, index):
    expected = array.copy()
    expected[as_numpy(index)] = -7
    got = torch.from_numpy(array.copy())
    got[as_torch(index)] = -7
    assert np.array_equal(got.numpy(), expected)


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_writing_a_tensor(array, index):
    shape = array[as_numpy(index)].shape
    values = -np.arange(1.0, 1.0 + np.prod(shape, dtype=int)).reshape(shape).astype(np.float32)
    expected = array.copy()
    expected[as_numpy(index)] = values
    got = torch.from_numpy(array.copy())
    got[as_torch(index)] = torch.from_numpy(values)
    assert np.array_equal(got.numpy(), expected)


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_gradient_counts_how_often_an_element_was_read(array, index):
    expected = np.zeros_like(array)
    np.add.at(expected, as_numpy(index), 1)
    source = torch.from_numpy(array).requires_grad_()
    source[as_torch(index)].sum().backward()
    assert np.array_equal(source.grad.numpy(), expected)


@pytest.mark.parametrize("shape", [(3,), (3, 5), (3, 5, 4)])
def test_masks(array, shape):
    mask = np.arange(np.prod(shape)).reshape(shape) % 3 == 0
    tensor = torch.from_numpy(array.copy())
    assert np.array_equal(tensor[torch.from_numpy(mask)].numpy(), array[mask])
    array[mask] = 0
    tensor[torch.from_numpy(mask)] = 0
    assert np.array_equal(tensor.numpy(), array)


def test_indexing_a_transposed_tensor(array):
    tensor = torch.from_numpy(array).transpose(0, 2)
    for index in INDICES[:12]:
        assert np.array_equal(tensor[as_torch(index)].numpy(), array.transpose(2, 1, 0)[as_numpy(index)])


def test_a_number_beside_an_index_tensor_selects_first():
    # where NumPy would move the indexed dimension to the front
    t = torch.arange(60).view(3, 5, 4)
    assert torch.equal(t[1, :, torch.tensor([0, 1])], t[1][:, :2])


def test_bool_and_uint8_scalars():
    t = torch.arange(3)
    assert t[True].shape == (1, 3) and t[False].shape == (0, 3)
    assert t[torch.tensor(1)].item() == 1
    assert t[torch.tensor([0, 1, 1], dtype=torch.bool)].tolist() == [1, 2]


def test_writing_with_repeated_indices_accumulates_only_when_asked():
    t = torch.zeros(3)
    t.index_put_((torch.tensor([1, 1, 1]),), torch.ones(3), accumulate=True)
    assert t.tolist() == [0, 3, 0]
    t[torch.tensor([0, 0])] += 1
    assert t.tolist() == [1, 3, 0]


def test_gather_and_scatter_are_inverse():
    t = torch.randn(4, 6)
    order = t.argsort(dim=1)
    assert torch.equal(t.gather(1, order), t.sort(dim=1).values)
    assert torch.equal(torch.zeros(4, 6).scatter_(1, order, t.gather(1, order)), t)


def test_scatter_reductions():
    index, source = torch.tensor([0, 0, 2, 2, 2]), torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    base = torch.full((4,), 2.0)
    for reduce, expected in {
        "sum": [5, 2, 14, 2], "prod": [4, 2, 120, 2], "amax": [2, 2, 5, 2], "amin": [1, 2, 2, 2],
        "mean": [5 / 3, 2, 3.5, 2],
    }.items():  # fmt: skip
        assert base.scatter_reduce(0, index, source, reduce).tolist() == pytest.approx(expected)


def test_nonzero_where_and_take():
    t = torch.tensor([[0, 1], [2, 0]])
    assert t.nonzero().tolist() == [[0, 1], [1, 0]]
    assert [i.tolist() for i in torch.where(t > 0)] == [[0, 1], [1, 0]]
    assert t.take(torch.tensor([1, -2])).tolist() == [1, 2]
    assert torch.take_along_dim(t, t.argmax(1, keepdim=True), 1).tolist() == [[1], [2]]
