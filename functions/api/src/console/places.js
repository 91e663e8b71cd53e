// What the browser's history keeps beside an address, so that Back leads to the place that the person left: how far the page was
// scrolled, and how many rows a list had.

const SETTLED_MS = 200;

let wanted = null;
let timer = null;

export const remembered = () => history.state ?? {};

export const remember = (more) => history.replaceState({ ...history.state, ...more }, "");

/** Begins a view: until its contents are there, no scrolling counts. */
export function arrive() {
  clearTimeout(timer);
  wanted = remembered().scroll ?? 0;
}

/** Scrolls to the place that the person left, once the contents reach so far. */
export function settle() {
  if (wanted === null) return;
  scrollTo(0, wanted);
  if (scrollY >= wanted - 1) wanted = null;
}

export function keepPlaces() {
  history.scrollRestoration = "manual";
  const note = () => {
    clearTimeout(timer);
    if (wanted === null) remember({ scroll: scrollY });
  };
  addEventListener("scroll", () => {
    clearTimeout(timer);
    timer = setTimeout(note, SETTLED_MS);
  });
  // A click may follow a link before the scrolling has settled.
  addEventListener("click", note, { capture: true });
  // A person who scrolls is not taken elsewhere any more.
  for (const name of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    addEventListener(
      name,
      () => {
        wanted = null;
      },
      { passive: true },
    );
  }
}
