"""Which status of HTTP (RFC 9110) says best what a fault is."""

from __future__ import annotations

from gateway.errors import (
    ApiTokenRefused,
    ConfigurationFault,
    ContentErased,
    ContentPutAway,
    DocumentFault,
    DoorFault,
    GatewayError,
    KeyReused,
    MessageFault,
    NoAgreement,
    NotAllowedNow,
    NotFound,
    ProfileInvalid,
    ProfileOverlap,
    RevisionDiffers,
    SignInPaused,
    SubmittedBefore,
    TooManyRequests,
    TryAgainLater,
    Unavailable,
    UnknownPartner,
    UsageFault,
)

# First match wins: special ones stand before what they are kinds of.
_STATUS: tuple[tuple[type[GatewayError], int], ...] = (
    (ApiTokenRefused, 401),
    (SignInPaused, 429),
    (TooManyRequests, 429),
    (DoorFault, 403),
    (ContentPutAway, 410),
    (ContentErased, 410),
    (NotFound, 404),
    (UnknownPartner, 404),
    (RevisionDiffers, 412),
    (NotAllowedNow, 409),
    (KeyReused, 409),
    (SubmittedBefore, 409),
    (UsageFault, 400),
    (DocumentFault, 422),
    (NoAgreement, 422),
    (MessageFault, 422),
    (ProfileInvalid, 422),
    (ProfileOverlap, 422),
    (ConfigurationFault, 503),
    (Unavailable, 503),
    (TryAgainLater, 503),
)


def status_of(fault: GatewayError) -> int:
    """The status with which a fault is answered."""
    return next((status for kind, status in _STATUS if isinstance(fault, kind)), 500)
