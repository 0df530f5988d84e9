"""Profile files: what is read, and what is said of what cannot be."""

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.errors import ProfileInvalid
from partners.model import Direction, FunctionalAck, Identity, Status, TA1Policy
from partners.profile import check_profile, read_profile, says_status, with_one_more, with_status, write_profile

SAMPLES = Path(__file__).parents[3] / "samples" / "partners"

SHORT = """\
key = "fable"
addresses = ["edi@fable.example"]
identities = ["ZZ:FABLE"]

[[agreement]]
direction = "in"
sets = ["850"]
"""


def fault_of(text, file="fable.toml"):
    with pytest.raises(ProfileInvalid) as caught:
        read_profile(text, file)
    return caught.value


def only_problem(text):
    partner, problems = check_profile(text)
    assert partner is None
    assert len(problems) == 1, problems
    return problems[0]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_sample_is_read_and_survives_being_written(path):
    partner = read_profile(path.read_text(), path.name)
    assert read_profile(write_profile(partner)) == partner


def test_a_short_profile_is_a_draft_named_after_its_key_with_all_defaults():
    partner = read_profile(SHORT)
    assert (partner.key, partner.name, partner.status) == ("fable", "fable", Status.DRAFT)
    assert partner.identities == (Identity("ZZ", "FABLE"),)
    (agreement,) = partner.agreements
    assert (agreement.name, agreement.direction, agreement.sets) == ("in-850", Direction.IN, ("850",))
    assert agreement.acknowledgment.within == timedelta(hours=24)
    assert agreement.mail.content_type == "application/EDI-X12"


def test_the_acme_sample_says_what_it_looks_like():
    acme = read_profile((SAMPLES / "acme.toml").read_text())
    orders = acme.agreement_for(Direction.IN, "860", "004010")
    invoices = acme.agreement_for(Direction.OUT, "810", "004010")
    assert orders.acknowledgment.functional is FunctionalAck.F997
    assert orders.business_keys == (("po", "BEG03"), ("changed_po", "BCH03"))
    assert invoices.acknowledgment.within == timedelta(days=2)
    assert invoices.envelope.separators.line_ending == "\n"
    assert acme.agreement_for(Direction.OUT, "850", "004010") is None


def test_the_mercy_sample_says_what_it_looks_like():
    mercy = read_profile((SAMPLES / "mercy.toml").read_text())
    claims = mercy.agreement_for(Direction.IN, "837", "005010X222A1")
    assert claims.acknowledgment.ta1 is TA1Policy.ALWAYS
    assert claims.acknowledgment.functional is FunctionalAck.F999
    assert mercy.agreement_for(Direction.IN, "837", "005010X223A2") is None
    assert mercy.agreement_for(Direction.OUT, "835", "005010X221A1").envelope.request_ta1


def test_values_are_normalised():
    text = SHORT.replace("edi@fable.example", "EDI@Fable.EXAMPLE").replace("ZZ:FABLE", "1: 0123456789 ")
    partner = read_profile(text)
    assert partner.addresses == ("EDI@fable.example",)
    assert partner.identities == (Identity("01", "0123456789"),)


def test_an_agreement_overrides_partner_wide_settings_key_by_key():
    shared = """
[envelope]
usage = "T"
application_sender = "OURAPP"
separators = { element = "|", segment = "0x1d" }

[acknowledgment]
within = "2d"
ta1 = "never"

[mail]
cc = ["copy@fable.example"]

[[agreement]]"""
    own = """
[agreement.envelope]
usage = "P"
separators.component = ">"

[agreement.acknowledgment]
ta1 = "always"
"""
    (agreement,) = read_profile(SHORT.replace("\n[[agreement]]", shared) + own).agreements
    assert (agreement.envelope.usage, agreement.envelope.application_sender) == ("P", "OURAPP")
    separators = agreement.envelope.separators
    assert (separators.element, separators.component, separators.segment) == ("|", ">", "\x1d")
    assert agreement.acknowledgment.within == timedelta(days=2)
    assert agreement.acknowledgment.ta1 is TA1Policy.ALWAYS
    assert agreement.mail.cc == ("copy@fable.example",)


