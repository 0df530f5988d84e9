#!/usr/bin/env python3
"""Checks what `gateway ledger proof` wrote: that an exchange was recorded as shown, before a seal was made.

Needs Python 3.10 and nothing else; where the package `cryptography` is there, the seal's signature is checked too.

    python3 verify_evidence.py EVIDENCE.json [--seals SEALS.txt] [--key KEY] [--raw FILE]

The seal inside the evidence proves nothing by itself: compare it with the copy that you were given when it was made
(--seals), and its key with the one that you were told by another way (--key). What is written here follows RFC 6962
(Merkle trees) and needs no trust in the gateway.
"""

import argparse
import base64
import hashlib
import json
import sys

DIGEST = 16  # bytes of a row's digest


def sha256(data):
    """The SHA-256 of bytes."""
    return hashlib.sha256(data).digest()


def leaf_of(event):
    """The leaf that an event is: SHA-256(0x00, its values as JSON[, line feed, digests of rows])."""
    text = json.dumps(event["values"], ensure_ascii=False, separators=(",", ":"))
    data = b"\x00" + text.encode("utf-8")
    if event["rows"] is not None:
        data += b"\n" + base64.b64decode(event["rows"])
    return sha256(data)


def root_of(leaf, index, size, path):
    """The root that a leaf and its path lead to (RFC 9162 section 2.1.3.2)."""
    first, last, root = index, size - 1, leaf
    for step in path:
        other = bytes.fromhex(step)
        if last == 0:
            return None
        if first & 1 or first == last:
            root = sha256(b"\x01" + other + root)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            root = sha256(b"\x01" + root + other)
        first, last = first >> 1, last >> 1
    return root if last == 0 else None


def mentioned(event, table, owner):
    """The digest of a row that an event of kind "recorded" holds; None where it holds none."""
    digests = base64.b64decode(event["rows"] or "")
    at = 0
    for name, ranges in json.loads(event["values"][7]).get("rows", {}).items():
        for first, count in ranges:
            if name == table and first <= owner < first + count:
                start = at + (owner - first) * DIGEST
                return digests[start : start + DIGEST]
            at += count * DIGEST
    return None


def named(row, text, name):
    """The value of a column in a row's text; nothing where the row has none."""
    values = json.loads(text)
    return [value for column, value in zip(row["columns"], values, strict=False) if column == name]


def signature_fits(note, key):
    """True, False, or None where it cannot be checked here."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return None
    name, _, rest = key.partition("+")
    public = base64.b64decode(rest.partition("+")[2])[1:]
    text, _, signatures = note.partition("\n\n")
    for line in signatures.splitlines():
        who, _, encoded = line[2:].rpartition(" ")
        if who == name:
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(encoded)[4:], (text + "\n").encode())
            except InvalidSignature:
                return False
            return True
    return False


def check(evidence):
    """The sentences of everything that is wrong, and what was sealed: (size, root, time)."""
    wrong = []
    _, size, root, _, time = evidence["seal"].partition("\n\n")[0].split("\n")
    size, root = int(size), base64.b64decode(root)
    by_number = {}
    for event in evidence["events"]:
        number = event["values"][0]
        by_number[number] = event
        if root_of(leaf_of(event), event["leaf"], size, event["path"]) != root:
            wrong.append(f"Event {number} is not in the sealed tree as it is shown.")
    for row in evidence["rows"]:
        what = f"The row of {row['table']} {row['owner']}"
        text = "\n".join(sorted(row["rows"]))
        digest = sha256(f"{row['table']}\0{text}".encode())[:DIGEST]
        event = by_number.get(row["event"])
        if event is None or mentioned(event, row["table"], row["owner"]) != digest:
            wrong.append(f"{what} is not what an event of the evidence recorded.")
    return wrong, (size, root, time.replace("time ", ""))


def main():
    """Reads the arguments, checks, and says what was found; exits with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("evidence")
    parser.add_argument("--seals", help="the file of seals that was kept outside of the ledger")
    parser.add_argument("--key", help="the key of the seals, as it was told by another way")
    parser.add_argument("--raw", help="the interchange's raw bytes, to be compared with the recorded hash")
    given = parser.parse_args()
    with open(given.evidence, encoding="utf-8") as file:
        evidence = json.load(file)
    wrong, (size, root, time) = check(evidence)
    note = evidence["seal"].strip()
    if given.key and given.key.strip() != evidence["key"]:
        wrong.append("The key of the seal is not the key that was given.")
    fits = signature_fits(evidence["seal"], given.key or evidence["key"])
    if fits is False:
        wrong.append("The signature of the seal does not fit.")
    if given.seals:
        with open(given.seals, encoding="utf-8") as file:
            if note not in file.read():
                wrong.append(f"The seal is not among those of {given.seals}.")
    if given.raw:
        with open(given.raw, "rb") as file:
            raw = hashlib.sha256(file.read()).hexdigest()
        kept = [value for row in evidence["rows"] for text in row["rows"] for value in named(row, text, "sha256")]
        if raw not in kept:
            wrong.append(f"The bytes of {given.raw} are none that the exchange names.")
    for sentence in wrong:
        print(sentence)
    if wrong:
        return 1
    events, rows = len(evidence["events"]), len(evidence["rows"])
    print(f"Exchange {evidence['exchange']}: {events} events and {rows} rows are as they were sealed on {time}.")
    print(f"The seal covers {size} events, root {root.hex()}.")
    if fits is None:
        print("The signature was not checked: install the package cryptography.")
    if not given.seals:
        print("Compare the seal with your own copy (--seals); only that proves when it was made.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
