"""The schema of a person: reading, checking, editing and comparing its fields."""
