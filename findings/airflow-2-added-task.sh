#!/usr/bin/env bash
# Airflow 2.11.2: a task that is added to a DAG while a run goes on may never start, and the run is green without it.
#
# Expected: the scheduler takes up a DAG that has changed: what was removed is `removed`, what is new is started.
# Happens:  the scheduler learns that there is a new version, makes task instances for it out of the DAG that it read
#           up to [core] min_serialized_dag_fetch_interval = 10 seconds before, which is still the old one, and notes that
#           the new version has been dealt with. What was removed is found later. What is new never gets a task instance,
#           and the run ends with `success`.
# So:       do not rename or add tasks while a run goes on that needs them; or set that interval to 0.
#
# Shown with an interval of 60 instead of 10, so that it does not depend on the moment of the edit; and with 0.
# Seen:     Interval 60, run:  success      Interval 0, run:  success
#            before removed                  after success
#            hold success                    before removed
#                                            hold success
#
# Needs python3 (3.9 to 3.12) with venv, and a package index. Takes some minutes. Ends with 1 if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
scheduler=
trap 'kill $scheduler 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apache-airflow==2.11.2
export PATH="$folder/venv/bin:$PATH" AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL=0

states() { # of the tasks of the run
    airflow tasks states-for-dag-run edited "$run" --output plain 2>/dev/null | grep -oE ' (before|after|hold) +[a-z]+' | tr -s ' ' | sort
}

wait_for() { # at most five minutes, until a command succeeds
    for _ in {1..60}; do
        if "$@"; then return; fi
        sleep 3
    done
    echo "Changed, or too slow: $*" >&2
    exit 1
}

has() { # a task of the run that state
    states | grep -q "$1 $2"
}

trigger() {
    airflow dags trigger edited --run-id "$run" >/dev/null 2>&1
}

edit_with() { # that interval; the task `before` becomes `after` in mid-run
    local run=edit
    export AIRFLOW_HOME="$folder/$1" AIRFLOW__CORE__MIN_SERIALIZED_DAG_FETCH_INTERVAL=$1
    mkdir -p "$AIRFLOW_HOME/dags"
    cat >"$AIRFLOW_HOME/dags/edited.py" <<'EOF'
from datetime import datetime

from airflow import DAG
from airflow.operators.empty import EmptyOperator
from airflow.sensors.bash import BashSensor

with DAG("edited", schedule=None, start_date=datetime(2026, 1, 1)):
    EmptyOperator(task_id="before")
    BashSensor(task_id="hold", bash_command="test -e $AIRFLOW_HOME/go", mode="reschedule", poke_interval=2)
EOF
    airflow db migrate >"$AIRFLOW_HOME/migrate.log" 2>&1
    airflow scheduler --skip-serve-logs >"$AIRFLOW_HOME/scheduler.log" 2>&1 &
    scheduler=$!
    wait_for trigger
    wait_for has before success
    sed -i 's/"before"/"after"/' "$AIRFLOW_HOME/dags/edited.py"
    wait_for has before removed
    touch "$AIRFLOW_HOME/go"
    wait_for has hold success
    sleep 20 # for whatever else there may be to start
    kill $scheduler
    wait $scheduler || true
    echo "Interval $1, run: $(airflow dags list-runs --dag-id edited --output plain 2>/dev/null | grep -oE ' (success|failed|running) ')"
    states | tee "$folder/states-$1"
}
edit_with 60
edit_with 0

! grep -q after "$folder/states-60" || { echo "Changed: the new task has an instance." >&2; exit 1; }
grep -q "after success" "$folder/states-0" || { echo "Changed: the new task has none without the interval either." >&2; exit 1; }
echo "As described: the task that was added is never started, unless the interval is 0."
