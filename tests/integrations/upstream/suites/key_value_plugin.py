"""Nothing is to be changed: the tests of py-key-value-aio are a class to be derived from, see test_key_value.py."""
