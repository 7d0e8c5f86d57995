"""Options of ``torch.save`` and ``torch.load``: devices, mapping, protocols, byte counts, what is allowed, settings."""

import argparse
import collections
import io
import os
import pickle
import subprocess
import sys
import zipfile

import pytest

import torch
from torch.utils.serialization import config


def saved(obj, **options):
    file = io.BytesIO()
    torch.save(obj, file, **options)
    file.seek(0)
    return file


# ---- devices


@pytest.mark.parametrize(
    "map_location",
    [None, "cpu", torch.device("cpu"), {"cpu": "cpu"}, {"cuda:0": "cpu"}, {}, lambda s, at: s, lambda s, at: None],
    ids=str,
)
@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("weights_only", [True, False])
def test_places_in_memory(map_location, new, weights_only):
    file = saved(torch.arange(3), _use_new_zipfile_serialization=new)
    assert torch.load(file, map_location=map_location, weights_only=weights_only).tolist() == [0, 1, 2]


@pytest.mark.parametrize("map_location", ["meta", torch.device("meta"), {"cpu": "meta"}], ids=str)
@pytest.mark.parametrize("weights_only", [True, False])
def test_the_meta_device_takes_no_bytes(map_location, weights_only, tmp_path):
    path = tmp_path / "file.pt"
    torch.save({"w": torch.ones(4, 2).t(), "p": torch.nn.Parameter(torch.ones(3))}, path)
    # The records themselves are ruined, so that reading them would show.
    with zipfile.ZipFile(path) as file:
        offset = torch.serialization.inspect(path).storages[0].offset
        assert file.testzip() is None
    data = bytearray(path.read_bytes())
    data[offset : offset + 32] = b"\xff" * 32
    back = torch.load(io.BytesIO(data), map_location=map_location, weights_only=weights_only)
    assert back["w"].is_meta and back["w"].shape == (2, 4) and back["w"].stride() == (1, 2)
    assert back["p"].is_meta and back["p"].requires_grad


def test_a_function_sees_each_storage_once_and_its_place():
    base = torch.arange(4.0)
    seen = []

    def place(storage, where):
        seen.append((where, storage.nbytes(), type(storage)))
        return storage

    torch.load(saved([base, base[1:], torch.ones(2, dtype=torch.int16)]), map_location=place)
    assert seen == [("cpu", 16, torch.UntypedStorage), ("cpu", 4, torch.UntypedStorage)]


def test_errors_of_a_function_of_the_caller_stay_as_they_are():
    def place(storage, where):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        torch.load(saved(torch.ones(2)), map_location=place)


@pytest.mark.parametrize(
    ("map_location", "error", "part"),
    [
        ("nowhere", RuntimeError, "don't know how to restore data location of torch.storage.UntypedStorage "
                                  r"\(tagged with nowhere\)"),
        ("cpu:0", RuntimeError, r"tagged with cpu:0"),
        ("hpu", RuntimeError, "The HPU device module is not registered"),
        (lambda s, where: "x", TypeError, "Argument 'wrap_storage' must be UntypedStorage, but got <class 'str'>"),
        (3, TypeError, "'int' object is not callable"),
    ],
    ids=str,
)  # fmt: skip
def test_places_that_are_none(map_location, error, part):
    with pytest.raises(error, match=part):
        torch.load(saved(torch.ones(2)), map_location=map_location)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_that_is_not_there():
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device but"):
        torch.load(saved(torch.ones(2)), map_location={"cpu": "cuda:1"})


def test_a_registered_device(monkeypatch):
    from torch import _checkpoint_devices

    monkeypatch.setattr(_checkpoint_devices, "_registry", list(_checkpoint_devices._registry))
    seen = []

    def restore(storage, where):
        seen.append(where)
        return storage if where == "mine" else None

    torch.serialization.register_package(5, lambda s: "mine" if s.device.type == "cpu" else None, restore)
    file = saved(torch.arange(2))
    assert torch.serialization.inspect(file).storages[0].location == "mine"
    file.seek(0)
    assert torch.load(file).tolist() == [0, 1] and seen == ["mine"]


# ---- mapping


def test_mapped_writes_stay_here_or_reach_the_file(tmp_path):
    path = tmp_path / "file.pt"
    torch.save(torch.zeros(100), path)
    torch.load(path, mmap=True).fill_(1)
    assert torch.load(path).sum() == 0
    with torch.serialization.set_default_mmap_options(torch.serialization.MAP_SHARED):
        torch.load(path, mmap=True).fill_(1)
    assert torch.load(path).sum() == 100
    assert torch.serialization.get_default_mmap_options() == torch.serialization.MAP_PRIVATE


