from django.urls import path
from photos import views

urlpatterns = [
    path("photos", views.photos),
    path("photos/<int:photo_id>", views.photo),
    path("_ah/queue/deferred", views.run_deferred),
]
