"""The store of a journal: values on disk."""
