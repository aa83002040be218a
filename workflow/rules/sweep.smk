"""What is measured: sweeps over solvers, likelihoods, the floor, the exact field, and seconds a sample."""

for seeds in experiment.seed_blocks():

    rule:
        name:
            f"sweep_{seeds[0]}_{seeds[-1]}"
        input:
            lambda wildcards: data_sources(wildcards.dataset),
            lambda wildcards, seeds=seeds: models(wildcards.dataset, wildcards.label, seeds),
        output:
            outcomes(*(files.sweep("{dataset}", "{label}", seed) for seed in seeds)),
        log:
            logs / f"sweep/{{dataset}}.{{label}}.{seeds[0]}-{seeds[-1]}.log",
        threads: THREADS
        resources:
            gpu=GPU,
        params:
            config=files.config,
            seeds=" ".join(map(str, seeds)),
            digest=lambda wildcards, seeds=seeds: [
                digests.sweep_digest(experiment, wildcards.dataset, wildcards.label, seed)
                for seed in seeds
            ],
            failed=lambda wildcards, seeds=seeds: failed(
                *(files.sweep(wildcards.dataset, wildcards.label, seed) for seed in seeds)
            ),
        message:
            "sweep: {wildcards.label} on {wildcards.dataset}, seeds {params.seeds}"
        shell:
            "python -m bench sweep {params.config} --dataset {wildcards.dataset}"
            " --label {wildcards.label} --seeds {params.seeds} --log {log}"

    if experiment.likelihood is not None:

        rule:
            name:
                f"likelihood_{seeds[0]}_{seeds[-1]}"
            input:
                lambda wildcards: outcomes(files.data(wildcards.dataset)),
                lambda wildcards, seeds=seeds: models(wildcards.dataset, wildcards.label, seeds),
            output:
                outcomes(*(files.likelihood("{dataset}", "{label}", seed) for seed in seeds)),
            log:
                logs / f"likelihood/{{dataset}}.{{label}}.{seeds[0]}-{seeds[-1]}.log",
            threads: THREADS
            resources:
                gpu=GPU,
            params:
                config=files.config,
                seeds=" ".join(map(str, seeds)),
                digest=lambda wildcards, seeds=seeds: [
                    digests.likelihood_digest(experiment, wildcards.dataset, wildcards.label, seed)
                    for seed in seeds
                ],
                failed=lambda wildcards, seeds=seeds: failed(
                    *(files.likelihood(wildcards.dataset, wildcards.label, seed) for seed in seeds)
                ),
            message:
                "likelihood: {wildcards.label} on {wildcards.dataset}, seeds {params.seeds}"
            shell:
                "python -m bench likelihood {params.config} --dataset {wildcards.dataset}"
                " --label {wildcards.label} --seeds {params.seeds} --log {log}"


rule floor:
    input:
        lambda wildcards: data_sources(wildcards.dataset),
    output:
        outcomes(files.floor("{dataset}")),
    log:
        logs / "floor/{dataset}.log",
    threads: THREADS
    resources:
        gpu=GPU,
    params:
        config=files.config,
        digest=lambda wildcards: digests.floor_digest(experiment, wildcards.dataset),
        failed=lambda wildcards: failed(files.floor(wildcards.dataset)),
    message:
        "floor: real data against real data, and baselines, on {wildcards.dataset}"
    shell:
        "python -m bench floor {params.config} --dataset {wildcards.dataset} --log {log}"


rule oracle:
    input:
        lambda wildcards: data_sources(wildcards.dataset),
    output:
        outcomes(files.oracle("{dataset}")),
    log:
        logs / "oracle/{dataset}.log",
    threads: THREADS
    resources:
        gpu=GPU,
    params:
        config=files.config,
        digest=lambda wildcards: digests.oracle_digest(experiment, wildcards.dataset),
        failed=lambda wildcards: failed(files.oracle(wildcards.dataset)),
    message:
        "oracle: the exact field on {wildcards.dataset}"
    shell:
        "python -m bench oracle {params.config} --dataset {wildcards.dataset} --log {log}"


if experiment.convergence is not None:

    rule convergence:
        output:
            outcomes(files.convergence()),
        log:
            logs / "convergence.log",
        threads: THREADS
        params:
            config=files.config,
            digest=digests.convergence_digest(experiment.convergence.paths),
            failed=failed(files.convergence()),
        message:
            "convergence: the order of every solver on an exact flow"
        shell:
            "python -m bench convergence {params.config} --log {log}"


# Claims the whole machine: other jobs would be measured with it.
rule timing:
    input:
        lambda wildcards: outcomes(files.data(wildcards.dataset)),
        lambda wildcards: [
            model
            for label in experiment.labels
            for model in models(wildcards.dataset, label, experiment.seeds[:1])
        ],
    output:
        outcomes(files.timing("{dataset}")),
    log:
        logs / "timing/{dataset}.log",
    threads: ALL_CORES
    resources:
        gpu=GPU,
    params:
        config=files.config,
        digest=lambda wildcards: digests.timing_digest(experiment, wildcards.dataset),
        failed=lambda wildcards: failed(files.timing(wildcards.dataset)),
    message:
        "timing: seconds a sample on {wildcards.dataset}, alone"
    shell:
        "python -m bench timing {params.config} --dataset {wildcards.dataset} --log {log}"
