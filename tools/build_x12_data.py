"""Pack the X12 fact tables into the data files of ``gateway.x12``.

    python tools/build_x12_data.py FACTS [TARGET]

FACTS holds one folder per version (``004010/sets.tsv`` …) and ``groups.tsv``. For each version one zip is
written: ``dictionary.json`` (segments, composites, elements, relational conditions), ``codes.json`` (code
lists) and ``sets/<id>.json`` (the loops and segments of one transaction set), so that loading one set reads
three small entries. ``catalog.json`` lists what there is. Same input, same bytes.
"""

from __future__ import annotations

import csv
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)
TARGET = Path(__file__).parent.parent / "gateway" / "x12" / "data"


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of one table, by column name."""
    with path.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)


def number(text: str) -> int:
    """A maximum; 0 stands for unlimited (``>1``) and for unknown (``-``)."""
    return 0 if text in (">1", "-") else int(text)


def sets(folder: Path) -> dict[str, list[object]]:
    """Set id → nested [id, requirement, maximum] for segments, with a fourth item, the children, for loops."""
    trees: dict[str, list[object]] = {}
    inside: dict[tuple[str, str], list[object]] = {}
    for row in rows(folder / "sets.tsv"):
        top = trees.setdefault(row["set"], [])
        path = "" if row["path"] == "-" else row["path"]
        siblings = inside[row["set"], path] if path else top
        node: list[object] = [row["id"], row["req"], number(row["max"])]
        if row["kind"] == "loop":
            children: list[object] = []
            node.append(children)
            inside[row["set"], f"{path}/{row['id']}".lstrip("/")] = children
        siblings.append(node)
    return trees


def dictionary(folder: Path) -> dict[str, object]:
    """Everything of one version that sets share, but the code lists."""
    segments: dict[str, list[object]] = {}
    for row in rows(folder / "segments.tsv"):
        elements = segments.setdefault(row["segment"], [])
        if int(row["pos"]) != len(elements) + 1:
            raise SystemExit(f"{folder.name} {row['segment']}: position {row['pos']} follows {len(elements)}")
        elements.append([row["element"], row["req"], number(row["repeat"])])
    composites: dict[str, list[object]] = {}
    for row in rows(folder / "composites.tsv"):
        composites.setdefault(row["composite"], []).append([row["element"], row["req"]])
    elements = {
        row["element"]: [row["type"], int(row["min"]), int(row["max"]), row["name"]]
        for row in rows(folder / "elements.tsv")
    }
    conditions = {row["segment"]: row["conditions"] for row in rows(folder / "conditions.tsv")}
    return {"segments": segments, "composites": composites, "elements": elements, "conditions": conditions}


def codes(folder: Path) -> dict[str, list[str]]:
    """Element → [basis, codes]."""
    return {row["element"]: [row["basis"], row["codes"]] for row in rows(folder / "codes.tsv")}


def compact(value: object) -> bytes:
    """JSON without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()


def write_version(folder: Path, target: Path) -> list[str]:
    """Write one version's zip; the ids of its sets."""
    trees = sets(folder)
    entries = {"dictionary.json": dictionary(folder), "codes.json": codes(folder)}
    entries |= {f"sets/{set_id}.json": tree for set_id, tree in sorted(trees.items())}
    with zipfile.ZipFile(target / f"{folder.name}.zip", "w") as archive:
        for name, value in entries.items():
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, compact(value), compresslevel=9)
    return sorted(trees)


def main() -> None:
    """Read the folders of argv[1], write into argv[2] or the package."""
    facts = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET
    target.mkdir(parents=True, exist_ok=True)
    groups = {row["set"]: row["gs01"] for row in rows(facts / "groups.tsv")}
    versions = {folder.name: write_version(folder, target) for folder in sorted(facts.iterdir()) if folder.is_dir()}
    catalog = {"versions": versions, "groups": groups}
    (target / "catalog.json").write_bytes(compact(catalog) + b"\n")
    for version, ids in versions.items():
        print(f"{version}: {len(ids)} sets, {(target / f'{version}.zip').stat().st_size} bytes")


if __name__ == "__main__":
    main()
