// Times, durations and sizes for people to read.

import { h } from "./dom.js";

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const ABSOLUTE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function relative(at, now) {
  const millis = at - now;
  if (Math.abs(millis) < 1_000) return "now";
  const [unit, length] = UNITS.find(([, least]) => Math.abs(millis) >= least);
  return RELATIVE.format(Math.trunc(millis / length), unit);
}

/** A time such as "5 minutes ago", with the exact time on hover. `keepTimes` keeps it up to date. */
export function time(text) {
  if (!text) return h("span", { class: "quiet" }, "never");
  const title = `${ABSOLUTE.format(new Date(text))} (${text})`;
  return h("time", { datetime: text, title }, relative(Date.parse(text), Date.now()));
}

export const absolute = (text) => ABSOLUTE.format(new Date(text));

/** Updates the relative times each second, unless the tab is hidden. */
export function keepTimes() {
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("time[datetime]")) {
      const text = relative(Date.parse(element.getAttribute("datetime")), Date.now());
      if (element.textContent !== text) element.textContent = text;
    }
  }, 1_000);
}

/** 84 ms, 1.2 s, 5 min, 2 h. */
export function span(millis) {
  if (millis < 1_000) return `${Math.round(millis)} ms`;
  if (millis < 10_000) return `${(millis / 1_000).toFixed(1)} s`;
  if (millis < 90_000) return `${Math.round(millis / 1_000)} s`;
  if (millis < 5_400_000) return `${Math.round(millis / 60_000)} min`;
  if (millis < 172_800_000) return `${Math.round(millis / 3_600_000)} h`;
  return `${Math.round(millis / 86_400_000)} days`;
}

export const size = (bytes) => (bytes < 1_024 ? `${bytes} bytes` : `${(bytes / 1_024).toFixed(1)} KiB`);

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** A URL that may wrap after each of its parts. */
export const breakable = (url) => url.split(/(?<=[/?&])/).flatMap((part) => [part, h("wbr")]);
