#!/usr/bin/env bash
# Airflow 3.3.2: `Variable.get(key, default=...)` returns the default when a secrets backend fails.
#
# Expected: the default stands for a variable that does not exist. If the backend that may hold it does not answer,
#           nobody knows whether it exists: the call raises, the task fails and is retried.
# Happens:  the error is logged and swallowed; the other backends are asked, and if they do not know the variable either,
#           the default is returned. The task is green, with a value that nobody has set.
# So:       do not give a default to a variable that says where to work or how much to spend. Without a default the call
#           raises; but what it says, VARIABLE_NOT_FOUND, is the same as for a variable that does not exist.
#
# Needs python3 with venv, and a package index. Takes some minutes. Ends with 1 if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apache-airflow==3.3.2 apache-airflow-providers-standard==1.21.0
export PATH="$folder/venv/bin:$PATH" AIRFLOW_HOME="$folder" AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__CORE__DAGS_FOLDER="$folder/dags" PYTHONPATH="$folder/lib" AIRFLOW__SECRETS__BACKEND=vault.Vault
mkdir "$folder/dags" "$folder/lib"

cat >"$folder/lib/vault.py" <<'EOF'
from airflow.secrets import BaseSecretsBackend

class Vault(BaseSecretsBackend):
    """Holds the variable `limit`, but cannot be reached now."""

    def get_variable(self, key, team_name=None):
        raise ConnectionError("the vault does not answer")
EOF
cat >"$folder/dags/limit.py" <<'EOF'
from datetime import datetime

from airflow.sdk import DAG, Variable, task

with DAG("limit", schedule=None, start_date=datetime(2026, 1, 1)):

    @task
    def with_default():
        print("SEEN with a default:", Variable.get("limit", default="1000000"))

    @task
    def without_default():
        try:
            Variable.get("limit")
        except Exception as error:
            print("SEEN without one:", type(error).__name__, error)

    with_default() >> without_default()
EOF

airflow db migrate >"$folder/migrate.log" 2>&1
airflow dags test limit >"$folder/test.log" 2>&1
grep -o 'SEEN .*' "$folder/test.log" | cut -c1-160 | tee "$folder/seen"

grep -q "with a default: 1000000" "$folder/seen" || { echo "Changed: the default is not returned any more." >&2; exit 1; }
grep -q "without one: AirflowRuntimeError VARIABLE_NOT_FOUND" "$folder/seen" || { echo "Changed: the error is another one." >&2; exit 1; }
echo "As described: the default is returned although the backend failed."
