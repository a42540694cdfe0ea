"""One page about a run of the session, made from its records. Standard library only."""
