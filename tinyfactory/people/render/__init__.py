"""People as text and as static HTML."""
