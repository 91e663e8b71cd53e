// Two attempts of a delivery side by side.

import { dialog } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { absolute, span } from "./format.js";
import { button, table } from "./widgets.js";

/** The lines of two texts, each with whether the other text has it too, by their longest common sequence. */
function marked(one, other) {
  const [a, b] = [one, other].map((text) => text.split("\n"));
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  const [left, right] = [[], []];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      left.push([a[i], true]);
      right.push([b[j], true]);
      i += 1;
      j += 1;
    } else if (j === b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) {
      left.push([a[i], false]);
      i += 1;
    } else {
      right.push([b[j], false]);
      j += 1;
    }
  }
  return [left, right];
}

function answer(lines, attempt) {
  if (!attempt.response_body) return h("span", { class: "quiet" }, attempt.http_status ? "no body" : "no answer");
  const shown = lines.map(([text, isInBoth]) => h(isInBoth ? "span" : "mark", { class: "line-of-answer" }, `${text}\n`));
  return h("pre", { class: "code answer wrap", tabindex: "0" }, shown);
}

function comparison(one, other, urlNow) {
  const facts = [
    ["Status", ({ http_status: status }) => (status ? `HTTP ${status}` : "No response")],
    ["Fault", ({ error_message: message }) => message ?? "none"],
    ["Took", ({ duration_ms: millis }) => span(millis)],
    ["Began", ({ created_at: at }) => absolute(at)],
    ["Started", ({ triggered_by: by }) => (by === "auto" ? "by the schedule" : "manually")],
    ["Sent to", ({ url }) => url ?? urlNow],
    ["Redirect to", ({ location }) => location ?? "none"],
  ];
  const row = ([name, of]) => {
    const [a, b] = [of(one), of(other)];
    const title = h("th", { scope: "row" }, name);
    if (a === b) return h("tr", null, title, h("td", { class: "break quiet", colspan: 2 }, `both: ${a}`));
    return h(
      "tr",
      { class: "differs" },
      title,
      [a, b].map((text) => h("td", { class: "break" }, text)),
    );
  };
  const [left, right] = marked(one.response_body ?? "", other.response_body ?? "");
  const answers = h("tr", null, h("th", { scope: "row" }, "Answer"), h("td", null, answer(left, one)), h("td", null, answer(right, other)));
  const headings = [["Part"], [`Attempt ${one.attempt_number}`], [`Attempt ${other.attempt_number}`]];
  const shown = table(headings, [...facts.map(row), answers]);
  shown.classList.add("comparison");
  return shown;
}

/** Shows two attempts side by side: at first the latest two. */
export function compareAttempts(attempts, urlNow) {
  return dialog("Compare attempts", (close) => {
    const place = h("div", { class: "scroll-x" });
    const choice = (label, chosen) => {
      const options = attempts.map((each, index) =>
        h("option", { value: index, selected: index === chosen }, `Attempt ${each.attempt_number}`),
      );
      return h("select", { "aria-label": label, onchange: () => show() }, options);
    };
    const picks = [choice("One attempt", attempts.length - 2), choice("The other attempt", attempts.length - 1)];
    const show = () => fill(place, comparison(...picks.map((pick) => attempts[pick.value]), urlNow));
    show();
    return [h("div", { class: "buttons" }, picks), place, h("div", { class: "actions" }, button("Close", close, { kind: "primary" }))];
  });
}
