"""Performers whose class evidence was planted, and part shares judged by what the performers really use."""
