"""``ThroughputBenchmark``, which runs TorchScript modules and therefore only says that it cannot."""

from ._build import ThroughputBenchmark

__all__ = ["ThroughputBenchmark"]
