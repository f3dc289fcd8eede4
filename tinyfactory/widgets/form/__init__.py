"""`PersonaForm`: describe people, see the cost, and generate them."""
