"""What stands in pickles of Tasks that App Engine's own library made, as arguments of deferred calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gae_broker.domain import caseless
from gae_broker.taskqueue.content import flatten_headers
from gae_broker.taskqueue.host import Route

_ROUTE = "_Task__route"


class _CaselessDict:
    """The headers of such a Task; named as in ``google.appengine.api.urlfetch``."""

    data: Mapping[str, object]


def task_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """A pickled Task's attributes as ours has them; App Engine's Task keeps most of them under the same names."""
    if _ROUTE in state:
        return dict(state)
    kept = {name: value for name, value in state.items() if name not in {"_Task__target", "_Task__eta"}}
    given = state["_Task__headers"]
    headers = caseless.Headers(given.data if isinstance(given, _CaselessDict) else given)
    target = state["_Task__target"]
    return kept | {
        "_Task__headers": headers,
        "_Task__headers_list": flatten_headers(headers),
        _ROUTE: Route(target, target if isinstance(target, str) and target else None),
        "_Task__leased": None,
    }
