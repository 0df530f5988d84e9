"""The parameters of RSASSA-PSS and RSAES-OAEP, which name their digests; SHA-1 where they do not (RFC 4055)."""

from __future__ import annotations

from typing import Any

from asn1crypto import core
from msgspec import Struct

from gateway.errors import AlgorithmRefused, SecurityMalformed
from gateway.mail.smime import structures as asn1
from gateway.mail.smime.algorithms import MGF1, P_SPECIFIED

_SHA1 = "1.3.14.3.2.26"


class PssScheme(Struct, frozen=True):
    """The parameters of RSASSA-PSS: object identifiers and the length of the salt."""

    digest: str
    mask_digest: str
    salt_length: int


def read_pss(parameters: Any) -> PssScheme:
    """RSASSA-PSS-params. Raises what asn1crypto raises, and the faults of ``reading``."""
    if isinstance(parameters, core.Void):
        return PssScheme(_SHA1, _SHA1, 20)
    found = asn1.PssParameters.load(parameters.dump(), strict=True)
    salt = found["salt_length"].native
    if not 0 <= salt <= 512 or found["trailer"].native != "trailer_field_bc":
        raise SecurityMalformed(reason="PSS parameters past their bounds")
    return PssScheme(_digest_or_sha1(found["hash"]), _mask_digest(found["mask"]), salt)


def _digest_or_sha1(algorithm: Any) -> str:
    return _SHA1 if isinstance(algorithm, core.Void) else str(algorithm["algorithm"].dotted)


def _mask_digest(algorithm: Any) -> str:
    """The digest of a mask generation function; RFC 4055 makes SHA-1 the default."""
    if isinstance(algorithm, core.Void):
        return _SHA1
    name = algorithm["algorithm"].dotted
    if name != MGF1:
        raise AlgorithmRefused(algorithm=f"the mask generation {name}", reason="not known to the gateway")
    return str(asn1.Algorithm.load(algorithm["parameters"].dump(), strict=True)["algorithm"].dotted)


def read_oaep(parameters: Any) -> tuple[str, str]:
    """RSAES-OAEP-params: the digest and that of the mask. Raises as ``read_pss`` does."""
    if isinstance(parameters, core.Void):
        return _SHA1, _SHA1
    found = asn1.OaepParameters.load(parameters.dump(), strict=True)
    source = found["source"]
    if not isinstance(source, core.Void):
        label = core.OctetString.load(source["parameters"].dump(), strict=True).native
        if source["algorithm"].dotted != P_SPECIFIED or label:
            raise AlgorithmRefused(algorithm="RSA-OAEP with a label", reason="not known to the gateway")
    return _digest_or_sha1(found["hash"]), _mask_digest(found["mask"])
