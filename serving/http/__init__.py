"""What is of HTTP alone: limits, keys, problems, caching, the wire format."""
