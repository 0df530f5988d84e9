"""An interchange by segments: names, positions, findings beside what they speak of, pages, and no password."""

from __future__ import annotations

import pytest
from builders.stage import ACME, WHEN, Stage, acknowledgment, invoice, orders
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.cli.segment_lines import segment_lines
from gateway.demo import documents
from gateway.errors import NotFound, UsageFault
from gateway.flow.segment_names import policy_for
from gateway.flow.segment_stream import Place, Stream
from gateway.flow.segments import segments
from gateway.flow.submit import submit
from gateway.ledger import archive, tables
from gateway.ledger.story import story
from gateway.x12.reader import Reader
from partners.profile import with_guidelines


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def bad_order(number: int = 1, quantity: str = "A DOZEN"):
    """Three orders, the second one with a quantity that is none."""
    good = documents.order("PO-1", WHEN, 1)
    return orders(number, good, documents.order("PO-2", WHEN, 2, quantity=quantity), documents.order("PO-3", WHEN, 3))


def received(stage: Stage, raw: bytes) -> int:
    """Takes a file; the number of its exchange."""
    stage.mail(raw)
    stage.run()
    return max(int(row["id"]) for row in stage.rows("exchange") if row["direction"] == "in")


def test_every_segment_has_its_number_position_name_and_elements(stage):
    number = received(stage, orders(7))
    page = segments(stage.engine, number)
    assert (page.total, page.more, page.unplaced) == (15, False, ())
    assert [each.number for each in page.segments] == list(range(1, 16))
    assert [each.tag for each in page.segments[:4]] == ["ISA", "GS", "ST", "BEG"]
    assert [each.position for each in page.segments] == [0, 0, *range(1, 12), 0, 0]
    raw = stage.ledger.content(str(stage.rows("exchange")[0]["sha256"]))
    assert all(raw[each.offset :].startswith(each.text.encode()) for each in page.segments)
    beg = page.segments[3]
    assert [(each.number, each.value, each.name) for each in beg.elements][:3] == [
        (1, "00", "Transaction Set Purpose Code"), (2, "SA", "Purchase Order Type Code"),
        (3, "PO-7", "Purchase Order Number"),
    ]  # fmt: skip
    assert (beg.group, beg.set, beg.set_name) == (1, 1, "850 0001")
    n3 = next(each for each in page.segments if each.tag == "N3")
    assert (n3.loop, n3.depth) == ("N1", 1)
    assert page.segments[0].name == "Interchange Control Header"
    assert page.segments[-1].elements[1].name == "Control number"


def test_a_finding_stands_beside_its_element(stage):
    number = received(stage, bad_order())
    page = segments(stage.engine, number)
    (wrong,) = [each for each in page.segments if any(element.findings for element in each.elements)]
    assert (wrong.tag, wrong.set, wrong.position) == ("PO1", 2, 8)
    assert [each.number for each in wrong.elements if each.findings] == [2]
    assert wrong.elements[1].findings[0].message.startswith("PO102")


def test_only_what_is_wrong_is_shown_with_what_stands_around_it(stage):
    number = received(stage, bad_order())
    page = segments(stage.engine, number, only_findings=True)
    assert [(each.set, each.position) for each in page.segments] == [(2, 6), (2, 7), (2, 8), (2, 9), (2, 10)]
    whole = {each.number: each for each in segments(stage.engine, number).segments}
    assert list(page.segments) == [whole[each.number] for each in page.segments]
    later = segments(stage.engine, number, only_findings=True, first=page.segments[-1].number + 1)
    assert (later.segments, later.more) == ((), False)


def test_an_interchange_without_findings_has_nothing_to_show_of_them(stage):
    number = received(stage, orders(1))
    assert segments(stage.engine, number, only_findings=True).segments == ()


@pytest.mark.parametrize("count", [1, 3, 7, 200])
def test_pages_are_the_whole_cut_in_pieces(stage, count):
    """Names and findings of a segment do not depend on where its page begins."""
    number = received(stage, bad_order())
    whole = segments(stage.engine, number).segments
    found, first = [], 1
    while True:
        page = segments(stage.engine, number, first=first, count=count)
        found += page.segments
        if not page.more:
            break
        first = page.next
    assert tuple(found) == whole


def test_pages_of_findings_go_on_where_the_last_one_ended(stage):
    raw = orders(1, *(documents.order(f"PO-{n}", WHEN, n, quantity="X") for n in range(1, 6)))
    number = received(stage, raw)
    whole = segments(stage.engine, number, only_findings=True).segments
    found, first = [], 1
    for _ in range(20):
        page = segments(stage.engine, number, only_findings=True, first=first, count=4)
        found += page.segments
        if not page.more:
            break
        first = page.next
    assert tuple(found) == whole


def test_findings_of_the_envelope_stand_beside_its_segments(stage):
    raw = orders(3).replace(b"GE*1*", b"GE*5*").replace(b"IEA*1*", b"IEA*4*")
    number = received(stage, raw)
    page = segments(stage.engine, number)
    by_tag = {each.tag: each for each in page.segments}
    assert "GE01 says 5" in by_tag["GE"].findings[0].message
    assert "IEA01 says 4" in by_tag["IEA"].elements[0].findings[0].message
    marked = [each.tag for each in segments(stage.engine, number, only_findings=True).segments]
    assert {"GE", "IEA"} <= set(marked)


