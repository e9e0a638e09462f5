"""Lakes that a server can start on without anything being trained, and such a server."""
