"""Schemas of PostgreSQL: everything of one moved to another, and a connection that looks at one first."""

from __future__ import annotations

import re

from sqlalchemy import URL

# Moves everything from one schema to another but what an extension made; what belongs to a table goes with it.
_MOVE = """
DO $move$ DECLARE each text; BEGIN
    FOR each IN
        SELECT format('ALTER %s %I.%I SET SCHEMA {to}', CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW'
            WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, '{name}', relname)
        FROM pg_catalog.pg_class AS thing WHERE relnamespace = '{source}'::regnamespace
            AND relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend
                WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = thing.oid AND deptype IN ('e', 'a', 'i'))
        UNION ALL
        SELECT format('ALTER ROUTINE %I.%I(%s) SET SCHEMA {to}', '{name}', proname,
            pg_catalog.pg_get_function_identity_arguments(thing.oid))
        FROM pg_catalog.pg_proc AS thing WHERE pronamespace = '{source}'::regnamespace
            AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend
                WHERE classid = 'pg_catalog.pg_proc'::regclass AND objid = thing.oid AND deptype = 'e')
        UNION ALL
        SELECT format('ALTER TYPE %I.%I SET SCHEMA {to}', '{name}', typname)
        FROM pg_catalog.pg_type AS thing WHERE typnamespace = '{source}'::regnamespace AND typtype IN ('d', 'e')
            AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend
                WHERE classid = 'pg_catalog.pg_type'::regclass AND objid = thing.oid AND deptype = 'e')
    LOOP EXECUTE each; END LOOP;
END $move$;
"""


def looking_at(url: URL, *schemas: str) -> str:
    """The url, with its password, of a connection that looks at these schemas, in this order."""
    given = url.query.get("options", "")
    path = ",".join(map(_escaped, schemas))
    options = f"{given if isinstance(given, str) else ' '.join(given)} -c search_path={path}".strip()
    return url.update_query_dict({"options": options}).render_as_string(hide_password=False)


def move(source: str, target: str) -> str:
    """The statement that moves everything but what an extension made; what belongs to a table goes with it."""
    literal = source.replace("'", "''")
    return _MOVE.format(
        to=identifier(target).replace("'", "''").replace("%", "%%"),
        name=literal,
        source=identifier(source).replace("'", "''"),
    )


def identifier(name: str) -> str:
    """A name as a statement wants it."""
    return '"' + name.replace('"', '""') + '"'


def _escaped(name: str) -> str:
    """An identifier within ``options`` of a connection, where blanks and backslashes part words."""
    return re.sub(r"([\\ ])", r"\\\1", identifier(name))
