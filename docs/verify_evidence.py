#!/usr/bin/env python3
"""Checks what `gateway ledger proof` wrote: that an exchange was recorded as shown, before a seal was made.

Needs Python 3.10 and nothing else; where the package `cryptography` is there, the seal's signature is checked too.

    python3 verify_evidence.py EVIDENCE.json [--seals SEALS.txt] [--key KEY] [--raw FILE]

The seal inside the evidence proves nothing by itself: compare it with the copy that you were given when it was made
(--seals), and its key with the one that you were told by another way (--key). What is written here follows RFC 6962
(Merkle trees) and needs no trust in the gateway. Exit codes: 0, it is as it says; 1, something is wrong; 3, --key was
given and the signature cannot be checked here.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections import Counter

DIGEST = 16  # bytes of a row's digest
GONE = bytes(DIGEST)  # of rows that were removed in order

# The columns of each table, in their order: by this list, not by the evidence, it is known what a value is.
COLUMNS = {
    "exchange": "id at updated_at direction kind state verdict partner agreement message payload file_name "
    "from_address host message_id subject to_addresses user sender_qualifier sender_id receiver_qualifier receiver_id "
    "interchange_date interchange_time interchange_version control_number usage types versions sha256 size segments "
    "findings ta1 fault_code fault duplicate_of answers idempotency_key handed_over_at smtp_reply settled_at security "
    "mic due_at acknowledged_at repeats",
    "message": "id at direction state kind mailbox host user sha256 size message_id in_reply_to subject from_address "
    "to_addresses cc_addresses dated partner fault_code fault proof proof_detail layers",
    "payload": "id message ordinal path file_name content_type sha256 size repairs",
    "functional_group": "id exchange ordinal functional_id application_sender application_receiver control_number "
    "version sets start status acknowledged acknowledged_at",
    "transaction_set": "id functional_group exchange ordinal set_id control_number implementation guideline agreement "
    "status start end segments acknowledged acknowledged_at delivery delivered_to delivered_at",
    "business_key": "value name transaction_set exchange",
    "finding": "id exchange functional_group transaction_set level code x12 scope segment position loop element "
    "component repetition offset value message",
    "interchange_key": "key exchange",
    "received_number": "id at partner theirs ours level epoch number exchange",
    "acknowledgment": "id at carrier exchange functional_group transaction_set kind status codes errors names relation",
}
COLUMNS = {table: names.split() for table, names in COLUMNS.items()}
TOGETHER = ("business_key", "finding", "interchange_key", "received_number")  # one digest for all of an exchange


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
    if not 0 <= first <= last:
        return None
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


def recorded(events):
    """What events of kind "recorded" say of rows: by table and owner the digest that the newest one holds."""
    found = {}
    for event in events:
        if event["values"][2] == "recorded" and event["rows"] is not None:
            digests, at = base64.b64decode(event["rows"]), 0
            for table, ranges in json.loads(event["values"][7])["rows"].items():
                for first, count, *more in ranges:  # more: bytes of a second, shorter digest of each, after those
                    for owner in range(first, first + count):
                        found[table, owner] = digests[at : at + DIGEST]
                        at += DIGEST
                    at += count * sum(more)
    return found


def read(row):
    """Rows with one digest as values by the names of their columns; what is left out at the end has its default."""
    columns = COLUMNS[row["table"]]
    rows = [json.loads(text) for text in row["rows"]]
    if any(ours != theirs for ours, theirs in zip(columns, row["columns"], strict=False)):
        raise ValueError(f"the columns of {row['table']} are not those that this script knows")
    if any(len(values) > len(columns) for values in rows):
        raise ValueError(f"{row['table']} has more columns than this script knows: take the one of that version")
    return [dict(zip(columns, values, strict=False)) for values in rows]


def is_of(number, exchange, table, owner, row):
    """Whether a row, which an owner has, is one of the exchange."""
    if table in TOGETHER:
        return row.get("exchange") == owner == number
    if row.get("id") != owner:
        return False
    if table in ("exchange", "message", "payload"):
        return owner == {"exchange": number, **exchange}[table]
    return number in (row.get("exchange"), row.get("carrier"))


def strangers(evidence, exchange, rows, events):
    """What is shown and is not of the exchange."""
    number = evidence["exchange"]
    for (table, owner), values in rows.items():
        if not all(is_of(number, exchange, table, owner, each) for each in values):
            yield f"The row of {table} {owner} is not one of exchange {number}."
    for event in events:
        seq, _, kind, its, mail = event["values"][:5]
        if kind != "recorded" and its != number and not (its is None and mail == exchange["message"]):
            yield f"Event {seq} is not one of exchange {number}."


def left_out(evidence, exchange, rows, events, digests):
    """What is of the exchange by what is shown, and is not shown itself, unless it was removed in order."""
    of = {name: [each for place, values in rows.items() if place[0] == name for each in values] for name in COLUMNS}
    sets = Counter(each["functional_group"] for each in of["transaction_set"])
    places = [(table, evidence["exchange"]) for table in TOGETHER]
    places += [("message", exchange["message"]), ("payload", exchange["payload"])]
    for place in [*places, *(("functional_group", group) for group in sets)]:
        if place not in rows and digests.get(place, GONE) != GONE:
            yield f"The row of {place[0]} {place[1]} was recorded and is not shown."
    if exchange.get("versions") and not of["functional_group"] and not exchange.get("fault_code"):
        yield f"The row of exchange {evidence['exchange']} tells of groups of its own; none is shown."
    for each in of["functional_group"]:
        if sets[each["id"]] < each.get("sets", 0) and not exchange.get("fault_code"):  # of refused mails few are kept
            yield f"The row of functional_group {each['id']} tells of {each['sets']} sets; not all are shown."
    told = [json.loads(event["values"][7]) for event in events if event["values"][2] == "acknowledgment"]
    words = ("carrier", "kind", "status", "relation")
    whole = [each for each in of["acknowledgment"] if each["transaction_set"] is None]
    missing = Counter(tuple(map(each.get, words)) for each in told) - Counter(
        tuple(map(each.get, words)) for each in whole
    )
    gone = sum(table == "acknowledgment" and digest == GONE for (table, _), digest in digests.items())
    for carrier, kind, *_ in list(missing.elements())[gone:]:
        yield f"What the {kind} in exchange {carrier} says was recorded and is not shown."


def check(evidence):
    """The sentences of everything that is wrong, and what was sealed: (size, root, time)."""
    _, size, root, _, time = evidence["seal"].partition("\n\n")[0].split("\n")
    size, root, number = int(size), base64.b64decode(root), evidence["exchange"]
    events = sorted(evidence["events"], key=lambda event: event["leaf"])
    wrong = [
        f"Event {event['values'][0]} is not in the sealed tree as it is shown."
        for event in events
        if root_of(leaf_of(event), event["leaf"], size, event["path"]) != root
    ]
    sealed = size, root, time.replace("time ", "")
    if wrong:
        return wrong, sealed
    digests, rows = recorded(events), {(row["table"], row["owner"]): read(row) for row in evidence["rows"]}
    for row in evidence["rows"]:
        text = "\n".join(sorted(row["rows"]))
        if digests.get((row["table"], row["owner"])) != sha256(f"{row['table']}\0{text}".encode())[:DIGEST]:
            wrong.append(
                f"The row of {row['table']} {row['owner']} is not what an event of the evidence recorded last."
            )
    if len(rows) != len(evidence["rows"]) or [owner for table, owner in rows if table == "exchange"] != [number]:
        wrong.append(f"The evidence does not show one row of exchange {number}, and every other row once.")
    else:
        exchange = {"message": None, "payload": None, **rows["exchange", number][0]}
        wrong += strangers(evidence, exchange, rows, events)
        wrong += left_out(evidence, exchange, rows, events, digests)
    return wrong, sealed


def named(path, evidence):
    """Whose bytes a file holds, by what is recorded of the interchange, its mail and the part of that; or nothing."""
    with open(path, "rb") as file:
        found = hashlib.sha256(file.read()).hexdigest()
    for table in ("exchange", "message", "payload"):
        for row in evidence["rows"]:
            if row["table"] == table and read(row)[0].get("sha256") == found:
                return f"{table} {row['owner']}"
    return ""


def signature_fits(note, key):
    """True, False, or None where it cannot be checked here."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return None
    public = base64.b64decode(of_key(key))
    text, _, signatures = note.partition("\n\n")
    for line in signatures.splitlines():
        who, _, encoded = line[2:].rpartition(" ")
        try:
            signature = base64.b64decode(encoded)
        except ValueError:
            continue
        if signature[:4] == hashlib.sha256(who.encode() + b"\n" + public).digest()[:4]:
            try:
                Ed25519PublicKey.from_public_bytes(public[1:]).verify(signature[4:], (text + "\n").encode())
            except InvalidSignature:
                return False
            return True
    return False


