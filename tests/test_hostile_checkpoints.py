"""Damaged and hostile checkpoints raise an error that says what is wrong: nothing runs, crashes or hangs."""

import io
import os
import pickle
import re
import resource
import time

import hostile_checkpoints
import pytest

import torch

CASES = hostile_checkpoints.cases()
HARM = "/tmp/harmed"
SECONDS = 20
MEMORY = 1 << 30  # bytes beyond what the process has


def loaded(data, **options):
    """Load with a limit on memory; return the error and the seconds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    began = time.monotonic()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    try:
        with pytest.raises(Exception) as raised:
            torch.load(io.BytesIO(data), **options)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return raised.value, time.monotonic() - began


def test_the_sound_file_loads():
    assert torch.load(io.BytesIO(hostile_checkpoints.sound())).tolist() == [0, 1]
    legacy = hostile_checkpoints.legacy(
        hostile_checkpoints.program(hostile_checkpoints.tensor()), hostile_checkpoints.legacy_tail()
    )
    assert torch.load(io.BytesIO(legacy)).tolist() == [0, 1]
    number = hostile_checkpoints.program(hostile_checkpoints.number(1), "BINPERSID")
    oldest = hostile_checkpoints.tar(
        storages=hostile_checkpoints.tar_storage(), tensors=hostile_checkpoints.tar_tensor(), pickle=number
    )
    assert torch.load(io.BytesIO(oldest)).tolist() == [0, 1]


@pytest.mark.filterwarnings("ignore:'torch.load' received a zip file")
@pytest.mark.parametrize("title", CASES)
def test_loading(title):
    make, kind, part = CASES[title]
    error, seconds = loaded(make())
    assert type(error).__name__ in kind.split("|") and part in str(error), repr(error)
    assert seconds < SECONDS
    assert not os.path.exists(HARM)


@pytest.mark.filterwarnings("ignore:'torch.load' received a zip file")
@pytest.mark.parametrize("title", CASES)
def test_inspecting(title):
    """What can be listed is listed, and the rest is an error; printing it is harmless."""
    began = time.monotonic()
    try:
        summary = torch.serialization.inspect(io.BytesIO(CASES[title][0]()), checksums=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError):
        pass
    else:
        assert re.match(r"checkpoint: (zip|legacy|tar), ", str(summary))
    assert time.monotonic() - began < SECONDS
    assert not os.path.exists(HARM)


@pytest.mark.filterwarnings("ignore:'torch.load' received a zip file")
@pytest.mark.parametrize("title", CASES)
def test_loading_with_unknown_classes_inert(title):
    """Records instead of classes: either an object, or an error of a damaged file."""
    began = time.monotonic()
    with torch.serialization.inert_unknown():
        try:
            result = torch.load(io.BytesIO(CASES[title][0]()))
        except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError):
            pass
        else:
            assert "INST" not in title
            assert isinstance(result, (torch.serialization.InertRecord, torch.serialization.InertGlobal, torch.Tensor))
    assert time.monotonic() - began < SECONDS
    assert not os.path.exists(HARM)


@pytest.mark.parametrize("step", [1, 7])
def test_a_bit_flipped_anywhere_is_an_error_or_another_value(step):
    """Every byte of a small checkpoint in turn, in each of its formats."""
    whole = io.BytesIO()
    torch.save({"a": torch.arange(4.0), "b": [torch.ones(2, 2).t(), "text"]}, whole)
    legacy = io.BytesIO()
    torch.save({"a": torch.arange(4.0)}, legacy, _use_new_zipfile_serialization=False)
    for data in (whole.getvalue(), legacy.getvalue()):
        for at in range(0, len(data), step):
            flipped = bytearray(data)
            flipped[at] ^= 1 << (at % 8)
            try:
                torch.load(io.BytesIO(flipped))
            except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError):
                pass
            try:
                torch.serialization.inspect(io.BytesIO(flipped))
            except (RuntimeError, EOFError, pickle.UnpicklingError):
                pass


def test_there_are_many_of_them():
    assert len(CASES) >= 50
