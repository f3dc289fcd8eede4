"""Helpers for tests: a real chat server, and the isolation that every test runs in."""
