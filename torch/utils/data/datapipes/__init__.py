"""Datasets as pipelines: ``IterDataPipe`` is a stream, ``MapDataPipe`` has indices; each wraps the one before it.

Example:

>>> from torch.utils.data.datapipes.iter import IterableWrapper
>>> pipe = IterableWrapper(range(6)).map(abs).batch(4)
>>> list(pipe)
[[0, 1, 2, 3], [4, 5]]
"""

from __future__ import annotations

from . import dataframe, datapipe, iter, map, utils  # noqa: A004

__all__ = ["dataframe", "datapipe", "iter", "map", "utils"]
