"""The console: the gateway as web pages for operators and auditors, rendered on the server.

A page is a function from a ``Visit`` to a response; ``view`` and ``act`` (``routing``) make routes of them, look who
comes, whether their role allows it, and whether a form is their own. What the pages tell comes from ``flow`` and
``ledger``, the same as on the command line.
"""
