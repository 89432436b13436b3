"""Commented campaign files to start from."""

from __future__ import annotations

from importlib import resources

from discover.errors import CampaignError


def template_names() -> list[str]:
    """Names of the templates."""
    files = resources.files("discover.templates").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def template_text(name: str) -> str:
    """Text of a template; CampaignError naming the known ones."""
    from discover.plugins import suggestion

    if name not in template_names():
        raise CampaignError(f"no template is called {name!r}{suggestion(name, template_names())}")
    return (resources.files("discover.templates") / f"{name}.yaml").read_text(encoding="utf-8")
