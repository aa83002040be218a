"""Raw networks ``F(x, condition)``. They know no path and no formulation; one file a network."""
