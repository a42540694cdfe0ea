"""An emitted model on disk: a manifest, a directory for each cut, and weights that the cuts share."""
