"""Checks on a text: that pieces occur in it in an order."""

from __future__ import annotations

import re
from typing import Any


class FileCheck:
    """Pieces that a text must have one after the other; ``run`` compares.

    >>> torch.testing.FileCheck().check("a").check_next("b").check_not("c").run("a\\nb")
    """

    def __init__(self) -> None:
        self._steps: list[tuple[str, str, Any]] = []

    def _add(self, kind: str, piece: str, extra: Any = None) -> FileCheck:
        self._steps.append((kind, piece, extra))
        return self

    def check(self, test_string: str) -> FileCheck:
        """It follows somewhere."""
        return self._add("CHECK", test_string)

    def check_not(self, test_string: str) -> FileCheck:
        """It does not occur before the next piece, or the end."""
        return self._add("CHECK-NOT", test_string)

    def check_same(self, test_string: str) -> FileCheck:
        """It follows on the same line."""
        return self._add("CHECK-SAME", test_string)

    def check_next(self, test_string: str) -> FileCheck:
        """It follows on the next line."""
        return self._add("CHECK-NEXT", test_string)

    def check_count(self, test_string: str, count: int, exactly: bool = False) -> FileCheck:
        """It follows so many times; with ``exactly``, not once more before the next piece."""
        for _ in range(count):
            self._add("CHECK", test_string)
        return self.check_not(test_string) if exactly else self

    def check_dag(self, test_string: str) -> FileCheck:
        """It follows, in any order with the neighbouring pieces of this kind."""
        return self._add("CHECK-DAG", test_string)

    def check_regex(self, test_string: str) -> FileCheck:
        """What matches it follows."""
        return self._add("CHECK-REGEX", test_string)

    def check_source_highlighted(self, test_string: str) -> FileCheck:
        """It follows, and the next line marks it by ``~``."""
        return self._add("CHECK-SOURCE-HIGHLIGHTED", test_string)

    def run(self, test_string: Any) -> None:
        """Compare with a text, or with what ``str`` gives.

        Raises:
            RuntimeError: naming the first piece that is missing, or there although it must not be.
        """
        text = test_string if isinstance(test_string, str) else str(test_string)
        at, barred, dag_end = 0, [], 0
        for kind, piece, _ in self._steps:
            if kind == "CHECK-NOT":
                barred.append(piece)
                continue
            start, end = self._find(kind, piece, text, at)
            self._bar(barred, text, at, start)
            barred = []
            dag_end = max(dag_end, end)
            if kind != "CHECK-DAG":
                at = dag_end = max(end, dag_end)
        self._bar(barred, text, max(at, dag_end), len(text))

    @staticmethod
    def _fail(message: str, text: str, at: int, kind: str, piece: str) -> RuntimeError:
        line = text.count("\n", 0, at)
        lines = text.split("\n")
        column = at - (text.rfind("\n", 0, at) + 1)
        lines.insert(line + 1, " " * column + "~" * max(len(piece), 1) + " <--- HERE")
        return RuntimeError(message + "\n" + "\n".join(lines) + f"\nFrom {kind}: {piece}\n")

    def _find(self, kind: str, piece: str, text: str, at: int) -> tuple[int, int]:
        begin, stop = at, len(text)
        if kind in ("CHECK-SAME", "CHECK-NEXT"):
            line_end = text.find("\n", at)
            line_end = len(text) if line_end < 0 else line_end
            if kind == "CHECK-SAME":
                stop = line_end
            else:
                begin = min(line_end + 1, len(text))
                after = text.find("\n", begin)
                stop = len(text) if after < 0 else after
        found = re.compile(piece if kind == "CHECK-REGEX" else re.escape(piece)).search(text, begin, stop)
        if kind == "CHECK-SOURCE-HIGHLIGHTED" and found:
            column = found.start() - (text.rfind("\n", 0, found.start()) + 1)
            below = text.find("\n", found.end())
            marks = text[below + 1 + column : below + 1 + column + len(piece)] if below >= 0 else ""
            found = found if marks and set(marks) == {"~"} else None
        if not found:
            raise self._fail(
                f'Expected to find "{piece}" but did not find it\nSearched string:', text, begin, kind, piece
            )
        return found.start(), found.end()

    def _bar(self, barred: list[str], text: str, begin: int, end: int) -> None:
        for piece in barred:
            there = text.find(piece, begin, end)
            if there >= 0:
                raise self._fail(f'Expected to not find "{piece}" but found it', text, there, "CHECK-NOT", piece)
