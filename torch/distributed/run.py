"""``torchrun``: run a program in several processes, on one machine or on many.

    torchrun --nproc-per-node=4 train.py --epochs 3
    torchrun --nnodes=2 --nproc-per-node=8 --rdzv-backend=c10d --rdzv-endpoint=host:29500 train.py

Each process finds RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in its environment, which is what
``torch.distributed.init_process_group`` reads.
"""

from __future__ import annotations

import os
import sys
import uuid
from argparse import REMAINDER, Action, ArgumentParser

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.elastic.multiprocessing.errors import record
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from typing import Any

__all__ = ["config_from_args", "get_args_parser", "main", "parse_args", "run"]

_STARS = "*" * 41


class _Env(Action):
    """An option whose default is an environment variable ``PET_NAME``."""

    def __init__(self, dest: str, default: Any = None, required: bool = False, **kwargs: Any) -> None:
        default = os.environ.get(f"PET_{dest.upper()}", default)
        super().__init__(dest=dest, default=default, required=required and default is None, **kwargs)

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, values)


class _Flag(Action):
    """An option without value, which the environment may set to 1."""

    def __init__(self, dest: str, default: bool = False, **kwargs: Any) -> None:
        found = bool(int(os.environ.get(f"PET_{dest.upper()}", int(default))))
        super().__init__(dest=dest, const=True, default=found, nargs=0, **kwargs)

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, self.const)


# Option, default, type, what it is for
_OPTIONS: list[tuple[str, Any, Any, str]] = [
    ("nnodes", "1:1", str, "how many machines, or MINIMUM:MAXIMUM"),
    ("nproc-per-node", "1", str, "workers for each machine: a number, auto, cpu or gpu"),
    ("rdzv-backend", "static", str, "how machines meet: static or c10d"),
    ("rdzv-endpoint", "", str, "where machines meet, HOST:PORT"),
    ("rdzv-id", "none", str, "the name of the run"),
    ("rdzv-conf", "", str, "further settings of the meeting, KEY=VALUE,..."),
    ("max-restarts", 0, int, "how often the workers are started again when one fails"),
    ("monitor-interval", 0.1, float, "seconds between two looks at the workers"),
    ("event-log-handler", "null", str, "where events are logged"),
    ("role", "default", str, "a name for the workers"),
    ("local-ranks-filter", "", str, "show the output of these local ranks only, 0,1,..."),
    ("node-rank", 0, int, "this machine's rank, for static meetings"),
    ("master-addr", "127.0.0.1", str, "the address of rank 0, for static meetings"),
    ("master-port", 29500, int, "the port of rank 0, for static meetings"),
    ("local-addr", None, str, "this machine's address"),
    ("logs-specs", None, str, "an entry point of the group torchrun.logs_specs"),
    ("numa-binding", None, str, "not supported"),
    ("duplicate-stdout-filters", "", str, "not supported"),
    ("duplicate-stderr-filters", "", str, "not supported"),
    ("signals-to-handle", "SIGTERM,SIGINT,SIGHUP,SIGQUIT", str, "signals that end the workers"),
    ("shutdown-timeout", None, int, "seconds between asking a worker to end and ending it"),
]


def get_args_parser() -> ArgumentParser:
    """The parser of torchrun's arguments."""
    parser = ArgumentParser(description="Run a program in several processes, on one machine or on many")
    for name, default, kind, text in _OPTIONS:
        spellings = dict.fromkeys((f"--{name}", f"--{name.replace('-', '_')}"))
        parser.add_argument(*spellings, action=_Env, type=kind, default=default, help=text)
    parser.add_argument("--standalone", action=_Flag, help="one machine, meeting at a free port")
    parser.add_argument(
        "--start-method", "--start_method", action=_Env, type=str, default="spawn",
        choices=["spawn", "fork", "forkserver"], help="how workers that run a function are started",
    )  # fmt: skip
    parser.add_argument("-m", "--module", action=_Flag, help="the program is a Python module")
    parser.add_argument("--no-python", "--no_python", action=_Flag, help="the program is not Python's")
    parser.add_argument("--run-path", "--run_path", action=_Flag, help="run the program by runpy.run_path")
    parser.add_argument(
        "--virtual-local-rank", "--virtual_local_rank", action=_Flag, help="LOCAL_RANK is 0 for every worker"
    )
    parser.add_argument("--log-dir", "--log_dir", action=_Env, type=str, default=None, help="folder of log files")
    parser.add_argument(
        "-r", "--redirects", action=_Env, type=str, default="0", help="streams that go to files: 1, 2, 3 or 0:1,1:3"
    )
    parser.add_argument(
        "-t", "--tee", action=_Env, type=str, default="0", help="streams that go to files and to the console"
    )
    parser.add_argument("training_script", type=str, help="the program")
    parser.add_argument("training_script_args", nargs=REMAINDER, help="its arguments")
    return parser


def parse_args(args: list[str] | None) -> Namespace:
    """Read arguments."""
    return get_args_parser().parse_args(args)


def parse_min_max_nnodes(nnodes: str) -> tuple[int, int]:
    """The numbers of ``"2"`` or ``"1:4"``; RuntimeError for anything else."""
    parts = nnodes.split(":")
    if len(parts) == 1:
        return int(parts[0]), int(parts[0])
    if len(parts) == 2:
        return int(parts[0]), int(parts[1])
    raise RuntimeError(f'nnodes={nnodes} is not in "MIN:MAX" format')


