"""What a DAG author asks for as a job, checked before anything is sent, and as SCNet calls it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from airflow_provider_scnet.api.reference import is_nothing
from airflow_provider_scnet.exceptions import ScnetJobSpecificationError
from airflow_provider_scnet.wording import shown

_WALLTIME = re.compile(r"(?:(\d{1,4})-)?(\d{1,6}):([0-5]?\d):([0-5]?\d)")
_MEMORY = re.compile(r"([1-9]\d{0,8})\s*([MG])B?", re.IGNORECASE)
_EXCLUSIVE_OF_EACH_OTHER = (("nodes", "node_list"), ("cores", "cores_per_node"))
ARRAY_SIZE = "GAP_MULTI_SUB"
"""The member of a submission that holds the number of an array's members."""
_TEMPLATE = re.compile(r"\{[{%]")
_COMMENT = "{#"
"""Where a comment for Jinja begins, unless the DAG says otherwise."""


@dataclass(frozen=True)
class JobSpecification:
    """
    A job to be submitted (API page job). Numbers may be given as text, for that is what templates make of them.

    :param command: what the job runs, shell text or a list of its lines. No ``#!`` and no ``#SBATCH``: SCNet puts it
        into a script of its own.
    :param job_queue: the queue (partition).
    :param work_dir: absolute directory on the cluster; it has to exist.
    :param walltime: after which the scheduler ends the job: a ``timedelta``, ``HH:MM:SS`` or ``D-HH:MM:SS``.
    :param nodes: number of nodes; 1 unless ``node_list`` is given.
    :param node_list: names of nodes instead, as the scheduler writes them.
    :param cores_per_node: cores on each node.
    :param cores: cores in all instead.
    :param gpus_per_node: GPUs on each node.
    :param dcus_per_node: DCU cards on each node.
    :param memory_per_node: memory on each node, ``4GB`` or ``512MB``.
    :param exclusive: whether nobody else may use the nodes meanwhile.
    :param array_size: submit an array of so many members; SCNet recommends 50 at most.
    :param stdout: absolute file on the cluster, ``%j`` stands for the job id; default: ``std.out.%j`` in ``work_dir``.
    :param stderr: likewise; default: ``std.err.%j``.
    :param app_name: the platform's application the job is counted for.
    :param scheduler_options: further options of the scheduler, text or a list of lines. Not documented by SCNet.
    :raises ScnetJobSpecificationError: naming the argument that cannot be, and what to write instead.
    """

    command: Any
    job_queue: Any
    work_dir: Any
    walltime: Any
    nodes: Any = None
    node_list: Any = None
    cores_per_node: Any = None
    cores: Any = None
    gpus_per_node: Any = None
    dcus_per_node: Any = None
    memory_per_node: Any = None
    exclusive: Any = False
    array_size: Any = None
    stdout: Any = None
    stderr: Any = None
    app_name: Any = "BASE"
    scheduler_options: Any = None

    def __post_init__(self) -> None:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        _check_together(given)
        self.as_members("")

    @staticmethod
    def check_parsed(arguments: Mapping[str, Any], *, jinja: Callable[[], Any] | None = None) -> None:
        """
        Check what can be told where a DAG is parsed: templates and XComs have no value yet.

        :param arguments: as given to the task.
        :param jinja: returns the environment that will render them; ``None`` if nothing is going to.
        :raises ScnetJobSpecificationError: see the class; also for text of which Jinja would cut a part.
        """
        if jinja:
            _check_scripts(arguments, jinja)
        known = {name: value for name, value in arguments.items() if _is_known(value)}
        _check_together(known)
        for name, value in known.items():
            _written(name, value)

    def as_members(self, name: str) -> dict[str, str]:
        """
        Return the ``GAP_...`` members of ``mapAppJobInfo``. All are text, as the page demands.

        :param name: of the job.
        """
        written = {field.name: _written(field.name, getattr(self, field.name)) for field in fields(self)}
        work_dir = written["work_dir"].rstrip("/") or "/"
        logs = work_dir.rstrip("/")
        nodes = written["nodes"] or ("" if written["node_list"] else "1")
        required = {
            "GAP_CMD_FILE": written["command"],
            "GAP_NNODE": nodes,
            "GAP_NODE_STRING": written["node_list"],  # whichever of the two is not used has to be there, and empty
            "GAP_SUBMIT_TYPE": "cmd",
            "GAP_JOB_NAME": name,
            "GAP_WORK_DIR": work_dir,
            "GAP_QUEUE": written["job_queue"],
            "GAP_WALL_TIME": written["walltime"],
            "GAP_APPNAME": written["app_name"],
            "GAP_STD_OUT_FILE": written["stdout"] or f"{logs}/std.out.%j",
            "GAP_STD_ERR_FILE": written["stderr"] or f"{logs}/std.err.%j",
        }
        optional = {
            "GAP_NPROC": written["cores"],
            "GAP_PPN": written["cores_per_node"],
            "GAP_NGPU": written["gpus_per_node"],
            "GAP_NDCU": written["dcus_per_node"],
            "GAP_JOB_MEM": written["memory_per_node"],
            "GAP_EXCLUSIVE": written["exclusive"],
            ARRAY_SIZE: written["array_size"],
            "GAP_SCHEDULER_OPT_WEB": written["scheduler_options"],
        }
        return {**required, **{member: text for member, text in optional.items() if text}}


