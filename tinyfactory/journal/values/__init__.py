"""What a journal stores: JSON values, objects and their states, changes, sealed text."""
