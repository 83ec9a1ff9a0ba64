import logging

from django.db.models import F
from google.appengine.ext import deferred

from .images import NotAnImage, halve
from .models import Photo


def make_thumbnail(photo_id, fail_first=False):
    Photo.objects.filter(pk=photo_id).update(attempts=F("attempts") + 1)
    photo = Photo.objects.get(pk=photo_id)
    if fail_first and photo.attempts == 1:
        raise deferred.SingularTaskFailure("image service is busy")
    try:
        thumbnail = halve(photo.image)
    except NotAnImage as e:
        logging.info("photo %s: %s", photo_id, e)
        Photo.objects.filter(pk=photo_id).update(rejected=True)
        raise deferred.PermanentTaskFailure(str(e))
    Photo.objects.filter(pk=photo_id).update(thumbnail=thumbnail)


class Watermark(object):
    """Deferred by its bound method, so the object goes into the task."""

    def __init__(self, mark):
        self.mark = mark

    def apply(self, photo_id):
        photo = Photo.objects.get(pk=photo_id)
        if photo.thumbnail is None:
            raise Photo.DoesNotExist("no thumbnail of %s yet" % photo_id)
        Photo.objects.filter(pk=photo_id).update(title="%s (%s)" % (photo.title, self.mark))
