"""IMAP sessions against a server that keeps the rules, or breaks one at a time."""

from __future__ import annotations

import pytest
from servers.imap import USUAL, ImapServer

from gateway.errors import InsecureConnection, LoginRefused, MailboxBusy, MailboxUnavailable
from gateway.mail.imap import ImapMailbox
from gateway.mail.model import Credentials, Listed

RAWS = [b"Subject: %d\r\n\r\nbody %d\r\n" % (number, number) for number in range(1, 6)]


@pytest.fixture
def server():
    """Makes servers that end with the test."""
    made = []

    def start(*messages, **options):
        made.append(ImapServer(*messages, **options))
        return made[-1]

    yield start
    for each in made:
        each.close()


def mailbox(port, **changes):
    settings = {
        "name": "box", "host": "127.0.0.1", "port": port, "security": "none", "plaintext_password": True,
        "credentials": Credentials("edi", lambda: "s3cret"), "timeout": 5.0, "commit_timeout": 5.0,
    }  # fmt: skip
    return ImapMailbox(**settings | changes)


def collect(box):
    """Fetches everything and takes it away; returns (raws, what was left out)."""
    with box.session() as session:
        fetched = list(session.fetch(session.listing()))
        session.delete(each.listed for each in fetched)
        session.commit()
    return [each.raw for each in fetched], [(listed.uid, why) for listed, why in session.left_out]


def without(*names):
    return tuple(each for each in USUAL if each not in names)


# ---------------------------------------------------------------- listing and fetching


def test_a_uid_is_uidvalidity_and_uid(server):
    with mailbox(server(*RAWS).port).session() as session:
        assert [each.uid for each in session.listing()] == [f"7.{number}" for number in range(1, 6)]


def test_what_is_marked_deleted_is_not_listed(server):
    host = server(*RAWS)
    host.deleted = {2, 3}
    with mailbox(host.port).session() as session:
        assert [each.uid for each in session.listing()] == ["7.1", "7.4", "7.5"]


def test_new_mail_appears_in_the_second_listing_of_a_session_that_began_empty(server):
    host = server()
    with mailbox(host.port).session() as session:
        assert session.listing() == []
        host.deliver(RAWS[0])
        assert [each.uid for each in session.listing()] == ["7.1"]


def test_a_uid_of_another_numbering_is_left_out_and_never_asked_for(server):
    host = server(*RAWS)
    with mailbox(host.port).session() as session:
        others = [Listed(1, "6.1", 10), Listed(2, "1", 10), Listed(3, "7.1.1", 10), Listed(4, "", 10)]
        assert list(session.fetch(others)) == []
        session.delete(others)
        session.commit()
    assert len(session.left_out) == 4
    assert len(host.messages) == 5
    assert not any("BODY" in each for each in host.heard)


def test_nothing_is_marked_seen_and_nothing_but_peeked_at(server):
    host = server(*RAWS)
    with mailbox(host.port).session() as session:
        list(session.fetch(session.listing()))
    assert [each for each in host.heard if "BODY" in each] == ["G6 UID FETCH 1:5 (UID BODY.PEEK[])"]


def test_a_thousand_messages_are_asked_for_in_ten_commands(server):
    host = server(*[b"x%d\r\n" % number for number in range(1_000)])
    raws, left_out = collect(mailbox(host.port))
    assert raws == [b"x%d\r\n" % number for number in range(1_000)]
    assert left_out == []
    assert sum("BODY" in each for each in host.heard) == 10
    assert host.messages == {}


def test_answers_of_two_batches_may_be_mixed_and_each_message_still_comes_in_turn(server):
    """Dovecot works at several FETCHes at once."""
    held = []

    def hook(talk, tag, command):
        if "BODY.PEEK" not in command:
            return False
        held.append((tag, command))
        if len(held) == 2:
            uids = [*range(1, 201)]
            answers = [f'* {uid} FETCH (BODY[] "m{uid}" UID {uid})' for uid in uids[150:] + uids[:150]]
            talk.say(*answers, f"{held[1][0]} OK second", f"{held[0][0]} OK first")
        return True

    host = server(*[b"m%d" % number for number in range(1, 201)], hook=hook)
    with mailbox(host.port).session() as session:
        assert [each.raw for each in session.fetch(session.listing())] == [b"m%d" % each for each in range(1, 201)]


