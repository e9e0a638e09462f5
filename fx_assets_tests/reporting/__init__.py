"""Tests of the reports that people hand on."""
