"""Call every operation with random, mostly malformed arguments; report what crashes, hangs or contradicts NumPy.

    python tests/fuzz_calls.py                       # every operation, 40 calls each
    python tests/fuzz_calls.py --calls 400 'conv*'   # more of some
    python tests/fuzz_calls.py --hypothesis          # calls drawn by Hypothesis, which shrinks what is wrong
    python tests/fuzz_calls.py --show conv2d:17      # one call again, in this process, and say what it is

Calls are made in worker processes. Whatever a call raises is fine. What is reported: a worker that died, a call that
did not come back in time, SystemError, a result that NumPy or SciPy contradict (numpy_twins.py), what a sanitizer wrote
(under one, set LD_PRELOAD and ASAN_OPTIONS as CONTRIBUTING.md says). tests/test_fuzz.py runs some thousand calls.
"""

import argparse
import fnmatch
import itertools
import os
import resource
import select
import subprocess
import sys
import warnings

from fuzz_arguments import describe, draw, prepare, targets

import torch

try:
    import numpy_twins
except ImportError:  # no NumPy or no SciPy: only crashes are found
    numpy_twins = None


def look_at(result: object, depth: int = 0) -> None:
    """Read every element of the result and run its backward: bad memory shows here."""
    if isinstance(result, torch.Tensor):
        if result.device.type != "meta" and result.numel() < 1e5:
            if depth == 0 and result.requires_grad:
                gradient = torch.ones_like(result)
                result.backward(gradient)
            result.detach().clone().contiguous().tolist()
            if result.numel() < 50:
                repr(result)
    elif isinstance(result, (tuple, list)):
        for item in result[:50]:
            look_at(item)


def call(name: str, drawn: tuple) -> str:
    """Make one call and say in a word what came of it; "bad: ..." is a finding."""
    function, positional, named = drawn
    try:
        wanted = numpy_twins.expected(name, positional, named) if numpy_twins else None
        result = function(*positional, **named)
        look_at(result)
    except SystemError as error:
        return f"bad: SystemError: {error}"
    except (Exception, RecursionError) as error:
        return type(error).__name__
    if wanted is not None and isinstance(result, torch.Tensor) and (wrong := numpy_twins.disagreement(result, wanted)):
        return f"bad: {describe(name, positional, named)}: {wrong}"
    return "ok"


def call_by_numbers(name: str, target: tuple, numbers: range) -> int:
    """Make the calls of these numbers; return how many raised."""
    raised = 0
    for number in numbers:
        print("call", name, number, flush=True)
        outcome = call(name, prepare(name, number, target))
        raised += outcome != "ok"
        if outcome.startswith("bad"):
            print("bad", name, number, repr(outcome), flush=True)
    return raised


def call_by_hypothesis(name: str, target: tuple, calls: int, start: int) -> int:
    """Make calls that Hypothesis draws, and print the smallest of those with a wrong result."""
    from hypothesis import HealthCheck, given, seed, settings
    from hypothesis import strategies as st

    numbers, outcomes = itertools.count(), []

    @seed(start)
    @settings(max_examples=calls, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False))
    def check(source):
        print("call", name, next(numbers), flush=True)
        outcomes.append(call(name, draw(target, source)))
        assert not outcomes[-1].startswith("bad")

    try:
        check()
    except AssertionError:
        print("bad", name, next(numbers), repr(outcomes[-1]), flush=True)
    return sum(outcome != "ok" for outcome in outcomes[:calls])


