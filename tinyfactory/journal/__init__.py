"""The journal: what was done, kept as JSON on disk, and what makes a step atomic."""