def test_untagged_answers_of_any_kind_at_any_moment_pass_by(server):
    def hook(talk, _tag, command):
        if "BODY.PEEK" in command:
            talk.say('* 2 FETCH (UID 99 BODY[] "not asked for")', "* 2 FETCH (UID 2 BODY[HEADER] {3}\r\nabc)")
        return False

    host = server(*RAWS, hook=hook)
    host.chatter = (
        "* 9 EXISTS", "* 1 RECENT", "* OK [ALERT] We close at noon", "* 3 FETCH (FLAGS (\\Seen))", "* 5 EXISTS",
        "* FLAGS (\\Answered \\Flagged)", "* OK Still here", "* NO hm",
        '* LIST () "/" "x"', '* ESEARCH (TAG "A") UID', "* 4 FETCH (MODSEQ (1) UID 4 FLAGS ())",
    )  # fmt: skip
    assert collect(mailbox(host.port)) == (RAWS, [])
    assert host.messages == {}


def test_a_message_taken_away_by_another_client_is_left_out_and_the_others_come(server):
    def hook(talk, tag, command):
        if "BODY.PEEK" in command and 3 in host.messages:
            talk.say("* 3 EXPUNGE")
            del host.messages[3]
        return False

    host = server(*RAWS, hook=hook)
    raws, left_out = collect(mailbox(host.port))
    assert raws == [RAWS[0], RAWS[1], RAWS[3], RAWS[4]]
    assert left_out == [("7.3", "the message is gone")]
    assert host.messages == {}


def test_a_refused_batch_is_asked_for_message_by_message(server):
    def hook(talk, tag, command):
        if "BODY.PEEK" in command and (":" in command or " 2 (" in command):
            talk.say(f"{tag} NO [SERVERBUG] disk error")
            return True
        return False

    host = server(*RAWS, hook=hook)
    raws, left_out = collect(mailbox(host.port))
    assert raws == [RAWS[0], *RAWS[2:]]
    assert left_out == [("7.2", "NO [SERVERBUG] disk error")]
    assert list(host.messages) == [2]


@pytest.mark.parametrize("body", ["NIL", '""'])
def test_a_message_without_content_is_left_out_unless_it_is_empty(server, body):
    def hook(talk, tag, command):
        if "BODY.PEEK" in command:
            talk.say(f"* 1 FETCH (UID 1 BODY[] {body})", f"{tag} OK done")
            return True
        return False

    raws, left_out = collect(mailbox(server(RAWS[0], hook=hook).port))
    assert (raws, left_out) == (([], [("7.1", "the server has no content for it")]) if body == "NIL" else ([b""], []))


def test_a_message_past_the_limit_is_never_asked_for_even_where_its_size_was_a_lie(server):
    host = server(RAWS[0], b"x" * 3_000, RAWS[2])
    with mailbox(host.port, max_size=1_000).session() as session:
        assert [each.raw for each in session.fetch(session.listing())] == [RAWS[0], RAWS[2]]
    assert "G6 UID FETCH 1,3 (UID BODY.PEEK[])" in host.heard
    with mailbox(host.port, max_size=1_000).session() as session:
        small = [Listed(each.number, each.uid, 10) for each in session.listing()]
        assert [each.raw for each in session.fetch(small)] == [RAWS[0], RAWS[2]]
        assert [why for _, why in session.left_out] == ["larger than listed: 3000 bytes are past the limit of 1000"]


def test_a_big_message_goes_to_a_file(server, tmp_path):
    raw = b"Subject: big\r\n\r\n" + b"ISA*" * 1_500_000
    host = server(RAWS[0], raw)
    with mailbox(host.port, spool=tmp_path).session() as session:
        small, big = session.fetch(session.listing())
    assert isinstance(small.body, bytes)
    assert not isinstance(big.body, bytes)
    assert big.raw == raw


def test_a_big_message_without_room_for_it_is_a_fault(server, tmp_path):
    host = server(b"x" * 5_000_000)
    with mailbox(host.port, spool=tmp_path / "gone").session() as session:
        with pytest.raises(MailboxUnavailable, match="no room"):
            list(session.fetch(session.listing()))
        with pytest.raises(MailboxUnavailable, match="ended"):
            session.commit()


# ---------------------------------------------------------------- taking away


