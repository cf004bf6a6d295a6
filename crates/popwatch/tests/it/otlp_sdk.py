"""Times checkouts with the official OpenTelemetry SDK and sends them twice.

otlp_sdk.py URL POPUP COUNT    prints what was sent, one JSON object
"""

import json
import sys
import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

MS = 1_000_000
url, popup, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

exporter = OTLPSpanExporter(endpoint=url + "/v1/traces", compression=Compression.Gzip)
kept = InMemorySpanExporter()
resource = Resource.create(
    {"service.name": "shop", "service.instance.id": "till-app", "popwatch.popup": popup}
)
provider = TracerProvider(resource=resource)
provider.add_span_processor(BatchSpanProcessor(exporter))
provider.add_span_processor(SimpleSpanProcessor(kept))
tracer = provider.get_tracer("checkout-test")

now = time.time_ns()
durations = []
for at in range(count):
    took = 900 + 37 * at
    start, end = now - took * MS, now
    order = {"popwatch.order": "o-%d" % at, "popwatch.viewer": "ada"}
    span = tracer.start_span("checkout", start_time=start, attributes=order)
    span.add_event("stage.basket", timestamp=start)
    span.add_event("stage.payment", timestamp=start + 300 * MS)
    inside = trace.set_span_in_context(span)
    ask = {"popwatch.stage": "provider"}
    child = tracer.start_span("POST /pay", inside, start_time=start + 400 * MS, attributes=ask)
    child.end(end_time=start + 650 * MS)
    span.end(end_time=end)
    durations.append(took)

left = tracer.start_span("pay", start_time=now - 500 * MS, attributes={"popwatch.checkout": True})
left.set_attribute("error.type", "declined")
left.set_status(trace.StatusCode.ERROR)
left.end(end_time=now)

sold = tracer.start_span("GET /stock", start_time=now - 5 * MS, attributes={"amount": 450})
sold.end(end_time=now)

provider.shutdown()
again = OTLPSpanExporter(endpoint=url + "/v1/traces").export(kept.get_finished_spans())
print(json.dumps({"durations": durations, "again": again.name}))
