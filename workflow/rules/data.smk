"""Data sets, what is learnt from them alone, and the measured speed of a training step."""


rule prepare:
    output:
        outcomes(files.data("{dataset}")),
    log:
        logs / "prepare/{dataset}.log",
    threads: THREADS
    params:
        config=files.config,
        digest=digest(files.data("{dataset}")),
        failed=failed(files.data("{dataset}")),
    message:
        "prepare: the data set {wildcards.dataset}"
    shell:
        "python -m bench prepare {params.config} --dataset {wildcards.dataset} --log {log}"


rule extractor:
    input:
        reads(files.extractor("{dataset}")),
    output:
        outcomes(files.extractor("{dataset}")),
    log:
        logs / "extractor/{dataset}.log",
    threads: THREADS
    resources:
        gpu=GPU,
    params:
        config=files.config,
        digest=digest(files.extractor("{dataset}")),
        failed=failed(files.extractor("{dataset}")),
    message:
        "extractor: a feature extractor for {wildcards.dataset}"
    shell:
        "python -m bench extractor {params.config} --dataset {wildcards.dataset} --log {log}"


# Claims the whole machine: other jobs would be measured with it.
rule calibrate:
    input:
        reads(files.calibration("{dataset}", "{label}")),
    output:
        outcomes(files.calibration("{dataset}", "{label}")),
    log:
        logs / "calibrate/{dataset}.{label}.log",
    threads: ALL_CORES
    resources:
        gpu=GPU,
    params:
        config=files.config,
        digest=digest(files.calibration("{dataset}", "{label}")),
        failed=failed(files.calibration("{dataset}", "{label}")),
    message:
        "calibrate: seconds a step of {wildcards.label} on {wildcards.dataset}, alone"
    shell:
        "python -m bench calibrate {params.config} --dataset {wildcards.dataset}"
        " --label {wildcards.label} --log {log}"