def test_an_error_names_file_line_key_and_the_allowed_values():
    fault = fault_of(SHORT.replace('"in"', '"inn"'))
    assert str(fault) == (
        "fable.toml, line 6, key agreement[0].direction: 'inn' is not allowed here; use one of in, out"
    )
    assert fault.exit_code == 78
    assert fault.details["line"] == 6


def test_a_misspelt_key_is_answered_with_the_closest_one():
    fault = fault_of(SHORT.replace("addresses", "adresses"))
    assert "line 2, key adresses: there is no such key; did you mean addresses? allowed are key, name" in str(fault)


def test_all_errors_of_a_file_are_told_in_the_order_of_their_lines():
    fault = fault_of(SHORT.replace("edi@fable.example", "edi").replace('"850"', '"850", "8500"'))
    first, second = str(fault).split("\n")
    assert first.startswith("fable.toml, line 2, key addresses[0]: 'edi' is not a mail address")
    assert second.startswith("fable.toml, line 7, key agreement[0].sets[1]: '8500' is not allowed here")


def test_what_is_missing_is_told_with_an_example():
    said = str(fault_of("notes = ''\n"))
    for example in ('key = "acme"', 'addresses = ["edi@acme.example"]', 'identities = ["ZZ:ACMECO"]', "[[agreement]]"):
        assert example in said


def test_a_key_in_the_second_agreement_has_its_own_line():
    text = SHORT + '\n[[agreement]]\ndirection = "out"\nsets = ["855"]\n[agreement.envelope]\nusage = "X"\n'
    problem = only_problem(text)
    assert (problem.line, problem.key) == (13, "agreement[1].envelope.usage")
    assert "P, T, I" in problem.reason


@pytest.mark.parametrize(
    ("text", "line"),
    [('key = "a\n', 1), ('key = "a"\n\nname = = 3\n', 3), ('key = "a"\nkey = "b"\n', 2), ("a = 99-99-99\n", 1)],
)
def test_broken_toml_is_told_with_its_line(text, line):
    problem = only_problem(text)
    assert problem.line == line
    assert problem.reason.startswith("this is not TOML: ")


