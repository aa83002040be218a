"""Stages of formulations: one job for each data set, label, stage and block of seeds."""

for seeds in experiment.seed_blocks():

    rule:
        name:
            f"train_{seeds[0]}_{seeds[-1]}"
        input:
            training_sources(seeds),
        output:
            outcomes(*(files.stage("{dataset}", "{label}", seed, "{stage}") for seed in seeds)),
        log:
            logs / f"train/{{dataset}}.{{label}}.{{stage}}.{seeds[0]}-{seeds[-1]}.log",
        threads: THREADS
        resources:
            gpu=GPU,
        params:
            config=files.config,
            verb=lambda wildcards: experiment.formulation(wildcards.label)
            .stage(wildcards.stage)
            .kind,
            seeds=" ".join(map(str, seeds)),
            digest=lambda wildcards, seeds=seeds: [
                digests.stage_digest(
                    experiment,
                    wildcards.dataset,
                    wildcards.label,
                    wildcards.stage,
                    seed,
                )
                for seed in seeds
            ],
            failed=lambda wildcards, seeds=seeds: failed(
                *(
                    files.stage(wildcards.dataset, wildcards.label, seed, wildcards.stage)
                    for seed in seeds
                )
            ),
        message:
            "{params.verb}: {wildcards.label} on {wildcards.dataset}, stage {wildcards.stage},"
            " seeds {params.seeds}"
        shell:
            "python -m bench {params.verb} {params.config} --dataset {wildcards.dataset}"
            " --label {wildcards.label} --stage {wildcards.stage} --seeds {params.seeds}"
            " --log {log}"
