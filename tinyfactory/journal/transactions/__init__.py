"""One transactional call: look-up, body, commit or rollback, and the objects that take part."""
