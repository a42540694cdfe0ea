"""`python -m cic` is the `cic` command."""

from cic.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
