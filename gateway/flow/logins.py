"""How we log in to mail hosts: what doctor says of it, and what is told before it stops to work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Protocol

from gateway.flow.check_result import Check
from gateway.ledger.attention import Attention
from gateway.settings import OAuthSettings, Settings
from gateway.words import count
from partners.certificates import WARN_DAYS


class Source(Protocol):
    """Where access tokens come from."""

    def trouble(self) -> tuple[float, str] | None:
        """When (seconds since 1970 UTC) and why tokens were refused last, where none has been given since."""
        ...


_BROKEN_TLS = {"1.0", "1.1"}


def check_tls(settings: Settings) -> Iterator[Check]:
    """Nobody is allowed a TLS version that is broken (RFC 8996)."""
    accounts = [(f"mailbox {each.name}", each.host, each.tls_minimum) for each in settings.mailboxes]
    if settings.smtp is not None:
        accounts.append(("smtp", settings.smtp.host, settings.smtp.tls_minimum))
    for name, host, version in accounts:
        if version in _BROKEN_TLS:
            advice = f'Ask who runs {host} for TLS 1.2, then take tls_minimum = "{version}" out of gateway.toml.'
            yield Check(
                name,
                None,
                f"TLS {version} is allowed, which others can read and change.",
                advice,
                code="tls.broken-version",
            )


def check_client_secrets(tables: Sequence[OAuthSettings], today: date) -> Iterator[Check]:
    """No client secret or certificate of ours ends soon; where one ends at all, we should know when."""
    for each in tables:
        name = f"oauth {each.name}"
        if each.secret_expires is None:
            if each.secret and each.provider == "microsoft":
                advice = f"Set secret_expires in [oauth.{each.name}] to the day that Microsoft shows for it."
                yield Check(
                    name,
                    None,
                    "Nobody will be warned before the client secret or certificate ends.",
                    advice,
                    code="oauth.no-expiry",
                )
        elif _days(each.secret_expires, today) <= max(WARN_DAYS):
            ended = each.secret_expires < today
            code = "oauth.ended" if ended else "oauth.ends-soon"
            yield Check(name, False if ended else None, _sentence(each, today), _advice(each), code=code)


def check_tokens(sources: Mapping[str, Callable[[], str]], name: str) -> Iterator[Check]:
    """The provider gives an access token, or a good one is kept.

    Raises:
        Unavailable, ConfigurationFault: with what went wrong.
    """
    sources[name]()  # the token is not kept here
    yield Check(f"oauth {name}", True, "There is an access token.")


def attention_for(tables: Sequence[OAuthSettings], now: int) -> list[Attention]:
    """Client secrets and certificates that end soon, as things that need a person. ``now``: ms since 1970 UTC."""
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    return [
        Attention(
            reference=each.name,
            state="ended" if each.secret_expires < today else "ends soon",
            at=now,
            partner="",
            what=f"the client secret or certificate of [oauth.{each.name}]",
            reason=_sentence(each, today),
            next_command=f"gateway secret set {each.secret}",
        )
        for each in tables
        if each.secret_expires is not None and _days(each.secret_expires, today) <= max(WARN_DAYS)
    ]


def attention_for_tokens(sources: Mapping[str, Source]) -> list[Attention]:
    """What providers have refused us, and have not given since, as things that need a person."""
    found = [(name, trouble) for name, source in sources.items() if (trouble := source.trouble()) is not None]
    return [
        Attention(
            reference=name,
            state="no access",
            at=int(at * 1000),
            partner="",
            what=f"the access tokens of [oauth.{name}]",
            reason=reason,
            next_command=f"gateway mailbox authorize {name}",
        )
        for name, (at, reason) in found
    ]


def _days(end: date, today: date) -> int:
    return (end - today).days


def _sentence(table: OAuthSettings, today: date) -> str:
    assert table.secret_expires is not None
    days = _days(table.secret_expires, today)
    when = (
        f"ended on {table.secret_expires}" if days < 0 else f"ends on {table.secret_expires}, in {count(days, 'day')}"
    )
    return f"The client secret or certificate of [oauth.{table.name}] {when}; without it no mail moves."


def _advice(table: OAuthSettings) -> str:
    return (
        f"Make a new one at the provider, store it with `gateway secret set {table.secret}`, "
        f"and set secret_expires in [oauth.{table.name}]."
    )
