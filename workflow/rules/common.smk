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
from bench.experiment import digests
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


def failed(*folders):
    """How often the stages in these folders have failed."""
    return sum(map(failures, folders))


def data_sources(dataset):
    """What every evaluation on a data set reads: its samples, and its extractor if it has one."""
    folders = [files.data(dataset)]
    if experiment.described(dataset).extractor is not None:
        folders.append(files.extractor(dataset))
    return outcomes(*folders)


def training_sources(seeds):
    """What a stage reads, for a block of seeds: data, calibration, and its upstream stages."""

    def sources(wildcards):
        dataset, label = wildcards.dataset, wildcards.label
        folders = [files.data(dataset)]
        if experiment.is_calibrated(label):
            folders.append(files.calibration(dataset, label))
        upstream = experiment.formulation(label).stage(wildcards.stage).upstream
        folders += [files.stage(dataset, label, seed, name) for name in upstream for seed in seeds]
        return outcomes(*folders)

    return sources


def models(dataset, label, seeds):
    """The stages whose models are evaluated."""
    final = experiment.formulation(label).final.name
    return outcomes(*(files.stage(dataset, label, seed, final) for seed in seeds))


wildcard_constraints:
    dataset=names(experiment.datasets),
    label=names(experiment.labels),
    stage=names(
        {s.name for label in experiment.labels for s in experiment.formulation(label).stages}
    ),
