"""Guidelines, and the judge of one transaction set."""

from gateway.x12.guideline.catalog import KnownSet, functional_ids, groups_of, judge_for, known_sets
from gateway.x12.guideline.judge import SetJudge, Step, UnknownJudge

__all__ = ["KnownSet", "SetJudge", "Step", "UnknownJudge", "functional_ids", "groups_of", "judge_for", "known_sets"]
