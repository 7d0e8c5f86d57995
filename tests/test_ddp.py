"""Training in several processes is training in one."""

import ddp_targets as targets
import pytest

import torch.multiprocessing as mp


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_data_parallel(size, tmp_path):
    mp.spawn(targets.ddp, (size, str(tmp_path / "meet")), size)
