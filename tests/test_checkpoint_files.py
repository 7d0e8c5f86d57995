"""Files that ``torch.save`` writes: whole or not at all, with the old one's mode, through links, and to file-likes."""

import io
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import zipfile

import pytest

import torch

SIZE = 1 << 20  # elements: long enough in writing to be killed in the middle


def content(version):
    return {"first": torch.full((SIZE,), float(version)), "last": torch.full((SIZE,), float(version))}


def version_of(path):
    """The version of a whole file; torn ones do not load, or hold two."""
    values = {value for tensor in torch.load(path).values() for value in (tensor.min().item(), tensor.max().item())}
    assert len(values) == 1
    return int(values.pop())


WRITER = """
import itertools, sys, torch
def content(version):
    return {name: torch.full((%d,), float(version)) for name in ("first", "last")}
print("ready", flush=True)
for version in itertools.count(1):
    torch.save(content(version), sys.argv[1], _use_new_zipfile_serialization=sys.argv[2] == "zip")
""" % SIZE


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_killed_writer_leaves_the_old_file_or_the_new_one(kind, tmp_path):
    path = tmp_path / "file.pt"
    torch.save(content(0), path)
    before, moments = 0, random.Random(1)
    for _ in range(10):
        command = [sys.executable, "-P", "-c", WRITER, str(path), kind]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline() == b"ready\n"
            try:
                writer.wait(moments.uniform(0, 0.08))
            except subprocess.TimeoutExpired:
                writer.send_signal(signal.SIGKILL)
        assert writer.returncode == -signal.SIGKILL
        found = version_of(path)
        assert found >= 0
        before += found > 0
        for other in tmp_path.iterdir():
            # Between getting its name and taking the file's place, a new file is whole already.
            assert version_of(other) >= 0
    assert before, "no writer was fast enough to write anything"


def test_a_reader_beside_a_writer_sees_whole_files(tmp_path):
    path = tmp_path / "file.pt"
    torch.save(content(0), path)

    def write():
        for version in range(1, 20):
            torch.save(content(version), path)

    writer = threading.Thread(target=write)
    writer.start()
    seen = [version_of(path)]
    while writer.is_alive():
        seen.append(version_of(path))
    writer.join()
    assert seen == sorted(seen)


class Refuses:
    """Cannot be pickled."""

    def __reduce__(self):
        raise RuntimeError("not this one")


@pytest.mark.parametrize("new", [True, False])
def test_an_error_leaves_the_old_file_and_nothing_else(new, tmp_path):
    path = tmp_path / "file.pt"
    torch.save(content(1), path)
    with pytest.raises(RuntimeError, match="not this one"):
        torch.save([torch.ones(3), Refuses()], path, _use_new_zipfile_serialization=new)
    assert version_of(path) == 1 and os.listdir(tmp_path) == ["file.pt"]


