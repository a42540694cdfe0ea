"""What people hand in: models by name, inputs as text or as a photograph, and the description of example inputs."""
