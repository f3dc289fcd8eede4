"""Recordings: a simulation in one portable file, written, read and replayed."""
