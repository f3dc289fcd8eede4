"""Values on disk: the store, its database, its folder, and the thread that writes."""