def of_key(key):
    """The key itself, without the name that its ledger has by now (name+id+key)."""
    return key.strip().split("+", 2)[-1]


def main():
    """Reads the arguments, checks, and says what was found; see above for what it exits with."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("evidence")
    parser.add_argument("--seals", help="the file of seals that was kept outside of the ledger")
    parser.add_argument("--key", help="the key of the seals, as it was told by another way")
    parser.add_argument(
        "--raw", help="the bytes of the interchange or of its mail, to be compared with the recorded hash"
    )
    given = parser.parse_args()
    try:
        return looked(given)
    except OSError as problem:
        print(f"{problem.filename} cannot be read: {problem.strerror}.")
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as problem:
        print(f"{given.evidence} is no evidence that can be read: {type(problem).__name__}: {problem}.")
    return 1


def looked(given):
    """Checks what the arguments name, says what was found, and gives the exit code."""
    with open(given.evidence, encoding="utf-8") as file:
        evidence = json.load(file)
    wrong, (size, root, time) = check(evidence)
    note = evidence["seal"].strip()
    if given.key and of_key(given.key) != of_key(evidence["key"]):
        wrong.append("The key of the seal is not the key that was given.")
    fits = signature_fits(evidence["seal"], given.key or evidence["key"])
    if fits is False:
        wrong.append("The signature of the seal does not fit.")
    if given.seals:
        with open(given.seals, encoding="utf-8", errors="replace") as file:
            if note not in file.read():
                wrong.append(f"The seal is not among those of {given.seals}.")
    whose = named(given.raw, evidence) if given.raw and not wrong else ""
    if given.raw and not whose:
        wrong.append(f"The bytes of {given.raw} are none that the exchange names.")
    for sentence in wrong:
        print(sentence)
    if wrong:
        return 1
    events, rows = len(evidence["events"]), len(evidence["rows"])
    print(f"Exchange {evidence['exchange']}: {events} events and {rows} rows are as they were sealed on {time}.")
    print(f"The seal covers {size} events, root {root.hex()}.")
    last = max(event["values"][0] for event in evidence["events"])
    print(f"The newest event shown is {last}; what may have come after it is not told.")
    if given.raw:
        print(f"The bytes of {given.raw} are those of {whose}.")
    if not given.seals:
        print("Compare the seal with your own copy (--seals); only that proves when it was made.")
    if fits is None:
        print("The signature was NOT checked: install the package cryptography.")
        return 3 if given.key else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
