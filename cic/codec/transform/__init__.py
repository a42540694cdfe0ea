"""Transform codecs: the channels of one tensor become few components, whose symbols take few bits."""
