import base64

from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from google.appengine.api import taskqueue
from google.appengine.ext import deferred

from .models import Photo
from .tasks import Watermark, make_thumbnail


@csrf_exempt
def photos(request):
    if request.method == "GET":
        return JsonResponse(
            {
                "photos": [
                    {
                        "id": p.pk,
                        "title": p.title,
                        "done": p.thumbnail is not None,
                        "rejected": p.rejected,
                        "attempts": p.attempts,
                    }
                    for p in Photo.objects.order_by("pk")
                ]
            }
        )
    title = request.GET["title"]
    photo = Photo.objects.create(title=title, image=request.body)
    deferred.defer(
        make_thumbnail,
        photo.pk,
        fail_first=title == "busy",
        _queue="images",
        _retry_options=taskqueue.TaskRetryOptions(min_backoff_seconds=0.1),
    )
    deferred.defer(
        Watermark("gallery").apply,
        photo.pk,
        _queue="images",
        _countdown=1,
        _retry_options=taskqueue.TaskRetryOptions(task_retry_limit=3, min_backoff_seconds=0.2),
    )
    return JsonResponse({"id": photo.pk}, status=202)


def photo(request, photo_id):
    p = Photo.objects.get(pk=photo_id)
    return JsonResponse({"title": p.title, "thumbnail": p.thumbnail and base64.b64encode(p.thumbnail).decode()})


@csrf_exempt
def run_deferred(request):
    body, status, headers = deferred.Handler().post(request.environ)
    return HttpResponse(body, status=int(status), headers=dict(headers))
