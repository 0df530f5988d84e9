"""What must hold between the values of a profile: each rule yields the path of a key and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time
from posixpath import normpath

from partners.model import Agreement, Delivery, Direction, Partner
from partners.profile_times import clock_text
from partners.profile_values import command_line, in_clear, show, web_address

Path = tuple[str | int, ...]
Found = Iterator[tuple[Path, str]]
MIDNIGHT = time(0)  # as the end of work: the end of the day


def partner_problems(partner: Partner) -> Found:
    """What is wrong between the parts of a partner; paths from the file's root."""
    yield from _same_address(partner)
    yield from _hours(partner)
    yield from _expected(partner)
    for index, agreement in enumerate(partner.agreements):
        for earlier in partner.agreements[:index]:
            if agreement.name == earlier.name:
                yield ("agreement", index, "name"), f"{show(agreement.name)} is used twice; give each agreement a name"
                break
            if _hides(earlier, agreement):
                yield (
                    ("agreement", index, "sets"),
                    f"agreement {show(earlier.name)} covers these sets and versions already: this one never serves",
                )
                break


def agreement_problems(partner: Partner, agreement: Agreement) -> Found:
    """What is wrong between the settings of an agreement; paths from the agreement."""
    yield from _separators(agreement)
    yield from _delivery(agreement)
    chosen = agreement.envelope.partner_identity
    if chosen is not None and chosen not in partner.identities:
        allowed = ", ".join(str(each) for each in partner.identities)
        yield ("envelope", "partner_identity"), f"{chosen} is not among the partner's identities; use one of {allowed}"


def _same_address(partner: Partner) -> Found:
    seen: set[str] = set()
    for index, address in enumerate(partner.addresses):
        if address.lower() in seen:
            yield ("addresses", index), f"{show(address)} is listed twice; capitals make no difference"
        seen.add(address.lower())


def _hours(partner: Partner) -> Found:
    calendar = partner.calendar
    if calendar.closes != MIDNIGHT and calendar.closes <= calendar.opens:
        opens, closes = clock_text(calendar.opens), clock_text(calendar.closes)
        yield ("calendar", "closes"), f"{closes} is not after {opens}, when work begins; the end of the day is 24:00"


def _expected(partner: Partner) -> Found:
    inbound = [each for each in partner.agreements if each.direction is Direction.IN]
    for index, expected in enumerate(partner.expected):
        chosen = [each for each in inbound if expected.agreement in {"", each.name}]
        if not chosen:
            names = ", ".join(show(each.name) for each in inbound) or "none"
            yield ("expected", index, "agreement"), f"is not an agreement of direction in; there is {names}"
            continue
        for at, wanted in enumerate(expected.sets):
            if not any("*" in each.sets or wanted == "*" or wanted in each.sets for each in chosen):
                yield ("expected", index, "sets", at), f"no agreement of direction in is about {show(wanted)}"
        if expected in partner.expected[:index]:
            yield ("expected", index), "is the same as an earlier one"


def _hides(earlier: Agreement, later: Agreement) -> bool:
    """Whether every set and version of ``later`` leads to ``earlier`` (exact sets go before ``*``)."""
    return (
        earlier.direction is later.direction
        and set(later.sets) <= set(earlier.sets)
        and (
            not earlier.versions
            or (bool(later.versions) and all(each.startswith(earlier.versions) for each in later.versions))
        )
    )


def _separators(agreement: Agreement) -> Found:
    chosen = agreement.envelope.separators
    named = {
        "element": chosen.element,
        "component": chosen.component,
        "segment": chosen.segment,
        "repetition": chosen.repetition,
    }
    for name, character in named.items():
        others = [other for other, value in named.items() if other != name and value == character]
        if others:
            yield ("envelope", "separators", name), f"{show(character)} is also the {others[0]} separator; each differs"
            return
        if character in "\r\n" and (name != "segment" or chosen.line_ending):
            yield ("envelope", "separators", name), "a line end can only be the segment terminator, without line_ending"
            return


def _delivery(agreement: Agreement) -> Found:
    for table, delivery in (("delivery", agreement.delivery), ("test_delivery", agreement.test_delivery)):
        for key, wrong in _delivery_problems(delivery):
            yield (table, key), wrong
    real, tests = agreement.delivery, agreement.test_delivery
    both = real.kind == tests.kind == "directory" and real.target and tests.target
    if both and normpath(real.target) == normpath(tests.target):
        yield ("test_delivery", "target"), f"{show(tests.target)} is where documents in earnest go; tests need another"


def _delivery_problems(delivery: Delivery) -> Iterator[tuple[str, str]]:
    if delivery.kind == "directory":
        if "://" in delivery.target:
            yield "kind", f"{show(delivery.target)} is a URL; use kind http"
    elif not delivery.target:
        yield "target", f"is missing: kind {delivery.kind} needs a {_TARGET[delivery.kind][0]}"
    elif wrong := _TARGET[delivery.kind][1](delivery.target):
        yield "target", wrong
    elif delivery.kind == "http" and delivery.secret and in_clear(delivery.target):
        yield "target", "the secret would cross the network unencrypted; use https"
    if delivery.secret and delivery.kind != "http":
        yield "secret", f"only kind http sends a secret, not kind {delivery.kind}"


_TARGET = {"command": ("command line", command_line), "http": ("URL", web_address)}
