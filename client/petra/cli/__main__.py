"""`python -m petra.cli ...`: the `petra` command without its installed script."""

from __future__ import annotations

from petra.cli.group import main

if __name__ == "__main__":
    main()
