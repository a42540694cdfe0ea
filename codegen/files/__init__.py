"""Files and directories that are whole or absent, and files that nobody vouches for."""
