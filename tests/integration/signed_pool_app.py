"""Says who signed a request; for worker processes, which import it."""

from __future__ import annotations

from gae_broker.domain.signing import parse


def app(environ, start_response):
    start_response("200 OK", [])
    signature = parse(environ["HTTP_X_GAEBROKER_SIGNATURE"])
    return [f"signed by {signature.key_id}".encode()]
