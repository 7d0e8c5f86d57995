"""Checkpoints cross: those in data/checkpoints were written by PyTorch (tools/record_checkpoints.py)."""

import collections
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import checkpoint_programs
import hostile_checkpoints as by_hand
import pytest
import support

import torch

FOLDER = support.DATA / "checkpoints"
RECORDED = json.loads((FOLDER / "recorded.json").read_text(encoding="utf-8"))["cases"]
ROOT = Path(__file__).resolve().parent.parent


def through_json(found):
    return json.loads(json.dumps(found))


@pytest.fixture(autouse=True)
def unchanged_generator():
    state = torch.get_rng_state()
    yield
    torch.set_rng_state(state)


def test_the_files_are_those_of_the_programs():
    stored = {name for name, case in checkpoint_programs.CASES.items() if case.stored}
    assert stored == set(RECORDED) == {path.stem for path in FOLDER.glob("*.pt")}
    assert len(stored) >= 20
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_000_000


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("options", [{}, {"mmap": True}], ids=["read", "mapped"])
def test_a_checkpoint_of_pytorch(name, options):
    if name == "arrays":
        pytest.importorskip("numpy")
    if options and name.startswith("legacy"):
        pytest.skip("the old format cannot be mapped")
    case = checkpoint_programs.CASES[name]
    found = through_json(case.describe(case.load(FOLDER / f"{name}.pt", **options)))
    assert checkpoint_programs.differences(found, RECORDED[name]) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", checkpoint_programs.CASES)
def test_what_is_written_here_reads_back_the_same(name, tmp_path):
    if name == "arrays":
        pytest.importorskip("numpy")
    case = checkpoint_programs.CASES[name]
    expected = through_json(checkpoint_programs.describe(case.save(tmp_path / "file.pt")))
    assert through_json(checkpoint_programs.describe(case.load(tmp_path / "file.pt"))) == expected


