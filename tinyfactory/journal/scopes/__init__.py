"""A run of a simulation: its names, its lines of events, and the context of a call."""