def work(chosen: argparse.Namespace) -> None:
    """The worker: reads names, and writes a line before each call and after each operation."""
    if chosen.memory:
        resource.setrlimit(resource.RLIMIT_AS, (chosen.memory, chosen.memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.set_num_threads(2)
    warnings.simplefilter("ignore")
    known = targets()
    for line in sys.stdin:
        name, first = line.split()
        if chosen.hypothesis:
            raised = call_by_hypothesis(name, known[name], chosen.calls, chosen.start)
        else:
            raised = call_by_numbers(name, known[name], range(int(first), chosen.start + chosen.calls))
        print("done", name, raised, flush=True)


class Worker:
    """One worker process and what it said last."""

    def __init__(self, chosen: argparse.Namespace):
        self.log = open(chosen.log, "a+", encoding="utf-8", errors="replace")
        options = [f"--{name}={getattr(chosen, name)}" for name in ("calls", "start", "memory")]
        options += ["--hypothesis"] if chosen.hypothesis else []
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        self.unread = b""

    def line(self, patience: float) -> str | None:
        """Return the worker's next line, "" if it is gone, None if none came in time."""
        source = self.process.stdout.fileno()
        while b"\n" not in self.unread:
            if not select.select([source], [], [], patience)[0]:
                return None
            more = os.read(source, 1 << 16)
            if not more:
                return ""
            self.unread += more
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode(errors="replace")

    def ask(self, name: str, first: int, patience: float):
        """Yield what happens while the worker calls one operation; the last thing is done, died or hung."""
        number = first
        try:
            self.process.stdin.write(f"{name} {first}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            yield "died", number, self.tail()
            return
        while True:
            line = self.line(patience)
            if not line:
                if line is None:
                    self.process.kill()
                self.process.wait()
                what = "hung" if line is None else "died"
                yield what, number, f"status {self.process.returncode}\n{self.tail()}"
                return
            word, *rest = line.split(maxsplit=3)
            if word == "call":
                number = int(rest[1])
            elif word == "bad":
                yield "bad", int(rest[1]), rest[2].strip()
            elif word == "done":
                yield "done", int(rest[1]), ""
                return

    def tail(self) -> str:
        self.log.seek(0)
        return self.log.read()[-6000:]

    def close(self) -> str:
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait()
        return self.tail()


def fuzz(chosen: argparse.Namespace) -> list[str]:
    """Make the calls and return the findings."""
    # derivatives' own operations (ops.*) trust their callers, so they are called only when asked for
    names = [
        name for name in targets()
        if any(fnmatch.fnmatch(name, p) for p in chosen.patterns) or not (chosen.patterns or name.startswith("ops."))
    ]  # fmt: skip
    end = chosen.start + chosen.calls
    findings, worker, made, raised = [], None, 0, 0
    for name in names:
        first, losses = chosen.start, 0
        while first < end and losses < 3:
            worker = worker or Worker(chosen)
            for event, number, text in worker.ask(name, first, chosen.patience):
                if event == "done":
                    made, raised, first = made + chosen.calls, raised + number, end
                    continue
                findings.append(f"{event} {name}:{number} {text}")
                if event != "bad":
                    worker, losses = None, losses + 1
                    first = end if chosen.hypothesis else number + 1
    if worker and (said := worker.close().strip()):
        findings.append(said[-20000:])
    print(f"{len(names)} operations, {made} calls, {raised} raised, {len(findings)} findings")
    return findings


def show(which: str) -> None:
    name, _, number = which.rpartition(":")
    drawn = prepare(name, int(number), targets()[name])
    print(describe(name, *drawn[1:]), flush=True)
    print("->", call(name, drawn))
    print(drawn[0](*drawn[1], **drawn[2]))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("patterns", nargs="*", help="names of operations, with wildcards")
    parser.add_argument("--calls", type=int, default=40, help="calls of each operation")
    parser.add_argument("--start", type=int, default=0, help="number of the first call: other numbers, other calls")
    parser.add_argument(
        "--hypothesis", action="store_true", help="draw by Hypothesis: slower, and shrinks what is wrong"
    )
    parser.add_argument("--patience", type=float, default=20.0, help="seconds after which a call counts as hung")
    parser.add_argument(
        "--memory", type=int, default=4 << 30, help="address space of a worker; 0: any (for sanitizers)"
    )
    parser.add_argument("--log", default=f"/tmp/fuzz-{os.getpid()}.log", help="where workers write their errors")
    parser.add_argument("--show", help="NAME:NUMBER of one call to make in this process")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> int:
    chosen = parse()
    if chosen.work:
        work(chosen)
    elif chosen.show:
        show(chosen.show)
    else:
        findings = fuzz(chosen)
        print(*findings, sep="\n")
        return int(bool(findings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
