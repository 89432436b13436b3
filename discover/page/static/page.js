// Keeps a page up to date and makes its buttons work. Sections marked data-live are replaced, one by one,
// by what the server would send now; figures listen for the event "renewed".
"use strict";
(() => {
  const head = document.getElementById("head");
  const csrf = document.querySelector("meta[name=csrf]").content;
  const campaign = head?.dataset.campaign;
  const versionAddress = campaign ? `/api/campaigns/${campaign}/version` : "/api/version";
  const LOOK_MS = 1500, AWAY_MS = 15000;
  let version = head?.dataset.version;

  const toast = (text, bad) => {
    const box = document.getElementById("toast");
    box.textContent = text;
    box.className = bad ? "shown bad" : "shown";
    clearTimeout(toast.timer);
    toast.timer = setTimeout(() => { box.className = ""; }, bad ? 9000 : 4000);
  };

  const renew = async () => {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of document.querySelectorAll("[data-live][id]")) {
      const now = fresh.getElementById(old.id);
      if (!now || now.isEqualNode(old)) continue;
      for (const details of old.querySelectorAll("details[id]")) {
        const same = now.querySelector(`#${CSS.escape(details.id)}`);
        if (same) same.open = details.open;
      }
      old.replaceWith(document.importNode(now, true));
    }
    version = document.getElementById("head").dataset.version;
    document.dispatchEvent(new Event("renewed"));
  };

  const look = async () => {
    let pause = document.hidden ? AWAY_MS : LOOK_MS;
    try {
      const answer = await fetch(versionAddress);
      if (answer.status === 401) { location.reload(); return; }
      if (answer.ok && (await answer.json()).version !== version) await renew();
      if (!answer.ok) pause = AWAY_MS;
    } catch { pause = 5000; } // the page's server is away: ask again later
    setTimeout(look, pause);
  };

  const order = async (what, body) => {
    const answer = await fetch(`/api/campaigns/${campaign}/${what}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-discover-csrf": csrf },
      body: JSON.stringify(body),
    });
    let told = "";
    try { const content = await answer.json(); told = content.told ?? content.detail; } catch { told = answer.statusText; }
    toast(told, !answer.ok);
    await renew();
    return answer.ok;
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.open) {
      const form = document.getElementById(button.dataset.open);
      form.hidden = !form.hidden;
      form.querySelector("input")?.focus();
    } else if (button.dataset.logout !== undefined) {
      await fetch("/logout", { method: "POST", headers: { "x-discover-csrf": csrf } });
      location.assign("/login");
    } else if (button.dataset.order) {
      if (button.dataset.ask && !confirm(button.dataset.ask)) return;
      button.disabled = true;
      await order(button.dataset.order, JSON.parse(button.dataset.body));
      button.disabled = false;
    }
  });

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.order) return;
    event.preventDefault();
    const body = {};
    for (const [key, value] of new FormData(form)) if (value !== "") body[key] = Number(value);
    if (await order(form.dataset.order, body)) { form.hidden = true; form.reset(); }
  });

  // The dashboard is beside this page, under whatever name this page was asked for.
  const dashboard = document.querySelector("[data-dashboard]");
  if (dashboard) dashboard.hostname = location.hostname;

  for (const place of document.querySelectorAll("[data-fragment]")) {
    fetch(place.dataset.fragment).then(async (answer) => {
      place.innerHTML = answer.ok ? await answer.text() : "There is nothing to draw.";
    });
  }

  if (version) setTimeout(look, LOOK_MS);
})();
