// The start of the console, the frame of its pages, and the view for each address. An address has ids and filters only.

import { showAccount } from "./account.js";
import { activityView } from "./activity.js";
import { projects, SignedOut, signOut, signOutEverywhere } from "./api.js";
import { deliveryView } from "./delivery.js";
import { closeDialogs } from "./dialogs.js";
import { fill, h, plain } from "./dom.js";
import { endpointView } from "./endpoint.js";
import { endpointsView } from "./endpoints.js";
import { eventTypesView } from "./event_types.js";
import { eventsView, eventView } from "./events.js";
import { keepTimes } from "./format.js";
import { keysView } from "./keys.js";
import { arrive, keepPlaces, settle } from "./places.js";
import { portalLinksView } from "./portal_links.js";
import { projectDeliveriesView } from "./project_deliveries.js";
import { BRAND, can, dress, isPortal, portalView, portalWho } from "./portal.js";
import { hideCode } from "./portal_session.js";
import { searchForm } from "./search.js";
import { onEnd, session, takeOver } from "./session.js";
import { signInView } from "./signin.js";
import { button, link, loading, problemBox, toast } from "./widgets.js";

const VIEWS = [
  [/^endpoints$/, endpointsView, "endpoints"],
  [/^endpoints\/([0-9a-f-]+)$/, endpointView, "endpoints"],
  [/^endpoints\/([0-9a-f-]+)\/deliveries\/([0-9a-f-]+)$/, deliveryView, "endpoints"],
  [/^deliveries$/, projectDeliveriesView, "deliveries"],
  [/^events$/, eventsView, "events"],
  [/^events\/([0-9a-f-]+)$/, eventView, "events"],
  [/^event-types$/, eventTypesView, "events"],
  [/^keys$/, keysView, "keys"],
  [/^portal-links$/, portalLinksView, "keys"],
  [/^activity$/, activityView, "keys"],
];
const SECTIONS = [
  ["endpoints", "Endpoints"],
  ["deliveries", "Deliveries"],
  ["events", "Events"],
  ["keys", "Access"],
];

const app = document.getElementById("app");
let known = null;
let shown = new AbortController();
let isFirst = true;

/** The project, the rest of the path and the filters in the address. */
function place() {
  const [path, query] = location.hash.slice(1).split("?");
  const [, project, rest] = path.match(/^\/projects\/([0-9a-f-]+)\/(.+)$/) ?? [];
  return { project, rest, query: new URLSearchParams(query) };
}

function leave() {
  known = null;
  location.hash = "";
  show();
}

async function signOutHere() {
  const ending = signOut();
  leave();
  try {
    await ending;
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    toast("You are signed out in this tab, but the service could not be asked to end the session.");
  }
}

function askToSignIn(notice) {
  known = null;
  document.querySelector("dialog")?.close();
  document.title = isPortal ? BRAND : `Sign in · ${BRAND}`;
  fill(app, isPortal ? portalView(notice, show) : signInView(notice, show));
  (app.querySelector("input") ?? app.querySelector("h1")).focus();
}

function frame(project, section, main) {
  const choose = (event) => {
    location.hash = `#/projects/${event.target.value}/${section || "endpoints"}`;
  };
  const skip = (event) => {
    event.preventDefault();
    main.focus();
  };
  const options = known.map((each) => h("option", { value: each.id, selected: each.id === project }, each.name));
  if (!project) options.unshift(h("option", { value: "", selected: true }, "No project"));
  const to = (name) => ({ href: `#/projects/${project}/${name}`, "aria-current": name === section ? "page" : null });
  return [
    h("a", { class: "skip", href: "#main", onclick: skip }, "Skip to content"),
    h(
      "header",
      { class: "top" },
      h("div", { class: "brand" }, h("span", { class: "mark", "aria-hidden": "true" }), h("span", null, BRAND)),
      !isPortal && h("select", { class: "project", "aria-label": "Project", onchange: choose, disabled: options.length < 2 }, options),
      h(
        "nav",
        { "aria-label": "Sections" },
        project && SECTIONS.filter(([name]) => can(name)).map(([name, label]) => link(label, to(name).href, to(name))),
      ),
      project && searchForm(project),
      h(
        "div",
        { class: "who" },
        isPortal ? portalWho() : h("span", { class: "quiet" }, session().email ?? "API key"),
        session().kind === "account" && button("Account", () => showAccount(signOutEverywhere, leave), { kind: "small ghost" }),
        button("Sign out", signOutHere, { kind: "small ghost" }),
      ),
    ),
    main,
    !isPortal && h("footer", null, link("API reference", docsAt(project))),
  ];
}

