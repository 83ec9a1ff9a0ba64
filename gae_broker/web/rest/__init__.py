"""App Engine's REST API for pull queues, v1beta2: for workers that run elsewhere.

`methods` says what there is; server, OpenAPI description and discovery document are made from it. Source: Google's
discovery document, revision 20130318, its reference pages, and what clients of the service are known to rely on.
"""
