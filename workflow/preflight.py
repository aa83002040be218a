"""Can the environment be made here? One line for each thing that stands in the way.

Runs under whatever Python the user has: no annotations, so that Python 3.6 understands it too.
"""

import importlib.util
import shutil
import sys
import tempfile

ENVIRONMENT_GB = 12  # the installed packages, and room for results
UNPACKING_GB = 4  # the largest packages, while they are being installed


def problems():
    """What stands in the way, in the order in which a user would fix it."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if not (3, 11) <= sys.version_info[:2] < (3, 13):
        yield (
            f"Python 3.11 or 3.12 is needed, and {sys.executable} is {version}; "
            "name another one: make PYTHON=/path/to/python3.11"
        )
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            yield (
                f"{sys.executable} lacks its module {module}; "
                "on Debian and Ubuntu: apt install python3-venv"
            )
    for place, needed in ((".", ENVIRONMENT_GB), (tempfile.gettempdir(), UNPACKING_GB)):
        free = shutil.disk_usage(place).free / 1e9
        if free < needed:
            yield (
                f"{free:.1f} GB are free in {place}, {needed} GB are needed; "
                "free some, or move the clone or TMPDIR elsewhere"
            )


if __name__ == "__main__":
    found = list(problems())
    for problem in found:
        print(f"preflight: {problem}", file=sys.stderr)
    sys.exit(1 if found else 0)