def test_endless_nesting_is_an_error_like_any_other():
    assert "nested too deep" in only_problem("a = " + "[" * 100_000).reason


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("status = 3", "3 is not allowed here; use one of draft, testing, live, suspended, ended"),
        ('name = ""', "write one line of text"),
        ('name = "a\\nb"', "write one line of text"),
        ("contact = true", "true is not text"),
        ('key = "Fable Foods"', "use lower-case letters"),
        ('key = "../etc"', "use lower-case letters"),
        ('addresses = "edi@fable.example"', 'is not a list; write ["edi@fable.example"]'),
        ("addresses = []", "the list is empty"),
        ('addresses = ["Fable <edi@fable.example>"]', "write it bare"),
        ('addresses = ["a@x.example", "A@X.example"]', "listed twice"),
        ('identities = ["FABLE"]', "write QUALIFIER:ID"),
        ('identities = ["ZZ:ABCDEFGHIJKLMNOP"]', "at most 15 characters"),
        ('identities = ["ZZ:FÄBLE"]', "an ISA segment cannot carry"),
        ('identities = ["XY:FABLE"]', "'XY', which is not in the list of X12"),
        ('identities = ["ZZ:FA*BLE"]', "an ISA segment cannot carry"),
        ('identities = ["ZZ:FA~BLE"]', "an ISA segment cannot carry"),
        ('identities = ["1:A", "01:A"]', "'01:A' is listed twice"),
        ("envelope = 3", "write its keys below [envelope]"),
        ('envelope.usage = "p"', "use one of P, T, I"),
        ("envelope.request_ta1 = 1", "use true or false"),
        ('envelope.interchange_version = "401"', "five digits"),
        ('envelope.application_sender = "A"', "2 to 15 characters"),
        ('envelope.partner_identity = "ZZ:OTHER"', "is not among the partner's identities; use one of ZZ:FABLE"),
        ('envelope.separators.element = "A"', "cannot separate"),
        ('envelope.separators.element = "0x00"', "cannot separate"),
        ('envelope.separators.element = "**"', "cannot separate"),
        ('envelope.separators.element = ":"', "is also the component separator"),
        ('envelope.separators.element = "0x0a"', "only be the segment terminator"),
        ('envelope.separators.line_ending = "dos"', "use one of none, lf, crlf"),
        ('acknowledgment.within = "24"', 'for example "24h", "30m", "2d"'),
        ("acknowledgment.within = 24", "is not a duration"),
        ('acknowledgment.within = "0h"', "between one second and ten years"),
        ('acknowledgment.within = "99999d"', "between one second and ten years"),
        ('acknowledgment.functional = "998"', "use one of auto, 997, 999, none"),
        ('delivery.kind = "ftp"', "use one of directory, command, http"),
        ('delivery.kind = "command"', "kind command needs a command line"),
        ('delivery = { kind = "command", target = "take \\"it" }', "is not a command line: No closing quotation"),
        ('delivery = { kind = "http", target = "ftp://x.example" }', "write https://…"),
        ('delivery = { kind = "http", target = "https://u:p@x.example" }', "must not carry a password"),
        ('delivery = { kind = "http", target = "http://x.example", secret = "s" }', "unencrypted; use https"),
        ('delivery = { kind = "http", target = "https://x.example:port" }', "this is not a URL"),
        ('delivery.target = "https://x.example"', "use kind http"),
        ('test_delivery.target = "./in/"\ndelivery.target = "in"', "where documents in earnest go"),
        ('delivery.secret = "hook"', "only kind http sends a secret"),
        ('mail.subject = "{sender.__class__}"', "{sender.__class__} is not known to templates"),
        ('mail.subject = "{sets:>99999}"', "is not known to templates"),
        ('mail.subject = "{sets"', "is not a template"),
        ('mail.subject = "a\\r\\nBcc: x@y.example"', "write one line of text"),
        ('mail.file_name = "../{sets}.edi"', "is not a file name"),
        ('mail.content_type = "EDI"', "application/EDI-X12"),
    ],
)
def test_each_wrong_value_is_told_with_what_is_allowed(line, said):
    key = line.partition(" = ")[0]
    rows = [row for row in SHORT.split("\n") if not row.startswith(f"{key} =")]
    problem = only_problem("\n".join([line, *rows]))
    assert said in problem.reason
    assert problem.line == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('sets = ["*", "850"]', "let it stand alone"),
        ('sets = ["85"]', "three characters as in ST01"),
        ('sets = ["850"]\nversions = ["4010"]', "six digits as in GS08"),
        ('sets = ["850"]\nreject_from = "never"', "use one of error, warning"),
        ('sets = ["850"]\non_doubt = "ask"', "use one of hold, resend"),
        ('sets = ["850"]\nbusiness_keys = ["BEG03"]', 'write { po = "BEG03" }'),
        ('sets = ["850"]\nbusiness_keys = { PO = "BEG03" }', "cannot name a business key"),
        ('sets = ["850"]\nbusiness_keys = { po = "BEG" }', "is not an element"),
        ('sets = ["850"]\nbusiness_keys = { po = "BEG00" }', "is not an element"),
        ('sets = ["850"]\nbusiness_keys = { po = "REF02[REF01]" }', "is not an element"),
        ('sets = ["850"]\nbusiness_keys = { po = "REF02[N101=ST]" }', "is not an element"),
    ],
)
def test_each_wrong_value_of_an_agreement_is_told_with_what_is_allowed(line, said):
    problem = only_problem(SHORT.replace('sets = ["850"]', line))
    assert said in problem.reason
    assert problem.line == 7 + line.count("\n")


@pytest.mark.parametrize("path", ["BEG03", "N104", "CLM05-1", "REF02[REF01=IA]", "SV101-2[SV101-1=HC]"])
def test_element_paths_of_business_keys_are_taken_and_the_x12_engine_takes_them_too(path):
    from gateway.x12.extract import ElementPath

    assert str(ElementPath.parse(path)) == path
    text = SHORT + f'business_keys = {{ key = "{path}" }}\n'
    assert read_profile(text).agreements[0].business_keys == (("key", path),)


