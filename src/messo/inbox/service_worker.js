// Shows notices of new messages, opens them, and asks anew when the browser drops its subscription.
"use strict";

const KNOWN = "/push/subscription"; // where the page left what it subscribed with

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  let notice = {};
  try { notice = event.data.json() || {}; } catch { /* said without words: there is something new */ }
  const id = /^[0-9A-HJKMNP-TV-Z]{26}$/.test(notice.message_id) ? notice.message_id : "";
  event.waitUntil(self.registration.showNotification(String(notice.title || "Messo"), {
    body: String(notice.body || ""),
    lang: notice.lang === "en" ? "en" : "it",
    tag: id, // a newer notice of the same message takes the place of the older
    data: { path: id ? `/messages/${id}` : "/" },
  }));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data.path));
});

async function open(path) {
  const pages = await self.clients.matchAll({ type: "window" });
  if (pages.length === 0) return self.clients.openWindow(path);
  const page = pages.find((one) => one.focused) || pages[0];
  await page.navigate(path).catch(() => self.clients.openWindow(path));
  return page.focus().catch(() => undefined); // some browsers allow it only right after a click
}

self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event)));

async function renew(event) {
  const store = await caches.open("messo-push");
  const left = await store.match(KNOWN);
  if (!left) return;
  const known = await left.json();
  const fresh = event.newSubscription || await self.registration.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: known.key,
  });
  const { endpoint, keys } = fresh.toJSON();
  const answer = await fetch("/push/renew", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      old_endpoint: known.endpoint,
      old_auth: known.auth, // push services know the endpoint, and not this
      subscription: { endpoint, p256dh: keys.p256dh, auth: keys.auth },
    }),
  });
  // Not before the server has the new one: until then the old one is the proof.
  if (answer.ok) {
    await store.put(KNOWN, new Response(JSON.stringify({ endpoint, auth: keys.auth, key: known.key })));
  }
}
