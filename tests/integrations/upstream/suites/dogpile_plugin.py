"""Nothing is to be changed: dogpile.cache brings its tests for backends as classes, see test_dogpile.py."""
