"""Processes beside the server, for what may block, hang or fail."""
