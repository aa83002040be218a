"""What is measured: sweeps over solvers, likelihoods, the floor, the exact field, and seconds a sample."""

for seeds in experiment.seed_blocks():
    swept = [files.sweep("{dataset}", "{label}", seed) for seed in seeds]
    screened = [files.screen("{dataset}", "{label}", seed) for seed in seeds]
    likely = [files.likelihood("{dataset}", "{label}", seed) for seed in seeds]

    if experiment.sweep.screen is not None:

        rule:
            name:
                f"screen_{seeds[0]}_{seeds[-1]}"
            input:
                reads(*screened),
            output:
                outcomes(*screened),
            log:
                logs / f"screen/{{dataset}}.{{label}}.{seeds[0]}-{seeds[-1]}.log",
            threads: THREADS
            resources:
                gpu=GPU,
            params:
                config=files.config,
                seeds=" ".join(map(str, seeds)),
                digest=digest(*screened),
                failed=failed(*screened),
            message:
                "screen: {wildcards.label} on {wildcards.dataset}, seeds {params.seeds}"
            shell:
                "python -m bench screen {params.config} --dataset {wildcards.dataset}"
                " --label {wildcards.label} --seeds {params.seeds} --log {log}"

    rule:
        name:
            f"sweep_{seeds[0]}_{seeds[-1]}"
        input:
            reads(*swept),
        output:
            outcomes(*swept),
        log:
            logs / f"sweep/{{dataset}}.{{label}}.{seeds[0]}-{seeds[-1]}.log",
        threads: THREADS
        resources:
            gpu=GPU,
        params:
            config=files.config,
            seeds=" ".join(map(str, seeds)),
            digest=digest(*swept),
            failed=failed(*swept),
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
                reads(*likely),
            output:
                outcomes(*likely),
            log:
                logs / f"likelihood/{{dataset}}.{{label}}.{seeds[0]}-{seeds[-1]}.log",
            threads: THREADS
            resources:
                gpu=GPU,
            params:
                config=files.config,
                seeds=" ".join(map(str, seeds)),
                digest=digest(*likely),
                failed=failed(*likely),
            message:
                "likelihood: {wildcards.label} on {wildcards.dataset}, seeds {params.seeds}"
            shell:
                "python -m bench likelihood {params.config} --dataset {wildcards.dataset}"
                " --label {wildcards.label} --seeds {params.seeds} --log {log}"


rule floor:
    input:
        reads(files.floor("{dataset}")),
    output:
        outcomes(files.floor("{dataset}")),
    log:
        logs / "floor/{dataset}.log",
    threads: THREADS
    resources:
        gpu=GPU,
    params:
        config=files.config,
        digest=digest(files.floor("{dataset}")),
        failed=failed(files.floor("{dataset}")),
    message:
        "floor: real data against real data, and baselines, on {wildcards.dataset}"
    shell:
        "python -m bench floor {params.config} --dataset {wildcards.dataset} --log {log}"


rule oracle:
    input:
        reads(files.oracle("{dataset}")),
    output:
        outcomes(files.oracle("{dataset}")),
    log:
        logs / "oracle/{dataset}.log",
    threads: THREADS
    resources:
        gpu=GPU,
    params:
        config=files.config,
        digest=digest(files.oracle("{dataset}")),
        failed=failed(files.oracle("{dataset}")),
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
            digest=digest(files.convergence()),
            failed=failed(files.convergence()),
        message:
            "convergence: the order of every solver on an exact flow"
        shell:
            "python -m bench convergence {params.config} --log {log}"


# Claims the whole machine: other jobs would be measured with it.
rule timing:
    input:
        reads(files.timing("{dataset}")),
    output:
        outcomes(files.timing("{dataset}")),
    log:
        logs / "timing/{dataset}.log",
    threads: ALL_CORES
    resources:
        gpu=GPU,
    params:
        config=files.config,
        digest=digest(files.timing("{dataset}")),
        failed=failed(files.timing("{dataset}")),
    message:
        "timing: seconds a sample on {wildcards.dataset}, alone"
    shell:
        "python -m bench timing {params.config} --dataset {wildcards.dataset} --log {log}"
