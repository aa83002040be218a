"""The command line: ``python -m bench VERB``, one verb a stage, each runnable by hand.

Exit codes: 0 done, 2 bad input (one line that names file, key, value and remedy), 130 stopped, 141
nobody reads the output any more (``plan ... | head``), 1 anything else.
A stage that fails is a result, not an error: its outcome says so, the report shows it, and the
verb ``gate`` turns it into exit code 1. Reading the experiment, planning and ``--help`` never
import torch.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import select
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from bench import __version__
from bench.errors import InputError, RunError
from bench.experiment.layout import Layout
from bench.experiment.loading import load
from bench.experiment.spec import Experiment
from bench.formulations.grammar import FOREIGN_PREDICTIONS
from bench.stages.running import run_lock
from bench.stages.running.devices import limit_threads


@dataclass(frozen=True)
class Verb:
    """A verb: a function that is imported when the verb is used.

    Attributes:
        does: one line of help.
        options: names of :data:`OPTIONS`; they are passed by name.
        takes: what comes first: ``config``, an experiment file, which is passed as an
            :class:`~bench.experiment.spec.Experiment` and its
            :class:`~bench.experiment.layout.Layout`; ``results``, a folder; or nothing.
        function: what is run; ``bench.stages.<verb>:run`` unless given.
    """

    does: str
    options: tuple[str, ...] = ()
    takes: Literal["config", "results"] | None = "config"
    function: str = ""


OPTIONS: dict[str, dict[str, Any]] = {
    "dataset": {"required": True, "help": "a data set of the experiment"},
    "label": {"required": True, "help": "a label of the experiment"},
    "stage": {"required": True, "help": "a stage of the formulation"},
    "seeds": {"required": True, "nargs": "+", "type": int, "help": "training seeds"},
    "cores": {"type": int, "help": "cores to expect; those of this machine by default"},
    "detect": {
        "type": float,
        "metavar": "RATIO",
        "help": "print the seeds and samples that seeing two formulations differ so much needs",
    },
    "sources": {
        "required": True,
        "nargs": "+",
        "type": Path,
        "metavar": "RESULTS",
        "help": "finished runs to join, published or not",
    },
    "target": {
        "type": Path,
        "metavar": "FOLDER",
        "help": "where joined runs are written; results/joined/<their names> by default",
    },
    "model": {
        "required": True,
        "action": "append",
        "metavar": "[LABEL=]MODULE:FACTORY",
        "help": "a function that returns a trained network; once for each network, and more than "
        "once with one label for networks that differ by their training seed",
    },
    "path": {
        "metavar": "NAME[:OPTION=VALUE,...]",
        "help": "path that the network was trained on, such as linear or vp",
    },
    "prediction": {"help": f"what its output means: {', '.join(FOREIGN_PREDICTIONS)}"},
    "coupling": {
        "default": "independent",
        "metavar": "NAME[:OPTION=VALUE,...]",
        "help": "how noise was paired with data in training; independent by default",
    },
    "data": {
        "required": True,
        "metavar": "NAME",
        "help": "data set that the network is sampled for",
    },
    "called": {
        "metavar": "LABEL",
        "help": "label of networks whose --model names none; their factory's name by default",
    },
    "name": {"help": "results/NAME; the first label by default"},
    "settings": {
        "type": Path,
        "metavar": "FILE",
        "help": "experiment file whose sweep, metrics and data set are used",
    },
    "unfinished": {
        "action": "store_true",
        "help": "publish a run of which stages are missing, and name them; nothing may have failed",
    },
    "dry_run": {"action": "store_true", "help": "say what would be done, and do nothing"},
}

FLAGS = {"sources": "--from", "target": "--to", "settings": "--config", "called": "--label"}
"""Flags that Python cannot spell as names, or that another option has; the rest are their name."""


VERBS: dict[str, Verb] = {
    "plan": Verb(
        "validate an experiment; print its jobs, cells, budgets and cost",
        ("cores", "detect"),
    ),
    "prepare": Verb("build a data set", ("dataset",)),
    "extractor": Verb("train the feature extractor of a data set", ("dataset",)),
    "calibrate": Verb("measure seconds a step, on an idle machine", ("dataset", "label")),
    "train": Verb("train the network of a stage", ("dataset", "label", "stage", "seeds")),
    "pairs": Verb("make the pairs of a reflow stage", ("dataset", "label", "stage", "seeds")),
    "foreign": Verb("take in a network of somebody else", ("dataset", "label", "stage", "seeds")),
    "screen": Verb(
        "sample every solver on every grid with few samples", ("dataset", "label", "seeds")
    ),
    "sweep": Verb("sample and score models of an experiment", ("dataset", "label", "seeds")),
    "likelihood": Verb(
        "measure the likelihood of held-out data under models", ("dataset", "label", "seeds")
    ),
    "floor": Verb("score real data, a fitted Gaussian and an untrained network", ("dataset",)),
    "oracle": Verb("sample and score the exact field, where the law is known", ("dataset",)),
    "convergence": Verb("measure the order of every solver on an exact flow"),
    "timing": Verb("measure seconds a sample, on an idle machine", ("dataset",)),
    "collect": Verb("gather all records of an experiment in one table"),
    "report": Verb("make tables, figures and the page from the records"),
    "tune": Verb("pick the best learning rates of a tuning experiment"),
    "gate": Verb("exit with 1, naming all failures, unless the run is sound"),
    "bring": Verb(
        "take a network of your own through every stage of an evaluation (also: sweep --model)",
        ("model", "path", "prediction", "coupling", "data", "name", "called", "settings"),
        takes=None,
    ),
    "join": Verb(
        "put the records of finished runs together and report on them (also: collect --from)",
        ("sources", "target"),
        takes=None,
    ),
    "clean": Verb("remove results that the experiment does not name", ("dry_run",)),
    "verify": Verb("check files, budgets and evaluation counts of results", (), "results"),
    "publish": Verb(
        "copy what is small of a finished run to results/reference", ("unfinished",), "results"
    ),
    "schema": Verb(
        "write the schema of experiment files",
        takes=None,
        function="bench.experiment.schema:write_schema",
    ),
}

ALSO = {("sweep", "--model"): "bring", ("collect", "--from"): "join"}
"""A verb that with some flag is another one, as commands spell it that were written down before."""

POSITIONAL: dict[str, dict[str, Any]] = {
    "config": {"help": "an experiment file, such as configs/default.yaml"},
    "results": {"type": Path, "help": "a results folder, such as results/default"},
}


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    top = argparse.ArgumentParser(
        prog="python -m bench", description="GenPathBench, one stage at a time."
    )
    top.add_argument("--version", action="version", version=f"genpath-bench {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, verb in VERBS.items():
        verb_parser = verbs.add_parser(
            name, help=verb.does, description=f"{verb.does[0].upper()}{verb.does[1:]}."
        )
        if verb.takes:
            verb_parser.add_argument(verb.takes, **POSITIONAL[verb.takes])
        for option in verb.options:
            flag = FLAGS.get(option, f"--{option.replace('_', '-')}")
            verb_parser.add_argument(flag, dest=option, **OPTIONS[option])
        verb_parser.add_argument(
            "--log", type=Path, metavar="FILE", help="keep all output in this file too"
        )
    return top


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """A command, its verb that which :data:`ALSO` says."""
    said = list(arguments)
    flags = {argument.partition("=")[0] for argument in said}
    for (verb, flag), meant in ALSO.items():
        if said[:1] == [verb] and flag in flags:
            said[0] = meant
    return parser().parse_args(said)


# --- running one ------------------------------------------------------------------------------


class _Tee(io.TextIOBase):
    """A stream that writes to a terminal and to a file."""

    def __init__(self, *streams: TextIO) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self._streams:
            stream.flush()


@contextmanager
def _kept_in(log: Path | None) -> Iterator[None]:
    """Copy what is printed inside the block to ``log``, line by line."""
    if log is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stream = stack.enter_context(log.open("w", encoding="utf-8", buffering=1))
        stack.enter_context(redirect_stdout(_Tee(sys.stdout, stream)))
        stack.enter_context(redirect_stderr(_Tee(sys.stderr, stream)))
        yield


def _experiment(command: argparse.Namespace) -> Experiment:
    """The experiment; what was chosen of it is checked."""
    experiment = load(command.config)
    chosen = vars(command)

    def check(option: str, choices: Iterable[str], of: str) -> None:
        if chosen.get(option) is not None and chosen[option] not in choices:
            raise InputError(
                f"{command.config}: --{option} {chosen[option]}: not {of}; "
                f"known: {', '.join(choices) or 'none'}"
            )

    check("dataset", experiment.datasets, "a data set of the experiment")
    check("label", experiment.labels, "a label of the experiment")
    if "stage" in chosen:
        stages = experiment.formulation(command.label).stages
        names = [stage.name for stage in stages if stage.kind == command.verb]
        check("stage", names, f"a {command.verb} stage of {command.label}")
    return experiment


def _run(verb: Verb, command: argparse.Namespace) -> None:
    """Import the verb's function and call it."""
    chosen = {option: getattr(command, option) for option in verb.options}
    subject: tuple[Any, ...] = ()
    if verb.takes == "config":
        experiment = _experiment(command)
        limit_threads(experiment.training.threads)
        subject = (experiment, Layout(Path("results", experiment.name)))
    elif verb.takes == "results":
        subject = (command.results,)
    module, _, function = (verb.function or f"bench.stages.{command.verb}:run").partition(":")
    getattr(importlib.import_module(module), function)(*subject, **chosen)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    command = parsed(sys.argv[1:] if arguments is None else arguments)
    for stop in (signal.SIGINT, signal.SIGTERM):  # both unwind, so that no file is left half done
        signal.signal(stop, signal.default_int_handler)
    run_lock.end_with_run()
    try:
        with _kept_in(command.log):
            status = _finish(command)
            print(end="", flush=True)
        return status
    except BrokenPipeError:
        if not _is_unread(sys.stdout):
            traceback.print_exc()
            return 1
        # What is still buffered would be written, in vain again, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _finish(command: argparse.Namespace) -> int:
    """Run the verb; returns the exit code. Output that nobody reads is the caller's to handle."""
    try:
        _run(VERBS[command.verb], command)
        return 0
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{command.verb}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise
    except Exception:
        traceback.print_exc()
        return 1


def _is_unread(stream: TextIO) -> bool:
    """Whether a stream is a pipe whose reader has gone."""
    try:
        pipe = stream.fileno()
    except (OSError, ValueError):  # a stream of Python's own
        return False
    poll = select.poll()
    poll.register(pipe, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
