"""A model cut in two: what crosses, each half cloned, the outputs stitched together."""
