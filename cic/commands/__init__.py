"""What the `cic` command can do, one file each: `add_arguments(parser)` says what it takes, `run(arguments)` does it."""
