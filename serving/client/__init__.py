"""Asks a running server from the terminal: ``python -m serving.client latest``."""
