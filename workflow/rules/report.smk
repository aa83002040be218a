"""From outcomes to records, from records to the report, and the verdict on the run."""

from bench.files import sha256
from bench.evidence.contents import CONTENTS
from bench.experiment.layout import PAGE
from bench.report import CAPTIONS, FIGURE_SUFFIXES, FIGURES, TABLE_SUFFIXES, TABLES

# A relative one would be sought beside this file.
captions = (files.root / CAPTIONS).resolve()

TEMPLATES = sorted((ROOT / "bench/report").glob("*.j2"))


rule collect:
    input:
        outcomes(*NODES),
    output:
        files.root / "records.parquet",
        files.root / "records.csv",
        files.root / "manifest.json",
    log:
        logs / "collect.log",
    localrule: True
    params:
        config=files.config,
        digest=[experiment.digest, verb_digest("collect")],
    message:
        "collect: all records in one table"
    shell:
        "python -m bench collect {params.config} --log {log}"


rule report:
    input:
        rules.collect.output,
    output:
        [
            report(
                files.root / f"{kind}s/{name}.{shown}",
                caption=str(captions / f"{kind}_{name}.rst"),
                category=f"{kind.capitalize()}s",
                labels={kind: name.replace("_", " ")},
            )
            for kind, shown, members in (
                ("figure", "svg", FIGURES),
                ("table", "csv", TABLES),
            )
            for name in members
        ],
        expand(
            files.root / "tables/{name}.{suffix}",
            name=TABLES,
            suffix=TABLE_SUFFIXES[1:],
        ),
        expand(
            files.root / "figures/{name}.{suffix}",
            name=FIGURES,
            suffix=FIGURE_SUFFIXES[1:],
        ),
        expand(files.root / CAPTIONS / "table_{name}.rst", name=TABLES),
        expand(files.root / CAPTIONS / "figure_{name}.rst", name=FIGURES),
        files.root / PAGE,
        files.root / CONTENTS,
    log:
        logs / "report.log",
    localrule: True
    params:
        config=files.config,
        digest=[verb_digest("report"), *map(sha256, TEMPLATES)],
    message:
        "report: tables, figures and the page"
    shell:
        "python -m bench report {params.config} --log {log}"


if experiment.tuning is not None:

    rule tune:
        input:
            rules.report.output,
        output:
            expand(files.root / "tables/tuning.{suffix}", suffix=TABLE_SUFFIXES),
            expand(files.root / "figures/tuning.{suffix}", suffix=FIGURE_SUFFIXES),
        log:
            logs / "tune.log",
        localrule: True
        params:
            config=files.config,
            digest=verb_digest("tune"),
        message:
            "tune: the best learning rates"
        shell:
            "python -m bench tune {params.config} --log {log}"


# The last job: failures are named when everything that can be shown has been shown.
rule gate:
    input:
        rules.report.output,
        rules.tune.output if experiment.tuning is not None else [],
    output:
        files.root / "gate.json",
    log:
        logs / "gate.log",
    localrule: True
    params:
        config=files.config,
        digest=verb_digest("gate"),
    message:
        "gate: is the run sound?"
    shell:
        "python -m bench gate {params.config} --log {log}"
