"""What the system must have beyond what pip installs: checked before anything is downloaded, named with what installs it.

Runs on any Python 3, so it must not use anything newer.
"""

import platform
import shutil
import sys


def problems():
    """A sentence for each thing that is missing."""
    version = sys.version_info[:2]
    if not (3, 10) <= version <= (3, 13):
        yield (
            "Python 3.10 to 3.13 is needed, this is %d.%d; name another one: make demo PYTHON=python3.12." % version
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        package = "python%d.%d-venv" % version
        yield "This Python cannot make virtual environments; install its venv module: apt-get install %s (Debian, Ubuntu)." % package
    if platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64"):
        yield "PyTorch has no builds for %s machines; use an x86-64 or 64-bit ARM one." % platform.machine()
    free = shutil.disk_usage(".").free
    if free < 3 * 2**30:
        yield "About 3 GB of disk are needed here and %.1f are free; make room first." % (free / 2**30)


if __name__ == "__main__":
    found = list(problems())
    for sentence in found:
        print(sentence, file=sys.stderr)
    sys.exit(1 if found else 0)
