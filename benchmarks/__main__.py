"""Run every benchmark and print a table; exit with 1 if a promise is broken."""

from __future__ import annotations

import platform
import sys

from benchmarks import deletion, imports


def main() -> int:
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}\n")
    kept = [benchmark.run() for benchmark in (deletion, imports)]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
