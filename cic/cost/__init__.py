"""What each op costs on each machine: measured or predicted."""
