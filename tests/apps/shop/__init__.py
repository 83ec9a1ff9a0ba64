"""A small web shop, written for App Engine and moved off it by changing one import line in each module.

Before: ``from google.appengine.api import taskqueue`` and ``from google.appengine.ext import deferred``.
After:  ``from gae_broker import deferred, taskqueue``.
"""
