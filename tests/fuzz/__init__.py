"""Programs that damage input at random, for as long as one likes; the tests run each for a moment."""
