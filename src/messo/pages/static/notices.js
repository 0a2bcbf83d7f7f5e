// Notices in this browser: asked for on the preferences page, looked after on every other.
"use strict";

(() => {
  if (!("serviceWorker" in navigator) || !("PushManager" in window)) return;
  const csrf = document.querySelector("input[name=csrf]")?.value;
  const panel = document.getElementById("this-browser");

  const post = (path, fields) => fetch(path, {
    method: "POST",
    body: new URLSearchParams({ csrf, ...fields }),
    redirect: "manual", // the way back is for forms
  });

  const here = async () => (await navigator.serviceWorker.getRegistration("/"))?.pushManager.getSubscription();

  // Once in each visit: whose browser is this, and does the server still know it?
  const meet = async () => {
    const subscription = await here();
    if (!subscription || !csrf) return null;
    const seen = `${csrf} ${subscription.endpoint}`;
    if (!panel && sessionStorage.getItem("met") === seen) return null;
    const answer = await post("/preferences/devices/here", { endpoint: subscription.endpoint });
    if (!answer.ok) return null;
    const { known } = await answer.json();
    if (!known) { await subscription.unsubscribe(); return null; }
    sessionStorage.setItem("met", seen);
    return subscription;
  };

  const show = (state) => {
    panel.querySelectorAll("[data-when]").forEach((part) => { part.hidden = part.dataset.when !== state; });
  };

  const subscribe = async () => {
    if (await Notification.requestPermission() !== "granted") return show("refused");
    await navigator.serviceWorker.register("/service-worker.js");
    const registration = await navigator.serviceWorker.ready;
    const subscription = await registration.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: panel.dataset.key,
    });
    const { endpoint, keys } = subscription.toJSON();
    // For the service worker, should the browser drop this subscription.
    const store = await caches.open("messo-push");
    const left = { endpoint, auth: keys.auth, key: panel.dataset.key };
    await store.put("/push/subscription", new Response(JSON.stringify(left)));
    const answer = await post("/preferences/devices", { endpoint, p256dh: keys.p256dh, auth: keys.auth });
    if (answer.type !== "opaqueredirect") { // refused: nothing was saved
      await subscription.unsubscribe();
      return show("failed");
    }
    window.location.assign("/preferences?done=saved-1#devices-title");
  };

  const begin = async () => {
    const subscription = await meet().catch(() => null);
    if (!panel) return;
    panel.hidden = false;
    if (Notification.permission === "denied") return show("refused");
    show(subscription ? "on" : "off");
    panel.querySelector("button").addEventListener("click", () => subscribe().catch(() => show("failed")));
  };
  begin();
})();
