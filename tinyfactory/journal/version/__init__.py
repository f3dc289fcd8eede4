"""Versions of transactional methods: digests of the code that runs, with what it names."""
