"""The push dispatcher: takes due tasks out of queues, at each queue's rate, and sends them to their targets."""

from gae_broker.engine.dispatcher.dispatcher import Dispatcher
from gae_broker.engine.dispatcher.events import AttemptEvent, LogObserver, Observer, Result

__all__ = ["AttemptEvent", "Dispatcher", "LogObserver", "Observer", "Result"]
