"""Training with parameters in pieces is training with whole ones."""

import fsdp_targets as targets
import pytest

import torch.multiprocessing as mp


@pytest.mark.parametrize("size", [2, 3])
def test_parameters_in_pieces(size, tmp_path):
    mp.spawn(targets.fsdp, (size, str(tmp_path / "meet")), size)
