"""The older form of ``torchrun``, which hands the local rank to the program as ``--local-rank`` too."""

from __future__ import annotations

import warnings

from torch.distributed.elastic.multiprocessing.errors import record
from torch.distributed.elastic.utils import macros

from .run import get_args_parser, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["launch", "main", "parse_args"]


def parse_args(args: list[str] | None) -> Namespace:
    """Read arguments; ``--use-env`` leaves out ``--local-rank``."""
    parser = get_args_parser()
    parser.add_argument("--use-env", "--use_env", action="store_true", help="tell the local rank by LOCAL_RANK only")
    return parser.parse_args(args)


def launch(args: Namespace) -> None:
    """Launch what the arguments say."""
    if args.no_python and not args.use_env:
        raise ValueError("When using the '--no-python' flag, you must also set the '--use-env' flag.")
    if not args.use_env:
        args.training_script_args = [f"--local-rank={macros.local_rank}", *args.training_script_args]
    run(args)


@record
def main(args: list[str] | None = None) -> None:
    """The command ``python -m torch.distributed.launch``."""
    warnings.warn(
        "The module torch.distributed.launch is deprecated\nand will be removed in future. Use torchrun.",
        FutureWarning,
        stacklevel=1,
    )
    launch(parse_args(args))


if __name__ == "__main__":
    main()
