"""Stages of formulations: one job for each data set, label, stage and block of seeds."""

for seeds in experiment.seed_blocks():
    folders = [files.stage("{dataset}", "{label}", seed, "{stage}") for seed in seeds]

    rule:
        name:
            f"train_{seeds[0]}_{seeds[-1]}"
        input:
            reads(*folders),
        output:
            outcomes(*folders),
        log:
            logs / f"train/{{dataset}}.{{label}}.{{stage}}.{seeds[0]}-{seeds[-1]}.log",
        threads: THREADS
        resources:
            gpu=GPU,
        params:
            config=files.config,
            verb=verb(*folders),
            seeds=" ".join(map(str, seeds)),
            digest=digest(*folders),
            failed=failed(*folders),
        message:
            "{params.verb}: {wildcards.label} on {wildcards.dataset}, stage {wildcards.stage},"
            " seeds {params.seeds}"
        shell:
            "python -m bench {params.verb} {params.config} --dataset {wildcards.dataset}"
            " --label {wildcards.label} --stage {wildcards.stage} --seeds {params.seeds}"
            " --log {log}"
