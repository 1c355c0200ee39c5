"""Loads the performer; one whose classifier is missing gets a new one first."""

