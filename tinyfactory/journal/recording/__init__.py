"""Recordings: a simulation as one portable file, written, read and replayed."""
