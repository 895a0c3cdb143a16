"""Run every benchmark and print tables; exit with 1 if a promise is broken."""

from __future__ import annotations

import logging
import platform
import sys

from benchmarks import budgets, comparison, imports, submissions, triggers


def main() -> int:
    logging.disable(logging.CRITICAL)  # what the deletions log would stand between the lines
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}\n")
    kept = [benchmark.run() for benchmark in (budgets, submissions, triggers, comparison, imports)]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
