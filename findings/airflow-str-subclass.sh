#!/usr/bin/env bash
# Airflow 3.3.2: a task argument that is an instance of a subclass of `str` makes the whole DAG file disappear.
#
# Expected: the DAG is registered, for a subclass of `str` is text; or `airflow dags list-import-errors` shows an error.
# Happens:  the process that has parsed the file cannot send its result (`Objects of type ... are not supported`) and
#           ends. No DAG of that file is registered, and there is no import error. Only the log of the DAG processor
#           tells. Parsing the file in one's own process (`python dag.py`, a unit test with DagBag) shows nothing.
# So:       give operators plain text: `str(value)`. Typical subclasses are `markupsafe.Markup`, which templates return,
#           and classes of one's own for names and ids. Members of a `StrEnum` are not affected.
#
# Needs python3 (3.11 or later) with venv, and a package index. Takes some minutes. Ends with 1 if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apache-airflow==3.3.2 apache-airflow-providers-standard==1.21.0
export PATH="$folder/venv/bin:$PATH" AIRFLOW_HOME="$folder" AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__CORE__DAGS_FOLDER="$folder/dags"
mkdir "$folder/dags"

write() { # a file with two DAGs: one of that name, whose task has that argument, and one beside it
    cat >"$folder/dags/$1.py" <<EOF
from datetime import datetime
from enum import StrEnum

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from markupsafe import Markup

class Command(StrEnum):
    HELLO = "echo hello"

for dag_id in ("$1", "$1_other"):
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1)):
        BashOperator(task_id="say", bash_command=$2 if dag_id == "$1" else "echo other")
EOF
}
write plain '"echo hello"'
write member Command.HELLO
write markup 'Markup("echo hello")'

airflow db migrate >"$folder/migrate.log" 2>&1
airflow dag-processor --num-runs 1 >"$folder/processor.log" 2>&1
python -c 'import sys; sys.path.insert(0, sys.argv[1]); import markup' "$folder/dags"
echo "Read in one's own process: no error."
echo "Registered DAGs:"
airflow dags list --output plain 2>/dev/null | grep -oE '^(plain|member|markup)(_other)?' | sort | tee "$folder/registered"
echo "Import errors:"
airflow dags list-import-errors 2>/dev/null | grep -E 'No data found|markup' | tee "$folder/errors" || true
echo "Log of the DAG processor:"
grep '^NotImplementedError' "$folder/processor.log" | sort -u || { echo "Changed: it tells nothing." >&2; exit 1; }

[ "$(tr '\n' ' ' <"$folder/registered")" = "member member_other plain plain_other " ] ||
    { echo "Changed: other DAGs are registered." >&2; exit 1; }
grep -q "No data found" "$folder/errors" || { echo "Changed: there is an import error now." >&2; exit 1; }
echo "As described: markup.py is not registered, nor is its second DAG, which is plain; and there is no import error."