@pytest.mark.skipif("TABULA_REFERENCE" not in os.environ, reason="TABULA_REFERENCE: the Python of an installed PyTorch")
def test_pytorch_loads_what_is_written_here():
    command = [sys.executable, "-P", str(ROOT / "tools" / "check_checkpoints.py"), os.environ["TABULA_REFERENCE"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- what PyTorch no longer writes


def old_tar(little=True):
    """The format before 0.2: a tensor, a view of a part of its storage, and the storage itself."""
    order = "<" if little else ">"
    glob, number, program, text = by_hand.glob, by_hand.number, by_hand.program, by_hand.text
    system = {"protocol_version": 1000, "little_endian": little, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    storages = pickle.dumps(1, 2) + program("MARK", number(7), text("cpu"), glob("torch.FloatStorage"), "TUPLE")
    storages += struct.pack(f"{order}q6f", 6, *range(6)) + pickle.dumps([(8, 7, 2, 3)], 2)
    tensors = pickle.dumps(2, 2)
    for key, storage, geometry in ((1, 7, (2, 3, 3, 1, 0)), (2, 8, (3, 1, 0))):
        tensors += program("MARK", number(key), number(storage), glob("torch.FloatTensor"), "TUPLE")
        tensors += struct.pack(f"{order}i4x{len(geometry)}q", len(geometry) // 2, *geometry)
    parts = [number(1), "BINPERSID", text("2"), "BINPERSID", number(7), "BINPERSID"]
    return by_hand.tar(
        sys_info=pickle.dumps(system, 2), storages=storages, tensors=tensors, pickle=program("MARK", *parts, "LIST")
    )


@pytest.mark.parametrize("little", [True, False], ids=["little", "big"])
@pytest.mark.parametrize("weights_only", [True, False])
def test_the_oldest_format(weights_only, little):
    whole, part, storage = torch.load(io.BytesIO(old_tar(little)), weights_only=weights_only)
    assert whole.tolist() == [[0, 1, 2], [3, 4, 5]] and part.tolist() == [2, 3, 4]
    assert storage.tolist() == [0, 1, 2, 3, 4, 5] and storage.dtype is torch.float32
    assert part.data_ptr() == whole.data_ptr() + 8
    whole.fill_(9)
    assert part.tolist() == [9, 9, 9]


@pytest.mark.parametrize("weights_only", [True, False])
def test_views_of_storages_share_their_memory(weights_only):
    """Before PyTorch 0.4 a view of a storage was a storage of its own."""
    glob, number, program, text = by_hand.glob, by_hand.number, by_hand.program, by_hand.text
    fields = [text("storage"), glob("torch.FloatStorage"), text("0"), text("cpu"), number(4)]
    view = by_hand.ops("MARK", *fields, "MARK", text("v"), number(1), number(3), "TUPLE", "TUPLE", "BINPERSID")
    both = program(by_hand.tensor(size=(4,)), by_hand.tensor(view, size=(3,)), "TUPLE2")
    data = by_hand.legacy(both, by_hand.legacy_tail())
    whole, part = torch.load(io.BytesIO(data), weights_only=weights_only)
    assert whole.tolist() == [0, 1, 2, 3] and part.tolist() == [1, 2, 3]
    whole[1] = 7
    assert part.tolist() == [7, 2, 3]


def test_a_module_with_its_source_as_the_old_format_has_it():
    """The source served to warn of changes; the class is what counts."""
    glob, program, text = by_hand.glob, by_hand.program, by_hand.text
    name = by_hand.ops("MARK", text("module"), glob("collections.OrderedDict"), text("file.py"), text("source"))
    data = by_hand.legacy(program(name, "TUPLE", "BINPERSID", "EMPTY_TUPLE", "REDUCE"), pickle.dumps([], 2))
    for weights_only in (True, False):
        found = torch.load(io.BytesIO(data), weights_only=weights_only)
        assert type(found) is collections.OrderedDict and not found


def test_python_2_strings():
    data = by_hand.archive(by_hand.program(b"U\4text", b"S'more'\n", "TUPLE2"))
    assert torch.load(io.BytesIO(data)) == ("text", "more")
    assert torch.load(io.BytesIO(data), encoding="bytes") == (b"text", b"more")


@pytest.mark.filterwarnings("ignore")
def test_a_nested_tensor_in_the_old_format():
    """Its sizes are tensors, whose values the old format holds behind the pickle: PyTorch cannot read its own file."""
    parts = [torch.arange(6.0).view(2, 3), torch.arange(3.0).view(1, 3)]
    nested = torch.nested.nested_tensor(parts)
    for weights_only in (True, False):
        file = io.BytesIO()
        torch.save(nested, file, _use_new_zipfile_serialization=False)
        file.seek(0)
        back = torch.load(file, weights_only=weights_only)
        assert [part.tolist() for part in back.unbind()] == [part.tolist() for part in parts]


# ---- byte order


def big_endian(byteorder=True):
    """A checkpoint as a machine of the other order writes it."""
    records = {"archive/data/0": struct.pack(">4f", 0, 1, 2, 3), "archive/byteorder": b"big"}
    data = by_hand.archive(by_hand.program(by_hand.tensor(size=(4,))), records)
    return data if byteorder else data.replace(b"archive/byteorder", b"archive/otherorder"[:17])


@pytest.mark.parametrize("weights_only", [True, False])
def test_the_recorded_byte_order_is_obeyed(weights_only, tmp_path):
    assert torch.load(io.BytesIO(big_endian()), weights_only=weights_only).tolist() == [0, 1, 2, 3]
    path = tmp_path / "big.pt"
    path.write_bytes(big_endian())
    for flags in (1, 2):
        with torch.serialization.set_default_mmap_options(flags):
            assert torch.load(path, mmap=True).tolist() == [0, 1, 2, 3]
    assert path.read_bytes() == big_endian(), "swapping must not reach the file"


@pytest.mark.parametrize("kind", ["BIG", "LITTLE", "NATIVE"])
def test_the_assumed_byte_order(kind):
    data = big_endian(byteorder=False)
    before = torch.serialization.get_default_load_endianness()
    torch.serialization.set_default_load_endianness(torch.serialization.LoadEndianness[kind])
    try:
        found = torch.load(io.BytesIO(data)).tolist()
    finally:
        torch.serialization.set_default_load_endianness(before)
    assert (found == [0, 1, 2, 3]) is (kind == "BIG" or (kind == "NATIVE" and sys.byteorder == "big"))


@pytest.mark.parametrize("dtype", ["int16", "int64", "float64", "complex64", "bfloat16", "uint8"])
def test_swapping_bytes_of_every_width(dtype, tmp_path):
    kind = getattr(torch, dtype)
    value = torch.tensor([1, 2, 3]).to(kind)
    path = tmp_path / "file.pt"
    torch.save(value, path)
    width = kind.itemsize // 2 if kind.is_complex else kind.itemsize
    raw = bytes(value.untyped_storage())
    swapped = b"".join(raw[i : i + width][::-1] for i in range(0, len(raw), width))
    with zipfile.ZipFile(path) as file:
        records = {name: file.read(name) for name in file.namelist()}
    records["file/byteorder"], records["file/data/0"] = b"big", swapped
    with zipfile.ZipFile(path, "w") as file:
        for name, content in records.items():
            file.writestr(name, content)
    assert torch.load(path).tolist() == value.tolist()