def test_mapped_tensors_share_storages(tmp_path):
    base = torch.arange(6.0)
    torch.save([base, base[2:]], tmp_path / "file.pt")
    a, b = torch.load(tmp_path / "file.pt", mmap=True)
    b[0] = 9
    assert a[2] == 9 and a.data_ptr() % 64 == 0


def test_what_cannot_be_mapped(tmp_path):
    path = tmp_path / "old.pt"
    torch.save(torch.ones(2), path, _use_new_zipfile_serialization=False)
    with pytest.raises(RuntimeError, match="mmap can only be used with files saved with"):
        torch.load(path, mmap=True)
    with pytest.raises(ValueError, match="f must be a file path in order to use the mmap argument"):
        torch.load(saved(1), mmap=True)
    with pytest.raises(ValueError, match="expected mmap.MAP_PRIVATE or mmap.MAP_SHARED, but got 3"):
        torch.serialization.set_default_mmap_options(3)


# ---- how it is written


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("new", [True, False])
def test_protocols(protocol, new):
    value = {"w": torch.arange(3.0), "b": b"bytes", "s": {1, 2}, "o": collections.OrderedDict(a=1), "n": 2**70}
    for weights_only in (True, False):
        file = saved(value, pickle_protocol=protocol, _use_new_zipfile_serialization=new)
        back = torch.load(file, weights_only=weights_only)
        assert back["w"].tolist() == [0, 1, 2]
        assert {k: v for k, v in back.items() if k != "w"} == {k: v for k, v in value.items() if k != "w"}


def test_records(tmp_path):
    def records(**options):
        with zipfile.ZipFile(saved(torch.ones(2), **options)) as file:
            return file.namelist()

    full = ["data.pkl", ".format_version", ".storage_alignment", "byteorder", "data/0", "version",
            ".data/serialization_id"]  # fmt: skip
    assert records() == [f"archive/{name}" for name in full]
    assert records(_disable_byteorder_record=True) == [f"archive/{name}" for name in full if name != "byteorder"]


@pytest.mark.parametrize("alignment", [1, 64, 512, 4096])
def test_alignment(alignment, tmp_path):
    path = tmp_path / "file.pt"
    with config.patch("save.storage_alignment", alignment):
        torch.save([torch.ones(3), torch.ones(5)], path)
    assert all(record.offset % alignment == 0 for record in torch.serialization.inspect(path).records)
    assert torch.load(path)[1].sum() == 5
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None and file.read("file/.storage_alignment") == str(alignment).encode()


def test_checksums_can_be_left_out():
    torch.serialization.set_crc32_options(False)
    try:
        assert not torch.serialization.get_crc32_options() and config.save.compute_crc32 is False
        file = saved(torch.ones(1 << 19))
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(file) as archive:
        assert {entry.CRC for entry in archive.infolist()} == {0}
    file.seek(0)
    assert torch.load(file).sum() == 1 << 19


def test_equal_content_gives_equal_bytes():
    assert saved({"w": torch.arange(5)}).getvalue() == saved({"w": torch.arange(5)}).getvalue()


def test_skipping_the_data():
    with torch.serialization.skip_data():
        empty = saved({"w": torch.ones(1000)})
    full = saved({"w": torch.ones(1000)})
    assert len(empty.getvalue()) == len(full.getvalue())
    assert torch.load(empty)["w"].tolist() == [0] * 1000
    with torch.serialization.skip_data():
        assert torch.load(full)["w"].shape == (1000,)
        with pytest.raises(RuntimeError, match="Cannot use skip_data=True with _use_new_zipfile_serialization=False"):
            saved(1, _use_new_zipfile_serialization=False)
    full.seek(0)
    assert torch.load(full)["w"].sum() == 1000


@pytest.mark.parametrize("new", [True, False])
def test_views_as_different_dtypes_cannot_be_saved_together(new):
    x = torch.arange(4.0)
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        saved([x, x.view(torch.int32)], _use_new_zipfile_serialization=new)


# ---- what is allowed


class Settings:
    """A class that no checkpoint may use by itself."""

    def __init__(self, rate):
        self.rate = rate


class Strict:
    def __init__(self):
        self.value = 1

    def __setstate__(self, state):
        raise TypeError("mine")


class Numbers(list):
    pass


def renamed(value):
    return ("renamed", value)


@pytest.fixture(autouse=True)
def nothing_allowed():
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


def test_allowing_classes():
    file = saved(Settings(0.5))
    with pytest.raises(pickle.UnpicklingError, match=r"add_safe_globals\(\[.*Settings\]\)"):
        torch.load(file)
    file.seek(0)
    assert torch.serialization.get_unsafe_globals_in_checkpoint(file) == [f"{__name__}.Settings"]
    torch.serialization.add_safe_globals([Settings])
    assert torch.serialization.get_safe_globals() == [Settings]
    file.seek(0)
    assert torch.serialization.get_unsafe_globals_in_checkpoint(file) == []
    file.seek(0)
    assert torch.load(file).rate == 0.5
    torch.serialization.clear_safe_globals()
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(file)


