"""What the codes of TA1, 997 and 999 say, in our own short words, for sentences that people read."""

from __future__ import annotations

from gateway.x12.model import Status

STATUS_OF_CODE = {
    "A": Status.ACCEPTED,
    "E": Status.ACCEPTED_WITH_ERRORS,
    "P": Status.PARTIALLY_ACCEPTED,
    "R": Status.REJECTED,
    "M": Status.REJECTED,  # message authentication code failed
    "W": Status.REJECTED,  # assurance failed
    "X": Status.REJECTED,  # decryption failed
}
CODE_OF_STATUS = {
    Status.ACCEPTED: "A",
    Status.ACCEPTED_WITH_ERRORS: "E",
    Status.PARTIALLY_ACCEPTED: "P",
    Status.REJECTED: "R",
}

# TA105
INTERCHANGE_NOTES = {
    "000": "no error",
    "001": "the control numbers of header and trailer differ",
    "002": "the standard is not supported",
    "003": "the version is not supported",
    "004": "the segment terminator is invalid",
    "005": "the sender's qualifier is invalid",
    "006": "the sender's id is invalid",
    "007": "the receiver's qualifier is invalid",
    "008": "the receiver's id is invalid",
    "009": "the receiver is unknown",
    "010": "the authorization qualifier is invalid",
    "011": "the authorization information is invalid",
    "012": "the security qualifier is invalid",
    "013": "the security information is invalid",
    "014": "the interchange date is invalid",
    "015": "the interchange time is invalid",
    "016": "the standards identifier or repetition separator is invalid",
    "017": "the interchange version is invalid",
    "018": "the interchange control number is invalid",
    "019": "the acknowledgment request is invalid",
    "020": "the usage indicator is invalid",
    "021": "the number of groups is wrong",
    "022": "the control structure is invalid",
    "023": "the transmission ends too early",
    "024": "the content is invalid (for example the GS segment)",
    "025": "the interchange control number is a duplicate",
    "026": "the element separator is invalid",
    "027": "the component separator is invalid",
    "028": "the delivery date for a deferred delivery is invalid",
    "029": "the delivery time for a deferred delivery is invalid",
    "030": "the delivery time code for a deferred delivery is invalid",
    "031": "the grade of service is invalid",
}

# 716: AK905 to AK909
GROUP_CODES = {
    "1": "the functional group is not supported",
    "2": "the version of the group is not supported",
    "3": "the group trailer (GE) is missing",
    "4": "the control numbers of group header and trailer differ",
    "5": "the number of sets in the group is wrong",
    "6": "the group control number is malformed",
    "19": "the group control number is not unique in the interchange",
    **dict.fromkeys(("10", "11", "12", "13", "14", "15", "16", "17", "18", "23", "24", "25", "26"), "security failed"),
}

# 718 and 618: AK502 to AK506, IK502 to IK506
SET_CODES = {
    "1": "the transaction set is not supported",
    "2": "the set trailer (SE) is missing",
    "3": "the control numbers of set header and trailer differ",
    "4": "the number of segments is wrong",
    "5": "one or more segments are in error",
    "6": "the transaction set identifier is missing or invalid",
    "7": "the transaction set control number is missing or invalid",
    "18": "the set does not belong into this functional group",
    "19": "the implementation convention reference is invalid",
    "23": "the set control number is not unique in the group",
    "I5": "one or more segments break the implementation guide",
    "I6": "the implementation convention is not supported",
    **dict.fromkeys(
        ("8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "24", "25", "26", "27"), "security failed"
    ),
}

# 720 and 620: AK304, IK304
SEGMENT_CODES = {
    "1": "the segment id is not recognised",
    "2": "the segment is not expected here",
    "3": "a mandatory segment is missing",
    "4": "the loop occurs too often",
    "5": "the segment occurs too often",
    "6": "the segment is not in the definition of the set",
    "7": "the segment is out of sequence",
    "8": "elements of the segment are in error",
    "I4": "the implementation guide does not use the segment",
    "I6": "a segment that depends on others is missing",
    "I7": "the loop occurs too seldom",
    "I8": "the segment occurs too seldom",
    "I9": "a segment is present that others exclude",
}

# 723 and 621: AK403, IK403
ELEMENT_CODES = {
    "1": "a mandatory element is missing",
    "2": "an element that others require is missing",
    "3": "there are too many elements",
    "4": "the element is too short",
    "5": "the element is too long",
    "6": "a character is invalid",
    "7": "the code is not in the list",
    "8": "the date is invalid",
    "9": "the time is invalid",
    "10": "elements exclude each other",
    "11": "the element is not unique",
    "12": "there are too many repetitions",
    "13": "there are too many components",
    "I6": "the implementation guide does not use this code",
    "I9": "an element that depends on others is missing",
    "I10": "the implementation guide does not use the element",
    "I11": "there are too few repetitions",
    "I12": "the value does not fit the pattern of the guide",
    "I13": "an element is present that others exclude",
}
