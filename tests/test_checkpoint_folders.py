"""Checkpoints in folders: ours and PyTorch's."""

import json
import pickle

import checkpoint_targets as targets
import pytest
import support

import torch
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save, torch_save_to_dcp


def test_in_several_processes(tmp_path):
    mp.spawn(targets.checkpoints, (2, str(tmp_path)), 2)


def test_what_pytorch_wrote(tmp_path):
    """The folder was written by PyTorch 2.13."""
    folder = support.DATA / "checkpoint_dcp"
    state = {
        "model": {"w": torch.zeros(2, 3), "b": torch.zeros(3, dtype=torch.bfloat16)},
        "step": 0,
        "list": [torch.ones(2), ""],
        "opt": {"state": {0: {"exp": torch.zeros(2)}}},
    }
    dcp.load(state, checkpoint_id=folder)
    assert torch.equal(state["model"]["w"], torch.arange(6.0).view(2, 3))
    assert torch.equal(state["model"]["b"], torch.ones(3, dtype=torch.bfloat16))
    assert state["step"] == 5 and state["list"][1] == "x" and state["list"][0].tolist() == [0, 0]
    assert state["opt"]["state"][0]["exp"].tolist() == [1, 1]
    dcp_to_torch_save(folder, tmp_path / "one.pt")
    whole = torch.load(tmp_path / "one.pt")
    assert torch.equal(whole["model"]["w"], state["model"]["w"]) and whole["opt"]["state"]["0"]["exp"].sum() == 2
    torch_save_to_dcp(tmp_path / "one.pt", tmp_path / "folder")
    again = {"step": 0, "model": {"w": torch.zeros(2, 3)}}
    dcp.load(again, checkpoint_id=tmp_path / "folder")
    assert again["step"] == 5 and torch.equal(again["model"]["w"], state["model"]["w"])


def test_objects_with_a_state(tmp_path):
    class Counter:
        def __init__(self):
            self.count = 0

        def state_dict(self):
            return {"count": self.count}

        def load_state_dict(self, state_dict):
            self.count = state_dict["count"]

    model, counter = torch.nn.Linear(2, 2), Counter()
    counter.count = 7
    dcp.save({"model": model, "counter": counter}, checkpoint_id=tmp_path / "ck")
    fresh, other = torch.nn.Linear(2, 2), Counter()
    dcp.load({"model": fresh, "counter": other}, checkpoint_id=tmp_path / "ck")
    assert torch.equal(fresh.weight, model.weight) and other.count == 7
    with open(tmp_path / "ck" / ".metadata", "rb") as file:
        metadata = pickle.load(file)
    assert metadata.version == "1.0.0" and metadata.planner_data["model.weight"] == ("model", "weight")
    with pytest.raises(RuntimeError, match="must be specified"):
        dcp.save({})
    writer = dcp.FileSystemWriter(tmp_path / "ck", overwrite=False)
    with pytest.raises(dcp.CheckpointException, match="already exists"):
        dcp.save({"a": 1}, storage_writer=writer)


def test_files_of_safetensors(tmp_path):
    state = {"w": torch.arange(12.0).view(3, 4), "b": torch.ones(3, dtype=torch.bfloat16), "n": torch.tensor(5)}
    writer = dcp.HuggingFaceStorageWriter(str(tmp_path), fqn_to_index_mapping={"w": 1, "b": 2, "n": 2})
    dcp.save(state, storage_writer=writer)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
    ]  # fmt: skip
    header = (tmp_path / names[0]).read_bytes()
    length = int.from_bytes(header[:8], "little")
    entry = json.loads(header[8 : 8 + length])["w"]
    assert entry == {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]} and len(header) == 8 + length + 48
    loaded = {name: torch.zeros_like(value) for name, value in state.items()}
    dcp.load(loaded, storage_reader=dcp.HuggingFaceStorageReader(str(tmp_path)))
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
    with pytest.raises(dcp.CheckpointException, match="tensors only"):
        dcp.save({"x": "text"}, storage_writer=dcp.HuggingFaceStorageWriter(str(tmp_path)))


def test_quantised_weights(tmp_path):
    state = {"w": torch.full((4, 6), 2, dtype=torch.int8), "w_scale_inv": torch.tensor([[1.0, 2, 3], [4, 5, 6]])}
    dcp.save(state, storage_writer=dcp.HuggingFaceStorageWriter(str(tmp_path)))
    loaded = {"w": torch.zeros(4, 6)}
    dcp.load(loaded, storage_reader=dcp.QuantizedHuggingFaceStorageReader(str(tmp_path), block_size=2))
    assert torch.equal(loaded["w"], 2 * torch.kron(state["w_scale_inv"], torch.ones(2, 2)))


def test_copies_are_made_and_written_in_the_background(tmp_path):
    from torch.distributed.checkpoint.staging import DefaultStager

    state = {"w": torch.arange(1000.0)}
    begun = dcp.async_save(state, checkpoint_id=tmp_path / "ck", async_stager=DefaultStager())
    begun.staging_completion.result()
    state["w"].zero_()  # the copy is made: this does not reach the file
    begun.upload_completion.result()
    loaded = {"w": torch.zeros(1000)}
    dcp.load(loaded, checkpoint_id=tmp_path / "ck")
    assert torch.equal(loaded["w"], torch.arange(1000.0))
