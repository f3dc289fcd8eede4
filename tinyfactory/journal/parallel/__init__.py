"""Calls at the same time: locks of objects, places of calls that overlap, work under way."""
