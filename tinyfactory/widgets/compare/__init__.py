"""`PersonaCompare`: people side by side, and twins."""
