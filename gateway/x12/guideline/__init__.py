"""Guidelines, and the judge of one transaction set."""

from gateway.x12.guideline.catalog import KnownSet, functional_ids, groups_of, judge_for, known_sets
from gateway.x12.guideline.judge import SetJudge
from gateway.x12.guideline.steps import Step
from gateway.x12.guideline.unknown import UnknownJudge

__all__ = ["KnownSet", "SetJudge", "Step", "UnknownJudge", "functional_ids", "groups_of", "judge_for", "known_sets"]
