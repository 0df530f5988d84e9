"""How much a search looks at before it takes another way to a page. They change how long it takes, never the page."""

from __future__ import annotations

FEW = 1_000  # rows that are compared one by one
SOME = 5_000  # rows that are compared where nothing leads to them in order: three times as quick as to walk for them
VERY_FEW = 100  # so few that no other index need be asked
MANY = 100_000  # rows up to which ways are counted
NEAR = 2_000  # rows that are walked before anything else is tried
WIDTHS = (1, 3, 8, 12)  # months that are looked at together, one time after the other
ALL_TIME = 3  # how often, before the index is asked about all time
PAGES = (
    2,
    8,
)  # pages of the highest ids in SQLite's text index that are looked at for the newest one, one after the other
AHEAD = 4  # pages of ids that are looked at for one of the newest
AS_MANY = 40  # ids that PostgreSQL reads in the index of time while it compares one row
