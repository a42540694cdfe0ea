"""The device half at run time: decides, runs heads, asks a server, and keeps a record of each inference."""
