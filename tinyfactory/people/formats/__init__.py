"""People in files and tables of other programs."""
