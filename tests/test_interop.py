"""NumPy, buffers, DLPack, copying, pickling, saving and loading."""

import copy
import io
import pickle
import zipfile

import pytest

import torch

DTYPES = [
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32, torch.float64,
    torch.complex64, torch.complex128, torch.bool,
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_round_trip_shares_memory(dtype):
    pytest.importorskip("numpy")
    tensor = torch.tensor([[0, 1], [1, 0]]).to(dtype)
    array = tensor.numpy()
    assert str(array.dtype) == str(dtype).removeprefix("torch.")
    assert array.ctypes.data == tensor.data_ptr()
    back = torch.from_numpy(array)
    assert back.dtype == dtype and back.data_ptr() == tensor.data_ptr()
    array[0, 0] = 1
    assert tensor[0, 0].item() == 1


def test_numpy_strides_and_lifetime():
    np = pytest.importorskip("numpy")
    array = np.arange(12.0).reshape(3, 4)[::2, 1:].T
    tensor = torch.from_numpy(array)
    assert tensor.stride() == (1, 8) and tensor.tolist() == array.tolist()
    expected = array.tolist()
    del array
    assert tensor.tolist() == expected
    assert torch.arange(6).view(2, 3).t().numpy().strides == (8, 24)
    with pytest.raises(ValueError, match="negative"):
        torch.from_numpy(np.arange(3)[::-1])


def test_numpy_operations_accept_tensors():
    np = pytest.importorskip("numpy")
    tensor = torch.arange(3.0)
    assert np.asarray(tensor).tolist() == [0, 1, 2]
    assert np.add(tensor.numpy(), 1).tolist() == [1, 2, 3]
    assert torch.tensor(np.float64(1.5)).dtype == torch.float64
    assert torch.tensor(np.arange(3, dtype=np.int32)).dtype == torch.int32
    assert (torch.ones(2) * np.float64(2.0)).tolist() == [2, 2]
    assert torch.tensor([np.float32(1.0), 2]).tolist() == [1, 2]
    assert torch.as_tensor(np.ones(2)).dtype == torch.float64


def test_dlpack():
    np = pytest.importorskip("numpy")
    tensor = torch.arange(6.0).view(2, 3)
    assert torch.from_dlpack(tensor).data_ptr() == tensor.data_ptr()
    array = np.from_dlpack(tensor)
    assert array.ctypes.data == tensor.data_ptr()
    assert torch.from_dlpack(np.arange(3)).tolist() == [0, 1, 2]


def test_dlpack_keeps_strides_and_types_and_refuses_what_it_cannot_say():
    np = pytest.importorskip("numpy")
    tensor = torch.arange(6.0).view(2, 3)
    assert np.from_dlpack(tensor.t()).strides == (4, 12)
    assert torch.from_dlpack(np.arange(6).reshape(2, 3).T).stride() == (1, 3)
    half = torch.tensor([1.5]).half()
    for example in (torch.tensor(3), torch.empty(0, 3), torch.tensor([True]), torch.tensor([1 + 2j]), half):
        assert np.from_dlpack(example).tolist() == example.tolist()
        assert torch.equal(torch.from_dlpack(example), example)
    assert torch.equal(torch.from_dlpack(torch.ones(2, dtype=torch.bfloat16)), torch.ones(2, dtype=torch.bfloat16))
    assert torch.from_dlpack(tensor, copy=True).data_ptr() != tensor.data_ptr()
    assert tensor.__dlpack_device__() == (1, 0)
    assert "dltensor_versioned" in repr(tensor.__dlpack__(max_version=(1, 0)))
    assert "dltensor_versioned" not in repr(tensor.__dlpack__())
    with pytest.raises(BufferError, match="require gradient"):
        torch.ones(2, requires_grad=True).__dlpack__()
    with pytest.raises(BufferError, match="conjugate bit"):
        torch.tensor([1j]).conj().__dlpack__()


def test_a_dlpack_capsule_keeps_its_memory_alive():
    np = pytest.importorskip("numpy")
    tensor = torch.arange(1000.0)
    array, expected = np.from_dlpack(tensor), tensor.tolist()
    back = torch.from_dlpack(array)
    del tensor, array
    assert back.tolist() == expected


def test_buffers():
    assert bytes(torch.tensor([1, 2], dtype=torch.uint8)) == b"\1\2"
    assert torch.tensor(memoryview(b"ab")).tolist() == [97, 98]
    assert torch.frombuffer(b"abcd", dtype=torch.uint8).tolist() == [97, 98, 99, 100]
    with pytest.raises(ValueError, match="must be a multiple of element size"):
        torch.frombuffer(bytearray(3), dtype=torch.int16)
    with pytest.raises(ValueError, match="must not be 0"):
        torch.frombuffer(bytearray(), dtype=torch.int16)


def test_frombuffer_shares_memory():
    buffer = bytearray(8)
    tensor = torch.frombuffer(buffer, dtype=torch.int16, offset=2)
    tensor[0] = 258
    assert tensor.shape == (3,) and bytes(buffer[:4]) == b"\0\0\2\1"


def test_deepcopy_keeps_sharing_and_grad():
    base = torch.ones(4, requires_grad=True)
    base.grad = torch.full((4,), 2.0)
    first, second = copy.deepcopy([base, base])
    assert first is second and first is not base and first.requires_grad and first.grad.tolist() == [2] * 4
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(base * 2)
    plain = torch.zeros(4)
    a, b = copy.deepcopy((plain, plain[1:]))
    a[1] = 5
    assert b[0].item() == 5 and plain[1].item() == 0
    assert copy.copy(base) is not base and copy.copy(base).data_ptr() == base.data_ptr()


@pytest.mark.parametrize("dtype", [*DTYPES, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (0, 2), (2, 3)])
def test_pickle(dtype, shape):
    tensor = torch.randint(0, 2, shape).to(dtype)
    back = pickle.loads(pickle.dumps(tensor))
    assert back.dtype == dtype and back.shape == tensor.shape and torch.equal(back, tensor)


def test_pickle_of_related_objects():
    for thing in (torch.float32, torch.Size([1, 2]), torch.device("cpu"), torch.strided, torch.channels_last):
        assert pickle.loads(pickle.dumps(thing)) == thing
    model = pickle.loads(pickle.dumps(torch.nn.Linear(3, 2)))
    assert model(torch.ones(3)).shape == (2,)
    parameter = pickle.loads(pickle.dumps(torch.nn.Parameter(torch.ones(2))))
    assert isinstance(parameter, torch.nn.Parameter) and parameter.requires_grad


def round_trip(thing, **options):
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, **options)


