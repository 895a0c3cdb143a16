"""What Jinja would cut out of a script."""

from __future__ import annotations

import pytest
from jinja2 import DictLoader, Environment

from airflow_provider_scnet.exceptions import ScnetJobSpecificationError
from airflow_provider_scnet.jobs.scripts import check_script, guarded

CUT = [
    "n=${#files[@]}; echo ${x%#}",  # closed by accident
    "n=${#files[@]}",  # never closed
    "[ ${#} -gt 0 ] && echo ${#}",
    "echo ${##}",
    "awk '{#all}'",
    "awk '{# all\n  n += 1 } END { print n }'",
    "{# note #} n=${#files[@]} #}",
    "{# begun by accident {# note #}",
    "{{ ds }}\n{% if x %}\n${#a}{% endif %}\n#}",
    "{#note#}",
]
LEFT_ALONE = [
    "",
    "echo $# {} #}",
    "{# note #}\necho 1",
    "{#- note -#}\necho 1",
    "{#\n  note\n#}\necho 1",
    "n=${{ '{#' }}files[@]}",
    "{% raw %}\nn=${#files[@]} #}\n{% endraw %}",
    "# {% raw %}\nn=${#files[@]}\n# {% endraw %}",
    "{{ '{# no comment #}' }}",
    "{{ unfinished",
    "{% nothing",
]


@pytest.mark.parametrize("script", CUT)
def test_script_that_would_be_cut(script: str) -> None:
    with pytest.raises(ScnetJobSpecificationError, match=r"^line \d: Jinja.*\{\{ '\{#' \}\}.*\{% raw %\}") as error:
        check_script(script, Environment())
    assert "files" not in str(error.value)  # what a script holds is nobody's business


@pytest.mark.parametrize("script", LEFT_ALONE)
def test_script_that_stays_whole_or_is_meant_to_be_cut(script: str) -> None:
    check_script(script, Environment())


def test_remedies_give_what_was_meant() -> None:
    for script in ("n=${{ '{#' }}files[@]}", "{% raw %}n=${#files[@]}{% endraw %}"):
        assert guarded(Environment()).from_string(script).render() == "n=${#files[@]}"


def test_line_of_the_cut() -> None:
    with pytest.raises(ScnetJobSpecificationError, match=r"^line 3 of 'run.sh': "):
        check_script("set -e\n{# note #}\nn=${#files[@]}\n", Environment(), name="run.sh")


def test_comments_by_other_signs() -> None:
    environment = Environment(comment_start_string="<#", comment_end_string="#>")
    check_script("n=${#files[@]}", environment)
    with pytest.raises(ScnetJobSpecificationError, match=r"reads `<#` as .* up to the next `#>`"):
        check_script("a <#b#>", environment)


@pytest.mark.parametrize(
    "script",
    [
        "{% include 'run.sh' %}",
        "{% include ['missing.sh', 'run.sh'] %}",
        "{% include name %}",
        "{% include 'outer.sh' %}",
        "{% extends 'run.sh' %}",
        "{% import 'run.sh' as run %}",
    ],
)
def test_included_script(script: str) -> None:
    loader = DictLoader({"run.sh": "set -e\nn=${#files[@]} #}", "outer.sh": "{% include 'run.sh' %}"})
    environment = Environment(loader=loader)
    with pytest.raises(ScnetJobSpecificationError, match=r"^line 2 of 'run.sh': "):
        guarded(environment).from_string(script).render(name="run.sh")
    environment.from_string(script).render(name="run.sh")  # what was given is left as it was


def test_included_script_with_a_note() -> None:
    environment = Environment(loader=DictLoader({"run.sh": "{# for {{ nobody }} #}echo 1"}))
    assert guarded(environment).from_string("{% include 'run.sh' %}").render() == "echo 1"


def test_guard_is_put_on_once() -> None:
    environment = guarded(Environment())
    assert guarded(environment) is environment
