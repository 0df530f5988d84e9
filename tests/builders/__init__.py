"""Makes things that tests need, with every value that a test does not care about filled in."""
