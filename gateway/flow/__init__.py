"""The way of a message: the steps, in the order in which they stand in ``gateway.flow.night``."""