def test_collected_mail_moves_to_the_done_folder_which_is_made(server):
    host = server(*RAWS)
    collect(mailbox(host.port, done_folder="Done"))
    assert (host.messages, host.folders) == ({}, {"Done": RAWS})
    assert sum("UID MOVE" in each for each in host.heard) == 2
    collect(mailbox(host.port, done_folder="Done"))
    assert host.folders == {"Done": RAWS}


def test_without_move_mail_is_copied_marked_and_expunged_by_uid(server):
    host = server(*RAWS, capabilities=without("MOVE"))
    host.deleted = {2}
    collect(mailbox(host.port, done_folder="Done"))
    assert host.folders == {"Done": [RAWS[0], *RAWS[2:]]}
    assert list(host.messages) == [2], "what somebody else marked is not expunged by us"


def test_a_slash_stands_for_the_separator_of_the_server(server):
    host = server(*RAWS)
    collect(mailbox(host.port, done_folder="EDI/Done & über"))
    assert list(host.folders) == ["EDI.Done &- &APw-ber"]


def test_without_uidplus_all_is_expunged_only_where_nobody_else_has_marked_anything(server):
    host = server(*RAWS, capabilities=without("MOVE", "UIDPLUS"))
    collect(mailbox(host.port))
    assert host.messages == {}


def test_without_uidplus_mail_that_others_have_marked_stays_and_ours_is_not_listed_again(server):
    host = server(*RAWS, capabilities=without("MOVE", "UIDPLUS"))
    host.deleted = {2}
    with pytest.raises(MailboxUnavailable, match="1 others are marked"):
        collect(mailbox(host.port))
    assert len(host.messages) == 5
    assert not any(each.endswith("EXPUNGE") for each in host.heard)
    with mailbox(host.port).session() as session:
        assert session.listing() == []


def test_what_is_too_large_or_refused_goes_to_the_failed_folder_and_what_may_come_later_stays(server):
    refusals = {"2": "NO broken", "4": "NO [UNAVAILABLE] later"}

    def hook(talk, tag, command):
        if "BODY.PEEK" in command and ":" in command:
            talk.say(f"{tag} NO some")
        elif "BODY.PEEK" in command and command.split(" ")[2] in refusals:
            talk.say(f"{tag} {refusals[command.split(' ')[2]]}")
        else:
            return False
        return True

    host = server(*RAWS, b"x" * 3_000, hook=hook)
    raws, left_out = collect(mailbox(host.port, max_size=1_000, failed_folder="Failed"))
    assert raws == [RAWS[0], RAWS[2], RAWS[4]]
    assert [uid for uid, _ in left_out] == ["7.6", "7.2", "7.4"]
    assert host.folders == {"Failed": [RAWS[1], b"x" * 3_000]}
    assert list(host.messages) == [4]


@pytest.mark.parametrize("answer", ["NO [OVERQUOTA] full", "BAD what", "NO no"])
def test_a_move_that_is_refused_is_a_fault_and_nothing_is_gone(server, answer):
    def hook(talk, tag, command):
        if "MOVE" in command or "CREATE" in command:
            talk.say(f"{tag} {answer}")
            return True
        return False

    host = server(*RAWS, hook=hook)
    with pytest.raises(MailboxUnavailable, match="moving to the folder"):
        collect(mailbox(host.port, done_folder="Done"))
    assert len(host.messages) == 5


def test_a_lost_goodbye_is_no_fault_for_everything_was_confirmed(server):
    def hook(talk, _tag, command):
        if command == "LOGOUT":
            talk.drop()
            return True
        return False

    assert collect(mailbox(server(*RAWS, hook=hook).port)) == (RAWS, [])


# ---------------------------------------------------------------- logging in


def test_the_best_of_what_is_offered_is_used_and_login_where_nothing_is(server):
    for capabilities, wanted in [
        (USUAL, "AUTHENTICATE PLAIN AGVkaQBzM2NyZXQ="),
        (("IMAP4rev1",), 'LOGIN "edi" "s3cret"'),
    ]:
        host = server(capabilities=capabilities)
        with mailbox(host.port).session():
            pass
        assert [each.partition(" ")[2] for each in host.heard][1] == wanted


