"""What all widgets are built from: panel, table, status line, background work."""
