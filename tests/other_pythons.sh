#!/usr/bin/env bash
# Runs the core's tests on the other Pythons that are installed, or on those in PYTHONS; UV names uv, EDITABLE the
# options that install the packages of this repository.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=
for version in ${PYTHONS:-3.10 3.12 3.13}; do
  python=
  for candidate in "python$version" "$HOME"/.pyenv/versions/"$version".*/bin/python; do
    # one that is found need not run: pyenv puts a name for each of its versions on the path
    if "$candidate" -c "" 2>/dev/null; then
      python=$(command -v "$candidate")
      break
    fi
  done
  if [ -z "$python" ]; then
    echo "Python $version is not installed: skipped"
    continue
  fi
  echo "Python $version"
  test -x ".venv-$version/bin/python" || "$UV" venv --quiet --python "$python" ".venv-$version"
  grep -vE '^(mypy|import-linter|ruff|types-)' tests/requirements.in >".venv-$version/requirements.in"
  VIRTUAL_ENV=".venv-$version" "$UV" pip install --quiet --compile-bytecode $EDITABLE -r ".venv-$version/requirements.in"
  ".venv-$version/bin/pytest" -q --numprocesses auto --maxprocesses 8 --dist loadfile \
    tests/core tests/security tests/e2e --ignore tests/core/test_contracts.py --ignore tests/core/test_architecture.py || failed="$failed $version"
done
if [ -n "$failed" ]; then
  echo "there were failures on Python$failed"
  exit 1
fi
