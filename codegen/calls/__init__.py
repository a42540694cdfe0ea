"""A call of a model and its answer, as flat tensors and as the model's own structure."""
