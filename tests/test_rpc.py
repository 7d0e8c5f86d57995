"""Functions that are called in other processes."""

import rpc_targets as targets

import torch.multiprocessing as mp


def test_calls_references_and_gradients(tmp_path):
    mp.spawn(targets.calls, (2, str(tmp_path / "meet")), 2)
