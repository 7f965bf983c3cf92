"""`python -m ccdnn`, for when the command `ccdnn` is not on the path."""

from ccdnn.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
