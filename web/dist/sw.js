// Keeps the page's own files for when the server cannot be reached. Never what it tells: that is kept as rows, with their age.
const SHELL = ["/", "/app.js", "/app.css", "/icon.svg", "/manifest.webmanifest"];
const STORE = "popwatch-shell";
const PATIENCE_MS = 2500;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(STORE).then((held) => held.addAll(SHELL)).then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin || !SHELL.includes(url.pathname)) return;
  event.respondWith(newestOrHeld(event.request, url.pathname));
});

/** The server's own file while it answers in time, so that a newer popwatch shows its newer page; else the one held. */
async function newestOrHeld(request, path) {
  const held = await caches.open(STORE);
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.ok) await held.put(path, answer.clone());
    return answer;
  } catch (fault) {
    const kept = await held.match(path);
    if (kept) return kept;
    throw fault;
  }
}
