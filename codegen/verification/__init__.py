"""Whether the halves on disk compute what the whole model computes, found out in fresh processes."""
