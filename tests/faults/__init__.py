"""The fault suite: the unmodified gateway is killed, starved and cut off; a partner outside of it keeps the truth."""
