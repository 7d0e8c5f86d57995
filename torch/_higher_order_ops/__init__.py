"""Operations that take functions: branches, loops and scans whose control depends on elements of tensors.

Run as they are they are Python's own control flow; a traced program keeps them as one node each.
"""

from __future__ import annotations

from .associative_scan import associative_scan
from .cond import cond, cond_op
from .scan import scan
from .while_loop import while_loop, while_loop_op
from .wrap import wrap_with_set_grad_enabled_op

__all__ = [
    "associative_scan",
    "cond",
    "cond_op",
    "scan",
    "while_loop",
    "while_loop_op",
    "wrap_with_set_grad_enabled_op",
]
