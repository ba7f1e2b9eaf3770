#!/usr/bin/env bash
# Runs the driver tests: stock Python clients and the JDBC driver against the real server.
#
# Needs Python and a JDK. What is missing is installed where that is possible; where it is not,
# this says what it could not run, and ends with 0 on a developer's machine, with 1 where CI=true.
#
#   tests/drivers/run.sh <stamp of the Python environment, made by `make`>
set -euo pipefail
cd "$(dirname "$0")/../.."

stamp=$1
venv=$(dirname "$stamp")
not_run=()

if ! { deploy/install-packages.sh python && "${MAKE:-make}" --no-print-directory "$stamp"; }; then
  not_run+=('all driver tests: no Python environment')
else
  deploy/install-packages.sh java || not_run+=('the JDBC tests: no JDK or Maven')
  "$venv/bin/python" -m pytest tests/drivers -q
fi

((${#not_run[@]})) || exit 0
for what in "${not_run[@]}"; do
  printf 'NOT RUN: %s\n' "$what"
done
[[ ${CI:-} != true ]]
