"""`PersonaCard`: read a person, edit fields, and have the model rewrite one."""
