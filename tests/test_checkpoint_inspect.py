"""``torch.serialization.inspect`` lists what a checkpoint holds and loads nothing."""

import collections
import io

import hostile_checkpoints as by_hand
import pytest
import support

import torch


def saved(obj, **options):
    file = io.BytesIO()
    torch.save(obj, file, **options)
    file.seek(0)
    return file


class Marker:
    """Counts what is built and what is read."""

    built = 0

    def __setstate__(self, state):
        Marker.built += 1


@pytest.mark.parametrize("new", [True, False])
def test_tensors(new):
    base = torch.arange(12.0).view(3, 4)
    value = {"net": {"0.weight": base, "1": [base[1:, ::2], torch.ones(2, dtype=torch.bfloat16)]}, 7: (base[0, 0],)}
    file = saved(value, _use_new_zipfile_serialization=new)
    summary = torch.serialization.inspect(file)
    rows = [(t.path, t.dtype, t.shape, t.stride, t.storage_offset, t.nbytes) for t in summary.tensors]
    assert rows == [
        ("net.0.weight", torch.float32, (3, 4), (4, 1), 0, 48),
        ("net.1[0]", torch.float32, (2, 2), (4, 2), 4, 16),
        ("net.1[1]", torch.bfloat16, (2,), (1,), 0, 4),
        ("[7][0]", torch.float32, (), (), 0, 4),
    ]
    assert summary.format == ("zip" if new else "legacy") and summary.size == len(file.getvalue())
    assert summary.tensors[0].storage is summary.tensors[1].storage and len(summary.storages) == 2
    for tensor in summary.tensors:
        assert tensor.offset == tensor.storage.offset + tensor.storage_offset * tensor.dtype.itemsize
    whole = file.getvalue()[summary.tensors[0].offset :][:48]
    assert torch.frombuffer(bytearray(whole), dtype=torch.float32).tolist() == list(range(12))
    assert summary.problems == [] and summary.unsafe_globals == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (torch.nn.Parameter(torch.ones(2)), ("Parameter", torch.float32, (2,), True)),
        (torch.nn.Parameter(torch.ones(2), requires_grad=False), ("Parameter", torch.float32, (2,), False)),
        (torch.ones(2, requires_grad=True), ("Tensor", torch.float32, (2,), True)),
        (torch.ones(2, dtype=torch.uint16), ("Tensor", torch.uint16, (2,), False)),
        (torch.quantize_per_tensor(torch.ones(3), 0.5, 0, torch.qint8), ("QuantizedTensor", torch.qint8, (3,), False)),
        (torch.empty(2, 3, device="meta"), ("Tensor", torch.float32, (2, 3), False)),
    ],
    ids=str,
)
def test_kinds_of_tensors(value, expected):
    (found,) = torch.serialization.inspect(saved(value)).tensors
    assert (found.kind, found.dtype, found.shape, found.requires_grad) == expected
    assert found.path == "" and found.problem is None


def test_the_parts_of_a_sparse_tensor():
    paths = [t.shape for t in torch.serialization.inspect(saved(torch.eye(3).to_sparse())).tensors]
    assert paths == [(2, 3), (3,)]


def test_a_module_and_its_classes():
    summary = torch.serialization.inspect(support.DATA / "checkpoint_module.pt")
    assert [t.path for t in summary.tensors][:2] == ["_modules.0._parameters.weight", "_modules.0._parameters.bias"]
    assert summary.unsafe_globals == [
        "torch.nn.modules.activation.ReLU", "torch.nn.modules.batchnorm.BatchNorm1d",
        "torch.nn.modules.container.Sequential", "torch.nn.modules.linear.Linear",
    ]  # fmt: skip
    counts = {entry.name: entry.count for entry in summary.globals}
    assert counts["torch._utils._rebuild_parameter"] == 1


def test_nothing_is_built(tmp_path):
    path = tmp_path / "file.pt"
    marker = Marker()
    marker.value = 1
    torch.save([marker, torch.ones(3)], path)
    summary = torch.serialization.inspect(path)
    assert Marker.built == 0 and f"{__name__}.Marker" in summary.unsafe_globals and len(summary.tensors) == 1
    torch.load(path, weights_only=False)
    assert Marker.built == 1


def test_allowed_globals_are_marked():
    file = saved(collections.defaultdict(list))
    with torch.serialization.safe_globals([collections.defaultdict]):
        allowed = {entry.name: entry.allowed for entry in torch.serialization.inspect(file).globals}
    assert allowed == {"collections.defaultdict": True, "builtins.list": False}


