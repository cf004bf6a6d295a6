"""Reports sales and events of a popup to a popwatch edge.

An event has its id and is stored before it is first sent; it leaves the outbox only by a verdict of
the edge about itself, so nothing is lost and nothing counts twice, whatever dies in between.
"""

from .client import Client, Emitted, open
from .rules import PopwatchError

__all__ = ["Client", "Emitted", "PopwatchError", "open"]