def test_a_full_device_leaves_the_old_file(tmp_path):
    import resource

    path = tmp_path / "file.pt"
    torch.save(content(1), path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            torch.save(content(2), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert version_of(path) == 1 and os.listdir(tmp_path) == ["file.pt"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_the_mode_of_the_file_stays(mode, tmp_path):
    path = tmp_path / "file.pt"
    torch.save(1, path)
    path.chmod(mode)
    torch.save(2, path)
    assert stat.S_IMODE(path.stat().st_mode) == mode and torch.load(path) == 2


def test_a_new_file_has_the_mode_of_any_new_file(tmp_path):
    (tmp_path / "other").touch()
    torch.save(1, tmp_path / "file.pt")
    assert (tmp_path / "file.pt").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_link_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    real, link, chain = tmp_path / "there" / "real.pt", tmp_path / "link.pt", tmp_path / "chain.pt"
    torch.save(1, real)
    link.symlink_to("there/real.pt")
    chain.symlink_to(link)
    torch.save(2, chain)
    assert chain.is_symlink() and link.is_symlink() and not real.is_symlink()
    assert torch.load(real) == torch.load(chain) == 2
    assert os.listdir(tmp_path / "there") == ["real.pt"]


def test_a_link_to_nothing_yet_makes_the_file(tmp_path):
    (tmp_path / "link.pt").symlink_to(tmp_path / "real.pt")
    torch.save(3, tmp_path / "link.pt")
    assert (tmp_path / "link.pt").is_symlink() and torch.load(tmp_path / "real.pt") == 3


def test_a_reader_that_holds_the_old_file_keeps_it(tmp_path):
    path = tmp_path / "file.pt"
    torch.save(torch.zeros(SIZE), path)
    mapped = torch.load(path, mmap=True)
    torch.save(torch.ones(SIZE), path)
    assert mapped.sum() == 0 and torch.load(path).sum() == SIZE


def test_without_files_that_have_no_name(tmp_path, monkeypatch):
    """Some file systems have none; then the part has a name, and an error removes it."""
    monkeypatch.delattr(os, "O_TMPFILE")
    path = tmp_path / "file.pt"
    torch.save(content(1), path)
    with pytest.raises(RuntimeError, match="not this one"):
        torch.save(Refuses(), path)
    assert version_of(path) == 1 and os.listdir(tmp_path) == ["file.pt"]


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser may write everywhere")
def test_a_file_in_a_folder_that_takes_no_new_ones(tmp_path):
    path = tmp_path / "file.pt"
    torch.save(1, path)
    tmp_path.chmod(0o555)
    try:
        torch.save(2, path)
        with pytest.raises(PermissionError):
            torch.save(2, tmp_path / "other.pt")
    finally:
        tmp_path.chmod(0o755)
    assert torch.load(path) == 2


def test_pipes_and_devices_are_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    torch.save(torch.arange(3), pipe)
    reader.join()
    assert torch.load(io.BytesIO(received[0])).tolist() == [0, 1, 2]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    torch.save(1, "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_the_folder_must_be_there(tmp_path):
    with pytest.raises(RuntimeError, match="Parent directory .*missing does not exist"):
        torch.save(1, tmp_path / "missing" / "file.pt")


@pytest.mark.parametrize("name", ["a" * 250, ".hidden", "space and \u00e4.pt", "no_suffix", "two.parts.pt"])
def test_names(name, tmp_path):
    torch.save(5, tmp_path / name)
    assert torch.load(tmp_path / name) == 5 and os.listdir(tmp_path) == [name]


# ---- file-like objects


class Minimal:
    """Only what writing needs, and only pieces at a time."""

    def __init__(self, most=None):
        self.data = bytearray()
        self.most = most

    def write(self, data):
        piece = bytes(data)[: self.most]
        self.data += piece
        return len(piece)


class Silent(Minimal):
    """Does not say how much it took."""

    def write(self, data):
        super().write(data)


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("make", [Minimal, lambda: Minimal(1000), Silent, io.BytesIO])
def test_anything_with_write_is_written_to(make, new):
    file = make()
    torch.save(torch.arange(5000), file, _use_new_zipfile_serialization=new)
    data = file.getvalue() if isinstance(file, io.BytesIO) else bytes(file.data)
    assert torch.equal(torch.load(io.BytesIO(data)), torch.arange(5000))


def test_several_in_one_file(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        file.write(b"before")
        for i in range(3):
            torch.save(torch.full((4,), i), file, _use_new_zipfile_serialization=False)
    with open(tmp_path / "file", "rb") as file:
        file.seek(6)
        assert [torch.load(file, weights_only=False)[0].item() for _ in range(3)] == [0, 1, 2]


def test_the_container_is_a_zip_file_that_other_tools_read(tmp_path):
    path = tmp_path / "net.pt"
    torch.save({"large": torch.ones(1 << 19), "small": torch.ones(2)}, path)
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        names = file.namelist()
    assert names[0] == "net/data.pkl" and "net/data/0" in names and "net/version" in names
    assert torch.serialization.inspect(path, checksums=True).problems == []


@pytest.mark.parametrize("numel", [0, 1, (1 << 18) - 1, 1 << 18, (1 << 20) + 3, 5 << 20])
def test_checksums_of_all_sizes(numel, tmp_path):
    """Large ones are summed beside their writing."""
    torch.save(torch.arange(numel, dtype=torch.float32), tmp_path / "file.pt")
    with zipfile.ZipFile(tmp_path / "file.pt") as file:
        assert file.testzip() is None


def test_a_checkpoint_of_many_storages(tmp_path):
    """More records than 16 bits count."""
    tensors = list(torch.arange(70_000.0).view(-1, 1).unbind())
    torch.save([t.clone() for t in tensors], tmp_path / "file.pt")
    back = torch.load(tmp_path / "file.pt")
    assert torch.cat(back).tolist() == list(range(70_000))


@pytest.mark.slow
def test_a_checkpoint_of_more_than_four_gigabytes(tmp_path):
    path = tmp_path / "file.pt"
    big = torch.zeros((1 << 32) + 5, dtype=torch.uint8)
    big[-1] = 7
    torch.save({"big": big, "after": torch.arange(3)}, path)
    del big
    back = torch.load(path, mmap=True)
    assert back["big"][-1] == 7 and back["after"].tolist() == [0, 1, 2]
    with zipfile.ZipFile(path) as file:
        assert file.getinfo("file/data/0").file_size == (1 << 32) + 5


# ---- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("new", [True, False])
def test_long_saves_and_loads_show_how_far_they_are(new, tmp_path, monkeypatch):
    import contextlib

    from torch.utils import _progress

    pytest.importorskip("tqdm")
    path = tmp_path / "model.pt"
    quiet = Terminal()
    with contextlib.redirect_stderr(quiet):
        torch.save(content(1), path, _use_new_zipfile_serialization=new)
    assert quiet.getvalue() == "", "small"
    monkeypatch.setattr(_progress.Progress.__init__, "__kwdefaults__",
                        {**_progress.Progress.__init__.__kwdefaults__, "least": 0, "patience": 0})  # fmt: skip
    terminal = Terminal()
    with contextlib.redirect_stderr(terminal):
        torch.save(content(1), path, _use_new_zipfile_serialization=new)
        torch.load(path)
    assert "Saving model" in terminal.getvalue() and "Loading model" in terminal.getvalue()
    silent = io.StringIO()
    with contextlib.redirect_stderr(silent):
        torch.save(content(1), path, _use_new_zipfile_serialization=new)
        torch.load(path)
    assert silent.getvalue() == "", "no terminal"
