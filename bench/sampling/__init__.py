"""From noise to samples: solvers, grids, changes of path, and what is measured on the way."""