/** The reference, with the ids of the things on the page. */
function docsAt(project) {
  const [, endpoint, delivery] = place().rest?.match(/^endpoints\/([0-9a-f-]+)(?:\/deliveries\/([0-9a-f-]+))?$/) ?? [];
  const [, event] = place().rest?.match(/^events\/([0-9a-f-]+)$/) ?? [];
  const ids = { project_id: project, webhook_id: endpoint, delivery_id: delivery, event_id: event };
  const shownIds = new URLSearchParams(Object.entries(ids).filter(([, id]) => id));
  return shownIds.size ? `docs?${shownIds}` : "docs";
}

/** The view for an address in a project to which the person has no access. */
function foreign(project) {
  const has =
    session().kind === "key" ? "The API key that you signed in with belongs to another project." : "Your account has no such project.";
  return [
    h("h1", { tabindex: "-1" }, "This link leads to a project that is not yours"),
    h(
      "p",
      { class: "break" },
      "The link names the project ",
      h("code", null, project),
      `. ${has} Sign in as somebody who has it, or go to:`,
    ),
    h(
      "ul",
      { class: "own-projects" },
      known.map((each) => h("li", null, link(each.name, `#/projects/${each.id}/endpoints`))),
    ),
  ];
}

async function show() {
  arrive();
  shown.abort(new DOMException("another view is shown", "AbortError"));
  shown = new AbortController();
  const { signal } = shown;
  const main = h("main", { id: "main", tabindex: "-1" });
  try {
    if (!session()) return askToSignIn();
    hideCode();
    if (!known) {
      fill(app, h("main", { id: "main" }, loading("Loading your projects")));
      known = await projects(signal);
    }
    const { project, rest, query } = place();
    const isForeign = () => !isPortal && project && known.length && !known.some(({ id }) => id === project);
    // The project may have been made since the projects were read.
    if (isForeign()) known = await projects(signal);
    if (isForeign()) {
      document.title = `Not your project · ${BRAND}`;
      fill(main, ...foreign(project));
      return fill(app, ...frame("", "", main));
    }
    const route = VIEWS.map(([path, view, section]) => ({ match: rest?.match(path), view, section })).find(
      ({ match, section }) => match && can(section),
    );
    if (!route || !known.some(({ id }) => id === project)) {
      if (!known.length)
        return fill(app, ...frame("", "", fill(main, h("p", null, "This account has no project. You can create one with the API."))));
      return location.replace(`#/projects/${(known.find(({ id }) => id === project) ?? known[0]).id}/endpoints`);
    }
    fill(app, ...frame(project, route.section, main));
    fill(main, loading("Loading"));
    const context = {
      project,
      path: `v1/projects/${project}`,
      home: `#/projects/${project}`,
      ids: route.match.slice(1),
      query,
      signal,
      reload: show,
      name: known.find(({ id }) => id === project).name,
      gone: () => {
        known = null;
        location.hash = "#/";
      },
    };
    const { title, content } = await route.view(context);
    if (signal.aborted) return undefined;
    document.title = `${plain(title)} · ${BRAND}`;
    fill(main, content);
    if (!isFirst) main.querySelector("h1")?.focus({ preventScroll: true });
    isFirst = false;
    settle();
  } catch (problem) {
    if (signal.aborted) return undefined;
    if (problem instanceof SignedOut) return askToSignIn(problem.message);
    if (problem.status === undefined) throw problem;
    if (!main.isConnected) fill(app, main);
    if (problem.status === 404) problem.message += " in this project";
    fill(
      main,
      h("h1", { tabindex: "-1" }, problem.status === 404 ? "Not found" : "This page could not be loaded"),
      problemBox(problem, show),
    );
  }
  return undefined;
}

// A call by a view or by a timer may find that the session has ended.
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "AbortError") event.preventDefault();
  if (event.reason instanceof SignedOut) {
    event.preventDefault();
    askToSignIn(event.reason.message);
  } else if (event.reason?.status !== undefined) {
    event.preventDefault();
    toast(event.reason.message);
  }
});
onEnd(() => {
  shown.abort(new DOMException("the session has ended", "AbortError"));
  askToSignIn("You signed out in another tab.");
});
addEventListener("hashchange", () => {
  closeDialogs();
  show();
});
dress();
keepTimes();
keepPlaces();
if (!session()) await takeOver();
show();