def determine_local_world_size(nproc_per_node: str) -> int:
    """How many workers ``"auto"``, ``"cpu"``, ``"gpu"`` or a number means here; ValueError for anything else."""
    import torch

    try:
        return int(nproc_per_node)
    except ValueError:
        pass  # a word
    if nproc_per_node in ("gpu", "xpu"):
        if not torch.cuda.is_available():
            raise ValueError("Cuda is not available.")
        return torch.cuda.device_count()
    if nproc_per_node == "auto" and torch.cuda.is_available():
        return torch.cuda.device_count()
    if nproc_per_node in ("cpu", "auto"):
        return os.cpu_count() or 1
    raise ValueError(f"Unsupported nproc_per_node value: {nproc_per_node}")


def get_rdzv_endpoint(args: Namespace) -> str:
    """Where the machines meet."""
    if args.rdzv_backend == "static" and not args.rdzv_endpoint:
        return f"{args.master_addr}:{args.master_port}"
    return args.rdzv_endpoint


def _settings(text: str) -> dict[str, Any]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    return {key.strip(): value.strip() for key, _, value in pairs}


def _logs(args: Namespace) -> Any:
    ranks = {int(rank) for rank in args.local_ranks_filter.split(",")} if args.local_ranks_filter else None
    kind: Any = DefaultLogsSpecs
    if args.logs_specs is not None:
        from importlib.metadata import entry_points

        found = [entry for entry in entry_points(group="torchrun.logs_specs") if entry.name == args.logs_specs]
        if not found:
            raise ValueError(
                f"Could not find entrypoint under 'torchrun.logs_specs[{args.logs_specs}]' key"
            )
        kind = found[0].load()
    return kind(args.log_dir, Std.from_str(args.redirects), Std.from_str(args.tee), ranks)


def config_from_args(args: Namespace) -> tuple[LaunchConfig, Callable[..., Any] | str, list[str]]:
    """How to launch, what to run, and its arguments."""
    least, most = parse_min_max_nnodes(args.nnodes)
    assert 0 < least <= most
    assert args.max_restarts >= 0
    workers = determine_local_world_size(args.nproc_per_node)
    if "OMP_NUM_THREADS" not in os.environ and workers > 1:
        print(
            f"\n{_STARS}\nSetting OMP_NUM_THREADS environment variable for each process to be 1 in default, to avoid "
            "your system being overloaded, please further tune the variable for optimal performance in your "
            f"application as needed. \n{_STARS}",
            file=sys.stderr,
        )
        os.environ["OMP_NUM_THREADS"] = "1"
    settings = _settings(args.rdzv_conf)
    if args.rdzv_backend == "static":
        settings["rank"] = args.node_rank
    seconds = args.shutdown_timeout
    if seconds is None:
        seconds = int(os.environ.get("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "30"))
    config = LaunchConfig(
        min_nodes=least,
        max_nodes=most,
        nproc_per_node=workers,
        run_id=args.rdzv_id,
        role=args.role,
        rdzv_endpoint=get_rdzv_endpoint(args),
        rdzv_backend=args.rdzv_backend,
        rdzv_configs=settings,
        max_restarts=args.max_restarts,
        monitor_interval=args.monitor_interval,
        start_method=args.start_method,
        log_line_prefix_template=os.environ.get("TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE"),
        local_addr=args.local_addr,
        logs_specs=_logs(args),
        event_log_handler=args.event_log_handler,
        numa_options=args.numa_binding,
        signals_to_handle=args.signals_to_handle,
        duplicate_stdout_filters=[one for one in args.duplicate_stdout_filters.split(",") if one] or None,
        duplicate_stderr_filters=[one for one in args.duplicate_stderr_filters.split(",") if one] or None,
        virtual_local_rank=args.virtual_local_rank,
        shutdown_timeout=seconds,
    )
    command: Callable[..., Any] | str
    words: list[str] = []
    if args.run_path:
        command = run_script_path
        words = [args.training_script]
    elif args.no_python:
        if args.module:
            raise ValueError("Don't use both the '--no-python' flag and the '--module' flag at the same time.")
        command = args.training_script
    else:
        command = os.environ.get("PYTHON_EXEC", sys.executable)
        words = ["-u", *(["-m"] if args.module else []), args.training_script]
    return config, command, [*words, *args.training_script_args]


def run_script_path(training_script: str, *training_script_args: str) -> None:
    """Run a file as the main program of this interpreter."""
    import runpy

    sys.argv = [training_script, *training_script_args]
    runpy.run_path(training_script, run_name="__main__")


def run(args: Namespace) -> None:
    """Launch what the arguments say."""
    if args.standalone or (args.rdzv_backend == "static" and args.nnodes in ("1", "1:1") and not args.rdzv_endpoint):
        # One machine meets itself at any free port: several jobs can run side by side.
        if args.standalone or args.master_port == 29500:
            args.rdzv_backend = "c10d"
            args.rdzv_endpoint = "localhost:0"
            args.rdzv_id = str(uuid.uuid4())
    config, command, words = config_from_args(args)
    elastic_launch(config, command)(*words)


@record
def main(args: list[str] | None = None) -> None:
    """The command ``torchrun``."""
    run(parse_args(args))


if __name__ == "__main__":
    main()
