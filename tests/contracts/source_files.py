"""The files of the project as the contract tests see them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("cic", "compress", "mincut", "codegen")
FOLDERS = (*PRODUCT, "examples", "tests", "benchmarks", "docs", ".ci")
TEXT = {".py", ".md", ".toml", ".json", ".txt", ".cfg", ".yml", ".yaml", ".csv", ".sh", ""}


def product_files() -> list[Path]:
    """Python files of the four packages."""
    return sorted(path for package in PRODUCT for path in ROOT.joinpath(package).rglob("*.py"))


def text_files() -> list[Path]:
    """Every text file that belongs to the project."""
    inside = (path for folder in FOLDERS for path in ROOT.joinpath(folder).rglob("*"))
    files = [path for path in (*ROOT.iterdir(), *inside) if path.is_file() and "__pycache__" not in path.parts]
    # What a linked worktree or a submodule keeps in a file named .git is git's.
    return sorted(path for path in files if path.suffix in TEXT and path.name != ".git")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
