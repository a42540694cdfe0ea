"""CIC: a graph min-cut partitioning compiler for split inference."""
