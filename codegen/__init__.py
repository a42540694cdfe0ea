"""From a traced module and a set of nodes to two halves on disk. Never imports `cic`."""
