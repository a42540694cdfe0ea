"""The front end for torch: a module is captured, made safe to cut, and read as a `Graph`."""
