"""The pages of docs that are made from the sources: `make map` writes them, `make lint` checks that they are current."""

from __future__ import annotations

import sys

from docs import error_catalogue, file_map

PAGES = ((file_map.PAGE, file_map.page), (error_catalogue.PAGE, error_catalogue.page))


def main(*, check: bool) -> str:
    """Write the pages, or only compare them; what is wrong, or nothing."""
    for path, page in PAGES:
        try:
            text = page()
        except ValueError as error:
            return f"docs/{path.name}: {error}"
        if not check:
            path.write_text(text, encoding="utf-8")
        elif text != path.read_text(encoding="utf-8"):
            return f"docs/{path.name} is not as the sources say: run `make map`"
    return ""


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv) or None)
