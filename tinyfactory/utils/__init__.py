"""Helpers without a subject of their own: text, files, threads, random choices."""
