"""Networks of agents that learn, as plain PyTorch modules; importing this package imports torch."""

from harken.agents.networks.av_nav import AvNavEncoder, AvNavSize
from harken.agents.networks.av_wan import AvWanEncoder, AvWanSize
from harken.agents.networks.dav_nav import DavNavEncoder, DavNavSize
from harken.agents.networks.look_listen_act import ListeningEncoder, LookListenActSize
from harken.agents.networks.savi import SaviEncoder, SaviSize, SceneMemory
from harken.agents.networks.sensors import SensorKind, sensor_input, sensor_kind, sensor_size

__all__ = [
    "AvNavEncoder",
    "AvNavSize",
    "AvWanEncoder",
    "AvWanSize",
    "DavNavEncoder",
    "DavNavSize",
    "ListeningEncoder",
    "LookListenActSize",
    "SaviEncoder",
    "SaviSize",
    "SceneMemory",
    "SensorKind",
    "sensor_input",
    "sensor_kind",
    "sensor_size",
]
