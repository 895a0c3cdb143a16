"""The tests mirror the package: whoever opens a module finds its tests under the same path."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "airflow_provider_scnet"
OF_THE_REPOSITORY = {
    "test_benchmarks.py",
    "test_contributing.py",
    "test_docs.py",
    "test_mirror.py",
    "test_named_addresses.py",
    "test_walls.py",
}
"""Tests of what is no module."""


def test_each_module_has_its_tests_and_each_test_its_module() -> None:
    modules = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    expected = {module.with_name(f"test_{module.stem.strip('_')}.py") for module in modules}
    tests = {path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    of_modules = {
        test for test in tests if test.parts[0] not in ("deployment", "integration", "interop", "simulation", "ui")
    }
    assert {test for test in of_modules if test.name not in OF_THE_REPOSITORY} == expected
