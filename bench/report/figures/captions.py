"""Titles and captions of the figures, for the page and for Snakemake's report."""

FIGURE_CAPTIONS: dict[str, tuple[str, str]] = {
    "quality_vs_nfe": (
        "Quality against evaluations",
        "Primary metric against network evaluations (NFE) for each sample; lower is better. Three "
        "views, where they were swept: each formulation with the sampler that was selected on the "
        "other seeds and other noise; Euler for all, on the grid that each formulation names "
        "(consistency models and flow maps solve no equation, and are not in it); adaptive solvers "
        "at the evaluations they were measured to spend. Points are geometric means over training "
        "seeds, bands 95% Student t intervals on the log scale, cut at the frame. Solid grey line: "
        "training data against held-out data, the floor. Dotted: a Gaussian fitted to the training "
        "data. Many formulations are drawn a kind a column, with all others in light grey; a value "
        "far above the rest is printed where its curve leaves the frame.",
    ),
    "quality_vs_wallclock": (
        "Quality against measured time",
        "Primary metric against measured seconds a sample. Small points: every solver and NFE, "
        "geometric mean over seeds. Lines: the Pareto front of each formulation, chosen on one "
        "noise bank and valued on another; times within 5% count as equal. Times were measured in "
        "a stage of their own: warm-up, then the median over repeats. Many formulations are drawn "
        "a kind a column, with the fronts of all others in light grey; a value far above the rest "
        "is printed where its front leaves the frame.",
    ),
    "straightness": (
        "Straightness of trajectories",
        "Three figures of straightness, from a fine solve; lower is straighter, and the vertical "
        "line is straight. They answer different questions and may disagree. Marker and bar: mean "
        "and 95% Student t interval over training seeds, cut at the frame; dots: single seeds. "
        "Consistency models and flow maps have no trajectory, and no row.",
    ),
    "samples": (
        "Samples",
        "Samples of the first training seed; a row a formulation, a column an NFE, with the "
        "solver that was selected there, on the first grid that was swept. Every cell starts from "
        "the same noise, so samples at one place can be compared along rows and columns. Nothing "
        "is hand-picked.",
    ),
    "trajectories": (
        "Trajectories in the plane",
        "Sampling trajectories of the first training seed on a two-dimensional data set, from a "
        "fine solve of each model's own equation, all from the same noise.",
    ),
    "error_split": (
        "Error of the field and of the solver",
        "Data sets whose law is known, so that the exact field is. Left: how far the models' "
        "estimate of the data is from the exact one, at points that the exact flow visits; this "
        "error is the same whatever path the model is sampled on. Middle: what solvers make of "
        "the exact field, on each path: the error that a perfect model has left. Right: models "
        "with the common solver, their end points against those of the exact flow from the same "
        "noise; for each seed the total is at most field plus solver. Lines are geometric means, "
        "bands 95% Student t intervals over training seeds. Models of a minibatch OT coupling, of "
        "stored pairs or under guidance follow another field and are not shown.",
    ),
    "convergence": (
        "Order of convergence",
        "Error on an exact flow in float64 against the number of intervals: RMSE of end points, "
        "and of stochastic solvers the Wasserstein-2 distance of laws. An adaptive method takes "
        "equal steps here and accepts each. A colour a solver, a line a path: the first with "
        "markers, the others thin. Dashed grey lines fall with the slopes that are written at "
        "their ends. The legend has the measured slope of each solver, or its range over the "
        "paths, between the two finest solves whose error is above rounding.",
    ),
    "training": (
        "Training curves",
        "Training loss of every stage and seed. Objectives differ, so losses may not be compared "
        "between formulations; the curves show whether training was steady.",
    ),
    "budget": (
        "Budget and cost",
        "Left: what each stage has spent, as a share of the one budget that every formulation is "
        "given; what a model needs upstream (a teacher, a first flow, its pairs) is charged to it. "
        "Right: measured core-seconds by kind of work, summed over seeds.",
    ),
}
