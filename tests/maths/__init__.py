"""Tests of the paper's equations."""
