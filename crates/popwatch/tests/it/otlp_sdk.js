// Times checkouts with the official OpenTelemetry SDK and sends them twice.
//
// otlp_sdk.js URL POPUP COUNT json|protobuf    prints what was sent, one JSON object
"use strict";

const { SpanStatusCode, context, diag, DiagLogLevel, trace } = require("@opentelemetry/api");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const sdk = require("@opentelemetry/sdk-trace-node");

const [url, popup, count, format] = process.argv.slice(2);
const { OTLPTraceExporter } = require(
  format === "json"
    ? "@opentelemetry/exporter-trace-otlp-http"
    : "@opentelemetry/exporter-trace-otlp-proto",
);

// What the exporter makes of a partial success, it says to its own log.
const warnings = [];
const nothing = () => {};
diag.setLogger(
  { verbose: nothing, debug: nothing, info: nothing, error: warn, warn },
  DiagLogLevel.WARN,
);
function warn(...words) {
  warnings.push(words.map((word) => (typeof word === "string" ? word : JSON.stringify(word))).join(" "));
}

const MS = 1_000_000n;
const hr = (ns) => [Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)];
const exporter = () =>
  new OTLPTraceExporter({ url: `${url}/v1/traces`, compression: format === "json" ? "none" : "gzip" });
const kept = new sdk.InMemorySpanExporter();

async function main() {
  const resource = resourceFromAttributes({
    "service.name": "shop",
    "service.instance.id": `page-${format}`,
    "popwatch.popup": popup,
  });
  const provider = new sdk.NodeTracerProvider({
    resource,
    spanProcessors: [new sdk.BatchSpanProcessor(exporter()), new sdk.SimpleSpanProcessor(kept)],
  });
  const tracer = provider.getTracer("checkout-test");
  const now = BigInt(Date.now()) * MS;
  const durations = [];
  for (let at = 0; at < Number(count); at += 1) {
    const took = 900 + 37 * at;
    const start = now - BigInt(took) * MS;
    const span = tracer.startSpan("checkout", {
      startTime: hr(start),
      attributes: { "popwatch.order": `o-${at}`, "popwatch.viewer": "ada" },
    });
    span.addEvent("stage.basket", hr(start));
    span.addEvent("stage.payment", hr(start + 300n * MS));
    const child = tracer.startSpan(
      "POST /pay",
      { startTime: hr(start + 400n * MS), attributes: { "popwatch.stage": "provider" } },
      trace.setSpan(context.active(), span),
    );
    child.end(hr(start + 650n * MS));
    span.end(hr(now));
    durations.push(took);
  }
  const left = tracer.startSpan("pay", {
    startTime: hr(now - 500n * MS),
    attributes: { "popwatch.checkout": true, "error.type": "declined" },
  });
  left.setStatus({ code: SpanStatusCode.ERROR });
  left.end(hr(now));
  tracer.startSpan("GET /stock", { startTime: hr(now - 5n * MS), attributes: { amount: 450 } }).end(hr(now));

  await provider.forceFlush();
  const spans = kept.getFinishedSpans();
  const again = await new Promise((done) => exporter().export(spans, done));
  console.log(JSON.stringify({ durations, again: again.code === 0 ? "SUCCESS" : "FAILURE", warnings }));
}

main();
