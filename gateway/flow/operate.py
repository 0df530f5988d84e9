"""Operate: what a person does about an exchange or message: every verb, in one place to import from.

Each act is recorded with who and why. Each is safe to repeat: a repetition says that it was done before, and changes
nothing. With ``dry_run`` everything is done and then undone.
"""

from __future__ import annotations

from gateway.flow.acts import Act, Reference
from gateway.flow.operate_inbound import accept, discard, redeliver, release
from gateway.flow.operate_outbound import acknowledge_by_hand, cancel, resend, resend_anew, resolve
from gateway.flow.replay import replay, replay_range, replayable
from gateway.flow.settle import settle

__all__ = [
    "Act",
    "Reference",
    "accept",
    "acknowledge_by_hand",
    "cancel",
    "discard",
    "redeliver",
    "release",
    "replay",
    "replay_range",
    "replayable",
    "resend",
    "resend_anew",
    "resolve",
    "settle",
]
