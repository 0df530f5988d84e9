"""The documents of the demo, all invented, written by hand so that the actors owe nothing to our own engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

Segments = Sequence[str]


def interchange(
    sender: str,
    receiver: str,
    number: int,
    when: datetime,
    groups: Sequence[tuple[str, str, Sequence[Segments]]],
    *,
    ask_ta1: bool = False,
) -> bytes:
    """An interchange of (GS01, GS08, sets); a set is its segments from ST on, without SE.

    ``sender`` and ``receiver`` are ``qualifier:id``. The number serves for ISA13 and, counted on, for GS06.
    """
    (from_qualifier, _, from_id), (to_qualifier, _, to_id) = sender.partition(":"), receiver.partition(":")
    modern = any(version.startswith("005") for _, version, _ in groups)
    isa = (
        f"ISA*00*{'':10}*00*{'':10}*{from_qualifier}*{from_id:15}*{to_qualifier}*{to_id:15}*{when:%y%m%d}*{when:%H%M}"
        f"*{'^' if modern else 'U'}*{'00501' if modern else '00401'}*{number:09}*{int(ask_ta1)}*P*:"
    )
    lines = [isa]
    for offset, (functional_id, version, sets) in enumerate(groups):
        lines.append(f"GS*{functional_id}*{from_id}*{to_id}*{when:%Y%m%d}*{when:%H%M}*{number + offset}*X*{version}")
        for segments in sets:
            lines += [*segments, f"SE*{len(segments) + 1}*{segments[0].split('*')[2]}"]
        lines.append(f"GE*{len(sets)}*{number + offset}")
    lines.append(f"IEA*{len(groups)}*{number:09}")
    return "".join(f"{line}~\r\n" for line in lines).encode("ascii")


def order(po: str, when: datetime, control: int = 1, quantity: str = "12") -> Segments:
    """An 850: two lines; the quantity of the first can be spoiled."""
    return (
        f"ST*850*{control:04}",
        f"BEG*00*SA*{po}**{when:%Y%m%d}",
        "REF*DP*0042",
        f"DTM*002*{when:%Y%m%d}",
        "N1*ST*ACME Retail, store 42*92*0042",
        "N3*1 Sample Street",
        "N4*Springfield*IL*62701*US",
        f"PO1*1*{quantity}*EA*9.95**BP*AC-100*VP*EX-2000",
        "PO1*2*6*CA*54**BP*AC-200*VP*EX-2100",
        "CTT*2",
    )


def confirmation(po: str, when: datetime) -> Segments:
    """An 855 that accepts the order."""
    return (
        "ST*855*0001",
        f"BAK*00*AC*{po}*{when:%Y%m%d}",
        "PO1*1*12*EA*9.95**BP*AC-100*VP*EX-2000",
        f"ACK*IA*12*EA*068*{when:%Y%m%d}",
        "CTT*1",
    )


def ship_notice(po: str, shipment: str, when: datetime) -> Segments:
    """An 856: shipment, order, item."""
    return (
        "ST*856*0001",
        f"BSN*00*{shipment}*{when:%Y%m%d}*{when:%H%M}*0001",
        "HL*1**S",
        "TD5*B*2*EXFR*M",
        f"DTM*011*{when:%Y%m%d}",
        "N1*ST*ACME Retail, store 42*92*0042",
        "HL*2*1*O",
        f"PRF*{po}***{when:%Y%m%d}",
        "HL*3*2*I",
        "LIN*1*BP*AC-100*VP*EX-2000",
        "SN1*1*12*EA",
        "CTT*3",
    )


def invoice(number: str, po: str, when: datetime) -> Segments:
    """An 810 of one line."""
    return (
        "ST*810*0001",
        f"BIG*{when:%Y%m%d}*{number}*{when:%Y%m%d}*{po}***DI",
        "N1*RI*Example Co*92*EXAMPLECO",
        "IT1*1*12*EA*9.95**BP*AC-100*VP*EX-2000",
        "TDS*11940",
        "CTT*1",
    )


def bare(*sets: Segments) -> bytes:
    """Transaction sets as a business system writes them: no envelope at all."""
    text = ""
    for segments in sets:
        text += "".join(f"{each}~\n" for each in (*segments, f"SE*{len(segments) + 1}*{segments[0].split('*')[2]}"))
    return text.encode("ascii")


def claim(number: str, when: datetime) -> Segments:
    """An 837P (005010X222A1) with one professional claim of an invented patient."""
    return (
        "ST*837*0001*005010X222A1",
        f"BHT*0019*00*{number}*{when:%Y%m%d}*{when:%H%M}*CH",
        "NM1*41*2*MERCY CLINIC*****46*MERCYCLINIC",
        "PER*IC*BILLING OFFICE*TE*5555550101",
        "NM1*40*2*EXAMPLE HEALTH PLAN*****46*EXAMPLECO",
        "HL*1**20*1",
        "NM1*85*2*MERCY CLINIC*****XX*1234567893",
        "N3*2 SAMPLE AVENUE",
        "N4*SPRINGFIELD*IL*627010001",
        "REF*EI*000000001",
        "HL*2*1*22*0",
        "SBR*P*18*GRP01******CI",
        "NM1*IL*1*DOE*JANE****MI*MEM0000001",
        "N3*3 SAMPLE LANE",
        "N4*SPRINGFIELD*IL*62701",
        "DMG*D8*19800101*F",
        "NM1*PR*2*EXAMPLE HEALTH PLAN*****PI*EXHP1",
        f"CLM*{number}*100***11:B:1*Y*A*Y*Y",
        "HI*ABK:J069",
        "LX*1",
        "SV1*HC:99213*100*UN*1***1",
        f"DTP*472*D8*{when:%Y%m%d}",
    )


def payment_advice(number: str, claim_number: str, when: datetime) -> Segments:
    """An 835 (005010X221A1) that pays one claim."""
    return (
        "ST*835*0001",
        f"BPR*I*80*C*CHK************{when:%Y%m%d}",
        f"TRN*1*{number}*1000000001",
        f"DTM*405*{when:%Y%m%d}",
        "N1*PR*EXAMPLE HEALTH PLAN",
        "N3*4 SAMPLE PLAZA",
        "N4*SPRINGFIELD*IL*62702",
        "PER*BL*PROVIDER SERVICES*TE*5555550199",
        "N1*PE*MERCY CLINIC*XX*1234567893",
        "LX*1",
        f"CLP*{claim_number}*1*100*80*20*12*PC-9001*11*1",
        "NM1*QC*1*DOE*JANE****MI*MEM0000001",
        f"DTM*232*{when:%Y%m%d}",
        "SVC*HC:99213*100*80**1",
        f"DTM*472*{when:%Y%m%d}",
        "CAS*PR*3*20",
    )