def test_allowing_for_a_while():
    file = saved(argparse.Namespace(lr=0.1))
    with torch.serialization.safe_globals([argparse.Namespace]):
        assert torch.load(file).lr == 0.1
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="argparse.Namespace"):
        torch.load(file)


def test_allowing_under_another_name():
    data = saved(Settings(2)).getvalue()
    name = f"{__name__}\nSettings".encode()
    other = b"x" * len(__name__) + b"\nSettings"
    file = io.BytesIO(data.replace(name, other))
    with torch.serialization.safe_globals([(Settings, other.decode().replace("\n", "."))]):
        assert torch.load(file).rate == 2


@pytest.mark.parametrize(
    ("entry", "error"),
    [((1, 2, 3), ValueError), ((1, "name"), TypeError), ((Settings, 3), TypeError)],
    ids=str,
)
def test_entries_that_are_none(entry, error):
    with torch.serialization.safe_globals([entry]), pytest.raises(error, match="Expected"):
        torch.load(saved(1))


def test_errors_of_an_allowed_class_stay_as_they_are():
    with torch.serialization.safe_globals([Strict]), pytest.raises(TypeError, match="^mine$"):
        torch.load(saved(Strict()))


def test_an_allowed_list():
    numbers = Numbers([1, torch.ones(2)])
    numbers.name = "two"
    with torch.serialization.safe_globals([Numbers]):
        back = torch.load(saved(numbers))
    assert type(back) is Numbers and back[0] == 1 and back[1].sum() == 2 and back.name == "two"


def test_os_stays_blocked_even_when_it_is_allowed():
    file = saved(os.system)
    with torch.serialization.safe_globals([os.system]), pytest.raises(pickle.UnpicklingError, match="is blocked"):
        torch.load(file)


def test_trusting_a_file_builds_its_classes():
    back = torch.load(saved(Settings(3)), weights_only=False)
    assert type(back) is Settings and back.rate == 3
    assert torch.load(saved(Settings(3)), pickle_module=pickle).rate == 3
    with pytest.raises(RuntimeError, match="Can not safely load weights when explicit pickle_module is specified"):
        torch.load(saved(1), pickle_module=pickle, weights_only=True)


def test_trusting_a_file_whose_classes_are_gone():
    name = f"{__name__}\nSettings".encode()
    data = saved(Settings(2)).getvalue().replace(name, b"x" * len(__name__) + b"\nSettings")
    with pytest.raises(ModuleNotFoundError, match="x" * len(__name__)):
        torch.load(io.BytesIO(data), weights_only=False)


