"""GenPathBench: one experiment, from its data to its report.

snakemake --cores 8 --resources gpu=4 runs configs/default.yaml; --configfile names another one.
"""

from snakemake.utils import min_version

min_version("9.0")


# Snakemake merges a config file that it is given into this one, so this one must stand alone.
if not workflow.configfiles:

    configfile: f"{workflow.basedir}/configs/default.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/sweep.smk"
include: "workflow/rules/report.smk"


onstart:
    need(experiment, files)
    run_lock.hold(run_lock.LOCK)  # for as long as the run lives: its jobs end when it does
    experiment.save(files.config)
    expectation.store(experiment, files)


rule all:
    default_target: True
    input:
        rules.gate.output,
    localrule: True
