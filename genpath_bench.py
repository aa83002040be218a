"""The console script ``genpath-bench``.

It lives outside of the package ``bench`` because other distributions install a package of that
name; what they would run instead is refused here, in one line.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def foreign_bench() -> Path | None:
    """Where ``import bench`` leads, unless that is the package beside this file."""
    spec = importlib.util.find_spec("bench")
    if spec is None or spec.origin is None:
        return Path("nowhere")
    found = Path(spec.origin).resolve().parent
    return None if found == HERE / "bench" else found


def main() -> int:
    """Run the command line of GenPathBench; returns its exit code."""
    foreign = foreign_bench()
    if foreign is not None:
        print(
            f"genpath-bench: `import bench` leads to {foreign}, not to {HERE / 'bench'}; "
            "uninstall the other package or use a fresh environment",
            file=sys.stderr,
        )
        return 1
    from bench.cli import main as run

    return run()
