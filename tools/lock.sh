#!/bin/sh
# Pins every dependency, direct or not, with the hashes of all its files, for every platform and Python from 3.11 on.
# The files name no download address, so that any package index serves them.
set -eu
uv=$(command -v uv || echo "${BIN:-.venv/bin}/uv")
[ -x "$uv" ] || "${BIN:-.venv/bin}/python" -m pip install --quiet uv

compile() {
    "$uv" pip compile --quiet --universal --generate-hashes --python-version 3.11 --upgrade \
        --no-emit-index-url --no-emit-find-links --no-header --no-annotate "$@"
}

compile pyproject.toml -o requirements/run.txt
compile pyproject.toml --extra dev -c requirements/run.txt -o requirements/dev.txt
compile pyproject.toml --extra postgres --extra pdf -c requirements/dev.txt -o requirements/container.txt
printf 'hatchling\neditables\n' | compile - -c requirements/dev.txt -o requirements/build.txt
