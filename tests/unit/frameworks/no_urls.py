"""A URLconf without anything."""

urlpatterns: list[object] = []
