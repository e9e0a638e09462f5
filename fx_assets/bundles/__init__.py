"""A champion as files: the bundle, its pointer, and what answers from it."""
