"""What the system must have beyond what pip installs: checked before anything is downloaded, named with what installs it.

Runs on any Python 3, so that an old one gets a sentence and not a syntax error.
"""

import platform
import shutil
import sys

LEAST_DISK_GB = 3.0


def problems():
    """A sentence for each thing that is missing."""
    version = "%d.%d" % sys.version_info[:2]
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        yield "Python 3.10 to 3.13 is needed, this is %s; name another one: make demo PYTHON=python3.12" % version
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        yield "This Python cannot make virtual environments; on Debian or Ubuntu: apt-get install python%s-venv" % version
    if platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64"):
        yield "PyTorch has no build for a %s machine; use an x86-64 or 64-bit ARM one." % platform.machine()
    free = shutil.disk_usage(".").free / 2**30
    if free < LEAST_DISK_GB:
        yield "About %.0f GB of disk are needed here and %.1f are free; make room first." % (LEAST_DISK_GB, free)


if __name__ == "__main__":
    found = list(problems())
    for sentence in found:
        print(sentence, file=sys.stderr)
    sys.exit(1 if found else 0)
