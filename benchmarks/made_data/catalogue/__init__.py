"""Catalogue prices against profiles: the networks the figures of a machine are fitted on, and others that judge them."""
