"""`PersonaChat`: talk to one person, or ask several the same question."""
