"""Posts events with the official CloudEvents SDK, and parses with it what an export printed.

sdk.py post URL      prints the verdicts, one JSON array
sdk.py parse FILE    prints how many events the SDK read, and their attributes, one JSON object
"""

import json
import sys
import urllib.request

from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_http_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent


def sale(name):
    return CloudEvent(
        attributes={
            "id": name,
            "source": "/sdk/täglich",
            "type": "popwatch.payment.captured",
            "datacontenttype": "application/json",
            "popup": "stall",
        },
        data={
            "payment": "p-" + name,
            "order": "o-" + name,
            "amount": 450,
            "currency": "EUR",
            "method": "card",
        },
    )


def post(url, headers, body):
    request = urllib.request.Request(url + "/v1/events", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["results"]


def post_all(url):
    verdicts = []
    structured = to_structured_event(sale("structured"))
    verdicts += post(url, structured.headers, structured.body)
    binary = to_binary_event(sale("binary"))
    verdicts += post(url, binary.headers, binary.body)
    batch = [json.loads(to_structured_event(sale(name)).body) for name in ("first", "second")]
    media = {"content-type": "application/cloudevents-batch+json"}
    verdicts += post(url, media, json.dumps(batch).encode())
    # The other form of the same event is the same event.
    again = to_binary_event(sale("structured"))
    verdicts += post(url, again.headers, again.body)
    return verdicts


def parse(path):
    media = {"content-type": "application/cloudevents+json"}
    read = {}
    with open(path, "rb") as lines:
        for line in lines:
            event = from_http_event(HTTPMessage(headers=media, body=line))
            attributes = event.get_attributes()
            place = "%s/%s/%s" % tuple(attributes[name] for name in ("poprig", "popepoch", "popseq"))
            read[place] = {
                "id": event.get_id(),
                "source": event.get_source(),
                "type": event.get_type(),
                "data": event.get_data(),
            }
    return read


if sys.argv[1] == "post":
    print(json.dumps(post_all(sys.argv[2])))
else:
    print(json.dumps(parse(sys.argv[2])))
