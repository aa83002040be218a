"""The experiment, and what the rules share.

A job's only declared output is its `outcome.json`. Snakemake deletes it before the job runs again;
everything else in the folder stays, so that the job goes on where it stopped. Two parameters decide
whether a job runs again: the digest of all that its result depends on, and the number of times that
it has failed.
"""

import re
import sys
from pathlib import Path

# Jobs run `python -m bench`: this interpreter and this checkout, wherever the workflow is started.
ROOT = Path(workflow.basedir).resolve()
BIN = Path(sys.executable).parent
sys.path.insert(0, str(ROOT))
shell.prefix("export PATH={BIN:q}:$PATH PYTHONPATH={ROOT:q}${{PYTHONPATH:+:$PYTHONPATH}}; ")

from bench.errors import InputError
from bench.evidence import expectation
from bench.experiment.roots import verb_digest
from bench.experiment.graph import nodes
from bench.experiment.layout import OUTCOME, Layout
from bench.experiment.prerequisites import check
from bench.experiment.loading import from_mapping
from bench.stages.running import run_lock
from bench.stages.running.devices import visible_gpus
from bench.stages.running.outcome import failures

try:
    experiment = from_mapping(config, str(workflow.configfiles[-1]))
except InputError as error:
    print(error, file=sys.stderr)
    sys.exit(2)

files = Layout(Path("results", experiment.name))


def need(experiment, layout):
    """Stop before anything is trained where what no job can make is missing."""
    try:
        check(experiment, layout)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


logs = files.root / "logs"

THREADS = experiment.training.threads
ALL_CORES = workflow.resource_settings.cores or 1
GPU = min(1, visible_gpus())


def names(words):
    """A pattern of exactly these words."""
    return "|".join(map(re.escape, sorted(words)))


def outcomes(*folders):
    """The declared outputs of the stages in these folders."""
    return [str(folder / OUTCOME) for folder in folders]


NODES = {node.folder(files): node for node in nodes(experiment)}
"""The stages of the experiment by their folders: what those in a job's outputs read, it reads."""


def in_folders(folders, wildcards):
    """The stages that a job does."""
    return [NODES[Path(str(folder).format(**dict(wildcards.items())))] for folder in folders]


def reads(*folders):
    """The outcomes that the stages in these folders read."""

    def inputs(wildcards):
        read = [source for node in in_folders(folders, wildcards) for source in node.reads]
        return outcomes(*dict.fromkeys(source.folder(files) for source in read))

    return inputs


def digest(*folders):
    """What the stages in these folders depend on."""
    return lambda wildcards: [node.digest(experiment) for node in in_folders(folders, wildcards)]


def failed(*folders):
    """How often the stages in these folders have failed."""
    return lambda wildcards: sum(
        failures(node.folder(files)) for node in in_folders(folders, wildcards)
    )


def verb(*folders):
    """The verb of the stages in these folders."""
    return lambda wildcards: in_folders(folders, wildcards)[0].verb


wildcard_constraints:
    dataset=names(experiment.datasets),
    label=names(experiment.labels),
    stage=names({node.stage for node in NODES.values()} - {None}),
