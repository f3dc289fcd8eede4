"""The journal: transactional methods, and their events as JSON on disk."""
