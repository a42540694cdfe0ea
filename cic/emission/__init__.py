"""Both halves of every cut on disk, checked against the whole model, and the way back: an emitted cut, ready to run."""