def _is_known(value: Any) -> bool:
    """Tell whether a value stays what it is until the task runs."""
    if isinstance(value, str):
        return not _TEMPLATE.search(value)
    if isinstance(value, list | tuple):
        return all(map(_is_known, value))
    return not hasattr(value, "iter_references")  # an XComArg


def _check_scripts(arguments: Mapping[str, Any], jinja: Callable[[], Any]) -> None:
    suspects = [(name, text) for name, value in arguments.items() for text in _texts(value) if _COMMENT in text]
    if not suspects:
        return  # as nearly always; to set Jinja up for this would cost each parse of a DAG file
    from airflow_provider_scnet.jobs.scripts import check_script

    environment = jinja()
    for name, text in suspects:
        try:
            check_script(text, environment)
        except ScnetJobSpecificationError as error:
            raise ScnetJobSpecificationError(f"{name}, {error}") from None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _check_together(given: Mapping[str, Any]) -> None:
    for one, other in _EXCLUSIVE_OF_EACH_OTHER:
        if not is_nothing(given.get(one)) and not is_nothing(given.get(other)):
            raise ScnetJobSpecificationError(
                f"{one}={shown(given[one])} and {other}={shown(given[other])}: give one of the two."
            )


def _written(name: str, value: Any) -> str:
    """One argument as SCNet wants it; empty if it is optional and was not given."""
    write, is_required = _WRITERS[name]
    if not is_nothing(value):
        return write(name, value)
    if is_required:
        raise ScnetJobSpecificationError(f"{name}={shown(value)}: a job cannot do without it.")
    return ""


def _refuse(name: str, value: Any, remedy: str) -> ScnetJobSpecificationError:
    """What a script holds is nobody's business."""
    is_script = _WRITERS[name][0] in (_command, _lines)
    return ScnetJobSpecificationError(f"{name}{'' if is_script else f'={shown(value)}'}: {remedy}")


def _command(name: str, value: Any) -> str:
    text = _lines(name, value)
    if text.lstrip().startswith("#!"):
        remedy = "leave out the `#!` line, SCNet puts the command into a bash script of its own; for another"
        raise _refuse(name, value, f"{remedy} language, start its interpreter (`python3 run.py`).")
    if re.search(r"^\s*#SBATCH", text, re.MULTILINE):
        remedy = (
            "`#SBATCH` lines count nothing here. Use the arguments of the task (job_queue, nodes, walltime, ...), and"
        )
        raise _refuse(name, value, f"{remedy} `scheduler_options` for what has none.")
    return text


def _lines(name: str, value: Any) -> str:
    """The line ends of Windows would break the script."""
    lines = [value] if isinstance(value, str) else value
    if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
        raise _refuse(name, value, "must be text, or a list of lines.")
    text = re.sub(r"\r\n?", "\n", "\n".join(lines))
    if not text.strip():
        raise _refuse(name, value, "has no text in it.")
    if "\0" in text:
        raise _refuse(name, value, "holds a NUL character.")
    return text


def _word(name: str, value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or not text.isprintable() or re.search(r"\s", text):
        raise _refuse(name, value, "must be one word of text, without blanks.")
    return text


def _path(name: str, value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text.startswith("/") or not text.isprintable() or re.search(r"~|[$`]", text):
        raise _refuse(
            name,
            value,
            "must be an absolute path on the cluster, such as /public/home/me/run1. Nothing expands ~ or $.",
        )
    return text


def _count(name: str, value: Any) -> str:
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise _refuse(name, value, "must be a whole number, 1 or more; leave it out for none.")
    return text


def _memory(name: str, value: Any) -> str:
    match = _MEMORY.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise _refuse(name, value, "must be a whole number and its unit, such as 4GB or 512MB.")
    return f"{match[1]}{match[2].upper()}B"


def _walltime(name: str, value: Any) -> str:
    if isinstance(value, timedelta):
        total = -int(-value.total_seconds() // 1)  # a second too much ends no job too early
    else:
        match = _WALLTIME.fullmatch(value.strip()) if isinstance(value, str) else None
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
        total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if total <= 0:
        raise _refuse(name, value, "must be a positive timedelta, or text such as 02:00:00 (HH:MM:SS) or 1-12:00:00.")
    return f"{total // 3600:02}:{total // 60 % 60:02}:{total % 60:02}"


def _exclusive(name: str, value: Any) -> str:
    if str(value) not in ("True", "False"):  # the latter two as templates write them
        raise _refuse(name, value, "must be True or False.")
    return "1" if str(value) == "True" else ""


_WRITERS: dict[str, tuple[Callable[[str, Any], str], bool]] = {
    "command": (_command, True),
    "job_queue": (_word, True),
    "work_dir": (_path, True),
    "walltime": (_walltime, True),
    "nodes": (_count, False),
    "node_list": (_word, False),
    "cores_per_node": (_count, False),
    "cores": (_count, False),
    "gpus_per_node": (_count, False),
    "dcus_per_node": (_count, False),
    "memory_per_node": (_memory, False),
    "exclusive": (_exclusive, False),
    "array_size": (_count, False),
    "stdout": (_path, False),
    "stderr": (_path, False),
    "app_name": (_word, True),
    "scheduler_options": (_lines, False),
}
"""How each argument is checked and written, and whether it must be given."""