def test_what_the_partner_found_wrong_with_ours_stands_beside_it(stage):
    submit(stage.context(), "acme", invoice(), name="inv.edi")
    stage.run()
    ack = acknowledgment(5, 1, "R").replace(b"AK5*R*5~", b"AK3*BIG*2**8~AK4*2*76*7*INV-1~AK5*R*5~")
    stage.mail(ack.replace(b"SE*6*", b"SE*8*"))
    stage.run()
    sent = next(int(row["id"]) for row in stage.rows("exchange") if row["types"] == "810")
    page = segments(stage.engine, sent)
    big = next(each for each in page.segments if each.tag == "BIG")
    assert "the partner's 997 says" in big.elements[1].findings[0].message
    assert "the code is not in the list" in big.elements[1].findings[0].message
    assert [each.tag for each in segments(stage.engine, sent, only_findings=True).segments][:3] == ["ISA", "GS", "ST"]


def test_a_partners_own_guideline_is_the_one_that_is_asked_for_names(tmp_path):
    path = "guidelines/acme.toml"
    text = ACME.replace('sets = ["850"]', f'sets = ["850"]\nguideline = "{path}"')
    named = 'name = "ACME"\nbase = "004010 850"\n[elements."BEG.03"]\nlongest = 9\n'
    stage = Stage(tmp_path, [with_guidelines(text, {path: named})])
    number = received(stage, orders(1))
    policy = policy_for(stage.context().directory, story(stage.engine, number).exchange)
    assert [each.guideline.name for each in policy.agreed if each.guideline] == ["ACME"]
    assert segments(stage.engine, number, policy=policy).segments == segments(stage.engine, number).segments


def test_the_guideline_for_ours_is_found_after_the_agreement_got_another_name(tmp_path):
    path = "guidelines/acme.toml"
    text = ACME.replace('sets = ["810", "855"]', f'sets = ["810", "855"]\nguideline = "{path}"')
    named = 'name = "ACME"\nbase = "004010 810"\n[elements."BIG.02"]\nlongest = 9\n'
    stage = Stage(tmp_path, [with_guidelines(text, {path: named})])
    number = submit(stage.context(), "acme", invoice(), name="inv.edi").exchanges[0]
    row = story(stage.engine, number).exchange
    stage.profiles = [with_guidelines(text.replace('name = "invoices"', 'name = "bills"'), {path: named})]
    policy = policy_for(stage.context().directory, row)
    assert [each.guideline.name for each in policy.agreed if each.guideline] == ["ACME"]


def test_an_unknown_partner_gives_the_standards_names(stage):
    number = received(stage, orders(1))
    row = replace(story(stage.engine, number).exchange, partner="gone")
    assert policy_for(stage.context().directory, row).agreed == ()


@pytest.mark.unrecorded  # no exchange gets other bytes
def test_what_is_not_there_or_no_interchange_is_said(stage):
    with pytest.raises(NotFound):
        segments(stage.engine, 404)
    number = received(stage, orders(1))
    with stage.ledger.transaction() as recorder:
        mdn = recorder.keep(b"Content-Type: message/disposition-notification\r\n\r\n")
        recorder.change(tables.exchange, number, sha256=mdn)
    with pytest.raises(UsageFault, match="holds no X12 interchange"):
        segments(stage.engine, number)


def test_hostile_bytes_cannot_command_a_terminal(stage):
    raw = orders(1).replace(b"1 Sample Street", "\x1b[2J\x07 caf\u00e9 \u202e".encode())
    number = received(stage, raw)
    lines = list(segment_lines(segments(stage.engine, number), elements=True))
    assert all(line.isprintable() for line in lines)


# ---------------------------------------------------------------- the stream, against a simple reading


def test_a_big_interchange_is_streamed_and_no_page_costs_its_whole(stage, monkeypatch):
    """Kept in pieces; a page from its end is the same as from a reading of all of it."""
    monkeypatch.setattr(archive, "WHOLE", 2_000)
    monkeypatch.setattr(archive, "PIECE", 1_000)
    raw = orders(1, *(documents.order(f"PO-{n}", WHEN, n) for n in range(1, 200)))
    number = received(stage, raw)
    total = segments(stage.engine, number, count=1).total
    whole = segments(stage.engine, number, count=total).segments
    assert segments(stage.engine, number, first=total - 20, count=50).segments == whole[-21:]
    assert segments(stage.engine, number, first=1_000, count=10).segments == whole[999:1009]


SETS = st.lists(
    st.lists(st.sampled_from(["BEG*00", "PO1*1", "N1*ST", "", "REF*ST*SE", "SEX*1"]), max_size=5), max_size=4
)


@given(st.lists(SETS, min_size=1, max_size=4), st.sampled_from(["", "\n", "\r\n"]), st.integers(1, 300))
def test_passing_over_segments_counts_as_looking_at_each(groups, suffix, chunk):
    """However the stream is cut into windows: skipping a cut leaves the same place as going through it."""
    isa = "ISA*00*          *00*          *ZZ*ACMERETAIL     *ZZ*EXAMPLECO      *261102*2200*U*00401*000000001*0*P*>"
    lines = [isa]
    for sets in groups:
        lines.append("GS*PO*A*B")
        for body in sets:
            lines += ["ST*850*0001", *body, "SE*1*0001"]
        lines.append("GE*1*1")
    lines.append("IEA*1*000000001")
    data = "".join(f"{line}~{suffix}" for line in lines).encode()

    def stream() -> Stream:
        reader = Reader(data, chunk)
        opening, _ = reader.seek()
        assert opening is not None
        return Stream(opening, reader, 0)

    skipped, walked, numbers = Place(), Place(), []
    for cut in stream().cuts():
        for each in walked.segments(cut):
            numbers.append(each.number)
            assert data[each.offset :].startswith(each.text.encode())
        skipped.skip(cut)
        assert (skipped.group, skipped.set, skipped.inside) == (walked.group, walked.set, walked.inside)
        if walked.inside:
            assert skipped.position == walked.position
    assert numbers == list(range(1, len([line for line in lines if line]) + 1))
