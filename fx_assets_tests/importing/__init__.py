"""From price files to declarations that work."""
