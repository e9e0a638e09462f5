"""The stacks, one file a subject."""
