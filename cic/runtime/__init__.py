"""Running a cut: head and tail in two processes with a link between them."""
