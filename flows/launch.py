"""The flow that the service launches: a campaign from a form, which is the campaign schema."""

# No postponed annotations here: Prefect builds the run form from the flow's signature as it is.
from typing import Annotated, Any

import yaml
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Failed
from pydantic import Field

from discover.campaign import CalculationSettings, CampaignSpec, Dispatch, Plugin, file_plugins
from discover.errors import CampaignError, DiscoverError
from discover.files import write_atomically
from discover.folder import CampaignFolder
from discover.home import home
from flows.campaign import THREADS, steer_here

InstalledName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
"""Name of an installed plug-in. No path fits: a remote launch must not run a file of its choice."""


class InstalledPlugin(Plugin):
    """A replaceable part, by the name under which it is installed."""

    name: InstalledName
    """Name of the plug-in (`discover plugins` lists them)."""


class InstalledCalculation(CalculationSettings):
    """The DFT job that every pick runs as, of an installed kind on an installed engine."""

    kind: InstalledName = "agl"
    """What is computed."""
    engine: InstalledName = "gpaw"
    """The program that computes it."""


class InstalledDispatch(Dispatch):
    """Where jobs run and how many at once, by an installed dispatcher."""

    name: InstalledName = "local"
    """Name of the dispatcher."""


class RemoteCampaignSpec(CampaignSpec):
    """A campaign launched from the browser or by REST: plug-ins by file path are refused."""

    generator: InstalledPlugin = InstalledPlugin(name="prototypes")
    """Source of candidates."""
    surrogate: InstalledPlugin = InstalledPlugin(name="auto")
    """Model that predicts the property."""
    acquisition: InstalledPlugin = InstalledPlugin(name="informed-ucb")
    """What to compute next, given the model."""
    potential: Annotated[str, Field(pattern=r"^[a-z0-9-]+(:[A-Za-z0-9_-]+)?$")] = "chgnet"
    """Potential that relaxes candidates: `chgnet`, `mace:<foundation name>`, `emt`."""
    descriptors: tuple[InstalledName, ...] = Field(("composition", "structure"), min_length=1)
    """Descriptors that feed the surrogate."""
    calculation: InstalledCalculation = InstalledCalculation()
    dispatch: InstalledDispatch = InstalledDispatch()


@flow(
    name="launch-campaign",
    flow_run_name="{campaign.name}",
    task_runner=THREADS,
    persist_result=False,
)
def launch(campaign: RemoteCampaignSpec) -> State[Any]:
    """Run a campaign from the form; one that exists under this name is resumed.

    Its folder is `campaigns/NAME` in the service's home. The run fails, saying why, where a plug-in is
    a file, and where the name belongs to a campaign that differs in more than its budget.
    """
    try:
        return steer_here(_made(campaign).root)
    except DiscoverError as error:
        return Failed(message=str(error))


def _made(campaign: RemoteCampaignSpec) -> CampaignFolder:
    """The folder of a campaign from the form, with its campaign file; CampaignError where refused."""
    refused = file_plugins(campaign)
    if refused:
        raise CampaignError(
            f"{', '.join(refused)}: files are refused from remote; name something installed "
            "(`discover plugins` lists it) or run the campaign with `discover run`"
        )
    spec = CampaignSpec.model_validate(campaign.model_dump())
    folder = CampaignFolder.at(home() / "campaigns" / spec.name)
    if folder.spec_file.exists():
        _require_same(folder.load(), spec)
    folder.check_writable()
    write_atomically(
        folder.spec_file,
        yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
    )
    return folder


def _require_same(present: CampaignSpec, wanted: CampaignSpec) -> None:
    before, after = (s.model_dump(exclude={"budget"}) for s in (present, wanted))
    differing = [key for key in after if after[key] != before[key]]
    if differing:
        raise CampaignError(
            f"a campaign called {wanted.name!r} exists and differs in: {', '.join(differing)}; "
            "choose another name (only the budget of a campaign may change)"
        )
