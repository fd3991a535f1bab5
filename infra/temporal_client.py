"""The client of a Temporal of yours: Temporal's standard variables decide where and how."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from domain.errors import Unavailable
from infra.core_logs import forward_core_logs
from infra.settings import Settings


async def connect(settings: Settings) -> Client:
    """Connect to `settings.temporal_address`; namespace, TLS and API key come from TEMPORAL_* variables.

    Raises:
        Unavailable: no address is set, or nothing answers there.
    """
    if settings.temporal_address is None:
        raise Unavailable("TEMPORAL_ADDRESS is not set: set it to host:port of your Temporal server")
    forward_core_logs()
    config = ClientConfig.load_client_connect_config()
    config["target_host"] = settings.temporal_address
    try:
        return await Client.connect(**config, data_converter=pydantic_data_converter)
    except (RPCError, RuntimeError) as error:
        raise Unavailable(
            f"TEMPORAL_ADDRESS = {settings.temporal_address!r} does not answer: start Temporal there, or correct it"
        ) from error
