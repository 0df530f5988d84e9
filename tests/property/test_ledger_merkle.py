"""The tree is that of RFC 6962, whatever its size, and its proofs prove nothing else."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger import merkle


def naive(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + naive(leaves[:k]) + naive(leaves[k:])).digest()


def leaves_of(size: int) -> list[bytes]:
    return [merkle.leaf_hash(str(each).encode()) for each in range(size)]


def subtree_of(leaves: list[bytes]):
    @cache
    def subtree(level: int, position: int) -> bytes:
        chosen = leaves[position << level : (position + 1) << level]
        assert len(chosen) == 1 << level, "an incomplete subtree was asked for"
        return naive(chosen)

    return subtree


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_frontier_gives_the_root_of_all_leaves_and_can_be_packed_away_at_any_size(first, more):
    leaves = leaves_of(first + more)
    frontier = merkle.Frontier()
    for each in leaves[:first]:
        frontier.append(each)
    assert frontier.root() == naive(leaves[:first])
    again = merkle.Frontier(frontier.size, frontier.packed())
    completed = again.append_all(leaves[first:], 2)
    assert again.root() == naive(leaves)
    subtree = subtree_of(leaves)
    assert all(subtree(level, position) == root for level, position, root in completed)
    assert {level % 2 for level, _, _ in completed} <= {0}
    assert merkle.root_of(len(leaves), subtree) == naive(leaves)


@given(st.integers(1, 200), st.data())
def test_an_inclusion_proof_leads_to_the_root_and_no_other_leaf_does(size, data):
    index = data.draw(st.integers(0, size - 1))
    leaves = leaves_of(size)
    proof = merkle.inclusion(index, size, subtree_of(leaves))
    assert merkle.root_from_inclusion(index, size, leaves[index], proof) == naive(leaves)
    assert merkle.root_from_inclusion(index, size, merkle.leaf_hash(b"other"), proof) != naive(leaves)
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        try:
            root = merkle.root_from_inclusion(other, size, leaves[index], proof)
        except ValueError:
            return
        assert root != naive(leaves)


@given(st.integers(1, 150), st.integers(0, 150), st.data())
def test_a_consistency_proof_holds_for_trees_that_grew_and_fails_for_others(old, more, data):
    new = old + more
    leaves = leaves_of(new)
    proof = merkle.consistency(old, new, subtree_of(leaves))
    assert merkle.is_consistent(old, naive(leaves[:old]), new, naive(leaves), proof)
    changed = list(leaves)
    changed[data.draw(st.integers(0, old - 1))] = merkle.leaf_hash(b"changed later")
    forged = merkle.consistency(old, new, subtree_of(changed))
    assert not merkle.is_consistent(old, naive(leaves[:old]), new, naive(changed), forged)
    assert not merkle.is_consistent(old, naive(leaves[:old]), new, naive(changed), proof)


def test_proofs_of_what_is_not_there_are_refused():
    subtree = subtree_of(leaves_of(3))
    with pytest.raises(ValueError, match="no leaf 3"):
        merkle.inclusion(3, 3, subtree)
    with pytest.raises(ValueError, match="consistent"):
        merkle.consistency(4, 3, subtree)
    with pytest.raises(ValueError, match="frontier"):
        merkle.Frontier(3, b"short")
