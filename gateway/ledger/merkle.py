"""Merkle trees as RFC 6962 section 2.1 defines them, with SHA-256. Pure.

A tree over leaves d(0) … d(n-1) has one root hash. An inclusion proof shows with about log2(n) hashes that a leaf is
in it; a consistency proof shows that a bigger tree is the smaller one with leaves appended. Appending needs only the
roots of the complete subtrees (the frontier), never the leaves before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

HASH = 32  # bytes of a hash
EMPTY = hashlib.sha256().digest()  # the root of no leaves

Subtree = Callable[[int, int], bytes]
"""Gives the root of the complete subtree at (level, position): of leaves position * 2^level and on."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf: SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """A tree that grows at its end. Holds the roots of its complete subtrees only, the biggest first.

    Args:
        size: leaves so far.
        roots: as ``packed`` gave them.
    """

    def __init__(self, size: int = 0, roots: bytes = b"") -> None:
        if len(roots) != size.bit_count() * HASH:
            raise ValueError(f"{len(roots)} bytes are no frontier of a tree of {size} leaves")
        self.size = size
        self._roots = [roots[at : at + HASH] for at in range(0, len(roots), HASH)]

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Adds a leaf hash; returns the subtrees that it completed as (level, position, root), the smallest first."""
        completed = []
        root, index, level = leaf, self.size, 0
        while index & 1:
            root = node_hash(self._roots.pop(), root)
            index >>= 1
            level += 1
            completed.append((level, index, root))
        self._roots.append(root)
        self.size += 1
        return completed

    def append_all(self, leaves: Iterable[bytes], level: int) -> list[tuple[int, int, bytes]]:
        """Adds leaf hashes; returns the completed subtrees of that level and of its multiples."""
        sha256, roots, size = hashlib.sha256, self._roots, self.size
        completed = []
        for leaf in leaves:
            root, index, height = leaf, size, 0
            while index & 1:
                root = sha256(b"\1" + roots.pop() + root).digest()
                index >>= 1
                height += 1
                if height % level == 0:
                    completed.append((height, index, root))
            roots.append(root)
            size += 1
        self.size = size
        return completed

    def root(self) -> bytes:
        """The root hash of the tree as it is."""
        return fold(self._roots)

    def packed(self) -> bytes:
        """The roots of the complete subtrees, one after the other."""
        return b"".join(self._roots)


def fold(roots: Sequence[bytes]) -> bytes:
    """The root over complete subtrees, the biggest first."""
    if not roots:
        return EMPTY
    whole = roots[-1]
    for root in reversed(roots[:-1]):
        whole = node_hash(root, whole)
    return whole


def subtrees(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees, as (level, position), that leaves ``start`` up to ``stop`` consist of, from left to right.

    ``start`` is a multiple of the biggest one's size, as every left edge within a tree is.
    """
    while start < stop:
        level = (stop - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


def root_of(size: int, subtree: Subtree) -> bytes:
    """The root of the first ``size`` leaves."""
    return fold([subtree(level, position) for level, position in subtrees(0, size)])


def inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The proof that leaf ``index`` is in the tree of the first ``size`` leaves (RFC 6962 section 2.1.1).

    Raises:
        ValueError: there is no such leaf in it.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    return _path(index, 0, size, subtree)


def _path(index: int, start: int, stop: int, subtree: Subtree) -> list[bytes]:
    if stop - start == 1:
        return []
    middle = start + _half(stop - start)
    if index < middle:
        return [*_path(index, start, middle, subtree), _range(middle, stop, subtree)]
    return [*_path(index, middle, stop, subtree), _range(start, middle, subtree)]


def consistency(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """The proof that the tree of ``new`` leaves begins with that of ``old`` (RFC 6962 section 2.1.2).

    Raises:
        ValueError: ``old`` is not from 1 to ``new``.
    """
    if not 0 < old <= new:
        raise ValueError(f"a tree of {new} leaves cannot be consistent with one of {old}")
    return _consistent(old, 0, new, subtree, known=True)


def _consistent(old: int, start: int, stop: int, subtree: Subtree, *, known: bool) -> list[bytes]:
    if old == stop:
        return [] if known else [_range(start, stop, subtree)]
    middle = start + _half(stop - start)
    if old <= middle:
        return [*_consistent(old, start, middle, subtree, known=known), _range(middle, stop, subtree)]
    return [*_consistent(old, middle, stop, subtree, known=False), _range(start, middle, subtree)]


def _half(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << ((count - 1).bit_length() - 1)


def _range(start: int, stop: int, subtree: Subtree) -> bytes:
    return fold([subtree(level, position) for level, position in subtrees(start, stop)])


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2); it must be compared with a sealed one.

    Raises:
        ValueError: the proof has not the length that the place of the leaf asks for.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    first, last, root = index, size - 1, leaf
    for each in proof:
        if last == 0:
            raise ValueError("the proof is too long")
        if first & 1 or first == last:
            root = node_hash(each, root)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            root = node_hash(root, each)
        first, last = first >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    return root


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the tree of ``new`` leaves begins with that of ``old`` (RFC 9162, 2.1.4.2)."""
    if old == new:
        return not proof and old_root == new_root
    if not 0 < old < new or not proof:
        return False
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    before = after = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            before, after = node_hash(each, before), node_hash(each, after)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            after = node_hash(after, each)
        first, last = first >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root
