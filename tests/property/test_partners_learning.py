"""Whatever was seen of partners, what is proposed can be applied."""

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from partners.learning import Known, SeenGroup, SeenInterchange, SeenMail, learn
from partners.model import Identity, Separators
from partners.profile import read_profile

OURS, THEIRS = Identity("ZZ", "EXAMPLECO"), Identity("01", "123456789")
KNOWN = Known((OURS,))

words = st.text(st.characters(codec="latin-1"), max_size=20)
marks = st.builds(Separators, *[st.characters(codec="latin-1")] * 4, st.sampled_from(["", "\n", "\r\n"]))
versions = words | st.sampled_from(["004010", "004010VICS", "005010X222A1", "00401"])
seen_groups = st.builds(
    SeenGroup,
    st.sampled_from(["PO", "IN", "FA", ""]),
    words,
    words,
    words,
    versions,
    st.lists(st.sampled_from(["850", "810", "997", "999"]), max_size=3).map(tuple),
    st.lists(st.sampled_from(["850", "810"]), max_size=2).map(tuple),
)
ids = st.sampled_from([OURS, THEIRS, Identity("ZZ", "ACMETWO")])
seen_interchanges = st.builds(
    SeenInterchange,
    words,
    ids,
    ids,
    words,
    words,
    words,
    st.sampled_from(["P", "T", "I", "", "?"]),
    st.booleans(),
    marks,
    st.lists(seen_groups, max_size=3).map(tuple),
    st.integers(0, 2),
    st.sampled_from(["", "a@acme.example", "b@other.example"]),
)
seen_mails = st.builds(SeenMail, words, st.sampled_from(["a@acme.example", "b@other.example"]), words)


@settings(max_examples=100, deadline=None, phases=(Phase.explicit, Phase.generate, Phase.shrink))
@given(st.lists(seen_interchanges, min_size=1, max_size=6), st.lists(seen_mails, max_size=3))
def test_whatever_was_seen_a_proposal_can_be_applied(interchanges, mails):
    for proposal in learn(interchanges, mails, KNOWN)[0]:
        assert read_profile(proposal.text).key == proposal.key
