"""Inputs made to do harm: what refuses them, with which error, and what memory and time they take until then."""
