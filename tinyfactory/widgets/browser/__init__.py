"""`PersonaBrowser`: search, filter, sort, read and export people."""
