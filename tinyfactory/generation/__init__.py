"""The pipeline that asks a model: build, send, save, read, and ask again with the reason."""
