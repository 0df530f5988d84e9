"""How many mails may go now, where the SMTP host takes only so many a minute."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_MINUTE = 60.0


class Pace:
    """At most ``rate`` mails in any minute; 0 is any number.

    Args:
        rate: mails a minute.
        used: how many of them went just before.
        clock: seconds that only grow.
    """

    def __init__(self, rate: int, used: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._gone: deque[float] = deque([clock()] * min(used, rate), maxlen=rate or None)

    def room(self, wanted: int) -> int:
        """How many of ``wanted`` mails may go now."""
        if not self._rate:
            return wanted
        return min(wanted, self._rate - sum(1 for each in self._gone if each > self._clock() - _MINUTE))

    def take(self, count: int) -> None:
        """So many go now."""
        if self._rate:
            self._gone.extend([self._clock()] * count)

    def delay(self) -> float:
        """Seconds until one more may go."""
        if self.room(1):
            return 0.0
        return max(0.0, self._gone[0] + _MINUTE - self._clock())
