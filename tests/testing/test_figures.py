from __future__ import annotations

from airflow_provider_scnet.testing.figures import job_counts, queue_record, storage_quota, user_limits


def test_what_an_emulated_cluster_does_not_have_is_null():
    told = {"id": "debug", "text": "debug", "queueName": "debug"}
    assert {name: value for name, value in queue_record("debug").items() if value is not None} == told
    assert set(user_limits().values()) == {None}
    assert {"userMaxCpu", "userMaxRunJob", "maxWallTime"} <= set(user_limits())
    assert storage_quota("u", "/home/u") == {
        "quotaId": None,
        "username": "u",
        "path": "/home/u",
        "threshold": None,
        "usage": None,
    }


def test_five_buckets():
    counts = job_counts(["statR", "statR", "statH", "statW", "statX"])
    assert [(count["name"], count["y"]) for count in counts] == [
        ("jobview_status_run", 2),
        ("jobview_status_queue", 0),
        ("jobview_status_reserve", 1),
        ("jobview_status_hung", 0),
        ("jobview_status_other", 2),
    ]
