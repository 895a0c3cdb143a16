"""Every address that users are shown was taken from somewhere: none is invented, none leads to what is not there."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from airflow_provider_scnet.get_provider_info import get_provider_info

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*/*.md")]
ADDRESS = re.compile(r"(?:\b[a-z][a-z0-9+.-]*://|\bwww\.)[^\s\"'<>()\[\]`;,，。；（）]+")

PUBLIC = {
    "https://www.scnet.cn": "SCNet's documentation: host of the platform's calls, and its portal",
    "https://www.scnet.cn/ac/openapi/doc/2.0": "SCNet's documentation: its own root",
    "https://api.scnet.cn": "SCNet's documentation: the token call (api/safecertification/get-user-tokens-aksk)",
    "www.scnet.cn": "SCNet's documentation: the portal, named where no address is wanted",
}
"""Address → where it was taken from."""

OF_NOBODY = {
    "example": "RFC 2606, section 2: a top-level domain that is nobody's",
    "127.0.0.1": "RFC 1122, section 3.2.1.3: loopback",
}
"""Last part of a host, or all of it → why it may be written with any path."""


def named_in(text: str) -> set[str]:
    """The addresses of a text, those included that are encoded in another one."""
    found = {address.rstrip("./:") for address in ADDRESS.findall(unquote(text))}
    return {address.removeprefix("scnet://:your-token@") for address in found}


def is_of_nobody(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    return host in OF_NOBODY or host.rpartition(".")[2] in OF_NOBODY


def test_every_address_was_taken_from_somewhere() -> None:
    distribution = metadata.metadata("airflow-provider-scnet")
    texts = {
        "metadata": str(distribution),
        "provider": json.dumps(get_provider_info(), ensure_ascii=False),
        **{str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES},
    }
    named = {address: place for place, text in texts.items() for address in named_in(text)}
    public = {address: place for address, place in named.items() if not is_of_nobody(address)}

    assert {address: place for address, place in public.items() if address not in PUBLIC} == {}
    assert set(public) == set(PUBLIC)


def test_metadata_name_the_documentation_that_exists() -> None:
    urls = metadata.metadata("airflow-provider-scnet").get_all("Project-URL") or []
    (integration,) = get_provider_info()["integrations"]
    assert urls == [f"Documentation, {integration['external-doc-url']}"]


def test_description_has_no_link_into_the_repository() -> None:
    """A package index shows it where there is no repository."""
    description = metadata.metadata("airflow-provider-scnet")["Description"]
    assert "ScnetSubmitJobOperator" in description
    assert [link for link in re.findall(r"\]\(([^)]*)\)", description) if not link.startswith("https://")] == []
