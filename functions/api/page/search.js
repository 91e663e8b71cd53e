// The search over operations, fields, statuses and headers, and the list of operations that follows the page.

/** What a section says, without its samples: their ids and numbers would match nearly everything. */
export function wordsOf(section) {
  const said = section.cloneNode(true);
  for (const each of said.querySelectorAll(".sample")) each.remove();
  return [...said.querySelectorAll("b, p, h4, .status, .type, summary")].map((each) => each.textContent).join(" ");
}

/** The field, header or status of an operation that a word names: one with this very name before one with the word in its name. */
function placeOf(id, words) {
  const named = [...document.getElementById(id).querySelectorAll("[data-name]")];
  for (const fits of [(name, word) => name === word, (name, word) => name.includes(word)]) {
    const found = named.find((each) => words.some((word) => fits(each.dataset.name.toLowerCase(), word)));
    if (found) return found;
  }
  return undefined;
}

/** Opens the parts around an element and shows the element. */
function reveal(element) {
  for (let each = element; each; each = each.parentElement?.closest("details")) {
    if (each instanceof HTMLDetailsElement) each.open = true;
  }
  element.scrollIntoView({ block: "center" });
  element.classList.add("found");
  setTimeout(() => element.classList.remove("found"), 2500);
}

export function search() {
  const box = document.getElementById("search");
  const menu = document.getElementById("menu");
  // On a small screen an open list would fill the page.
  menu.open = matchMedia("(min-width: 48rem)").matches;
  const links = () => [...document.querySelectorAll("#index li:not([hidden]) a")];
  const asked = () => box.value.toLowerCase().split(/\s+/).filter(Boolean);
  // An operation with the words in its own name comes before one with the words in a field's.
  const best = () => {
    const named = links().find((link) => asked().every((word) => `${link.textContent} ${link.hash}`.toLowerCase().includes(word)));
    return named ?? links()[0];
  };
  const idOf = (row) => row.querySelector("a").hash.slice(1);
  box.addEventListener("input", () => {
    const words = asked();
    for (const row of document.querySelectorAll("#index li")) {
      row.hidden = !words.every((word) => row.dataset.text.includes(word));
      row.querySelector(".where").textContent = (!row.hidden && words.length && placeOf(idOf(row), words)?.dataset.name) || "";
    }
    for (const section of document.querySelectorAll("#index section")) {
      section.hidden = !section.querySelector("li:not([hidden])");
    }
    menu.open ||= words.length > 0;
    document.getElementById("none").hidden = links().length > 0;
  });
  // Somebody may have typed before the list was there.
  if (box.value) box.dispatchEvent(new Event("input"));
  document.getElementById("index").addEventListener("click", (event) => {
    const row = event.target.closest("li");
    const words = asked();
    const place = row && words.length && placeOf(idOf(row), words);
    // After the browser has followed the link.
    if (place) setTimeout(() => reveal(place));
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target === box;
    if (event.target instanceof HTMLInputElement && !typing) return;
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape" && typing) {
      box.value = "";
      box.dispatchEvent(new Event("input"));
      box.blur();
    } else if (event.key === "Enter" && typing) {
      best()?.click();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const all = links();
      const at = typing ? -1 : all.indexOf(document.activeElement);
      if (!typing && at < 0) return;
      event.preventDefault();
      const next = at + (event.key === "ArrowDown" ? 1 : -1);
      (next < 0 ? box : all[next] ?? all.at(-1)).focus();
    }
  });
}

/** Marks the visible operation in the list. */
export function follow() {
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      document.querySelector("#index a[aria-current]")?.removeAttribute("aria-current");
      document.querySelector(`#index a[href="#${target.id}"]`)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  document.querySelectorAll(".operation").forEach((each) => seen.observe(each));
}