def test_a_secret_may_go_unencrypted_to_this_machine_only():
    hook = 'delivery = {{ kind = "http", target = "http://{}:8080/hook", secret = "s" }}\n'
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert read_profile(hook.format(host) + SHORT).agreements[0].delivery.secret == "s"


def test_a_partner_wide_mistake_is_told_once_and_where_it_is_written():
    text = '[envelope.separators]\nelement = "~"\n'
    two = '[[agreement]]\ndirection = "out"\nsets = ["855"]\n'
    problem = only_problem(SHORT.replace("\n[[agreement]]", f"\n{text}[[agreement]]") + two)
    assert (problem.line, problem.key) == (6, "envelope.separators.element")


def test_an_agreement_that_never_serves_is_refused():
    later = '[[agreement]]\nname = "again"\ndirection = "in"\nsets = ["850"]\nversions = ["004010"]\n'
    assert "this one never serves" in only_problem(SHORT + later).reason
    earlier_is_narrow = SHORT + 'versions = ["005010"]\n' + later
    assert check_profile(earlier_is_narrow)[0] is not None


def test_two_agreements_of_one_name_are_refused():
    later = '[[agreement]]\nname = "in-850"\ndirection = "out"\nsets = ["850"]\n'
    problem = only_problem(SHORT + later)
    assert (problem.line, problem.key) == (9, "agreement[1].name")


def test_within_none_means_no_deadline():
    text = SHORT + 'acknowledgment.within = "none"\n'
    partner = read_profile(text)
    assert partner.agreements[0].acknowledgment.within is None
    assert read_profile(write_profile(partner)) == partner


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter():
    assert read_profile("\ufeff" + SHORT.replace("\n", "\r\n")) == read_profile(SHORT)


@pytest.mark.parametrize(
    "status", ['status = "draft" # not yet', "status='draft'", '"status" = "draft"', 'status = """\\\n draft"""', ""]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_new_status_changes_one_line_only(status, end):
    text = f"# kept\n{SHORT}".replace('key = "fable"', f'key = "fable"\n{status}').replace("\n", end)
    changed = with_status(text, Status.LIVE)
    assert read_profile(changed) == replace(read_profile(text), status=Status.LIVE)
    if '"""' not in status:
        assert changed.startswith("# kept")
        assert ("# not yet" in changed) is ("# not yet" in status)
        assert len(changed.split("\n")) - len(text.split("\n")) == (0 if status else 1)


def test_whether_a_text_says_its_status_is_known():
    assert not says_status(SHORT)
    assert says_status('status = "live"\n' + SHORT)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('addresses = ["a@x.example"]', 'addresses = ["a@x.example", "b@x.example"]'),
        ('addresses = ["a@x.example",]  # theirs', 'addresses = ["a@x.example", "b@x.example"]  # theirs'),
        (
            'addresses = [ "a@x.example" , "c@x.example" ]',
            'addresses = [ "a@x.example" , "c@x.example", "b@x.example" ]',
        ),
        ('addresses = ["a@x.example"]\r', 'addresses = ["a@x.example", "b@x.example"]\r'),
        ('addresses = [\n  "a@x.example",\n]', None),
    ],
)
def test_one_more_address_changes_one_line_or_nothing(line, wanted):
    """What is added stands in its list; a list that cannot be changed without loss is left to a person."""
    text = f'key = "acme"\n{line}\nidentities = ["ZZ:ACME"]  # as ever\n'
    changed = with_one_more(text, "addresses", "b@x.example")
    assert changed == (None if wanted is None else text.replace(line, wanted))


def test_one_more_value_cannot_say_anything_else():
    """A value with quotes and line ends stays one value of the list."""
    text = 'key = "acme"\naddresses = ["a@x.example"]\nidentities = ["ZZ:ACME"]\n'
    evil = 'b"]\nstatus = "live"\n#@x.example'
    changed = with_one_more(text, "addresses", evil)
    assert changed is not None
    assert tomllib.loads(changed)["addresses"] == ["a@x.example", evil]
    assert "status" not in tomllib.loads(changed)
