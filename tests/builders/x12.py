"""Builds small interchanges for tests, sound unless told otherwise. All data is invented."""

from __future__ import annotations

SET_850 = ("BEG*00*SA*PO-1001**20261101", "N1*ST*EXAMPLE STORE*92*0042", "PO1*1*5*EA*9.95**VN*A-77", "CTT*1")


def isa(number="000000001", version="00401", repetition="U", sender="SENDER", receiver="RECEIVER", **other) -> str:
    f = {"q1": "ZZ", "q2": "ZZ", "date": "261101", "time": "1200", "asked": "0", "usage": "P"} | other
    return (
        f"ISA*00*          *00*          *{f['q1']}*{sender:<15}*{f['q2']}*{receiver:<15}*{f['date']}*{f['time']}"
        f"*{repetition}*{version}*{number}*{f['asked']}*{f['usage']}*>~"
    )


def transaction_set(number="0001", body=SET_850, kind="850", implementation="", count=None, trailer=None) -> str:
    head = f"ST*{kind}*{number}" + (f"*{implementation}" if implementation else "")
    size = len(body) + 2 if count is None else count
    return "~".join((head, *body, f"SE*{size}*{number if trailer is None else trailer}", ""))


def group(*sets, number="1", kind="PO", version="004010", count=None, trailer=None, date="20261101") -> str:
    sets = sets or (transaction_set(),)
    size = len(sets) if count is None else count
    head = f"GS*{kind}*SND*RCV*{date}*1200*{number}*X*{version}~"
    return head + "".join(sets) + f"GE*{size}*{number if trailer is None else trailer}~"


def interchange(*groups, number="000000001", count=None, trailer=None, **other) -> str:
    groups = groups or (group(),)
    size = len(groups) if count is None else count
    return isa(number, **other) + "".join(groups) + f"IEA*{size}*{number if trailer is None else trailer}~"


def retold(text: str, element="|", component="<", segment="\n", repetition="") -> str:
    """The same with other separators."""
    table = {"*": element, ">": component, "~": segment} | ({"^": repetition} if repetition else {})
    return text.translate(str.maketrans(table))
