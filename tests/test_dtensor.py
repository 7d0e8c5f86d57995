"""Operations on tensors over several processes are those on whole tensors."""

import dtensor_targets as targets
import pytest

import torch.multiprocessing as mp


@pytest.mark.parametrize("size", [2, 4])
def test_distributed_tensors(size, tmp_path):
    mp.spawn(targets.dtensor, (size, str(tmp_path / "meet")), size)
