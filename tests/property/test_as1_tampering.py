"""Whatever happens to a secured mail on its way: nothing raises, and nothing but the original counts as signed."""

from __future__ import annotations

import pytest
from builders.pair import Gateway, order
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ProcessingFailed
from gateway.flow.inbound import prepare
from gateway.ledger.work import StoredMessage

OUT = '[[agreement]]\nname = "orders"\ndirection = "out"\nsets = ["850"]\nversions = ["004010"]\n[agreement.security]\n'
IN = '[[agreement]]\nname = "orders"\ndirection = "in"\nsets = ["850"]\n[agreement.security]\nreceipt = "signed"\n'
SECURITY = {
    "signed": 'sign = true\nreceipt = "signed"\n',
    "signed and encrypted": "sign = true\nencrypt = true\n",
    "signed and compressed": "sign = true\ncompress = true\n",
    "encrypted": "encrypt = true\n",
}


@pytest.fixture(scope="module")
def mails(tmp_path_factory):
    """One mail of each kind, the context of who receives them, and what is in them."""
    directory = tmp_path_factory.mktemp("tampering")
    buyer, seller = (Gateway(directory, each, f"edi@{each}.example") for each in ("buyer", "seller"))
    seller.knows(buyer, IN)
    buyer.trusts(seller)
    seller.trusts(buyer)
    made = {}
    for name, security in SECURITY.items():
        buyer.knows(seller, OUT + security)
        buyer.submit("seller", f"{name}.edi", order())
        buyer.run()
        made[name] = buyer.transport.sent.pop().raw
    yield made, seller.app.context()
    buyer.app.close()
    seller.app.close()


def opened(context, raw):
    case = prepare(context, StoredMessage(1, context.clock(), "orders", "memory", "edi", "0" * 64, 0, raw))
    assert not isinstance(case.fault, ProcessingFailed), case.fault
    return case


@st.composite
def changes(draw):
    """A few edits: (kind, where from 0 to 1, bytes)."""
    edit = st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat", "swap"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=6) | st.sampled_from([b"\r\n", b"--", b"\r\n\r\n", b"=", b"AAAA"]),
    )
    return draw(st.lists(edit, min_size=1, max_size=3))


def changed(raw, edits):
    for kind, where, data in edits:
        at = int(where * len(raw))
        if kind == "flip":
            raw = raw[:at] + bytes([raw[at] ^ (data[0] or 1)]) + raw[at + 1 :]
        elif kind == "cut":
            raw = raw[:at] + raw[at + len(data) :]
        elif kind == "insert":
            raw = raw[:at] + data + raw[at:]
        elif kind == "repeat":
            raw = raw[:at] + raw[max(0, at - 200) : at] + raw[at:]
        else:
            raw = raw[:at][: at - 80] + raw[at : at + 80] + raw[max(0, at - 80) : at] + raw[at + 80 :]
    return raw


@pytest.mark.parametrize("name", SECURITY)
@settings(max_examples=120, deadline=None)
@given(edits=changes())
def test_nothing_but_the_original_counts_as_signed(mails, name, edits):
    made, context = mails
    original = opened(context, made[name])
    assert original.fault is None
    (data,) = [each.data for each in original.payloads]
    case = opened(context, changed(made[name], edits))
    if case.proof is not None and case.proof.kind == "signed":
        assert [each.data for each in case.payloads] in ([data], [])
    if name.startswith("signed and encrypted") and case.layers:
        assert case.proof is not None
