"""Tests in a browser, of the notebooks and the wheel; a package, whose browser ends with it."""
