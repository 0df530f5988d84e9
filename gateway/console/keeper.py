"""Who comes: sign-ins by password, the sessions that they begin, and how sessions end.

Sign-ins go around the home's lock, each in a short transaction of its own, so that nobody waits at the door while a
batch runs. A session's last use is written once a minute at most, and never while somebody waits for a page.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from starlette.requests import Request

from gateway.console.people import Role, Session, User
from gateway.console.site import Site
from gateway.errors import DatabaseUnavailable, SignInPaused, SignInRefused
from gateway.ledger import passwords, sessions, sign_in_pauses, users
from gateway.ledger.database import reading, writing
from gateway.ledger.moments import duration
from gateway.ledger.recording import Ledger, Recorder
from gateway.ledger.sessions import KnownSession, Limits
from gateway.ledger.sign_in_pauses import Subjects
from gateway.ledger.users import KnownUser
from gateway.settings import ConsoleSettings

PLAIN, SECURE = "console", "__Host-console"  # cookies; the browser takes the second by https alone
LIVE = "x-live"  # the header of a look that nobody asked for
_LONGEST_NAME = 200


class Keeper:
    """Knows users and sessions in the database of the site's home."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._later = ThreadPoolExecutor(1, "console-seen")
        passwords.prepare()

    @property
    def settings(self) -> ConsoleSettings:
        """[console] as it stands now."""
        return self.site.app.settings.console or ConsoleSettings()

    @property
    def limits(self) -> Limits:
        """How long a session counts."""
        settings = self.settings
        return Limits(
            int(settings.session.total_seconds() * 1000), int(settings.session_longest.total_seconds() * 1000)
        )

    def close(self) -> None:
        """Writes what is still to be written."""
        self._later.shutdown()

    # ------------------------------------------------------------ who asks

    def session(self, request: Request) -> Session | None:
        """Whose session the request's cookie names."""
        number = request.cookies.get(cookie_name(request))
        if not number:
            return None
        engine, now = self.site.app.home_engine, self.site.clock()
        with reading(engine) as connection:
            found = sessions.find(connection, number, now, self.limits)
        if found is None:
            return None
        # A page that looks for news by itself is no use of the session: else an open tab would never sign out.
        if now - found.seen_at >= sessions.SEEN_EVERY and LIVE not in request.headers:
            self._later.submit(self._touch, found.id, now)
        return Session(User(found.user, Role.of(found.role)), found.csrf, found.id)

    def may_still(self, session: Session, role: Role) -> bool:
        """Whether nobody ended the session, disabled its user or took the role; that it grew old does not matter."""
        with reading(self.site.app.home_engine) as connection:
            found = sessions.role_of(connection, session.id)
        return found is not None and Role.of(found) >= role

    def _touch(self, id_: str, now: int) -> None:
        with suppress(DatabaseUnavailable), writing(self.site.app.home_engine) as connection:
            sessions.touch(connection, id_, now)

    def knows_anybody(self) -> bool:
        """Whether there is a user at all; before that nobody comes in."""
        with reading(self.site.app.home_engine) as connection:
            return users.are_any(connection)

    # ------------------------------------------------------------ coming and going

    def sign_in(self, request: Request, name: str, password: str) -> str:
        """Begins a session; gives the number for its cookie.

        Raises:
            SignInRefused: the name or the password is wrong, or nobody of that name is let in. It does not say which.
            SignInPaused: too many failed before.
        """
        user, subjects = self._proved(request, name, password)
        encoded = passwords.again(password) if passwords.is_outdated(user.password) else ""

        def begin(recorder: Recorder) -> str:
            sign_in_pauses.forgive(recorder.connection, subjects)
            if encoded:
                users.renew_hash(recorder.connection, user.name, encoded)
            return self.begin(recorder, user, request, how="password")

        return self.ledger(user.name).write(begin)

    def _proved(self, request: Request, name: str, password: str) -> tuple[KnownUser, Subjects]:
        """The user whose password it is, and what the attempt was counted for, to be forgiven."""
        address, now = address_of(request), self.site.clock()
        folded = name.strip().lower()[:_LONGEST_NAME]
        subjects = sign_in_pauses.subjects_of(folded, address)
        wait = self.ledger().write(lambda recorder: sign_in_pauses.count(recorder.connection, subjects, now))
        if wait:
            raise SignInPaused(wait=duration(max(wait, 1_000)))
        with reading(self.site.app.home_engine) as connection:
            user = users.find(connection, folded)
        reason = self._refusal(user, password)
        if user is None or reason:
            self.ledger().record("sign-in-failed", name=user.name if user else "", address=address, reason=reason)
            raise SignInRefused
        return user, subjects

    @staticmethod
    def _refusal(user: KnownUser | None, password: str) -> str:
        """Why somebody is not let in, for the ledger; takes as long for whom nobody knows."""
        right = passwords.matches(user.password if user else "", password)
        if user is None:
            return "nobody has that name"
        if not right:
            return "it is known by a sign-in provider" if user.issuer else "the password was wrong"
        return "" if user.disabled_at is None else "the user is disabled"

    def begin(self, recorder: Recorder, user: KnownUser, request: Request, *, how: str) -> str:
        """A session of a user who has proved to be one, in the place of the one that the browser had."""
        limits, address = self.limits, address_of(request)
        sessions.forget_old(recorder.connection, recorder.now, limits)
        before = request.cookies.get(cookie_name(request))
        if before:
            sessions.replace(recorder.connection, before)
        users.signed_in(recorder, user.name)
        recorder.event("signed-in", name=user.name, address=address, how=how)
        agent = request.headers.get("user-agent", "")
        return sessions.begin(recorder.connection, user.name, recorder.now, address=address, agent=agent, how=how)

    def sign_out(self, session: Session) -> None:
        """Ends a session."""

        def end(recorder: Recorder) -> None:
            if sessions.end(recorder.connection, session.id, session.user.name):
                recorder.event("signed-out", name=session.user.name)

        self.ledger(session.user.name).write(end)

    # ------------------------------------------------------------ one's own account

    def sessions_of(self, user: str) -> list[KnownSession]:
        """The sessions of a user that count."""
        with reading(self.site.app.home_engine) as connection:
            return sessions.of_user(connection, user, self.site.clock(), self.limits)

    def end_others(self, session: Session) -> int:
        """Ends all other sessions of a user; says how many."""

        def end(recorder: Recorder) -> int:
            ended = sessions.end_all(recorder.connection, session.user.name, but=session.id)
            if ended:
                recorder.event("sessions-ended", name=session.user.name, sessions=ended)
            return ended

        return self.ledger(session.user.name).write(end)

    def change_password(self, request: Request, session: Session, current: str, new: str) -> str:
        """Gives a user the new password, ends all sessions, and begins another for this browser.

        Raises:
            SignInRefused, SignInPaused: the current password is not right.
            PasswordRefused, NotAllowedNow: the new one cannot be.
        """
        name = session.user.name
        user, subjects = self._proved(request, name, current)
        encoded = passwords.encoded(new, name)

        def change(recorder: Recorder) -> str:
            sign_in_pauses.forgive(recorder.connection, subjects)
            users.set_password(recorder, name, encoded)
            return self.begin(recorder, user, request, how="password")

        return self.ledger(name).write(change)

    def ledger(self, actor: str = "console") -> Ledger:
        """The ledger, to write into it in the name of ``actor``."""
        ledger = Ledger(self.site.app.home_engine, self.site.clock, actor)
        ledger.listener = self.site.listener
        return ledger


def cookie_name(request: Request) -> str:
    """What the cookie of a session is called: by https it is bound to this very host."""
    return SECURE if request.url.scheme == "https" else PLAIN


def address_of(request: Request) -> str:
    """Where the request comes from."""
    return request.client.host if request.client else ""