def test_the_table():
    value = {"weight": torch.ones(2, 3), "steps": torch.tensor(7), "marker": Marker()}
    text = str(torch.serialization.inspect(saved(value)))
    lines = text.splitlines()
    assert lines[0].startswith("checkpoint: zip, ") and lines[0].endswith("2 tensors in 2 storages of 32 B")
    assert lines[1].split() == ["tensor", "dtype", "shape", "stride", "storage", "at", "byte", "bytes", "class"]
    assert lines[2].split()[:5] == ["weight", "float32", "2", "x", "3"]
    assert lines[3].split()[:3] == ["steps", "int64", "scalar"]
    assert any(line.startswith("globals not allowed: ") and "Marker (1)" in line for line in lines)


def test_long_tables_are_cut():
    summary = torch.serialization.inspect(saved([torch.ones(1) for _ in range(100)]))
    assert "... 40 more" in str(summary) and "[99]" not in str(summary)
    assert "[99]" in summary.table()


def test_names_of_a_file_do_not_steer_the_terminal():
    text = str(torch.serialization.inspect(saved({"\033[2Jgone\n": torch.ones(1)})))
    assert "\033" not in text and "\\x1b[2Jgone" in text


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (by_hand.program(by_hand.tensor(size=(9,))), "it needs 36 bytes of storage 0, which has 16"),
        (by_hand.program(by_hand.tensor(offset=-1)), "do not describe a tensor"),
        (by_hand.program(by_hand.tensor(size=by_hand.text("x"))), "are no integers"),
        (by_hand.program(by_hand.tensor(by_hand.storage("torch.Float33Storage"))), "its dtype is not known"),
        (by_hand.program(by_hand.tensor(by_hand.storage(numel=99))), "has 16 bytes, where the pickle wants 396"),
        (by_hand.program(by_hand.tensor(by_hand.storage(key=by_hand.text("5")))), "storage 5 is not in the file"),
        (by_hand.program(by_hand.tensor())[:-20], "the pickle is damaged"),
    ],
    ids=range(7),
)
def test_problems_are_named(data, part):
    summary = torch.serialization.inspect(io.BytesIO(by_hand.archive(data)))
    assert any(part in problem for problem in summary.problems), summary.problems


@pytest.mark.parametrize("name", ["os.system", "builtins.eval"])
def test_what_a_hostile_file_would_call_is_listed(name):
    for data in (
        by_hand.calls(name),
        by_hand.program("MARK", by_hand.text("true"), b"i" + name.replace(".", "\n").encode() + b"\n"),
        by_hand.program("MARK", by_hand.glob(name), by_hand.text("true"), "OBJ"),
    ):
        file = io.BytesIO(by_hand.archive(data))
        assert torch.serialization.inspect(file).unsafe_globals == [name]
        file.seek(0)
        assert torch.serialization.get_unsafe_globals_in_checkpoint(file) == [name]


def test_globals_before_the_damage_are_listed():
    data = by_hand.archive(by_hand.program(by_hand.glob("os.system"), b"\xff"))
    assert torch.serialization.inspect(io.BytesIO(data)).unsafe_globals == ["os.system"]


def test_checksums():
    data = bytearray(saved(torch.arange(100.0)).getvalue())
    at = torch.serialization.inspect(io.BytesIO(data)).tensors[0].offset
    data[at + 50] ^= 1
    assert torch.serialization.inspect(io.BytesIO(data)).problems == []
    summary = torch.serialization.inspect(io.BytesIO(data), checksums=True)
    assert summary.problems == ["record data/0: wrong checksum"]


def test_shared_and_endless_containers_are_walked_once():
    shared = [torch.ones(1)]
    for _ in range(60):
        shared = [shared, shared]
    endless = [torch.ones(2)]
    endless.append(endless)
    summary = torch.serialization.inspect(saved([shared, endless]))
    assert len(summary.tensors) == 2


def test_deep_nesting_is_said_to_be_left_out():
    deep = by_hand.ops(*["EMPTY_LIST"] * 1000, by_hand.tensor(), *["APPEND"] * 1000)
    summary = torch.serialization.inspect(io.BytesIO(by_hand.archive(by_hand.program(deep))))
    assert summary.tensors == [] and "more than 200 deep" in summary.problems[0]


@pytest.mark.parametrize(
    ("data", "error"), [(b"", EOFError), (b"no checkpoint at all", Exception), (by_hand.sound()[:200], RuntimeError)]
)
def test_what_is_no_checkpoint(data, error):
    with pytest.raises(error):
        torch.serialization.inspect(io.BytesIO(data))