def test_plain_without_an_initial_response_waits_for_the_question(scripted):
    def script(talk):
        talk.say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN LOGINDISABLED] hello")
        talk.hear("G1 AUTHENTICATE PLAIN")
        talk.say("+ ")
        assert talk.hear() == "AGVkaQBzM2NyZXQ="
        talk.say("G1 NO [AUTHENTICATIONFAILED] no s3cret AGVkaQBzM2NyZXQ=")

    with pytest.raises(LoginRefused) as caught, mailbox(scripted(script).port).session():
        pass
    assert "s3cret" not in str(caught.value)
    assert "AGVkaQBz" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("NO [AUTHENTICATIONFAILED] wrong", LoginRefused),
        ("NO wrong", LoginRefused),
        ("NO [INUSE] locked", MailboxBusy),
        ("NO [UNAVAILABLE] directory away", MailboxUnavailable),
        ("BAD what", LoginRefused),
    ],
)
def test_a_refused_login_says_why(server, answer, fault):
    def hook(talk, tag, command):
        if command.startswith("LOGIN"):
            talk.say("* OK [ALERT] Ask the desk", f"{tag} {answer} s3cret")
            return True
        return False

    host = server(capabilities=("IMAP4rev1",), hook=hook)
    with pytest.raises(fault) as caught, mailbox(host.port).session():
        pass
    assert "Ask the desk" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_host_that_disables_login_is_never_sent_a_password(server):
    host = server(capabilities=("IMAP4rev1", "LOGINDISABLED"))
    with pytest.raises(LoginRefused), mailbox(host.port).session():
        pass
    assert not any("s3cret" in each for each in host.heard)


def test_a_password_is_never_sent_in_clear_unless_the_setting_allows_it(server):
    host = server()
    with pytest.raises(InsecureConnection), mailbox(host.port, plaintext_password=False).session():
        pass
    assert host.heard == []


@pytest.mark.parametrize(("user", "password"), [("edi\r\nG9 DELETE", "x"), ("edi", "x\r\nG9 DELETE"), ("edi\0", "x")])
def test_a_line_end_never_gets_into_a_command(server, user, password):
    host = server(capabilities=("IMAP4rev1",))
    box = mailbox(host.port, credentials=Credentials(user, lambda: password))
    with pytest.raises(LoginRefused), box.session():
        pass
    assert not any("DELETE" in each for each in host.heard)


def test_a_folder_that_is_not_there_is_unavailable(server):
    def hook(talk, tag, command):
        if command == 'SELECT "Bestellungen &- mehr"':
            talk.say(f"{tag} NO [NONEXISTENT] no such folder")
            return True
        return False

    host = server(hook=hook)
    with pytest.raises(MailboxUnavailable, match="Bestellungen"), mailbox(host.port, folder="Bestellungen & mehr").session():  # fmt: skip # noqa: E501
        pass


def test_capabilities_are_asked_again_after_login(server):
    host = server()
    with mailbox(host.port).session():
        pass
    assert [each for each in host.heard if "CAPABILITY" in each] == ["G1 CAPABILITY", "G3 CAPABILITY"]


@pytest.mark.parametrize("capabilities", [("IMAP4rev1",), ("IMAP4rev1", "AUTH=PLAIN")])
def test_auth_login_is_the_command_login_where_the_mechanism_is_not_offered(server, capabilities):
    host = server(capabilities=capabilities)
    box = mailbox(host.port, credentials=Credentials("edi", lambda: "s3cret", mechanism="LOGIN"))
    with box.session():
        pass
    assert 'G2 LOGIN "edi" "s3cret"' in host.heard


def test_a_password_that_login_cannot_carry_is_refused_here(server):
    host = server(capabilities=("IMAP4rev1",))
    with pytest.raises(LoginRefused, match="ASCII"), mailbox(host.port, credentials=Credentials("edi", lambda: "naïve")).session():  # fmt: skip # noqa: E501
        pass
    assert host.heard == ["G1 CAPABILITY"]


def test_a_server_that_begins_logged_in_is_asked_for_no_password(scripted):
    def script(talk):
        talk.say("* PREAUTH [CAPABILITY IMAP4rev1] welcome")
        talk.hear("G1 CAPABILITY")
        talk.say("* CAPABILITY IMAP4rev1", "G1 OK")
        talk.hear('G2 SELECT "INBOX"')
        talk.say("* 0 EXISTS", "G2 OK")

    def never():
        pytest.fail("nobody needs the password")

    with mailbox(scripted(script).port, credentials=Credentials("edi", never)).session() as session:
        assert session.uidvalidity == 0
