"""The name under which an SMTP host keeps a mail that it took, out of its reply to the final dot. Pure.

The reply's text is no standard; these are the forms of the servers that most mail goes through.
"""

from __future__ import annotations

import re

_FORMS = (
    re.compile(r"\bqueued as ([A-Za-z0-9-]{5,64})\b"),  # Postfix, hMailServer
    re.compile(r"\bid=([A-Za-z0-9-]{10,40})\b"),  # Exim
    re.compile(r"\[InternalId=(\d{1,30})\b"),  # Exchange, Microsoft 365
    re.compile(r"\bOK\s+\d{9,11}\s+([A-Za-z0-9.-]{8,80}) - gsmtp"),  # Gmail
    re.compile(r"\b(?:delivered|kept|queued|saved) as (?:id )?([\w.-]{1,64})", re.IGNORECASE),
    re.compile(r"\bqueued mail for delivery\W+id[=: ]+([\w.-]{4,64})", re.IGNORECASE),
    re.compile(r"^250 (?:2\.\d\.\d )?([A-Za-z0-9]{8,40}) Message accepted for delivery"),  # Sendmail, OpenSMTPD
    re.compile(r"^250 ok \d{9,11} qp (\d{1,10})\b", re.IGNORECASE),  # qmail
    re.compile(r"^250 ok ([0-9a-f]{16}-[0-9a-f-]{20,60})$", re.IGNORECASE),  # Amazon SES
    re.compile(r"\b(?:message-)?id[:=] ?<?([\w.@-]{6,120})>?", re.IGNORECASE),
)


def queue_id(reply: str) -> str:
    """The queue id that a reply such as ``250 2.0.0 Ok: queued as 4XyZ12`` tells, or an empty text."""
    for form in _FORMS:
        found = form.search(reply)
        if found is not None:
            return found[1]
    return ""