def test_save_and_load_everything_a_checkpoint_holds(tmp_path):
    state = {
        "tensor": torch.randn(3, 4), "half": torch.ones(2, dtype=torch.bfloat16), "scalar": torch.tensor(5),
        "empty": torch.empty(0, 3), "bool": torch.tensor([True]), "complex": torch.tensor([1j]),
        "transposed": torch.randn(3, 4).t(), "parameter": torch.nn.Parameter(torch.ones(2)),
        "plain": [1, 2.5, "text", None, True, (1, 2), {"a": b"bytes"}], "size": torch.Size([1, 2]),
        "dtype": torch.float16, "device": torch.device("cpu"),
    }  # fmt: skip
    path = tmp_path / "state.pt"
    torch.save(state, path)
    back = torch.load(path)
    assert back.keys() == state.keys()
    for key, value in state.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(back[key], value) and back[key].dtype == value.dtype, key
            assert back[key].stride() == value.stride() and back[key].requires_grad == value.requires_grad, key
        else:
            assert back[key] == value, key
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


def test_shared_storage_stays_shared():
    base = torch.zeros(6)
    a, b = round_trip([base, base[2:4]])
    a[2] = 7
    assert b[0].item() == 7
    # a view alone takes its whole storage along, as in PyTorch
    assert round_trip(torch.zeros(100)[:2]).untyped_storage().nbytes() == 400


def test_the_file_is_the_zip_archive_that_pytorch_writes():
    file = io.BytesIO()
    torch.save({"x": torch.arange(3.0)}, file)
    names = {name.split("/", 1)[1] for name in zipfile.ZipFile(file).namelist()}
    assert {"data.pkl", "data/0", "version", "byteorder"} <= names


def test_loading_never_runs_code():
    class Attack:
        def __reduce__(self):
            return print, ("this must not run",)

    file = io.BytesIO()
    torch.save(Attack(), file)
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        torch.load(file)


def test_map_location():
    state = {"x": torch.ones(2)}
    for location in ("cpu", torch.device("cpu"), {"cpu": "cpu"}, lambda storage, _: storage):
        assert round_trip(state, map_location=location)["x"].device.type == "cpu"
    assert round_trip(state, map_location="meta")["x"].device.type == "meta"


def test_mmap(tmp_path):
    torch.save({"x": torch.arange(1000.0)}, tmp_path / "x.pt")
    assert torch.equal(torch.load(tmp_path / "x.pt", mmap=True)["x"], torch.arange(1000.0))


def test_a_truncated_file_is_an_error(tmp_path):
    torch.save(torch.randn(1000), tmp_path / "x.pt")
    content = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(RuntimeError):
        torch.load(tmp_path / "x.pt")


def test_generator_state_round_trip():
    generator = torch.Generator().manual_seed(5)
    torch.rand(3, generator=generator)
    state = generator.get_state()
    first = torch.rand(5, generator=generator)
    assert state.shape == (5056,) and state.dtype == torch.uint8
    assert torch.equal(torch.rand(5, generator=torch.Generator().set_state(round_trip(state))), first)
    global_state = torch.get_rng_state()
    first = torch.randn(3)
    torch.set_rng_state(global_state)
    assert torch.equal(torch.randn(3), first)
    with torch.random.fork_rng():
        torch.manual_seed(99)
    assert torch.equal(torch.get_rng_state(), torch.get_rng_state())
