"""``snakemake --lint``, less the one finding that is a decision of this project.

All rules share one environment, the one that pyproject.toml requires and the Makefile makes: an
environment or a container for each rule would be ten copies of it.
"""

from __future__ import annotations

import re
import subprocess
import sys

DECIDED = "Specify a conda environment or container for each rule."


def findings(report: str) -> list[str]:
    """Titles of the findings in a lint report, without the decided one."""
    titles = re.findall(r"^ +\* (.*?):?$", report, re.MULTILINE)
    return [title for title in titles if title.rstrip(":") != DECIDED]


if __name__ == "__main__":
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"], capture_output=True, text=True, check=False
    )
    # The decided finding is always there; a report without it is no report.
    if DECIDED not in done.stderr or findings(done.stderr):
        sys.exit(done.stderr)
    print("snakemake --lint: clean")
