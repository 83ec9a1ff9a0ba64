"""What the architecture tests look at: the sources as they lie in the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = {"gae_broker": ROOT, "gae_broker_adapters": ROOT / "adapters"}


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def library_files() -> list[Path]:
    """Every module of both packages."""
    return [path for package, root in SOURCE_ROOTS.items() for path in sorted((root / package).rglob("*.py"))]


@pytest.fixture(scope="session")
def library_modules(library_files: list[Path]) -> dict[str, Path]:
    """Every module of both packages, by dotted name."""
    modules = {}
    for path in library_files:
        source_root = ROOT / "adapters" if path.is_relative_to(ROOT / "adapters") else ROOT
        parts = path.relative_to(source_root).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules
