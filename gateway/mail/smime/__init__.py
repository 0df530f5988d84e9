"""S/MIME and AS1 (RFC 8551, 5652, 5402, 3335): sign, encrypt and compress entities, and open what comes.

Pure: bytes in, values out. CMS structures are read with asn1crypto behind bounds of our own (``ber``), the
mathematics are those of ``cryptography``. ``layers`` is the front door, ``certificates`` reads and makes certificates.
"""
