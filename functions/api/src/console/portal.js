// The portal: this page for a project's customer, who comes by a link. It has the operator's name and colour, and fewer rights.
// The service refuses calls that a link does not open; here their buttons are left out.

import { openPortal } from "./api.js";
import { h } from "./dom.js";
import { code, hideCode, keepPortal, linkId, nonce, PORTAL } from "./portal_session.js";
import { session } from "./session.js";
import { working } from "./widgets.js";

export const isPortal = PORTAL !== null;

/** The name of this page. */
export const BRAND = PORTAL?.name ?? "Echo Webhooks";

/** Whether the person may see a section or "change" things, as far as the page knows. The service decides. */
export function can(right) {
  const { kind, readOnly } = session() ?? {};
  if (kind !== "portal") return true;
  return right === "change" ? !readOnly : right !== "keys";
}

/** Says why there is no signing secret. */
export const secretLacking = () =>
  isPortal
    ? "Your link is for looking only, so it does not show the secret. Ask for a link that can change endpoints."
    : "Your API key lacks the scope endpoints:write, so the service does not show it the secret.";

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** What the link allows and until when, for the top of each view. */
export function portalWho() {
  const { readOnly, until } = session();
  return [readOnly && h("span", { class: "chip" }, "View only"), h("span", { class: "quiet" }, "until ", CLOCK.format(new Date(until)))];
}

/** The page before the link is redeemed, and after its session has ended. Only a press of the button redeems it: programs that scan
 * mails load the page. */
export function portalView(notice, done) {
  const found = code();
  const place = h("div");
  const open = h("button", { type: "submit", class: "button primary wide" }, "Open");
  const onsubmit = (event) => {
    event.preventDefault();
    working(open, place, async () => {
      const link = linkId();
      const opened = await openPortal(found, nonce());
      keepPortal({
        ...{ kind: "portal", link, access: opened.token },
        ...{ project: opened.project_id, readOnly: opened.read_only, until: opened.expires_at },
      });
      hideCode();
      done();
    });
  };
  const ask = found
    ? [
        h("p", { class: "quiet" }, "Your webhook endpoints and what was delivered to them."),
        h("form", { onsubmit }, place, open),
        h("p", { class: "hint" }, "The link works once. It opens in this tab, until the session ends or you close the tab."),
      ]
    : !notice && h("p", { class: "notice" }, "This page opens by a link. Ask for one where you found this page.");
  return h(
    "main",
    { id: "main", class: "signin" },
    h("div", { class: "mark", "aria-hidden": "true" }),
    h("h1", { tabindex: "-1" }, BRAND),
    notice && h("p", { class: "notice", role: "alert" }, notice),
    ask,
  );
}

// The operator chooses one colour. Text has to be readable in it and on it, so a light page gets a darker shade if need be, and a page
// in the dark a lighter one (w3.org/TR/WCAG22/#contrast-minimum).

const PAPER = "#eef0f4";
const NIGHT = "#222c38";
const CONTRAST = 4.5;

const parts = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);

function luminance(hex) {
  const [red, green, blue] = parts(hex).map(linear);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

/** The colour, moved towards black (0) or white (1) until it stands out from the ground. */
function shade(colour, towards, ground) {
  for (let share = 0; share < 1; share += 0.05) {
    const mixed = parts(colour).map((part) => Math.round(255 * (part + (towards - part) * share)));
    const hex = `#${mixed.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
    if (contrast(hex, ground) >= CONTRAST) return hex;
  }
  return towards ? "#ffffff" : "#000000";
}

/** Gives the page the operator's colour. */
export function dress() {
  if (!PORTAL) return;
  const { style } = document.documentElement;
  style.setProperty("--accent", `light-dark(${shade(PORTAL.accent, 0, PAPER)}, ${shade(PORTAL.accent, 1, NIGHT)})`);
  style.setProperty("--accent-soft", "color-mix(in srgb, var(--accent) 10%, var(--panel))");
}
