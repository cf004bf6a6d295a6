// Where the context is secure the shell is kept by a service worker, so that a reload needs no network.

/** Only our own worker may be named: the content policy asks for a promise about every script's address. */
export function serveOffline(): void {
  if (!isSecureContext || !("serviceWorker" in navigator)) return;
  const policy = (window as { trustedTypes?: { createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): unknown } } }).trustedTypes
    ?.createPolicy("popwatch", { createScriptURL: (url) => (url === "/sw.js" ? url : "") });
  const url = policy ? policy.createScriptURL("/sw.js") : "/sw.js";
  navigator.serviceWorker.register(url as string).catch(() => {
    // Refused by the browser: the page works while it is open.
  });
}
