"""Pictures of a splitting model."""
