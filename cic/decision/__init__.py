"""The device half: a splitting model is read from its file and answers `decide`. Standard library only."""