@pytest.mark.parametrize(
    ("environment", "printed"),
    [
        ({}, "UnpicklingError"),
        ({"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}, "loaded"),
        ({"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "y"}, "UnpicklingError"),
        ({"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"}, "RuntimeError"),
    ],
    ids=str,
)
def test_the_environment(environment, printed, tmp_path):
    torch.save(argparse.Namespace(), tmp_path / "file.pt")
    program = (
        "import sys, torch\ntry:\n    torch.load(sys.argv[1])\n    print('loaded')\n"
        "except Exception as error:\n    print(type(error).__name__)"
    )
    command = [sys.executable, "-P", "-c", program, str(tmp_path / "file.pt")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=True)
    assert done.stdout.strip() == printed


# ---- records instead of unknown classes


def test_unknown_classes_become_records():
    value = {"settings": Settings(0.5), "numbers": Numbers([1, 2]), "w": torch.ones(2), "function": renamed}
    with torch.serialization.inert_unknown():
        back = torch.load(saved(value))
    settings, numbers = back["settings"], back["numbers"]
    assert type(settings) is torch.serialization.InertRecord
    assert settings.name == f"{__name__}.Settings" and settings.state == {"rate": 0.5}
    assert numbers.name == f"{__name__}.Numbers" and numbers.items == [1, 2]
    assert type(back["function"]) is torch.serialization.InertGlobal
    assert back["function"].name == f"{__name__}.renamed"
    assert back["w"].sum() == 2
    assert repr(settings) == f"InertRecord('{__name__}.Settings', state=<1 entries: rate>)"
    with pytest.raises(pickle.UnpicklingError):
        torch.load(saved(value))


@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_records_of_all_protocols(protocol):
    with torch.serialization.inert_unknown():
        back = torch.load(saved([Settings(1), collections.defaultdict(list, a=1)], pickle_protocol=protocol))
    assert back[0].name == f"{__name__}.Settings" and back[0].state == {"rate": 1}
    assert back[1].name == "collections.defaultdict" and back[1].entries == [("a", 1)]


def test_a_module_without_its_class():
    with torch.serialization.inert_unknown():
        back = torch.load(saved(torch.nn.Linear(2, 3)))
    assert back.name == "torch.nn.modules.linear.Linear"
    assert back.state["_parameters"]["weight"].shape == (3, 2)


class Tagged(torch.Tensor):
    pass


def test_a_tensor_of_an_unknown_class():
    value = torch.arange(3).as_subclass(Tagged)
    value.tag = "x"
    with torch.serialization.inert_unknown():
        back = torch.load(saved(value))
    assert back.name == f"{__name__}.Tagged" and back.args[0].tolist() == [0, 1, 2] and back.state == {"tag": "x"}
    with torch.serialization.safe_globals([Tagged]):
        back = torch.load(saved(value))
    assert type(back) is Tagged and back.tag == "x"


def test_what_is_allowed_is_built_all_the_same():
    with torch.serialization.inert_unknown(), torch.serialization.safe_globals([Settings]):
        assert type(torch.load(saved(Settings(1)))) is Settings


# ---- settings


def test_settings_hold_for_a_while():
    assert config.get_config_copy() == {
        "load.mmap": False,
        "load.endianness": None,
        "load.mmap_flags": 2,
        "load.calculate_storage_offsets": False,
        "save.compute_crc32": True,
        "save.use_pinned_memory_for_d2h": False,
        "save.storage_alignment": 64,
    }
    with config.patch({"load.mmap": True, "save.compute_crc32": False}):
        assert config.load.mmap and not torch.serialization.get_crc32_options()
    assert not config.load.mmap and config.save.compute_crc32
    assert config.patch("load.mmap", True)(lambda: config.load.mmap)()
    for call in (lambda: config.load.nothing, lambda: setattr(config.save, "nothing", 1), lambda: config.nothing,
                 config.patch(nothing=1).__enter__):  # fmt: skip
        with pytest.raises(AttributeError, match=r"torch\.utils\.serialization\.config\..*nothing does not exist"):
            call()


def test_settings_are_copied_and_written():
    config.load.mmap = True
    try:
        assert config.codegen_config() == "torch.utils.serialization.config.load.mmap = True"
        state = config.save_config()
    finally:
        del config.load.mmap
    assert config.codegen_config() == "" and config.get_type("load.mmap") is bool
    config.load_config(state)
    assert config.load.mmap
    config.load_config({"load.mmap": False})
    assert not config.load.mmap


def test_the_setting_maps_files_at_paths_only(tmp_path):
    torch.save(torch.zeros(10), tmp_path / "file.pt")
    with config.patch("load.mmap", True), torch.serialization.set_default_mmap_options(1):
        torch.load(tmp_path / "file.pt").fill_(1)
        assert torch.load(saved(torch.ones(2))).sum() == 2
    assert torch.load(tmp_path / "file.pt").sum() == 10


def test_byte_orders_have_names():
    kinds = torch.serialization.LoadEndianness
    assert [kind.name for kind in kinds] == ["NATIVE", "LITTLE", "BIG"] and kinds(3) is kinds["BIG"]
    with pytest.raises(TypeError, match="Invalid argument type in function set_default_load_endianness"):
        torch.serialization.set_default_load_endianness("big")


# ---- arguments


@pytest.mark.parametrize(
    ("call", "error", "part"),
    [
        (lambda: torch.save(1, 3), AttributeError, "expected 'f' to be string, path, or a file-like object"),
        (lambda: torch.load(3), AttributeError, "'int' object has no attribute 'seek'. You can only torch.load from"),
        (lambda: torch.load("/nowhere/file.pt"), FileNotFoundError, "No such file"),
        (lambda: torch.load("/"), IsADirectoryError, "Is a directory"),
        (lambda: torch.save(1, io.BytesIO(), pickle_protocol=9), ValueError, "pickle protocol must be <= 5"),
        (lambda: torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(b"abcdef")), ValueError,
         "Expected input to be a checkpoint returned by torch.save"),
    ],
    ids=range(6),
)  # fmt: skip
def test_wrong_arguments(call, error, part):
    with pytest.raises(error, match=part):
        call()


def test_a_checkpoint_inside_another_file():
    file = io.BytesIO()
    file.write(b"some other bytes")
    torch.save({"w": torch.arange(3)}, file)
    file.seek(16)
    assert torch.load(file)["w"].tolist() == [0, 1, 2]
    file.seek(16)
    assert torch.serialization.inspect(file).tensors[0].path == "w"
