"""[[alert]]: a rule is read as it is meant, and what does not fit together is said with its line."""

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import SettingsInvalid
from gateway.settings import parse_settings

HEAD = """[gateway]
name = "Ours"
domain = "edi.example.com"
identities = ["ZZ:OURS"]

[smtp]
host = "smtp.example.com"
sender = "edi@example.com"

"""


def rules(text, head=HEAD):
    return parse_settings((head + text).encode(), home=Path("/srv/edi")).alerts


def test_a_rule_has_sensible_defaults():
    (rule,) = rules('[[alert]]\nname = "ops"\nto = "ops@Example.com"')
    assert rule.to == ("ops@example.com",)
    assert (rule.kinds, rule.partners, rule.every, rule.repeat) == (("*",), ("*",), timedelta(hours=1), None)


def test_all_keys_are_read():
    (rule,) = rules(
        '[[alert]]\nname = "pager"\nkinds = ["in doubt", "overdue"]\npartners = ["acme"]\n'
        'every = "5m"\nrepeat = "24h"\n'
        'webhook = "https://alerts.example.com/edi?k=1"\nsecret = "pager"\nsignature = "hmac"\nquiet = "22:00-06:30"\n'
        'include_testing = true\ntimeout = "5s"'
    )
    assert rule.quiet == (22 * 60, 6 * 60 + 30)
    assert rule.target == "webhook alerts.example.com"
    assert rule.include_testing


def test_of_a_command_only_the_program_is_named():
    (rule,) = rules("""[[alert]]\nname = "t"\ncommand = "'/opt/my tools/tell' --token hidden" """)
    assert rule.target == "command /opt/my tools/tell"


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('to = "ops@example.com"', "name", "the key is missing"),
        ('name = "ops"', "to", "one of to, webhook and command"),
        ('name = "ops"\nto = "a@b.example"\ncommand = "x"', "command", "one of to, webhook and command"),
        ('name = "ops"\nto = "nobody"', "to", "email address"),
        ('name = "ops"\nto = []', "to", "at least one"),
        ('name = "ops"\nto = "a@b.example"\nkinds = ["overdu"]', "kinds", "no kind of alert; there are quarantined"),
        ('name = "ops"\nto = "a@b.example"\nkinds = []', "kinds", "at least one"),
        ('name = "ops"\nto = "a@b.example"\nquiet = "late"', "quiet", "22:00-06:00"),
        ('name = "ops"\nto = "a@b.example"\nquiet = "06:00-06:00"', "quiet", "end when they begin"),
        ('name = "ops"\nto = "a@b.example"\nsecret = "x"', "secret", "rules with a webhook"),
        ('name = "ops"\nwebhook = "http://alerts.example.com/"', "webhook", "https"),
        ('name = "ops"\nwebhook = "https://a.example/"\nsignature = "hmac"', "secret", "the key is missing"),
        ('name = "ops"\ncommand = "tell \'me"', "command", "cannot be told apart"),
        ('name = "ops"\nto = "a@b.example"\nkind = ["overdue"]', "kind", "did you mean kinds?"),
        ('name = "ops"\nwebhook = "https://a.example/"\ntoken = "x"', "token", "gateway secret set"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_with_its_key(text, key, reason):
    with pytest.raises(SettingsInvalid) as caught:
        rules(f"[[alert]]\n{text}")
    assert caught.value.details["key"] == f"alert.0.{key}"
    assert reason in str(caught.value)
    assert caught.value.details["line"] >= 10


def test_mail_needs_a_host_to_send_through():
    with pytest.raises(SettingsInvalid, match="no \\[smtp\\]"):
        rules('[[alert]]\nname = "ops"\nto = "a@b.example"', HEAD.partition("[smtp]")[0])


def test_two_rules_have_two_names():
    with pytest.raises(SettingsInvalid, match="two rules with the name ops"):
        rules('[[alert]]\nname = "ops"\nto = "a@b.example"\n' * 2)


@pytest.mark.parametrize("text", ["[alert]\nname = 'x'", "alert = 3", "alert = [1]"])
def test_a_rule_is_a_table_under_its_own_line(text):
    with pytest.raises(SettingsInvalid, match=r"\[\[alert\]\]"):
        rules("", f"{text}\n{HEAD}" if "[alert]" not in text else f"{HEAD}{text}\n")
